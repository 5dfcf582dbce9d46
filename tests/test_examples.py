"""The examples run as they are, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atomate2_vogen.schemas import StabilityDoc
from atomate2_vogen.stores import VogenStores

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_quickstart(tmp_path: Path):
    script = EXAMPLES / "quickstart.py"
    code = [line for line in script.read_text().splitlines() if line.strip()]
    assert 20 <= len(code) <= 40

    folder = tmp_path / "store"
    run = subprocess.run(
        [sys.executable, str(script), str(folder)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )

    with VogenStores.open(folder) as stores:
        documents = stores.load(StabilityDoc)
    assert sorted(doc.formula for doc in documents) == ["V2O3", "VO2"]
    ranked = [doc for doc in documents if doc.state == "ranked"]
    assert ranked
    lines = [line for line in run.stdout.splitlines() if "eV/atom above hull" in line]
    assert len(lines) == len(ranked)
    for doc in ranked:
        (line,) = [line for line in lines if line.startswith(doc.candidate_id)]
        assert float(line.split()[1]) == pytest.approx(doc.energy_above_hull, abs=6e-4)
