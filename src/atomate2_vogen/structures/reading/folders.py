"""Output folders of the command line, where crystals are read from."""

from __future__ import annotations

from pathlib import Path

RUN_FILE = "run.json"
"""Record of a run; a folder that has one is the output folder of a run."""

CIFS = "cifs"
"""Where a run puts its crystals."""


def crystal_folder(path: Path) -> Path:
    """Folder that holds the crystals: ``cifs`` in the output folder of a run, else the folder."""
    inside = path / CIFS
    return inside if (path / RUN_FILE).is_file() and inside.is_dir() else path
