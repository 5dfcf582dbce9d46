"""Raw tables: nothing is lost on the way to the file and back, by pandas too."""

from __future__ import annotations

import gzip
import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from made_entries import calculation, judgement, made, sample
from records import (
    COLUMNS,
    GENERATED,
    LATER,
    RELAXED,
    calculation_of,
    candidate_records,
    read_records,
    stability_of,
    structure_of,
    write_records,
)

from atomate2_vogen.errors import ArtefactError, InputError
from atomate2_vogen.schemas import CalculationState, StabilityState


@pytest.fixture
def rows():
    crystals = made(3)
    # the second is a copy of the first, the third came to nothing
    crystals[1] = crystals[1].model_copy(update={"structure": crystals[0].structure.copy()})
    crystals[0].details["judged_energy_per_atom"] = -8.5
    document = sample(crystals, cpu_time=12.0, judge_cpu_time=9.0)
    calculated = [calculation(crystal) for crystal in crystals]
    judged = [
        judgement(crystal, above) for crystal, above in zip(crystals, (0.1, 0.2), strict=False)
    ]
    calculated[2] = calculation(
        crystals[2], state=CalculationState.FAILED, structure=None, energy_per_atom=None
    )
    judged.append(
        judgement(crystals[2], None, state=StabilityState.FAILED, reason='a "bad", one\nof two')
    )
    return candidate_records(document, calculated, judged)


def test_rows_tell_what_the_documents_tell(rows):
    assert [row["candidate_id"] for row in rows] == sorted(row["candidate_id"] for row in rows)
    by_index = {row["index"]: row for row in rows}
    first = by_index[0]
    assert set(first) == set(COLUMNS)
    assert first["judged_energy_per_atom"] == -8.5
    assert json.loads(first["details"]) == {"judged_energy_per_atom": -8.5}
    assert first["energy_above_hull"] == 0.1
    assert first["relaxation_seconds"] == 4.0
    assert first["relaxation_wall_seconds"] == 7.0
    # what the sample took is shared out, and adds up
    assert sum(row["sampling_seconds"] for row in rows) == pytest.approx(3.0)
    assert sum(row["single_point_seconds"] for row in rows) == pytest.approx(9.0)
    # of two equal crystals one is counted
    assert sorted(by_index[i]["is_unique_generated"] for i in (0, 1)) == [False, True]
    assert by_index[2][RELAXED] is None
    assert by_index[2]["energy_above_hull"] is None


def test_the_file_gives_back_every_value(rows, tmp_path):
    path = write_records(rows, tmp_path / "new" / "rows.csv.gz")
    assert read_records(path) == rows
    again = write_records(rows, tmp_path / "again.csv.gz")
    assert path.read_bytes() == again.read_bytes()


def test_files_of_before_bulk_was_judged_can_be_read(rows, tmp_path):
    text = gzip.decompress(write_records(rows, tmp_path / "rows.csv.gz").read_bytes()).decode()
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    old = table.drop(columns=list(LATER)).to_csv(index=False)
    (tmp_path / "old.csv.gz").write_bytes(gzip.compress(old.encode()))
    assert read_records(tmp_path / "old.csv.gz") == [
        {**row, **dict.fromkeys(LATER)} for row in rows
    ]


def test_pandas_reads_the_same(rows, tmp_path):
    table = pd.read_csv(write_records(rows, tmp_path / "rows.csv.gz"))
    assert list(table.columns) == list(COLUMNS)
    for name in ("energy_above_hull", "sampling_seconds", "n_steps"):
        ours = [math.nan if row[name] is None else row[name] for row in rows]
        assert np.array_equal(table[name].to_numpy(float), ours, equal_nan=True)
    assert table["reason"].dropna().tolist() == [r["reason"] for r in rows if r["reason"]]


def test_calculations_come_back(rows):
    for row in rows:
        document = calculation_of(row)
        assert document.calculation_id == f"{row['candidate_id']}|{row['scheme']}"
        assert document.candidate.candidate_id == row["candidate_id"]
        assert document.candidate.structure.composition.reduced_formula == row["formula"]
        assert document.candidate.details == json.loads(row["details"] or "{}")
        assert (document.structure is None) == (row[RELAXED] is None)
        assert document.energy_per_atom == row["energy_per_atom"]
        assert document.cpu_time == row["relaxation_seconds"]
        failed = row["state"] == StabilityState.FAILED.value
        assert (document.state is CalculationState.FAILED) == failed
        assert document.still_matches == (None if failed else row["rmsd_to_relaxed"] is not None)


def test_crystals_and_judgements_come_back(rows):
    for row in rows:
        generated = structure_of(row, GENERATED)
        assert generated.composition.reduced_formula == row["formula"]
        document = stability_of(row)
        bare = stability_of(row, structure=False)
        assert bare.structure is None
        assert bare.last_updated >= document.last_updated
        changing = {"structure": None, "last_updated": None}
        assert bare.model_copy(update=changing) == document.model_copy(update=changing)
        assert document.state.value == row["state"]
        assert document.energy_above_hull == row["energy_above_hull"]
        assert (document.structure is None) == (row[RELAXED] is None)
        if document.structure is not None:
            expected = structure_of(row, RELAXED)
            assert document.structure.volume == pytest.approx(expected.volume)


def test_damaged_files_are_named(rows, tmp_path):
    path = write_records(rows, tmp_path / "rows.csv.gz")
    whole = path.read_bytes()
    text = gzip.decompress(whole).decode()
    for content in (
        whole[:-40],
        b"plain text",
        gzip.compress(b"a,b\n1,2\n"),
        gzip.compress(text.replace(",true,", ",perhaps,").encode()),
        gzip.compress(text.splitlines()[0].encode() + b"\nonly,three,cells\n"),
    ):
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match=r"rows\.csv\.gz"):
            read_records(path)
    with pytest.raises(ArtefactError):
        read_records(tmp_path / "gone.csv.gz")


def test_a_candidate_without_judgement_is_refused():
    crystals = made(2)
    with pytest.raises(InputError, match="has no stability document"):
        candidate_records(
            sample(crystals), [calculation(c) for c in crystals], [judgement(crystals[0], 0.1)]
        )
