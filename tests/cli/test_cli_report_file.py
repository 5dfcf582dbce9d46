"""``vogen report``: a folder in, one file out; what cannot be reported is said."""

from __future__ import annotations

import json

import pytest
import reported
from click.testing import CliRunner

from atomate2_vogen.cli.exports import plain, stability_json
from atomate2_vogen.cli.main import cli
from atomate2_vogen.stores import VogenStores


def vogen(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path):
    whole = reported.whole()
    path = tmp_path / "out"
    with VogenStores.open(path / "store", create=True) as stores:
        for kind in ("stability", "references", "calculations", "electronic", "phonons"):
            stores.save(getattr(whole, kind))
    (path / "run.json").write_text(json.dumps(whole.run))
    (path / "metrics.json").write_text(json.dumps(plain(whole.metrics)))
    (path / "stability.json").write_text(stability_json(whole.stability))
    return path


def test_a_folder_gives_one_file_and_changes_no_other(folder, tmp_path):
    before = {p: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    result = vogen("report", folder)
    assert result.exit_code == 0, result.output
    text = (folder / "report.html").read_text()
    assert "9 of 9 candidates" in result.output
    assert {p: p.read_bytes() for p in before} == before
    assert "of attempts" not in text  # the sample of these metrics is not known
    assert "Phonons: stable" in text
    assert "12.3" in text

    some = json.loads((folder / "stability.json").read_text())[:4]
    (folder / "stability.json").write_text(json.dumps(some))
    result = vogen("report", folder, "--json", "--top", 1, "--out", tmp_path / "b.html")
    told = json.loads(result.output)
    assert (told["candidates"], told["listed"]) == (4, 2)
    assert told["bytes"] == (tmp_path / "b.html").stat().st_size
    assert told["judge"] == reported.SCHEME


def test_what_cannot_be_reported_is_said(folder, tmp_path):
    result = vogen("report", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "not the output folder of a run" in result.output
    (folder / "metrics.json").write_text("{")
    result = vogen("report", folder)
    assert result.exit_code == 2
    assert "metrics.json: no JSON in line 1" in result.output
    (folder / "metrics.json").unlink()
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "judge": "other-1"}))
    result = vogen("report", folder)
    assert result.exit_code == 2
    assert "there is no stability document" in result.output
    assert not (folder / "report.html").exists()
