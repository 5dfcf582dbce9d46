"""The paper's flow: what it asks for, what goes on, and what ends in which table."""

from __future__ import annotations

from dataclasses import replace

import instant_engine
import pytest
import toy_engines
from cheap_engine import references
from hypothesis import given
from hypothesis import strategies as st
from jobflow import run_locally
from made_entries import judgement, made

from atomate2_vogen import PaperFlowMaker, PhononFlowMaker, VogenStores
from atomate2_vogen.errors import CountsError, InputError, SchemeMismatchError
from atomate2_vogen.flows import ConfirmFlowMaker, steps_of
from atomate2_vogen.flows.paper import paper_sampler, share_of_request
from atomate2_vogen.jobs import phonons_of_best, select_new
from atomate2_vogen.jobs.paper import fitting_supercells
from atomate2_vogen.schemas import CandidateDoc, DiscoveryDoc, PaperDoc, PhononDoc
from atomate2_vogen.stores import parse

REFERENCES = references(instant_engine.SCHEME, -7.2)


def first():
    return replace(instant_engine.engine("first"), functional="PBE(+U)", training_data=("a",))


def second():
    return replace(
        instant_engine.engine("second"),
        scheme="instant-2",
        functional="r2SCAN",
        training_data=("b",),
    )


def samplers(*names):
    return {name: instant_engine.InstantSampleMaker() for name in names}


def run(flow, folder):
    with VogenStores.memory() as stores:
        run_locally(flow, store=stores.job_store, root_dir=folder, log=False, ensure_success=True)
        document = parse(PaperDoc, stores.job_store.get_output(flow.output.uuid, load=True))
        found = {
            name: stores.job_store.get_output(link.uuid, load=True)
            for name, link in document.jobs.items()
        }
    return document, found


def tables(document):
    return {table.name: table for table in document.tables}


def test_every_sampler_is_judged_and_asked_about(tmp_path):
    confirm = ConfirmFlowMaker(
        engine=first(),
        engines=[second()],
        references={
            instant_engine.SCHEME: REFERENCES,
            "instant-2": references("instant-2", -7.2),
        },
    )
    maker = PaperFlowMaker(
        samplers=samplers("one", "two"),
        engine=first(),
        references=REFERENCES,
        generator_steps=None,
        confirm=confirm,
        confirm_top=2,
        threshold=9.0,
    )
    document, found = run(maker.make({"VO2": 3, "V2O3": 2}, seed=3), tmp_path)
    assert document.samplers == ["one", "two"]
    assert document.requested == {"VO2": 3, "V2O3": 2}
    made_tables = tables(document)
    assert list(made_tables) == ["table_1", "table_2", "below_hull", "claims"]
    assert made_tables["table_2"].columns == ["formula", "class", "paper", "one", "two"]
    generated = made_tables["claims"].rows[0]
    assert generated == ["generated", 451, 5, 5]
    assert set(found) == {"discovery one", "discovery two", "confirm"}
    judged = parse(DiscoveryDoc, found["discovery one"])
    # both samplers make the same crystals: those of the second are not asked about once more
    lowest = [d for d in judged.stability if d.is_unique and d.is_novel]
    assert len(found["confirm"]) == sum(
        min(2, sum(d.formula == formula for d in lowest)) for formula in ("VO2", "V2O3")
    )
    rows = {tuple(row[:2]): row for row in made_tables["below_hull"].rows}
    assert "second" in rows["VO2", "one"][-1]
    # whoever of the two found it first, the opinion is about the crystal
    assert rows["VO2", "two"][-2] == rows["VO2", "one"][-2]


def test_without_relaxation_crystals_are_only_generated(tmp_path):
    maker = PaperFlowMaker(samplers=samplers("one"), relax=False, generator_steps=None)
    flow = maker.make({"VO2": 2}, seed=3)
    assert [job.name for job, _ in flow.iterflow()] == [
        "instant sampler VO2",
        "fill_tables",
    ]
    document, found = run(flow, tmp_path)
    assert list(tables(document)) == ["table_1"]
    assert found == {}


def test_what_is_asked_for_wrongly():
    with pytest.raises(InputError, match="at least one"):
        PaperFlowMaker(samplers=())
    with pytest.raises(InputError, match="names one twice"):
        PaperFlowMaker(samplers=("random", "random"))
    with pytest.raises(InputError, match="'nobody' is none of"):
        PaperFlowMaker(samplers=("nobody",))
    with pytest.raises(InputError, match="phonons need relaxed crystals"):
        PaperFlowMaker(relax=False, phonons=PhononFlowMaker())
    confirm = ConfirmFlowMaker(engine=first(), engines=[second()])
    with pytest.raises(SchemeMismatchError, match="instant-1"):
        PaperFlowMaker(confirm=confirm)
    with pytest.raises(CountsError):
        PaperFlowMaker(samplers=("random",)).make({"VO2": 0})
    with pytest.raises(InputError, match="seed"):
        PaperFlowMaker(samplers=("random",)).make({"VO2": 1}, seed=-1)


@given(st.floats(1e-6, 1))
def test_a_share_is_rounded_up_and_never_nothing(share):
    found = share_of_request(share)
    whole = share_of_request(1)
    assert whole == {"VO2": 184, "V2O3": 152, "V2O5": 115}
    for formula, count in found.items():
        assert 1 <= count <= whole[formula]
        assert 0 <= count - share * whole[formula] < 1 + 1e-6


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan"), float("inf")])
def test_shares_that_are_none(share):
    with pytest.raises(InputError, match="share"):
        share_of_request(share)


def test_only_substitution_may_make_known_crystals():
    assert not paper_sampler("substitution").novel_only
    assert paper_sampler("wgan").novel_only
    # crystals of search are nearly relaxed: what only resembles a known one is another
    assert (paper_sampler("wgan").novelty_margin, paper_sampler("search").novelty_margin) == (2, 1)


@given(st.sampled_from(["VO2", "V2O3", "V2O5", "VO"]), st.integers(1, 200), st.integers(1, 2000))
def test_no_supercell_has_more_atoms_than_allowed(formula, n_atoms, limit):
    found = fitting_supercells(formula, n_atoms, limit)
    assert found
    for cells in found:
        assert cells is None or cells[0] * cells[1] * cells[2] * n_atoms <= limit
    assert len(set(found)) == len(found)


def discovery(heights, **changes):
    return DiscoveryDoc(
        scheme="J",
        sample={},
        n_candidates=len(heights),
        n_calculated=len(heights),
        stability=[
            judgement(one, above, **changes)
            for one, above in zip(made(len(heights)), heights, strict=True)
        ],
    )


def chosen(*discoveries, **options):
    job = select_new(discoveries, **options)
    with VogenStores.memory() as stores:
        run_locally(job, store=stores.job_store, log=False, ensure_success=True)
        return stores.job_store.get_output(job.uuid, load=True)


def test_the_lowest_new_crystals_go_on():
    one = discovery([0.09, 0.03, 0.05, 0.2])
    names = [document.candidate_id for document in one.stability]
    one.stability[1] = one.stability[1].model_copy(update={"is_novel": False})
    assert [d["candidate_id"] for d in chosen(one, top=3)] == [names[2], names[0]]
    assert chosen(one, max_atoms=5) == []
    # the same crystals under other names are those that were chosen before
    other = one.model_copy(deep=True)
    for document in other.stability:
        document.candidate_id += "-again"
    assert [d["candidate_id"] for d in chosen(one, other)] == [names[2]]
    with pytest.raises(CountsError):
        select_new([], max_atoms=0)


def test_nothing_new_is_a_result(tmp_path):
    assert chosen(discovery([0.05], is_novel=False)) == []
    job = phonons_of_best([], PhononFlowMaker())
    with VogenStores.memory() as stores:
        run_locally(job, store=stores.job_store, root_dir=tmp_path, log=False, ensure_success=True)
        assert stores.job_store.get_output(job.uuid) == []


def test_best_of_a_formula_gets_the_papers_supercells(tmp_path):
    crystal = toy_engines.fcc(1.02 * toy_engines.EDGE)
    finds = []
    for index in range(2):
        candidate = CandidateDoc.make(
            crystal, sampler="wgan", model_id="m", formula="VO2", seed=1, index=index
        )
        found = judgement(candidate, 0.01 * index, structure=crystal)
        finds.append(found.model_copy(update={"candidate_id": f"VO2-{index}"}))
    maker = PhononFlowMaker(engine=toy_engines.lj(), max_atoms=300)
    job = phonons_of_best(finds, maker)
    with VogenStores.memory() as stores:
        run_locally(job, store=stores.job_store, root_dir=tmp_path, log=False, ensure_success=True)
        output = stores.job_store.get_output(job.uuid, load=True)
    documents = [parse(PhononDoc, one) for one in output]
    asked = [(one.candidate_id, one.requested_supercell) for one in documents]
    # four atoms: 5x5x4 of them would be 400
    series = [("VO2-0", name) for name in ("3x3x3", "4x4x4")]
    assert asked == [*series, ("VO2-1", documents[-1].requested_supercell)]
    assert all(one.phonons is not None for one in documents)


def test_steps_are_those_of_the_jobs():
    maker = PaperFlowMaker(samplers=("wgan", "substitution"), phonons=PhononFlowMaker())
    flow = maker.make({"VO2": 2, "V2O3": 2})
    steps = {step.name: step for step in steps_of(flow)}
    assert sum(step.n_jobs for step in steps.values()) == len(list(flow.iterflow()))
    assert steps["generate crystals"].n_jobs == 4
    assert steps["generate crystals"].inputs == ()
    assert steps["relax, refine, judge energies"].inputs == ("generate crystals",)
    assert steps["relax, refine, judge energies"].category == "forcefield"
    assert steps["train GAN and WGAN"].category == "training"
    assert "phonons, the paper's supercells" in steps["the paper's tables"].inputs
