"""Commands and code of the README and the documentation run as they are printed, in one folder.

Page after page, in the order of `PAGES`; code goes on where the page before it ended.

Only numbers are changed, by the rules of `SMALLER`: of crystals, attempts, launches, and of crystals
that go on to phonons and bands; and a seed, for one of small cells. Addresses of a MongoDB server
become that of the test's own. GPAW is a stand-in in closed form, and trainings end before their first epoch; samplers,
networks that are shipped, relaxations and the hull are the real ones. Jobs of commands run in the
test's process, those of code in worker processes: `cli/test_cli_discover.py` has commands with them.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import instant_judge
import judged_documents
import numpy as np
import pytest
import standin_gpaw
import vasp_stand_in
from bare_model import bare_model
from checked_commands import check
from click.testing import CliRunner
from fireworks.scripts.rlaunch_run import rlaunch
from materials_project_server import ANSWER, materials_project
from train_tiny import SHORT

from atomate2_vogen.cli.main import cli
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.models.training import pipeline as training
from atomate2_vogen.models.training.pipeline import TrainingResult
from atomate2_vogen.stores import VogenStores

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "docs/install.md",
    "docs/tutorials/first_run.md",
    "docs/tutorials/python.md",
    "docs/tutorials/my_structures.md",
    "docs/tutorials/my_energy_model.md",
    "docs/tutorials/dft.md",
    "docs/tutorials/own_data.md",
    "docs/reference/command_line.md",
    "docs/how_to/report.md",
    "docs/how_to/figures.md",
    "docs/how_to/stores_and_queries.md",
    "docs/how_to/closed_loop.md",
    "docs/how_to/second_opinion.md",
    "docs/how_to/another_oxide.md",
    "docs/how_to/cluster.md",
    "docs/results/benchmark.md",
    "docs/results/finds.md",
    "docs/results/numbers.md",
    "docs/explanation/method.md",
)

SMALLER = [
    (r'\b((?:V|Ti|Ni)\w*O\d?)(=|": )\d+', r"\g<1>\g<2>1"),  # one crystal of each formula
    (r"^vogen (?:discover|sample) (?!.*--counts).*", r"\g<0> --counts VO2=1"),
    (r"^vogen loop (?!.*--counts).*", r"\g<0> --counts VO2=1"),
    (r"(--rounds |rounds=)\d+", r"\g<1>1"),
    (r"^vogen discover .*(?:--phonons|--electronic).*", r"\g<0> --threshold -9"),  # none goes on
    (r"^vogen confirm (?!.*--threshold).*", r"\g<0> --threshold 9"),  # what there is
    (r"^vogen discover .*--model .*", r"\g<0> --max-attempts 16"),
    (r"^rlaunch .*", r"\g<0> --nlaunches 1"),
    (r"--share \S+", "--share 0.001"),
    (r"--sleep 5", "--sleep 1"),
    (r"\bseed=0\b", "seed=1"),  # VO2 of the WGAN with 9 atoms, not 18
]
"""What is replaced in a command or in code, and by what; every rule only changes numbers."""


def blocks(language):
    """Code in a language, with its page and the number of its first line."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for found in re.finditer(rf"```{language}\n(.*?)```", text, re.DOTALL):
            yield page, text[: found.start(1)].count("\n") + 1, found[1]


def commands():
    """Command lines with their places, without comments."""
    for page, first, block in blocks("console"):
        for number, line in enumerate(block.splitlines(), first):
            if command := shlex.join(shlex.split(line, comments=True)):
                yield f"{page}, line {number}", command


def test_every_page_with_code_is_run():
    written = {
        str(page.relative_to(ROOT))
        for page in (ROOT / "docs").rglob("*.md")
        if re.search("```(console|python)", page.read_text(encoding="utf-8"))
    }
    # that of a cluster is run by tests/flows and tests/faults
    assert written - {*PAGES} == {"docs/when_something_goes_wrong.md"}


def test_only_numbers_are_made_smaller():
    """Without numbers, and options that say how many, the text is the printed one."""

    def wordless(text):
        text = re.sub(r"\d+", "0", text)
        many = r" --(?:counts VO0=0|threshold -?0|max-attempts 0|nlaunches 0)$"
        while (shorter := re.sub(many, "", text)) != text:
            text = shorter
        return text

    written = [line for _, line in commands()] + [block for *_, block in blocks("python")]
    assert len(written) > 30
    for text in written:
        assert wordless(smaller(text)) == wordless(text)


def smaller(text):
    """What is run instead."""
    for written, run in SMALLER:
        text = re.sub(written, run, text)
    return text


def make(target):
    """What make would do, as commands."""
    return subprocess.run(
        ["make", "--dry-run", "--always-make", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


def test_what_make_would_run_exists():
    lines = [
        line
        for _, command in commands()
        if command.startswith("make")
        for line in make(command.split()[1])
    ]
    ours = [line.partition(".venv/bin/")[2] for line in lines if ".venv/bin/vogen" in line]
    assert ours
    for line in ours:
        check(line)


def test_scripts_are_there():
    scripts = [command.split()[1] for _, command in commands() if command.startswith("python ")]
    assert scripts
    for script in scripts:  # run by tests/test_examples.py
        assert (ROOT / script).is_file()


@pytest.fixture
def prepared(database, launchpad_file, monkeypatch):
    """What the README takes for granted, in the working folder; how an address is called here."""
    Path("my_crystals").mkdir()
    vasp_stand_in.rutile().to(filename="my_crystals/rutile.cif")
    Path("cifs").mkdir()
    lines = ["file,energy_per_atom"]
    crystals = load_dataset().select(np.arange(60))
    for index, energy in enumerate(crystals.energies.tolist()):
        crystals.structure(index).to(filename=f"cifs/{index}.cif")
        lines.append(f"{index}.cif,{energy}")
    Path("energies.csv").write_text("\n".join(lines) + "\n")
    Path("my_fworker.yaml").write_text("name: any\ncategory: ''\nquery: '{}'\n")
    with VogenStores.open(database, create=True) as stores:
        stores.save([*judged_documents.documents(), *judged_documents.REFERENCES])
    monkeypatch.setenv("GPAW_COMMAND", shlex.join([sys.executable, standin_gpaw.__file__]))

    def untrained(crystals, *_, **__):
        model = bare_model(SHORT, system=crystals.system)
        model.provenance["dataset_id"] = crystals.dataset_id
        return TrainingResult(model, {"wgan": {"loss": [1.0], "critic": [0.0]}}, {}, {}, 0.0)

    monkeypatch.setattr(training, "train_wgan", untrained)

    def here(text):
        server, _, name = database.rpartition("/")
        text = text.replace("mongodb://localhost/vogen", database)
        return text.replace(
            'MongoClient("mongodb://localhost")["vogen"]', f'MongoClient("{server}")["{name}"]'
        )

    return here


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_command_and_every_line_of_code_runs(prepared):
    for place, written in commands():
        command = prepared(smaller(written))
        program, *arguments = shlex.split(command)
        if program == "vogen":
            with pytest.MonkeyPatch.context() as patch:
                instant_judge.work_here(patch)
                with materials_project({"data": ANSWER}):
                    result = CliRunner().invoke(cli, arguments)
            # untrained networks deliver nothing, which is told
            wanted = 1 if "model.zip" in command else 0
            told = f"{place}: {command}\n{result.output}"
            assert result.exit_code == wanted, told
        elif program == "rlaunch":
            rlaunch(arguments)
        else:
            assert program in {"make", "pip", "python"}
    assert Path("trained/model.zip").is_file()
    names = {}
    for page, number, block in blocks("python"):
        code = "\n" * (number - 1) + prepared(smaller(block))
        exec(compile(code, page, "exec"), names)
