"""Asking further energy models about finds: toy engines whose minima are known."""

from __future__ import annotations

from dataclasses import replace

import cheap_engine
import pytest
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition

from atomate2_vogen import VANADIUM, VogenStores
from atomate2_vogen.engines import Engine
from atomate2_vogen.errors import InputError, MissingReferenceError, SchemeMismatchError
from atomate2_vogen.flows import ConfirmFlowMaker, EvaluateMaker, ReferencesFlowMaker
from atomate2_vogen.jobs.characterisation import select_best
from atomate2_vogen.schemas import ConsensusDoc, EvaluationDoc, StabilityState, Verdict
from atomate2_vogen.stability import reference_levels

FIRST = replace(cheap_engine.engine(), functional="PBE(+U)", training_data=("a",))


def other(scheme: str, functional: str = "r2SCAN", data: tuple[str, ...] = ("b",)) -> Engine:
    made = cheap_engine.engine(scheme=scheme)
    return replace(made, name=scheme, functional=functional, training_data=data)


def at_height(height: float, scheme: str = cheap_engine.SCHEME):
    """References whose hull lies so far below the minimum of VO2 (eV/atom)."""
    # on the line from VO to O2 at VO2: a third of the atoms are oxygen beside VO
    oxide = (cheap_engine.GROUND - height + 4.0 / 3) * 1.5
    return cheap_engine.references(scheme, oxide)


@pytest.fixture(scope="module")
def finds(tmp_path_factory):
    """VO2 0.02 eV/atom above the first engine's hull."""
    maker = EvaluateMaker(engine=FIRST, references=at_height(0.02))
    output = ran(maker.make([cheap_engine.candidate()]), tmp_path_factory)
    (document,) = EvaluationDoc.model_validate(output).stability
    assert document.energy_above_hull == pytest.approx(0.02, abs=1e-3)
    return [document]


def ran(flow: Flow, tmp_path_factory, store=None):
    store = store or JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(flow, store=store, root_dir=tmp_path_factory.mktemp("run"), ensure_success=True)
    return store.get_output(flow.output.uuid, load=True) if flow.output else None


def documents(flow, tmp_path_factory, store=None) -> list[ConsensusDoc]:
    return [ConsensusDoc.model_validate(one) for one in ran(flow, tmp_path_factory, store)]


def maker(engines, heights, **rest):
    references = {
        engine.scheme: at_height(height, engine.scheme)
        for engine, height in zip([FIRST, *engines], [0.02, *heights], strict=True)
    }
    return ConfirmFlowMaker(engine=FIRST, engines=engines, references=references, **rest)


def test_heights_are_those_of_each_models_own_hull(finds, tmp_path_factory):
    engines = [other("r2"), other("r3", data=("c",))]
    (found,) = documents(maker(engines, [0.05, 0.0]).make(finds), tmp_path_factory)
    first, second, third = found.opinions
    assert [one.model.scheme for one in found.opinions] == [cheap_engine.SCHEME, "r2", "r3"]
    # the same energy in every scheme: the minimum is known in closed form
    for opinion in found.opinions:
        assert opinion.energy_per_atom == pytest.approx(cheap_engine.GROUND, abs=2e-3)
        assert opinion.state is StabilityState.RANKED
        assert opinion.left_basin is False
    for opinion, references in ((second, at_height(0.05, "r2")), (third, at_height(0.0, "r3"))):
        diagram = PhaseDiagram(
            [
                PDEntry(one.structure.composition, one.energy_per_atom * len(one.structure))
                for one in references
            ]
        )
        hull = diagram.get_hull_energy_per_atom(Composition("VO2"))
        assert opinion.energy_above_hull == pytest.approx(opinion.energy_per_atom - hull)
    assert first.rmsd == 0
    assert second.rmsd < 0.05
    assert found.spread == pytest.approx(0.05, abs=2e-3)
    assert found.largest_above_hull == pytest.approx(0.05, abs=2e-3)
    assert (found.verdict, found.verdict_25mev) == (Verdict.CONFIRMED, Verdict.DISPUTED)
    assert found.shared_training_data == []
    assert found.consensus_id == finds[0].stability_id
    assert set(second.jobs) == {"relax", "static"}


def test_a_find_that_another_model_places_high_is_refuted(finds, tmp_path_factory):
    (found,) = documents(maker([other("r2")], [0.3]).make(finds), tmp_path_factory)
    assert (found.verdict, found.verdict_25mev) == (Verdict.REFUTED, Verdict.REFUTED)


def test_what_a_model_cannot_calculate_is_recorded(finds, tmp_path_factory):
    """Both engines raise on V2O3; its document is made by hand."""
    level = reference_levels(at_height(0.02), VANADIUM, ["V2O3"])["V2O3"]
    sesquioxide = finds[0].model_copy(
        update={
            "candidate_id": "V2O3-1",
            "stability_id": "V2O3-1|cheap-1",
            "formula": "V2O3",
            "structure": cheap_engine.crystal("V2O3"),
            "energy_per_atom": level.hull_energy_per_atom,
        }
    )
    flow = maker([other("r2")], [0.0]).make([sesquioxide, *finds])
    broken, good = documents(flow, tmp_path_factory)
    assert broken.candidate_id == "V2O3-1"
    assert broken.opinions[1].state is StabilityState.FAILED
    assert "cursed" in broken.opinions[1].reason
    assert broken.verdict is Verdict.UNDECIDED
    assert good.verdict is Verdict.CONFIRMED


def test_a_relaxation_without_enough_steps_is_no_answer(finds, tmp_path_factory):
    slow = replace(other("r2"), relax_maker=cheap_engine.engine(steps=1).relax_maker)
    moved = finds[0].model_copy(update={"structure": cheap_engine.crystal("VO2", a=4.2)})
    (found,) = documents(maker([slow], [0.0]).make([moved]), tmp_path_factory)
    assert found.opinions[1].state is StabilityState.UNCONVERGED
    assert found.verdict is Verdict.UNDECIDED


def test_the_output_of_a_job_is_confirmed_and_stored(finds, tmp_path_factory):
    chosen = select_best(finds, top=3)
    flow = Flow([chosen, maker([other("r2")], [0.0]).make(chosen.output)])
    with VogenStores.memory() as stores:
        ran(flow, tmp_path_factory, stores.job_store)
        assert stores.ingest_jobs()["consensus"] == 1
        (row,) = stores.iterate(ConsensusDoc)
        assert row.verdict is Verdict.CONFIRMED
        task = row.opinions[1].task(stores)
        assert task.output.energy / 3 == pytest.approx(row.opinions[1].energy_per_atom)
        # further opinions are no judgements of their own: the judge's documents stay alone
        assert stores.calculations.count() == 0
        stores.save(finds)
        (crystal,) = stores.query(verdict="confirmed")
        assert crystal.candidate_id == finds[0].candidate_id
        assert (crystal.verdict, crystal.verdict_25mev) == ("confirmed", "confirmed")
        assert len(stores.query(verdict="refuted")) == 0
        with pytest.raises(InputError, match=r"'magic'.*confirmed"):
            stores.query(verdict="magic")


def test_references_are_relaxed_where_none_are_given(finds):
    engine = other("r2")
    with pytest.raises(MissingReferenceError, match="r2"):
        ConfirmFlowMaker(
            engine=FIRST, engines=[engine], references={cheap_engine.SCHEME: at_height(0.0)}
        ).make(finds)
    flow = ConfirmFlowMaker(
        engine=FIRST,
        engines=[engine],
        references={cheap_engine.SCHEME: at_height(0.0), "r2": ReferencesFlowMaker(engine=engine)},
    ).make(finds)
    assert "references" in [step.name for step in flow.jobs]


@pytest.mark.parametrize(
    ("engines", "said"),
    [
        ([], "at least one further"),
        ([other("r2"), other("r2")], "two engines are of scheme r2"),
        ([FIRST], "two engines are of scheme cheap-1"),
        ([other("r2", data=("a",))], "no two of these models differ.*add one that does"),
        ([other("r2", functional="PBE(+U)")], "no two of these models"),
        ([other("r2", functional="")], "functional not known"),
        ([3], "int"),
    ],
)
def test_engines_that_could_confirm_nothing_are_refused(engines, said):
    with pytest.raises(InputError, match=said):
        ConfirmFlowMaker(engine=FIRST, engines=engines)


def test_finds_that_do_not_fit_are_refused(finds):
    (find,) = finds
    confirm = maker([other("r2")], [0.0])
    with pytest.raises(InputError, match="no finds"):
        confirm.make([])
    with pytest.raises(InputError, match="given twice"):
        confirm.make([find, find])
    with pytest.raises(InputError, match="no relaxed structure"):
        confirm.make([find.model_copy(update={"structure": None})])
    with pytest.raises(SchemeMismatchError, match="give the engine that found it"):
        confirm.make([find.model_copy(update={"scheme": "else"})])
    with pytest.raises(InputError, match="is of O-Ti"):
        confirm.make([find.model_copy(update={"chemsys": "O-Ti"})])


def test_powerups_reach_every_engine(finds):
    changed = maker([other("r2")], [0.0]).update_kwargs({"steps": 7}, name_filter="relax")
    assert [engine.relax_maker.steps for engine in (changed.engine, *changed.engines)] == [7, 7]
    flow = maker([other("r2")], [0.0]).make(finds)
    flow.update_maker_kwargs({"steps": 9}, name_filter="relax")
    (job,) = [job for job, _ in flow.iterflow() if job.metadata.get("stage") == "confirm relax"]
    assert job.function.__self__.maker.steps == 9
