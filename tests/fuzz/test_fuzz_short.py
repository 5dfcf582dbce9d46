"""A few malformed inputs at every entrance; ``python tests/fuzz/fuzz.py`` tries thousands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz.py"


@pytest.mark.slow
def test_malformed_inputs_do_no_harm(tmp_path):
    found = tmp_path / "found.json"
    words = [sys.executable, str(FUZZ), "--seed", "19", "--inputs", "120", "--out", str(found)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.exists(), result.stdout + result.stderr
    summary = json.loads(found.read_text())
    assert summary["faults"] == []
    assert summary["inputs"] >= 100
    assert all(one["inputs"] for one in summary["entrances"].values())
