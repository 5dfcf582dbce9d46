"""The file format of weights: trained models, trained stages and checkpoints.

An archive is a zip file with a JSON header and either NumPy arrays or Keras weight files. It
holds no code and no pickle. A file is not trusted: names, number and sizes of its members are
checked before anything is unpacked, and the zip format's checksum of each member after that.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from atomate2_vogen.errors import ArtefactError
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.structured import parse_json

CONFIG = "config.json"
"""Header of an archive of weight files."""

RECORD = "record.npy"
"""Header of an archive of arrays: itself an array of bytes, so that `numpy.load` opens the file."""

MAX_HEADER_BYTES = 20_000_000
"""Largest header; the history of the longest training shipped has 20 kB."""

SizeLimits = Mapping[str, tuple[int, int]]
"""Smallest and largest number of bytes of each member beside the header."""


@dataclass(frozen=True, eq=False)
class Archive:
    """A JSON header with named arrays or weight files, and its form as one file.

    Parameters
    ----------
    header
        Plain JSON values.
    arrays
        Numeric arrays by name.
    files
        Contents of Keras weight files by file name; an archive with these has no arrays.
    name, advice
        File name and what to do about a damaged file, for error messages.

    Examples
    --------
    >>> import numpy as np
    >>> archive = Archive({"epoch": 3}, {"loss": np.array([0.5, 0.25])})
    >>> again = Archive.from_bytes(archive.to_bytes(), "example.npz")
    >>> again.header, again.arrays["loss"].tolist()
    ({'epoch': 3}, [0.5, 0.25])
    """

    header: dict[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    name: str = "archive"
    advice: str = "train again"

    def to_bytes(self) -> bytes:
        """Content of the file; equal archives give equal bytes."""
        text = json.dumps(self.header, sort_keys=True).encode()
        if self.files:
            members, method = {CONFIG: text, **self.files}, zipfile.ZIP_DEFLATED
        else:
            # weights hardly shrink, and a checkpoint is written after every epoch
            members, method = {RECORD: _to_npy(np.frombuffer(text, np.uint8))}, zipfile.ZIP_STORED
            members |= {f"{key}.npy": _to_npy(array) for key, array in self.arrays.items()}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as opened:
            for name, content in members.items():
                # a fixed date, so that equal content gives equal bytes
                info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                opened.writestr(info, content, method)
        return buffer.getvalue()

    @classmethod
    def from_bytes(
        cls,
        content: bytes,
        name: str,
        *,
        advice: str = "train again",
        limits: Callable[[dict[str, Any]], SizeLimits] | None = None,
    ) -> Self:
        """Read an archive.

        Parameters
        ----------
        content
            Bytes of the file.
        name, advice
            As in the class.
        limits
            Function of the header that gives the weight files to expect and the limits of their
            sizes. None reads an archive of arrays.

        Raises
        ------
        ArtefactError
            If the file is damaged, holds other members than expected, or larger ones.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as opened:
                members = _members(opened, content)
                if limits is None:
                    header, arrays = _read_arrays(opened, members)
                    return cls(header, arrays, name=name, advice=advice)
                header = _parse(_extract(opened, members, CONFIG, (0, MAX_HEADER_BYTES)), CONFIG)
                files = _read_files(opened, members, limits(header))
                return cls(header, files=files, name=name, advice=advice)
        except ArtefactError as error:
            raise ArtefactError(f"{name}: {error}; {advice}") from error
        except Exception as error:  # zipfile and zlib raise almost anything on a damaged file
            raise ArtefactError(
                f"{name}: damaged or not a file of trained weights ({error}); {advice}"
            ) from error

    def error(self, text: str) -> ArtefactError:
        """Error that names the file and what to do about it."""
        return ArtefactError(f"{self.name}: {text}; {self.advice}")

    def check_id(self, found: str) -> None:
        """Compare the hash of the content with the ``model_id`` of the header.

        Raises
        ------
        ArtefactError
            If they differ.
        """
        stored = self.header.get("model_id")
        if found != stored:
            raise self.error(f"its content has the id {found}, written was {str(stored)[:20]!r}")

    def group(self, prefix: str) -> list[np.ndarray]:
        """Arrays that `named` has numbered under a prefix, in order."""
        return [self.arrays[key] for key in sorted(self.arrays) if key.startswith(f"{prefix}/")]

    def assign(self, prefix: str, variables: Iterable[Any]) -> None:
        """Set Keras variables to the arrays of a prefix.

        Raises
        ------
        ArtefactError
            If number or shapes differ or a value is not finite. No variable is changed then.
        """
        variables, values = list(variables), self.group(prefix)
        if [tuple(v.shape) for v in variables] != [v.shape for v in values]:
            raise self.error(f"the arrays {prefix} do not fit their network")
        if not all(np.isfinite(value).all() for value in values):
            raise self.error(f"the arrays {prefix} hold NaN or infinity")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def named(prefix: str, variables: Iterable[Any]) -> dict[str, np.ndarray]:
    """Copies of the values of Keras variables (or arrays), numbered under a prefix."""
    return {
        f"{prefix}/{number:04d}": keras.ops.convert_to_numpy(
            getattr(variable, "value", variable)
        ).copy()
        for number, variable in enumerate(variables)
    }


def _members(opened: zipfile.ZipFile, content: bytes) -> dict[str, zipfile.ZipInfo]:
    """Members of a zip file by name."""
    infos = opened.infolist()
    # `zipfile` does not compare: a flipped bit in the directory can hide all further members
    if len(infos) != int.from_bytes(content[-12:-10], "little"):
        raise ArtefactError("damaged: its directory lacks members")
    members = {info.filename: info for info in infos}
    if len(members) != len(infos):
        raise ArtefactError("damaged: it holds a name twice")
    return members


def _read_arrays(
    opened: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays, none of which can be larger than the file: they are not compressed."""
    arrays = {}
    for member, info in members.items():
        if info.compress_type != zipfile.ZIP_STORED:
            raise ArtefactError(f"damaged or not such a file ({member} is compressed)")
        if not member.endswith(".npy"):
            raise ArtefactError(f"damaged or not such a file (foreign member: {member})")
        arrays[member] = _from_npy(_extract(opened, members, member), member)
    if RECORD not in arrays:
        raise ArtefactError(f"damaged or not such a file (it lacks {RECORD})")
    header = _parse(arrays.pop(RECORD).tobytes(), RECORD)
    return header, {member.removesuffix(".npy"): array for member, array in arrays.items()}


def _read_files(
    opened: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], limits: SizeLimits
) -> dict[str, bytes]:
    """Weight files within their limits."""
    if differing := set(members) ^ {CONFIG, *limits}:
        raise ArtefactError(f"missing or foreign members: {', '.join(sorted(differing))}")
    return {member: _extract(opened, members, member, limit) for member, limit in limits.items()}


def _extract(
    opened: zipfile.ZipFile,
    members: Mapping[str, zipfile.ZipInfo],
    member: str,
    limits: tuple[int, int] | None = None,
) -> bytes:
    """Content of a member; limits are its smallest and largest number of bytes."""
    if member not in members:
        raise ArtefactError(f"lacks {member}")
    info = members[member]
    least, most = limits or (0, info.compress_size)
    if not least <= info.file_size <= most:
        raise ArtefactError(
            f"{member} unpacks to {info.file_size} bytes, not to {least} to {most} as its header "
            "asks for"
        )
    try:
        with opened.open(info) as stream:
            content = stream.read(most + 1)  # the size in the directory may be a lie
    except Exception as error:  # zlib and zipfile raise almost anything on damaged members
        raise ArtefactError(f"damaged: {member} cannot be unpacked ({error})") from error
    if not least <= len(content) <= most:
        raise ArtefactError(f"damaged: {member} unpacks to another size than its directory says")
    return content


def _parse(content: bytes, member: str) -> dict[str, Any]:
    if len(content) > MAX_HEADER_BYTES:
        raise ArtefactError(f"{member} has more than {MAX_HEADER_BYTES} bytes")
    header = parse_json(content, member, ArtefactError)
    if not isinstance(header, dict):
        raise ArtefactError(f"{member} is not a mapping")
    return header


def _to_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def _from_npy(content: bytes, member: str) -> np.ndarray:
    """Array of an npy file whose header fits its length."""
    stream = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ArtefactError(f"{member} is not of npy format 1.0")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except ValueError as error:
        raise ArtefactError(f"{member} is not an npy array ({error})") from error
    if dtype.kind not in "fiub":
        raise ArtefactError(f"{member} is not numeric")
    # before memory is taken: a header of 100 bytes can ask for terabytes
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ArtefactError(f"{member} holds another number of bytes than its shape {shape} needs")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
