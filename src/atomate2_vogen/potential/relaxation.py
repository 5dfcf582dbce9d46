"""Relaxation of many crystals at once on the learned potential.

Atoms and cell move together, in the coordinates of ASE's `UnitCellFilter`: positions in the frame
of the initial cell, and the deformation of that cell. Steps are those of L-BFGS (Liu and Nocedal,
Math. Program. 45, 503 (1989)), each crystal with a memory of its own; the network evaluates all
crystals that still move in one batch. Forces on a symmetric crystal are symmetric, but rounding is
not, and at a saddle point it grows: where a cell has a symmetry, every gradient is averaged over it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from atomate2_vogen.potential.neighbours import Batch, Cell, NeighbourList
from atomate2_vogen.potential.network import PotentialNetwork

SKIN = 0.5
"""Å beyond the cutoff within which neighbours are listed, so that a list serves several steps."""

LONGEST_STEP = 0.3
"""Å that an atom moves in one step at most."""

AT_ONCE = 64
"""Crystals that move side by side: more of them cost as much each, fewer cost more."""

MEMORY = 8
"""Earlier steps that the estimate of the curvature rests on."""

_FIRST_CURVATURE = 20.0  # eV/Å², typical of oxides
_LEAST_CURVATURE = 5.0  # eV/Å², where the energy is not convex
_VOLUMES = (4.0, 60.0)  # Å³ per atom between which a crystal is one


@dataclass
class RelaxedCell:
    """End of a relaxation.

    Parameters
    ----------
    cell
        The crystal, with its atoms in the order of the start.
    energy
        eV/atom; not-a-number where the crystal fell apart or together.
    max_force
        Largest component of a force or of the virial per atom, in eV/Å and eV.
    steps
        Steps taken.
    """

    cell: Cell
    energy: float
    max_force: float
    steps: int


@dataclass
class _Path:
    """One crystal on its way."""

    start: Cell
    moved: np.ndarray
    memory: deque[tuple[np.ndarray, np.ndarray, float]] = field(
        default_factory=lambda: deque(maxlen=MEMORY)
    )
    last: tuple[np.ndarray, np.ndarray] | None = None
    listed: tuple[Cell, NeighbourList] | None = None
    energy: float = np.nan
    max_force: float = np.inf
    steps: int = 0
    gradient: np.ndarray | None = None
    """Where the crystal is, unless it was not evaluated yet."""
    is_ended: bool = False

    @classmethod
    def of(cls, cell: Cell) -> _Path:
        return cls(cell, np.concatenate([cell.positions, np.eye(3) * len(cell)]))

    @property
    def deformation(self) -> np.ndarray:
        return np.asarray(self.moved[-3:] / len(self.start))

    def cell(self) -> Cell:
        turned = self.deformation.T
        return replace(
            self.start, lattice=self.start.lattice @ turned, positions=self.moved[:-3] @ turned
        )

    def neighbours(self, cell: Cell, cutoff: float) -> NeighbourList:
        """The list of neighbours, made anew once something has moved by a good part of the skin."""
        if self.listed is not None:
            before, found = self.listed
            moved = np.abs(cell.positions - before.positions).max()
            if max(moved, np.abs(cell.lattice - before.lattice).max()) < SKIN / 3:
                return found
        found = NeighbourList.of(cell, cutoff + SKIN)
        self.listed = (cell, found)
        return found

    def slope(self, forces: np.ndarray, virial: np.ndarray) -> np.ndarray:
        """Derivative of the energy by `moved`, flat."""
        deformation = self.deformation
        by_cell = -(np.linalg.inv(deformation) @ virial) / len(self.start)
        whole = np.concatenate([-forces @ deformation, by_cell])
        symmetry = self.start.symmetry
        return (whole if symmetry is None else symmetry.averaged(whole)).ravel()

    def end(self) -> None:
        """Take no further step, and drop what only these need."""
        self.is_ended = True
        self.memory.clear()
        self.gradient = self.last = self.listed = None

    def advance(self, gradient: np.ndarray) -> None:
        """Take one step of L-BFGS."""
        if self.last is not None:
            step, before = self.last
            change = gradient - before
            curvature, length = float(step @ change), float(step @ step)
            if curvature <= 0:
                # the energy is not convex here, and what it tells would lead uphill
                change = change + (_LEAST_CURVATURE - curvature / length) * step
                curvature = _LEAST_CURVATURE * length
            self.memory.append((step, change, 1.0 / curvature))
        direction = gradient.copy()
        factors = []
        for step, change, rho in reversed(self.memory):
            factor = rho * float(step @ direction)
            direction -= factor * change
            factors.append(factor)
        if self.memory:
            step, change, rho = self.memory[-1]
            direction /= rho * float(change @ change)
        else:
            direction /= _FIRST_CURVATURE
        for (step, change, rho), factor in zip(self.memory, reversed(factors), strict=True):
            direction += step * (factor - rho * float(change @ direction))
        move = -direction.reshape(-1, 3)
        longest = float(np.linalg.norm(move, axis=1).max())
        if longest > LONGEST_STEP:
            move *= LONGEST_STEP / longest
        self.moved = self.moved + move
        self.last = (move.ravel(), gradient)
        self.steps += 1


class RelaxationBatch:
    """Crystals that are relaxed side by side, for some steps first and some of them for more.

    Parameters
    ----------
    network
        Network of the potential.
    cells
        Crystals of any sizes and formulas of its system.
    max_force
        Largest component of a force (eV/Å), and of the virial per atom (eV), of what counts as
        relaxed.
    """

    def __init__(
        self, network: PotentialNetwork, cells: Sequence[Cell], *, max_force: float = 0.05
    ) -> None:
        self.network, self.max_force = network, max_force
        self._paths = [_Path.of(cell) for cell in cells]

    def run(self, steps: int, rows: Sequence[int] | None = None) -> list[RelaxedCell]:
        """Relax until each crystal is relaxed or has taken a number of steps.

        As some come to their end, others begin.

        Parameters
        ----------
        steps
            Most steps of each, those of earlier calls included.
        rows
            Numbers of the crystals that go on; by default all.

        Returns
        -------
        list of RelaxedCell
            In the order of `rows`.
        """
        paths = self._paths if rows is None else [self._paths[row] for row in rows]
        # what was evaluated where it is has steps to take, or nothing is left to do
        waiting = deque(
            path
            for path in paths
            if not path.is_ended and (path.gradient is None or path.steps < steps)
        )
        moving: list[_Path] = []
        while waiting or moving:
            while waiting and len(moving) < AT_ONCE:
                path = waiting.popleft()
                if path.gradient is not None:
                    path.advance(path.gradient)
                moving.append(path)
            moving = self._evaluate(moving, steps)
        return [RelaxedCell(path.cell(), path.energy, path.max_force, path.steps) for path in paths]

    def _evaluate(self, moving: Sequence[_Path], steps: int) -> list[_Path]:
        """Evaluate crystals, and move those that have not come to their end."""
        now = [path.cell() for path in moving]
        lists = [
            path.neighbours(cell, self.network.shape.cutoff)
            for path, cell in zip(moving, now, strict=True)
        ]
        energies, forces, stresses = self.network.evaluate(Batch.of(now, lists))
        ends = np.cumsum([len(cell) for cell in now]).tolist()
        still = []
        for path, cell, energy, stress, end in zip(
            moving, now, energies.tolist(), stresses, ends, strict=True
        ):
            force = forces[end - len(cell) : end]
            virial = -stress * cell.volume
            path.energy = energy / len(cell)
            path.max_force = float(max(np.abs(force).max(), np.abs(virial).max() / len(cell)))
            if not np.isfinite(path.max_force) or not (
                _VOLUMES[0] < cell.volume / len(cell) < _VOLUMES[1]
            ):
                path.energy = np.nan
                path.end()
            elif path.max_force <= self.max_force:
                path.end()
            else:
                path.gradient = path.slope(force, virial)
                if path.steps < steps:
                    path.advance(path.gradient)
                    still.append(path)
        return still


def relax_cells(
    network: PotentialNetwork,
    cells: Sequence[Cell],
    *,
    steps: int = 80,
    max_force: float = 0.05,
) -> list[RelaxedCell]:
    """Relax crystals side by side.

    Parameters
    ----------
    network, cells, max_force
        As of `RelaxationBatch`.
    steps
        Most steps of each.

    Returns
    -------
    list of RelaxedCell
        In the order of the crystals.
    """
    return RelaxationBatch(network, cells, max_force=max_force).run(steps)
