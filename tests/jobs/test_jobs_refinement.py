"""Refinement of relaxed crystals: what is kept, what is not, and what is never lost."""

from __future__ import annotations

import json
from dataclasses import replace

import cheap_engine
import numpy as np
import pytest
import refine_engine
from jobflow import Flow, run_locally
from jobflow.core.reference import find_and_resolve_references
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.engines import Engine, chgnet
from atomate2_vogen.engines.base import CATEGORY, DFT
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.flows import DiscoveryFlowMaker, EvaluateMaker, ScreeningFlowMaker
from atomate2_vogen.jobs import RefineMaker
from atomate2_vogen.jobs.refinement import UNFINISHED
from atomate2_vogen.managers import run_parallel
from atomate2_vogen.schemas import CalculationDoc, CalculationState
from atomate2_vogen.stores import VogenStores


def calculated(flow: Flow, folder, manager="run_locally"):
    """Documents of a screening, those that the collection holds after it, and names of the jobs."""
    with VogenStores.open(folder / "store", create=True) as stores:
        if manager == "run_locally":
            run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
            output = flow.output
        else:
            output = run_parallel(flow, stores.job_store, workers=1, folder=folder / "run").output
        found = find_and_resolve_references(output, stores.job_store)
        stores.ingest_jobs()
        names = [job["name"].split()[:2] for job in stores.job_store.query({}, ["name"])]
        return [CalculationDoc.model_validate(d) for d in found], stores.load(CalculationDoc), names


def refined(judge, crystals, folder, **settings):
    maker = ScreeningFlowMaker(engine=judge, refine=RefineMaker(**settings))
    return calculated(maker.make(crystals), folder)


def rutile_with_noise() -> Structure:
    crystal = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )
    rng = np.random.default_rng(1)
    for index in range(len(crystal)):
        crystal.translate_sites([index], rng.normal(0, 0.05, 3), frac_coords=False)
    assert SpacegroupAnalyzer(crystal, symprec=0.01).get_space_group_number() == 1
    return crystal


def plain(document):
    """Content of a document without times; numbers to nine digits, as processes round."""
    content = json.loads(json.dumps(document.model_dump(), cls=MontyEncoder, default=str))

    def cleaned(value):
        if isinstance(value, dict):
            left_out = {"wall_time", "cpu_time", "last_updated", "uuid"}
            return {key: cleaned(one) for key, one in value.items() if key not in left_out}
        if isinstance(value, list):
            return [cleaned(one) for one in value]
        return f"{value:.9g}" if isinstance(value, float) else value

    return cleaned(content)


def test_distorted_rutile_comes_back_to_its_space_group_under_either_manager(tmp_path):
    """CHGNet, 0.05 Å of noise on every atom, relaxed loosely."""
    engine = Engine.from_force_field("CHGNet", fmax=0.1)
    made = {}
    for manager in ("run_locally", "run_parallel"):
        flow = ScreeningFlowMaker(engine=engine).make([rutile_with_noise()])
        (tmp_path / manager).mkdir()
        (document,), (held,), names = calculated(flow, tmp_path / manager, manager)
        made[manager] = plain(document)
        assert plain(held) == plain(document)  # not the unrefined record of the same key
        assert ["refine", "relax"] in names
    assert made["run_locally"] == made["run_parallel"]

    done = document.refinement
    assert (done.space_group_before, done.space_group_after) == ("P1", "P4_2/mnm")
    assert done.error is None
    assert done.accepted
    # by spglib on the document's crystals, far below the tolerance of the search
    for crystal, number in ((document.structure, 136), (document.unrefined_structure, 1)):
        analyzer = SpacegroupAnalyzer(crystal, symprec=1e-3)
        assert analyzer.get_space_group_number() == number
    assert document.energy_per_atom <= document.unrefined_energy_per_atom + 1e-3
    assert document.state is CalculationState.COMPLETED
    # the energies are those of the crystals, by a single point of each
    for crystal, energy in (
        (document.structure, document.energy_per_atom),
        (document.unrefined_structure, document.unrefined_energy_per_atom),
    ):
        static = engine.static_maker
        again = static.make.original(static, crystal).output.energy / len(crystal)
        assert energy == pytest.approx(again, abs=1e-5)
    # what it cost is part of the sums
    spent = sum(attempt.cpu_time for attempt in done.attempts)
    assert 0 < spent < document.cpu_time
    assert document.jobs.keys() == {
        *("initial", "relax", "static"),
        *("unrefined relax", "unrefined static"),
    }


def test_tasks_are_those_of_the_refined_crystal(tmp_path):
    flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make([cheap_engine.candidate()])
    with VogenStores.open(tmp_path / "store", create=True) as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        stores.ingest_jobs()
        (document,) = stores.load(CalculationDoc)
        assert document.refinement.accepted
        atoms = len(document.structure)
        for stage, energy, crystal in (
            ("static", document.energy_per_atom, document.structure),
            ("unrefined static", document.unrefined_energy_per_atom, document.unrefined_structure),
        ):
            task = document.task(stores, stage)
            assert task.output.energy / atoms == energy
            assert task.structure == crystal


def test_what_symmetry_would_raise_stays_as_it_was_relaxed(tmp_path):
    """Oxygen off the centre: symmetric at 0.1 Å, and 5 meV/atom higher there, a stationary point."""
    engine = refine_engine.engine("double_well", fmax=0.005)
    (document,), _, _ = refined(engine, [refine_engine.candidate(0.06)], tmp_path)
    (attempt,) = document.refinement.attempts
    assert (attempt.accepted, attempt.space_group) == (False, "Pm-3m")
    rise = 1000 * refine_engine.BARRIER / 2
    assert attempt.reason == f"higher in energy by {rise:.1f} meV/atom"
    assert document.refinement.space_group_after == document.refinement.space_group_before == "P4mm"
    assert document.unrefined_structure is document.unrefined_energy_per_atom is None
    assert document.energy_per_atom == pytest.approx(cheap_engine.GROUND, abs=1e-4)
    # 5 meV/atom are allowed: then it is kept
    (tmp_path / "b").mkdir()
    (document,), _, _ = refined(
        engine, [refine_engine.candidate(0.06)], tmp_path / "b", energy_tolerance=0.006
    )
    assert document.refinement.space_group_after == "Pm-3m"
    assert document.energy_per_atom - document.unrefined_energy_per_atom == pytest.approx(
        refine_engine.BARRIER / 2, abs=1e-4
    )


def test_a_kick_leaves_a_saddle_and_the_same_one_each_time(tmp_path):
    engine = refine_engine.engine("double_well", fmax=0.005)
    found = []
    for name in "ab":
        (tmp_path / name).mkdir()
        (document,), _, _ = refined(
            engine, [refine_engine.candidate(0.0)], tmp_path / name, kicks=2, kick_size=0.1
        )
        found.append(plain(document))
    assert found[0] == found[1]
    first, second, *symmetry = document.refinement.attempts
    assert first.accepted
    assert (second.accepted, second.reason) == (False, "not lower in energy")
    assert first.displacement != second.displacement
    gain = document.unrefined_energy_per_atom - first.energy_per_atom
    assert gain == pytest.approx(refine_engine.BARRIER / 2, abs=2e-4)
    # symmetry would lead back up to the saddle: compared with what the kick found
    assert any("higher in energy" in (one.reason or "") for one in symmetry)
    assert document.energy_per_atom < document.unrefined_energy_per_atom - 0.004


def test_a_second_relaxation_that_fails_loses_nothing(tmp_path):
    engine = refine_engine.engine("breaks_when_symmetric")
    crystal = [cheap_engine.candidate()]
    (document,), (held,), _ = refined(engine, crystal, tmp_path)
    attempts = document.refinement.attempts
    assert attempts
    assert all("cursed" in attempt.reason for attempt in attempts)
    assert document.state is CalculationState.COMPLETED
    assert document.energy_per_atom == pytest.approx(cheap_engine.GROUND, abs=1e-3)
    assert document.unrefined_structure is None
    assert plain(held) == plain(document)


def test_a_second_relaxation_that_does_not_converge_is_not_kept(tmp_path):
    plain_engine = cheap_engine.engine()
    # no force is small enough
    hasty = replace(
        plain_engine.relax_maker, relax_kwargs={"fmax": 1e-12}, steps=1, name="cheap relax"
    )
    own = replace(plain_engine, relax_maker=hasty, methods=None)
    (document,), _, _ = refined(plain_engine, [cheap_engine.candidate()], tmp_path, engine=own)
    reasons = {attempt.reason for attempt in document.refinement.attempts}
    assert all(reason.startswith("not converged after") for reason in reasons)
    assert reasons
    assert document.state is CalculationState.COMPLETED
    assert document.unrefined_structure is None


def test_a_job_that_is_lost_leaves_the_unrefined_document_which_says_so(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("atomate2_vogen.jobs.refinement.symmetrise", full_disk)
    flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make([cheap_engine.candidate()])
    (document,), (held,), _ = calculated(flow, tmp_path)
    assert document.state is CalculationState.COMPLETED
    assert document.refinement.error == held.refinement.error == UNFINISHED
    assert document.energy_per_atom == pytest.approx(cheap_engine.GROUND, abs=1e-3)


def test_an_error_in_the_search_for_symmetry_is_told(tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError("no such lattice")

    monkeypatch.setattr("atomate2_vogen.jobs.refinement.symmetrise", broken)
    flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make([cheap_engine.candidate()])
    (document,), _, _ = calculated(flow, tmp_path)
    assert document.refinement.error == "ValueError: no such lattice"
    assert document.energy_per_atom == pytest.approx(cheap_engine.GROUND, abs=1e-3)


def test_failed_and_unconverged_crystals_are_not_refined(tmp_path):
    crystals = [cheap_engine.candidate(cheap_engine.RAISES)]
    (failed,), _, names = refined(cheap_engine.engine(), crystals, tmp_path)
    assert (failed.state, failed.refinement.attempts) == (CalculationState.FAILED, [])
    assert "failed" in failed.refinement.error
    assert "cursed" in failed.error
    (tmp_path / "b").mkdir()
    crystals = [cheap_engine.candidate()]
    (slow,), _, more = refined(cheap_engine.engine(steps=2), crystals, tmp_path / "b")
    assert slow.state is CalculationState.UNCONVERGED
    assert "unconverged" in slow.refinement.error
    assert ["refine", "relax"] not in [*names, *more]


def test_what_is_symmetric_already_costs_no_relaxation(tmp_path):
    crystals = [refine_engine.candidate(0.0)]
    (document,), _, names = refined(cheap_engine.engine(), crystals, tmp_path)
    assert document.refinement.attempts == []
    assert document.refinement.error is None
    assert document.refinement.space_group_before == "Pm-3m"
    assert ["refine", "relax"] not in names


def test_force_fields_refine_by_default_and_dft_does_not():
    force_field = cheap_engine.engine()
    costly = replace(force_field, manager_config={CATEGORY: DFT})

    def refines(maker):
        flow = maker.make([cheap_engine.candidate()])
        return any(job.metadata.get("stage") == "refine" for job, _ in flow.iterflow())

    references = cheap_engine.references()
    for kind, settings in ((ScreeningFlowMaker, {}), (EvaluateMaker, {"references": references})):
        assert refines(kind(engine=force_field, **settings))
        assert not refines(kind(engine=costly, **settings))
        assert not refines(kind(engine=force_field, refine=None, **settings))
        assert refines(kind(engine=costly, refine=RefineMaker(), **settings))


def test_what_cannot_refine_is_refused():
    for settings in (
        {"tolerances": (0.2, 0.1)},
        {"tolerances": (0.0,)},
        {"energy_tolerance": -1},
        {"kicks": -1},
        {"kick_size": 0},
    ):
        (name,) = settings
        with pytest.raises(InputError, match=name):
            RefineMaker(**settings)
    other = RefineMaker(engine=cheap_engine.engine(scheme="other"))
    for kind in (ScreeningFlowMaker, EvaluateMaker, DiscoveryFlowMaker):
        with pytest.raises(SchemeMismatchError, match="other"):
            kind(engine=cheap_engine.engine(), refine=other)
        with pytest.raises(InputError, match="refine is 'yes'"):
            kind(engine=cheap_engine.engine(), refine="yes")
    with pytest.raises(InputError, match="no engine"):
        RefineMaker().make(None)


def test_settings_survive_serialisation_and_reach_the_engine_inside():
    maker = ScreeningFlowMaker(engine=chgnet(), refine=RefineMaker(kicks=1))
    assert MontyDecoder().decode(json.dumps(maker, cls=MontyEncoder)).refine == maker.refine
    flow = maker.make([cheap_engine.crystal()])
    flow.update_maker_kwargs({"steps": 7}, name_filter="relax")
    (job,) = (job for job, _ in flow.iterflow() if job.metadata.get("stage") == "refine")
    assert job.maker.engine.relax_maker.steps == 7


def test_documents_of_earlier_versions_load():
    document = CalculationDoc.failed(cheap_engine.candidate(), "cheap-1", "no memory")
    content = document.model_dump()
    for name in ("refinement", "unrefined_structure", "unrefined_energy_per_atom"):
        del content[name]
    assert CalculationDoc.model_validate(content).refinement is None
