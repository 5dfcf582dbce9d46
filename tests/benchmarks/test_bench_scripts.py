"""Every script of benchmarks/ and tools/ can be loaded: what it imports is there."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "tools").glob("*.py")]


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=lambda script: script.stem)
def test_scripts_load(script, monkeypatch):
    monkeypatch.syspath_prepend(script.parent)  # as for a script that is run
    assert runpy.run_path(str(script), run_name="loaded")
