from __future__ import annotations

import shlex
import sys
from dataclasses import replace

import pytest
import standin_gpaw
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.engines import gpaw
from atomate2_vogen.engines.gpaw_settings import GpawSettings
from atomate2_vogen.engines.references import ReferencePhase, check_references
from atomate2_vogen.errors import InputError
from atomate2_vogen.flows.gpaw_references import MoleculeReferencesFlowMaker
from atomate2_vogen.jobs.molecules import anion_molecule, check_spin
from atomate2_vogen.schemas import ReferenceDoc

METAL = Structure(
    Lattice.from_parameters(2.6, 2.6, 2.6, 109.471, 109.471, 109.471), ["V"], [[0] * 3]
)
OXIDE = Structure(Lattice.cubic(3.2), "VO", [[0, 0, 0], [0.5, 0.5, 0.5]])
SOLID_OXYGEN = Structure(Lattice.cubic(4.0), "OO", [[0, 0, 0], [0.3, 0, 0]])
PHASES = [
    ReferencePhase(name, structure, 0.0)
    for name, structure in {"a": METAL, "b": OXIDE, "c": SOLID_OXYGEN}.items()
]

# the stand-in halves initial moments: with 2 on each atom the molecule comes out a triplet
TRIPLET = replace(VANADIUM, initial_moments={"V": 5.0, "O": 2.0})


@pytest.fixture
def engine():
    command = shlex.join([sys.executable, standin_gpaw.__file__])
    return gpaw(TRIPLET, command=command)


def references_of(flow):
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    run_locally(flow, store=store, ensure_success=True)
    return [ReferenceDoc.model_validate(r) for r in store.get_output(flow.output.uuid)]


@pytest.mark.parametrize(
    ("compounds", "formulas"), [(True, ["O2", "V", "VO"]), (False, ["O2", "V"])]
)
def test_anion_is_a_molecule_and_the_rest_crystals(
    engine, compounds, formulas, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    maker = MoleculeReferencesFlowMaker(engine=engine, system=TRIPLET, compounds=compounds)
    found = references_of(maker.make(PHASES))
    assert sorted(reference.formula for reference in found) == formulas
    check_references(found, engine.scheme, TRIPLET)
    by_formula = {reference.formula: reference for reference in found}
    # the stand-in's relaxation lets cells grow whatever it is asked for; the request tells
    assert "13 x 13.1 x 13.2" in by_formula["O2"].source
    requests = [path.read_text() for path in tmp_path.glob("gpaw-relax-*/request.json")]
    assert sorted('"cell": false' in text for text in requests) == [False] * (len(formulas) - 1) + [
        True
    ]


def test_molecule_lies_alone_in_its_box():
    box = anion_molecule()
    assert box.get_distance(0, 1) == pytest.approx(1.21, abs=0.05)
    assert len({round(length, 3) for length in box.lattice.abc}) == 3
    assert GpawSettings().scf_mesh(box) == (1, 1, 1)
    with pytest.raises(InputError, match="box"):
        anion_molecule(box=5.0)
    with pytest.raises(InputError, match="Xe2"):
        anion_molecule(replace_anion("Xe"))


def replace_anion(symbol):
    tables = {
        "oxidation_states": {"V": (2,), symbol: (-2,)},
        "atomic_volumes": {"V": 13.8, symbol: 10.0},
        "minimum_distances": {"V-V": 2.0, f"V-{symbol}": 1.5, f"{symbol}-{symbol}": 2.0},
    }
    return replace(VANADIUM, anion=symbol, target_formulas=(f"V{symbol}2",), **tables)


class Document:
    class output:
        total_moment = 0.0


def test_singlet_is_refused():
    with pytest.raises(ValueError, match="not 2"):
        check_spin.original(Document, "O")
    Document.output.total_moment = 2.02
    assert check_spin.original(Document, "O") is Document
