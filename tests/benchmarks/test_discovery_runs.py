"""Runs of the discovery measure: whatever kills them, they go on to the same rows."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from types import SimpleNamespace
from typing import Any

import discovery.raw
import pytest
from discovery.arms import read_arms
from discovery.counting import new_crystals
from discovery.measuring import measure_run
from discovery.raw import read_header, read_rounds, total_seconds
from pymatgen.core import Structure
from pymatgen.core.structure_matcher import StructureMatcher
from small_discovery import COUNTS, ROUNDS, SmallJudge, arm, judge, measure, timeless

from atomate2_vogen.errors import ArtefactError, InputError
from atomate2_vogen.samplers.loading import SAMPLERS, SamplerName
from atomate2_vogen.schemas import CalculationDoc


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    monkeypatch.setitem(SAMPLERS, "toy", SamplerName("toy_sampler:ToySampler"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    measure(folder)
    return folder


def test_rows_tell_of_every_crystal(undisturbed):
    rounds = read_rounds(undisturbed)[:ROUNDS]
    assert [one.row.round for one in rounds] == [1, 2, 3]
    assert len({one.row.seed for one in rounds}) == ROUNDS
    for one in rounds:
        assert one.row.requested == COUNTS
        assert one.row.delivered == len(one.candidates) == len(one.crystals)
        for formula in COUNTS:
            made = sum(row.formula == formula for row in one.crystals)
            assert one.row.attempts[formula] == made + sum(one.row.rejected[formula].values())
    rows = [row for one in rounds for row in one.crystals]
    assert sum(row.relaxed.state == "ranked" for row in rows) > len(rows) / 2
    # the toy relaxation moves nothing
    assert all(row.space_group == row.relaxed.space_group for row in rows)
    assert all(row.space_group_exact <= row.space_group for row in rows)
    assert all(row.relaxed.above_hull == pytest.approx(row.above_hull) for row in rows)
    assert all(row.relaxed.rmsd == pytest.approx(0, abs=1e-6) for row in rows)
    assert all(row.refined is None for row in rows)
    assert all(row.relaxed.is_bulk for row in rows if row.relaxed.state == "ranked")


def test_replays_are_those_of_pymatgens_matcher(undisturbed):
    matcher = StructureMatcher()
    firsts = {}
    n_replays = 0
    for one in read_rounds(undisturbed)[:ROUNDS]:
        for row in one.crystals:
            if row.relaxed.state != "ranked":
                assert row.replay_of is None
                continue
            crystal = one.relaxed[row.candidate_id]
            twins = {
                name
                for name, first in firsts.items()
                if matcher.fit(first, crystal) or matcher.fit(crystal, first)
            }
            assert (row.replay_of in twins) if twins else row.replay_of is None
            n_replays += bool(twins)
            if not twins:
                firsts[row.candidate_id] = crystal
    assert n_replays
    assert firsts


def test_what_resembles_earlier_finds_is_refused(undisturbed):
    wide = StructureMatcher(ltol=0.4, stol=0.6, angle_tol=10)
    earlier = []
    refused = 0
    for one in read_rounds(undisturbed)[:ROUNDS]:
        for candidate in one.candidates:
            assert not any(wide.fit(find, candidate.structure) for find in earlier)
        refused += sum(table.get("known crystal", 0) for table in one.row.rejected.values())
        earlier += [
            one.relaxed[row.candidate_id] for row in one.crystals if row.relaxed.state == "ranked"
        ]
    assert refused


@pytest.mark.parametrize("at", [0, 1, 2, 17])
@pytest.mark.parametrize("after", [False, True])
def test_a_killed_run_goes_on_to_the_same_rows(at, after, undisturbed, tmp_path):
    folder = tmp_path / "run"
    process = multiprocessing.get_context("fork").Process(target=die, args=(folder, at, after))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    measure(folder)
    assert timeless(folder) == timeless(undisturbed)
    rounds = read_rounds(folder)
    rows = [row for one in rounds for row in one.crystals]
    assert len({row.candidate_id for row in rows}) == len(rows)
    assert total_seconds(rounds) == pytest.approx(
        sum(one.row.cpu_seconds for one in rounds) + sum(row.cpu_seconds for row in rows)
    )


def die(folder, at, after):
    """Run, and kill this process at one of the writes of a round."""
    write, count = discovery.raw.write_atomically, 0

    def writing(path, content):
        nonlocal count
        is_of_round = path.name != "run.json"
        if is_of_round and count == at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content)
        if is_of_round and count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += is_of_round

    discovery.raw.write_atomically = writing
    measure(folder)


def test_a_run_ends_with_its_cpu_hours_and_goes_on_with_more(tmp_path):
    folder = tmp_path / "run"

    def go(hours):
        measure_run(arm(), 5, folder, counts=COUNTS, cpu_hours=hours, load_judge=judge)
        return read_rounds(folder)

    first = total_seconds(go(1e-6))
    assert first > 0
    before = timeless(folder)
    assert timeless(folder) == before
    limit = first / 3600 + 1e-4
    rounds = go(limit)
    assert total_seconds(rounds) >= limit * 3600
    assert timeless(folder)[: len(before)][:1] == before[:1]
    last = rounds[-1].crystals[-1].cpu_seconds if rounds[-1].crystals else 0.0
    assert total_seconds(rounds) - max(last, rounds[-1].row.cpu_seconds) < limit * 3600
    # reached: nothing is loaded again
    starts = len(read_header(folder).loading_seconds)
    go(limit)
    assert len(read_header(folder).loading_seconds) == starts


def test_a_sampler_with_nothing_left_ends_its_run(tmp_path, monkeypatch):
    import toy_sampler

    monkeypatch.setattr(toy_sampler.ToySampler, "_outcomes", lambda *_: iter(()))
    measure_run(arm(), 5, tmp_path / "run", counts=COUNTS, cpu_hours=1.0, load_judge=judge)
    assert [one.row.delivered for one in read_rounds(tmp_path / "run")] == [0, 0, 0]


def test_another_request_is_refused(undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    others = {"counts": {"VO2": 4}, "seed": 6}
    for name, value in others.items():
        arguments = {"seed": 5, "counts": COUNTS} | {name: value}
        seed = arguments.pop("seed")
        with pytest.raises(InputError, match=name):
            measure_run(arm(), seed, folder, **arguments, cpu_hours=1.0, load_judge=judge)
    assert timeless(folder) == timeless(undisturbed)


def test_a_folder_that_was_begun_before_samplers_could_learn_is_gone_on_with(undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    header = json.loads((folder / "run.json").read_text())
    assert header["identity"].pop("learns") is None
    (folder / "run.json").write_text(json.dumps(header))
    for path in folder.glob("0*.jsonl"):
        first, *others = path.read_text().splitlines()
        row = json.loads(first)
        assert row.pop("learnt") is None
        assert row.pop("training_seconds") == 0.0
        path.write_text("\n".join([json.dumps(row), *others]) + "\n")
    spent = total_seconds(read_rounds(folder))
    assert {one.row.training_seconds for one in read_rounds(folder)} == {0.0}
    measure(folder, n=ROUNDS + 1)
    assert timeless(folder) == timeless(undisturbed)
    assert total_seconds(read_rounds(folder)) > spent
    assert not list(folder.glob("*.npz"))


def test_two_processes_do_not_share_a_folder(undisturbed):
    with discovery.raw.locked(undisturbed), pytest.raises(InputError, match="another process"):
        measure_run(arm(), 5, undisturbed, counts=COUNTS, cpu_hours=1.0, load_judge=judge)


def test_damaged_rows_are_named(undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    (folder / "0002.jsonl").write_text('{"round": 2}\n')
    with pytest.raises(ArtefactError, match=r"0002\.jsonl"):
        read_rounds(folder)


def test_arms_are_read_from_the_table(tmp_path):
    (wgan,) = read_arms(["wgan"])
    assert wgan.sampler == "wgan"
    assert wgan.training_seconds() == pytest.approx(8518.7, abs=0.1)
    assert read_arms(["random"])[0].training_seconds() == 0
    with pytest.raises(InputError, match="nothing"):
        read_arms(["nothing"])
    with pytest.raises(InputError, match="twice"):
        read_arms(["random", "random"])
    table = tmp_path / "arms.json"
    table.write_text(json.dumps({"new": {"options": {"sampler": "none such"}}}))
    with pytest.raises(InputError, match="none such"):
        read_arms(["new"], table)[0].check()


def test_new_crystals_of_a_run_are_counted_once(undisturbed):
    rows = [row for one in read_rounds(undisturbed) for row in one.crystals]
    novel = [row for row in rows if row.relaxed.is_novel]
    assert sum(new_crystals(rows, 10.0)) == len({r.replay_of or r.candidate_id for r in novel})


class RefinedCalculation(CalculationDoc):
    """A calculation whose crystal was made symmetric, at 0.2 eV/atom less."""

    unrefined_structure: Structure | None = None
    unrefined_energy_per_atom: float | None = None
    refinement: Any = None


class RefiningJudge(SmallJudge):
    """Every second crystal is refined into a kind of its own."""

    def calculate(self, candidate):
        calculation = super().calculate(candidate)
        attempts = [SimpleNamespace(cpu_time=3.0), SimpleNamespace(cpu_time=None)]
        content = {name: getattr(calculation, name) for name in CalculationDoc.model_fields}
        content |= {"refinement": SimpleNamespace(attempts=attempts), "cpu_time": 7.0}
        if candidate.index % 2:
            larger = calculation.structure.copy()
            larger.apply_strain([0.5, 0, 0])
            content |= {
                "structure": larger,
                "energy_per_atom": calculation.energy_per_atom - 0.2,
                "unrefined_structure": calculation.structure,
                "unrefined_energy_per_atom": calculation.energy_per_atom,
            }
        return RefinedCalculation.model_construct(**content)


def test_refined_crystals_have_both_outcomes(tmp_path):
    def refining():
        return RefiningJudge(judge().engine, judge().references, refine=None)

    measure(tmp_path / "run", load_judge=refining)
    rows = [row for one in read_rounds(tmp_path / "run") for row in one.crystals]
    plain = {row.candidate_id: row for row in rows if row.refined is None}
    changed = {row.candidate_id: row for row in rows if row.refined is not None}
    assert plain
    assert changed
    for row in changed.values():
        assert row.relaxed.above_hull == pytest.approx(row.above_hull)
        if row.refined.above_hull is not None:
            assert row.refined.above_hull == pytest.approx(row.relaxed.above_hull - 0.2)
    assert {row.refinement_seconds for row in rows} == {3.0}
    assert {row.relaxation_seconds for row in rows} == {4.0}
    for one in read_rounds(tmp_path / "run"):
        for name, structure in one.refined.items():
            assert structure.volume == pytest.approx(1.5 * one.relaxed[name].volume)
