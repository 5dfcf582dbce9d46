"""A few malformed inputs at every entrance; ``python tests/fuzz/fuzz.py`` tries thousands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz.py"
COMMITTED = Path(__file__).parent / "results" / "fuzz.json"


@pytest.mark.slow
def test_malformed_inputs_do_no_harm(tmp_path):
    found = tmp_path / "found.json"
    words = [sys.executable, str(FUZZ), "--seed", "19", "--inputs", "72", "--out", str(found)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.exists(), result.stdout + result.stderr
    summary = json.loads(found.read_text())
    assert summary["faults"] == []
    assert summary["inputs"] >= 60
    assert all(one["inputs"] for one in summary["entrances"].values())


def test_the_committed_run_found_nothing():
    summary = json.loads(COMMITTED.read_text())
    assert summary["inputs"] >= 5000
    assert summary["faults"] == []
    assert len(summary["entrances"]) == 12
    for one in summary["entrances"].values():
        assert one["faulty"] == 0
        assert one["most_cpu_seconds"] < 20
        assert one["most_gib"] < 2
