"""Candidates by random structure search on a learned potential.

Random symmetric crystals are relaxed on the potential, which keeps their symmetry, and come out
in the order of its energy. Searching at random and relaxing is the oldest way to find crystals
(Pickard and Needs, J. Phys.: Condens. Matter 23, 053201 (2011)); a potential fitted to the energy
model makes it a hundred times cheaper than on that model (Pickard, Phys. Rev. B 106, 014102
(2022)).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.samplers.base import (
    Attempt,
    RefusedError,
    changed_options,
    check_number,
    check_whole,
    collect_sample,
    formula_rng,
)
from atomate2_vogen.schemas import RejectionReason, SampleDoc
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.matching import DistinctStructures, KnownStructures
from atomate2_vogen.structures.symmetry import symmetrise
from atomate2_vogen.structures.wyckoff import draw_crystal, pyxtal_version

if TYPE_CHECKING:
    from atomate2_vogen.potential.neighbours import Cell
    from atomate2_vogen.potential.potential import Potential

SEARCH_DEFAULTS: dict[str, Any] = {
    "draws": 24,
    "min_atoms": 7,
    "first_steps": 15,
    "narrowing": 0.4,
    "steps": 80,
    "symmetry_tolerance": 0.3,
}
"""Default values of the options that, with the seed, determine the crystals."""

BATCH = 64
"""Crystals relaxed side by side."""

ENERGY_TOLERANCE = 1e-3
"""eV/atom by which a crystal may be higher once it is symmetric."""


@dataclass
class _Found:
    """A relaxed draw."""

    draw: int
    group: int
    structure: Structure
    energy: float


class SearchSampler:
    """Relaxes random symmetric crystals on a learned potential and keeps the lowest.

    Each draw takes a number of formula units, a space group that can hold them, Wyckoff
    positions, a cell and coordinates at random. All draws are relaxed for a few steps, the lower
    ones of these to the end, and what is lowest comes first. Two draws that end in the same
    crystal give one candidate.

    Parameters
    ----------
    potential
        Learned potential, or its file; by default the one that is shipped for the system.
    system
        Oxide system.
    draws
        Random crystals per crystal asked for. More of them give lower energies for more time.
    min_atoms
        Fewest atoms of a cell, as of `WGANSampler`.
    first_steps
        Steps of relaxation of every draw.
    narrowing
        Share of the draws that are relaxed further.
    steps
        Most further steps.
    symmetry_tolerance
        Å within which a symmetry that a relaxed crystal almost has is made exact; the crystal is
        relaxed again with that symmetry, and kept so if it is not higher. 0 leaves crystals as
        they are.
    progress
        Called with formula, crystals relaxed so far, and how many will be.

    Raises
    ------
    InputError
        If an option is out of range, or the potential is of another system.
    MissingModelError
        If no potential is given and none is shipped.
    MissingDependencyError
        If PyXtal is not installed.

    Examples
    --------
    >>> from atomate2_vogen.samplers import SearchSampler
    >>> sample = SearchSampler(draws=8).sample({"VO2": 2}, seed=1)
    >>> [candidate.formula for candidate in sample.candidates]
    ['VO2', 'VO2']
    """

    name = "search"

    def __init__(
        self,
        potential: Potential | str | os.PathLike[str] | None = None,
        *,
        system: OxideSystem = VANADIUM,
        draws: int = SEARCH_DEFAULTS["draws"],
        min_atoms: int = SEARCH_DEFAULTS["min_atoms"],
        first_steps: int = SEARCH_DEFAULTS["first_steps"],
        narrowing: float = SEARCH_DEFAULTS["narrowing"],
        steps: int = SEARCH_DEFAULTS["steps"],
        symmetry_tolerance: float = SEARCH_DEFAULTS["symmetry_tolerance"],
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        from atomate2_vogen.potential.potential import Potential
        from atomate2_vogen.potential.shipped import load_potential

        if potential is None:
            potential = load_potential(system)
        elif not isinstance(potential, Potential):
            potential = Potential.load(potential)
        potential.require_system(system)
        self.potential, self.system = potential, system
        self.model_id = f"{potential.potential_id}-pyxtal-{pyxtal_version()}"
        self.draws = check_whole("draws", draws)
        self.min_atoms = check_whole("min_atoms", min_atoms)
        self.first_steps = check_whole("first_steps", first_steps)
        self.steps = check_whole("steps", steps)
        self.narrowing = check_number("narrowing", narrowing, 1.0)
        self.symmetry_tolerance = check_number(
            "symmetry_tolerance", symmetry_tolerance, 1.0, zero=True
        )
        self.progress = progress

    @property
    def options(self) -> dict[str, Any]:
        """Options that are not at their defaults and decide what comes out of a seed."""
        return changed_options(self, SEARCH_DEFAULTS)

    def sample(
        self,
        counts: Mapping[str, int],
        seed: int = 0,
        *,
        known: KnownStructures | None = None,
    ) -> SampleDoc:
        """Make crystals; see `Sampler`.

        What comes out of a seed depends on the number asked for: the lowest of so many draws.

        Raises
        ------
        CountsError, UnknownFormulaError
            As `check_counts`.
        InputError
            If the seed is negative or not whole.
        """
        return collect_sample(
            self,
            self.system,
            counts,
            seed,
            self._outcomes,
            options=self.options,
            known=known,
            depends_on_count=True,
        )

    def _outcomes(self, formula: str, wanted: int, seed: int) -> Iterator[Attempt]:
        """Relaxed draws, the lowest energy first, then the failed ones."""
        found, refused = self._relaxed(formula, self.draws * wanted, seed)
        distinct = DistinctStructures()
        for one in sorted(found, key=lambda one: one.energy):
            if message := too_close(one.structure, self.system):
                yield RefusedError(RejectionReason.ATOMS_TOO_CLOSE, message)
                continue
            if twin := distinct.twin_or_add(str(one.draw), one.structure):
                yield RefusedError(RejectionReason.DUPLICATE, f"matches draw {twin}")
                continue
            structure, energy, details = self._symmetric(one)
            # two distorted forms of one symmetric crystal need not match each other
            twin = distinct.twin_or_add(str(one.draw), structure) if details else None
            if twin not in {None, str(one.draw)}:
                yield RefusedError(RejectionReason.DUPLICATE, f"matches draw {twin}")
                continue
            details |= {
                "draw": one.draw,
                "space_group_drawn": one.group,
                "potential": self.potential.potential_id,
                "potential_energy_per_atom": round(energy, 4),
            }
            yield structure, details
        yield from refused

    def _symmetric(self, one: _Found) -> tuple[Structure, float, dict[str, Any]]:
        """Crystal with the symmetry that it almost has, unless that costs energy."""
        from atomate2_vogen.potential.exploration import as_structure
        from atomate2_vogen.potential.potential import as_cell
        from atomate2_vogen.potential.relaxation import relax_cells

        if self.symmetry_tolerance:
            regular = symmetrise(one.structure, self.system, self.symmetry_tolerance)
            if regular.changed:
                cell = as_cell(regular.structure, self.system, symmetric=True)
                (relaxed,) = relax_cells(self.potential.network, [cell], steps=self.steps)
                if relaxed.energy <= one.energy + ENERGY_TOLERANCE:
                    structure = as_structure(relaxed.cell, regular.structure)
                    return structure, relaxed.energy, regular.details()
        return one.structure, one.energy, {}

    def _relaxed(self, formula: str, n: int, seed: int) -> tuple[list[_Found], list[RefusedError]]:
        """All draws that could be relaxed, and why others could not."""
        from atomate2_vogen.potential.potential import as_cell
        from atomate2_vogen.potential.relaxation import relax_cells

        network = self.potential.network
        found: list[_Found] = []
        refused: list[RefusedError] = []
        for start in range(0, n, BATCH):
            drawn: list[tuple[int, int, Structure]] = []
            for draw in range(start, min(start + BATCH, n)):
                group, structure = self._draw(formula, seed, draw)
                if structure is None:
                    refused.append(
                        RefusedError(
                            RejectionReason.GENERATION_FAILED,
                            f"space group {group}: no place for all atoms",
                        )
                    )
                else:
                    drawn.append((draw, group, structure))
            cells = [as_cell(structure, self.system) for _, _, structure in drawn]
            first = relax_cells(network, cells, steps=self.first_steps)
            order = np.argsort([one.energy for one in first], kind="stable").tolist()
            sound = [row for row in order if np.isfinite(first[row].energy)]
            refused += [_unstable() for _ in range(len(order) - len(sound))]
            kept = sound[: max(1, round(self.narrowing * len(order)))]
            refused += [
                RefusedError(RejectionReason.HIGH_ENERGY, "higher than others after some steps")
                for _ in range(len(sound) - len(kept))
            ]
            last = relax_cells(network, [first[row].cell for row in kept], steps=self.steps)
            for row, one in zip(kept, last, strict=True):
                draw, group, structure = drawn[row]
                if np.isfinite(one.energy):
                    found.append(_Found(draw, group, _reduced(one.cell, structure), one.energy))
                else:
                    refused.append(_unstable())
            if self.progress:
                self.progress(formula, min(start + BATCH, n), n)
        return found, refused

    def _draw(self, formula: str, seed: int, draw: int) -> tuple[int, Structure | None]:
        """Space group and random crystal of one draw, from a separate random stream."""
        rng = formula_rng(seed, formula, draw)
        return draw_crystal(formula, self.system, rng, self.min_atoms)


def _unstable() -> RefusedError:
    return RefusedError(RejectionReason.GENERATION_FAILED, "fell apart or together")


def _reduced(cell: Cell, like: Structure) -> Structure:
    """Niggli-reduced crystal of a relaxed cell."""
    from atomate2_vogen.potential.exploration import as_structure

    return as_structure(cell, like).get_reduced_structure("niggli").get_sorted_structure()
