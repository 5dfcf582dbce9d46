"""One call brings stability documents up to date with what flows left."""

from __future__ import annotations

from datetime import UTC, datetime

import cheap_engine
import pytest
from jobflow import run_locally
from monty.json import jsanitize
from sampler_job import GridSampleMaker

from atomate2_vogen import build_stability, load_references
from atomate2_vogen.builders import pairs, stability
from atomate2_vogen.builders.inputs import set_inputs
from atomate2_vogen.errors import MissingReferenceError
from atomate2_vogen.flows.discovery import DiscoveryFlowMaker
from atomate2_vogen.flows.evaluation import EvaluateMaker
from atomate2_vogen.jobs import evaluation, known
from atomate2_vogen.schemas import CalculationDoc, DiscoveryDoc, ReferenceDoc, StabilityDoc
from atomate2_vogen.stability import hull, judging
from atomate2_vogen.stores import VogenStores, parse

TIMES = {"last_updated", "compared_with"}


@pytest.fixture(autouse=True)
def one_pool(monkeypatch):
    """The pools of known crystals are made once, not by every flow and build: 4 s each."""
    for module in (evaluation, stability):
        monkeypatch.setattr(module, "known_structures", pool)


POOLS = {}


def pool(system, references, own=()):
    name = known.pool_id(system, references, own)
    if name not in POOLS:
        POOLS[name] = known.known_structures(system, references, own=own)
    return POOLS[name]


@pytest.fixture
def stores(tmp_path):
    """Stores with the job outputs of a discovery flow, and its document."""
    maker = DiscoveryFlowMaker(
        sampler=GridSampleMaker(),
        engine=cheap_engine.engine(),
        references=cheap_engine.references(),
    )
    flow = maker.make(counts={"VO2": 2, "V2O3": 1})
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        output = stores.job_store.get_output(flow.output.uuid, load=True)
        yield stores, parse(DiscoveryDoc, output)


def content(documents):
    """What documents say, but for times, sorted by key."""
    return sorted(
        (
            jsanitize(document.model_dump(exclude=TIMES), strict=True, enum_values=True)
            for document in documents
        ),
        key=lambda one: one["stability_id"],
    )


def built_from_calculations(stores):
    """Documents of one build of everything, from the calculations and references alone."""
    with VogenStores.memory() as fresh:
        fresh.save([*stores.load(CalculationDoc), *stores.load(ReferenceDoc)])
        build_stability(fresh)
        return fresh.load(StabilityDoc)


@pytest.fixture
def judged(monkeypatch):
    """Ids of the calculations that are judged from now on."""
    names = []

    def watched(calculation, *args):
        names.append(calculation.calculation_id)
        return judging.judge(calculation, *args)

    monkeypatch.setattr(hull, "judge", watched)
    monkeypatch.setattr(pairs, "judge", watched)
    return names


def evaluate(stores, folder, *candidates):
    """Run the flow that relaxes crystals and judges them; its jobs' documents stay."""
    maker = EvaluateMaker(engine=cheap_engine.engine(), references=cheap_engine.references())
    flow = maker.make(list(candidates))
    responses = run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
    assert flow.output.uuid in responses
    return flow


def test_documents_are_those_of_the_flow(stores, judged):
    stores, found = stores
    stores.save(cheap_engine.references())
    summary = build_stability(stores)
    assert judged == []
    assert (summary.written, summary.ingested["stability"]) == (0, len(found.stability))
    assert len(found.stability) == summary.ingested["calculations"] == 3
    assert not summary.malformed
    held = stores.load(StabilityDoc)
    assert content(held) == content(found.stability) == content(built_from_calculations(stores))
    assert {one.compared_with for one in held} == {one.compared_with for one in found.stability}
    again = build_stability(stores)
    assert (again.written, set(again.ingested.values())) == (0, {0})


def test_the_form_in_the_store_is_that_of_the_builder(stores):
    """Queries and indexes see the same types, made by a flow or by the builder."""
    stores, _ = stores
    stores.save(cheap_engine.references())
    build_stability(stores)
    copied = {one["stability_id"]: one for one in stores.stability.query({})}
    stores.stability.remove_docs({})
    stores.job_store.docs_store.remove_docs({})
    build_stability(stores)
    for made in stores.stability.query({}):
        one = copied[made["stability_id"]]
        assert one.keys() == made.keys()
        assert {k: type(v) for k, v in one.items()} == {k: type(v) for k, v in made.items()}


def test_groups_are_found_among_the_crystals_of_two_flows(tmp_path, judged):
    """All four relax into one crystal; each flow knows of two."""
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        stores.save(cheap_engine.references())
        first = [cheap_engine.candidate("VO2", index, a=3.36 + 0.02 * index) for index in (0, 1)]
        second = [cheap_engine.candidate("VO2", index, a=3.36 + 0.02 * index) for index in (2, 3)]
        evaluate(stores, tmp_path, *first)
        assert build_stability(stores).ingested["stability"] == 2
        evaluate(stores, tmp_path, *second)
        judged.clear()  # the flow has judged its own
        summary = build_stability(stores)
        assert judged == []
        assert summary.ingested["stability"] == 2
        assert summary.written >= 2  # amendments
        held = stores.load(StabilityDoc)
        assert sum(one.is_unique for one in held) == 1
        assert len({one.duplicate_group for one in held}) == 1
        assert content(held) == content(built_from_calculations(stores))
        judged.clear()
        again = build_stability(stores)
        assert (again.written, again.ingested["stability"], judged) == (0, 0, [])


def test_a_calculation_that_was_done_again_is_judged_again(tmp_path, judged):
    candidates = [cheap_engine.candidate("VO2", index, a=3.36 + 0.02 * index) for index in (0, 1)]
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        stores.save(cheap_engine.references())
        evaluate(stores, tmp_path, *candidates)
        stores.ingest_jobs()
        first, *_ = stores.load(CalculationDoc)
        redone = first.model_copy(
            update={"energy_per_atom": -6.5, "last_updated": datetime.now(UTC)}
        )
        stores.save(redone)
        judged.clear()
        build_stability(stores)
        assert judged == [redone.calculation_id]
        held = {one.stability_id: one for one in stores.load(StabilityDoc)}
        assert held[redone.calculation_id].energy_per_atom == -6.5
        assert content(held.values()) == content(built_from_calculations(stores))
        # what the flow said of the first version does not come back
        assert build_stability(stores).ingested["stability"] == 0
        # before anything of it was taken, too
        stores.stability.remove_docs({})
        judged.clear()
        assert build_stability(stores).ingested["stability"] == 1
        assert judged == [redone.calculation_id]
        # and a second flow over the same crystals judges the calculations that it made
        evaluate(stores, tmp_path, *candidates)
        judged.clear()
        assert build_stability(stores).ingested["stability"] == 2
        assert judged == []
        assert content(stores.load(StabilityDoc)) == content(built_from_calculations(stores))


def test_of_other_references_the_flows_documents_are_judged_again(tmp_path, judged):
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        stores.save(cheap_engine.references(oxide_energy=-8.5))
        evaluate(stores, tmp_path, cheap_engine.candidate("VO2"))
        judged.clear()
        build_stability(stores)
        assert len(judged) == 1
        assert content(stores.load(StabilityDoc)) == content(built_from_calculations(stores))
        again = build_stability(stores)
        assert (again.written, again.ingested["stability"]) == (0, 0)


def test_of_withdrawn_calculations_nothing_is_taken(tmp_path):
    candidates = [cheap_engine.candidate("VO2", index) for index in (0, 1)]
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        stores.save(cheap_engine.references())
        evaluate(stores, tmp_path, *candidates)
        stores.ingest_jobs()
        stores.stability.remove_docs({})
        set_inputs(stores.calculations, cheap_engine.SCHEME, candidates[:1])
        assert stores.ingest_jobs()["stability"] == 1
        build_stability(stores)
        (held,) = stores.load(StabilityDoc)
        assert held.candidate_id == candidates[0].candidate_id


def test_lists_that_hold_nothing_new_are_not_read(stores, monkeypatch):
    stores, _ = stores
    stores.save(cheap_engine.references())
    build_stability(stores)
    read = []
    query_one = type(stores.data).query_one

    def watched(self, *args, **options):
        found = query_one(self, *args, **options)
        read.append("stability_id" in str(found["data"]))
        return found

    monkeypatch.setattr(type(stores.data), "query_one", watched)
    build_stability(stores)
    assert not any(read)
    stores.stability.remove_docs({"stability_id": stores.load(StabilityDoc)[0].stability_id})
    build_stability(stores)
    assert sum(read) == 1


def test_a_damaged_document_of_a_flow_is_named_and_judged_again(stores, judged, caplog):
    stores, _ = stores
    stores.save(cheap_engine.references())
    (blob, *_) = [
        found
        for found in stores.data.query({})
        if isinstance(found["data"], list) and "stability_id" in str(found["data"])
    ]
    blob["data"][0]["natoms"] = "many"
    blob["data"][1] = "lost"
    stores.data.update([blob], key="blob_uuid")
    summary = build_stability(stores)
    assert (summary.ingested["stability"], len(judged)) == (1, 2)
    assert "holds a damaged StabilityDoc" in caplog.text
    assert content(stores.load(StabilityDoc)) == content(built_from_calculations(stores))


def test_shipped_references_of_the_calculations_schemes_are_added(stores):
    stores, _ = stores
    stores.save(cheap_engine.references())
    build_stability(stores)
    scheme = "CHGNet-0.3.0"
    assert not list(stores.iterate(ReferenceDoc, {"scheme": scheme}))
    (one, *_) = stores.load(CalculationDoc, {"state": "completed"})
    other = one.model_copy(
        update={"scheme": scheme, "calculation_id": f"{one.candidate_id}|{scheme}"}
    )
    stores.save(other)
    assert build_stability(stores).written == 1
    references = stores.load(ReferenceDoc, {"scheme": scheme})
    assert len(references) == len(load_references(scheme))
    (judged,) = stores.load(StabilityDoc, {"scheme": scheme})
    assert judged.hull_id is not None


def test_a_scheme_without_references_is_refused_by_name(stores):
    stores, _ = stores
    with pytest.raises(MissingReferenceError, match=cheap_engine.SCHEME):
        build_stability(stores)
