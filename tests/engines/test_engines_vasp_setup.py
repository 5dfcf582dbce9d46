"""What is refused before any job is made, lookup by name, and corrections of energies."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import cheap_engine
import pytest
import vasp_stand_in
from pymatgen.core import SETTINGS, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry
from pymatgen.io.vasp.inputs import PotcarSingle

from atomate2_vogen import engines
from atomate2_vogen.engines import corrections, known_models
from atomate2_vogen.engines.vasp_setup import check_setup
from atomate2_vogen.errors import (
    EngineSetupError,
    InputError,
    MissingDependencyError,
    MissingReferenceError,
    NonFiniteError,
    SchemeMismatchError,
)

PYTHON = sys.executable
OXYGEN, METAL = -0.687, -1.7  # eV per atom: Wang et al. 2021, table 2
MP_VO2 = (2 * OXYGEN + METAL) / 3


@pytest.fixture
def potcars(tmp_path, monkeypatch):
    folder = vasp_stand_in.write_potcars(tmp_path / "potcars")
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    return folder


@pytest.mark.usefixtures("potcars")
@pytest.mark.parametrize("name", ["vasp", "vasp-mp"])
def test_engine_is_made_where_everything_is_there(name):
    assert engines.load_engine(name, vasp_cmd=f"{PYTHON} run.py").name == name


@pytest.mark.usefixtures("potcars")
@pytest.mark.parametrize(
    "command", ["no_such_vasp", f"{PYTHON} -n 4 vasp_nowhere", "$NO_SUCH_VAR", ""]
)
def test_a_missing_command_is_named(command, monkeypatch):
    monkeypatch.setattr("atomate2.SETTINGS.VASP_CMD", "vasp_of_settings")
    with pytest.raises(EngineSetupError, match="VASP_CMD") as caught:
        engines.vasp(vasp_cmd=command)
    assert (command.split() or ["vasp_of_settings"])[-1] in str(caught.value)
    assert "POTCAR" not in str(caught.value)


def test_missing_potcars_are_named(potcars, monkeypatch):
    (potcars / PotcarSingle.functional_dir["PBE_54"] / "POTCAR.V_pv").unlink()
    with pytest.raises(EngineSetupError, match=r"POTCAR V_pv of PBE_54.* is not there"):
        engines.vasp(vasp_cmd=PYTHON)
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(potcars / "gone"))
    with pytest.raises(EngineSetupError, match="gone does not exist"):
        engines.vasp(vasp_cmd=PYTHON)
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR")
    with pytest.raises(EngineSetupError, match=r"no folder of POTCARs is named.*PMG_VASP_PSP_DIR"):
        engines.vasp(vasp_cmd=PYTHON)
    check_setup(["V_pv"], "PBE_54", PYTHON, potcar_spec=True)


def test_everything_that_is_missing_is_told_at_once(monkeypatch):
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    with pytest.raises(EngineSetupError) as caught:
        engines.vasp(vasp_cmd="no_such_vasp")
    assert "no_such_vasp" in str(caught.value)
    assert "POTCARs" in str(caught.value)
    assert isinstance(caught.value, MissingDependencyError)
    assert engines.vasp(vasp_cmd="no_such_vasp", check=False).name == "vasp"


def test_a_job_without_vasp_fails_as_a_job_not_as_a_crystal(monkeypatch):
    """So that it is run again where VASP is, and no candidate is recorded as failed."""
    from atomate2_vogen.jobs.guard import NOT_THE_CRYSTALS_FAULT, GuardedMaker

    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    maker = GuardedMaker(engines.vasp(vasp_cmd="no_such_vasp", check=False).static_maker)
    with pytest.raises(EngineSetupError):
        GuardedMaker.run.original(maker, vasp_stand_in.rutile())
    assert issubclass(EngineSetupError, NOT_THE_CRYSTALS_FAULT)


def test_engines_have_names():
    assert set(engines.ENGINES) >= {"chgnet", "sevennet", "vasp", "vasp-mp"}
    assert engines.load_engine("chgnet", steps=7).relax_maker.steps == 7
    with pytest.raises(InputError, match="vasp-mp"):
        engines.load_engine("vasp_mp")
    with pytest.raises(InputError, match="no option steps"):
        engines.load_engine("vasp", steps=7)


def test_sevennet_says_what_to_install(monkeypatch):
    monkeypatch.setattr(known_models, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"atomate2-vogen\[sevennet\]"):
        engines.load_engine("sevennet")


def test_sevennet_is_a_force_field_with_corrections(monkeypatch):
    monkeypatch.setattr(known_models, "find_spec", lambda _: True)
    monkeypatch.setattr(known_models, "version", lambda _: "0.0")
    engine = engines.load_engine("sevennet", fmax=0.03)
    assert str(engine.relax_maker.force_field_name).endswith("SevenNet")
    assert engine.relax_maker.calculator_kwargs == {"model": "7net-0"}
    assert engine.relax_maker.relax_kwargs["fmax"] == 0.03
    assert engine.phonon_maker.bulk_relax_maker.relax_kwargs["fmax"] == 0.01
    assert isinstance(engine.energy_corrections, corrections.MP2020Corrections)
    assert engine.band_structure_maker is None


def test_looking_up_vasp_imports_no_networks():
    code = (
        "import sys, atomate2_vogen.engines as e\n"
        "e.load_engine('vasp', check=False)\n"
        "print(sorted({'torch', 'chgnet', 'tensorflow', 'sevenn'} & set(sys.modules)))"
    )
    done = subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def document(structure, energy, **parameters):
    entry = ComputedEntry(structure.composition, energy, parameters=parameters)
    return SimpleNamespace(structure=structure, output=SimpleNamespace(energy=energy), entry=entry)


def run(structure, run_type="GGA+U", u=3.25, potcars=("V_pv", "O")):
    return document(
        structure,
        -40.0,
        run_type=run_type,
        is_hubbard=bool(u),
        hubbards={"V": u, "O": 0} if u else {},
        potcar_spec=[{"titel": f"PAW_PBE {p} 01Jan2000", "hash": None} for p in potcars],
    )


@pytest.mark.parametrize("run_type", ["GGA+U", "PBE+U"])
def test_oxides_are_shifted_as_published(run_type):
    per_atom = corrections.MP2020Corrections().per_atom(run(vasp_stand_in.rutile(), run_type))
    assert per_atom == pytest.approx(MP_VO2, abs=1e-3)


def test_elements_are_not_shifted():
    metal = Structure(Lattice.cubic(3.0), ["V", "V"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    found = corrections.MP2020Corrections().per_atom(run(metal, "GGA", u=0, potcars=("V_pv",)))
    assert found == 0


def test_force_fields_trained_on_mp_are_shifted_as_its_calculations():
    crystal = vasp_stand_in.rutile()
    found = corrections.MP2020Corrections().per_atom(document(crystal, -40.0))
    assert found == pytest.approx(MP_VO2, abs=1e-3)
    assert corrections.mp_hubbard_u(crystal.composition) == {"V": 3.25}
    oxygen = Structure(Lattice.cubic(4.0), ["O", "O"], [[0, 0, 0], [0.3, 0, 0]])
    assert corrections.MP2020Corrections().per_atom(document(oxygen, -10.0)) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"u": 4.0},
        {"run_type": "GGA", "u": 0},
        {"run_type": "R2SCAN"},
        {"potcars": ("V_sv", "O")},
    ],
)
def test_other_settings_are_refused_not_dropped(changes):
    with pytest.raises(SchemeMismatchError, match="MP2020 does not apply to VO2"):
        corrections.MP2020Corrections().per_atom(run(vasp_stand_in.rutile(), **changes))


def test_nothing_cannot_be_corrected():
    with pytest.raises(NonFiniteError):
        corrections.MP2020Corrections().per_atom(
            SimpleNamespace(structure=None, output=SimpleNamespace(energy=None))
        )


def test_references_from_entries_bear_the_same_corrections():
    crystal = vasp_stand_in.rutile()
    entry = ComputedStructureEntry(
        crystal, -45.0, parameters=run(crystal).entry.parameters, entry_id="mp-19094"
    )
    (reference,) = corrections.references_from_entries([entry], "scheme")
    assert reference.energy_per_atom == pytest.approx(-7.5 + MP_VO2, abs=1e-3)
    assert reference.reference_id == "VO2 P4_2/mnm mp-19094|scheme"
    assert entry.correction == 0
    with pytest.raises(MissingReferenceError):
        corrections.references_from_entries([], "scheme")


def test_corrections_must_be_corrections():
    from dataclasses import replace

    with pytest.raises(InputError, match="energy_corrections"):
        replace(cheap_engine.engine(), energy_corrections=-1.0)
