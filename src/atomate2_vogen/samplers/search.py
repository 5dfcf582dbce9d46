"""Candidates by random structure search on a learned potential.

Random symmetric crystals are relaxed on the potential, which keeps their symmetry, and come out
in the order of its energy. Searching at random and relaxing is the oldest way to find crystals
(Pickard and Needs, J. Phys.: Condens. Matter 23, 053201 (2011)); a potential fitted to the energy
model makes it a hundred times cheaper than on that model (Pickard, Phys. Rev. B 106, 014102
(2022)).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.base import (
    Attempt,
    RefusedError,
    changed_options,
    check_counts,
    check_number,
    check_seed,
    check_whole,
    collect_sample,
    formula_rng,
)
from atomate2_vogen.schemas import RejectionReason, RelaxedDraws, SampleDoc
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.matching import DistinctStructures, KnownStructures
from atomate2_vogen.structures.symmetry import symmetrise
from atomate2_vogen.structures.wyckoff import draw_crystal, pyxtal_version

if TYPE_CHECKING:
    from atomate2_vogen.potential.neighbours import Cell
    from atomate2_vogen.potential.potential import Potential
    from atomate2_vogen.potential.relaxation import RelaxedCell

SEARCH_DEFAULTS: dict[str, Any] = {
    "draws": 24,
    "min_atoms": 7,
    "narrowing": ((1, 0.5), (5, 0.25)),
    "steps": 80,
    "symmetry_tolerance": 0.3,
}
"""Default values of the options that, with the seed, determine the crystals."""

DRAWS_COMPARED = 512
"""Most draws that are compared with each other after some steps, before the next ones begin."""

FEWEST_TOGETHER = 8
"""Relaxed draws that are made symmetric side by side."""

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
    positions, a cell and coordinates at random. All draws are relaxed for a few steps, fewer and
    fewer of them, the lowest, for more steps, and what is lowest at the end comes first. Two
    draws that end in the same crystal give one candidate.

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
    narrowing
        Pairs of a number of steps and the share of the draws that are relaxed for more steps
        than these; none relaxes all to the end.
    steps
        Most steps of relaxation in all.
    symmetry_tolerance
        Å within which a symmetry that a relaxed crystal almost has is made exact; the crystal is
        relaxed again with that symmetry, and kept so if it is not higher. 0 leaves crystals as
        they are.
    progress
        Called with formula, crystals relaxed so far, and how many will be.
    relaxed
        Draws that `relax_part` has relaxed, all parts of each formula. Formulas without parts are
        drawn and relaxed when they are sampled; what comes out is the same.

    Raises
    ------
    InputError
        If an option is out of range, or the potential is of another system.
    MissingModelError
        If no potential is given and none is shipped.

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
        narrowing: Sequence[tuple[int, float]] = SEARCH_DEFAULTS["narrowing"],
        steps: int = SEARCH_DEFAULTS["steps"],
        symmetry_tolerance: float = SEARCH_DEFAULTS["symmetry_tolerance"],
        progress: Callable[[str, int, int], None] | None = None,
        relaxed: Sequence[RelaxedDraws] = (),
    ) -> None:
        from atomate2_vogen.potential.potential import Potential

        if potential is None:
            potential = _shipped_potential(system)
        elif not isinstance(potential, Potential):
            potential = Potential.load(potential)
        potential.require_system(system)
        self.potential, self.system = potential, system
        self.model_id = f"{potential.potential_id}-pyxtal-{pyxtal_version()}"
        self.draws = check_whole("draws", draws)
        self.min_atoms = check_whole("min_atoms", min_atoms)
        self.steps = check_whole("steps", steps)
        self.narrowing = _checked(narrowing, self.steps)
        self.symmetry_tolerance = check_number(
            "symmetry_tolerance", symmetry_tolerance, 1.0, zero=True
        )
        self.progress = progress
        self.relaxed = tuple(relaxed)

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

    def relax_part(
        self, formula: str, wanted: int, seed: int, part: int, parts: int
    ) -> RelaxedDraws:
        """Relax a part of the draws of one formula, as another process may do with the others.

        Parameters
        ----------
        formula, wanted, seed
            As of `sample`.
        part, parts
            Number of the part, from 0, and of parts in all; at most `n_parts`.

        Raises
        ------
        CountsError, UnknownFormulaError, InputError
            As `sample`, or if there is no such part.

        Examples
        --------
        >>> from atomate2_vogen.samplers import SearchSampler
        >>> sampler = SearchSampler(draws=8)
        >>> part = sampler.relax_part("VO2", 1, seed=1, part=0, parts=1)
        >>> sample = SearchSampler(draws=8, relaxed=[part]).sample({"VO2": 1}, seed=1)
        >>> sample.candidates[0].details["draw"] in part.draws
        True
        """
        begin, begin_cpu = time.perf_counter(), time.process_time()
        ((formula, wanted),) = check_counts({formula: wanted}, self.system).items()
        n = self.draws * wanted
        if not 0 <= part < parts <= n_parts(n):
            raise InputError(f"part {part} of {parts}: there are 1 to {n_parts(n)} parts")
        numbers = np.array_split(np.arange(n_parts(n)), parts)[part]
        found, refused = self._relax_blocks(formula, n, check_seed(seed), numbers.tolist())
        return RelaxedDraws(
            formula=formula,
            seed=seed,
            n_draws=n,
            blocks=numbers.tolist(),
            model_id=self.model_id,
            options=self.options,
            draws=[one.draw for one in found],
            groups=[one.group for one in found],
            energies=[float(one.energy) for one in found],
            lattices=[one.structure.lattice.matrix.tolist() for one in found],
            species=[[site.specie.symbol for site in one.structure] for one in found],
            coords=[one.structure.frac_coords.tolist() for one in found],
            refused=[(one.reason, str(one)) for one in refused],
            wall_time=time.perf_counter() - begin,
            cpu_time=time.process_time() - begin_cpu,
        )

    def _outcomes(self, formula: str, wanted: int, seed: int) -> Iterator[Attempt]:
        """Relaxed draws, the lowest energy first, then the failed ones."""
        found, refused = self._relaxed(formula, self.draws * wanted, seed)
        found.sort(key=lambda one: one.energy)
        distinct = DistinctStructures()
        # few of the draws are looked at, so only the next ones are made symmetric, side by side
        together = max(wanted, FEWEST_TOGETHER)
        for start in range(0, len(found), together):
            checked = [
                (one, self._refusal(one, distinct)) for one in found[start : start + together]
            ]
            regular = self._symmetric([one for one, refusal in checked if refusal is None])
            for one, refusal in checked:
                if refusal is not None:
                    yield refusal
                    continue
                structure, energy, details = regular.pop(0)
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

    def _refusal(self, one: _Found, distinct: DistinctStructures) -> RefusedError | None:
        """Why a relaxed draw is refused; one that is not refuses its twins from then on."""
        if message := too_close(one.structure, self.system):
            return RefusedError(RejectionReason.ATOMS_TOO_CLOSE, message)
        if twin := distinct.twin_or_add(str(one.draw), one.structure):
            return RefusedError(RejectionReason.DUPLICATE, f"matches draw {twin}")
        return None

    def _symmetric(
        self, relaxed: Sequence[_Found]
    ) -> list[tuple[Structure, float, dict[str, Any]]]:
        """Crystals with the symmetry that they almost have, unless that costs energy."""
        from atomate2_vogen.potential.exploration import as_structure
        from atomate2_vogen.potential.potential import as_cell
        from atomate2_vogen.potential.relaxation import relax_cells

        found: list[tuple[Structure, float, dict[str, Any]]] = [
            (one.structure, one.energy, {}) for one in relaxed
        ]
        if not self.symmetry_tolerance:
            return found
        regular = [
            symmetrise(one.structure, self.system, self.symmetry_tolerance) for one in relaxed
        ]
        changed = [at for at, one in enumerate(regular) if one.changed]
        cells = [as_cell(regular[at].structure, self.system, symmetric=True) for at in changed]
        ends = relax_cells(self.potential.network, cells, steps=self.steps)
        for at, end in zip(changed, ends, strict=True):
            if end.energy <= relaxed[at].energy + ENERGY_TOLERANCE:
                structure = as_structure(end.cell, regular[at].structure)
                found[at] = structure, end.energy, regular[at].details()
        return found

    def _relaxed(self, formula: str, n: int, seed: int) -> tuple[list[_Found], list[RefusedError]]:
        """All draws that could be relaxed, and why others could not."""
        parts = [one for one in self.relaxed if one.formula == formula]
        if not parts:
            return self._relax_blocks(formula, n, seed, range(n_parts(n)))
        given = {number: one for one in parts for number in one.blocks}
        wanted = (n, seed, self.model_id, self.options)
        fits = all((one.n_draws, one.seed, one.model_id, one.options) == wanted for one in parts)
        if not fits or sorted(given) != list(range(n_parts(n))):
            raise InputError(
                f"the relaxed draws of {formula} are not all parts of {n} draws with seed {seed} "
                f"and {self.model_id}"
            )
        found: list[_Found] = []
        refused: list[RefusedError] = []
        for one in sorted(parts, key=lambda one: one.blocks):
            rows = zip(
                one.draws,
                one.groups,
                one.lattices,
                one.species,
                one.coords,
                one.energies,
                strict=True,
            )
            found += [
                _Found(draw, group, Structure(lattice, species, coords), energy)
                for draw, group, lattice, species, coords, energy in rows
            ]
            refused += [RefusedError(reason, message) for reason, message in one.refused]
        return found, refused

    def _relax_blocks(
        self, formula: str, n: int, seed: int, numbers: Iterable[int]
    ) -> tuple[list[_Found], list[RefusedError]]:
        """Draws of some blocks that could be relaxed, and why others could not."""
        found: list[_Found] = []
        refused: list[RefusedError] = []
        blocks = np.array_split(np.arange(n), n_parts(n))
        for block in (blocks[number] for number in numbers):
            drawn: list[tuple[int, int, Structure]] = []
            for draw in block.tolist():
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
            lowest, failed = self._lowest([structure for _, _, structure in drawn])
            refused += failed
            for row, end in lowest.items():
                draw, group, structure = drawn[row]
                found.append(_Found(draw, group, _reduced(end.cell, structure), end.energy))
            if self.progress:
                self.progress(formula, int(block[-1]) + 1, n)
        return found, refused

    def _lowest(
        self, structures: Sequence[Structure]
    ) -> tuple[dict[int, RelaxedCell], list[RefusedError]]:
        """By row the relaxed ones of the lowest of some draws, and why others are refused."""
        from atomate2_vogen.potential.potential import as_cell
        from atomate2_vogen.potential.relaxation import RelaxationBatch

        cells = [as_cell(structure, self.system) for structure in structures]
        relaxation = RelaxationBatch(self.potential.network, cells)
        rows, n_unstable, n_high = list(range(len(cells))), 0, 0
        for steps, share in (*self.narrowing, (self.steps, 1.0)):
            ends = dict(zip(rows, relaxation.run(steps, rows), strict=True))
            sound = [row for row in rows if np.isfinite(ends[row].energy)]
            sound.sort(key=lambda row: ends[row].energy)
            kept = sound[: max(1, round(share * len(cells)))]
            n_unstable += len(rows) - len(sound)
            n_high += len(sound) - len(kept)
            rows = kept
        unstable = RefusedError(RejectionReason.GENERATION_FAILED, "fell apart or together")
        high = RefusedError(RejectionReason.HIGH_ENERGY, "higher than others after some steps")
        return {row: ends[row] for row in rows}, [unstable] * n_unstable + [high] * n_high

    def _draw(self, formula: str, seed: int, draw: int) -> tuple[int, Structure | None]:
        """Space group and random crystal of one draw, from a separate random stream."""
        rng = formula_rng(seed, formula, draw)
        return draw_crystal(formula, self.system, rng, self.min_atoms)


@lru_cache(maxsize=2)
def _shipped_potential(system: OxideSystem) -> Potential:
    """The shipped potential, once per process: its first evaluation takes seconds."""
    from atomate2_vogen.potential.shipped import load_potential

    return load_potential(system)


def n_parts(n_draws: int) -> int:
    """Number of parts into which draws can be divided without changing what comes out."""
    return -(-n_draws // DRAWS_COMPARED)


def _checked(narrowing: Any, most: int) -> tuple[tuple[int, float], ...]:
    """Pairs of steps and shares, in this order.

    Raises
    ------
    InputError
        If they are none, the steps do not grow, or the shares do.
    """
    try:
        pairs = [(check_whole("narrowing", steps), share) for steps, share in narrowing]
    except (TypeError, ValueError):
        raise InputError(
            f"narrowing is {narrowing!r}; give pairs of steps and a share, such as [[4, 0.5]]"
        ) from None
    checked = tuple((steps, check_number("narrowing", share, 1.0)) for steps, share in pairs)
    before = (0, 1.0)
    for steps, share in checked:
        if not (before[0] < steps < most and share <= before[1]):
            raise InputError(
                f"narrowing is {narrowing!r}; each pair needs more steps than the one before, less "
                f"than {most}, and no larger share"
            )
        before = steps, share
    return checked


def _reduced(cell: Cell, like: Structure) -> Structure:
    """Niggli-reduced crystal of a relaxed cell."""
    from atomate2_vogen.potential.exploration import as_structure

    return as_structure(cell, like).get_reduced_structure("niggli").get_sorted_structure()
