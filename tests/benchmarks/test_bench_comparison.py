"""Tables of several samplers: hand-counted, and empty where nothing was delivered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from comparison import (
    Entry,
    class_markdown,
    class_rows,
    plain_rows,
    summary_markdown,
    summary_rows,
    value_text,
)
from made_entries import calculation, judgement, made, sample

from atomate2_vogen.schemas import StabilityState
from atomate2_vogen.stability.metrics import measure
from atomate2_vogen.stability.statistics import proportion

YARDSTICKS = Path(__file__).parents[2] / "benchmarks" / "yardsticks.json"


def entry(heights, missing=0, sampler="wgan", **changes):
    """A sampler whose crystals lie so far above the hull; None is one that collapsed."""
    crystals = made(len(heights), sampler)
    document = sample(crystals, missing, cpu_time=20.0, **changes)
    judged = [
        judgement(crystal, above)
        if above is not None
        else judgement(crystal, -5.0, state=StabilityState.COLLAPSED)
        for crystal, above in zip(crystals, heights, strict=True)
    ]
    calculated = [calculation(crystal) for crystal in crystals]
    return Entry(document, measure(document, calculated, judged), judged)


@pytest.fixture
def entries():
    return {
        "wgan": entry([0.05, 0.2, 0.4, None], missing=1, judge_cpu_time=15.0),
        "random": entry([0.6], missing=4, sampler="random"),
        "substitution": entry([], missing=5),
    }


def test_summary_is_what_one_counts_by_hand(entries):
    rows = {row.key: row.values for row in summary_rows(entries)}
    assert value_text(rows["delivered"]["wgan"]) == "80.0 % (4/5)"
    assert value_text(rows["within_0.3"]["wgan"]) == "50.0 % (2/4)"
    assert value_text(rows["within_0.1"]["wgan"]) == "25.0 % (1/4)"
    # S.U.N. is of what was asked for, not of what was delivered
    assert value_text(rows["sun"]["wgan"]) == "20.0 % (1/5)"
    assert value_text(rows["sun"]["random"]) == "0.0 % (0/5)"
    assert value_text(rows["sun"]["substitution"]) == "0.0 % (0/5)"
    assert rows["median_after"]["wgan"] == pytest.approx(0.2)
    # as generated: every crystal that has an energy, the collapsed one too
    assert rows["median_before"]["wgan"] == pytest.approx(1.125)
    # 5 s drawing, 15 s of single points, 4 × 4 s relaxing
    assert rows["finds"]["wgan"] == pytest.approx(3600 / 36)
    assert rows["seconds_single points"] == {"wgan": 15.0, "random": None, "substitution": None}
    assert rows["rate"]["wgan"] == pytest.approx(0.4)
    assert rows["finds"]["substitution"] == 0.0
    assert rows["within_0.1"]["substitution"] is None


def test_table_2_counts_ranked_crystals_of_those_asked_for(entries):
    published = {
        "VO2": {"total": 184, "imatgen": 124, "negative": 119, "stable": 56, "metastable": 25}
    }
    rows = {(formula, row.key): row.values for formula, row in class_rows(entries, published)}
    assert [formula for formula, _ in rows] == ["VO2"] * 4 + ["all"] * 4
    stable = rows["VO2", "stable"]
    assert list(stable) == ["paper", *entries]
    assert stable["paper"].share == pytest.approx(0.304, abs=5e-4)
    assert {name: value.count for name, value in stable.items()} == {
        "paper": 56, "wgan": 2, "random": 0, "substitution": 0,
    }  # fmt: skip
    assert rows["VO2", "metastable"]["wgan"].count == 1
    # the collapsed one has a negative formation energy too, and does not count
    assert rows["VO2", "negative"]["wgan"].count == 3
    assert rows["all", "negative"]["random"].count == 1
    assert all(row["wgan"].total == 5 for row in rows.values())
    assert rows["all", "stable"]["paper"] is None


def test_markdown_has_a_cell_for_everything(entries):
    rows = summary_rows(entries)
    text = summary_markdown(rows, {"sun": {"must": "more", "aim": "≥ 40 %"}})
    lines = text.splitlines()
    assert lines[0] == "|  | wgan | random | substitution | must | aim |"
    assert len(lines) == len(rows) + 2
    assert len({line.count("|") for line in lines}) == 1
    sun, *narrower = [line for line in lines if "S.U.N. at" in line]
    assert sun.endswith("| 20.0 % (1/5) | 0.0 % (0/5) | 0.0 % (0/5) | more | ≥ 40 % |")
    assert [line.split("|")[1].strip() for line in narrower] == [
        f"S.U.N. at {limit} eV/atom" for limit in ("0.05", "0.025", "0")
    ]
    classes = class_rows(entries, {})
    assert len(class_markdown(classes).splitlines()) == len(classes) + 2


def test_rows_become_json(entries):
    plain = json.loads(json.dumps(plain_rows(summary_rows(entries))))
    by_key = {row["key"]: row["values"] for row in plain}
    assert by_key["sun"]["wgan"]["count"] == 1
    assert by_key["rate"]["wgan"] == pytest.approx(0.4)
    assert by_key["within_0.1"]["substitution"] is None


def test_values_as_text():
    assert value_text(None) == "–"
    assert value_text(proportion(0, 0)) == "– (0/0)"
    assert value_text(12345.678, 0) == "12,346"


def test_no_yardstick_without_a_row(entries):
    content = json.loads(YARDSTICKS.read_text(encoding="utf-8"))
    assert set(content["rows"]) <= {row.key for row in summary_rows(entries)}
