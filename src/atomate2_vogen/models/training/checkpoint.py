"""Where a training stands, on disk: plain arrays and JSON in one file, replaced in one step.

What a training needs to go on as if nothing had happened: weights, the state of random
generators (Keras keeps them apart from weights, and its own checkpoints of weights lack them),
the optimizer's moments and step, the history, and what early stopping remembers. The file is
an uncompressed npz without pickle; a new one is written beside the old one and then renamed,
so a killed process or a full disk leaves the old one whole. On PyTorch, Keras draws the masks of
dropout from PyTorch's own generator, which is not kept: there a resumed training with dropout is
as good, but not the same to the last digit.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atomate2_vogen.errors import ArtefactError, OutputFolderError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.structured import parse_json

RECORD = "record"
"""Member that holds the JSON."""

FORMAT = 1


@dataclass(frozen=True)
class State:
    """Content of a file.

    Parameters
    ----------
    arrays
        Numeric arrays by name.
    record
        Plain JSON values.
    name
        What error messages call it.
    """

    arrays: dict[str, np.ndarray]
    record: dict[str, Any]
    name: str = "training state"


class Checkpoint:
    """The file of one stage of one training, and what the stage has cost in all its runs.

    Parameters
    ----------
    path
        The file; its folder is made with the first `save`. None keeps nothing.
    identity
        What decides the stage's result, as plain JSON values. A file of another identity is
        refused.
    """

    def __init__(self, path: str | Path | None, identity: Mapping[str, Any] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.identity = json.loads(json.dumps({"format": FORMAT, **(identity or {})}))
        self._begin = time.perf_counter()
        self._earlier = {"seconds": 0.0, "peak_memory": 0.0}

    @property
    def seconds(self) -> float:
        """Wall time since this object was made, and of the runs that the file tells of."""
        return round(self._earlier["seconds"] + time.perf_counter() - self._begin, 3)

    @property
    def peak_memory(self) -> float:
        """Largest resident memory of all runs, GiB."""
        return max(self._earlier["peak_memory"], peak_memory())

    def load(self) -> State | None:
        """What was saved last; None if nothing was.

        Raises
        ------
        ArtefactError
            If the file is damaged.
        OutputFolderError
            If it is of another training, or cannot be read.
        """
        if self.path is None:
            return None
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputFolderError(f"{self.path}: cannot be read ({error.strerror})") from error
        state = unpack_state(
            content, str(self.path), "delete it, and this stage is trained from its start"
        )
        theirs = state.record.pop("identity", None)
        if theirs != self.identity:
            raise OutputFolderError(
                f"{self.path}: holds another training ({_difference(theirs, self.identity)}); "
                "give another folder, or the same arguments to go on"
            )
        self._earlier = state.record.pop("cost")
        return state

    def save(self, state: State) -> None:
        """Replace the file.

        Raises
        ------
        OutputFolderError
            If it cannot be written, for example because the disk is full; the file that was
            there before is still whole.
        """
        if self.path is None:
            return
        cost = {"seconds": self.seconds, "peak_memory": self.peak_memory}
        own = {"identity": self.identity, "cost": cost}
        content = pack_state(State(state.arrays, {**state.record, **own}))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, content, durably=True)
        except OSError as error:
            raise OutputFolderError(
                f"{self.path}: the checkpoint cannot be written ({error.strerror or error}); what "
                "was there before is whole. Make room, then run the same again to go on from it"
            ) from error


def pack_state(state: State) -> bytes:
    """The file's bytes; equal states give equal bytes."""
    text = np.frombuffer(json.dumps(state.record, sort_keys=True).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{RECORD: text, **state.arrays})
    return buffer.getvalue()


def unpack_state(content: bytes, name: str, advice: str = "train again") -> State:
    """Inverse of `pack_state`.

    Parameters
    ----------
    content
        Bytes of the file.
    name, advice
        What error messages call the file, and what they tell to do.

    Raises
    ------
    ArtefactError
        If the bytes are damaged or not of such a file.
    """
    try:
        arrays, record = _read(content)
    # zip, npy and JSON readers have many ways to say so
    except Exception as error:
        raise ArtefactError(f"{name}: damaged or not such a file ({error}); {advice}") from error
    return State(arrays, record, name)


def _read(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and record; anything unexpected raises anything."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise ValueError("a member is compressed")
    if len({info.filename for info in infos}) != len(infos):
        raise ValueError("a member comes twice")
    with np.load(io.BytesIO(content), allow_pickle=False) as members:
        arrays = {key: members[key] for key in members.files}
    record = parse_json(arrays.pop(RECORD).tobytes(), RECORD, ArtefactError)
    if not isinstance(record, dict):
        raise ValueError("its record is no mapping")  # noqa: TRY004 - of the file
    if any(values.dtype.kind not in "fiub" for values in arrays.values()):
        raise ValueError("an array is not numeric")
    return arrays, record


def pack(prefix: str, variables: Iterable[Any]) -> dict[str, np.ndarray]:
    """Values of Keras variables (or arrays) by prefix and position."""
    return {
        f"{prefix}/{number:04d}": keras.ops.convert_to_numpy(
            getattr(variable, "value", variable)
        ).copy()
        for number, variable in enumerate(variables)
    }


def unpack(arrays: Mapping[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    """Arrays of a prefix, in order."""
    return [arrays[key] for key in sorted(arrays) if key.startswith(f"{prefix}/")]


def assign(state: State, prefix: str, variables: Iterable[Any]) -> None:
    """Give Keras variables the values of a prefix.

    Raises
    ------
    ArtefactError
        If number or shapes differ, or a value is not finite; nothing is assigned then.
    """
    variables, values = list(variables), unpack(state.arrays, prefix)
    if [tuple(v.shape) for v in variables] != [v.shape for v in values]:
        raise ArtefactError(f"{state.name}: its arrays {prefix} do not fit; train again")
    if not all(np.isfinite(value).all() for value in values):
        raise ArtefactError(f"{state.name}: its arrays {prefix} hold NaN or infinity; train again")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def peak_memory() -> float:
    """Largest resident memory of this process so far, GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def _difference(theirs: Any, ours: Any, name: str = "") -> str:
    """Where two nested mappings differ, in words."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return "; ".join(
            _difference(theirs.get(key), ours.get(key), f"{name}.{key}" if name else key)
            for key in sorted({*theirs, *ours})
            if theirs.get(key) != ours.get(key)
        )
    return f"{name or 'identity'} is {theirs} there and {ours} here"
