"""The whole VASP path through the stand-in: from candidates to bands, phonons and verdicts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import vasp_stand_in
from jobflow import run_locally
from pymatgen.core import SETTINGS

from atomate2_vogen.flows.electronic import ElectronicFlowMaker
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    CharacterisationState,
    ElectronicCharacter,
    ElectronicDoc,
    PhononDoc,
)
from atomate2_vogen.stores import VogenStores

pytestmark = pytest.mark.slow


@pytest.fixture
def engine(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        if not vasp_stand_in.REAL:
            folder = vasp_stand_in.write_potcars(tmp_path / "potcars")
            patch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
        made = vasp_stand_in.engine("vasp")
        bands = made.band_structure_maker
        coarse = replace(bands.bs_maker.input_set_generator, dense_k_spacing=0.6)
        bands = replace(bands, bs_maker=replace(bands.bs_maker, input_set_generator=coarse))
        yield replace(made, band_structure_maker=bands)


def candidate():
    return CandidateDoc.make(
        vasp_stand_in.rutile(0.01), sampler="test", model_id="toy", formula="VO2", seed=0, index=0
    )


def test_from_candidates_to_electronic_and_phonon_documents(engine, tmp_path):
    with VogenStores.memory() as stores:

        def run(flow, kind):
            run_locally(
                flow, store=stores.job_store, root_dir=tmp_path, create_folders=True, log=False
            )
            found = stores.job_store.get_output(flow.output.uuid, load=True)
            return [kind.model_validate(document) for document in found]

        screened = run(ScreeningFlowMaker(engine=engine).make([candidate()]), CalculationDoc)
        (electronic,) = run(ElectronicFlowMaker(engine=engine).make(screened), ElectronicDoc)
        phonons = PhononFlowMaker(engine=engine, min_length=5.5)
        (dynamic,) = run(phonons.make(screened), PhononDoc)

    assert electronic.error is None
    assert electronic.candidate_id == dynamic.candidate_id == candidate().candidate_id
    assert electronic.scheme == "VASP-PBE+U(V=3.25)-V_pv"
    assert dynamic.scheme == screened[0].scheme == "VASP-PBE-V_pv"
    assert electronic.electrons.is_spin_polarised
    assert electronic.density_of_states is not None
    assert dynamic.error is None
    assert dynamic.state is CharacterisationState.COMPLETED
    assert dynamic.max_force < 0.01  # the tight relaxation's, not the screening's 0.05
    assert dynamic.phonons.n_atoms_supercell > 6
    if not vasp_stand_in.REAL:
        electrons = electronic.electrons
        assert electrons.character is ElectronicCharacter.HALF_METAL
        assert electrons.up.gap == 0
        assert electrons.down.gap > 1
        assert electrons.total_moment == pytest.approx(2.0, abs=0.01)  # 1 μB on each V
