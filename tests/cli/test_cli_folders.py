"""Every command takes the folder that another one wrote, or says what is missing in it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import instant_judge
import pytest
from click.testing import CliRunner

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.cli import reconstruct
from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.sampling_options import model_option
from atomate2_vogen.cli.session import open_run
from atomate2_vogen.errors import StoreAddressError
from atomate2_vogen.schemas import CalculationDoc
from atomate2_vogen.stores import VogenStores
from atomate2_vogen.stores.embedded import holds_store
from atomate2_vogen.structures.reading.structures import read_structures

FOLDERS = ("discover", "evaluate", "sample", "train", "reconstruct", "query")


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """One folder of each command that writes one; training and decoding themselves are left out."""
    top = tmp_path_factory.mktemp("folders")
    with pytest.MonkeyPatch.context() as patch:
        instant_judge.use(patch)
        patch.chdir(top)
        instant_judge.crystal("VO2").to(filename="rutile.cif")
        few = ("--sampler", "substitution", "-n", "VO2=1")
        for command in (
            ("discover", *few, "-j", 1, "--out", "discover"),
            ("sample", *few, "--out", "sample"),
            ("evaluate", "rutile.cif", "--out", "evaluate"),
            ("query", "evaluate", "--cifs", "query"),
        ):
            result = vogen(*command)
            assert result.exit_code == 0, result.output
    with open_run(top / "train", "train", {"seed": 0}, Voice(quiet=True)) as run:
        run.folder.write("model.zip", b"networks")
        run.folder.write("training.json", "{}")
    decoded = SimpleNamespace(
        name="rutile", decoded=instant_judge.crystal("VO2"), row=lambda: {"name": "rutile"}
    )
    reconstruct.write(top / "reconstruct", "abc", [decoded], "{}\n")
    return top


@pytest.fixture(autouse=True)
def quick(monkeypatch, written):
    instant_judge.use(monkeypatch)
    monkeypatch.chdir(written)


@pytest.mark.parametrize("folder", FOLDERS)
def test_crystals_are_read_from_any_folder_that_holds_some(folder, tmp_path):
    result = vogen("evaluate", folder, "--json")
    told = json.loads(result.stdout)
    if folder == "train":
        assert result.exit_code == 2
        assert "train: no structure files" in told["bad"][0]["message"]
        return
    assert result.exit_code == 0, result.output
    (file,) = told["files"]
    place = folder if folder == "query" else f"{folder}/cifs"
    assert Path(file["file"]).parent == Path(place)
    # the same crystals as by the name of the folder within; `vogen reconstruct` reads them so too
    (one,), (other,) = read_structures([folder])[0], read_structures([place])[0]
    assert (one.label, one.structure) == (other.label, other.structure)
    # and the result can be kept, and evaluated in its turn
    assert vogen("evaluate", folder, "--out", tmp_path / "kept").exit_code == 0
    assert vogen("evaluate", tmp_path / "kept", "--json").exit_code == 0


def test_reconstruct_reads_the_same_folders(monkeypatch):
    asked = []

    def read(paths, system):
        asked.extend(read_structures(paths, system)[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(reconstruct, "_load", lambda _: SimpleNamespace(system=VANADIUM))
    monkeypatch.setattr("atomate2_vogen.structures.reading.structures.read_structures", read)
    vogen("reconstruct", "sample", "discover")
    assert [file.path.parent.parent.name for file in asked] == ["sample", "discover"]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("command", ["build", "query", "report"])
def test_folders_of_runs_are_taken_or_it_is_said_what_is_missing(command, folder, tmp_path):
    more = ("--out", tmp_path / "report.html") if command == "report" else ()
    result = vogen(command, folder, *more)
    expected = {
        ("build", "sample"): (0, "No calculations in this store yet"),
        ("build", "train"): (0, "No calculations in this store yet"),
        ("build", "reconstruct"): (2, "no store in it"),
        ("build", "query"): (2, "not the output folder of a run"),
        ("query", "sample"): (0, "No crystal of this store has been judged yet"),
        ("query", "train"): (0, "No crystal of this store has been judged yet"),
        ("query", "reconstruct"): (2, "no store in it"),
        ("query", "query"): (2, "no store in it"),
        ("report", "sample"): (2, "nothing to report"),
        ("report", "train"): (2, "nothing to report"),
        ("report", "reconstruct"): (2, "not the output folder of a run"),
        ("report", "query"): (2, "not the output folder of a run"),
    }
    code, words = expected.get((command, folder), (0, "VO2" if command != "report" else "1 of 1"))
    assert result.exit_code == code, result.output
    assert words in result.output
    assert not holds_store(Path(folder))  # none is made beside that of the run


@pytest.mark.parametrize("folder", ["discover", "evaluate", "sample", "train"])
def test_the_store_of_a_run_is_opened_by_its_folder(folder):
    with VogenStores.open(folder) as stores:
        assert stores.where == str(Path(folder, "store").resolve())
        assert len(stores.load(CalculationDoc)) == (folder in {"discover", "evaluate"})
    result = vogen("build", "--store", folder, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["written"] == 0
    with pytest.raises(StoreAddressError):
        VogenStores.open("reconstruct")


def test_networks_are_taken_from_the_folder_of_a_training():
    import click

    @click.command()
    @model_option
    def show(model):
        click.echo(str(model))

    runner = CliRunner()
    assert runner.invoke(show, ["--model", "train"]).output == "train/model.zip\n"
    assert runner.invoke(show, ["--model", "train/model.zip"]).output == "train/model.zip\n"
    result = vogen("sample", "--model", "sample", "--out", "never")
    assert result.exit_code == 2
    assert "--model sample: no model.zip in this folder" in result.output


@pytest.mark.parametrize("command", ["sample", "discover", "train", "reconstruct", "evaluate"])
def test_the_folder_of_another_command_is_not_written_into(command):
    other = "sample" if command != "sample" else "discover"
    before = {file: file.read_bytes() for file in Path(other).rglob("*") if file.is_file()}
    arguments = {
        "reconstruct": (),
        "evaluate": ("rutile.cif",),
        "train": (),
    }.get(command, ("--sampler", "substitution", "-n", "VO2=1"))
    if command == "reconstruct":
        with pytest.raises(ValueError, match="holds another run"):
            reconstruct.write(Path(other), "abc", [], "{}\n")
    else:
        result = vogen(command, *arguments, "--out", other)
        assert result.exit_code == 2
        assert "holds another run" in result.output
    assert {file: file.read_bytes() for file in before} == before


def test_crystals_of_the_output_folder_are_no_inputs():
    for inside in ("evaluate", "evaluate/cifs", "evaluate/../evaluate"):
        result = vogen("evaluate", inside, "--out", "evaluate")
        assert result.exit_code == 2
        assert f"{inside}: lies in the output folder" in result.output
