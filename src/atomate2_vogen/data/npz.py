"""Compressed npz files of a known format, read without trust."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import IO

import numpy as np

from atomate2_vogen.errors import ArtefactError

# NumPy and zipfile raise almost anything on a damaged file, and so does what is made of its arrays
_DAMAGE = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def npz_arrays(
    source: str | PathLike[str] | IO[bytes], format_number: int, what: str, advice: str
) -> Iterator[dict[str, np.ndarray]]:
    """Arrays of a file, for as long as it takes to make an object of them.

    Parameters
    ----------
    source
        File, or its path.
    format_number
        Number that its array ``format`` must hold.
    what
        Words for the file in the error, e.g. ``label file labels.npz cannot be read``.
    advice
        What to do about a damaged file.

    Raises
    ------
    ArtefactError
        If the file is missing, damaged or of another format, or if what is done with its arrays
        shows that they do not belong together.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.data.npz import npz_arrays
    >>> np.savez_compressed("example.npz", format=np.array(1), energies=np.array([-8.5, -8.7]))
    >>> with npz_arrays("example.npz", 1, "example.npz cannot be read", "make it again") as arrays:
    ...     arrays["energies"].tolist()
    [-8.5, -8.7]
    """
    try:
        with np.load(source, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if int(arrays["format"]) != format_number:
            raise ValueError(f"format {arrays['format']}, not {format_number}")
        yield arrays
    except _DAMAGE as error:
        raise ArtefactError(f"{what} ({error}); {advice}") from error
