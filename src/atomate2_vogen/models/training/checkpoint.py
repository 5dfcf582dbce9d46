"""Checkpoints: the state of a training on disk, so that a killed training can be resumed exactly.

A checkpoint holds weights, the state of random generators (Keras keeps them apart from weights,
and its own checkpoints of weights lack them), the optimizer's moments and step, the history, and
the state of early stopping. A new file is written beside the old one and then renamed, so that
a killed process or a full disk leaves the old one whole. On PyTorch, Keras draws the masks of
dropout from PyTorch's own generator, which is not saved: there a resumed training with dropout is
as good, but not the same to the last digit.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from atomate2_vogen.errors import OutputFolderError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.models.archive import Archive

FORMAT = 1
"""Version of the content of checkpoints; part of the identity, so that others are refused."""


class Checkpoint:
    """File with the state of one training stage, and the cost of the stage over all its runs.

    Parameters
    ----------
    path
        Path of the file. Its folder is made with the first `save`. None saves nothing.
    identity
        Everything that decides the result of the stage, as plain JSON values. A file with
        another identity is refused.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(f"{folder}/stage.npz", {"seed": 0})
    ...     checkpoint.save({"weights": np.ones(2)}, {"epoch": 1})
    ...     state = Checkpoint(f"{folder}/stage.npz", {"seed": 0}).load()
    >>> state.header, state.arrays["weights"].tolist()
    ({'epoch': 1}, [1.0, 1.0])
    """

    def __init__(self, path: str | Path | None, identity: Mapping[str, Any] | None = None) -> None:
        self.path = None if path is None else Path(path)
        # as JSON gives it back (tuples become lists), so that it can be compared with a file's
        self.identity = json.loads(json.dumps({"format": FORMAT, **(identity or {})}))
        self._begin = time.perf_counter()
        self._earlier = {"seconds": 0.0, "peak_memory": 0.0}

    @property
    def seconds(self) -> float:
        """Wall time in s of this object's life and of the earlier runs that the file records."""
        return round(self._earlier["seconds"] + time.perf_counter() - self._begin, 3)

    @property
    def peak_memory(self) -> float:
        """Largest resident memory of all runs in GiB."""
        return max(self._earlier["peak_memory"], peak_memory())

    def load(self) -> Archive | None:
        """State that was saved last, or None if there is no file.

        Raises
        ------
        ArtefactError
            If the file is damaged.
        OutputFolderError
            If the file belongs to another training, or cannot be read.
        """
        if self.path is None:
            return None
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputFolderError(f"{self.path}: cannot be read ({error.strerror})") from error
        state = Archive.from_bytes(
            content,
            str(self.path),
            advice="delete it, and this stage is trained from its start",
        )
        theirs = state.header.pop("identity", None)
        if theirs != self.identity:
            raise OutputFolderError(
                f"{self.path}: holds another training ({_difference(theirs, self.identity)}); "
                "give another folder, or the same arguments to go on"
            )
        cost = state.header.pop("cost", None)
        if not isinstance(cost, dict) or set(cost) != set(self._earlier):
            raise state.error("damaged: it lacks the time and memory of the training so far")
        self._earlier = cost
        return state

    def save(self, arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
        """Replace the file.

        Parameters
        ----------
        arrays
            Numeric arrays by name.
        header
            Plain JSON values.

        Raises
        ------
        OutputFolderError
            If the file cannot be written, for example because the disk is full. The file that
            was there before stays whole.
        """
        if self.path is None:
            return
        cost = {"seconds": self.seconds, "peak_memory": self.peak_memory}
        content = Archive({**header, "identity": self.identity, "cost": cost}, arrays).to_bytes()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, content, durably=True)
        except OSError as error:
            raise OutputFolderError(
                f"{self.path}: the checkpoint cannot be written ({error.strerror or error}); what "
                "was there before is whole. Make room, then run the same again to go on from it"
            ) from error


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
