"""The examples run as they are, in a process of their own."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_model import eager
from train_tiny import SHORT

from atomate2_vogen.jobs import dataset
from atomate2_vogen.models import presets
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


@pytest.mark.slow
def test_train(monkeypatch, capsys, crystals, tmp_path: Path):
    """Here, with a slice of the data set and the smallest networks: the rest takes minutes."""
    script = EXAMPLES / "train.py"
    code = [line for line in script.read_text().splitlines() if line.strip()]
    assert 20 <= len(code) <= 40

    labelling = SimpleNamespace(failures={}, n_reused=len(crystals))
    monkeypatch.setattr(dataset, "build_dataset", lambda *_, **__: (crystals, labelling))
    monkeypatch.setitem(presets.PRESETS, "short", SHORT)
    monkeypatch.chdir(tmp_path)
    with eager():
        runpy.run_path(str(script))["main"](str(tmp_path / "store"), "short")
    printed = capsys.readouterr().out
    assert "test_energy_mae" in printed
    assert "crystals from" in printed
    assert (tmp_path / "store" / "learning_curves.png").is_file()
    kept = {path.name for path in (tmp_path / "store" / "checkpoints").iterdir()}
    assert kept >= {"vae.npz", "energy.npz", "wgan.npz"}
