"""Text of files with any compression, encoding and line ends.

One function for all formats, so that a byte-order mark, UTF-16, ``.gz``, ``.bz2`` and the line
ends of three operating systems mean the same to every parser.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import zlib
from pathlib import Path

from atomate2_vogen.errors import StructureFileError
from atomate2_vogen.structures.reading.limits import MAX_BYTES

COMPRESSED = (".gz", ".bz2")
"""Endings of compressed files that are read."""

_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def plain_name(name: str) -> str:
    """The name without the ending of a compressed file."""
    suffix = Path(name).suffix
    return name[: -len(suffix)] if suffix.lower() in COMPRESSED else name


def read_text(path: Path) -> str:
    """Read a structure file as text.

    Parameters
    ----------
    path
        The file; ``.gz`` and ``.bz2`` are decompressed, never to more than `MAX_BYTES`.

    Returns
    -------
    str
        Without byte-order mark, every line ending in a newline character. Bytes that are no
        UTF-8 become U+FFFD.

    Raises
    ------
    StructureFileError
        If the file is missing, empty, too large, damaged, or no text.
    """
    try:
        raw = _content(path)
    except OSError as error:
        raise StructureFileError(f"cannot be read ({reason_of(error)})") from error
    if not raw.strip():
        raise StructureFileError("the file is empty")
    return decode(raw)


def decode(raw: bytes) -> str:
    """Text of a file's bytes; see `read_text`."""
    encoding = next((name for mark, name in _ENCODINGS if raw.startswith(mark)), "utf-8")
    if encoding.startswith("utf-8"):
        text = raw.decode(encoding, errors="replace")  # names of authors in Latin-1 do no harm
    else:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            raise StructureFileError(
                f"its byte-order mark says {encoding.upper()}, but it is not; save it as UTF-8"
            ) from error
    if "\0" in text:
        raise StructureFileError("not a text file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def reason_of(error: OSError) -> str:
    """Why the operating system refused, without the file's name."""
    return error.strerror or type(error).__name__


def _content(path: Path) -> bytes:
    if not path.exists():
        raise StructureFileError("no such file or folder")
    if not path.is_file():
        raise StructureFileError("not a regular file")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise _too_large(f"{size / 1e6:.0f} MB is")
    suffix = path.suffix.lower()
    if suffix not in COMPRESSED:
        return path.read_bytes()
    try:
        with gzip.open(path) if suffix == ".gz" else bz2.open(path) as file:
            # one byte more than allowed identifies a file that is too large; a bomb is never unpacked whole
            content = file.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise StructureFileError(
            f"the compressed file is damaged or cut off ({error or type(error).__name__})"
        ) from error
    if len(content) > MAX_BYTES:
        raise _too_large("decompressed, it has")
    return content


def _too_large(what: str) -> StructureFileError:
    return StructureFileError(
        f"{what} more than {MAX_BYTES / 1e6:.0f} MB; "
        "give a file that holds nothing but the structure"
    )
