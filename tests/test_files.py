"""Files are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from atomate2_vogen.files import write_atomically


def test_files_are_whole_or_absent(tmp_path: Path, monkeypatch):
    path = tmp_path / "table.csv"
    write_atomically(path, "old")
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
