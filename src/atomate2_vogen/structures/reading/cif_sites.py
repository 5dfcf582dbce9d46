"""From the sites of a CIF and symmetry operations to all atoms of the cell.

An atom next to a special position stands on it: where operations move a site by less than
`SAME` Å, it is put where they leave it (0.333 becomes one third), and its images coincide. Where
they move it by less than `CLASH` Å, it is unknown whether the digits are too few or the
operations wrong; `Expansion` then gives the least and the largest number of atoms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from atomate2_vogen.structures.reading.cif_settings import Operations, matrices

SAME = 0.05
"""Distance in Å below which two images of a site are one atom."""

CLASH = 0.5
"""Distance in Å below which two atoms cannot both be there."""

EQUAL = 1e-3
"""Distance in Å below which two readings of a site are one."""

_EXACT = 1e-6


@dataclass(frozen=True)
class Expansion:
    """All atoms that operations make of listed sites.

    Parameters
    ----------
    coords
        Fractional coordinates in [0, 1), shape (n, 3): the images of the first site, then of
        the second, and so on.
    rows
        Which site each is an image of, shape (n,).
    least
        Fewest atoms that each site can stand for, shape (sites,).
    most
        Number of positions in `coords`, shape (sites,).
    """

    coords: np.ndarray
    rows: np.ndarray
    least: np.ndarray
    most: np.ndarray

    @property
    def is_certain(self) -> bool:
        """Whether no image of a site comes unphysically close to it."""
        return bool((self.least == self.most).all())


def expand(sites: np.ndarray, operations: Operations, lattice: np.ndarray) -> Expansion:
    """Apply symmetry operations to sites.

    Parameters
    ----------
    sites
        Fractional coordinates, shape (sites, 3).
    operations
        A whole group.
    lattice
        Cell vectors in Å as rows, shape (3, 3).
    """
    rotations, shifts = matrices(operations)
    coords, least, most = [], [], []
    for site in sites:
        images, fewest = _orbit(site, rotations, shifts, lattice)
        coords.append(images)
        least.append(fewest)
        most.append(len(images))
    return Expansion(
        coords=np.concatenate(coords),
        rows=np.repeat(np.arange(len(sites)), most),
        least=np.array(least),
        most=np.array(most),
    )


def distances(coords: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Distances in Å between atoms, right where they are short; shape (n, n)."""
    return _lengths(coords[:, None] - coords[None, :], lattice)


def same_atoms(
    first: np.ndarray,
    kinds: np.ndarray,
    second: np.ndarray,
    others: np.ndarray,
    lattice: np.ndarray,
) -> bool:
    """Whether two lists of atoms in one cell are the same crystal, in any order.

    Parameters
    ----------
    first, second
        Fractional coordinates, shapes (n, 3) and (m, 3).
    kinds, others
        What stands on each, shapes (n,) and (m,).
    lattice
        Cell vectors in Å as rows.
    """
    if len(first) != len(second):
        return False
    near = _lengths(first[:, None] - second[None, :], lattice) < EQUAL
    near &= kinds[:, None] == others[None, :]
    return bool(near.any(axis=0).all() and near.any(axis=1).all())


def _lengths(differences: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    nearest = (differences - np.rint(differences)) @ lattice
    return np.sqrt(np.einsum("...i,...i->...", nearest, nearest))


def _orbit(
    site: np.ndarray, rotations: np.ndarray, shifts: np.ndarray, lattice: np.ndarray
) -> tuple[np.ndarray, int]:
    """Different images of a site, and the fewest that there can be."""
    moves = rotations @ site + shifts - site
    apart = _lengths(moves, lattice)
    stays = apart < SAME
    if stays.sum() > 1:
        nearest = moves[stays] - np.round(moves[stays])
        site = site + nearest.mean(axis=0)
    images = rotations @ site + shifts
    images = images - np.floor(images)
    images = images[_first_of_each(images, lattice)]
    fewest = max(1, len(rotations) // int((apart < CLASH).sum()))
    is_group = len(images) * int(stays.sum()) == len(rotations)
    return images, min(fewest, len(images)) if is_group else 1


def _first_of_each(images: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Rows of the first of all images that coincide."""
    coincide = distances(images, lattice) < _EXACT
    return np.flatnonzero(coincide.argmax(axis=1) == np.arange(len(images)))
