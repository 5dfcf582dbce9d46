"""Output folders: whose run they hold, and that nothing is ever half-written."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from atomate2_vogen.cli.output import RUN_FILE, OutputFolder
from atomate2_vogen.cli.written import WRITTEN_FILE
from atomate2_vogen.errors import OutputFolderError

IDENTITY = {"seed": 0, "counts": {"VO2": 8, "V2O3": 4}, "sampler": "wgan"}


def open_folder(path: Path, command: str = "discover", **changes) -> OutputFolder:
    with OutputFolder(path, command, IDENTITY | changes) as folder:
        return folder


def test_same_run_goes_on(tmp_path: Path):
    with OutputFolder(tmp_path / "a" / "b", "discover", IDENTITY) as folder:
        assert not folder.resumed
        with folder.stage("sampling") as notes:
            notes["made"] = 3
    with OutputFolder(tmp_path / "a" / "b", "discover", IDENTITY) as folder:
        assert folder.resumed
    record = json.loads((tmp_path / "a" / "b" / RUN_FILE).read_text())
    assert record["runs"] == 2
    assert record["identity"] == IDENTITY
    (stage,) = record["stages"]
    assert (stage["run"], stage["stage"], stage["made"]) == (1, "sampling", 3)
    assert stage["seconds"] >= 0
    assert record["versions"]["python"]


@pytest.mark.parametrize(
    ("command", "changes", "words"),
    [
        ("discover", {"seed": 1}, "--seed is 0 there and 1 here"),
        (
            "discover",
            {"counts": {"VO2": 8}},
            "--counts is VO2=8,V2O3=4 there and VO2=8 here",
        ),
        ("sample", {}, "command is discover there and sample here"),
        ("discover", {"preset": "quick"}, "--preset is not given there and quick here"),
    ],
)
def test_another_run_is_refused(tmp_path: Path, command, changes, words):
    open_folder(tmp_path / "out")
    before = (tmp_path / "out" / RUN_FILE).read_bytes()
    with pytest.raises(OutputFolderError, match="holds another run") as caught:
        open_folder(tmp_path / "out", command, **changes)
    assert words in str(caught.value)
    assert "give another --out" in str(caught.value)
    assert (tmp_path / "out" / RUN_FILE).read_bytes() == before


def test_foreign_files_are_refused_and_kept(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputFolderError, match=r"not a run's \(thesis.tex\)"):
        open_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"identity": {}, "format": 99}', "\0"])
def test_unreadable_record_is_refused(tmp_path: Path, content):
    (tmp_path / RUN_FILE).write_text(content)
    with pytest.raises(OutputFolderError, match=r"run\.json"):
        open_folder(tmp_path)
    assert (tmp_path / RUN_FILE).read_text() == content


def test_file_in_place_of_the_folder(tmp_path: Path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputFolderError, match="cannot be made"):
        open_folder(tmp_path / "out")
    with pytest.raises(OutputFolderError, match="cannot be made"):
        open_folder(tmp_path / "out" / "below")


def test_adopting_needs_a_run(tmp_path: Path):
    with (
        pytest.raises(OutputFolderError, match="not the output folder of a run"),
        OutputFolder(tmp_path / "none", "build", None),
    ):
        pass
    assert not (tmp_path / "none").exists()
    open_folder(tmp_path / "out")
    with OutputFolder(tmp_path / "out", "build", None) as folder:
        assert folder.record["command"] == "discover"


def _try_to_open(path, answer):
    try:
        open_folder(path)
        answer.put("opened")
    except OutputFolderError as error:
        answer.put(str(error))


def test_only_one_process_at_a_time(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    with OutputFolder(tmp_path, "discover", IDENTITY):
        process = context.Process(target=_try_to_open, args=(tmp_path, answer))
        process.start()
        assert "another vogen is at work" in answer.get(timeout=60)
        process.join()
    open_folder(tmp_path)


def test_full_disk_is_a_typed_error(tmp_path: Path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    def draw(folder):
        with folder.replacing("hull.png") as draft:
            draft.write_bytes(b"x")

    with OutputFolder(tmp_path, "discover", IDENTITY) as folder:
        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(OutputFolderError, match="No space"):
            folder.write("stability.csv", "x")
        with pytest.raises(OutputFolderError, match="No space"):
            draw(folder)
    names = {entry.name for entry in tmp_path.iterdir()}
    assert names == {RUN_FILE, ".lock", WRITTEN_FILE}  # no draft, and no half of a file
