"""Table and figure of the discovery measure come from raw rows alone, and add up."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from itertools import pairwise

import pytest
from click.testing import CliRunner
from discovery import report
from discovery.counting import new_crystals
from discovery.raw import RUN, read_rounds
from small_discovery import measure


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Two arms with two seeds; the second arm has paid for networks."""
    folder = tmp_path_factory.mktemp("raw")
    for seed in (5, 6):
        first = folder / "random" / f"seed-{seed}"
        measure(first, seed, "random")
        second = folder / "wgan" / f"seed-{seed}"
        shutil.copytree(first, second)
        change(second, "arm", "wgan", training_seconds=0.5)
    return folder


def change(folder, name, value, **others):
    content = json.loads((folder / RUN).read_text())
    content["identity"][name] = value
    (folder / RUN).write_text(json.dumps(content | others))


def invoke(raw, out, *options):
    return CliRunner().invoke(report.main, [str(raw), "--out", str(out), *options])


def table(out):
    with (out / "discovery.csv").open() as file:
        return {(row["arm"], row["quantity"]): row for row in csv.DictReader(file)}


def test_the_table_adds_up(raw, tmp_path):
    result = invoke(raw, tmp_path)
    assert result.exit_code == 0, result.output
    rows = table(tmp_path)
    runs = {seed: read_rounds(raw / "random" / f"seed-{seed}", structures=False) for seed in (5, 6)}
    # counted anew from the rows, within the hours of the shorter run
    spent = {}
    for seed, rounds in runs.items():
        clock, done = 0.0, []
        for one in rounds:
            clock += one.row.sampling_seconds + one.row.matching_seconds
            for crystal in one.crystals:
                clock += crystal.cpu_seconds
                done.append((clock, crystal))
        spent[seed] = clock, done
    limit = min(clock for clock, _ in spent.values())
    seen = {
        seed: [crystal for at, crystal in done if at <= limit * (1 + 1e-12)]
        for seed, (_, done) in spent.items()
    }
    assert float(rows["random", "relaxed"]["value"]) == sum(map(len, seen.values()))
    for threshold in (0.1, 0.05, 0.025, 0.0):
        each = [sum(new_crystals(found, threshold)) for found in seen.values()]
        row = rows["random", f"new_{threshold:g}"]
        assert row["note"] == "+".join(map(str, each))
        assert float(row["value"]) == pytest.approx(sum(each) / (2 * limit / 3600))
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
    states = Counter(row.relaxed.state for found in seen.values() for row in found)
    share = float(rows["random", "ranked"]["value"])
    assert share == pytest.approx(states["ranked"] / sum(states.values()))
    # the copy is as good, until it pays for its training
    assert float(rows["wgan", "ratio_0.1_random"]["value"]) == 1
    assert rows["random", "ratio_0.1_random"]["value"] == ""
    paid = float(rows["wgan", "new_0.1_with_training"]["value"])
    assert paid <= float(rows["wgan", "new_0.1"]["value"])
    assert float(rows["wgan", "training_hours"]["value"]) == pytest.approx(0.5 / 3600)
    text = (tmp_path / "discovery.md").read_text()
    assert "| **new within 0.1 eV/atom per CPU-hour** |" in text
    assert (tmp_path / "discovery.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "discovery.pdf").read_bytes()[:4] == b"%PDF"


def test_the_same_rows_give_the_same_files(raw, tmp_path):
    for name in ("one", "two"):
        assert invoke(raw, tmp_path / name).exit_code == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_curves_are_steps_that_the_training_moves(raw, tmp_path, figures):
    assert invoke(raw, tmp_path).exit_code == 0
    axes = figures[0].axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines) == {"random", "wgan", "wgan, training included"}
    x, y = lines["wgan"].get_data()
    moved, same = lines["wgan, training included"].get_data()
    assert moved[2:] == pytest.approx(x + 0.5 / 3600)
    assert list(same[2:]) == list(y)
    assert all(later >= earlier for earlier, later in pairwise(y))


@pytest.mark.parametrize("key", ["hull_id", "novelty_pool", "scheme"])
def test_runs_that_were_judged_otherwise_are_not_put_together(raw, tmp_path, key):
    shutil.copytree(raw, tmp_path / "raw")
    change(tmp_path / "raw" / "wgan" / "seed-6", key, "another")
    result = invoke(tmp_path / "raw", tmp_path / "out")
    assert result.exit_code == 1
    assert key in result.output
    assert "seed-6" in result.output


def test_hours_that_a_run_lacks_are_refused(raw, tmp_path):
    result = invoke(raw, tmp_path, "--at-hours", "1")
    assert result.exit_code == 1
    assert "CPU-hours only" in result.output
    assert invoke(tmp_path, tmp_path / "out").exit_code == 1
