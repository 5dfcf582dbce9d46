"""Candidates at random: crystals of a random space group on random Wyckoff sites (PyXtal).

The rival that any generator has to beat on *novel* crystals, since its pool has no end.
PyXtal: Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021),
DOI 10.1016/j.cpc.2020.107810.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from monty.json import MSONable
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.samplers.base import (
    RefusedError,
    check_number,
    check_whole,
    collect_sample,
    formula_rng,
)
from atomate2_vogen.schemas import RejectionReason, SampleDoc
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.matching import KnownStructures
from atomate2_vogen.structures.wyckoff import groups_that_hold, pyxtal_group, pyxtal_version

# special positions sit exactly on their symmetry elements, so the primitive cell is found tightly
_SYMPREC = 1e-3
# PyXtal's retries per attempt: cells, and placements of all atoms in each
_LATTICES = 5
_PLACEMENTS = 3


@dataclass
class RandomSampler(MSONable):
    """Makes random symmetric crystals.

    Each attempt draws a number of formula units that fits in `max_atoms`, one of the space
    groups that can hold them in a primitive cell, a cell of the system's atomic volumes and
    Wyckoff positions. Attempts whose atoms find no place, or come closer than the minimum
    distances, are rejected. Attempt i of a formula has a separate random stream, so it gives
    the same crystal for any other request.

    Parameters
    ----------
    system
        The oxide; gives the volumes per atom and the minimum distances.
    volume_factor
        Multiplies the volume.
    max_attempts
        Attempts per crystal asked for, after which a formula stays short.

    Raises
    ------
    InputError
        If the factor or the number of attempts is not positive.

    Examples
    --------
    >>> from atomate2_vogen.samplers import RandomSampler
    >>> RandomSampler(max_attempts=20).sample({"VO2": 1}, seed=0).requested
    {'VO2': 1}
    """

    system: OxideSystem = VANADIUM
    volume_factor: float = 1.0
    max_attempts: int = 100

    name: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        """Refuse parameters that no crystal can be made with."""
        check_number("volume_factor", self.volume_factor)
        check_whole("max_attempts", self.max_attempts)

    @cached_property
    def model_id(self) -> str:
        """PyXtal's version and the volume factor, which fix what a seed gives."""
        return f"pyxtal-{pyxtal_version()}-{self.volume_factor:g}"

    def sample(
        self,
        counts: Mapping[str, int],
        seed: int = 0,
        *,
        known: KnownStructures | None = None,
    ) -> SampleDoc:
        """Make crystals; see `Sampler`.

        Raises
        ------
        CountsError, UnknownFormulaError
            As `check_counts`.
        InputError
            If the seed is negative or not whole.
        """
        return collect_sample(self, self.system, counts, seed, self._outcomes, known=known)

    def _outcomes(
        self, formula: str, wanted: int, seed: int
    ) -> Iterator[tuple[Structure, dict[str, Any]] | RefusedError]:
        """Attempts, each from a separate random stream."""
        for index in range(self.max_attempts * wanted):
            try:
                yield self._try(formula, seed, index)
            except RefusedError as refusal:
                yield refusal

    def _try(self, formula: str, seed: int, index: int) -> tuple[Structure, dict[str, Any]]:
        """One attempt: a crystal with its details, or `RefusedError`."""
        rng = formula_rng(seed, formula, index)
        n_units = int(rng.integers(1, self.system.max_formula_units(formula), endpoint=True))
        n_metal, n_anion = (n_units * n for n in self.system.formula_unit(formula))
        space_group = int(rng.choice(groups_that_hold(n_metal, n_anion)))

        def refusal(reason: RejectionReason, message: str) -> RefusedError:
            where = f"space group {space_group}, {n_metal + n_anion} atoms: "
            return RefusedError(reason, where + message)

        volume = self.volume_factor * self.system.volume(n_metal, n_anion)
        structure = _random_crystal(space_group, (n_metal, n_anion), volume, self.system, rng)
        if structure is None:
            raise refusal(RejectionReason.GENERATION_FAILED, "no place for all atoms")
        if structure.composition.reduced_formula != formula:
            made = structure.composition.reduced_formula
            raise refusal(RejectionReason.WRONG_COMPOSITION, f"made {made}")
        if message := too_close(structure, self.system):
            raise refusal(RejectionReason.ATOMS_TOO_CLOSE, message)
        return structure, {"space_group": space_group, "formula_units": n_units}


@lru_cache(maxsize=8)
def _tolerances(system: OxideSystem) -> Any:
    from pyxtal.tolerance import Tol_matrix

    limits = [(a, b, system.minimum_distance(a, b)) for a, b in system.pairs]
    return Tol_matrix(*limits)


@lru_cache(maxsize=1)
def _bounded_crystal() -> Any:
    """PyXtal's `random_crystal` with a bound on its retries.

    As it comes, it retries 400 times, which takes a minute where nothing fits; a fresh draw of
    group and size is the better use of that time.
    """
    from pyxtal.crystal import random_crystal

    class BoundedCrystal(random_crystal):
        def set_crystal(self) -> None:
            self.numattempts = 0
            for _ in range(_LATTICES):
                self.set_volume()
                self.set_lattice(self.lattice0)
                for _ in range(_PLACEMENTS):
                    # sets `valid` when all atoms have found a place
                    if sites := self._set_coords():
                        self.atom_sites = sites
                        return
                self.lattice.reset_matrix()

    return BoundedCrystal


def _random_crystal(
    space_group: int,
    counts: tuple[int, int],
    volume: float,
    system: OxideSystem,
    rng: np.random.Generator,
) -> Structure | None:
    """Primitive Niggli cell of a random crystal, or None if the atoms found no place.

    Parameters
    ----------
    space_group
        International number, one of `groups_that_hold`.
    counts
        Atoms of metal and anion in the primitive cell.
    volume
        Of the primitive cell in Å³.
    """
    from pyxtal.lattice import Lattice
    from pyxtal.msg import VolumeError

    group = pyxtal_group(space_group)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            crystal = _bounded_crystal()(
                group=group,
                species=list(system.elements),
                numIons=list(counts),
                lattice=Lattice(group.lattice_type, volume * group.cellsize(), random_state=rng),
                conventional=False,
                tm=_tolerances(system),
                random_state=rng,
            )
        except (RuntimeError, VolumeError):
            return None
        if not crystal.valid:
            return None
        sites = [(site.specie, coords) for site in crystal.atom_sites for coords in site.coords]
        symbols, fractions = zip(*sites, strict=True)
        conventional = Structure(crystal.lattice.matrix, symbols, fractions, to_unit_cell=True)
        primitive = SpacegroupAnalyzer(conventional, symprec=_SYMPREC).find_primitive()
    return primitive.get_reduced_structure(reduction_algo="niggli").get_sorted_structure()
