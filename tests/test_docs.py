"""Commands and files that the documentation names exist, with these options and fields."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from checked_commands import check
from fireworks import FWorker, fw_config
from ruamel.yaml import YAML

from atomate2_vogen.jobs.placement import CATEGORIES

ROOT = Path(__file__).parents[1]
PAGES = ("docs/when_something_goes_wrong.md", "examples/fireworks/README.md")
SCHEMA = Path(__file__).parent / "support" / "jobflow_remote_project.json"


def commands(page):
    """Commands of a page, in code blocks and in running text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    running = [" ".join(found.split()) for found in re.findall(r"`((?:lpad|vogen)\s[^`]+)`", text)]
    lines = [line.strip().removeprefix("(cd launches && ") for line in blocks.splitlines()]
    lines = [line.removesuffix(")") if "(" not in line else line for line in lines]
    return [line for line in [*lines, *running] if re.match(r"(vogen|lpad|rlaunch) ", line)]


COMMANDS = sorted({command for page in PAGES for command in commands(page)})


def test_every_command_exists():
    assert len(COMMANDS) > 20
    for command in COMMANDS:
        check(command)


@pytest.mark.parametrize("command", ["lpad get_fws --nonsense", "rlaunch rapidfire --sleeps 1"])
def test_the_check_finds_what_does_not(command):
    with pytest.raises(SystemExit):
        check(command)


def test_links_lead_somewhere():
    pages = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))
    for page in ("README.md", "CONTRIBUTING.md", "examples/fireworks/README.md", *pages):
        if page.startswith("docs/_build"):
            continue
        text = (ROOT / page).read_text(encoding="utf-8")
        anchors = {
            re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in text.splitlines()
            if line.startswith("#")
        }
        for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in anchors, target
            else:
                path = target.partition("#")[0]
                assert (ROOT / page).parent.joinpath(path).exists(), f"{page}: {target}"


def read(name):
    return YAML(typ="safe", pure=True).load((ROOT / "examples" / name).read_text(encoding="utf-8"))


def test_workers_take_every_category_between_them():
    files = sorted((ROOT / "examples" / "fireworks").glob("my_fworker_*.yaml"))
    workers = [FWorker.from_file(str(file)) for file in files]
    assert sorted(c for worker in workers for c in worker.category) == sorted(CATEGORIES)
    assert all("$in" in worker.query["spec._category"] for worker in workers)


def test_settings_are_those_of_fireworks():
    settings = read("fireworks/FW_config.yaml")
    assert {*settings} <= {*vars(fw_config)}
    assert settings["RUN_EXPIRATION_SECS"] == 4 * settings["PING_TIME_SECS"]


def test_the_job_store_is_the_one_that_the_database_is_opened_with(monkeypatch):
    from atomate2_vogen.stores.opening import plan_for

    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(ROOT / "examples/fireworks/jobflow.yaml"))
    settings, by_uri = plan_for(None), plan_for("mongodb://localhost/vogen")
    for one, other in (
        (settings.job_store.docs_store, by_uri.job_store.docs_store),
        (settings.data, by_uri.data),
    ):
        assert (one.database, one.collection_name) == (other.database, other.collection_name)
    assert settings.data.key == by_uri.data.key


def test_the_project_of_jobflow_remote():
    """Against its own schema: it asks for an older pymongo than the rest of the stack."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    project = read("jobflow_remote/vogen.yaml")
    jsonschema.validate(project, schema)
    # the schema says no
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**project, "colour": 1}, schema)
    broken = {"type": "remote", "scheduler_type": "slurm"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**project, "workers": {"cluster": broken}}, schema)
    store = read("fireworks/jobflow.yaml")["JOB_STORE"]
    for part in (
        project["jobstore"]["docs_store"],
        project["jobstore"]["additional_stores"]["data"],
    ):
        assert part["database"] == store["docs_store"]["database"]
