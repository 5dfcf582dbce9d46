"""The benchmark's driver: what is gathered is what was computed; tables come from files alone."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import check_rows
import numpy as np
import pytest
import run_benchmark
from click.testing import CliRunner
from jobflow import run_locally
from records import read_records, write_records

from atomate2_vogen.engines import load_references
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs.sampling import SampleMaker
from atomate2_vogen.schemas import CalculationDoc, MetricsDoc, SampleDoc
from atomate2_vogen.schemas.calculations import calculation_id
from atomate2_vogen.stores import VogenStores, parse

SCHEME = "CHGNet-0.3.0"
SCRIPT = Path(run_benchmark.__file__)
COUNTS = {"VO2": 2, "V2O3": 1}
ARGUMENTS = ["--counts", "VO2=2,V2O3=1", "--samplers", "substitution"]


def finished_run(folder: Path, relaxed: int | None = None) -> SampleDoc:
    """What ``vogen discover`` leaves, with energies made up: the lowest reference and 0.05 more."""
    energies = {}
    for reference in load_references(SCHEME):
        best = energies.get(reference.formula, np.inf)
        energies[reference.formula] = min(best, reference.energy_per_atom)
    with VogenStores.open(folder / "store", create=True) as stores:
        job = SampleMaker(sampler="substitution").make(COUNTS, seed=3)
        run_locally(job, store=stores.job_store, root_dir=folder, log=False)
        sample = parse(SampleDoc, stores.job_store.get_output(job.uuid, load=True))
        for candidate in sample.candidates[:relaxed]:
            energy = energies[candidate.formula] + 0.05
            stores.save(
                CalculationDoc(
                    calculation_id=calculation_id(candidate.candidate_id, SCHEME),
                    candidate_id=candidate.candidate_id,
                    scheme=SCHEME,
                    state="completed",
                    candidate=candidate,
                    structure=candidate.structure,
                    initial_energy_per_atom=energy + 1,
                    energy_per_atom=energy,
                    max_force=0.01,
                    n_steps=3,
                    wall_time=5.0,
                    cpu_time=2.0,
                )
            )
    identity = {"sampler": "substitution", "engine": "chgnet", "counts": COUNTS}
    record = {"identity": identity, "versions": {"chgnet": "1"}}
    (folder / "run.json").write_text(json.dumps(record))
    return sample


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "runs").mkdir()
    finished_run(folder / "runs" / "substitution")
    run_benchmark.gather(folder / "runs" / "substitution", folder / "substitution")
    return folder


def test_rows_are_what_was_computed(out):
    rows = read_records(out / "substitution" / run_benchmark.RAW)
    assert sorted(row["formula"] for row in rows) == ["V2O3", "VO2", "VO2"]
    for row in rows:
        assert row["energy_above_hull"] == pytest.approx(0.05, abs=1e-9)
        assert row["initial_energy_above_hull"] == pytest.approx(1.05, abs=1e-9)
        assert row["rmsd_to_relaxed"] == pytest.approx(0, abs=1e-4)
        assert row["is_novel"] is False
        assert row["relaxation_seconds"] == 2.0
    metrics = MetricsDoc.model_validate_json(
        (out / "substitution" / run_benchmark.METRICS).read_text()
    )
    assert metrics.cpu_seconds["relaxation"] == 6.0
    assert metrics.overall.stable["0.1"].count == 3
    kept = json.loads((out / "substitution" / run_benchmark.SAMPLE).read_text())
    assert kept["identity"]["counts"] == COUNTS
    assert "candidates" not in kept


def test_tables_and_figures_need_only_what_is_kept(out, tmp_path):
    kept = tmp_path / "kept"
    for name in ("substitution", "random"):
        shutil.copytree(out / "substitution", kept / name)
    arguments = ["--out", str(kept), "--only-tables", *ARGUMENTS[:2]]
    result = CliRunner().invoke(run_benchmark.main, arguments)
    assert result.exit_code == 0, result.output
    assert "|  | substitution | random |" in result.output
    assert "| ≤ 0.1 eV/atom above hull, relaxed | 100.0 % (3/3) | 100.0 % (3/3) |" in result.output
    document = json.loads((kept / "summary.json").read_text())
    (sun,) = [row["values"] for row in document["rows"] if row["key"] == "sun"]
    assert sun["substitution"]["count"] == 0
    stable = [row for row in document["classes"] if row["key"] == "stable"]
    assert [row["values"]["paper"]["count"] for row in stable] == [56, 33, 91]
    assert [row["values"]["substitution"]["count"] for row in stable] == [2, 1, 3]
    assert document["judge"] == [SCHEME]
    for name in ("formation_energies", "hulls", "above_hull", "cells"):
        assert (kept / f"{name}.png").read_bytes()[:4] == b"\x89PNG"

    # what was judged on another hull is not put beside it
    metrics = json.loads((kept / "random" / run_benchmark.METRICS).read_text())
    metrics["hull_id"] = "another"
    (kept / "random" / run_benchmark.METRICS).write_text(json.dumps(metrics))
    result = CliRunner().invoke(run_benchmark.main, arguments)
    assert result.exit_code == 1
    assert "several hulls" in result.output


def test_what_is_kept_is_compared_again(out, tmp_path):
    shutil.copytree(out / "substitution", tmp_path / "substitution")
    raw = tmp_path / "substitution" / run_benchmark.RAW
    before = read_records(raw)
    wrong = {"is_unique": False, "duplicate_group": "nobody", "is_novel": True, "known_as": None}
    write_records([{**row, **wrong, "max_force": 0.017} for row in before], raw)
    arguments = ["--out", str(tmp_path), "--judge-again", *ARGUMENTS]
    result = CliRunner().invoke(run_benchmark.main, arguments)
    assert result.exit_code == 0, result.output
    # what a calculation says stays as it is
    assert read_records(raw) == [{**row, "max_force": 0.017} for row in before]
    left_out = {"last_updated"}
    metrics, former = (
        MetricsDoc.model_validate_json(
            (folder / "substitution" / run_benchmark.METRICS).read_text()
        )
        for folder in (tmp_path, out)
    )
    assert metrics.model_dump(exclude=left_out) == former.model_dump(exclude=left_out)
    assert (tmp_path / "summary.md").read_text().startswith("|  | substitution |")

    result = CliRunner().invoke(
        run_benchmark.main, ["--out", str(tmp_path), "--judge-again", "--samplers", "random"]
    )
    assert result.exit_code == 1
    assert "no crystals are kept" in result.output


def test_an_unfinished_run_is_not_gathered(tmp_path):
    finished_run(tmp_path, relaxed=2)
    with pytest.raises(InputError, match="1 candidates are not relaxed yet"):
        run_benchmark.gather(tmp_path, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_arguments_are_checked(out):
    for arguments, words in (
        (["--samplers", "wgan,guess"], "'guess' is none of"),
        (["--samplers", "random,random"], "twice"),
        (["--counts", "VO2=0"], "positive"),
        (["--samplers", "random"], "no sampler is finished"),
        ([*ARGUMENTS, "--counts", "VO2=7"], "was asked for"),
    ):
        result = CliRunner().invoke(
            run_benchmark.main, ["--out", str(out), "--only-tables", *arguments]
        )
        assert result.exit_code == 1
        assert words in result.output


def test_rows_are_drawn_by_the_seed_and_written_as_generated(out, tmp_path):
    raw = out / "substitution" / run_benchmark.RAW
    rows = read_records(raw)
    first, again = (check_rows.draw_rows(rows, 2, seed=5) for _ in range(2))
    assert first == again
    chosen = {
        tuple(row["candidate_id"] for row in check_rows.draw_rows(rows, 2, seed))
        for seed in range(20)
    }
    assert len(chosen) == 3
    with pytest.raises(InputError, match="the file has 3"):
        check_rows.draw_rows(rows, 4, seed=5)
    result = CliRunner().invoke(
        check_rows.main, [str(raw), "--rows", "3", "--out", str(tmp_path), "--only-cifs"]
    )
    assert result.exit_code == 0, result.output
    for row in rows:
        path = tmp_path / "cifs" / f"{row['candidate_id']}.cif"
        assert path.read_text() == row[check_rows.GENERATED]
        assert str(path) in result.output


def test_rows_are_compared(out):
    rows = read_records(out / "substitution" / run_benchmark.RAW)[:1]
    same = {
        "state": "ranked", "initial_energy_above_hull": "1.050001",
        "energy_above_hull": "0.049", "is_novel": "no",
    }  # fmt: skip
    name = rows[0]["candidate_id"]
    lines, agree = check_rows.compare(rows, {name: same}, 0.005)
    assert agree
    assert (
        lines[-1] == f"| {name} | ranked / ranked | 1.0500 | 1.0500 | 0.0500 | 0.0490 | no | no |"
    )
    for change in (
        {"energy_above_hull": "0.06"},
        {"initial_energy_above_hull": "1.0"},
        {"state": "collapsed"},
        {"energy_above_hull": ""},
    ):
        assert not check_rows.compare(rows, {name: same | change}, 0.005)[1]


FAKE = """#!{python}
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
folder.mkdir(parents=True)
(folder / "arguments").write_text(" ".join(sys.argv[1:]))
try:
    time.sleep(60)
except KeyboardInterrupt:
    (folder / "interrupted").touch()
    sys.exit(130)
"""


def test_whoever_ends_the_driver_ends_the_run(tmp_path):
    fake = tmp_path / "fake"
    fake.write_text(FAKE.format(python=sys.executable))
    fake.chmod(0o755)
    code = (
        f"import sys; sys.executable = {str(fake)!r}; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        f"import run_benchmark; run_benchmark.main(['--out', {str(tmp_path / 'out')!r}, "
        "'--samplers', 'random', '--workers', '2', '--novel-only'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    folder = tmp_path / "out" / "runs" / "random"
    end = time.monotonic() + 60
    while not (folder / "arguments").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert (folder / "interrupted").exists()
    assert (folder / "arguments").read_text() == (
        "-m atomate2_vogen.cli discover --sampler random --counts VO2=184,V2O3=152,V2O5=115 "
        f"--seed 1 --judge-oversample 1 --novel-only --novelty-margin 1.0 --workers 2 --out {folder}"
    )


@pytest.mark.slow
def test_from_the_request_to_the_tables(tmp_path):
    arguments = ["--samplers", "substitution", "--counts", "VO2=1", "--seed", "3"]
    result = CliRunner().invoke(
        run_benchmark.main, ["--out", str(tmp_path), *arguments, "--workers", "1"]
    )
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "summary.json").read_text())
    rows = {row["key"]: row["values"] for row in document["rows"]}
    folder = tmp_path / "substitution"
    (row,) = read_records(folder / run_benchmark.RAW)
    metrics = json.loads((folder / run_benchmark.METRICS).read_text())
    assert metrics["cpu_seconds"]["relaxation"] == pytest.approx(row["relaxation_seconds"])
    assert row["relaxation_seconds"] > 0
    assert rows["median_before"]["substitution"] == row["initial_energy_above_hull"]
    assert document["samplers"]["substitution"]["identity"]["seed"] == 3
