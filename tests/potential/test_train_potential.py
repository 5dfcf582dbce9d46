"""The tool that makes a potential, on a small pool and an energy model in closed form."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from ase.calculators.lj import LennardJones

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import InputError
from atomate2_vogen.potential.frames import Frames
from atomate2_vogen.potential.network import NetworkShape
from atomate2_vogen.potential.potential import Potential
from atomate2_vogen.potential.training import FitReport, train_potential

SCRIPT = Path(__file__).parents[2] / "tools" / "train_potential.py"
SMALL = NetworkShape(cutoff=4.0, radial=4, channels=2, hidden=4)


class Stopped(BaseException):
    """Stands for a signal."""


class StoppingEngine:
    """Lennard-Jones, which stops after so many calculators."""

    scheme = "lennard-jones"

    def __init__(self, most=10**9):
        self.left = most
        self.static_maker = self

    @property
    def calculator(self):
        self.left -= 1
        if self.left < 0:
            raise Stopped
        return LennardJones(sigma=1.7, epsilon=0.5, rc=4.0, smooth=True)


def quick_fit(frames, system, *, settings, start=None, progress=None):
    """A few steps without compilation; errors on frames held out are left out."""
    tf.config.run_functions_eagerly(run_eagerly=True)
    try:
        settings = replace(settings, held_out=0, batch=80, epochs=1, learning_rate=1e-3)
        potential, _ = train_potential(
            frames, system, settings=settings, shape=SMALL, start=start, progress=progress
        )
    finally:
        tf.config.run_functions_eagerly(run_eagerly=False)
    return potential, FitReport(len(frames), 0, 0.1, 0.1, 0.1)


@pytest.fixture
def tool(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("train_potential", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pool = module.load_dataset(VANADIUM)
    rows = np.flatnonzero(pool.is_distinct & (pool.n_atoms <= 8))[:90]
    small = pool.select(rows)
    monkeypatch.setattr(module, "load_dataset", lambda system: small)
    monkeypatch.setattr(module, "relaxed_path", lambda system: tmp_path / "none")
    monkeypatch.setattr(module, "train_potential", quick_fit)

    def run(out, engine=None, *options):
        arguments = ["train_potential", "--rounds", "2", "--draws", "12", "--out", str(out)]
        monkeypatch.setattr("sys.argv", [*arguments, *options])
        monkeypatch.setattr(module, "load_engine", lambda name, system: engine or StoppingEngine())
        module.main()

    return SimpleNamespace(module=module, run=run)


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_a_run_that_was_stopped_twice_gives_the_same_potential(tool, tmp_path, monkeypatch):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    tool.run(whole)
    names = [f"{kind}-{number}.npz" for kind in ("frames", "potential") for number in range(3)]
    assert contents(whole) == sorted([*names, "report.jsonl", "settings.json"])
    lines = [json.loads(line) for line in (whole / "report.jsonl").read_text().splitlines()]
    assert [line["round"] for line in lines] == [0, 1, 2]
    assert lines[0]["frames"] < lines[-1]["frames"]
    last = Potential.load(whole / "potential-2.npz")
    assert last.potential_id == lines[-1]["potential_id"]
    assert last.scheme == "lennard-jones"

    # among the frames of round 0, then between the report and the potential of round 1
    with pytest.raises(Stopped):
        tool.run(pieces, StoppingEngine(100))
    assert contents(pieces) == ["frames-0-000000.part.npz", "settings.json"]
    save, saved = Potential.save, []

    def stop_at_the_second(potential, path):
        if saved:
            raise Stopped
        saved.append(path)
        save(potential, path)

    monkeypatch.setattr(Potential, "save", stop_at_the_second)
    with pytest.raises(Stopped):
        tool.run(pieces)
    monkeypatch.setattr(Potential, "save", save)
    assert "potential-1.npz" not in contents(pieces)
    tool.run(pieces, StoppingEngine(10**6))
    assert contents(pieces) == contents(whole)
    for number in range(3):
        one, other = (Frames.load(of / f"frames-{number}.npz") for of in (whole, pieces))
        assert [frame.energy for frame in one.frames] == [frame.energy for frame in other.frames]
    assert Potential.load(pieces / "potential-2.npz").potential_id == last.potential_id
    again = [json.loads(line) for line in (pieces / "report.jsonl").read_text().splitlines()]
    assert [line["potential_id"] for line in again] == [line["potential_id"] for line in lines]

    # finished: nothing is computed, and other settings are refused
    tool.run(pieces, StoppingEngine(0))
    with pytest.raises(InputError, match=r"was begun with --draws 12; go on with that"):
        tool.run(pieces, StoppingEngine(0), "--draws", "13")


def test_a_chunk_without_any_result_stops_nothing(tool, tmp_path, caplog):
    """A calculator that fails on all crystals of a chunk leaves an empty file of frames."""

    class Failing(StoppingEngine):
        @property
        def calculator(self):
            raise_always = LennardJones()
            raise_always.calculate = lambda *_: (_ for _ in ()).throw(RuntimeError("no energy"))
            return raise_always

    crystals = tool.module.first_crystals(VANADIUM, 4, 0)[:3]
    tool.module.labelled(crystals, 0, Failing(), tmp_path / "frames-0.npz")
    assert len(Frames.load(tmp_path / "frames-0.npz")) == 0
    assert "left out" in caplog.text
    assert contents(tmp_path) == ["frames-0.npz"]


@pytest.mark.parametrize("options", [("--draws", "0"), ("--rounds", "-1"), ("--epochs", "many")])
def test_numbers_out_of_range(tool, tmp_path, options, capsys):
    with pytest.raises(SystemExit):
        tool.run(tmp_path / "out", None, *options)
    assert options[0] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
