"""The command that runs arms side by side: tasks, failures, deaths, progress."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal

import pytest
from click.testing import CliRunner
from discovery import run
from discovery.measuring import Progress
from discovery.raw import read_rounds, total_seconds
from small_discovery import judge

from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.loading import SAMPLERS, SamplerName


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Table with two toy arms; processes are forked, so that they know the toys."""
    monkeypatch.setitem(SAMPLERS, "toy", SamplerName("toy_sampler:ToySampler"))
    monkeypatch.setattr(run, "load_judge", judge)
    for name in run.THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")
    forked = multiprocessing.get_context("fork")
    monkeypatch.setattr(run.multiprocessing, "get_context", lambda _: forked)
    path = tmp_path / "arms.json"
    path.write_text(json.dumps({name: {"options": {"sampler": "toy"}} for name in ("a", "b")}))
    return path


def invoke(table, out, *options):
    arguments = ["--arms", "a,b", "--seeds", "1", "--counts", "VO2=2", "--out", str(out)]
    arguments += ["--arms-file", str(table), "--cpu-hours", "1e-5", "--workers", "2", *options]
    return CliRunner().invoke(run.main, arguments)


def test_every_arm_and_seed_is_run_until_its_hours_are_spent(table, tmp_path):
    result = invoke(table, tmp_path / "raw", "--seeds", "1,2")
    assert result.exit_code == 0, result.output
    assert "4/4 runs done" in result.output
    for name in ("a", "b"):
        for seed in (1, 2):
            rounds = read_rounds(tmp_path / "raw" / name / f"seed-{seed}")
            assert total_seconds(rounds) >= 0.036
    first, other = (read_rounds(tmp_path / "raw" / name / "seed-1")[0] for name in ("a", "b"))
    ids = [[one.candidate_id for one in made.candidates] for made in (first, other)]
    assert ids[0] == ids[1]  # the seeds of rounds are shared by the arms


def test_a_run_that_fails_or_dies_stops_no_other(table, tmp_path, monkeypatch):
    assert invoke(table, tmp_path / "raw").exit_code == 0
    result = invoke(table, tmp_path / "raw", "--counts", "VO2=3")
    assert result.exit_code == 1
    assert "a, seed 1: " in result.output
    assert "was begun with counts" in result.output

    def dying(arm, *args, **kwargs):
        if arm.name == "a":
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(run, "measure_run", dying)
    result = invoke(table, tmp_path / "raw")
    assert result.exit_code == 1
    assert "a, seed 1: its process ended with exit code -9" in result.output
    assert "b, seed 1:" not in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--arms", "c"), "arm 'c' is not in"),
        (("--arms", "a,a"), "comes twice"),
        (("--seeds", "1,x"), "give whole numbers"),
        (("--seeds", "1,1"), "comes twice"),
        (("--counts", "VO2"), "FORMULA=NUMBER"),
        (("--counts", "TiO2=3"), "TiO2"),
    ],
)
def test_bad_requests_are_told_before_anything_runs(table, tmp_path, options, message):
    result = invoke(table, tmp_path / "raw", *options)
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "raw").exists()


def test_damaged_tables_are_named(table, tmp_path):
    for content in ("[]", '{"a": {"sampler": "toy"}}', '{"a": {"options": {}}}', "{"):
        table.write_text(content)
        with pytest.raises(InputError, match=r"arms\.json"):
            run.read_arms(["a"], table)


def test_time_left_is_of_what_is_left(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(run.time, "monotonic", lambda: clock[0])
    overview = run.Overview(n_tasks=4, cpu_seconds=1200)
    overview.tell("a", Progress(600, 10, 1))  # was there before
    overview.tell("b", Progress(0, 0, 0))
    clock[0] = 300.0
    overview.tell("a", Progress(900, 15, 2))
    overview.tell("b", Progress(300, 5, 0))
    # 600 CPU s in 300 s; 300 + 900 left of these, 2,400 of two that have not begun
    assert overview.line().endswith("about 30 min left")
    assert overview.line().startswith("0/4 runs done; a 0.25 h, 15 crystals, 2 new; b 0.08 h")
