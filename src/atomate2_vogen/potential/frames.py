"""Crystals with energies, forces and stresses of one energy model: what a potential learns from.

The file form is one compressed npz with the arrays ``format``, ``scheme``, ``numbers`` (N,),
``offsets`` (n + 1,), ``lattices`` (n, 3, 3) in Å, ``coords`` (N, 3) fractional, ``energies`` (n,)
in eV/atom, ``forces`` (N, 3) in eV/Å, ``stresses`` (n, 3, 3) in eV/Å³ and ``sources`` (n,) text;
nothing in it is pickled.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.npz import npz_arrays
from atomate2_vogen.errors import (
    NonFiniteError,
    SchemeMismatchError,
)
from atomate2_vogen.files import write_atomically

FORMAT = 1


def frames_path(system: OxideSystem, scheme: str) -> Path:
    """Path of the shipped frames of a system and scale, whether the file exists or not."""
    name = f"frames-{system.chemsys}-{scheme}.npz"
    return Path(str(files("atomate2_vogen.potential") / "files" / name))


@dataclass(frozen=True, eq=False)
class Frame:
    """One crystal with its energy, forces and stress.

    Parameters
    ----------
    structure
        Crystal, at a minimum of its energy or not.
    energy
        eV/atom.
    forces
        eV/Å, shape (n, 3).
    stress
        eV/Å³, the derivative of the energy by the strain over the volume: positive under
        tension; shape (3, 3).
    source
        How the crystal was made.

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from atomate2_vogen.potential import Frame
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> Frame(crystal, float("nan"), np.zeros((2, 3)), np.zeros((3, 3))).is_finite
    False
    """

    structure: Structure
    energy: float
    forces: np.ndarray
    stress: np.ndarray
    source: str = ""

    @property
    def is_finite(self) -> bool:
        """Whether no number is missing."""
        return bool(
            np.isfinite(self.energy)
            and np.isfinite(self.forces).all()
            and np.isfinite(self.stress).all()
        )


ForceFunction = Callable[[Sequence[Structure], str], list[Frame]]
"""Frames of a few crystals, and their source; crystals without a result are left out."""


@dataclass
class Frames:
    """Frames of one energy scale.

    Parameters
    ----------
    scheme
        Energy scale, e.g. CHGNet-0.3.0.
    frames
        The crystals.

    Raises
    ------
    NonFiniteError
        If a frame has NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from atomate2_vogen.potential import Frame, Frames
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> frame = Frame(crystal, -8.5, np.zeros((2, 3)), np.zeros((3, 3)), "by hand")
    >>> Frames("CHGNet-0.3.0", [frame]).save("frames.npz")
    >>> len(Frames.load("frames.npz"))
    1
    """

    scheme: str
    frames: list[Frame] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse what no network can learn."""
        for number, frame in enumerate(self.frames):
            if not frame.is_finite:
                formula = frame.structure.composition.reduced_formula
                raise NonFiniteError(
                    f"frame {number} ({formula}, {frame.source}) has NaN or infinity; leave it out"
                )

    def __len__(self) -> int:
        return len(self.frames)

    def joined(self, others: Frames) -> Frames:
        """These frames and others.

        Raises
        ------
        SchemeMismatchError
            If the others are of another scheme.
        """
        if others.scheme != self.scheme:
            raise SchemeMismatchError(
                f"frames of {others.scheme} cannot join those of {self.scheme}: their energies "
                "have no common zero"
            )
        return Frames(self.scheme, [*self.frames, *others.frames])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the compressed npz file, whole or not at all."""
        write_atomically(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Content of the file that `save` writes."""
        structures = [frame.structure for frame in self.frames]
        sizes = [len(structure) for structure in structures]
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            format=np.array(FORMAT),
            scheme=np.array(self.scheme),
            offsets=np.cumsum([0, *sizes]),
            numbers=_rows([s.atomic_numbers for s in structures], (0,), "<i2"),
            lattices=np.array([s.lattice.matrix for s in structures], dtype="<f4"),
            coords=_rows([s.frac_coords for s in structures], (0, 3), "<f4"),
            energies=np.array([frame.energy for frame in self.frames], dtype="<f4"),
            forces=_rows([frame.forces for frame in self.frames], (0, 3), "<f4"),
            stresses=np.array([frame.stress for frame in self.frames], dtype="<f4"),
            sources=np.array([frame.source for frame in self.frames], dtype=str),
        )
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the file that `save` wrote.

        Raises
        ------
        ArtefactError
            If the file is missing, damaged or of another format.
        """
        with npz_arrays(
            path, FORMAT, f"{Path(path).name} is no file of frames", "make it again"
        ) as arrays:
            offsets = arrays["offsets"].tolist()
            _check_sizes(arrays, offsets)
            frames = []
            for number, (start, end) in enumerate(itertools.pairwise(offsets)):
                rows = slice(start, end)
                frames.append(
                    Frame(
                        Structure(
                            arrays["lattices"][number].astype(float),
                            arrays["numbers"][rows].tolist(),
                            arrays["coords"][rows].astype(float),
                        ),
                        float(arrays["energies"][number]),
                        arrays["forces"][rows].astype(float),
                        arrays["stresses"][number].astype(float),
                        str(arrays["sources"][number]),
                    )
                )
            return cls(str(arrays["scheme"]), frames)


def _rows(arrays: Sequence[Any], empty: tuple[int, ...], dtype: str) -> np.ndarray:
    """Arrays one below the other, also where there are none."""
    return np.concatenate([np.zeros(empty), *arrays]).astype(dtype)


def _check_sizes(arrays: dict[str, np.ndarray], offsets: Sequence[int]) -> None:
    """Raise ValueError if arrays do not belong together."""
    n, n_atoms = len(offsets) - 1, offsets[-1]
    of_frames = (("lattices", (3, 3)), ("energies", ()), ("stresses", (3, 3)), ("sources", ()))
    of_atoms = (("numbers", ()), ("coords", (3,)), ("forces", (3,)))
    for size, expected in ((n, of_frames), (n_atoms, of_atoms)):
        for name, shape in expected:
            if arrays[name].shape != (size, *shape) and size:
                raise ValueError(f"{name} has the shape {arrays[name].shape}, not {(size, *shape)}")
    if offsets[0] != 0 or any(first >= then for first, then in itertools.pairwise(offsets)):
        raise ValueError("offsets do not rise from 0")
