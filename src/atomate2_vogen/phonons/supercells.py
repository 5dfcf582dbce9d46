"""Supercells of phonon calculations: what is asked for, and a limit to their size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atomate2_vogen.errors import SupercellError

Supercell = tuple[int, int, int]

CONVERGENCE_SERIES: tuple[Supercell, ...] = ((3, 3, 3), (4, 4, 4), (5, 5, 4))
"""The paper's series (supplementary figures S1 and S2)."""

MAX_SUPERCELL_ATOMS = 1000
"""Atoms of a supercell above which nothing is calculated, unless the limit is raised."""


def supercell_name(supercell: Sequence[int] | None, min_length: float | None = None) -> str:
    """``5x5x4``, or ``9.0 Å`` of one that is found by its shortest edge."""
    if supercell is not None:
        return "x".join(str(n) for n in supercell)
    return "engine's choice" if min_length is None else f"{min_length:g} Å"


def check_supercell(supercell: Sequence[int]) -> Supercell:
    """Three whole numbers of cells.

    Raises
    ------
    SupercellError
        If it is something else.
    """
    numbers = tuple(supercell)
    if len(numbers) != 3 or any(
        isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in numbers
    ):
        raise SupercellError(
            f"supercell {numbers} is none: give three whole numbers of cells, such as (5, 5, 4)"
        )
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def check_supercell_size(
    matrix: Sequence[Sequence[float]] | np.ndarray, n_atoms: int, limit: int
) -> int:
    """Atoms of a supercell.

    Parameters
    ----------
    matrix
        Supercell vectors in cell vectors, shape (3, 3).
    n_atoms
        Of the cell.
    limit
        Largest number allowed.

    Raises
    ------
    SupercellError
        If the supercell has more, or no volume.
    """
    cells = round(abs(float(np.linalg.det(np.asarray(matrix, float)))))
    if cells < 1:
        raise SupercellError(f"the supercell matrix {np.asarray(matrix).tolist()} has no volume")
    total = cells * n_atoms
    if total > limit:
        raise SupercellError(
            f"a supercell of {cells} cells has {total} atoms, the limit is {limit}: take a smaller "
            "one, or raise max_atoms"
        )
    return total
