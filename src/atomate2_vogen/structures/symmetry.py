"""Symmetrisation of generated crystals within a tolerance.

The symmetry of a decoded crystal is never exact. Where spglib finds operations within a
tolerance, averaging over them removes the noise of the decoder without any energy evaluation.
`symmetrise` limits how much the crystal may change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.spacegroup.symmetrize import IntermediateDatasetError, get_symmetrized_atoms
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import InputError, VogenError
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.reduction import default_matcher

EXACT = 0.01
"""Tolerance in Å within which a symmetry counts as exact."""

ROUNDS = 3
"""Number of tolerances that are tried, each half the one before."""


@dataclass(frozen=True)
class Symmetrised:
    """Result of a symmetrisation.

    Parameters
    ----------
    structure
        Crystal with the same sites in the same order and setting; unchanged where no
        symmetrisation was accepted.
    before, after
        Space group symbols found with a tolerance of `EXACT`, before and after; equal where
        nothing was changed.
    tolerance
        Tolerance at which the symmetry was found, in Å; 0 where nothing was changed.
    displacement
        Largest displacement of a site within the cell in Å, without rigid shifts.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.structures import symmetrise
    >>> from pymatgen.core import Lattice, Structure
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> symmetrise(rock_salt, VANADIUM).changed
    False
    """

    structure: Structure
    before: str
    after: str
    tolerance: float
    displacement: float

    @property
    def changed(self) -> bool:
        """Whether the crystal was changed."""
        return self.tolerance > 0

    def details(self) -> dict[str, Any]:
        """Plain values for a candidate's details."""
        return {
            "space_group_before": self.before,
            "space_group_after": self.after,
            "symmetry_tolerance": round(self.tolerance, 4),
            "largest_displacement": round(self.displacement, 4),
        }


def symmetrise(structure: Structure, system: OxideSystem, tolerance: float = 0.2) -> Symmetrised:
    """Symmetrise a crystal with the operations that it has within a tolerance.

    Cell and positions are averaged over the operations that spglib finds (as
    `ase.spacegroup.symmetrize` does). The cell keeps its setting and all of its atoms, also
    where a smaller primitive cell comes out: the number of formula units is what was asked
    for, and a later relaxation may need it. Half and a quarter of the tolerance are tried
    where the tolerance itself gives nothing acceptable.

    A result is accepted only if it has more operations at `EXACT` than before, the same
    number of every element, no distance below the system's limits, no site that moved farther
    than the tolerance, and is the same crystal by StructureMatcher's defaults. Otherwise the
    crystal stays as it is.

    Parameters
    ----------
    structure
        Ordered crystal.
    system
        Oxide system whose minimum distances are the limits.
    tolerance
        spglib's ``symprec`` in Å.

    Returns
    -------
    Symmetrised
        Symmetrised or unchanged crystal, with details.

    Raises
    ------
    InputError
        If the tolerance is not finite and positive.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.structures import symmetrise
    >>> from pymatgen.core import Lattice, Structure
    >>> rutile = Structure.from_spacegroup(
    ...     "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    ... )
    >>> noisy = rutile.copy()
    >>> _ = noisy.translate_sites([2], [0.01, 0, 0])
    >>> found = symmetrise(noisy, VANADIUM, tolerance=0.2)
    >>> found.before, found.after
    ('Pm', 'P4_2/mnm')
    """
    if not (np.isfinite(tolerance) and tolerance > 0):
        raise InputError(f"the symmetry tolerance is {tolerance!r}; give a positive number in Å")
    symbol, order = _group(structure)
    for attempt in (tolerance / 2**k for k in range(ROUNDS)):
        averaged = _averaged(structure, attempt)
        if averaged is None:
            continue
        moved = largest_displacement(structure, averaged)
        after, operations = _group(averaged)
        if (
            operations > order
            and moved <= attempt
            and averaged.composition == structure.composition
            and not _has_close_atoms(averaged, system)
            and default_matcher().fit(structure, averaged)
        ):
            return Symmetrised(averaged, symbol, after, attempt, moved)
    return Symmetrised(structure, symbol, symbol, 0.0, 0.0)


def largest_displacement(before: Structure, after: Structure) -> float:
    """Largest displacement of a site relative to the cell, in Å of the later cell.

    Parameters
    ----------
    before, after
        The same sites in the same order.
    """
    apart = np.asarray(after.frac_coords) - np.asarray(before.frac_coords)
    apart -= np.round(apart)
    apart -= apart.mean(axis=0)
    return float(np.linalg.norm(apart @ after.lattice.matrix, axis=1).max())


def _averaged(structure: Structure, tolerance: float) -> Structure | None:
    """The crystal averaged over the operations found at a tolerance; None if spglib fails."""
    try:
        atoms, _ = get_symmetrized_atoms(
            AseAtomsAdaptor.get_atoms(structure, msonable=False), symprec=tolerance
        )
    except (IntermediateDatasetError, AssertionError, AttributeError, ValueError, RuntimeError):
        # the symmetry changed half-way, or none could be determined at this tolerance
        return None
    except Exception as error:
        if type(error).__module__.partition(".")[0] == "spglib":
            return None
        raise
    cell = np.asarray(atoms.cell)
    if not np.isfinite(cell).all() or not np.isfinite(atoms.positions).all():
        return None
    fractions = atoms.get_scaled_positions(wrap=True)
    return Structure(Lattice(cell), structure.species, fractions)


def _group(structure: Structure) -> tuple[str, int]:
    """Symbol and number of operations at `EXACT`; no operation where there is none to find."""
    # pymatgen would count the operations of the moments, which are not averaged
    bare = Structure(structure.lattice, structure.species, structure.frac_coords)
    try:
        analyzer = SpacegroupAnalyzer(bare, symprec=EXACT)
        return analyzer.get_space_group_symbol(), len(analyzer.get_symmetry_operations())
    except SymmetryUndeterminedError:
        return "unknown", 0


def _has_close_atoms(structure: Structure, system: OxideSystem) -> bool:
    try:
        return too_close(structure, system) is not None
    except VogenError:
        return True
