"""The output folder: whose run it holds, what is finished there, and how files get in.

`run.json` bears the run's identity: the arguments that decide what comes out. The same
command finds its own folder again and goes on; any other is refused, so that no folder ever
mixes two runs. Every file is written whole or not at all.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from atomate2_vogen import __version__
from atomate2_vogen.cli.record import FORMAT, read_record
from atomate2_vogen.cli.written import note_written, remove_stale
from atomate2_vogen.errors import OutputFolderError
from atomate2_vogen.files import path_inside, write_atomically
from atomate2_vogen.structures.reading.folders import RUN_FILE

LOCK_FILE = ".lock"
REPORT_FILE = "report.html"
OUTDATED = {
    REPORT_FILE: "report",
    "consensus.csv": "confirm",
    "consensus.json": "confirm",
    "dft.csv": "confirm --dft",
    "dft.json": "confirm --dft",
    "dft.png": "confirm --dft",
}
"""Files about the crystals of a folder that other commands write, and their commands."""

LIBRARIES = ("atomate2", "chgnet", "jobflow", "keras", "maggma", "numpy", "pymatgen", "tensorflow")


class OutputFolder:
    """A folder that belongs to one run.

    Use it as a context manager: while it is open no second process can work in it.

    Parameters
    ----------
    path
        Created if missing.
    command
        The verb, e.g. ``discover``.
    identity
        What makes two runs the same, by argument name; plain JSON values. None takes an
        existing run as it is.

    Raises
    ------
    OutputFolderError
        If the folder holds another run or files that are no run's, another process works in
        it, or it cannot be written.
    """

    def __init__(self, path: str | Path, command: str, identity: Mapping[str, Any] | None) -> None:
        self.path = Path(path)
        self.command = command
        self.identity = None if identity is None else json.loads(json.dumps(dict(identity)))
        self.resumed = False
        self.record: dict[str, Any] = {}
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Take the folder, or refuse."""
        if self.identity is None and not (self.path / RUN_FILE).is_file():
            raise OutputFolderError(
                f"{self.path}: not the output folder of a run (no {RUN_FILE}); give one that "
                "vogen discover or vogen evaluate has written"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputFolderError(
                f"--out {self.path}: cannot be made ({error.strerror}); give another folder"
            ) from error
        self._check_owner()
        self._take_lock()
        try:
            self._open_record()
        except BaseException:
            self._release_lock()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Give the folder back."""
        self._release_lock()

    def __truediv__(self, name: str) -> Path:
        """Path of a file or folder inside."""
        return self.path / name

    def write(self, name: str, content: str | bytes, folder: str = "") -> Path:
        """Write a file whole or not at all.

        Parameters
        ----------
        name
            Of the file; it may come from data.
        content
            All of it.
        folder
            The one inside this folder that it goes into.

        Raises
        ------
        InputError
            If a file cannot be called so, or would not lie in the folder.
        OutputFolderError
            If it cannot be written.
        """
        path = path_inside(self.path / folder, name)
        raw = content.encode() if isinstance(content, str) else content
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if name != RUN_FILE:
                note_written(self.path, path.relative_to(self.path).as_posix(), raw)
            write_atomically(path, raw)
        except OSError as error:
            raise OutputFolderError(f"{path}: cannot be written ({error.strerror})") from error
        return path

    def remove_stale(self, current: Collection[str], scope: Collection[str]) -> list[str]:
        """Remove files that an earlier run wrote here and the last one did not.

        A file that the user put there or has changed stays.

        Parameters
        ----------
        current
            Names of the files that the last run wrote.
        scope
            Names of the files that are looked at; of folders, with a slash at the end.

        Returns
        -------
        list of str
            Names of the files that were removed.

        Raises
        ------
        OutputFolderError
            If one cannot be removed.
        """
        try:
            return remove_stale(self.path, current, scope)
        except OSError as error:
            raise OutputFolderError(
                f"{self.path}: files of an earlier run cannot be removed ({error.strerror})"
            ) from error

    @contextmanager
    def replacing(self, name: str, folder: str = "") -> Iterator[Path]:
        """A path of the same suffix for a writer that wants one; its file is written when done."""
        with tempfile.TemporaryDirectory(prefix="vogen-") as scratch:
            draft = path_inside(Path(scratch), name)
            yield draft
            self.write(name, draft.read_bytes(), folder)

    def note(self, **entries: Any) -> None:
        """Add entries to `run.json`."""
        self.record.update(entries)
        self.save()

    def save(self) -> None:
        """Write `run.json`."""
        self.record["updated"] = _now()
        self.write(RUN_FILE, json.dumps(self.record, indent=2) + "\n")

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a stage; what it puts into the yielded dict is noted with the seconds.

        Every run of the command adds its own entries, so that the times of the first one stay.
        """
        notes: dict[str, Any] = {}
        begin = time.perf_counter()
        yield notes
        self.note_stage(name, time.perf_counter() - begin, notes)

    def note_stage(self, name: str, seconds: float, notes: Mapping[str, Any]) -> None:
        """Note what a stage of this run did and how many seconds it took."""
        entry = {"run": self.record.get("runs"), "stage": name, **notes}
        entry["seconds"] = round(seconds, 2)
        self.record.setdefault("stages", []).append(entry)
        self.save()

    def _check_owner(self) -> None:
        """Refuse a folder of another run, and one that is no run's."""
        run_file = self.path / RUN_FILE
        try:
            if run_file.exists():
                self._compare(read_record(run_file))
                return
            others = sorted(p.name for p in self.path.iterdir() if not p.name.startswith("."))
        except OSError as error:
            raise OutputFolderError(f"--out {self.path}: {error.strerror}") from error
        if others:
            names = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
            raise OutputFolderError(
                f"--out {self.path}: holds files that are not a run's ({names}); "
                "give an empty or a new folder"
            )

    def _compare(self, record: dict[str, Any]) -> None:
        theirs = {"command": record.get("command"), **record["identity"]}
        ours = theirs if self.identity is None else {"command": self.command, **self.identity}
        differing = [
            f"{_argument(key)} is {_show(theirs.get(key))} there and {_show(ours.get(key))} here"
            for key in sorted({*theirs, *ours})
            if theirs.get(key) != ours.get(key)
        ]
        if differing:
            raise OutputFolderError(
                f"--out {self.path}: holds another run ({'; '.join(differing)}); "
                "give another --out, or the same arguments to go on"
            )
        self.resumed = True
        self.record = record

    def _open_record(self) -> None:
        if self.resumed:
            self.record["runs"] = self.record.get("runs", 1) + 1
        else:
            self.record = {
                "format": FORMAT,
                "command": self.command,
                "identity": self.identity,
                "started": _now(),
                "runs": 1,
            }
        self.record["versions"] = versions()
        self.save()

    def _take_lock(self) -> None:
        import fcntl

        try:
            self._lock = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._release_lock()
            raise OutputFolderError(
                f"--out {self.path}: another vogen is at work there; wait for it, or give "
                "another --out"
            ) from error
        except OSError as error:
            self._release_lock()
            raise OutputFolderError(
                f"--out {self.path}: cannot be written ({error.strerror})"
            ) from error

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version(), "atomate2-vogen": __version__}
    installed = {library: version_of(library) for library in LIBRARIES}
    return found | {library: version for library, version in installed.items() if version}


def version_of(package: str) -> str | None:
    """Version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _argument(key: str) -> str:
    return key if key in {"command", "version"} else f"--{key}"


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items() if not k.startswith("@"))
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "not given" if value is None else str(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
