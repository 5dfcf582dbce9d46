from __future__ import annotations

import doctest
import json

import cheap_engine
import pytest
import toy_engines
from jobflow import OutputReference, run_locally
from jobflow.managers.fireworks import flow_to_workflow
from monty.json import MontyDecoder, MontyEncoder
from sampler_job import GridSampleMaker

from atomate2_vogen.builders.stability import StabilityBuilder
from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.cli.options import default_preset
from atomate2_vogen.data import make_artefact
from atomate2_vogen.engines.references import ReferencePhase
from atomate2_vogen.errors import (
    CountsError,
    ElementError,
    EngineCapabilityError,
    InputError,
    MissingModelError,
    MissingReferenceError,
    SchemeMismatchError,
    UnknownFormulaError,
)
from atomate2_vogen.flows import references as reference_flows
from atomate2_vogen.flows.discovery import DiscoveryFlowMaker
from atomate2_vogen.flows.electronic import ElectronicFlowMaker
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.flows.references import ReferencesFlowMaker
from atomate2_vogen.jobs.sampling import SampleMaker
from atomate2_vogen.jobs.training import TrainWGANMaker
from atomate2_vogen.samplers.substitution import SubstitutionSampler
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    DiscoveryDoc,
    ReferenceDoc,
    StabilityDoc,
)
from atomate2_vogen.stores import VogenStores

COUNTS = {"VO2": 2, "V2O3": 1}


def maker(**changes):
    settings = {
        "sampler": GridSampleMaker(),
        "engine": cheap_engine.engine(),
        "references": cheap_engine.references(),
    }
    return DiscoveryFlowMaker(**(settings | changes))


def run(flow, stores, folder):
    run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
    return DiscoveryDoc.model_validate(stores.job_store.get_output(flow.output.uuid, load=True))


def test_from_counts_to_stability(tmp_path):
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        found = run(maker().make(COUNTS), stores, tmp_path / "run")
    assert found.scheme == cheap_engine.SCHEME
    assert (found.n_candidates, found.n_calculated) == (3, 2)
    assert [document.state.value for document in found.stability] == ["ranked", "ranked", "failed"]
    assert "cursed" in found.stability[-1].reason
    # E_f against the elements -5 and -4, VO2 between VO (-8) and O2 on the hull
    best = found.stability[0]
    assert best.formation_energy_per_atom == pytest.approx(-7 - (-5 - 8) / 3, abs=2e-3)
    assert best.energy_above_hull == pytest.approx(-7 - (2 * -8 - 4) / 3, abs=2e-3)
    assert found.sample["yields"] == {"VO2": 1.0, "V2O3": 1.0}

    # the store outlives the run: ingest, rebuild, read; a second time nothing is written
    with VogenStores.open(tmp_path / "store") as stores:
        written = stores.ingest_jobs()
        assert written == {
            "candidates": 3, "calculations": 3, "references": 0, "consensus": 0,
        "dft": 0,
        "known": 0,
        "soft_modes": 0,
        "electronic": 0, "phonons": 0,
            "training": 0, "stability": 3,
        }  # fmt: skip
        assert set(stores.ingest_jobs().values()) == {0}
        stores.save(cheap_engine.references())
        builder = StabilityBuilder(stores.calculations, stores.references, stores.stability)
        assert builder.build() == 0  # the flow's documents are those of the builder
        rebuilt = {d.stability_id: d for d in stores.load(StabilityDoc)}
        assert len(stores.load(CandidateDoc)) == len(stores.load(CalculationDoc)) == 3
    for document in found.stability:
        twin = rebuilt[document.stability_id]
        assert twin.energy_above_hull == document.energy_above_hull
        assert twin.is_novel == document.is_novel
        assert twin.hull_id == document.hull_id


def test_references_are_relaxed_first_where_a_maker_is_given(tmp_path, monkeypatch):
    starts = [
        ReferencePhase(f"{formula} {edge}", cheap_engine.crystal(formula, edge), 0.0)
        for formula, edge in (("V", 2.2), ("O2", 2.8), ("VO", 2.8), ("VO", 3.0))
    ]
    monkeypatch.setattr(reference_flows, "reference_structures", lambda _: starts)
    relaxing = ReferencesFlowMaker(engine=cheap_engine.engine())
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        found = run(maker(references=relaxing).make(COUNTS), stores, tmp_path / "run")
    best = found.stability[0]
    # everything has the energy of the ground state: nothing forms, and nothing is above the hull
    assert best.formation_energy_per_atom == pytest.approx(0, abs=0.01)
    with VogenStores.open(tmp_path / "store") as stores:
        # one of two that are the same crystal; each by itself is no reference yet
        assert stores.ingest_jobs()["references"] == 3
        assert stores.ingest_jobs()["references"] == 0
        assert {r.formula for r in stores.load(ReferenceDoc)} == {"V", "O2", "VO"}
        StabilityBuilder(stores.calculations, stores.references, stores.stability).build()
        rebuilt = {d.stability_id: d for d in stores.load(StabilityDoc)}
    assert rebuilt[best.stability_id].hull_id == best.hull_id
    other = maker(references=ReferencesFlowMaker(engine=cheap_engine.engine(scheme="other")))
    with pytest.raises(SchemeMismatchError, match="other"):
        other.make(COUNTS)
    titanium = ReferencesFlowMaker(engine=cheap_engine.engine(), system=TITANIUM)
    with pytest.raises(ElementError, match="O-Ti make no hull of O-V"):
        maker(references=titanium).make(COUNTS)


def test_the_same_request_gives_the_same_keys(tmp_path):
    with VogenStores.memory() as stores:
        runs = [run(maker().make(COUNTS), stores, tmp_path) for _ in range(2)]
        assert [d.stability_id for d in runs[0].stability] == [
            d.stability_id for d in runs[1].stability
        ]
        stores.ingest_jobs()
        assert len(stores.load(CalculationDoc)) == 3


def test_a_sampler_that_finds_nothing_is_a_result(tmp_path):
    with VogenStores.memory() as stores:
        found = run(maker(sampler=GridSampleMaker(at_most=0)).make(COUNTS), stores, tmp_path)
    assert found.stability == []
    assert found.n_candidates == 0
    assert found.sample["missing"] == {"VO2": 2, "V2O3": 1}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sampler": "magic"}, InputError),
        ({"references": None}, MissingReferenceError),
    ],
)
def test_nonsense_is_refused_before_anything_runs(changes, error):
    with pytest.raises(error):
        maker(**changes).make(COUNTS)


@pytest.mark.parametrize(
    ("counts", "error"),
    [
        ({"Xy2": 1}, UnknownFormulaError),
        ({"VO2": 0}, CountsError),
        ({}, CountsError),
        (8, CountsError),
        ([cheap_engine.candidate()], CountsError),
        (OutputReference("a job"), CountsError),
    ],
)
def test_counts_without_sense_are_refused(counts, error):
    with pytest.raises(error):
        maker().make(counts)


@pytest.mark.parametrize("seed", [-1, 1.5, "one", True])
def test_a_seed_without_sense_is_refused(seed):
    with pytest.raises(InputError, match="seed"):
        maker().make(COUNTS, seed=seed)


@pytest.mark.parametrize("field", ["counts", "seed"])
def test_data_are_no_settings_of_the_maker(field):
    with pytest.raises(TypeError, match=field):
        maker(**{field: None})


def jobs_of(flow):
    """All jobs of a flow and of the flows in it."""
    return [job for job, _ in flow.iterflow()]


def test_one_maker_makes_flows_of_several_requests():
    """Counts and seed reach the sampling alone; by default eight of every target."""
    discovery = maker()
    wanted = {"VO2": 8, "V2O3": 8, "V2O5": 8}
    for arguments, expected in (
        ({}, (wanted, 0)),
        ({"seed": 4}, (wanted, 4)),
        ({"counts": {"VO2": 1}, "seed": 5}, ({"VO2": 1}, 5)),
    ):
        flow = discovery.make(**arguments)
        samples = [job for job in jobs_of(flow) if job.name.startswith("grid sampler")]
        seeds = {job.function_args[1] for job in samples}
        counts = {f: n for job in samples for f, n in job.function_args[0].items()}
        assert (counts, seeds) == (expected[0], {expected[1]})
        # one job per formula
        assert [job.name for job in samples] == [f"grid sampler {f}" for f in expected[0]]


def test_the_example_of_the_class_is_true():
    finder = doctest.DocTestFinder(recurse=False)
    (examples,) = finder.find(DiscoveryFlowMaker, "DiscoveryFlowMaker", globs={})
    assert doctest.DocTestRunner().run(examples) == (0, 3)


def test_the_seed_is_that_of_training_too():
    flow = maker(sampler="wgan", training=TrainWGANMaker(preset="quick")).make(COUNTS, seed=3)
    dataset, training, sample = flow.jobs[0].jobs[:3]
    assert training.function_args == (dataset.output, 3)
    assert sample.function_args[1] == 3


def test_survives_serialisation_and_fireworks():
    restored = MontyDecoder().decode(json.dumps(maker(), cls=MontyEncoder))
    workflow = flow_to_workflow(restored.make(COUNTS))
    # a sample and a fan-out for each formula, and the summary
    assert len(workflow.fws) == 2 * len(COUNTS) + 1
    assert json.dumps(workflow.to_dict(), default=str)


def test_named_samplers_become_the_right_jobs():
    names = {
        sampler: [job.name for job in jobs_of(maker(sampler=sampler).make())]
        for sampler in ("substitution", "random", "evolution", "wgan")
    }
    # nothing is trained unless that is asked for: the shipped networks are there
    targets = VANADIUM.target_formulas
    wanted = [f"sample {f}" for f in targets] + ["screening"] * len(targets) + ["summarise"]
    assert all(sorted(found) == sorted(wanted) for found in names.values())
    workflow = flow_to_workflow(maker(sampler="wgan").make(COUNTS))
    assert len(workflow.fws) == 2 * len(COUNTS) + 1


def test_networks_are_the_shipped_ones_or_those_asked_for():
    """As for `load_sampler`, `SampleMaker` and the command line."""
    assert DiscoveryFlowMaker().preset == SampleMaker().preset == default_preset(VANADIUM)
    sample = maker(sampler="wgan").make().jobs[0].jobs[0]
    assert sample.maker.preset == "paper"
    assert "training" not in sample.function_kwargs

    trained = maker(sampler="wgan", training=TrainWGANMaker(preset="quick")).make(COUNTS)
    dataset, training, sample = trained.jobs[0].jobs[:3]
    assert training.maker.preset == "quick"
    assert training.function_args == (dataset.output, 0)
    assert sample.function_kwargs["training"] == training.output
    assert len(flow_to_workflow(trained).fws) == 2 + 2 * len(COUNTS) + 1

    for changes, counts in (
        ({"preset": "quick"}, COUNTS),
        ({"system": TITANIUM}, {"TiO2": 1}),
    ):
        with pytest.raises(MissingModelError, match="no trained networks are shipped"):
            maker(sampler="wgan", references=[], **changes).make(counts)
    with pytest.raises(InputError, match="only for the sampler wgan"):
        maker(sampler="random", training=TrainWGANMaker()).make(COUNTS)
    with pytest.raises(InputError, match=r"its Maker is of O-Ti, asked for is O-V"):
        maker(sampler="wgan", training=TrainWGANMaker(system=TITANIUM)).make(COUNTS)


def test_parents_reach_every_sampling_job():
    parents = SubstitutionSampler().sample(COUNTS, seed=4).candidates
    flow = maker(sampler="evolution").make(COUNTS, seed=1, parents=parents)
    samples = [job for job in jobs_of(flow) if job.name.startswith("sample")]
    assert len(samples) == len(COUNTS)
    # whole, so that all have the same model id
    assert all(job.function_kwargs["parents"] == parents for job in samples)
    with pytest.raises(InputError, match="only for the sampler evolution"):
        maker(sampler="random").make(COUNTS, parents=parents)


def test_a_potential_reaches_every_sampling_job():
    artefact = make_artefact("own.npz", b"content")
    flow = maker(sampler="search").make(COUNTS, seed=1, potential=artefact)
    samples = [job for job in jobs_of(flow) if job.name.startswith("sample")]
    assert len(samples) == len(COUNTS)
    assert all(job.function_kwargs["potential"] == artefact for job in samples)
    shipped = maker(sampler="search").make(COUNTS)
    assert not any("potential" in job.function_kwargs for job in jobs_of(shipped))
    with pytest.raises(InputError, match="potential: only for the sampler search"):
        maker(sampler="random").make(COUNTS, potential=artefact)
    titanium = maker(sampler="search", references=[], system=TITANIUM)
    with pytest.raises(MissingModelError, match=r"train_potential.py --system Ti-O"):
        titanium.make({"TiO2": 1})
    assert titanium.make({"TiO2": 1}, potential=artefact)


@pytest.mark.slow
def test_substituted_crystals_with_chgnet(tmp_path):
    """The real sampler and the default engine, judged as known by the phases that they are."""
    flow = DiscoveryFlowMaker(sampler="substitution").make({"VO2": 1}, seed=0)
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        found = run(flow, stores, tmp_path / "run")
    assert found.scheme == "CHGNet-0.3.0"
    assert found.n_candidates == 1
    ranked = [document for document in found.stability if document.state == "ranked"]
    assert ranked
    for document in ranked:
        # nothing is far below a hull that holds the ground state
        assert document.energy_above_hull > -0.05
        assert document.energy_above_hull <= document.initial_energy_above_hull + 1e-6
        assert document.energy_above_joint_hull >= 0


def test_the_best_go_on_to_bands_and_phonons_with_engines_of_their_own(tmp_path):
    flow = maker(
        electronic=ElectronicFlowMaker(engine=toy_engines.toy_dft()),
        phonons=PhononFlowMaker(engine=toy_engines.lj(relax=False), supercell=(1, 1, 1)),
    ).make(COUNTS)
    with VogenStores.memory() as stores:
        found = run(flow, stores, tmp_path)
        written = stores.ingest_jobs()
    best = found.stability[0].candidate_id
    assert found.characterised == [best]
    (electronic,), (phonons,) = found.electronic, found.phonons
    assert (electronic.candidate_id, electronic.scheme) == (best, "toy+U-1")
    assert electronic.electrons.character.value == "half-metal"
    assert (phonons.candidate_id, phonons.scheme) == (best, "lj-1")
    assert phonons.phonons is not None, phonons.error
    assert electronic.line_bands is phonons.force_constants is None
    assert (written["electronic"], written["phonons"]) == (1, 1)


def test_nothing_below_the_threshold_is_a_result(tmp_path):
    flow = maker(electronic=ElectronicFlowMaker(engine=toy_engines.toy_dft()), threshold=-9).make(
        COUNTS
    )
    with VogenStores.memory() as stores:
        found = run(flow, stores, tmp_path)
    assert (found.characterised, found.electronic) == ([], [])
    assert len(found.stability) == 3


def test_stages_that_an_engine_cannot_do_are_refused():
    with pytest.raises(EngineCapabilityError, match="no band structure Maker"):
        maker(electronic=ElectronicFlowMaker(engine=cheap_engine.engine())).make(COUNTS)
    with pytest.raises(EngineCapabilityError, match="no phonon Maker"):
        maker(phonons=PhononFlowMaker(engine=cheap_engine.engine())).make(COUNTS)
    with pytest.raises(CountsError, match="best 0 of each formula"):
        maker(top=0).make(COUNTS)
    with pytest.raises(SchemeMismatchError, match="other"):
        maker(references=cheap_engine.references("other")).make(COUNTS)
