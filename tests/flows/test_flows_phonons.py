"""The phonon flow against phonopy driven by hand, and what goes wrong."""

import json

import cheap_engine
import numpy as np
import pytest
import toy_engines
from jobflow import run_locally
from jobflow.managers.fireworks import flow_to_workflow
from monty.json import MontyDecoder, MontyEncoder
from phonopy import Phonopy
from pymatgen.io.phonopy import get_phonopy_structure
from toy_solids import with_forces

from atomate2_vogen.errors import EngineCapabilityError, InputError, SupercellError
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.plotting.dispersion import loaded
from atomate2_vogen.schemas import CharacterisationState, PhononDoc, PhononVerdict
from atomate2_vogen.stores import VogenStores


@pytest.fixture
def stores():
    with VogenStores.memory() as stores:
        yield stores


def run(flow, stores, folder):
    run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
    found = stores.job_store.get_output(flow.output.uuid, load=True)
    return [PhononDoc.model_validate(document) for document in found]


def by_hand(structure, supercell, calculator=None, distance=0.01):
    """phonopy without the flow, on the same cell and with the same forces."""
    return with_forces(
        get_phonopy_structure(structure),
        supercell,
        calculator or toy_engines.attraction(),
        distance=distance,
    )


def test_frequencies_are_those_of_phonopy_by_hand(stores, tmp_path):
    maker = PhononFlowMaker(engine=toy_engines.lj(), supercell=(2, 2, 2))
    (document,) = run(maker.make([toy_engines.fcc(1.02 * toy_engines.EDGE)]), stores, tmp_path)
    assert document.error is None
    assert document.state is CharacterisationState.COMPLETED
    assert document.phonon_id == f"{document.candidate_id}|lj-1|2x2x2"
    assert document.known_weakness == "no electrons at all"
    assert document.max_force < 0.001
    assert document.phonons.verdict is PhononVerdict.STABLE
    assert document.phonons.n_atoms_supercell == 32
    assert document.phonons.n_atoms_primitive == 1
    assert np.shape(document.force_constants) == (1, 32, 3, 3)
    phonon = by_hand(document.structure, (2, 2, 2))
    bands = loaded(document.phonon_bands, "bands")
    for i in range(0, len(bands.qpoints), 23):
        theirs = phonon.get_frequencies(bands.qpoints[i].frac_coords)
        assert np.sort(bands.bands[:, i]) == pytest.approx(np.sort(theirs), abs=1e-3)
    # and what is kept is enough to go on from
    again = Phonopy(
        get_phonopy_structure(document.structure),
        document.phonons.supercell_matrix,
        primitive_matrix=document.primitive_matrix,
    )
    again.force_constants = np.array(document.force_constants)
    q = [0.1, 0.2, 0.3]
    assert again.get_frequencies(q) == pytest.approx(phonon.get_frequencies(q), abs=1e-3)


def test_a_stretched_crystal_is_called_unstable(stores, tmp_path):
    maker = PhononFlowMaker(engine=toy_engines.lj(relax=False), supercell=(2, 2, 2))
    (document,) = run(maker.make([toy_engines.fcc(1.35 * toy_engines.EDGE)]), stores, tmp_path)
    assert document.phonons.verdict is PhononVerdict.UNSTABLE
    assert document.phonons.lowest_frequency < -0.1
    assert document.max_force is None


def test_a_series_relaxes_once_and_keeps_what_works(stores, tmp_path):
    maker = PhononFlowMaker(engine=toy_engines.lj(), max_atoms=40)
    flow = maker.make_series(toy_engines.fcc(), [(1, 1, 1), (2, 2, 2)])
    documents = run(flow, stores, tmp_path)
    assert [d.requested_supercell for d in documents] == ["1x1x1", "2x2x2"]
    assert all(d.state is CharacterisationState.COMPLETED for d in documents)
    relaxations = stores.job_store.query({"name": {"$regex": "^tight relax"}})
    assert len(list(relaxations)) == 1
    with pytest.raises(SupercellError, match="500 atoms, the limit is 40"):
        maker.make_series(toy_engines.fcc(), [(2, 2, 2), (5, 5, 5)])


def test_what_fails_says_why_and_stops_no_other(stores, tmp_path):
    # displaced supercells of the broken engine fail; a cell of one atom in 1x1x1 does not
    maker = PhononFlowMaker(engine=toy_engines.lj("broken"), supercell=(2, 1, 1))
    cursed = toy_engines.fcc()
    spared = toy_engines.fcc().get_primitive_structure()
    bad, good = run(maker.make([cursed, spared]), stores, tmp_path)
    assert bad.state is CharacterisationState.FAILED
    assert "RuntimeError: the displaced cell is cursed" in bad.error
    assert good.state is CharacterisationState.COMPLETED


def test_relaxation_that_uses_up_its_steps_gives_no_phonons(stores, tmp_path):
    # one step would be a static calculation to atomate2, and count as converged
    maker = PhononFlowMaker(engine=toy_engines.lj(steps=3), supercell=(1, 1, 1))
    (document,) = run(maker.make([toy_engines.fcc(5.6)]), stores, tmp_path)
    assert document.state is CharacterisationState.FAILED
    assert "tight relaxation did not converge" in document.error


def test_the_limit_holds_for_supercells_that_are_found_on_the_way(stores, tmp_path):
    maker = PhononFlowMaker(engine=toy_engines.lj(), min_length=10.0, max_atoms=20)
    (document,) = run(maker.make([toy_engines.fcc()]), stores, tmp_path)
    assert document.state is CharacterisationState.FAILED
    assert "the limit is 20" in document.error
    assert document.requested_supercell == "10 Å"


def test_typed_errors_at_make():
    with pytest.raises(EngineCapabilityError, match="engine cheap has no phonon Maker"):
        PhononFlowMaker(engine=cheap_engine.engine()).make([toy_engines.fcc()])
    engine = toy_engines.lj()
    for supercell in ((2, 2), (2, 2, 0), (2, 2, 1.5), (2, 2, True)):
        with pytest.raises(SupercellError, match="three whole numbers"):
            PhononFlowMaker(engine=engine, supercell=supercell).make([toy_engines.fcc()])
    with pytest.raises(SupercellError, match="1372 atoms, the limit is 1000"):
        PhononFlowMaker(engine=engine, supercell=(7, 7, 7)).make([toy_engines.fcc()])
    with pytest.raises(InputError, match="not both"):
        PhononFlowMaker(engine=engine, supercell=(2, 2, 2), min_length=9).make([toy_engines.fcc()])
    with pytest.raises(InputError, match="each once"):
        PhononFlowMaker(engine=engine).make_series(toy_engines.fcc(), [(2, 2, 2), (2, 2, 2)])


def test_converts_to_a_fireworks_workflow():
    maker = PhononFlowMaker(engine=toy_engines.lj(), supercell=(2, 2, 2))
    restored = MontyDecoder().decode(json.dumps(maker, cls=MontyEncoder))
    workflow = flow_to_workflow(restored.make([toy_engines.fcc()]))
    # relax, cell, displacements, their run, frequencies, record, collect
    assert len(workflow.fws) == 7
    assert json.dumps(workflow.to_dict(), default=str)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("formula", "n_atoms", "supercell", "highest"),
    [("VO", 2, (2, 2, 2), (8, 25)), ("VO2", 6, (1, 1, 2), (15, 40))],  # rock salt, rutile
)
def test_chgnet_on_known_crystals(formula, n_atoms, supercell, highest, stores, tmp_path):
    from atomate2_vogen import engines
    from atomate2_vogen.engines import reference_structures

    engine = engines.chgnet()
    crystal = next(
        phase.structure
        for phase in reference_structures()
        if phase.structure.composition.reduced_formula == formula
        and len(phase.structure) == n_atoms
    )
    maker = PhononFlowMaker(engine=engine, supercell=supercell)
    (document,) = run(maker.make([crystal]), stores, tmp_path)
    assert document.state is CharacterisationState.COMPLETED, document.error
    assert document.displacement == 0.05
    summary = document.phonons
    assert summary.n_atoms_supercell == n_atoms * np.prod(supercell)
    assert highest[0] < summary.highest_frequency < highest[1]
    # with displacements of 0.01 Å VO has 2.0 THz and is called unstable at -3.2 THz
    assert summary.sum_rule_imposed
    assert 0 < summary.acoustic_sum_rule_error < 1.0
    assert summary.verdict is PhononVerdict.STABLE
    assert abs(loaded(document.phonon_bands, "bands").bands[:3, 0]).max() < 0.05
    assert "softening" in document.known_weakness
    calculator = engine.static_maker.calculator
    phonon = by_hand(document.structure, supercell, calculator, document.displacement)
    phonon.symmetrize_force_constants(show_drift=False)
    bands = loaded(document.phonon_bands, "bands")
    for i in range(0, len(bands.qpoints), 37):
        theirs = phonon.get_frequencies(bands.qpoints[i].frac_coords)
        assert np.sort(bands.bands[:, i]) == pytest.approx(np.sort(theirs), abs=1e-3)
