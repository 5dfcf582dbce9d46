"""Which files of an output folder this package wrote, so that it removes those and no other.

A hidden file has a line for every file that was written, as ``sha256sum`` has it. A file whose
content is another now is the user's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

from atomate2_vogen.files import write_atomically

WRITTEN_FILE = ".written"


def note_written(folder: Path, name: str, content: bytes) -> None:
    """Note that a file is about to be written, so that a killed run leaves none unnoted.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    with (folder / WRITTEN_FILE).open("a", encoding="utf-8") as file:
        # a line that a full disk cut short does not run into the next one
        file.write(f"\n{_digest(content)}  {name}")


def remove_stale(folder: Path, current: Collection[str], scope: Collection[str]) -> list[str]:
    """Remove files that an earlier run wrote and the last one did not.

    Parameters
    ----------
    folder
        Output folder.
    current
        Names of the files that the last run wrote, relative to the folder.
    scope
        Names of the files that are looked at; of folders, with a slash at the end.

    Returns
    -------
    list of str
        Names of the files that were removed.

    Raises
    ------
    OSError
        If a file cannot be read or removed.
    """
    notes = _read(folder)
    removed = []
    for name in sorted(notes):
        if name in current or not _is_in(name, scope):
            continue
        path = folder / name
        if path.is_file() and not path.is_symlink() and _digest(path.read_bytes()) in notes[name]:
            path.unlink()
            removed.append(name)
    kept = ((name, digests[-1]) for name, digests in notes.items() if (folder / name).is_file())
    text = "".join(f"{digest}  {name}\n" for name, digest in kept)
    write_atomically(folder / WRITTEN_FILE, text)
    return removed


def _read(folder: Path) -> dict[str, list[str]]:
    """Digests by name; lines that name no file inside the folder are passed over."""
    path = folder / WRITTEN_FILE
    notes: dict[str, list[str]] = {}
    if not path.is_file():
        return notes
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if (
            name
            and not Path(name).is_absolute()
            and ".." not in Path(name).parts
            and "\0" not in name
        ):
            notes.setdefault(name, []).append(digest)
    return notes


def _is_in(name: str, scope: Iterable[str]) -> bool:
    return any(name.startswith(one) if one.endswith("/") else name == one for one in scope)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
