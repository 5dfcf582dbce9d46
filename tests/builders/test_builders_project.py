"""One call brings stability documents up to date with what flows left."""

from __future__ import annotations

import cheap_engine
import pytest
from jobflow import run_locally
from monty.json import jsanitize
from sampler_job import GridSampleMaker

from atomate2_vogen import build_stability, load_references
from atomate2_vogen.errors import MissingReferenceError
from atomate2_vogen.flows.discovery import DiscoveryFlowMaker
from atomate2_vogen.schemas import CalculationDoc, DiscoveryDoc, ReferenceDoc, StabilityDoc
from atomate2_vogen.stores import VogenStores, parse

TIMES = {"last_updated", "compared_with"}


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


def test_documents_are_those_of_the_flow(stores):
    stores, found = stores
    stores.save(cheap_engine.references())
    summary = build_stability(stores)
    assert summary.written == len(found.stability) == 3
    assert summary.ingested["calculations"] == 3
    assert not summary.malformed

    def content(documents):
        return sorted(
            (
                jsanitize(doc.model_dump(exclude=TIMES), strict=True, enum_values=True)
                for doc in documents
            ),
            key=lambda one: one["stability_id"],
        )

    assert content(stores.load(StabilityDoc)) == content(found.stability)
    again = build_stability(stores)
    assert (again.written, again.ingested["calculations"]) == (0, 0)


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
