"""Codec between a crystal and its two voxel grids.

`VoxelCodec` joins the sites grid (`sites`), the lattice grid (`lattice`) and the canonical form
(`canonical`); the formats are described there, with equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import (
    CountsError,
    DisorderError,
    ElementError,
    GridError,
    NonFiniteError,
)
from atomate2_vogen.voxels.canonical import canonical_arrays
from atomate2_vogen.voxels.lattice import read_lattice, write_lattice
from atomate2_vogen.voxels.sites import (
    check_grid,
    check_separation,
    check_size,
    read_sites,
    write_sites,
)


@dataclass(frozen=True)
class VoxelCodec:
    """Codec between crystals of one oxide system and voxel grids.

    Parameters
    ----------
    system
        Oxide system: its metal is channel 0, its anion channel 1, and `max_atoms` limits the atoms
        per grid.
    n_sites
        Voxels along an edge of the sites grid, at least 16.
    n_lattice
        Voxels along an edge of the lattice grid, at least 16.
    sigma_sites, sigma_lattice
        Widths of the Gaussians in voxels.

    Raises
    ------
    InputError
        If a grid is too coarse for its Gaussians.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> vo = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.1), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... ).get_primitive_structure()
    >>> codec = VoxelCodec()
    >>> sites, lattice = codec.encode(vo)
    >>> sites.shape, lattice.shape
    ((64, 64, 64, 2), (32, 32, 32, 1))
    >>> decoded = codec.decode(sites, lattice)
    >>> decoded.formula, round(decoded.volume, 2)
    ('V1 O1', 17.23)
    """

    system: OxideSystem = VANADIUM
    n_sites: int = 64
    n_lattice: int = 32
    sigma_sites: float = 1.0
    sigma_lattice: float = 1.0

    def __post_init__(self) -> None:
        """Refuse sizes of grids that cannot be decoded."""
        check_size(self.n_sites, self.sigma_sites, "n_sites")
        check_size(self.n_lattice, self.sigma_lattice, "n_lattice")

    @property
    def sites_shape(self) -> tuple[int, int, int, int]:
        """Shape of the sites grid."""
        return (self.n_sites, self.n_sites, self.n_sites, 2)

    @property
    def lattice_shape(self) -> tuple[int, int, int, int]:
        """Shape of the lattice grid."""
        return (self.n_lattice, self.n_lattice, self.n_lattice, 1)

    def encode(self, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        """Grids of a crystal in its canonical form.

        Parameters
        ----------
        structure
            Any crystal of the system.

        Returns
        -------
        sites : np.ndarray
            (N, N, N, 2) float32.
        lattice : np.ndarray
            (M, M, M, 1) float32.

        Raises
        ------
        ElementError
            If an element is not of the system.
        DisorderError
            If a site is partly occupied.
        NonFiniteError
            If lattice or coordinates are not finite.
        OverlapError
            If two atoms of one element are too close to be told apart in the grid.
        GridError
            If the structure holds no atoms or more than the system's `max_atoms`, or its cell
            does not fit the lattice grid.
        """
        lattice, coords, numbers = self.canonical_arrays(*self._arrays(structure))
        return self.encode_sites(coords, numbers), self.encode_lattice(lattice)

    def encode_sites(
        self, frac_coords: np.ndarray, numbers: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """Sites grid of atoms, without a change to canonical form.

        Parameters
        ----------
        frac_coords
            (n, 3) fractional coordinates, wrapped or not.
        numbers
            (n,) atomic numbers.
        out
            Array to write into, shape (N, N, N, 2), float32, for example a slice of a batch.

        Returns
        -------
        np.ndarray
            (N, N, N, 2) float32; `out` if given.

        Raises
        ------
        ElementError, NonFiniteError, OverlapError, GridError
            As `encode`; GridError also if `out` does not fit.
        """
        coords, channels = self._atoms(frac_coords, numbers)
        if len(coords) > self.system.max_atoms:
            raise GridError(
                f"{len(coords)} atoms; at most {self.system.max_atoms} can be read back from a grid"
            )
        check_separation(coords, channels, self.n_sites, self.sigma_sites)
        return write_sites(coords, channels, self.n_sites, self.sigma_sites, out)

    def encode_lattice(self, lattice: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Lattice grid of a reduced, right-handed cell in any orientation.

        Parameters
        ----------
        lattice
            (3, 3) rows a, b, c in Å.
        out
            Array to write into, shape (M, M, M, 1), float32.

        Returns
        -------
        np.ndarray
            (M, M, M, 1) float32; `out` if given.

        Raises
        ------
        GridError
            If the cell does not fit, is not reduced or left-handed, or `out` does not fit.
        NonFiniteError
            If the lattice is not finite.
        """
        return write_lattice(np.asarray(lattice, float), self.n_lattice, self.sigma_lattice, out)

    def decode(
        self, sites: np.ndarray, lattice: np.ndarray, counts: Sequence[int] | None = None
    ) -> Structure:
        """Decode two grids to a crystal.

        Parameters
        ----------
        sites
            (N, N, N, 2) floating point.
        lattice
            (M, M, M, 1) floating point.
        counts
            Numbers of metal and anion atoms: so many of the highest peaks of each channel are
            atoms. None reads the composition from the grid: all peaks of at least half the
            nominal height are atoms.

        Returns
        -------
        Structure
            Crystal in the standard setting, metal first. `decode_sites` gives the peak heights
            too.

        Raises
        ------
        GridError
            If a grid has the wrong shape or type, is empty, holds too few or too many peaks,
            or its vectors are no reduced cell.
        NonFiniteError
            If a grid holds NaN or infinity.
        CountsError
            If `counts` are not two whole numbers with a sum from 1 to the system's `max_atoms`.
        """
        coords, numbers, _ = self.decode_sites(sites, counts)
        return self._structure(self.decode_lattice(lattice), coords, numbers)

    def decode_sites(
        self, sites: np.ndarray, counts: Sequence[int] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Atoms of a sites grid, as `decode`.

        Returns
        -------
        frac_coords : np.ndarray
            (n, 3) in [0, 1).
        numbers : np.ndarray
            (n,) atomic numbers, metal first.
        heights : np.ndarray
            (n,) peak heights, in descending order within each element.

        Raises
        ------
        GridError, NonFiniteError, CountsError
            As `decode`.
        """
        if counts is not None:
            self._check_counts(counts)
        grid = check_grid(sites, self.sites_shape, "sites")
        coords, channels, heights = read_sites(
            grid, self.sigma_sites, self.system.max_atoms, counts
        )
        return coords, np.array(self.system.atomic_numbers)[channels], heights

    def decode_lattice(self, lattice: np.ndarray) -> np.ndarray:
        """Cell of a lattice grid, (3, 3) rows a, b, c in Å in the standard setting.

        Raises
        ------
        GridError, NonFiniteError
            As `decode`.
        """
        grid = check_grid(lattice, self.lattice_shape, "lattice")
        return read_lattice(grid, self.sigma_lattice)

    def canonical(self, structure: Structure) -> Structure:
        """Canonical form of a crystal: Niggli cell, standard setting, canonical origin.

        Raises
        ------
        ElementError, DisorderError, NonFiniteError, GridError
            As `encode`.
        """
        return self._structure(*self.canonical_arrays(*self._arrays(structure)))

    def canonical_arrays(
        self, lattice: np.ndarray, frac_coords: np.ndarray, numbers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`canonical` for arrays: lattice (3, 3) in Å, frac_coords (n, 3), numbers (n,).

        Raises
        ------
        ElementError, NonFiniteError, GridError
            As `encode`.
        """
        coords, channels = self._atoms(frac_coords, numbers)
        lattice, coords, channels = canonical_arrays(np.asarray(lattice, float), coords, channels)
        return lattice, coords, np.array(self.system.atomic_numbers)[channels]

    def _structure(
        self, lattice: np.ndarray, frac_coords: np.ndarray, numbers: np.ndarray
    ) -> Structure:
        symbols = dict(zip(self.system.atomic_numbers, self.system.elements, strict=True))
        return Structure(Lattice(lattice), [symbols[int(z)] for z in numbers], frac_coords)

    def _arrays(self, structure: Structure) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not structure.is_ordered:
            raise DisorderError(
                f"{structure.composition} has partly occupied sites; give an ordered structure"
            )
        numbers = np.array(structure.atomic_numbers, dtype=int)
        return structure.lattice.matrix, structure.frac_coords, numbers

    def _atoms(self, frac_coords: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        coords, numbers = np.asarray(frac_coords, float), np.asarray(numbers)
        if coords.ndim != 2 or coords.shape != (len(numbers), 3) or not len(numbers):
            raise GridError(
                f"coordinates of shape {coords.shape} and numbers of shape {numbers.shape}; "
                "give (n, 3) and (n,) with at least one atom"
            )
        if not np.isfinite(coords).all():
            raise NonFiniteError("the fractional coordinates hold NaN or infinity")
        metal, anion = self.system.atomic_numbers
        channels = np.where(numbers == metal, 0, np.where(numbers == anion, 1, -1))
        if (channels < 0).any():
            strange = sorted({int(z) for z in numbers[channels < 0]})
            raise ElementError(
                f"atomic numbers {strange} do not belong to {self.system.chemsys}; "
                f"only {' and '.join(self.system.elements)} do"
            )
        return coords, channels

    def _check_counts(self, counts: Sequence[int]) -> None:
        whole = all(isinstance(c, Integral) and not isinstance(c, bool) for c in counts)
        if len(counts) != 2 or not whole or min(counts) < 0:
            raise CountsError(f"counts are {counts!r}; give whole numbers of metal and anion atoms")
        if not 1 <= sum(counts) <= self.system.max_atoms:
            raise CountsError(
                f"counts {tuple(counts)} ask for {sum(counts)} atoms; "
                f"1 to {self.system.max_atoms} are possible"
            )
