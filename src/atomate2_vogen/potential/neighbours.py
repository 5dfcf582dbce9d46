"""Neighbour lists of many crystals at once, as arrays that a network reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import spglib
from pymatgen.core import Structure
from pymatgen.optimization.neighbors import find_points_in_spheres

_ITSELF = 1e-6  # Å below which a neighbour is the atom itself


@dataclass(frozen=True, eq=False)
class CellSymmetry:
    """Operations of a crystal, as they act on displacements.

    Parameters
    ----------
    rotations
        Of Cartesian vectors (columns), shape (m, 3, 3).
    permutations
        Number of the atom that each atom is moved onto, shape (m, n).
    """

    rotations: np.ndarray
    permutations: np.ndarray

    @classmethod
    def of(cls, structure: Structure, precision: float = 1e-3) -> CellSymmetry | None:
        """Operations that spglib finds; None where it finds none, or only the identity.

        Parameters
        ----------
        structure
            Crystal.
        precision
            Å within which they hold.
        """
        lattice, coords = structure.lattice.matrix, structure.frac_coords
        numbers = np.array(structure.atomic_numbers)
        try:
            found = spglib.get_symmetry(
                (lattice.tolist(), coords.tolist(), numbers.tolist()), symprec=precision
            )
        except Exception as error:
            # its own class of errors since 2.7
            if type(error).__module__.partition(".")[0] == "spglib":
                return None
            raise
        if found is None or len(found["rotations"]) < 2:
            return None
        moved = np.einsum("mij,nj->mni", found["rotations"], coords)
        moved += found["translations"][:, None, :]
        apart = moved[:, :, None, :] - coords[None, None, :, :]
        apart -= np.round(apart)
        distances = np.linalg.norm(apart @ lattice, axis=-1)
        distances[:, numbers[:, None] != numbers[None, :]] = np.inf
        to_cartesian, back = lattice.T, np.linalg.inv(lattice.T)
        return cls(to_cartesian @ found["rotations"] @ back, distances.argmin(axis=-1))

    def averaged(self, moves: np.ndarray) -> np.ndarray:
        """The part of displacements (n, 3) and of a deformation (last 3 rows) that is symmetric."""
        atoms, deformation = moves[:-3], moves[-3:]
        turned = np.einsum("mij,nj->mni", self.rotations, atoms)
        symmetric = np.zeros_like(atoms)
        for one, permutation in zip(turned, self.permutations, strict=True):
            symmetric[permutation] += one
        turned = self.rotations @ deformation @ np.swapaxes(self.rotations, 1, 2)
        return np.concatenate([symmetric / len(self.rotations), turned.mean(axis=0)])


@dataclass(frozen=True, eq=False)
class Cell:
    """One crystal as arrays.

    Parameters
    ----------
    lattice
        Cell vectors as rows in Å, shape (3, 3).
    positions
        Cartesian positions in Å, shape (n, 3); they may lie outside the cell.
    is_metal
        Whether an atom is of the metal, shape (n,).
    symmetry
        Operations that a relaxation keeps; None keeps none.
    """

    lattice: np.ndarray
    positions: np.ndarray
    is_metal: np.ndarray
    symmetry: CellSymmetry | None = None

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def volume(self) -> float:
        """Å³."""
        return float(abs(np.linalg.det(self.lattice)))


@dataclass(frozen=True, eq=False)
class NeighbourList:
    """Neighbours of each atom of one crystal.

    Parameters
    ----------
    index
        Number of the neighbouring atom, shape (n, k), where k is the largest number of
        neighbours; 0 where an atom has fewer.
    image
        Cell that the neighbour is in, as multiples of the cell vectors, shape (n, k, 3).
    present
        1 for a neighbour, 0 where an atom has fewer than k, shape (n, k).
    """

    index: np.ndarray
    image: np.ndarray
    present: np.ndarray

    @classmethod
    def of(cls, cell: Cell, cutoff: float) -> NeighbourList:
        """All neighbours within a distance.

        Parameters
        ----------
        cell
            The crystal.
        cutoff
            Largest distance in Å.
        """
        n = len(cell)
        centre, other, image, distance = find_points_in_spheres(
            cell.positions,
            cell.positions,
            float(cutoff),
            np.ones(3, dtype=np.int64),
            np.ascontiguousarray(cell.lattice),
            1e-8,
        )
        apart = distance > _ITSELF
        centre, other, image = centre[apart], other[apart], image[apart]
        order = np.argsort(centre, kind="stable")
        centre, other, image = centre[order], other[order], image[order]
        counts = np.bincount(centre, minlength=n)
        k = max(1, int(counts.max(initial=0)))
        place = np.arange(len(centre)) - np.repeat(np.cumsum(counts) - counts, counts)
        index = np.zeros((n, k), dtype=np.int32)
        images = np.zeros((n, k, 3), dtype=np.float32)
        present = np.zeros((n, k), dtype=np.float32)
        index[centre, place], images[centre, place], present[centre, place] = other, image, 1.0
        return cls(index, images, present)


@dataclass(frozen=True, eq=False)
class Batch:
    """Several crystals as the arrays that `PotentialNetwork` takes, atoms one after the other.

    With b crystals of N atoms in all, of which none has more than k neighbours: `lattices`
    (b, 3, 3), `positions` (N, 3), `is_metal` (N,), `crystal` (N,) the number of the crystal that
    an atom is in, `index` (N, k), `image` (N, k, 3) and `present` (N, k) as in `NeighbourList`,
    `n_atoms` (b,).
    """

    lattices: np.ndarray
    positions: np.ndarray
    is_metal: np.ndarray
    crystal: np.ndarray
    index: np.ndarray
    image: np.ndarray
    present: np.ndarray
    n_atoms: np.ndarray

    @classmethod
    def of(cls, cells: Sequence[Cell], lists: Sequence[NeighbourList]) -> Batch:
        """Join crystals and their neighbour lists."""
        sizes = np.array([len(cell) for cell in cells])
        n, k = int(sizes.sum()), max(one.index.shape[1] for one in lists)
        index = np.zeros((n, k), dtype=np.int32)
        image = np.zeros((n, k, 3), dtype=np.float32)
        present = np.zeros((n, k), dtype=np.float32)
        starts = np.cumsum(sizes) - sizes
        for start, size, one in zip(starts.tolist(), sizes.tolist(), lists, strict=True):
            rows, width = slice(start, start + size), one.index.shape[1]
            # the place of what is not there must exist too
            index[rows] = start
            index[rows, :width] += one.index
            image[rows, :width], present[rows, :width] = one.image, one.present
        return cls(
            lattices=np.array([cell.lattice for cell in cells], dtype=np.float32),
            positions=np.concatenate([cell.positions for cell in cells]).astype(np.float32),
            is_metal=np.concatenate([cell.is_metal for cell in cells]).astype(np.float32),
            crystal=np.repeat(np.arange(len(cells), dtype=np.int32), sizes),
            index=index,
            image=image,
            present=present,
            n_atoms=sizes.astype(np.float32),
        )

    def arrays(self) -> list[np.ndarray]:
        """In the order in which the network takes them."""
        return [
            self.lattices,
            self.positions,
            self.is_metal,
            self.crystal,
            self.index,
            self.image,
            self.present,
            self.n_atoms,
        ]
