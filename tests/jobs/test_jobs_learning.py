"""What samplers learn from rounds: parents, and frames that a potential is fitted to."""

from __future__ import annotations

import cheap_engine
import loop_engine
import numpy as np
import pytest
from jobflow import run_locally

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.engines import chgnet
from atomate2_vogen.engines.frames import engine_frames
from atomate2_vogen.errors import InputError, MissingModelError, NonFiniteError
from atomate2_vogen.flows import LoopFlowMaker
from atomate2_vogen.jobs import ParentsMaker, RefitPotentialMaker, SampleMaker, known, results
from atomate2_vogen.jobs.learning import FEWEST_REHEARSED
from atomate2_vogen.potential.frames import Frames
from atomate2_vogen.potential.network import NetworkShape
from atomate2_vogen.potential.training import FitSettings, train_potential
from atomate2_vogen.schemas import LearntDoc, LoopDoc
from atomate2_vogen.stores import VogenStores


@pytest.mark.parametrize("engine", [cheap_engine.engine(), chgnet()], ids=lambda one: one.name)
def test_a_task_document_is_the_frame_that_the_calculator_gives(engine):
    """Units and sign: atomate2 keeps kbar, positive under compression; ASE has eV/Å³, negative."""
    crystal = cheap_engine.crystal("VO2")
    document = engine.static_maker.make.original(engine.static_maker, crystal)
    found = results.frame(document, "test")
    (expected,) = engine_frames(engine)([crystal], "test")
    assert found.energy == pytest.approx(expected.energy, abs=1e-5)
    assert np.abs(expected.stress).max() > 1e-3
    np.testing.assert_allclose(found.stress, expected.stress, atol=1e-6)
    np.testing.assert_allclose(found.forces, expected.forces, atol=1e-5)


def test_a_task_document_without_stress_is_no_frame():
    document = loop_engine.FlatMaker().make.original(
        loop_engine.FlatMaker(), cheap_engine.crystal()
    )
    with pytest.raises(NonFiniteError, match="no stress"):
        results.frame(document)


def frames(n):
    """Crystals on grids, and their energies by springs."""
    rng = np.random.default_rng(0)
    crystals = []
    for _ in range(n):
        crystal = cheap_engine.crystal("VO2", a=rng.uniform(3.2, 3.6))
        moves = rng.normal(0.0, 0.1, (len(crystal), 3))
        for site, move in enumerate(moves):
            crystal.translate_sites([site], move, frac_coords=False)
        crystals.append(crystal)
    return Frames(cheap_engine.SCHEME, engine_frames(cheap_engine.engine())(crystals, "grid"))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Files of frames and of a small potential that has learnt them badly."""
    folder = tmp_path_factory.mktemp("potential")
    known_frames = frames(120)
    known_frames.save(folder / "frames.npz")
    potential, _ = train_potential(
        known_frames,
        VANADIUM,
        settings=FitSettings(epochs=1),
        shape=NetworkShape(),
    )
    potential.save(folder / "potential.npz")
    return folder, potential


def test_search_learns_from_what_was_relaxed(fitted, tmp_path, monkeypatch):
    folder, potential = fitted
    monkeypatch.setattr(known, "_prototypes", lambda _: ())
    monkeypatch.setattr(known, "_relaxed_prototypes", lambda _: ())
    maker = LoopFlowMaker(
        sampler=SampleMaker(
            sampler="search",
            options={"potential": str(folder / "potential.npz"), "draws": 8, "steps": 5, "narrowing": [(2, 0.4)]},
            novel_only=True,
        ),
        learn=RefitPotentialMaker(rehearsal=str(folder / "frames.npz"), epochs=2, growth=3),
        engine=cheap_engine.engine(),
        references=cheap_engine.references(),
        refine=None,
        rounds=3,
        threshold=5.0,
    )  # fmt: skip
    flow = maker.make({"VO2": 2}, seed=1)
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        run_locally(
            flow, store=stores.job_store, root_dir=tmp_path, create_folders=True, log=False,
            raise_immediately=True,
        )  # fmt: skip
        loop = LoopDoc.model_validate(stores.job_store.get_output(flow.output.uuid, load=True))
        (learnt,) = stores.job_store.query({"output.@class": "LearntDoc"}, ["uuid"])
        document = LearntDoc.model_validate(stores.job_store.get_output(learnt["uuid"], load=True))
    first, second, third = loop.rounds
    assert first.model_id.startswith(potential.potential_id)
    # as generated and as relaxed
    assert second.learnt.n_learnt == 2 * first.n_relaxed > 0
    assert second.learnt.n_rehearsed == min(120, FEWEST_REHEARSED)
    assert second.model_id.startswith(document.summary.model_id)
    assert document.summary.model_id != potential.potential_id
    assert document.artefact.filename.endswith(f"{document.summary.model_id}.npz")
    assert second.cpu_seconds["learning"] == document.summary.cpu_time > 0
    assert second.learns
    # two rounds have not three times the crystals of one: the third goes on with the same potential
    assert third.model_id == second.model_id
    assert third.learnt == second.learnt.model_copy(update={"cpu_time": None})
    assert third.learnt.first_round == 2
    assert not third.learns
    assert "learning" not in third.cpu_seconds


def test_the_potential_is_fitted_again_when_crystals_have_grown_by_half():
    def due(counts, **settings):
        maker = RefitPotentialMaker(**settings)
        return [n for n in range(len(counts) + 1) if maker.is_due(counts[:n])]

    assert due([60] * 30) == [1, 2, 3, 5, 8, 12, 18, 27]
    assert due([60] * 4, growth=1) == [1, 2, 3, 4]
    # rounds without a relaxed crystal change nothing
    assert due([0, 60, 0, 29, 1]) == [2, 5]
    assert due([0, 0], growth=1) == []


def test_search_does_not_learn_without_a_potential_and_earlier_frames(fitted):
    folder, _ = fitted
    file = str(folder / "potential.npz")
    search = SampleMaker(sampler="search", options={"potential": file}, novel_only=True)
    missing = LoopFlowMaker(sampler=search, learn=RefitPotentialMaker(rehearsal="nowhere.npz"))
    with pytest.raises(MissingModelError, match=r"nowhere\.npz is no file: .*learn=None"):
        missing.make({"VO2": 1})
    titanium = LoopFlowMaker(sampler="search", system=TITANIUM, references=[])
    with pytest.raises(
        MissingModelError, match=r"no potential of O-Ti in CHGNet-0\.3\.0 are shipped"
    ):
        titanium.make({"TiO2": 1})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ParentsMaker(most=0), "at most 0 parents"),
        (lambda: ParentsMaker(margin=9), "margin is 9"),
        (lambda: RefitPotentialMaker(epochs=0), "epochs is 0"),
        (lambda: RefitPotentialMaker(learning_rate=0), "learning_rate is 0"),
        (lambda: RefitPotentialMaker(growth=0.5), "growth is 0.5"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
