"""The sampling job with its judge: carried through JSON, run, refused."""

from __future__ import annotations

import json

import pytest
from edge_judge import edge_energies
from jobflow import Flow, JobStore, job, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder
from toy_potential import toy_potential

from atomate2_vogen.data import make_artefact
from atomate2_vogen.errors import ArtefactError, InputError, MissingModelError
from atomate2_vogen.jobs.sampling import SampleMaker
from atomate2_vogen.jobs.sharing import keep_artefact
from atomate2_vogen.samplers.evolution import EvolutionSampler
from atomate2_vogen.samplers.search import SearchSampler
from atomate2_vogen.samplers.substitution import SubstitutionSampler
from atomate2_vogen.schemas import CandidateDoc, RejectionReason, SampleDoc


def test_judge_goes_with_the_maker_through_json_and_ranks():
    maker = SampleMaker(
        sampler="substitution", judge_oversample=3, judge=edge_energies, scheme="edges"
    )
    again = json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder)
    assert again == maker
    sample = again.make.original(again, {"VO2": 2}, seed=4)
    drawn = SubstitutionSampler().sample({"VO2": 6}, seed=4).candidates
    drawn.sort(key=lambda c: c.structure.lattice.a)
    assert [c.candidate_id for c in sample.candidates] == [c.candidate_id for c in drawn[:2]]
    assert sample.options == {"judge": "edges", "judge_oversample": 3}
    assert sample.rejected["VO2"][RejectionReason.HIGH_ENERGY] == 4
    assert sample.cpu_time >= 0


def test_bad_oversample_is_refused_when_the_maker_is_made():
    with pytest.raises(InputError, match="judge_oversample"):
        SampleMaker(sampler="substitution", judge_oversample=0)


def test_a_preset_that_is_not_shipped():
    maker = SampleMaker(sampler="wgan", preset="one that is never shipped")
    with pytest.raises(MissingModelError, match="one that is never shipped"):
        maker.make.original(maker, {"VO2": 1})


def test_nothing_that_substitution_makes_is_new():
    maker = SampleMaker(
        sampler="substitution",
        judge_oversample=2,
        novel_only=True,
        judge=edge_energies,
        scheme="edges",
    )
    sample = maker.make.original(maker, {"V2O5": 3}, seed=1)
    assert sample.candidates == []
    # it went through its whole pool
    rejected = sample.rejected["V2O5"]
    assert sum(rejected.values()) == sample.attempts["V2O5"] > 6
    assert set(rejected) <= {RejectionReason.KNOWN, RejectionReason.ATOMS_TOO_CLOSE}
    assert sample.missing == {"V2O5": 3}


@job
def hand_on(crystals: list[CandidateDoc]) -> list[CandidateDoc]:
    """Stands for what judged the crystals of an earlier round."""
    return crystals


@pytest.mark.parametrize("by_reference", [False, True])
def test_parents_go_through_jobs(by_reference):
    found = SubstitutionSampler().sample({"VO2": 4}, seed=4).candidates
    parents = [*found[:2], *(one.structure for one in found[2:])]
    before = [hand_on(parents)] if by_reference else []
    sample = SampleMaker(sampler="evolution", options={"min_atoms": 9}).make(
        {"VO2": 2}, 1, parents=before[0].output if by_reference else parents
    )
    flow = Flow([*before, sample])
    again = json.loads(json.dumps(flow.as_dict(), cls=MontyEncoder), cls=MontyDecoder)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    outputs = run_locally(again, store=store, log=False, ensure_success=True)
    made = SampleDoc.model_validate(store.get_output(sample.uuid, load=True))
    assert sample.uuid in outputs
    alone = EvolutionSampler(parents=parents, min_atoms=9).sample({"VO2": 2}, seed=1)
    assert len(made.candidates) == 2
    for one, other in zip(made.candidates, alone.candidates, strict=True):
        assert one.candidate_id == other.candidate_id
        assert one.structure == other.structure
        assert one.details == other.details


def test_parents_are_for_evolution():
    maker = SampleMaker(sampler="substitution")
    with pytest.raises(InputError, match="only for the sampler evolution"):
        maker.make.original(maker, {"VO2": 1}, parents=[])


QUICK = {"draws": 2, "steps": 4, "narrowing": []}


@pytest.mark.parametrize("by_reference", [False, True])
def test_a_potential_goes_through_jobs(by_reference):
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    store.connect()
    artefact = make_artefact("own.npz", toy_potential().to_bytes())
    given = keep_artefact(store, artefact) if by_reference else artefact
    sample = SampleMaker(sampler="search", options=QUICK).make({"VO2": 1}, 2, potential=given)
    again = json.loads(json.dumps(Flow([sample]).as_dict(), cls=MontyEncoder), cls=MontyDecoder)
    run_locally(again, store=store, log=False, ensure_success=True, allow_external_references=True)
    made = SampleDoc.model_validate(store.get_output(sample.uuid, load=True))
    alone = SearchSampler(toy_potential(), **QUICK).sample({"VO2": 1}, seed=2)
    assert made.model_id == alone.model_id
    assert [one.structure for one in made.candidates] == [one.structure for one in alone.candidates]


def test_potentials_are_for_search():
    artefact = make_artefact("own.npz", b"damaged")
    maker = SampleMaker(sampler="random")
    with pytest.raises(InputError, match="potential: only for the sampler search"):
        maker.make.original(maker, {"VO2": 1}, potential=artefact)
    maker = SampleMaker(sampler="search")
    with pytest.raises(ArtefactError, match=r"own\.npz: damaged"):
        maker.make.original(maker, {"VO2": 1}, potential=artefact)


def test_finds_are_refused_with_known_crystals_only():
    maker = SampleMaker(sampler="substitution")
    with pytest.raises(InputError, match="novel_only=True"):
        maker.make.original(maker, {"VO2": 1}, finds=[])
