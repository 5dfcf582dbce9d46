"""Builds that are killed, meet, or find damage: afterwards the documents are those of one build."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from datetime import timedelta

import cheap_engine
import made_calculations
import numpy as np
import pytest
from mongo_server import mongo_uri

from atomate2_vogen.builders import records
from atomate2_vogen.builders.stability import StabilityBuilder
from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import BuildError
from atomate2_vogen.schemas import CalculationState, StabilityDoc
from atomate2_vogen.stability.hull import assess
from atomate2_vogen.stores import VogenStores, upsert, upsert_many

OF_THE_BUILD = {"last_updated", "structure", "reduced_cell"}


def builder(stores, **settings):
    settings = {"novelty": False} | settings
    return StabilityBuilder(stores.calculations, stores.references, stores.stability, **settings)


def contents(stores):
    return {
        d.stability_id: d.model_dump(exclude=OF_THE_BUILD | {"calculation_updated"})
        for d in stores.load(StabilityDoc)
    }


def expected(calculations):
    documents = assess(calculations, cheap_engine.references(), VANADIUM, joint=True)
    return {
        d.stability_id: d.model_dump(exclude=OF_THE_BUILD | {"calculation_updated"})
        for d in documents
    }


@pytest.fixture
def stores():
    with VogenStores.memory() as stores:
        stores.save(cheap_engine.references())
        yield stores


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_in_whatever_order_the_documents_are_those_of_one_build(stores, seed):
    rng = np.random.default_rng(seed)
    current = {c.calculation_id: c for c in made_calculations.calculations(9, seed)}
    groups = {d["duplicate_group"] for d in expected(list(current.values())).values()}
    assert len(groups) in range(2, 8)
    waiting = list(current.values())
    rng.shuffle(waiting)
    while waiting:
        step, waiting = waiting[:2], waiting[2:]
        stores.save(step)
        builder(stores).build()
    # one moves away, one fails, one is removed, and with it its document
    moved, failed, removed = rng.choice(sorted(current), 3, replace=False)
    index = current[moved].candidate.index
    current[moved] = made_calculations.calculation(index, rng.uniform(2.2, 5.5), -6.5, version=1)
    current[failed] = current[failed].model_copy(
        update={
            "state": CalculationState.FAILED,
            "last_updated": current[failed].last_updated - timedelta(hours=1),
        }
    )
    stores.save([current[moved], current[failed]])
    stores.calculations.remove_docs({"calculation_id": removed})
    del current[removed]
    build = builder(stores, remove_orphans=True)
    build.build()
    assert build.n_removed == 1
    assert contents(stores) == expected(list(current.values()))
    assert builder(stores, remove_orphans=True).build() == 0


def test_orphans_stay_unless_asked_and_nobody_is_judged_by_them(stores):
    energies = (-6.0, -6.3, -6.1)
    chain = [made_calculations.calculation(i, c, energies[i]) for i, c in enumerate((2.6, 3, 3.5))]
    stores.save(chain)
    builder(stores).build()
    assert {d["duplicate_group"] for d in contents(stores).values()} == {"VO2-001"}
    stores.calculations.remove_docs({"calculation_id": chain[1].calculation_id})
    build = builder(stores)
    build.build()
    assert build.n_removed == 0
    held = contents(stores)
    assert len(held) == 3
    del held[chain[1].calculation_id]
    assert held == expected([chain[0], chain[2]])
    assert {d["duplicate_group"] for d in held.values()} == {"VO2-000", "VO2-002"}
    assert builder(stores).build() == 0
    asked = builder(stores, remove_orphans=True)
    assert (asked.build(), asked.n_removed) == (0, 1)
    assert contents(stores) == held


def test_a_clock_that_is_behind_hides_no_change(stores):
    first = made_calculations.calculation(0, 2.85, -6.0, version=100)
    stores.save(first)
    builder(stores).build()
    again = made_calculations.calculation(0, 2.85, -6.5, version=-3600)
    stores.save(again)
    assert builder(stores).build() == 1
    assert contents(stores) == expected([again])


def die_after(folder, n_writes):
    """Body of a process: a build that is killed once so many documents are written."""
    written = 0

    def one_by_one(store, batch, key):
        nonlocal written
        for content in batch:
            upsert_many(store, [content], key)
            written += 1
            if written == n_writes:
                os.kill(os.getpid(), signal.SIGKILL)
        return len(batch)

    records.upsert_many = one_by_one
    with VogenStores.open(folder) as stores:
        builder(stores).build()


@pytest.mark.parametrize("n_writes", [1, 2, 4])
def test_a_killed_build_is_taken_up(tmp_path, n_writes):
    made = made_calculations.calculations(8, seed=3)
    # the first that come are in groups of their own, which the lowest one joins
    late = [
        made_calculations.calculation(20, 3.1, -7.5),
        made_calculations.calculation(21, 3.6, -7.6),
    ]
    with VogenStores.open(tmp_path, create=True) as stores:
        stores.save(cheap_engine.references())
        stores.save(made)
        builder(stores).build()
        stores.save(late)
        before = contents(stores)
    process = multiprocessing.get_context("fork").Process(
        target=die_after, args=(tmp_path, n_writes)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with VogenStores.open(tmp_path) as stores:
        left = contents(stores)
        assert left != expected([*made, *late])
        assert left != before
        builder(stores).build()
        assert contents(stores) == expected([*made, *late])
        assert builder(stores).build() == 0


def test_two_builders_that_meet_leave_the_documents_of_one(stores):
    """The first reads, the second does all its work and knows of more, the first goes on."""
    made = made_calculations.calculations(6, seed=5)
    later = made_calculations.calculation(30, 3.0, -8.0)
    stores.save(made)
    slow, fast = builder(stores), builder(stores)
    items = list(slow.get_items())
    stores.save(later)
    fast.build()
    slow.update_targets([slow.process_item(item) for item in items])
    builder(stores).build()
    assert contents(stores) == expected([*made, later])
    assert stores.stability.count() == 7
    assert builder(stores).build() == 0


def test_damaged_stability_documents_are_made_again(stores):
    made = made_calculations.calculations(6, seed=1)
    stores.save(made)
    builder(stores).build()
    whole = {d["stability_id"]: d for d in stores.stability.query()}
    names = [c.calculation_id for c in made if whole[c.calculation_id]["state"] == "ranked"]
    damage = ({"state": "odd"}, {"structure": None}, {"leader": 7, "reduced_cell": 3})
    for name, change in zip(names, damage, strict=False):
        upsert(stores.stability, whole[name] | change, "stability_id")
    upsert(stores.stability, whole[names[3]] | {"duplicate_group": "gone"}, "stability_id")
    stores.save(made_calculations.calculation(40, 3.0, -6.2))
    builder(stores).build()
    assert contents(stores) == expected([*made, made_calculations.calculation(40, 3.0, -6.2)])
    assert builder(stores).build() == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with mongo_uri(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri.rstrip("/")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of maggma's command line
def test_mrun_builds_pairs_side_by_side(server, monkeypatch):
    from maggma.cli.multiprocessing import multi

    made = made_calculations.calculations(4)
    other = [
        c.model_copy(update={"scheme": "other-2", "calculation_id": f"{c.candidate_id}|other-2"})
        for c in made
    ]
    with VogenStores.open(f"{server}/vogen_mrun_{os.getpid()}", create=True) as stores:
        stores.save(cheap_engine.references())
        stores.save(cheap_engine.references("other-2"))
        stores.save([*made, *other])
        build = builder(stores, chunk_size=2)
        asyncio.run(multi(build, 2, no_bars=True))
        assert (build.n_written, build.n_pairs) == (8, 2)
        stores.connect()
        held = contents(stores)
        assert {n: d for n, d in held.items() if d["scheme"] != "other-2"} == expected(made)
        again = builder(stores)
        asyncio.run(multi(again, 2, no_bars=True))
        assert again.n_written == 0
        # maggma only logs what goes wrong in its processes
        stores.connect()
        stores.save(made_calculations.calculation(50, 3.0, -6.0))

        def process_item(self, item):
            raise MemoryError

        monkeypatch.setattr(StabilityBuilder, "process_item", process_item)
        with pytest.raises(BuildError, match=cheap_engine.SCHEME):
            asyncio.run(asyncio.wait_for(multi(builder(stores), 1, no_bars=True), 60))
        stores.connect()
        stores.stability._collection.database.client.drop_database(stores.stability.database)
