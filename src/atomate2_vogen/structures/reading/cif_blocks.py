"""From the text of a CIF to its data blocks: tags, values and loops.

gemmi tokenises: quotes, text fields, comments and loops are its business. What is added here
are blocks that are read one by one (a torn one does not hide the others) and tags under one
spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gemmi

from atomate2_vogen.errors import StructureFileError

_GEMMI_ERROR = re.compile(r"^\S*?:(\d+):\d+(?:\(\d+\))?: (.*)$", re.DOTALL)


@dataclass(frozen=True)
class CifBlock:
    """One data block.

    Parameters
    ----------
    columns
        Values by tag; a tag outside a loop has one. Tags are in lower case, with underscores for
        the dots of newer dictionaries. A missing value (``.`` or ``?``) is None.
    spelled
        The tags as the file writes them.
    loops
        Number of the loop that a tag belongs to; tags outside loops are missing here.
    """

    columns: dict[str, list[str | None]] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)
    loops: dict[str, int] = field(default_factory=dict)

    @property
    def has_atoms(self) -> bool:
        """Whether the block lists fractional coordinates."""
        return "_atom_site_fract_x" in self.columns

    def value(self, tag: str) -> str | None:
        """The one value of a tag; None if it is missing, unknown or has several."""
        values = self.columns.get(tag, [])
        return values[0] if len(values) == 1 else None


def read_blocks(text: str) -> list[CifBlock | StructureFileError]:
    """The data blocks of a CIF in their order.

    Parameters
    ----------
    text
        Content of the file, with newline characters as line ends.

    Returns
    -------
    list
        A block that does not parse stands as its error if it seems to list atoms.

    Raises
    ------
    StructureFileError
        If there is no data block, or none lists atoms.
    """
    lines = text.split("\n")
    starts = list(_starts(lines))
    if not starts:
        raise StructureFileError("not a CIF file (no data_ block)")
    found: list[CifBlock | StructureFileError] = []
    torn: StructureFileError | None = None
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        chunk = lines[start:end]
        try:
            # blocks without atoms (journal data, powder patterns) are part of many good files
            found += [block for block in _parse(chunk, start) if block.has_atoms]
        except StructureFileError as error:
            torn = torn or error
            if any("_atom_site" in line.lower() for line in chunk):
                found.append(error)
    if not found:
        raise torn or StructureFileError("the CIF file lists no atoms (no _atom_site_fract_x)")
    return found


def _starts(lines: list[str]) -> Iterator[int]:
    """Lines that begin a data block; `data_` inside a text field begins none."""
    inside = False
    for number, line in enumerate(lines):
        if line.startswith(";"):
            inside = not inside
        elif not inside and line.lstrip().lower().startswith("data_"):
            yield number


def _parse(lines: list[str], first: int) -> Iterator[CifBlock]:
    """Blocks of one chunk; `first` is its first line in the file, for messages."""
    # CIF 1.1 is ASCII; an exclamation mark, because a question mark would mean a missing value
    text = re.sub(r"[^\x00-\x7f]", "!", "\n".join(lines)) + "\n"
    try:
        document = gemmi.cif.read_string(text, 0)  # 0: tags given twice are judged below
    except (ValueError, RuntimeError) as error:
        raise _unparsed(str(error), first) from error
    for block in document:
        yield _block(block)


def _unparsed(message: str, first: int) -> StructureFileError:
    if match := _GEMMI_ERROR.match(message):
        place = f" at line {first + int(match[1])}"
        reason = " ".join(match[2].split())
    else:
        place, reason = "", " ".join(message.split())
    if "number of values in loop" in reason:
        reason = "the values of a loop_ do not fill its columns; the file may be cut off"
    return StructureFileError(f"the CIF file does not parse{place}: {reason}")


def _block(block: Any) -> CifBlock:
    """Tags and values of gemmi's block."""
    result = CifBlock()
    for number, item in enumerate(block):
        if item.pair is not None:
            tag, value = item.pair
            _add(result, tag, [value], None)
        elif item.loop is not None:
            tags, values = item.loop.tags, item.loop.values
            for column, tag in enumerate(tags):
                _add(result, tag, values[column :: len(tags)], number)
    return result


def _add(block: CifBlock, tag: str, raw: list[str], loop: int | None) -> None:
    key = tag.lower().replace(".", "_").rstrip("_")
    values = [None if _is_missing(text) else gemmi.cif.as_string(text).strip() for text in raw]
    if key in block.columns and block.columns[key] != values:
        raise StructureFileError(f"the CIF file gives {tag} twice, with different values")
    block.columns[key] = values
    block.spelled[key] = tag
    if loop is not None:
        block.loops[key] = loop


def _is_missing(raw: str) -> bool:
    return not raw or gemmi.cif.is_null(raw) or gemmi.cif.as_string(raw).strip() in {"", ".", "?"}
