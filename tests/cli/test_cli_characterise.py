"""Bands and phonons of the best crystals from the command line: run, reused, failed, drawn."""

from __future__ import annotations

import json

import cheap_engine
import instant_judge
import judged_documents
import pytest
import toy_engines
from click.testing import CliRunner

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.cli import makers
from atomate2_vogen.cli.characterise import show
from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.main import cli
from atomate2_vogen.cli.sampling_options import SamplingOptions
from atomate2_vogen.cli.session import open_run
from atomate2_vogen.cli.tables import failures
from atomate2_vogen.engines import loading
from atomate2_vogen.errors import EngineCapabilityError
from atomate2_vogen.jobs import characterise_best
from atomate2_vogen.schemas import (
    DiscoveryDoc,
    ElectronicCharacter,
    ElectronicDoc,
    PhononDoc,
    PhononVerdict,
)


def judged(name, structure):
    update = {"candidate_id": name, "structure": structure}
    return judged_documents.document("VO2", 0.05, 1).model_copy(update=update)


def broken():
    return toy_engines.lj("broken")


def astray():
    return toy_engines.toy_dft("static")


@pytest.fixture(autouse=True)
def here(monkeypatch):
    instant_judge.work_here(monkeypatch)


@pytest.fixture
def by_name(monkeypatch):
    made = {
        "toy": "toy_engines:toy_dft",
        "lj": "toy_engines:lj",
        "broken": f"{__name__}:broken",
        "astray": f"{__name__}:astray",
    }
    table = {name: loading.EngineName(function) for name, function in made.items()}
    monkeypatch.setattr(loading, "ENGINES", loading.ENGINES | table)


def noted(folder, name):
    """What `run.json` says of the last stage of a name."""
    record = json.loads((folder / "run.json").read_text())
    return [stage for stage in record["stages"] if stage["stage"] == name][-1]


def run(folder, wanted, chosen):
    """Documents, names of files, and what the store holds of the first crystal.

    The stages of a discovery whose crystals are these.
    """
    summary = DiscoveryDoc(
        scheme=judged_documents.SCHEME,
        sample={},
        n_candidates=len(chosen),
        n_calculated=len(chosen),
        stability=chosen,
    )
    maker = makers.discovery_maker(
        VANADIUM,
        "substitution",
        "paper",
        SamplingOptions(),
        **{"engine": "chgnet", "electronic": None, "phonons": None, **wanted},
        top=len(chosen) or 1,
        threshold=1,
    )
    best = characterise_best(summary, maker.electronic, maker.phonons, maker.top, maker.threshold)
    with open_run(folder, "discover", {"test": 1}, Voice(), VANADIUM) as pipeline:
        pipeline.stores.save(
            [d.model_copy(update={"stability_id": d.candidate_id}) for d in chosen]
        )
        documents, written = show(pipeline, pipeline.run(best, 2), list(wanted))
        kept = {
            kind: pipeline.stores.load(kind, {"candidate_id": chosen[0].candidate_id})
            for kind in (ElectronicDoc, PhononDoc)
            if chosen
        }
    return documents, written, kept


def test_phonons_are_run_drawn_kept_and_reused(tmp_path, by_name):
    crystals = [judged(name, toy_engines.fcc(a)) for name, a in (("first", 5.3), ("second", 5.2))]
    documents, written, kept = run(tmp_path, {"phonons": "lj"}, crystals)
    assert [d.candidate_id for d in documents] == ["first", "second"]
    assert {d.phonons.verdict for d in documents} == {PhononVerdict.STABLE}
    assert written == ["phonons.json", "phonons/ (2 files)"]
    assert (tmp_path / "phonons" / "first.png").read_bytes()[:4] == b"\x89PNG"
    listed = json.loads((tmp_path / "phonons.json").read_text())
    assert [entry["phonons"]["verdict"] for entry in listed] == ["stable", "stable"]
    assert listed[0]["force_constants"] is None
    assert kept[PhononDoc][0].force_constants is not None
    assert noted(tmp_path, "phonons")["failed"] == 0

    again, _, _ = run(tmp_path, {"phonons": "lj"}, crystals)
    assert [d.last_updated for d in again] == [d.last_updated for d in documents]
    assert noted(tmp_path, "phonons")["reused"] == 2

    # fewer are asked for: what is known of the others is shown as well, as queries do
    fewer, written, _ = run(tmp_path, {"phonons": "lj"}, crystals[:1])
    assert [d.candidate_id for d in fewer] == ["first"]
    assert written == ["phonons.json", "phonons/ (2 files)"]
    assert json.loads((tmp_path / "phonons.json").read_text()) == listed
    pictures = {path.name for path in (tmp_path / "phonons").iterdir()}
    assert pictures == {"first.png", "second.png"}


def test_what_fails_is_told_and_the_rest_goes_on(tmp_path, by_name):
    crystals = [
        judged("cursed", toy_engines.fcc(5.3)),
        judged("oxide", cheap_engine.candidate("VO2").structure),
    ]
    wanted = {"electronic": "toy", "phonons": "broken"}
    documents, written, kept = run(tmp_path, wanted, crystals)
    assert [type(d) for d in documents] == [ElectronicDoc] * 2 + [PhononDoc] * 2
    assert {d.electrons.character for d in documents[:2]} == {ElectronicCharacter.HALF_METAL}
    assert documents[2].phonons is None
    assert "the displaced cell is cursed" in documents[2].error
    assert any("the displaced cell is cursed" in line for line in failures(documents))
    assert "electronic/ (2 files)" in written
    assert kept[PhononDoc][0].error == documents[2].error


def test_nothing_below_the_threshold_is_a_result(tmp_path, by_name):
    assert run(tmp_path, {"phonons": "lj"}, [])[:2] == ([], ["phonons.json"])


def test_an_engine_without_bands_is_refused_before_any_work(by_name, tmp_path):
    with pytest.raises(EngineCapabilityError, match="lj has no band structure Maker"):
        run(tmp_path, {"electronic": "lj"}, [])


def test_missing_vasp_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)
    arguments = ["discover", "--electronic", "vasp", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "EngineSetupError" in result.output
    assert not (tmp_path / "out" / "cifs").exists()


@pytest.mark.slow
def test_a_finished_discovery_goes_on_to_phonons(tmp_path):
    arguments = ["discover", "--sampler", "substitution", "--counts", "VO2=1", "--seed", "21"]
    arguments += ["--out", str(tmp_path), "--workers", "1"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    result = CliRunner().invoke(cli, [*arguments, "--phonons", "chgnet", "--threshold", "1"])
    assert result.exit_code == 0, result.output
    (entry,) = json.loads((tmp_path / "phonons.json").read_text())
    assert entry["state"] == "completed"
    assert entry["phonons"]["verdict"] in result.output
    assert len(list((tmp_path / "phonons").glob("*.png"))) == 1
    assert noted(tmp_path, "relaxation")["reused"] == 1
    again = CliRunner().invoke(
        cli, [*arguments, "--phonons", "chgnet", "--threshold", "1", "--json"]
    )
    (told,) = json.loads(again.stdout)["phonons"]
    assert told["phonons"]["verdict"] == entry["phonons"]["verdict"]
    assert "force_constants" not in told
