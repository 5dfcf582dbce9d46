"""Crystals that a potential should learn next: those that it is led to itself.

A potential is wrong where it has seen nothing, and a search goes just there: it finds minima that
the energy model does not have. Frames of what the search finds, and of what it passes, mend that
within a few rounds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.potential.neighbours import Cell
from atomate2_vogen.potential.potential import Potential, as_cell
from atomate2_vogen.potential.relaxation import RelaxedCell, relax_cells
from atomate2_vogen.structures.wyckoff import draw_crystal

BATCH = 64
"""Crystals relaxed side by side."""

_SAME_ENERGY, _SAME_VOLUME = 2e-3, 0.05
"""eV/atom and Å³/atom within which two ends of relaxations count as one crystal."""


def shaken(structure: Structure, rng: np.random.Generator, distance: float) -> Structure:
    """Copy with strained cell and displaced atoms.

    Parameters
    ----------
    structure
        Crystal.
    rng
        Random numbers.
    distance
        Standard deviation of the displacements in Å; strains have one of 0.04.
    """
    strain = rng.normal(0.0, 0.04, (3, 3))
    strain = (strain + strain.T) / 2 + np.eye(3) * (1 + rng.normal(0.0, 0.03))
    cell = structure.lattice.matrix @ strain
    positions = structure.frac_coords @ cell + rng.normal(0.0, distance, (len(structure), 3))
    return Structure(Lattice(cell), structure.species, positions, coords_are_cartesian=True)


def explore(
    potential: Potential, counts: Mapping[str, int], seed: int
) -> list[tuple[str, Structure]]:
    """Crystals from random symmetric ones relaxed on a potential.

    Parameters
    ----------
    potential
        Potential to search on.
    counts
        Number of draws per formula.
    seed
        The same seed gives the same crystals.

    Returns
    -------
    list of tuple
        ``relaxed``, ``passed`` (on the way) or ``shaken`` (near the end), and the crystal. The
        higher half of the ends is thinned out: the low ones are what will be searched for.
    """
    rng = np.random.default_rng(seed)
    found: list[tuple[str, Structure]] = []
    for formula, n in counts.items():
        for start in range(0, n, BATCH):
            draws = [
                draw_crystal(formula, potential.system, rng)[1]
                for _ in range(min(BATCH, n - start))
            ]
            found += _of_batch(potential, [one for one in draws if one is not None], rng)
    return found


def _of_batch(
    potential: Potential, draws: list[Structure], rng: np.random.Generator
) -> list[tuple[str, Structure]]:
    found: list[tuple[str, Structure]] = []
    cells = [as_cell(structure, potential.system) for structure in draws]
    passed = relax_cells(potential.network, cells, steps=int(rng.integers(5, 25)))
    sound = [row for row, one in enumerate(passed) if np.isfinite(one.energy)]
    ends = relax_cells(potential.network, [passed[row].cell for row in sound])
    order = np.argsort([one.energy for one in ends], kind="stable").tolist()
    seen: list[RelaxedCell] = []
    for rank, number in enumerate(order):
        end, start = ends[number], draws[sound[number]]
        if not np.isfinite(end.energy) or any(_alike(end, other) for other in seen):
            continue
        seen.append(end)
        relaxed = as_structure(end.cell, start)
        if rank < 0.6 * len(order) or rng.random() < 0.3:
            found.append(("relaxed", relaxed))
        if rng.random() < 0.3:
            found.append(("passed", as_structure(passed[sound[number]].cell, start)))
        if rng.random() < 0.35:
            found.append(("shaken", shaken(relaxed, rng, 0.12)))
    return found


def _alike(one: RelaxedCell, other: RelaxedCell) -> bool:
    volumes = one.cell.volume / len(one.cell) - other.cell.volume / len(other.cell)
    return abs(one.energy - other.energy) < _SAME_ENERGY and abs(volumes) < _SAME_VOLUME


def as_structure(cell: Cell, like: Structure) -> Structure:
    """Crystal of a cell, with the species of another in the same order."""
    return Structure(Lattice(cell.lattice), like.species, cell.positions, coords_are_cartesian=True)
