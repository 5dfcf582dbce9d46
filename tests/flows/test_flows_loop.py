"""A closed loop: what each round learns and refuses, and what is left after any kill."""

from __future__ import annotations

import multiprocessing
import os
import signal

import instant_judge
import loop_engine
import pytest
from jobflow import Flow, run_locally
from monty.json import jsanitize
from sampler_job import GridSampleMaker

from atomate2_vogen.chemistry import TITANIUM
from atomate2_vogen.cli.tables import learning_lines
from atomate2_vogen.errors import ElementError, InputError, SchemeMismatchError
from atomate2_vogen.flows import LoopFlowMaker
from atomate2_vogen.jobs import ParentsMaker, SampleMaker, known
from atomate2_vogen.jobs.loop import stop_reason
from atomate2_vogen.managers import local, run_parallel
from atomate2_vogen.samplers import EvolutionSampler, SubstitutionSampler
from atomate2_vogen.schemas import Learning, LoopDoc, RoundDoc, StabilityDoc
from atomate2_vogen.stores import VogenStores
from atomate2_vogen.structures.matching import KnownStructures

COUNTS = {"V2O5": 3, "V3O5": 2}
TIMES = {"last_updated", "calculation_updated", "cpu_seconds", "cpu_time", "tasks"}


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch):
    """Only the reference phases: the pool of prototypes costs seconds per formula."""
    monkeypatch.setattr(known, "_prototypes", lambda _: ())
    monkeypatch.setattr(known, "_relaxed_prototypes", lambda _: ())
    monkeypatch.setattr(local, "Worker", instant_judge.HereWorker)


def run(maker, folder, counts=COUNTS, **arguments):
    """The loop's document, its rounds with all that the store holds of them."""
    flow = maker.make(counts, seed=1, **arguments)
    with VogenStores.open(folder / "store", create=True) as stores:
        run_locally(
            flow, store=stores.job_store, root_dir=folder, create_folders=True, log=False,
            raise_immediately=True,
        )  # fmt: skip
        content = stores.job_store.get_output(flow.output.uuid, load=True)
        return LoopDoc.model_validate(content), rounds_of(stores)


def rounds_of(stores):
    found = stores.job_store.query({"output.@class": "RoundDoc"}, ["uuid"])
    documents = [
        RoundDoc.model_validate(stores.job_store.get_output(one["uuid"], load=True))
        for one in found
    ]
    return sorted(documents, key=lambda one: one.number)


def without_times(content):
    if isinstance(content, dict):
        return {key: without_times(value) for key, value in content.items() if key not in TIMES}
    return [without_times(one) for one in content] if isinstance(content, list) else content


def content_of(documents):
    return [without_times(jsanitize(one.model_dump(), strict=True)) for one in documents]


@pytest.fixture(scope="module")
def two_rounds(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "_prototypes", lambda _: ())
        patch.setattr(known, "_relaxed_prototypes", lambda _: ())
        return run(loop_engine.loop(threshold=0.2), tmp_path_factory.mktemp("loop"))


def test_a_round_learns_from_those_before_and_refuses_what_they_found(two_rounds):
    loop, (first, second) = two_rounds
    assert (loop.stopped_by, loop.scheme, loop.sampler) == (
        "rounds", loop_engine.SCHEME, "evolution",
    )  # fmt: skip
    assert [one.number for one in loop.rounds] == [1, 2]
    assert first.learnt is None
    assert first.finds
    # every find is a parent: no two of so few resemble each other within the wide tolerances
    assert second.learnt.kind == "parents"
    assert 0 < second.learnt.n_learnt <= len(first.finds)
    assert second.model_id != first.model_id
    assert second.seed != first.seed
    # nothing comes twice, and finds are within the threshold
    finds = [one for document in (first, second) for one in document.chosen(document.finds)]
    assert len({one.candidate_id for one in finds}) == loop.n_finds == len(finds)
    assert all(one.energy_above_hull <= 0.2005 for one in finds)
    pool = KnownStructures({one.candidate_id: one.structure for one in first.chosen(first.new_ids)})
    for document in second.stability:
        twin = pool.find(document.structure)
        assert second.replays.get(document.candidate_id) == twin
        assert twin is None or document.candidate_id not in second.new_ids
    assert loop.cpu_hours == pytest.approx(
        sum(sum(one.cpu_seconds.values()) for one in (first, second)) / 3600
    )
    assert first.new["0.1"] == sum(
        one.energy_above_hull < 0.1005 for one in first.chosen(first.new_ids)
    )


def test_the_documents_of_a_loop_are_queried_as_those_of_any_run(two_rounds, tmp_path):
    _, rounds = two_rounds
    flow = loop_engine.loop(rounds=1, threshold=0.2).make(COUNTS, seed=1)
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, create_folders=True, log=False)
        assert stores.ingest_jobs()["stability"] == len(rounds[0].stability)
        names = {one.candidate_id for one in stores.load(StabilityDoc)}
    assert names == {one.candidate_id for one in rounds[0].stability}


def kill_after(flow, folder, n_events):
    """Run a flow in this process and end it by SIGKILL after so many jobs; None ends it well."""

    def on_event(event):
        nonlocal n_events
        if event.kind == "finished" and n_events is not None:
            n_events -= 1
            if n_events == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    with VogenStores.open(folder / "store", create=True) as stores:
        instant_judge.HereWorker.store = stores.job_store
        run_parallel(flow, stores.job_store, folder=folder / "jobs", on_event=on_event)


def test_killed_at_any_point_and_resumed_it_leaves_the_same(tmp_path, two_rounds):
    fork = multiprocessing.get_context("fork")
    flow = loop_engine.loop(threshold=0.2).make(COUNTS, seed=1)
    codes = []
    while not codes or codes[-1]:
        process = fork.Process(target=kill_after, args=(flow, tmp_path, 6))
        process.start()
        process.join()
        codes.append(process.exitcode)
        assert len(codes) < 30
    assert codes.count(-signal.SIGKILL) >= 5
    with VogenStores.open(tmp_path / "store") as stores:
        rounds = rounds_of(stores)
        learnt = stores.job_store.query({"output.@class": "LearntDoc"}, ["uuid"])
        assert len(list(learnt)) == 1  # nothing is learnt twice
    assert content_of(rounds) == content_of(two_rounds[1])


def test_rounds_go_on_with_what_was_learnt_last_however_often_they_are_stopped(tmp_path):
    maker = loop_engine.loop(threshold=0.2, rounds=3, learn=loop_engine.OnceMaker())
    loop, rounds = run(maker, tmp_path / "undisturbed", {"V2O5": 3})
    learnt = [one.learnt for one in rounds]
    assert [one.learns for one in rounds] == [False, True, False]
    assert learnt[1].first_round == learnt[2].first_round == 2
    assert learnt[1].n_learnt == learnt[2].n_learnt > 0
    assert rounds[0].model_id != rounds[1].model_id == rounds[2].model_id
    assert learning_lines(loop.rounds[2:])[0] == "round 3: goes on with the parents of round 2"
    fork = multiprocessing.get_context("fork")
    flow = maker.make({"V2O5": 3}, seed=1)
    codes = []
    while not codes or codes[-1]:
        process = fork.Process(target=kill_after, args=(flow, tmp_path / "killed", 9))
        process.start()
        process.join()
        codes.append(process.exitcode)
        assert len(codes) < 30
    with VogenStores.open(tmp_path / "killed" / "store") as stores:
        assert content_of(rounds_of(stores)) == content_of(rounds)
        assert stores.job_store.count({"output.@class": "LearntDoc"}) == 1


def test_a_round_that_finds_nothing_is_a_result(tmp_path):
    loop, rounds = run(loop_engine.loop(flat={"lift": 0.5}), tmp_path, {"V2O5": 2})
    assert [one.finds for one in rounds] == [[], []]
    assert rounds[1].learnt is None
    assert "no new crystal within 0.1 eV/atom" in rounds[0].warnings[-1]
    assert loop.n_finds == 0


def test_a_loop_without_any_crystal_goes_on(tmp_path):
    sampler = SampleMaker(sampler="evolution", options={"max_attempts": 1, "strain": 1.0, "operators": {"strain": 1}},
                          novel_only=True, novelty_margin=3.0)  # fmt: skip
    loop, rounds = run(loop_engine.loop(sampler=sampler), tmp_path, {"V2O5": 1})
    assert [one.n_sampled + sum(one.rejected["V2O5"].values()) for one in rounds] == [1, 1]
    assert loop.stopped_by == "rounds"


def test_crystals_without_a_number_for_an_energy_are_recorded_and_not_learnt(tmp_path):
    _, rounds = run(loop_engine.loop(flat={"nan": True}, threshold=0.3), tmp_path)
    states = [one.state.value for one in rounds[0].stability]
    assert {"ranked", "failed"} == set(states)
    failed = {one.candidate_id for one in rounds[0].stability if one.state == "failed"}
    assert rounds[0].finds
    assert not failed & set(rounds[0].finds)
    assert rounds[1].learnt.n_learnt <= len(rounds[0].finds)


def test_a_threshold_that_keeps_everything_is_warned_of(tmp_path):
    _, rounds = run(loop_engine.loop(threshold=1.0, rounds=1), tmp_path)
    assert any("the threshold chooses nothing" in text for text in rounds[0].warnings)


def test_another_oxide(tmp_path):
    maker = loop_engine.loop(TITANIUM, threshold=0.3)
    loop, rounds = run(maker, tmp_path, {"Ti2O5": 2})
    assert loop.chemsys == "O-Ti"
    assert rounds[0].finds
    assert rounds[1].learnt.n_learnt >= 1


def test_parents_are_those_given_and_the_finds(tmp_path):
    given = [one.structure for one in SubstitutionSampler().sample(COUNTS, seed=3).candidates]
    _, (first, second) = run(loop_engine.loop(threshold=0.3), tmp_path, parents=given)
    assert first.model_id != EvolutionSampler().model_id
    # crystals without energies stay, and finds beside them have none
    assert second.learnt.n_rehearsed == len(given)
    assert second.learnt.n_learnt >= 1


def test_a_loop_ends_by_what_comes_first():
    def document(number, finds, seconds):
        return RoundDoc(
            number=number, seed=0, sampler="s", model_id="m", scheme="e", chemsys="O-V",
            threshold=0.1, requested={}, attempts={}, rejected={}, n_sampled=0, n_relaxed=0,
            n_ranked=0, finds=finds, cpu_seconds={"sampling": seconds},
            learnt=Learning(kind="parents", n_learnt=1),
        )  # fmt: skip

    rounds = [document(1, ["a"], 1800), document(2, ["b", "c"], 1800)]
    assert stop_reason(rounds, 2, None, None) == "rounds"
    assert stop_reason(rounds, 3, None, None) is None
    assert stop_reason(rounds, 3, 1.0, None) == "CPU-hours"
    assert stop_reason(rounds, 3, 1.01, 4) is None
    assert stop_reason(rounds, 3, None, 3) == "finds"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "rounds is 0"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"cpu_hours": -1}, "cpu_hours is -1"),
        ({"finds": 0}, "finds is 0"),
        ({"sampler": SampleMaker(sampler="random")}, "novel_only=True"),
        ({"sampler": GridSampleMaker()}, "takes no argument `finds`"),
        ({"sampler": "random", "learn": ParentsMaker()}, "for the sampler evolution"),
        ({"sampler": "no such"}, "unknown sampler"),
    ],
)
def test_settings_of_no_loop_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        loop_engine.loop(**changes)


def test_parents_that_cannot_be_used_are_refused_before_anything_is_sampled(two_rounds):
    maker = loop_engine.loop()
    titanium = SubstitutionSampler(TITANIUM).sample({"TiO2": 1}, seed=0).candidates
    with pytest.raises(ElementError, match=titanium[0].candidate_id):
        maker.make({"V2O5": 1}, parents=titanium)
    with pytest.raises(InputError, match="list of parents is empty"):
        maker.make({"V2O5": 1}, parents=[])
    other = [one.model_copy(update={"scheme": "other"}) for one in two_rounds[1][0].stability]
    with pytest.raises(SchemeMismatchError, match="parents are of other"):
        maker.make({"V2O5": 1}, parents=other)
    with pytest.raises(InputError, match="only for the sampler evolution"):
        LoopFlowMaker(sampler="random").make({"V2O5": 1}, parents=[one.structure for one in other])
    with pytest.raises(InputError, match="none of the 2 parents is of V2O5"):
        maker.make({"V2O5": 1}, parents=[one.structure for one in other if one.formula == "V3O5"])


def test_the_flow_of_a_loop_has_one_output():
    flow = loop_engine.loop().make(COUNTS)
    assert isinstance(flow, Flow)
    assert flow.name == "loop"
    assert {job.metadata["loop"] for job, _ in flow.iterflow()} == {"loop"}
