"""The local manager gives what jobflow's own `run_locally` gives, on several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from atomate2.forcefields.jobs import ForceFieldStaticMaker
from chgnet.model import CHGNet
from jobflow import Flow, JobConfig, JobStore, OnMissing, Response, job, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Structure

from atomate2_vogen.errors import CountsError, InputError
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.jobs.identity import UUID
from atomate2_vogen.managers import run_parallel
from atomate2_vogen.stores import EmbeddedStore


def note(file, word):
    with Path(file).open("a") as handle:
        handle.write(word + "\n")


def words(file):
    return Path(file).read_text().split() if Path(file).exists() else []


@job
def number(value):
    return value


@job(data="large")
def enlarge(value):
    return {"value": value, "large": [value] * 3}


@job
def add(*values):
    return sum(value for value in values if value is not None)


@job
def process():
    return [os.getpid(), os.environ["OMP_NUM_THREADS"], str(Path.cwd())]


@job
def explode(value):
    raise ArithmeticError(f"no square of {value}")


@job
def complain(value):
    raise CountsError(f"no crystals for {value}")


@job
def replace(value):
    first = number(value)
    second = add(first.output, 1)
    return Response(replace=Flow([first, second], output=second.output))


@job
def replace_twice(value):
    inner = replace(value)
    return Response(replace=Flow([inner], output=inner.output))


@job
def detour(file):
    return Response(output=1, detour=append(file, "detour"))


@job
def extend(file):
    return Response(output=1, addition=append(file, "addition"))


@job
def append(file, word, *_):
    note(file, word)
    return word


@job
def stop_children(*_):
    return Response(output=1, stop_children=True)


@job
def stop_everything():
    return Response(output=1, stop_jobflow=True)


@job
def die(file, times, value):
    """Kill its process the first few times."""
    note(file, "die")
    if words(file).count("die") <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


@job
def meet(file, word, other):
    """Wait until a job that runs at the same time has written its word."""
    note(file, word)
    end = time.monotonic() + 60
    while other not in words(file):
        if time.monotonic() > end:
            raise TimeoutError(other)
        time.sleep(0.01)
    return word


@job
def sleep(seconds):
    time.sleep(seconds)


@pytest.fixture
def store(tmp_path):
    def collection(name):
        return EmbeddedStore(name, database_path=str(tmp_path / "store"))

    (tmp_path / "store").mkdir()
    store = JobStore(collection("docs"), additional_stores={"data": collection("data")})
    store.connect()
    return store


def tolerant(one):
    one.config = JobConfig(on_missing_references=OnMissing.NONE)
    return one


def branched(file):
    """Every kind of job, each named after its place."""
    first = number(1)
    large = enlarge(first.output)
    replaced = replace(large.output["value"])
    nested = replace_twice(replaced.output)
    bad = explode(nested.output)
    lost = add(bad.output, 1)
    kept = tolerant(add(bad.output, nested.output, 10))
    turn = detour(file)
    after = append(file, "after", turn.output)
    more = extend(file)
    stop = stop_children(first.output)
    cut = add(stop.output, 1)
    inner = Flow([kept, lost], output=kept.output)
    jobs = [first, large, replaced, nested, bad, inner, turn, after, more, stop, cut]
    for position, one in enumerate(jobs):
        if not isinstance(one, Flow):
            one.name = f"{one.name} {position}"
    return Flow([*jobs, total := add(inner.output, large.output["large"][0])], output=total.output)


def outputs(store):
    """Name, index and output of each job; identifiers are drawn at random."""
    documents = store.query({}, load=True)
    return sorted((d["name"], d["index"], UUID.sub("#", str(d["output"]))) for d in documents)


def test_outputs_are_those_of_run_locally(store, tmp_path):
    alone = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(branched(str(tmp_path / "a")), store=alone, log=False)
    events = []
    result = run_parallel(
        branched(str(tmp_path / "b")), store, workers=2, log_dir=tmp_path, on_event=events.append
    )
    assert outputs(store) == outputs(alone)
    assert len(outputs(store)) == 20
    assert result.output.resolve(store) == 13 + 1
    assert [failure.error for failure in result.failures] == ["ArithmeticError: no square of 3"]
    assert sorted(result.skipped) == ["add", "add 10"]
    assert not result.is_complete
    with pytest.raises(RuntimeError, match="explode 4: ArithmeticError: no square of 3"):
        result.raise_for_failures()
    # a child waits for the detour, not for the addition
    assert words(tmp_path / "b").index("detour") < words(tmp_path / "b").index("after")
    assert "no square of 3" in "".join(p.read_text() for p in tmp_path.glob("worker-*.log"))
    assert {event.kind for event in events} == {"started", "finished", "failed"}
    assert events[-1].n_ended == events[-1].n_jobs == result.n_finished + 3


def test_jobs_run_side_by_side_across_flows(store, tmp_path):
    file = str(tmp_path / "words")
    left = Flow([meet(file, "left", "right")])
    right = Flow([meet(file, "right", "left")])
    assert run_parallel(Flow([left, right]), store, workers=2).is_complete


def test_jobs_have_one_thread_and_a_folder_each(store, tmp_path):
    jobs = [process() for _ in range(4)]
    run_parallel(Flow(jobs), store, workers=2, folder=tmp_path / "run")
    found = [document["output"] for document in store.query({"name": "process"})]
    pids, threads, folders = zip(*found, strict=True)
    assert len(set(pids)) <= 2
    assert os.getpid() not in pids
    assert set(threads) == {"1"}
    assert len(set(folders)) == 4
    assert all(Path(folder).parent == tmp_path / "run" for folder in folders)


def test_errors_of_the_package_keep_their_type(store):
    result = run_parallel(complain(7), store)
    with pytest.raises(CountsError, match="no crystals for 7"):
        result.raise_for_failures()


def test_stop_jobflow_starts_nothing_else(store):
    stop = stop_everything()
    result = run_parallel(Flow([stop, add(stop.output, 1), number(2)]), store)
    assert result.n_finished == 1


@pytest.mark.parametrize(("times", "ended"), [(2, True), (3, False)])
def test_a_job_whose_worker_dies_has_three_attempts(store, tmp_path, times, ended):
    file = str(tmp_path / "words")
    dying = die(file, times, 5)
    others = [number(value) for value in range(3)]
    events = []
    flow = Flow([dying, add(dying.output, 1), *others])
    result = run_parallel(flow, store, workers=2, on_event=events.append)
    assert result.is_complete is ended
    assert words(file).count("die") == 3
    assert [event.kind for event in events].count("restarted") == 2
    names = [document["name"] for document in store.query({})]
    assert names.count("number") == 3
    assert ("add" in names) is ended
    if not ended:
        (failure,) = result.failures
        assert "SIGKILL" in failure.error
        assert "3 attempts" in failure.error


def resumable(file):
    """A flow with jobs made by a job before the one that dies."""
    first = append(file, "first")
    made = replace(1)
    large = enlarge(made.output)
    dying = die(file, 1, large.output["value"])
    bad = explode_once(file)
    last = add(dying.output, large.output["large"][0])
    return Flow([first, made, large, dying, bad, last], output=last.output)


@job
def explode_once(file):
    note(file, "explode")
    if words(file).count("explode") == 1:
        raise ArithmeticError
    return 1


def test_a_flow_that_was_stopped_goes_on(store, tmp_path):
    file, folder = str(tmp_path / "words"), tmp_path / "run"
    first = run_parallel(resumable(file), store, folder=folder, attempts=1)
    assert {failure.name for failure in first.failures} == {"die", "explode_once"}
    before = outputs(store)
    # the write of a process that was killed may end anywhere
    with (folder / "jobs.jsonl").open("a") as handle:
        handle.write('{"uuid": "cut o')
    second = run_parallel(resumable(file), store, folder=folder, attempts=1)
    assert second.is_complete
    assert second.n_reused == first.n_finished == 6
    assert second.n_finished == 3
    assert second.output.resolve(store) == 2 + 2
    assert sorted(words(file)) == ["die", "die", "explode", "explode", "first"]
    assert set(before) < set(outputs(store))
    third = run_parallel(resumable(file), store, folder=folder)
    assert (third.n_finished, third.n_reused) == (0, 9)


def test_a_folder_holds_several_flows(store, tmp_path):
    run_parallel(number(1), store, folder=tmp_path / "run")
    both = run_parallel([number(2), number(1)], store, folder=tmp_path / "run")
    assert (both.n_finished, both.n_reused) == (1, 1)
    assert [output.resolve(store) for output in both.outputs] == [2, 1]
    with pytest.raises(InputError, match="given twice"):
        run_parallel([number(1), number(1)], store, folder=tmp_path / "run")
    (tmp_path / "run/jobs.jsonl").write_text("no JSON\n")
    with pytest.raises(InputError, match="no record of jobs"):
        run_parallel(number(1), store, folder=tmp_path / "run")


def test_jobs_are_reused_in_a_longer_flow_as_long_as_the_store_holds_them(store, tmp_path):
    def chain(length):
        jobs = [number(1)]
        for position in range(1, length):
            jobs.append(add(jobs[-1].output, position))
        return Flow(jobs, output=jobs[-1].output)

    short = run_parallel(chain(2), store, folder=tmp_path / "run")
    longer = run_parallel(chain(4), store, folder=tmp_path / "run")
    assert (longer.n_reused, longer.n_finished) == (2, 2)
    assert longer.output.resolve(store) == 1 + 1 + 2 + 3
    store.remove_docs({"uuid": short.output.uuid})
    again = run_parallel(chain(4), store, folder=tmp_path / "run")
    assert (again.n_reused, again.n_finished) == (1, 3)  # what is lost, and what needs it
    assert again.output.resolve(store) == 7


def test_events_count_the_jobs_of_a_stage(store):
    jobs = [number(value) for value in range(3)]
    for one in jobs[:2]:
        one.update_metadata({"stage": "first"})
    events = []
    run_parallel(Flow(jobs), store, on_event=events.append)
    ended = [(e.stage, e.stage_ended, e.stage_jobs) for e in events if e.kind == "finished"]
    assert ended == [("first", 1, 2), ("first", 2, 2), ("number", 1, 1)]


def test_flows_are_drawn_as_workers_become_free_and_their_ends_are_told(store):
    drawn, events = [], []

    def flows():
        for value in range(5):
            drawn.append(value)
            job = replace(value) if value != 3 else explode(value)
            yield Flow([job, add(job.output, 10)], output=job.output)

    def look(event):
        events.append((event, len(drawn)))

    result = run_parallel(flows(), store, workers=1, on_event=look)
    ends = [(event.flow_number, seen) for event, seen in events if event.ends_flow]
    assert ends == [(value, value + 1) for value in range(5)]
    assert [failure.flow_number for failure in result.failures] == [3]
    assert [event.failure for event, _ in events if event.failure] == result.failures
    assert [result.outputs[value].resolve(store) for value in (0, 1, 2, 4)] == [1, 2, 3, 5]


@job
def fail_softly(file, times):
    note(file, "soft")
    return JobFailure(error="not today") if words(file).count("soft") <= times else 5


@job
def describe(file, source):
    note(file, "describe")
    if isinstance(source, JobFailure):
        return source.error
    return source


def test_jobs_that_left_a_failure_are_run_again_with_what_needs_them(store, tmp_path):
    file = str(tmp_path / "words")

    def made():
        other = append(file, "other")
        soft = fail_softly(file, 1)
        inner = replace(1)
        description = describe(file, soft.output)
        last = add(inner.output, 1)
        return Flow([other, soft, inner, description, last], output=description.output)

    first = run_parallel(made(), store, folder=tmp_path / "run")
    assert first.output.resolve(store) == "not today"
    assert first.is_complete
    second = run_parallel(made(), store, folder=tmp_path / "run")
    assert second.output.resolve(store) == 5
    assert (second.n_finished, words(file).count("other")) == (2, 1)
    third = run_parallel(made(), store, folder=tmp_path / "run")
    assert third.n_finished == 0
    assert words(file).count("describe") == 2


def test_an_output_that_is_older_than_its_inputs_is_made_anew(store, tmp_path):
    """As left by a run that was killed after a job that was run again, before what needs it."""
    file, folder = str(tmp_path / "words"), tmp_path / "run"

    def made():
        first = append(file, "first")
        second = append(file, "second", first.output)
        third = append(file, "third", second.output)
        return Flow([first, second, third], output=third.output)

    run_parallel(made(), store, folder=folder)
    path = folder / "jobs.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]) + "\n")  # the second one, once more
    again = run_parallel(made(), store, folder=folder)
    assert (again.n_reused, again.n_finished) == (2, 1)
    assert words(file) == ["first", "second", "third", "third"]
    assert run_parallel(made(), store, folder=folder).n_finished == 0


def test_bad_arguments(store):
    with pytest.raises(InputError, match="MemoryStore"):
        run_parallel(number(1), JobStore(MemoryStore()))
    with pytest.raises(InputError, match="workers is 0"):
        run_parallel(number(1), store, workers=0)


def test_an_exception_of_the_progress_function_ends_the_workers(store):
    seen = []

    def look(event):
        seen.append(event)
        if event.kind == "finished":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_parallel(Flow([process(), sleep(600)]), store, workers=2, on_event=look)
    (document,) = store.query({"name": "process"})
    assert not psutil.pid_exists(document["output"][0])


def test_a_killed_parent_takes_its_workers_with_it(tmp_path):
    program = tmp_path / "parent.py"
    program.write_text(
        "from jobflow import JobStore\n"
        "from atomate2_vogen.stores import EmbeddedStore\n"
        "from atomate2_vogen.managers import run_parallel\n"
        "from test_managers_local import sleep\n"
        "if __name__ == '__main__':\n"
        "    store = JobStore(EmbeddedStore('docs', database_path='.'))\n"
        "    run_parallel(sleep(600), store, log_dir='.')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.Popen([sys.executable, program], cwd=tmp_path, env=environment)
    log = tmp_path / "worker-0.log"
    while not (log.exists() and "Starting job - sleep" in log.read_text()):
        assert parent.poll() is None
        time.sleep(0.2)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def test_a_flow_of_atomate2_that_has_nothing_to_do_with_this_package(store):
    cell = Structure.from_spacegroup(
        "Fm-3m", [[5.64, 0, 0], [0, 5.64, 0], [0, 0, 5.64]], ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]
    ).get_primitive_structure()
    maker = ForceFieldStaticMaker(force_field_name="CHGNet")
    cells = [cell, cell.copy().apply_strain(0.05)]
    result = run_parallel(Flow([maker.make(cell) for cell in cells]), store, workers=2)
    assert result.is_complete
    energies = [document["output"]["output"]["energy"] for document in store.query({})]
    model = CHGNet.load(use_device="cpu", verbose=False)
    expected = [2 * float(model.predict_structure(cell)["e"]) for cell in cells]
    assert sorted(energies) == pytest.approx(sorted(expected), abs=1e-4)
