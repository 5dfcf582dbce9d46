"""Crystals before and after relaxation by one energy model: labels by the relaxed crystal.

The energy of a substituted copy says how well its prototype was scaled; the energy it relaxes
to says what the arrangement is worth. Both ends of every relaxation are kept, so that networks
can be trained on either and novelty can be decided with either.

The file form is one compressed npz with the arrays ``format``, ``scheme``, ``keys`` (uint64,
hash of the start, see `crystal_key`), ``numbers`` (N,), ``offsets`` (n + 1,),
``start_lattices`` and ``lattices`` (n, 3, 3) in Å, ``start_coords`` and ``coords`` (N, 3)
fractional, ``start_energies`` and ``energies`` (n,) in eV/atom, ``steps`` (n,), ``converged``
(n,) and ``sources`` (n,) text; nothing in it is pickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.labels import JUDGE_SCHEME
from atomate2_vogen.data.npz import npz_arrays
from atomate2_vogen.errors import ArtefactError, InputError, VogenError, reason
from atomate2_vogen.files import write_atomically
from atomate2_vogen.structures.geometry import check_structure

FORMAT = 1
RELAXED_DECIMALS = 5  # of lattices in Å and of fractional coordinates


@dataclass(frozen=True)
class Relaxation:
    """Relaxation of one crystal by an energy model.

    Parameters
    ----------
    structure
        Relaxed, with the sites in the order of the start.
    start_energy, energy
        eV/atom before and after.
    steps
        Ionic steps.
    converged
        Whether the forces met the criterion of convergence.

    Examples
    --------
    >>> from atomate2_vogen.data import Relaxation
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> relaxation = Relaxation(crystal, start_energy=-8.0, energy=-8.1, steps=12, converged=True)
    >>> relaxation.steps
    12
    """

    structure: Structure
    start_energy: float
    energy: float
    steps: int
    converged: bool


Relaxer = Callable[[Structure], Relaxation]
"""Relaxes one structure; may raise if it cannot."""


def crystal_key(structure: Structure) -> int:
    """Hash of species, lattice (1e-4 Å) and coordinates (1e-4), without any reduction."""
    digest = hashlib.sha256()
    digest.update(np.array(structure.atomic_numbers, dtype="<i2").tobytes())
    for values in (structure.lattice.matrix, structure.frac_coords % 1.0):
        digest.update((np.rint(np.asarray(values) * 1e4) + 0.0).astype("<i8").tobytes())
    return int.from_bytes(digest.digest()[:8], "little")


@dataclass(frozen=True)
class Record:
    """One line of the log of relaxations: both ends, or why there is no second one."""

    key: int
    source: str
    numbers: list[int]
    start_lattice: list[list[float]]
    start_coords: list[list[float]]
    lattice: list[list[float]] | None = None
    coords: list[list[float]] | None = None
    start_energy: float | None = None
    energy: float | None = None
    steps: int = 0
    converged: bool = False
    reason: str = ""


def relax_crystals(
    structures: Iterable[Structure],
    relaxer: Relaxer,
    log: str | os.PathLike[str],
    *,
    system: OxideSystem,
    source: str,
    skip: Iterable[int] = (),
    progress: Callable[[int], None] | None = None,
) -> int:
    """Relax crystals one by one and append each to a log as soon as it is done.

    A run that was killed goes on where it was: what the log holds is not relaxed again, and a
    line that was cut is dropped. A crystal that fails is logged with the reason.

    Parameters
    ----------
    structures
        Starts; equal ones are relaxed once.
    relaxer
        Function that relaxes one structure with the energy model.
    log
        JSON lines; made if it is not there.
    system
        Starts that are not crystals of this system, or whose atoms overlap, are not relaxed.
    source
        Where the starts come from, e.g. ``substitution``.
    skip
        Keys of starts that are known already.
    progress
        Called with the number of crystals done so far.

    Returns
    -------
    int
        Crystals relaxed by this call.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.data import Relaxation, relax_crystals
    >>> from pymatgen.core import Lattice, Structure
    >>> def relaxer(structure):
    ...     # Stand-in for a relaxation
    ...     return Relaxation(structure, start_energy=-8.0, energy=-8.1, steps=1, converged=True)
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> relax_crystals([crystal] * 2, relaxer, "log.jsonl", system=VANADIUM, source="by hand")
    1
    """
    path = Path(log)
    done = {record.key for record in read_log(path)} | set(skip)
    relaxed = 0
    with path.open("a", encoding="utf-8") as lines:
        for index, structure in enumerate(structures):
            key = crystal_key(structure)
            if key not in done:
                done.add(key)
                record = _relax(key, source, structure, relaxer, system)
                lines.write(json.dumps(asdict(record)) + "\n")
                lines.flush()
                relaxed += 1
            if progress:
                progress(index + 1)
    return relaxed


def _relax(
    key: int, source: str, structure: Structure, relaxer: Relaxer, system: OxideSystem
) -> Record:
    start = {
        "key": key,
        "source": source,
        "numbers": list(structure.atomic_numbers),
        "start_lattice": np.round(structure.lattice.matrix, RELAXED_DECIMALS).tolist(),
        "start_coords": np.round(structure.frac_coords % 1.0, RELAXED_DECIMALS).tolist(),
    }
    try:
        check_structure(structure, system)
        result = relaxer(structure)
        check_structure(result.structure, system)
    except VogenError as error:
        return Record(**start, reason=reason(error))
    except Exception as error:  # noqa: BLE001 - any error of an energy model costs one crystal only
        return Record(**start, reason=f"{type(error).__name__}: {reason(error)}")
    if not np.isfinite([result.start_energy, result.energy]).all():
        return Record(**start, reason=f"the energy model gives {result.energy} eV/atom")
    return Record(
        **start,
        lattice=np.round(result.structure.lattice.matrix, RELAXED_DECIMALS).tolist(),
        coords=np.round(result.structure.frac_coords % 1.0, RELAXED_DECIMALS).tolist(),
        start_energy=round(result.start_energy, 6),
        energy=round(result.energy, 6),
        steps=result.steps,
        converged=result.converged,
    )


def read_log(log: str | os.PathLike[str]) -> list[Record]:
    """Records of a log; one that does not exist is empty, and a last line cut short is cut off.

    Raises
    ------
    ArtefactError
        If another line than the last cannot be read.
    """
    path = Path(log)
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as handle:
            handle.truncate(len(whole))
    records = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            records.append(Record(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise ArtefactError(f"{path}, line {number}, is no relaxation: {error}") from error
    return records


@dataclass(frozen=True, eq=False)
class RelaxedSet:
    """Both ends of n relaxations, N sites in all; fields as in the file (module docstring).

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.data import Relaxation, RelaxedSet, relax_crystals
    >>> from atomate2_vogen.data.relaxed import read_log
    >>> from pymatgen.core import Lattice, Structure
    >>> def relaxer(structure):
    ...     # Stand-in for a relaxation
    ...     return Relaxation(structure, start_energy=-8.0, energy=-8.1, steps=1, converged=True)
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> _ = relax_crystals([crystal], relaxer, "log.jsonl", system=VANADIUM, source="by hand")
    >>> relaxed = RelaxedSet.from_records(read_log("log.jsonl"), scheme="by hand")
    >>> relaxed.structure(0).reduced_formula, relaxed.energies.tolist()
    ('VO', [-8.1])
    """

    scheme: str
    keys: np.ndarray
    numbers: np.ndarray
    offsets: np.ndarray
    start_lattices: np.ndarray
    lattices: np.ndarray
    start_coords: np.ndarray
    coords: np.ndarray
    start_energies: np.ndarray
    energies: np.ndarray
    steps: np.ndarray
    converged: np.ndarray
    sources: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def from_records(cls, records: Sequence[Record], scheme: str = JUDGE_SCHEME) -> Self:
        """Keep what was relaxed, ordered by key.

        Raises
        ------
        InputError
            If nothing was.
        """
        unique = {record.key: record for record in records if record.energy is not None}
        kept = [unique[key] for key in sorted(unique)]
        if not kept:
            raise InputError("no crystal was relaxed; the log holds failures only")
        sites = [len(record.numbers) for record in kept]
        return cls(
            scheme=scheme,
            keys=np.array([record.key for record in kept], dtype="<u8"),
            numbers=np.concatenate([record.numbers for record in kept]).astype("i1"),
            offsets=np.concatenate([[0], np.cumsum(sites)]).astype("<i8"),
            start_lattices=np.array([r.start_lattice for r in kept], dtype="<f4"),
            lattices=np.array([r.lattice for r in kept], dtype="<f4"),
            start_coords=np.concatenate([r.start_coords for r in kept]).astype("<f4"),
            coords=np.concatenate([np.array(r.coords) for r in kept]).astype("<f4"),
            start_energies=np.array([r.start_energy for r in kept], dtype="<f8"),
            energies=np.array([r.energy for r in kept], dtype="<f8"),
            steps=np.array([r.steps for r in kept], dtype="<i2"),
            converged=np.array([r.converged for r in kept], dtype=bool),
            sources=np.array([r.source for r in kept], dtype=str),
        )

    def records(self) -> list[Record]:
        """The lines that `from_records` makes this set of."""
        rows = []
        for index, key in enumerate(self.keys.tolist()):
            sites = slice(self.offsets[index], self.offsets[index + 1])
            rows.append(
                Record(
                    key=key,
                    source=str(self.sources[index]),
                    numbers=self.numbers[sites].tolist(),
                    start_lattice=self.start_lattices[index].tolist(),
                    start_coords=self.start_coords[sites].tolist(),
                    lattice=self.lattices[index].tolist(),
                    coords=self.coords[sites].tolist(),
                    start_energy=float(self.start_energies[index]),
                    energy=float(self.energies[index]),
                    steps=int(self.steps[index]),
                    converged=bool(self.converged[index]),
                )
            )
        return rows

    def structure(self, index: int, *, start: bool = False) -> Structure:
        """Crystal number `index` after relaxation, or before."""
        sites = slice(self.offsets[index], self.offsets[index + 1])
        lattices, coords = (
            (self.start_lattices, self.start_coords) if start else (self.lattices, self.coords)
        )
        return Structure(
            Lattice(lattices[index].astype(float)),
            self.numbers[sites].tolist(),
            coords[sites].astype(float),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the compressed npz file, whole or not at all."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez_compressed(buffer, format=np.array(FORMAT), **arrays)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the file that `save` wrote.

        Raises
        ------
        ArtefactError
            If the file is missing, damaged or of another format.
        """
        with npz_arrays(
            path, FORMAT, f"relaxation file {path} cannot be read", "restore it from the package"
        ) as arrays:
            named = {f.name: arrays[f.name] for f in fields(cls) if f.name != "scheme"}
            relaxed = cls(scheme=str(arrays["scheme"]), **named)
            relaxed._check()
        return relaxed

    def _check(self) -> None:
        """Arrays of one length, offsets that fit."""
        n, sites = len(self.keys), len(self.numbers)
        for name in (
            "start_lattices",
            "lattices",
            "start_energies",
            "energies",
            "steps",
            "converged",
            "sources",
        ):
            if len(getattr(self, name)) != n:
                raise ValueError(f"{name} has {len(getattr(self, name))} rows, not {n}")
        for name in ("start_coords", "coords"):
            if getattr(self, name).shape != (sites, 3):
                raise ValueError(f"{name} has the shape {getattr(self, name).shape}")
        if len(self.offsets) != n + 1 or self.offsets[0] != 0 or self.offsets[-1] != sites:
            raise ValueError("offsets do not fit the sites")
        if (np.diff(self.offsets) < 1).any():
            raise ValueError("a crystal has no sites")


def relaxed_path(system: OxideSystem, scheme: str = JUDGE_SCHEME) -> Path:
    """File of the package with the relaxed crystals of a system and scheme."""
    name = f"relaxed-{system.chemsys}-{scheme}.npz"
    return Path(str(files("atomate2_vogen.data") / "files" / name))
