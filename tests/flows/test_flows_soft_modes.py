"""Soft modes of Lennard-Jones crystals: what the displaced crystal becomes, by hand as well."""

from __future__ import annotations

import numpy as np
import pytest
import toy_engines
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from jobflow import run_locally
from pymatgen.core import Lattice, Structure

from atomate2_vogen import PhononFlowMaker, VogenStores
from atomate2_vogen.errors import BandDataError, InputError, SchemeMismatchError
from atomate2_vogen.flows import SoftModeFlowMaker
from atomate2_vogen.phonons.modes import phonopy_of, softest_mode
from atomate2_vogen.schemas import CharacterisationState, PhononDoc, SoftModeDoc

CUBIC = Structure(Lattice.cubic(3.72), ["V"], [[0, 0, 0]])
"""Simple cubic: unstable for every pair potential of this kind."""
ENGINE = toy_engines.lj(steps=500, relax=False)


@pytest.fixture(scope="module")
def phonons(tmp_path_factory):
    """Documents of the simple cubic crystal and of a face-centred one, which is stable."""
    folder = tmp_path_factory.mktemp("phonons")
    maker = PhononFlowMaker(engine=ENGINE, supercell=(3, 3, 3))
    flow = maker.make([CUBIC, toy_engines.fcc()])
    with VogenStores.memory() as stores:
        run_locally(flow, store=stores.job_store, root_dir=folder, log=False, ensure_success=True)
        found = stores.job_store.get_output(flow.output.uuid, load=True)
    return [PhononDoc.model_validate(one) for one in found]


def follow(maker, documents, folder):
    flow = maker.make(documents)
    with VogenStores.memory() as stores:
        run_locally(flow, store=stores.job_store, root_dir=folder, log=False, ensure_success=True)
        found = stores.job_store.get_output(flow.output.uuid, load=True)
        assert stores.ingest_jobs()["soft_modes"] == len(found)
        assert len(stores.load(SoftModeDoc)) == len(found)
    return [SoftModeDoc.model_validate(one) for one in found]


def test_the_mode_is_the_lowest_that_the_supercell_holds(phonons):
    phonon = phonopy_of(phonons[0])
    mode = softest_mode(phonon)
    grid = [[i / 3, j / 3, k / 3] for i in range(3) for j in range(3) for k in range(3)]
    phonon.run_qpoints(grid)
    assert mode.frequency == pytest.approx(phonon.get_qpoints_dict()["frequencies"].min())
    assert mode.frequency < -0.1
    # displaced by 0.2 Å at most, and the mean stays where it is
    still = Structure.from_sites(CUBIC * np.rint(np.divide(mode.structure.lattice.abc, 3.72)))
    moved = [min(site.distance(other) for other in still) for site in mode.structure]
    assert max(moved) == pytest.approx(0.2, abs=1e-6)


def test_it_leads_to_a_lower_crystal_that_relaxing_by_hand_gives_too(phonons, tmp_path):
    (document,) = follow(SoftModeFlowMaker(engine=ENGINE), phonons, tmp_path)
    assert document.state is CharacterisationState.COMPLETED, document.error
    assert document.candidate_id == phonons[0].candidate_id
    assert document.returned is False
    assert document.energy_change < -0.001
    atoms = document.displaced.to_ase_atoms()
    atoms.calc = toy_engines.attraction()
    before = CUBIC.to_ase_atoms()
    before.calc = toy_engines.attraction()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.001, steps=500)
    expected = atoms.get_potential_energy() / len(atoms) - before.get_potential_energy()
    assert document.energy_change == pytest.approx(expected, abs=2e-4)
    assert document.space_group_number != 221
    assert set(document.jobs) == {"before", "relax", "static"}


def test_a_cell_that_is_too_large_is_recorded(phonons, tmp_path):
    (document,) = follow(SoftModeFlowMaker(engine=ENGINE, max_atoms=1), phonons, tmp_path)
    assert document.state is CharacterisationState.FAILED
    assert "more than max_atoms=1" in document.error


def test_what_fails_says_why(phonons, tmp_path):
    broken = toy_engines.lj("broken", relax=False)
    maker = SoftModeFlowMaker(engine=broken)
    (document,) = follow(maker, phonons, tmp_path)
    if len(document.displaced) > 4:  # the engine fails on large cells
        assert document.state is CharacterisationState.FAILED
        assert "cursed" in document.error
    else:
        assert document.state is CharacterisationState.COMPLETED


def test_what_does_not_fit_is_refused(phonons):
    with pytest.raises(SchemeMismatchError, match="scheme lj-1"):
        SoftModeFlowMaker(engine=toy_engines.lj(scheme="lj-2")).make(phonons)
    bare = phonons[0].model_copy(update={"force_constants": None})
    with pytest.raises(BandDataError, match="read the document from its stores"):
        SoftModeFlowMaker(engine=ENGINE).make([bare])
    with pytest.raises(InputError, match="displacement is 0"):
        SoftModeFlowMaker(displacement=0)
    with pytest.raises(InputError, match="max_atoms"):
        SoftModeFlowMaker(max_atoms=0)
    with pytest.raises(InputError, match="not positive"):
        softest_mode(phonopy_of(phonons[0]), -1)
