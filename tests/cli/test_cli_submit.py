"""``vogen submit`` and ``vogen recover``: what they add, print and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from checked_commands import check
from click.testing import CliRunner
from fireworks import FWorker
from toy_potential import toy_potential

from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.recover import ROWS
from atomate2_vogen.flows.recovery import Recovery


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def request(pad, *more):
    return ("submit", "-n", "VO2=2", "--sampler", "substitution", "-l", pad, *more)


def test_the_same_request_is_added_once(launchpad, launchpad_file, database):
    options = ("--store", database, "--seed", 3)
    result = vogen(*request(launchpad_file, *options, "--json"))
    assert result.exit_code == 0, result.output
    added = json.loads(result.stdout)
    assert added["new"]
    assert added["fireworks"] == [1, 2, 3]
    assert added["categories"] == {"sampling": 1, "analysis": 2}
    assert added["next"][0].startswith(f"rlaunch -l {launchpad_file} -w my_fworker.yaml rapidfire")
    assert f"vogen build --store {database}" in added["next"]
    for command in added["next"]:
        check(command)
    again = vogen(*request(launchpad_file, *options))
    assert "already in" in again.stdout
    assert "nothing added" in again.stdout
    assert "Fireworks 1 to 3" in again.stdout
    other = vogen(*request(launchpad_file, *options, "--phonons", "chgnet", "--top", 2))
    assert "added to" in other.stdout
    assert "Fireworks 4 to 7" in other.stdout
    assert launchpad.workflows.count_documents({}) == 2


def test_networks_of_ones_own_travel_through_the_store(launchpad, launchpad_file, database, stores):
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.data.artefact import read_artefact
    from atomate2_vogen.models.shipped import shipped_path
    from atomate2_vogen.schemas import Artefact

    model = shipped_path("paper", VANADIUM)
    asked = ("submit", "-n", "VO2=1", "--model", model, "-l", launchpad_file)
    refused = vogen(*asked)
    assert refused.exit_code == 2
    assert "--store" in refused.stderr
    for _ in range(2):
        result = vogen(*asked, "--store", database)
        assert result.exit_code == 0, result.output
    (kept,) = stores.job_store.query({"metadata.stage": "artefact"}, load=True)
    content = read_artefact(Artefact.model_validate(kept["output"]["artefact"]))
    assert content == model.read_bytes()
    assert stores.data.count() == 1
    assert kept["uuid"] in str(launchpad.fireworks.find_one({"spec._category": "sampling"}))


def test_a_potential_of_ones_own_travels_through_the_store(
    launchpad, launchpad_file, database, stores, tmp_path
):
    from atomate2_vogen.data.artefact import read_artefact
    from atomate2_vogen.schemas import Artefact

    toy_potential().save(tmp_path / "own.npz")
    asked = ("submit", "-n", "VO2=1", "--sampler", "search", "--potential", tmp_path / "own.npz")
    refused = vogen(*asked, "-l", launchpad_file)
    assert refused.exit_code == 2
    assert "--potential: give --store too" in refused.stderr
    result = vogen(*asked, "-l", launchpad_file, "--store", database)
    assert result.exit_code == 0, result.output
    (kept,) = stores.job_store.query({"metadata.stage": "artefact"}, load=True)
    content = read_artefact(Artefact.model_validate(kept["output"]["artefact"]))
    assert content == toy_potential().to_bytes()
    assert kept["uuid"] in str(launchpad.fireworks.find_one({"spec._category": "sampling"}))


def test_references_that_are_not_shipped_are_relaxed_by_the_workers(
    launchpad, launchpad_file, database
):
    from atomate2_vogen.data import oxide_system
    from atomate2_vogen.engines import reference_structures

    asked = ("submit", "--system", "Zr-O", "--sampler", "substitution", "-n", "ZrO2=1")
    result = vogen(*asked, "-l", launchpad_file, "--store", database, "--json")
    assert result.exit_code == 0, result.output
    phases = len(reference_structures(oxide_system("Zr")))
    assert json.loads(result.stdout)["categories"] == {
        "forcefield": 2 * phases, "analysis": phases + 3, "sampling": 1,
    }  # fmt: skip
    (summary,) = launchpad.fireworks.find({"name": "summarise"})
    (collected,) = launchpad.fireworks.find({"name": "collect_references"})
    (workflow,) = launchpad.workflows.find({})
    assert summary["fw_id"] in workflow["links"][str(collected["fw_id"])]


@pytest.mark.parametrize("verb", [("submit",), ("recover", "--dry-run")])
def test_an_error_is_one_line(tmp_path, verb):
    path = tmp_path / "my_launchpad.yaml"
    result = vogen(*verb, "-l", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"vogen: LaunchPadError: {path}")
    path.write_text("host: 127.0.0.1\nport: 1\nmongoclient_kwargs: {serverSelectionTimeoutMS: 50}")
    result = vogen(*verb, "-l", path)
    assert result.exit_code == 1
    assert result.stderr.startswith("vogen: LaunchPadConnectionError: mongodb://127.0.0.1:1/")
    assert len(result.stderr.splitlines()) == 1


def test_recover_tells_what_it_did(launchpad, launchpad_file, database):
    assert set(ROWS) == set(vars(Recovery()))
    vogen(*request(launchpad_file, "--store", database))
    assert "nothing to put right" in vogen("recover", "-l", launchpad_file).stdout
    launched, _ = launchpad.checkout_fw(FWorker(), ".")
    number = launched.fw_id
    asked = ("recover", "-l", launchpad_file, "--lost-after", 0)
    dry = vogen(*asked, "--dry-run")
    assert "would be" in dry.stdout
    assert launchpad.fireworks.find_one({"fw_id": number})["state"] == "RUNNING"
    result = vogen(*asked, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["lost"] == [number]
    assert launchpad.fireworks.find_one({"fw_id": number})["state"] == "READY"


def test_a_dry_run_needs_no_database_and_tells_the_jobs(monkeypatch):
    def refuse(*_):
        raise AssertionError("a dry run opened a LaunchPad")

    monkeypatch.setattr("atomate2_vogen.flows.launchpads.open_launchpad", refuse)
    asked = ["submit", "-n", "VO2=100,V2O3=50", "--sampler", "wgan", "--dry-run"]
    done = CliRunner(env={"COLUMNS": "80"}).invoke(cli, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    by_category: dict[str, int] = {}
    for step in content["steps"]:
        by_category[step["category"]] = by_category.get(step["category"], 0) + step["n_jobs"]
    # two formulas: each sampled and screened, judged together
    assert by_category == {"sampling": 2, "forcefield": 2, "analysis": 1}
    assert 1000 < content["largest_job_bytes"] < 1_000_000
    # means of the committed benchmark
    metrics = Path(__file__).parents[2] / "results" / "benchmark" / "wgan" / "metrics.json"
    measured = json.loads(metrics.read_text())
    each = measured["overall"]["n_delivered"]
    for stage, seconds in content["cpu_seconds"].items():
        assert seconds / 150 == pytest.approx(measured["cpu_seconds"][stage] / each, rel=1e-3)
    text = CliRunner(env={"COLUMNS": "80"}).invoke(cli, asked)
    assert text.exit_code == 0
    assert max(map(len, text.stdout.splitlines())) <= 100
    assert "relaxation 12 min" in text.stdout
    assert "Nothing was added" in text.stdout
    slower = CliRunner().invoke(cli, [*asked, "--engine", "sevennet-l3i5", "--json"])
    ratio = (
        json.loads(slower.stdout)["cpu_seconds"]["relaxation"]
        / content["cpu_seconds"]["relaxation"]
    )
    assert ratio == pytest.approx(430 / 73.8, rel=1e-3)
