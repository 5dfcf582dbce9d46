"""``vogen discover`` from end to end: stopped, resumed, reused, rebuilt."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import instant_judge
import psutil
import pytest
from click.testing import CliRunner
from pymatgen.core import Structure

from atomate2_vogen.cli.main import cli
from atomate2_vogen.schemas import CalculationDoc, StabilityDoc
from atomate2_vogen.stores import VogenStores

VOGEN = [sys.executable, "-m", "atomate2_vogen.cli"]
# seed 3 draws cells of 6 and 5 atoms
ARGUMENTS = ["discover", "--sampler", "substitution", "--counts", "VO2=1,V2O3=1", "--seed", "3"]


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.2)
    return found


@pytest.mark.slow
def test_stop_resume_reuse_rebuild(tmp_path: Path):
    out = tmp_path / "out"
    command = [*VOGEN, *ARGUMENTS, "--out", str(out), "--workers", "1"]

    # stop with Ctrl-C, as a terminal does: the whole process group gets the signal
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell makes its background jobs, and what they start, deaf to Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    log = out / "logs" / "worker-0.log"
    # one candidate is recorded and the next has been begun
    wait_for(
        lambda: (
            process.poll() is not None
            or (
                log.exists()
                and "Starting job - initial" in log.read_text().split("record", 1)[-1]
                and "Finished job - record" in log.read_text()
            )
        )
    )
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "The same command goes on from there" in stderr.splitlines()[-1]
    assert "Traceback" not in stderr
    # what multiprocessing keeps beside the workers ends by itself once the parent is gone
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert "E_hull" not in stdout

    # another run may not use the folder
    refused = vogen(*ARGUMENTS[:-1], "4", "--out", out)
    assert refused.exit_code == 2
    assert "--seed is 3 there and 4 here" in refused.stderr

    # the same command goes on
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "2 crystals: 2 completed (1 reused)" in done.stderr
    assert "E_hull" in done.stdout
    rows = list(csv.DictReader((out / "stability.csv").open()))
    assert [row["state"] for row in rows].count("ranked") >= 1
    assert sorted(row["formula"] for row in rows) == ["V2O3", "VO2"]
    for row in rows:
        assert row["candidate_id"] in done.stdout
        structure = Structure.from_file(out / "cifs" / f"{row['candidate_id']}.cif")
        assert structure.composition.reduced_formula == row["formula"]
        assert row["scheme"] == "CHGNet-0.3.0"
        # a substituted prototype; the other one falls apart into layers in vacuum
        assert row["is_novel"] == ("no" if row["state"] == "ranked" else "")
    for name in ("hull.png", "formation_energy.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    record = json.loads((out / "run.json").read_text())
    assert record["identity"]["counts"] == {"VO2": 1, "V2O3": 1}
    assert record["judge"] == "CHGNet-0.3.0"
    assert record["hull_id"] == rows[0]["hull_id"]
    assert record["runs"] == 2
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["overall"]["n_requested"] == 2
    assert metrics["overall"]["sun"]["of_requested"]["count"] == 0
    assert set(metrics["cpu_seconds"]) == {"sampling", "relaxation"}
    assert "S.U.N. at 0.1 eV/atom: 0.0%" in done.stdout
    with VogenStores.open(out / "store") as stores:
        assert len(stores.load(CalculationDoc)) == 2
        ranked = stores.load(StabilityDoc, {"state": "ranked"})
        best = min(ranked, key=lambda doc: doc.energy_above_hull)
    assert float(rows[0]["energy_above_hull"]) == pytest.approx(best.energy_above_hull, abs=1e-6)

    # and once more: nothing is computed
    again = vogen(*ARGUMENTS, "--out", out)
    assert again.exit_code == 0, again.output
    assert "2 crystals from" in again.stderr
    assert "2 crystals: 2 completed (reused)" in again.stderr
    assert again.stderr.count("(reused)") == 3
    assert again.stdout == done.stdout
    told = json.loads(vogen(*ARGUMENTS, "--out", out, "--json").stdout)
    assert {c["candidate_id"] for c in told["candidates"]} == {r["candidate_id"] for r in rows}
    assert told["metrics"]["overall"] == metrics["overall"]
    assert (told["electronic"], told["phonons"]) == ([], [])

    # the table can be rebuilt from the store alone
    for name in ("stability.csv", "stability.json"):
        (out / name).unlink()
    built = vogen("build", out, "--json")
    assert built.exit_code == 0, built.output
    assert len(json.loads(built.stdout)["candidates"]) == 2
    assert list(csv.DictReader((out / "stability.csv").open())) == rows


def test_sample_writes_what_was_asked_for(tmp_path: Path, monkeypatch):
    instant_judge.work_here(monkeypatch)
    out = tmp_path / "out"
    arguments = ("sample", "--sampler", "substitution", "--counts", "VO2=3,V2O5=2", "--out", out)
    result = vogen(*arguments)
    assert result.exit_code == 0, result.output
    document = json.loads((out / "candidates.json").read_text())
    formulas = [candidate["formula"] for candidate in document["candidates"]]
    assert sorted(formulas) == ["V2O5"] * 2 + ["VO2"] * 3
    for candidate in document["candidates"]:
        structure = Structure.from_file(out / "cifs" / f"{candidate['candidate_id']}.cif")
        assert structure.composition.reduced_formula == candidate["formula"]
        assert structure.matches(Structure.from_dict(candidate["structure"]))
    assert len(list((out / "cifs").iterdir())) == 5
    again = vogen(*arguments, "--json")
    assert "(reused)" not in again.stdout
    assert json.loads(again.stdout)["candidates"] == document["candidates"]


def test_formulas_are_sampled_side_by_side_and_kept_one_by_one(tmp_path: Path):
    def ids(out, workers):
        result = vogen(
            *("sample", "--sampler", "random", "--counts", "V2O3=1,VO2=2", "--seed", "4"),
            *("--out", out, "--workers", workers),
        )
        assert result.exit_code == 0, result.output
        document = json.loads((out / "candidates.json").read_text())
        assert list(document["requested"]) == ["V2O3", "VO2"]
        return [candidate["candidate_id"] for candidate in document["candidates"]]

    first = ids(tmp_path / "one", 1)
    assert first == ids(tmp_path / "two", 2)
    assert [name.split("-")[0] for name in first] == ["V2O3", "VO2", "VO2"]
    # one formula is lost from the store, as if the run had been killed before its end
    with VogenStores.open(tmp_path / "one" / "store") as stores:
        stores.job_store.remove_docs({"output.requested": {"V2O3": 1}})
    assert ids(tmp_path / "one", 1) == first
    stages = json.loads((tmp_path / "one" / "run.json").read_text())["stages"]
    assert [stage["reused"] for stage in stages if stage["stage"] == "sampling"] == [0, 1]


def test_a_pool_that_is_used_up_is_said(tmp_path: Path, monkeypatch):
    instant_judge.work_here(monkeypatch)
    result = vogen(
        "sample", "--sampler", "substitution", "--counts", "V2O5=400", "--out", tmp_path / "out"
    )
    assert result.exit_code == 0
    assert "fewer than asked for" in result.stderr
    document = json.loads((tmp_path / "out" / "candidates.json").read_text())
    assert len(document["candidates"]) < 400
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["stages"][0]["stage"] == "sampling"
