"""Arms that learn between the rounds, as the closed loop does, and go on after any kill."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import cheap_engine
import discovery.raw
import instant_engine
import loop_engine
import numpy as np
import pytest
from cheap_engine import references
from click.testing import CliRunner
from discovery import figure, report
from discovery.arms import TABLE, Arm, read_arms
from discovery.counting import Line, new_crystals
from discovery.raw import read_frames, read_header, read_rounds, total_seconds
from small_discovery import SmallJudge, measure, timeless

from atomate2_vogen import VANADIUM
from atomate2_vogen.errors import InputError
from atomate2_vogen.flows.loop import FEWEST_PARENTS
from atomate2_vogen.jobs import ParentsMaker, RefitPotentialMaker, results
from atomate2_vogen.jobs.learning import Start
from atomate2_vogen.potential import (
    FitReport,
    FitSettings,
    Frame,
    Frames,
    NetworkShape,
    Potential,
    train_potential,
    training,
)
from atomate2_vogen.samplers.base import seed_of_round
from atomate2_vogen.samplers.loading import SAMPLERS, SamplerName

TOY_SEARCH = SamplerName("toy_sampler:ToySearch", has_potential=True)
EVOLUTION = {"V2O5": 4, "V3O5": 3}


class KilledError(BaseException):
    """Raised in place of a kill: the run ends at once, and its files stay as they are."""


def kill(monkeypatch, at, *, after, name="0"):
    """End the run at a write of its rounds, or of the files of some name."""
    write, count = discovery.raw.write_atomically, 0

    def writing(path, content):
        nonlocal count
        count += path.name.startswith(name)
        if count < at or after:
            write(path, content)
        if count >= at:
            raise KilledError

    monkeypatch.setattr(discovery.raw, "write_atomically", writing)


# evolution: crystals of the substitution pool, instant energies


def flat_judge():
    return SmallJudge(loop_engine.engine(spread=0.08), loop_engine.references(), refine=None)


def evolution(**learns):
    options = {"sampler": "evolution", "operators": {"strain": 1.0}}
    return Arm("loop-evolution", options, learns=learns, novelty_margin=1.5)


def evolve(folder):
    measure(folder, of=evolution(), counts=EVOLUTION, load_judge=flat_judge)


@pytest.fixture(scope="module")
def evolved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evolved") / "run"
    evolve(folder)
    return folder


def test_parents_are_the_finds_of_all_rounds(evolved):
    rounds = read_rounds(evolved)
    assert rounds[0].row.learnt is None
    named = set()
    for number in (1, 2):
        before, learnt = rounds[:number], rounds[number].row.learnt
        crystals = [row for one in before for row in one.crystals]
        new = new_crystals(crystals, 0.1, final=True)
        finds = {row.candidate_id for row, is_new in zip(crystals, new, strict=True) if is_new}
        assert learnt["kind"] == "parents"
        assert 0 < learnt["n_learnt"] <= len(finds)
        parents = {name for one in rounds[number].candidates for name in one.details["parents"]}
        assert parents & {row.candidate_id for row in crystals} <= finds
        named |= parents
    # finds, and crystals of the pool beside them while there are few
    assert named & finds
    assert any(" #" in name for name in named)
    assert read_header(evolved).identity["learns"]["fewest_parents"] == FEWEST_PARENTS
    models = [one.candidates[0].model_id for one in rounds[:3]]
    assert len(set(models)) == 3
    assert all(one.row.training_seconds > 0 for one in rounds[1:])
    assert not list(evolved.glob("*.npz"))


# crystals and rows, when a round is sampled and after each of its seven crystals: 16 writes
@pytest.mark.parametrize(("at", "after"), [(3, True), (17, False), (17, True), (36, False)])
def test_killed_evolution_goes_on_to_the_same_rows(at, after, evolved, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill(patch, at, after=after)
        with pytest.raises(KilledError):
            evolve(tmp_path / "run")
    evolve(tmp_path / "run")
    assert timeless(tmp_path / "run") == timeless(evolved)


# search: the toy sampler in its place, instant energies, an instant fit


@pytest.fixture(autouse=True)
def _toy_search(monkeypatch):
    monkeypatch.setitem(SAMPLERS, "search", TOY_SEARCH)


@pytest.fixture(scope="module")
def learns(tmp_path_factory):
    """Arm with files of a small potential and of the frames that it has learnt badly."""
    folder = tmp_path_factory.mktemp("potential")
    rng = np.random.default_rng(0)
    frames = Frames(instant_engine.SCHEME)
    for _ in range(120):
        crystal = cheap_engine.crystal("VO2", a=rng.uniform(3.2, 3.6))
        forces = rng.normal(0.0, 0.1, (len(crystal), 3))
        frames.frames.append(Frame(crystal, rng.uniform(-7.5, -7.0), forces, np.eye(3) / 100))
    frames.save(folder / "frames.npz")
    potential, _ = train_potential(
        frames, VANADIUM, settings=FitSettings(epochs=1), shape=NetworkShape()
    )
    potential.save(folder / "potential.npz")
    # twice the crystals of the first round are not 2.5 times as many: the third learns nothing
    return Arm(
        "loop-search",
        {"sampler": "search", "potential": str(folder / "potential.npz")},
        learns={"rehearsal": str(folder / "frames.npz"), "epochs": 1, "growth": 2.5},
    )


def stressed_judge():
    return SmallJudge(
        instant_engine.stressed(), references(instant_engine.SCHEME, -7.2), refine=None
    )


def search(arm, folder, **settings):
    measure(folder, of=arm, load_judge=stressed_judge, **settings)


def instant_fit(frames, system, *, settings, start):
    """A potential that depends on every digit of the frames, and on the seed."""
    total = sum(
        float(frame.forces.sum() + frame.stress.sum() + frame.structure.frac_coords.sum())
        for frame in frames.frames
    )
    network = Potential.from_bytes(start.to_bytes(), "start").network
    network.weights[0].assign_add(np.full(network.weights[0].shape, total % 1 + settings.seed % 97))
    return Potential(network, system, start.scheme), FitReport(n_frames=len(frames), n_held_out=0)


@pytest.fixture(scope="module")
def searched(learns, tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SAMPLERS, "search", TOY_SEARCH)
        patch.setattr(training, "train_potential", instant_fit)
        search(learns, folder)
    return folder


def test_the_potential_is_fitted_to_the_frames_of_all_rounds(searched):
    rounds = read_rounds(searched)
    kinds = [one.row.learnt and one.row.learnt["kind"] for one in rounds]
    assert kinds == [None, "potential", None, "potential"]
    # as generated and as relaxed
    assert all(len(one.frames) == 2 * len(one.crystals) > 0 for one in rounds[:3])
    for number in (1, 3):
        learnt = rounds[number].row.learnt
        assert learnt["n_learnt"] == sum(len(one.frames) for one in rounds[:number])
        assert learnt["n_rehearsed"] == 120
        fitted = Potential.load(searched / f"000{number + 1}.potential.npz")
        assert fitted.potential_id == learnt["model_id"]
        assert rounds[number].candidates[0].model_id == learnt["model_id"]
    models = [one.candidates[0].model_id for one in rounds]
    assert models[0] != models[1] == models[2] != models[3]
    candidate, (generated, relaxed) = rounds[0].candidates[0], rounds[0].frames.frames[:2]
    assert generated.source == f"{candidate.candidate_id}, initial"
    assert relaxed.source == f"{candidate.candidate_id}, static"
    np.testing.assert_allclose(
        generated.structure.frac_coords, candidate.structure.frac_coords, atol=1e-6
    )
    np.testing.assert_allclose(
        generated.stress, -generated.structure.lattice.matrix / 3 * results.KILOBAR, rtol=1e-5
    )


# potential, crystals, frames and rows of a round, the last three again after each crystal
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("of", ["potential", "crystals", "frames", "rows"])
@pytest.mark.parametrize("number", [2, 3])
def test_killed_search_goes_on_to_the_same_rows(
    number, of, after, searched, learns, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "train_potential", instant_fit)
    name = f"000{number}." + {"rows": "jsonl"}.get(of, of)
    if of == "potential" and number == 3:
        name = "0004.potential"
    with monkeypatch.context() as patch:
        # the first write of a round, or one between its crystals
        kill(patch, 1 if of == "potential" else 3, after=after, name=name)
        with pytest.raises(KilledError):
            search(learns, tmp_path / "run")
    search(learns, tmp_path / "run")
    assert timeless(tmp_path / "run") == timeless(searched)
    ours, theirs = read_rounds(tmp_path / "run"), read_rounds(searched)
    assert ours[3].row.learnt == theirs[3].row.learnt
    assert [len(one.frames) for one in ours] == [len(one.frames) for one in theirs]


def test_the_fit_is_that_of_the_loop_and_its_cpu_seconds_are_counted(learns, tmp_path):
    search(learns, tmp_path / "run", n=1)
    first, second = read_rounds(tmp_path / "run")
    frames = read_frames(tmp_path / "run", 1, first.crystals)
    start = Start(VANADIUM, seed_of_round(5, 2), learns.options["potential"])
    fitted, summary = RefitPotentialMaker(**learns.learns).fit(frames, start)
    assert fitted.potential_id == second.row.learnt["model_id"]
    assert summary.n_learnt == second.row.learnt["n_learnt"]
    assert summary.errors == second.row.learnt["errors"]
    assert second.row.training_seconds > first.row.training_seconds
    parts = ("training", "sampling", "single_point", "matching")
    row = second.row
    assert row.cpu_seconds == pytest.approx(sum(getattr(row, f"{one}_seconds") for one in parts))
    rounds = [first, second]
    assert Line.of(rounds).total_hours == pytest.approx(total_seconds(rounds) / 3600)


def test_a_run_that_learns_otherwise_is_another_one(searched, learns, tmp_path):
    shutil.copytree(searched, tmp_path / "run")
    for changed in (None, {**learns.learns, "epochs": 3}):
        with pytest.raises(InputError, match="learns"):
            search(replace(learns, learns=changed), tmp_path / "run")


def test_the_table_tells_seconds_of_learning(searched, tmp_path):
    shutil.copytree(searched, tmp_path / "raw" / "loop-search" / "seed-5")
    path = tmp_path / "raw" / "loop-search" / "seed-5" / "0002.jsonl"
    first, *others = path.read_text().splitlines(keepends=True)
    row = json.loads(first) | {"training_seconds": 7.0}
    path.write_text(json.dumps(row) + "\n" + "".join(others))
    result = CliRunner().invoke(report.main, [str(tmp_path / "raw"), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    (line,) = (one for one in result.output.splitlines() if "CPU s of learning" in one)
    assert float(line.split("|")[2]) > 0


def test_there_is_a_colour_for_each_arm():
    assert len(figure.COLOURS) >= len(json.loads(TABLE.read_text()))


def test_the_loops_are_among_the_arms(tmp_path):
    search, evolution = read_arms(["loop-search", "loop-evolution"])
    assert type(search.learn_maker()) is RefitPotentialMaker
    assert type(evolution.learn_maker()) is ParentsMaker
    for loop, plain in (
        (search, read_arms(["search"])[0]),
        (evolution, read_arms(["evolution"])[0]),
    ):
        assert loop.options == plain.options
        assert loop.novelty_margin == plain.novelty_margin
        assert plain.learn_maker() is None
    table = tmp_path / "arms.json"
    for options, learns, message in (
        ({"sampler": "random"}, {}, "learns nothing"),
        ({"sampler": "search"}, {"no such": 1}, "no such"),
        ({"sampler": "search"}, {"epochs": 0}, "epochs is 0"),
    ):
        table.write_text(json.dumps({"new": {"options": options, "learns": learns}}))
        with pytest.raises(InputError, match=message):
            read_arms(["new"], table)[0].check()
