"""Writing documents into the embedded store: one by one against all at once."""

from __future__ import annotations

import cheap_engine
import pytest
from monty.json import jsanitize

from atomate2_vogen.stores import VogenStores, upsert

DOCUMENTS = [cheap_engine.candidate("VO2", index) for index in range(100)]


def one_by_one(stores):
    for document in DOCUMENTS:
        content = jsanitize(document, strict=True, enum_values=True, allow_bson=True)
        upsert(stores.candidates, content, "candidate_id")


def at_once(stores):
    stores.save(DOCUMENTS)


@pytest.mark.parametrize("write", [one_by_one, at_once])
@pytest.mark.benchmark(group="write 100 candidates again")
def test_bench_saving(benchmark, tmp_path, write):
    with VogenStores.open(tmp_path, create=True) as stores:
        at_once(stores)
        benchmark.pedantic(write, args=(stores,), rounds=2)
        assert stores.candidates.count({}) == len(DOCUMENTS)
