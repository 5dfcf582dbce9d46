"""From a crystal to its electronic document with GPAW's stand-in: bands in closed form."""

from __future__ import annotations

import shlex
import sys

import pytest
import standin_gpaw
from jobflow import run_locally
from pymatgen.core import Lattice, Structure

from atomate2_vogen.engines import load_engine
from atomate2_vogen.engines.gpaw_settings import GpawSettings
from atomate2_vogen.flows.electronic import ElectronicFlowMaker
from atomate2_vogen.schemas import ElectronicCharacter, ElectronicDoc
from atomate2_vogen.stores import VogenStores

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)


def test_bands_of_gpaw_become_an_electronic_document(tmp_path):
    command = shlex.join([sys.executable, standin_gpaw.__file__, "--temper", ""])
    settings = GpawSettings(line_density=4, uniform_kspacing=1.0, dos_step=0.1)
    engine = load_engine("gpaw", settings=settings, command=command)
    flow = ElectronicFlowMaker(engine=engine).make([RUTILE])
    with VogenStores.memory() as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        (found,) = stores.job_store.get_output(flow.output.uuid, load=True)
        document = ElectronicDoc.model_validate(found)
        assert stores.ingest_jobs()["electronic"] == 1
    assert document.error is None
    assert document.scheme == engine.scheme
    assert document.engine_versions["gpaw"] == "0.standin"
    assert document.energy_per_atom == pytest.approx(standin_gpaw.ENERGY)
    electrons = document.electrons
    # up crosses the Fermi level, down has its gap at Gamma
    assert electrons.character is ElectronicCharacter.HALF_METAL
    assert electrons.up.gap == 0
    assert electrons.down.gap == pytest.approx(standin_gpaw.GAP_DOWN, abs=0.01)
    # the stand-in halves the moments that it is given: 5 μB and 0.6 μB
    assert electrons.total_moment == pytest.approx(2 * 2.5 + 4 * 0.3)
    assert electrons.moment_source == "engine"
    assert electrons.up.dos_at_fermi is not None
