"""``vogen query``: what it prints and writes, and how it refuses."""

from __future__ import annotations

import csv
import io
import json

import many_documents
import pytest
from click.testing import CliRunner
from pymatgen.core import Structure

from atomate2_vogen.cli.main import cli
from atomate2_vogen.schemas import CalculationDoc, CalculationState, CandidateDoc
from atomate2_vogen.schemas.calculations import calculation_id
from atomate2_vogen.stores import VogenStores

STABILITY = list(many_documents.stability(60, seed=3))
CHOSEN = [d for d in STABILITY if d["state"] == "ranked"][:20]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An output folder with a store in it."""
    folder = tmp_path_factory.mktemp("run")
    with VogenStores.open(folder / "store", create=True) as stores:
        stores.stability._collection.insert_many([dict(d) for d in STABILITY])
        stores.electronic._collection.insert_many(list(many_documents.electronic(CHOSEN)))
        stores.phonons._collection.insert_many(list(many_documents.phonons(CHOSEN)))
    return folder


def vogen(*arguments):
    return CliRunner().invoke(cli, ["query", *map(str, arguments)])


def found(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["crystals"]


def test_json_has_the_rows_that_the_store_gives(folder):
    rows = found(vogen(folder, "--json", "--max-hull", "0.3"))
    with VogenStores.open(folder / "store") as stores:
        assert rows == [row.model_dump() for row in stores.query(max_hull=0.3)]
    assert rows


def test_options_are_the_conditions_of_the_filter(folder):
    arguments = {
        ("--novel", "--unique"): {"novel": True, "unique": True},
        ("--known",): {"novel": False},
        ("--formula", "VO2", "--formula", "O3V2"): {"formula": ("VO2", "V2O3")},
        ("--class", "stable"): {"paper_class": "stable"},
        ("--field-class", "near hull"): {"field_class": "near hull"},
        ("--min-hull", "0.5"): {"min_hull": 0.5},
        ("--half-metal",): {"half_metal": True},
        ("--character", "metal"): {"character": "metal"},
        ("--gap", "0.1:2"): {"min_gap": 0.1, "max_gap": 2},
        ("--gap", ":1"): {"max_gap": 1},
        ("--stable-phonons",): {"stable_phonons": True},
        ("--phonons", "soft"): {"phonons": "soft"},
        ("--sampler", "wgan"): {"sampler": "wgan"},
        ("--model", "model1"): {"model_id": "model1"},
        ("--scheme", "CHGNet-0.3.0"): {"scheme": "CHGNet-0.3.0"},
        ("--space-group", "12"): {"space_group": 12},
        ("--state", "failed"): {"state": "failed"},
        ("--state", "any"): {"state": None},
        ("--sort", "-natoms", "--limit", "3"): {"sort": "-natoms", "limit": 3},
    }
    with VogenStores.open(folder / "store") as stores:
        for options, conditions in arguments.items():
            expected = [row.model_dump() for row in stores.query(**conditions)]
            assert found(vogen(folder, "--json", *options)) == expected, options


def test_a_table_shows_twenty_and_says_that_there_are_more(folder):
    result = vogen(folder)
    assert result.exit_code == 0
    assert sum(d["candidate_id"] in result.stdout for d in STABILITY) == 20
    assert "--limit 0 shows all" in result.stdout
    every = vogen(folder, "--limit", "0").stdout
    ranked = [d for d in STABILITY if d["state"] == "ranked"]
    assert sum(d["candidate_id"] in every for d in ranked) == len(ranked)
    assert "there are more" not in every
    assert "GPAW-PBE" in every


def test_nothing_found_is_no_error(folder):
    result = vogen(folder, "--max-hull", "-3")
    assert result.exit_code == 0
    assert "No crystal meets these conditions" in result.stdout
    assert found(vogen(folder, "--max-hull", "-3", "--json")) == []


def test_csv_goes_to_a_file_or_to_stdout(folder, tmp_path):
    target = tmp_path / "found.csv"
    assert vogen(folder, "--max-hull", "0.5", "--csv", target).exit_code == 0
    text = vogen(folder, "--max-hull", "0.5", "--csv", "-").stdout
    assert target.read_text() == text
    rows = list(csv.DictReader(io.StringIO(text)))
    hulls = [float(row["energy_above_hull"]) for row in rows]
    assert hulls == sorted(
        d["energy_above_hull"]
        for d in STABILITY
        if d["state"] == "ranked" and d["energy_above_hull"] <= 0.5
    )


def test_cifs_hold_the_relaxed_crystals(folder, tmp_path):
    result = vogen(folder, "--max-hull", "0.2", "--cifs", tmp_path / "cifs", "--json")
    rows = found(result)
    files = sorted(path.name for path in (tmp_path / "cifs").iterdir())
    assert files == sorted(f"{row['candidate_id']}.cif" for row in rows)
    first = next(d for d in STABILITY if d["stability_id"] == rows[0]["stability_id"])
    read = Structure.from_file(tmp_path / "cifs" / f"{rows[0]['candidate_id']}.cif")
    relaxed = Structure.from_dict(first["structure"])
    per_atom = relaxed.volume / len(relaxed)
    assert read.volume / len(read) == pytest.approx(per_atom, rel=1e-4)


def test_the_conventional_cell_is_written_where_it_is_asked_for(folder, tmp_path):
    plain, conventional = tmp_path / "plain", tmp_path / "conventional"
    assert vogen(folder, "--cifs", plain).exit_code == 0
    assert vogen(folder, "--cifs", conventional, "--conventional").exit_code == 0
    assert sorted(f.name for f in plain.iterdir()) == sorted(f.name for f in conventional.iterdir())
    for path in conventional.iterdir():
        text = path.read_text()
        assert "conventional cell, all atoms" in text
        listed, symmetric = (Structure.from_file(one) for one in (path, plain / path.name))
        assert listed.composition.reduced_formula == symmetric.composition.reduced_formula
        assert listed.density == pytest.approx(symmetric.density, rel=1e-4)
    refused = vogen(folder, "--conventional")
    assert refused.exit_code != 0
    assert "--conventional: only with --cifs" in refused.output


def test_names_of_files_stay_in_the_folder(tmp_path):
    hostile = {**CHOSEN[0], "candidate_id": "../../out", "stability_id": "x", "_id": "x"}
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        stores.stability._collection.insert_one(hostile)
    assert vogen(tmp_path, "--cifs", tmp_path / "a" / "b").exit_code == 0
    # a document with such an id is not loaded
    assert not list(tmp_path.rglob("*.cif"))
    assert not list(tmp_path.parent.glob("*.cif"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--formula", "Qq"], "InputError: formula: 'Qq' is not a chemical formula"),
        (["--character", "halfmetal"], "did you mean half-metal?"),
        (["--sort", "hull"], "column to sort by"),
        (["--csv", "-", "--json"], "both want stdout"),
        (["--csv", "no/such/folder/x.csv"], "OutputFolderError: --csv"),
    ],
)
def test_bad_questions_end_in_one_line(folder, arguments, words):
    result = vogen(folder, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("text", ["1", "a:b", ":"])
def test_ranges_have_a_colon_and_numbers(folder, text):
    result = vogen(folder, "--gap", text)
    assert result.exit_code == 2
    assert "is no range" in result.stderr


def test_a_place_without_a_store_is_named_and_not_made(tmp_path):
    result = vogen(tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "StoreAddressError" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_an_unreachable_server_ends_with_1_and_without_its_password():
    result = vogen("mongodb://ann:xyzzy@127.0.0.1:1/db?serverSelectionTimeoutMS=100")
    assert result.exit_code == 1
    assert "StoreConnectionError: mongodb://127.0.0.1:1/db" in result.stderr
    assert "xyzzy" not in result.output


@pytest.mark.parametrize("arguments", [[], ["folder", "--store", "mongodb://h"]])
def test_build_takes_a_folder_or_a_store(arguments):
    result = CliRunner().invoke(cli, ["build", *arguments])
    assert result.exit_code == 2
    assert "InputError: give either an output folder or --store" in result.stderr


def test_build_brings_a_store_up_to_date_once(tmp_path):
    structure = Structure.from_dict(STABILITY[0]["structure"])
    candidate = CandidateDoc.make(
        structure, sampler="test", model_id="m", formula="VO2", seed=0, index=0
    )
    with VogenStores.open(tmp_path, create=True) as stores:
        stores.save(
            CalculationDoc(
                calculation_id=calculation_id(candidate.candidate_id, "CHGNet-0.3.0"),
                candidate_id=candidate.candidate_id,
                scheme="CHGNet-0.3.0",
                state=CalculationState.UNCONVERGED,
                candidate=candidate,
                structure=structure,
                initial_energy_per_atom=-6.0,
                energy_per_atom=-7.0,
                max_force=1.0,
            )
        )
    written = []
    for _ in range(2):
        result = CliRunner().invoke(cli, ["build", "--store", str(tmp_path), "--json"])
        assert result.exit_code == 0, result.output
        written.append(json.loads(result.stdout)["written"])
    assert written == [1, 0]
    (row,) = found(vogen(tmp_path, "--state", "any", "--json"))
    assert row["candidate_id"] == candidate.candidate_id
    with VogenStores.open(tmp_path) as stores:
        stores.calculations.remove_docs({"candidate_id": candidate.candidate_id})
    counts = []
    for arguments in ([], ["--remove-orphans"]):
        command = ["build", "--store", str(tmp_path), "--json", *arguments]
        told = json.loads(CliRunner().invoke(cli, command).stdout)
        counts.append((told["removed"], told["documents"]))
    assert counts == [(0, 1), (1, 0)]


def test_without_a_place_jobflows_settings_are_asked(monkeypatch, tmp_path):
    (tmp_path / "jobflow.yaml").write_text("LOG_FORMAT: x")
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))
    result = vogen()
    assert result.exit_code == 2
    assert "jobflow" in result.stderr
