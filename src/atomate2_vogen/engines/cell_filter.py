"""ASE's Fréchet cell filter, worked out once per configuration.

An optimizer asks for the forces of one configuration several times in a step: to move, to check
convergence, to log. ASE's filter takes a matrix logarithm and nine derivatives of a matrix
exponential each time, which for a small cell is no small part of a relaxation with CHGNet
(`tests/benchmarks/test_bench_engines.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.filters import FrechetCellFilter


class CachedCellFilter(FrechetCellFilter):
    """`FrechetCellFilter` that remembers the forces of the configuration it was asked for last."""

    _state: tuple[Any, ...] | None = None
    _forces: np.ndarray

    def get_forces(self, **kwargs: Any) -> np.ndarray:
        """Forces on atoms and cell (n + 3, 3) in eV/Å; `stress` is set as by ASE."""
        atoms = self.atoms
        state = (
            atoms.calc,
            atoms.positions.tobytes(),
            atoms.cell.array.tobytes(),
            atoms.numbers.tobytes(),
            tuple(sorted(kwargs.items())),
        )
        if state != self._state:
            self._forces = super().get_forces(**kwargs)
            self._state = state
        return self._forces.copy()
