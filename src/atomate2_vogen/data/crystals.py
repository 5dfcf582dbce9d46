"""Many small crystals of one system as plain arrays, and how they are made by substitution."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.npz import npz_arrays
from atomate2_vogen.data.prototypes import load_prototypes
from atomate2_vogen.data.splits import SPLITS, assign_splits
from atomate2_vogen.errors import ArtefactError, InputError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.structured import parse_json

FORMAT = 1
COORDINATE_DECIMALS = (
    6  # of lattices and coordinates: far below any tolerance, the same on any machine
)


@lru_cache(maxsize=4096)
def _reduced(system: OxideSystem, n_metal: int, n_anion: int) -> str:
    """Reduced formula of a cell; a cell of one element alone is allowed."""
    return Composition({system.metal: n_metal, system.anion: n_anion}).reduced_formula


def _integers(values: np.ndarray) -> bytes:
    """Bytes of the values in units of the last decimal kept; not-a-number becomes the minimum."""
    scaled = np.rint(np.nan_to_num(values, nan=-(2.0**40)) * 10**COORDINATE_DECIMALS)
    return scaled.astype("<i8").tobytes()


@dataclass(eq=False)
class CrystalSet:
    """A struct of arrays: n crystals with N sites in all.

    Cells are right-handed Niggli cells with a along x and b in the xy plane. The file form is
    one compressed npz that holds these arrays under these names, ``format`` and ``system``
    (JSON); nothing in it is pickled.

    Parameters
    ----------
    system
        The oxide system of the crystals.
    lattices
        Rows are cell vectors in Å, shape (n, 3, 3), float64.
    numbers
        Atomic numbers of all sites, shape (N,), int8.
    frac_coords
        Fractional coordinates of all sites in [0, 1), shape (N, 3), float64.
    offsets
        Sites of crystal i are ``offsets[i]:offsets[i + 1]``, shape (n + 1,), int64.
    prototype_ids
        The prototype each crystal was made from, shape (n,), int32.
    swapped
        Whether the metal took the place of the more electronegative element, shape (n,), bool.
    groups
        Prototype group, shape (n,), int32.
    splits
        One of ``train``, ``validation``, ``test``, ``parents``, shape (n,), ``<U10``.
    is_distinct
        Whether it is the first of its class of equal crystals, shape (n,), bool.
    energies
        Energy labels in eV/atom, not-a-number where there is none, shape (n,), float64.

    Examples
    --------
    >>> from atomate2_vogen.data import substitute
    >>> crystals = substitute(max_edge=5.0)
    >>> small = crystals.select(crystals.n_atoms <= 6)
    >>> len(small) < len(crystals), int(small.n_atoms.max())
    (True, 6)
    """

    system: OxideSystem
    lattices: np.ndarray
    numbers: np.ndarray
    frac_coords: np.ndarray
    offsets: np.ndarray
    prototype_ids: np.ndarray
    swapped: np.ndarray
    groups: np.ndarray
    splits: np.ndarray
    is_distinct: np.ndarray
    energies: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms per cell, shape (n,)."""
        return np.diff(self.offsets)

    @property
    def counts(self) -> np.ndarray:
        """Atoms of metal and of anion per cell, shape (n, 2)."""
        columns = [
            np.concatenate([[0], np.cumsum(self.numbers == z)]) for z in self.system.atomic_numbers
        ]
        return np.stack([np.diff(column[self.offsets]) for column in columns], axis=1)

    def structure(self, index: int) -> Structure:
        """Crystal number `index` as a pymatgen structure."""
        sites = slice(self.offsets[index], self.offsets[index + 1])
        symbols = dict(zip(self.system.atomic_numbers, self.system.elements, strict=True))
        return Structure(
            Lattice(self.lattices[index]),
            [symbols[z] for z in self.numbers[sites].tolist()],
            self.frac_coords[sites],
        )

    def structures(self, mask: np.ndarray | None = None) -> list[Structure]:
        """All crystals, or those of a boolean mask or an index array, as structures."""
        return [self.structure(int(i)) for i in self._indices(mask)]

    def formula(self, index: int) -> str:
        """Reduced formula of crystal number `index`."""
        sites = self.numbers[self.offsets[index] : self.offsets[index + 1]]
        n_metal = int((sites == self.system.atomic_numbers[0]).sum())
        return _reduced(self.system, n_metal, len(sites) - n_metal)

    def formulas(self) -> np.ndarray:
        """Reduced formulas, shape (n,)."""
        return np.array([_reduced(self.system, m, a) for m, a in self.counts.tolist()], dtype=str)

    def _indices(self, mask: np.ndarray | None) -> np.ndarray:
        if mask is None:
            return np.arange(len(self))
        mask = np.asarray(mask)
        if mask.dtype == bool:
            if mask.shape != (len(self),):
                raise InputError(f"mask of shape {mask.shape} for {len(self)} crystals")
            return np.flatnonzero(mask)
        return mask.astype(np.int64)

    def select(self, mask: np.ndarray) -> CrystalSet:
        """The crystals of a boolean mask or of an index array, in that order."""
        chosen = self._indices(mask)
        sizes = self.n_atoms[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        starts = np.repeat(self.offsets[chosen] - offsets[:-1], sizes)
        sites = starts + np.arange(offsets[-1])
        return CrystalSet(
            system=self.system,
            lattices=self.lattices[chosen],
            numbers=self.numbers[sites],
            frac_coords=self.frac_coords[sites],
            offsets=offsets,
            prototype_ids=self.prototype_ids[chosen],
            swapped=self.swapped[chosen],
            groups=self.groups[chosen],
            splits=self.splits[chosen],
            is_distinct=self.is_distinct[chosen],
            energies=self.energies[chosen],
        )

    def keys(self) -> np.ndarray:
        """Hash of each crystal's cell, species and coordinates, shape (n,), uint64."""
        keys = np.empty(len(self), dtype="<u8")
        for i in range(len(self)):
            sites = slice(self.offsets[i], self.offsets[i + 1])
            digest = hashlib.blake2b(digest_size=8)
            digest.update(_integers(self.lattices[i]))
            digest.update(self.numbers[sites].astype("<i4").tobytes())
            digest.update(_integers(self.frac_coords[sites]))
            keys[i] = int.from_bytes(digest.digest(), "little")
        return keys

    @property
    def dataset_id(self) -> str:
        """Hash of the whole content: crystals, groups, splits and labels."""
        digest = hashlib.sha256()
        digest.update(self.system.chemsys.encode())
        for values in (self.lattices, self.frac_coords, self.energies):
            digest.update(_integers(values))
        for values in (self.numbers, self.offsets, self.prototype_ids, self.groups):
            digest.update(values.astype("<i8").tobytes())
        for values in (self.swapped, self.is_distinct):
            digest.update(values.astype("u1").tobytes())
        digest.update("|".join(self.splits.tolist()).encode())
        return digest.hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """The compressed npz file; equal sets give equal bytes."""
        buffer = io.BytesIO()
        arrays = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != "system"
        }
        system = json.dumps(self.system.as_dict(), sort_keys=True)
        np.savez_compressed(buffer, format=np.array(FORMAT), system=np.array(system), **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "data set") -> Self:
        """Read the compressed npz file; `name` stands in error messages.

        Raises
        ------
        ArtefactError
            If the file is damaged, holds pickled objects, is of another format, or its
            arrays do not fit together.
        """
        what = f"{name} cannot be read as a data set"
        with npz_arrays(io.BytesIO(data), FORMAT, what, "make or fetch it again") as arrays:
            del arrays["format"]
            system = OxideSystem.from_fields(
                parse_json(str(arrays.pop("system")), "system", ArtefactError)
            )
            crystals = cls(system=system, **arrays)
        crystals._check(name)
        return crystals

    def _check(self, name: str) -> None:
        """Refuse arrays that do not fit together."""
        n, n_sites = self.offsets.size - 1, self.numbers.size
        shapes = {
            "lattices": ((n, 3, 3), "f"),
            "numbers": ((n_sites,), "i"),
            "frac_coords": ((n_sites, 3), "f"),
            "offsets": ((n + 1,), "i"),
            "prototype_ids": ((n,), "i"),
            "swapped": ((n,), "b"),
            "groups": ((n,), "i"),
            "splits": ((n,), "U"),
            "is_distinct": ((n,), "b"),
            "energies": ((n,), "f"),
        }
        for key, (shape, kind) in shapes.items():
            array = getattr(self, key)
            if array.shape != shape or array.dtype.kind != kind:
                raise ArtefactError(
                    f"{name}: {key} is {array.dtype} of shape {array.shape}, not {kind} of {shape}"
                )
        if self.offsets[0] != 0 or self.offsets[-1] != n_sites or (self.n_atoms < 1).any():
            raise ArtefactError(f"{name}: offsets do not count its {n_sites} sites")
        if not (np.isfinite(self.lattices).all() and np.isfinite(self.frac_coords).all()):
            raise ArtefactError(f"{name} holds a lattice or coordinate that is not finite")
        if not np.isin(self.numbers, self.system.atomic_numbers).all():
            raise ArtefactError(f"{name} holds elements outside {self.system.chemsys}")
        if not np.isin(self.splits, SPLITS).all():
            raise ArtefactError(f"{name} holds a split other than {', '.join(SPLITS)}")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the compressed npz file, whole or not at all."""
        target = Path(path)
        write_atomically(target, self.to_bytes())
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the file that `save` wrote.

        Raises
        ------
        ArtefactError
            As `from_bytes`, or if the file is missing.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ArtefactError(f"data set {path} cannot be read: {error.strerror}") from error
        return cls.from_bytes(data, name=str(path))


def substitute(system: OxideSystem = VANADIUM, max_edge: float = 10.0) -> CrystalSet:
    """Put the system's two elements into every prototype, in both orders.

    Each cell is scaled to the volume ``n_metal v_metal + n_anion v_anion`` with the system's
    atomic volumes and kept if no edge of its Niggli cell exceeds `max_edge` (paper, section
    2.1). The result is the same on every call.

    Parameters
    ----------
    system
        The two elements and their volumes per atom.
    max_edge
        Longest edge of the Niggli cell in Å.

    Returns
    -------
    CrystalSet
        Without energies, in the order of the prototypes, the natural order of the elements
        before the exchanged one.

    Raises
    ------
    InputError
        If `max_edge` is not positive or leaves nothing.

    Examples
    --------
    >>> from atomate2_vogen.data import substitute
    >>> crystals = substitute(max_edge=5.0)
    >>> crystals.formula(0), len(crystals.structure(0))
    ('VO2', 3)
    """
    if not (math.isfinite(max_edge) and max_edge > 0):
        raise InputError(f"max_edge is {max_edge}; give a positive length in Å")
    prototypes = load_prototypes()
    n = len(prototypes)
    cells = np.array([p.lattice for p in prototypes])
    sizes = np.array([len(p.numbers) for p in prototypes])
    n_first = np.array([(p.numbers == p.numbers[0]).sum() for p in prototypes])
    z_metal, z_anion = system.atomic_numbers
    is_parent = np.array([{*p.numbers.tolist()} == {z_metal, z_anion} for p in prototypes])

    # two crystals per prototype, one after the other
    index = np.repeat(np.arange(n), 2)
    swapped = np.tile([False, True], n)
    n_metal = np.where(swapped, sizes[index] - n_first[index], n_first[index])
    volumes = (
        n_metal * system.atomic_volumes[system.metal]
        + (sizes[index] - n_metal) * system.atomic_volumes[system.anion]
    )
    scales = np.cbrt(volumes / np.linalg.det(cells)[index])
    lattices = np.round(cells[index] * scales[:, None, None], COORDINATE_DECIMALS)
    keep = np.linalg.norm(lattices, axis=2).max(axis=1) <= max_edge
    if not keep.any():
        raise InputError(f"no crystal has all edges within {max_edge} Å; raise max_edge")

    index, swapped, lattices = index[keep], swapped[keep], lattices[keep]
    offsets = np.concatenate([[0], np.cumsum(sizes[index])]).astype(np.int64)
    is_first = np.concatenate([np.arange(sizes[i]) < n_first[i] for i in index])
    is_metal = is_first != np.repeat(swapped, sizes[index])
    groups = np.array([p.group for p in prototypes], dtype=np.int32)[index]
    classes = np.array([p.classes for p in prototypes])[index, swapped.astype(int)]
    is_distinct = np.zeros(len(index), dtype=bool)
    is_distinct[np.unique(classes, return_index=True)[1]] = True
    return CrystalSet(
        system=system,
        lattices=lattices,
        numbers=np.where(is_metal, z_metal, z_anion).astype(np.int8),
        frac_coords=np.concatenate([prototypes[i].frac_coords for i in index]),
        offsets=offsets,
        prototype_ids=np.array([p.prototype_id for p in prototypes], dtype=np.int32)[index],
        swapped=swapped,
        groups=groups,
        splits=assign_splits(groups, is_parent[index]),
        is_distinct=is_distinct,
        energies=np.full(len(index), np.nan),
    )
