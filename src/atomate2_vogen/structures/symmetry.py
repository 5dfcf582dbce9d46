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


def symmetrise(
    structure: Structure, system: OxideSystem | None, tolerance: float = 0.2
) -> Symmetrised:
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
        Oxide system whose minimum distances are the limits; None sets no limits.
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
            and not (system is not None and _has_close_atoms(averaged, system))
            and default_matcher().fit(structure, averaged)
        ):
            return Symmetrised(averaged, symbol, after, attempt, moved)
    return Symmetrised(structure, symbol, symbol, 0.0, 0.0)


def idealised(structure: Structure, tolerance: float = EXACT) -> Structure:
    """The crystal with the symmetry that it has within a tolerance made exact.

    Parameters
    ----------
    structure
        Ordered crystal.
    tolerance
        spglib's ``symprec`` in Å.

    Returns
    -------
    Structure
        The same sites in the same order and setting, averaged over the operations; the given
        crystal where spglib finds no symmetry or loses it half-way.

    Examples
    --------
    >>> from atomate2_vogen.structures.symmetry import idealised, space_group
    >>> from pymatgen.core import Lattice, Structure
    >>> nearly = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5001]])
    >>> before, after = (space_group(one, 1e-5)[0] for one in (nearly, idealised(nearly)))
    >>> before, after
    ('P4mm', 'Pm-3m')
    """
    averaged = _averaged(structure, tolerance)
    return structure if averaged is None else averaged


def conventional_cell(structure: Structure, tolerance: float = EXACT) -> Structure:
    """Conventional standard cell of a crystal, all of its atoms.

    Parameters
    ----------
    structure
        Ordered crystal in any cell.
    tolerance
        spglib's ``symprec`` in Å; the symmetry that the crystal has within it is made exact.

    Returns
    -------
    Structure
        The cell of Setyawan and Curtarolo (pymatgen's conventional standard structure), which
        programs for band structures expect. Magnetic moments and other site properties are left
        out.

    Raises
    ------
    InputError
        If spglib finds no space group.

    Examples
    --------
    >>> from atomate2_vogen.structures import conventional_cell
    >>> from pymatgen.core import Lattice, Structure
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> primitive = rock_salt.get_primitive_structure()
    >>> len(primitive), len(conventional_cell(primitive))
    (2, 8)
    """
    bare = _bare(idealised(structure, tolerance))
    try:
        return SpacegroupAnalyzer(bare, symprec=tolerance).get_conventional_standard_structure()
    except (SymmetryUndeterminedError, TypeError, ValueError) as error:
        raise InputError(
            f"no space group was found within {tolerance:g} Å; give another tolerance"
        ) from error


def space_group(structure: Structure, tolerance: float = EXACT) -> tuple[str, int]:
    """Hermann–Mauguin symbol and number of the space group within a tolerance.

    Moments are not looked at.

    Parameters
    ----------
    structure
        Ordered crystal.
    tolerance
        spglib's ``symprec`` in Å.

    Returns
    -------
    symbol : str
    number : int
        ``unknown`` and 0 where spglib finds none.

    Examples
    --------
    >>> from atomate2_vogen.structures.symmetry import space_group
    >>> from pymatgen.core import Lattice, Structure
    >>> space_group(Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    ('Pm-3m', 221)
    """
    try:
        analyzer = SpacegroupAnalyzer(_bare(structure), symprec=tolerance)
        return analyzer.get_space_group_symbol(), analyzer.get_space_group_number()
    except SymmetryUndeterminedError:
        return "unknown", 0


def n_operations(structure: Structure) -> int:
    """Number of symmetry operations of the cell at `EXACT`; 0 where none can be determined.

    A cell that is not primitive has each operation once for every lattice point in it.

    Examples
    --------
    >>> from atomate2_vogen.structures.symmetry import n_operations
    >>> from pymatgen.core import Lattice, Structure
    >>> n_operations(Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]))
    48
    """
    return _group(structure)[1]


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
    moments = structure.site_properties.get("magmom")
    return Structure(
        Lattice(cell),
        structure.species,
        fractions,
        site_properties=None if moments is None else {"magmom": moments},
    )


def _bare(structure: Structure) -> Structure:
    """Without site properties: pymatgen would count the operations of the moments."""
    return Structure(structure.lattice, structure.species, structure.frac_coords)


def _group(structure: Structure) -> tuple[str, int]:
    """Symbol and number of operations at `EXACT`; no operation where there is none to find."""
    try:
        analyzer = SpacegroupAnalyzer(_bare(structure), symprec=EXACT)
        return analyzer.get_space_group_symbol(), len(analyzer.get_symmetry_operations())
    except SymmetryUndeterminedError:
        return "unknown", 0


def _has_close_atoms(structure: Structure, system: OxideSystem) -> bool:
    try:
        return too_close(structure, system) is not None
    except VogenError:
        return True
