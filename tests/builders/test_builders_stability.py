from __future__ import annotations

from datetime import UTC, datetime, timedelta

import cheap_engine
import made_calculations
import numpy as np
import pytest
from pymatgen.core import Lattice

from atomate2_vogen.builders.inputs import set_inputs
from atomate2_vogen.builders.stability import StabilityBuilder
from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import MissingReferenceError
from atomate2_vogen.jobs.evaluation import judge_and_measure
from atomate2_vogen.schemas import CalculationDoc, CalculationState, StabilityDoc, StabilityState
from atomate2_vogen.stability.hull import assess
from atomate2_vogen.stores import EmbeddedStore, VogenStores, upsert


def calculation(index, energy, scheme=cheap_engine.SCHEME, formula="VO2"):
    candidate = cheap_engine.candidate(formula, index, a=3.4)
    return CalculationDoc(
        calculation_id=f"{candidate.candidate_id}|{scheme}",
        candidate_id=candidate.candidate_id,
        scheme=scheme,
        state=CalculationState.COMPLETED,
        candidate=candidate,
        structure=candidate.structure,
        initial_energy_per_atom=energy + 1,
        energy_per_atom=energy,
        max_force=0.01,
    )


@pytest.fixture(params=["folder", "memory"])
def stores(request, tmp_path):
    made = (
        VogenStores.open(tmp_path, create=True)
        if request.param == "folder"
        else VogenStores.memory()
    )
    with made as stores:
        yield stores


def builder(stores, **settings):
    settings = {"novelty": False} | settings
    return StabilityBuilder(stores.calculations, stores.references, stores.stability, **settings)


def test_documents_are_those_of_the_pure_function(stores):
    calculations = [calculation(i, -6.0 - i / 10) for i in range(3)]
    references = cheap_engine.references()
    stores.save(calculations)
    stores.save(references)
    assert builder(stores).build() == 3
    expected = {d.stability_id: d for d in assess(calculations, references, VANADIUM, joint=True)}
    for document in stores.load(StabilityDoc):
        twin = expected[document.stability_id]
        assert document.model_dump(exclude={"last_updated", "structure"}) == twin.model_dump(
            exclude={"last_updated", "structure"}
        )


def test_one_by_one_or_at_once_refined_crystals_get_the_same_documents(stores):
    """Refined crystals with two forms come in every order among plain ones, and change."""
    plain = made_calculations.calculations(24, seed=3)
    rng = np.random.default_rng(3)
    calculations = [
        one
        if rng.random() < 0.5
        else one.model_copy(update={"unrefined_structure": other.structure})
        for one, other in zip(plain, rng.permutation(np.array(plain, dtype=object)), strict=True)
    ]
    assert 5 < sum(one.unrefined_structure is not None for one in calculations) < 20
    references = cheap_engine.references()
    stores.save(references)
    for start in range(0, 24, 6):
        stores.save(calculations[start : start + 6])
        assert builder(stores).build() > 0
    # one is refined later: its document changes, and those of others with it
    late = next(i for i, one in enumerate(calculations) if one.unrefined_structure is None)
    calculations[late] = calculations[late].model_copy(
        update={
            "unrefined_structure": plain[late - 1].structure,
            "last_updated": calculations[late].last_updated + timedelta(seconds=9),
        }
    )
    stores.save([calculations[late]])
    assert builder(stores).build() > 0
    assert builder(stores).build() == 0

    def relations(documents):
        return {
            d.stability_id: (d.is_unique, d.duplicate_group, d.leader, d.compared_with)
            for d in documents
        }

    expected = relations(assess(calculations, references, VANADIUM, joint=True))
    assert relations(stores.load(StabilityDoc)) == expected
    alone = relations(assess(plain, references, VANADIUM, joint=True))
    assert [one[:3] for one in alone.values()] != [one[:3] for one in expected.values()]


def test_what_a_flow_judged_is_not_judged_anew():
    """The summaries of flows and the builder are one judge: the same documents, novelty included."""
    calculations = [calculation(i, -6.0 - i / 10) for i in range(3)]
    references = cheap_engine.references()
    candidates = [one.candidate for one in calculations]
    judged, _ = judge_and_measure(candidates, calculations, references, VANADIUM)
    with VogenStores.memory() as stores:
        stores.save([*calculations, *references])
        assert builder(stores, novelty=True).build() == 3
        built = {d.stability_id: d for d in stores.load(StabilityDoc)}
        for document in judged:
            twin = built[document.stability_id]
            assert document.novelty_pool
            assert document.model_dump(exclude={"last_updated", "structure"}) == twin.model_dump(
                exclude={"last_updated", "structure"}
            )
        stores.save(judged)
        assert builder(stores, novelty=True).build() == 0


def test_withdrawn_calculations_are_not_judged_and_lose_their_documents(stores):
    made = [calculation(i, -6.0 - i / 10) for i in range(4)]
    stores.save([*made, calculation(0, -6.0, "other-2")])
    stores.save([*cheap_engine.references(), *cheap_engine.references("other-2")])
    builder(stores).build()

    def kept():
        return {d.candidate_id: d for d in stores.load(StabilityDoc, {"scheme": made[0].scheme})}

    for chosen in (made[:2], made[3:], made[1:3], made[1:3], [], made):
        candidates = [one.candidate for one in chosen]
        set_inputs(stores.calculations, made[0].scheme, candidates)
        builder(stores).build()
        assert builder(stores).build() == 0
        expected = assess(chosen, cheap_engine.references(), VANADIUM, joint=True)
        shown = kept()
        assert shown.keys() == {d.candidate_id for d in expected}
        for twin in expected:
            exclude = {"last_updated", "structure", "calculation_updated"}
            document = shown[twin.candidate_id]
            assert document.model_dump(exclude=exclude) == twin.model_dump(exclude=exclude)
        assert len(stores.load(CalculationDoc)) == 5  # nothing computed is lost
    assert stores.stability.count({"scheme": "other-2"}) == 1
    assert set_inputs(stores.calculations, made[0].scheme, [one.candidate for one in made]) == 0


def test_only_changed_pairs_are_rebuilt(stores):
    stores.save([calculation(i, -6.0) for i in range(3)])
    stores.save([calculation(i, -6.0, "other-2") for i in range(2)])
    stores.save(cheap_engine.references())
    stores.save(cheap_engine.references("other-2"))
    build = builder(stores)
    assert (build.build(), build.n_pairs) == (5, 2)
    assert (build.build(), build.n_pairs) == (0, 0)
    # a new calculation of one scheme is judged, and those that it leads and lies below amended
    stores.save(calculation(3, -7.0))
    assert (build.build(), build.n_pairs) == (4, 1)
    # one that changes nothing for the others is all that is written
    stores.save(calculation(4, -6.5))
    assert (build.build(), build.n_pairs) == (1, 1)
    # of one that was calculated again, the one above it now tells that it was compared with it
    stores.save(calculation(1, -6.5, "other-2"))
    assert (build.build(), build.n_pairs) == (2, 1)
    assert build.build() == 0
    # and so does a reference that moved
    stores.save(cheap_engine.references(oxide_energy=-8.5))
    assert (build.build(), build.n_pairs) == (5, 1)
    assert build.build() == 0


def test_documents_that_do_not_tell_what_is_bulk_are_judged_again(stores):
    """As an earlier version left them: a layer in vacuum ranks, leads, and lowers the joint hull."""
    layer = calculation(0, -7.5)
    far = layer.structure.copy()
    far.lattice = Lattice.from_parameters(3.4, 4.1, 40.0, 90, 90, 90)
    stores.save(
        [layer.model_copy(update={"structure": far}), *(calculation(i, -6.0) for i in (1, 2))]
    )
    stores.save(cheap_engine.references())
    assert builder(stores).build() == 3
    fresh = {d.stability_id: d for d in stores.load(StabilityDoc)}
    assert fresh[layer.calculation_id].state is StabilityState.NOT_BULK
    assert fresh[layer.calculation_id].is_bulk is False
    later = ("is_bulk", "bonding_dimensionality", "empty_gap")
    for document in list(stores.stability.query({})):
        stores.stability.remove_docs({"stability_id": document["stability_id"]})
        old = {key: value for key, value in document.items() if key not in (*later, "_id")}
        upsert(stores.stability, {**old, "state": "ranked"}, "stability_id")
    # they can still be read, and are found until a build
    assert {d.is_bulk for d in stores.load(StabilityDoc)} == {None}
    assert len(stores.query()) == 3
    assert builder(stores).build() == 3
    for document in stores.load(StabilityDoc):
        assert document.model_dump(exclude={"last_updated", "structure"}) == fresh[
            document.stability_id
        ].model_dump(exclude={"last_updated", "structure"})
    assert layer.candidate_id not in {row.candidate_id for row in stores.query()}
    assert [row.is_bulk for row in stores.query(state="not bulk")] == [False]
    assert builder(stores).build() == 0


def test_schemes_never_meet(stores):
    stores.save([calculation(0, -6.0), calculation(0, -16.0, "other-2")])
    stores.save(cheap_engine.references())
    stores.save(cheap_engine.references("other-2", oxide_energy=-9.0))
    assert builder(stores).build() == 2
    found = {d.scheme: d for d in stores.load(StabilityDoc)}
    assert found["other-2"].energy_above_hull == pytest.approx(-16 - (2 * -9 - 4) / 3)
    assert found[cheap_engine.SCHEME].energy_above_hull == pytest.approx(-6 - (2 * -8 - 4) / 3)


def test_malformed_documents_are_skipped_and_named(stores, caplog):
    stores.save([calculation(i, -6.0) for i in range(2)])
    stores.save(cheap_engine.references())
    now = datetime.now(UTC)
    for content in (
        {"calculation_id": "torn", "scheme": cheap_engine.SCHEME, "last_updated": now},
        {"calculation_id": "nameless"},
        {"calculation_id": "odd", "scheme": 7, "last_updated": "never"},
    ):
        upsert(stores.calculations, content, "calculation_id")
    upsert(
        stores.references, {"reference_id": "bad", "scheme": cheap_engine.SCHEME}, "reference_id"
    )
    build = builder(stores)
    assert build.build() == 2
    named = {entry.rsplit(": ", 1)[1] for entry in build.malformed}
    assert named == {"torn", "nameless", "odd", "bad"}
    assert "torn" in caplog.text
    assert build.build() == 0


def test_pairs_without_references_are_told_after_the_others_are_built(stores):
    stores.save([calculation(0, -6.0), calculation(0, -6.0, "orphan-1")])
    stores.save(cheap_engine.references())
    stores.save([r for r in cheap_engine.references("half-1") if r.formula != "V"])
    stores.save(calculation(1, -6.0, "half-1"))
    build = builder(stores)
    with pytest.raises(MissingReferenceError, match=r"half-1.*orphan-1"):
        build.build()
    assert [d.scheme for d in stores.load(StabilityDoc)] == [cheap_engine.SCHEME]


def test_failed_calculations_get_documents_too(stores):
    failed = calculation(0, -6.0).model_copy(
        update={
            "state": CalculationState.FAILED,
            "error": "boom",
            "energy_per_atom": None,
            "structure": None,
        }
    )
    stores.save([failed, calculation(1, -6.0)])
    stores.save(cheap_engine.references())
    assert builder(stores).build() == 2
    states = {d.state.value: d.reason for d in stores.load(StabilityDoc)}
    assert "boom" in states["failed"]


def test_runs_as_a_maggma_builder_from_serialised_stores(tmp_path):
    with VogenStores.open(tmp_path, create=True) as stores:
        stores.save([calculation(i, -6.0) for i in range(2)])
        stores.save(cheap_engine.references())
    sources = {
        name: EmbeddedStore(name, database_path=str(tmp_path), key=key)
        for name, key in (
            ("calculations", "calculation_id"),
            ("references", "reference_id"),
            ("stability", "stability_id"),
        )
    }
    build = StabilityBuilder.from_dict(StabilityBuilder(**sources, novelty=False).as_dict())
    build.run()
    assert build.n_written == 2
    with VogenStores.open(tmp_path) as stores:
        assert len(stores.load(StabilityDoc)) == 2


def test_novelty_is_judged_against_prototypes_and_references():
    """A relaxed reference is known by its name, a substituted prototype by its own."""
    from atomate2_vogen.data.dataset import load_dataset
    from atomate2_vogen.engines import load_references
    from atomate2_vogen.jobs.known import known_structures

    references = load_references("CHGNet-0.3.0")
    known = known_structures(VANADIUM, references, formulas=["VO2"])
    by_name = {r.name: r.structure for r in references}
    assert known.find(by_name["VO2 P4_2/mnm"]) == "VO2 P4_2/mnm"
    assert known.find(by_name["V2O5 Pmmn"]) == "V2O5 Pmmn"
    crystals = load_dataset(VANADIUM)
    index = next(
        i for i in range(len(crystals)) if crystals.is_distinct[i] and crystals.formula(i) == "VO2"
    )
    assert "VO2" in known.find(crystals.structure(index))
    assert known.find(cheap_engine.crystal("VO2")) is None
