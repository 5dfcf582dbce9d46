"""Bands in closed form carried through the flow: verdict, links, and what goes wrong."""

import json

import cheap_engine
import pytest
import toy_engines
from jobflow import run_locally
from jobflow.managers.fireworks import flow_to_workflow
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure

from atomate2_vogen.errors import EngineCapabilityError, InputError, SchemeMismatchError
from atomate2_vogen.flows.electronic import ElectronicFlowMaker
from atomate2_vogen.plotting.dispersion import loaded
from atomate2_vogen.schemas import (
    CalculationDoc,
    CharacterisationState,
    ElectronicCharacter,
    ElectronicDoc,
)
from atomate2_vogen.stores import VogenStores


@pytest.fixture
def stores():
    with VogenStores.memory() as stores:
        yield stores


def run(flow, stores, folder, *, load=True):
    run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
    found = stores.job_store.get_output(flow.output.uuid, load=load)
    return [ElectronicDoc.model_validate(document) for document in found]


def test_a_half_metal_from_static_to_verdict(stores, tmp_path):
    candidates = [cheap_engine.candidate("VO2"), cheap_engine.candidate("VO")]
    flow = ElectronicFlowMaker(engine=toy_engines.toy_dft()).make(candidates)
    found = run(flow, stores, tmp_path)
    assert [d.candidate_id for d in found] == [c.candidate_id for c in candidates]
    for document in found:
        assert document.error is None
        assert document.state is CharacterisationState.COMPLETED
        assert document.electronic_id == f"{document.candidate_id}|toy+U-1"
        assert document.engine_versions == {"toy": "1"}
        assert document.energy_per_atom == pytest.approx(-7.5)
        electrons = document.electrons
        assert electrons.character is ElectronicCharacter.HALF_METAL
        assert electrons.down.gap == pytest.approx(2.0)
        assert electrons.down.vbm.label == "\\Gamma"
        assert (electrons.total_moment, electrons.moment_source) == (1.0, "engine")
        assert electrons.site_moments == [0.5] * len(document.structure)
        assert electrons.meshes == ["uniform", "line"]
        assert electrons.up.dos_at_fermi > 0.3
        assert loaded(document.line_bands, "bands").branches
        assert loaded(document.uniform_bands, "bands").nb_bands == 4


@pytest.mark.parametrize(("symprec", "group"), [(0.05, "P4_2/mnm"), (None, "P1")])
def test_a_nearly_regular_crystal_is_calculated_as_regular(stores, tmp_path, symprec, group):
    rutile = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.554, 2.857), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )
    maker = ElectronicFlowMaker(engine=toy_engines.toy_dft(), symprec=symprec)
    (document,) = run(maker.make([rutile.perturb(0.01, seed=1)]), stores, tmp_path)
    assert document.structure.get_space_group_info(symprec=1e-3)[0] == group
    done = document.symmetry and document.symmetry["space_group_after"]
    assert done == (group if symprec else None)


def test_bands_lie_in_the_data_store_and_come_back(stores, tmp_path):
    flow = ElectronicFlowMaker(engine=toy_engines.toy_dft()).make([cheap_engine.candidate()])
    (document,) = run(flow, stores, tmp_path, load=False)
    for link in (document.line_bands, document.uniform_bands, document.density_of_states):
        assert "blob_uuid" in link
        with pytest.raises(InputError, match="load=True"):
            loaded(link, "bands")
    assert stores.ingest_jobs()["electronic"] == 1
    (again,) = stores.load(ElectronicDoc, {"candidate_id": document.candidate_id})
    assert again.electrons == document.electrons
    assert loaded(again.density_of_states, "DOS").densities


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("uniform", "no uniform bands today"),
        ("line", "no line bands today"),
        ("unconverged", "did not converge"),
    ],
)
def test_what_fails_says_why(stores, tmp_path, trouble, reason):
    flow = ElectronicFlowMaker(engine=toy_engines.toy_dft(trouble)).make([cheap_engine.candidate()])
    (document,) = run(flow, stores, tmp_path)
    assert document.state is CharacterisationState.FAILED
    assert reason in document.error
    assert document.electrons is None


def test_one_that_fails_stops_no_other(stores, tmp_path):
    # the static calculation of cells with three atoms fails
    candidates = [cheap_engine.candidate("VO2"), cheap_engine.candidate("VO")]
    flow = ElectronicFlowMaker(engine=toy_engines.toy_dft("static")).make(candidates)
    bad, good = run(flow, stores, tmp_path)
    assert bad.state is CharacterisationState.FAILED
    assert "toy static: RuntimeError: SCF went astray" in bad.error
    assert good.state is CharacterisationState.COMPLETED


def test_typed_errors_at_make():
    candidate = cheap_engine.candidate()
    with pytest.raises(EngineCapabilityError, match="engine cheap has no band structure Maker"):
        ElectronicFlowMaker(engine=cheap_engine.engine()).make([candidate])
    maker = ElectronicFlowMaker(engine=toy_engines.toy_dft())
    with pytest.raises(InputError, match="no crystals"):
        maker.make([])
    with pytest.raises(InputError, match="given twice"):
        maker.make([candidate, candidate])

    def relaxed(scheme, index, structure=candidate.structure):
        one = cheap_engine.candidate(index=index)
        return CalculationDoc(
            calculation_id=one.candidate_id,
            candidate_id=one.candidate_id,
            scheme=scheme,
            state="completed",
            candidate=one,
            structure=structure,
        )

    with pytest.raises(SchemeMismatchError, match="a and b"):
        maker.make([relaxed("a", 0), relaxed("b", 1)])
    with pytest.raises(InputError, match="no relaxed structure"):
        maker.make([relaxed("a", 0, None)])


def test_converts_to_a_fireworks_workflow():
    maker = ElectronicFlowMaker(engine=toy_engines.toy_dft())
    restored = MontyDecoder().decode(json.dumps(maker, cls=MontyEncoder))
    assert restored.engine.scheme == maker.engine.scheme
    workflow = flow_to_workflow(restored.make([cheap_engine.candidate()]))
    assert len(workflow.fws) == 5
    assert json.dumps(workflow.to_dict(), default=str)
