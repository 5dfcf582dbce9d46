"""Several processes at one embedded store: nothing is lost or doubled, whoever is killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time

import pytest

from atomate2_vogen.stores import EmbeddedStore

PAYLOAD = [0.1] * 500  # larger than a page of the file
WRITERS, EACH, SHARED = 4, 150, 40

# forks of this process, which has no threads yet that they would lack
context = multiprocessing.get_context("fork")


def opened(folder):
    store = EmbeddedStore("crystals", folder, key="name")
    store.connect()
    return store


def _write(folder, writer, barrier):
    store = opened(folder)
    barrier.wait(120)
    for n in range(EACH):
        store.update({"name": f"{writer}-{n}", "writer": writer, "payload": PAYLOAD})
        # all write these, and some at the same moment
        store.update({"name": f"shared-{n % SHARED}", "writer": writer, "n": n}, key=["name"])
        if n % 10 == 0:
            store.update([{"name": f"batch-{writer}-{n}-{i}"} for i in range(5)])


def test_four_writers_lose_and_double_nothing(tmp_path):
    barrier = context.Barrier(WRITERS)
    writers = [
        context.Process(target=_write, args=(tmp_path, writer, barrier))
        for writer in range(WRITERS)
    ]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
        assert process.exitcode == 0
    with opened(tmp_path) as store:
        names = [document["name"] for document in store.query({}, ["name"])]
        expected = {f"{w}-{n}" for w in range(WRITERS) for n in range(EACH)}
        expected |= {f"shared-{n}" for n in range(SHARED)}
        expected |= {
            f"batch-{w}-{n}-{i}"
            for w in range(WRITERS)
            for n in range(0, EACH, 10)
            for i in range(5)
        }
        assert len(names) == len(expected)
        assert {*names} == expected
        assert store.count({"payload": PAYLOAD}) == WRITERS * EACH


def _write_until_killed(folder, first, written):
    store = opened(folder)
    for n in range(first, first + 100_000):
        pair = [{"name": f"{half}-{n}", "n": n, "payload": PAYLOAD} for half in "ab"]
        store.update(pair)
        written.value = n


@pytest.mark.parametrize("seed", range(6))
def test_a_kill_undoes_at_most_the_write_that_it_stops(tmp_path, seed):
    moments = random.Random(seed)
    first = 0
    for _ in range(3):
        written = context.Value("q", first - 1, lock=False)
        process = context.Process(target=_write_until_killed, args=(tmp_path, first, written))
        process.start()
        while written.value < first:  # until it has begun
            time.sleep(0.001)
            assert process.is_alive()
        time.sleep(moments.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with opened(tmp_path) as store:
            found = sorted(document["n"] for document in store.query({}, ["n"]))
            last = found[-1]
            # both of every pair, and no more than one pair that was not yet reported
            assert found == [n for n in range(last + 1) for _ in "ab"]
            assert last - written.value in {0, 1}
            assert store.count({"payload": PAYLOAD}) == len(found)
            store.update({"name": "still works"})
            store.remove_docs({"name": "still works"})
        first = last + 1


def _count_until_told(folder, stop, counts):
    store = opened(folder)
    last = 0
    while not stop.is_set():
        found = store.count()
        assert found >= last
        assert found % 2 == 0  # pairs are written together
        last = found
    counts.put(last)


def test_readers_see_whole_writes_and_never_wait(tmp_path):
    opened(tmp_path).close()
    stop, counts = context.Event(), context.Queue()
    reader = context.Process(target=_count_until_told, args=(tmp_path, stop, counts))
    reader.start()
    with opened(tmp_path) as store:
        for n in range(200):
            store.update([{"name": f"a{n}"}, {"name": f"b{n}"}])
    stop.set()
    assert counts.get(timeout=120) <= 400
    reader.join()
    assert reader.exitcode == 0
