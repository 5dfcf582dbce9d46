"""Output folders and stores that somebody edited: errors that name file and field, no file astray."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import small_run
from click.testing import CliRunner

from atomate2_vogen.cli.main import cli
from atomate2_vogen.schemas import StabilityDoc
from atomate2_vogen.stores import VogenStores


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return small_run.shared(tmp_path_factory.mktemp("edited") / "run")


@pytest.fixture
def folder(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "deep" / "out"))


def vogen(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def edit(path, change):
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content)))


def without(name):
    return lambda content: {k: v for k, v in content.items() if k != name}


def with_(**values):
    return lambda content: {**content, **values}


RUN = [
    (without("identity"), "identity: Field required"),
    (without("command"), "command"),
    (with_(format=2), "format"),
    (with_(identity=[1]), "identity"),
    (with_(identity={"system": [1]}), "system"),
    (with_(identity={"system": {"metal": ["V"]}}), "system"),
    (with_(judge=["x"]), "judge"),
    (with_(judge={"$gt": ""}), "judge"),
    (with_(runs="three"), "runs"),
    (with_(runs=None), "runs"),
    (with_(stages={"a": 1}), "stages"),
    (with_(stages=[{"stage": []}]), r"stages.0.stage"),
    (with_(versions=[1]), "versions"),
    (lambda _: [1, 2], "run.json"),
    (lambda _: None, "run.json"),
]


@pytest.mark.parametrize(("change", "words"), RUN)
@pytest.mark.parametrize("command", ["report", "build"])
def test_a_record_that_was_edited(folder, change, words, command):
    edit(folder / "run.json", change)
    result = vogen(command, folder)
    assert result.exit_code == 2
    assert words in result.output
    assert "run.json" in result.output or "system" in words


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, '{"a": ' + "9" * 5000 + "}", "\0", "\ud800"])
@pytest.mark.parametrize("name", ["run.json", "metrics.json", "stability.json"])
def test_files_that_cannot_be_read(folder, name, text):
    (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    result = vogen("report", folder)
    assert result.exit_code == 2
    assert name in result.output


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("metrics.json", without("overall"), "overall: Field required"),
        ("metrics.json", with_(overall=[]), "overall"),
        ("metrics.json", with_(novelty_pool=3), "novelty_pool"),
        ("stability.json", with_ and (lambda _: {}), "no list of documents"),
        ("stability.json", lambda docs: [*docs, {}], "document 9 has no candidate_id"),
        ("stability.json", lambda docs: [{**docs[0], "candidate_id": [1]}], "document 0 has no"),
    ],
)
def test_tables_that_were_edited(folder, name, change, words):
    edit(folder / name, change)
    result = vogen("report", folder)
    assert result.exit_code == 2
    assert name in result.output
    assert words in result.output


def rewritten(folder, collection, change):
    """Change the first document of a collection as another program would; its key."""
    with VogenStores.open(folder / "store") as stores:
        store = getattr(stores, collection)
        content = min(store.query(), key=lambda document: str(document[store.key]))
        key = content.pop("_id")
        store.remove_docs({store.key: content[store.key]})
        changed = {**content, **change}
        store._collection.insert_one({"_id": "edited", **changed})
    return key


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["../../astray", "../astray", "/{root}/astray", "a/b", "..", "\n"])
@pytest.mark.parametrize("collection", ["calculations", "stability"])
def test_no_document_writes_outside_the_folder(folder, tmp_path, name, collection):
    name = name.replace("{root}", str(tmp_path).strip("/"))
    rewritten(folder, collection, {"candidate_id": name})
    if collection == "calculations":
        with VogenStores.open(folder / "store") as stores:
            held = stores.calculations.query_one({"_id": "edited"}) or {}
        candidate = {**held.get("candidate", {}), "candidate_id": name}
        rewritten(folder, collection, {"candidate_id": name, "candidate": candidate})
    before = files(tmp_path)
    for words in (
        ["build", folder],
        ["query", folder, "--state", "any", "--cifs", folder / "found"],
    ):
        vogen(*words)
    new = {path for path in files(tmp_path) - before if not path.startswith("deep/out/")}
    assert not new
    assert not [path for path in files(folder) if "astray" in path]


@pytest.mark.parametrize(
    "change",
    [
        {"structure": {"lattice": 1, "sites": 2}},
        {"structure": [1]},
        {"state": "excellent"},
        {"candidate_id": {"a": 1}},
        {"candidate_id": ["a"]},
        {"energy_per_atom": "low"},
        {"formula": 7},
        {"last_updated": "never"},
        {"candidate": None},
    ],
)
@pytest.mark.parametrize("command", ["report", "build"])
def test_a_damaged_document_hides_no_other(folder, change, command, caplog):
    for collection in ("calculations", "stability"):
        rewritten(folder, collection, change)
    result = vogen(command, folder)
    assert result.exit_code == 0, result.output
    with VogenStores.open(folder / "store") as stores:
        shown = [doc.candidate_id for doc in stores.iterate(StabilityDoc)]
    text = (folder / "report.html").read_text() if command == "report" else result.output
    assert len(shown) >= 8
    assert sum(name in text for name in shown) >= 8


@pytest.mark.parametrize("words", [["--formula", "V" + "9" * 400], ["--formula", "(" * 3000 + "V"]])
def test_formulas_that_no_number_holds(folder, words):
    result = vogen("query", folder, *words)
    assert result.exit_code == 2
    assert "not a chemical formula" in result.output


@pytest.mark.parametrize("option", ["--csv", "--cifs"])
def test_targets_that_no_file_can_have(folder, option):
    result = vogen("query", folder, option, "nul\0nul")
    assert result.exit_code == 2
    assert "NUL" in result.output


def test_a_link_as_a_target_stays_one(folder, tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert vogen("query", folder, "--state", "any", "--csv", tmp_path / "link.csv").exit_code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("stability_id")
