"""Engines in one line, of a force field or of a relax Maker, and foreign energies that they refuse."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from types import SimpleNamespace as Doc

import cheap_engine
import pytest
import toy_engines
from atomate2.ase.jobs import LennardJonesRelaxMaker
from atomate2.forcefields.jobs import ForceFieldRelaxMaker
from atomate2.forcefields.utils import _DEFAULT_CALCULATOR_KWARGS, MLFF, _get_pkg_name
from atomate2.vasp.flows.core import DoubleRelaxMaker
from atomate2.vasp.jobs.core import RelaxMaker, StaticMaker
from atomate2.vasp.jobs.mp import MPGGARelaxMaker
from jobflow import Maker, job, run_locally
from monty.json import MontyDecoder, MontyEncoder

from atomate2_vogen.engines import (
    Engine,
    GpawSettings,
    MP2020Corrections,
    chgnet,
    known_models,
    sevennet,
    vasp,
)
from atomate2_vogen.engines.gpaw_makers import GpawRelaxMaker, GpawStaticMaker
from atomate2_vogen.engines.methods import Method, check_method
from atomate2_vogen.errors import (
    EngineCapabilityError,
    InputError,
    MissingDependencyError,
    SchemeMismatchError,
)
from atomate2_vogen.flows.electronic import check_bands
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.schemas import CalculationDoc, CalculationState
from atomate2_vogen.stores import VogenStores

MODELS = [model for model in MLFF if model is not MLFF.Forcefield]
QUIET = {"final_atoms_object_file": None}
TEMPERED = {"@module": "cheap_engine", "@callable": "tempered"}


@pytest.fixture
def all_installed(monkeypatch):
    """Every package is there, in version 9.9; nothing of them is loaded to make an engine."""
    monkeypatch.setattr(known_models, "find_spec", lambda name: name)
    monkeypatch.setattr(known_models, "version", lambda name: "9.9")


@pytest.fixture
def none_installed(monkeypatch):
    known_models.chgnet_version.cache_clear()
    monkeypatch.setattr(known_models, "find_spec", lambda name: None)
    yield
    known_models.chgnet_version.cache_clear()


def screened(engine, tmp_path, formula="VO"):
    flow = ScreeningFlowMaker(engine=engine).make([cheap_engine.candidate(formula)])
    with VogenStores.memory() as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        (found,) = stores.job_store.get_output(flow.output.uuid, load=True)
    return CalculationDoc.model_validate(found)


# --- of a force field


@pytest.mark.usefixtures("all_installed")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_force_field_of_atomate2_becomes_an_engine(model):
    for name in (model, model.value, model.name, str(model)):
        engine = Engine.from_force_field(name, scheme=f"{model.value}-mine")
        for stage in ("relax", "static", "phonon relax", "phonon forces"):
            assert engine.method(stage).code == model.name
            assert engine.method(stage).scheme == f"{model.value}-mine"
        # what atomate2 gives the calculator stays, so the weights are those of its Makers
        arguments = engine.static_maker.calculator_kwargs
        assert arguments.items() >= _DEFAULT_CALCULATOR_KWARGS.get(model, {}).items()
    written = json.dumps(engine, cls=MontyEncoder)
    restored = MontyDecoder().decode(written)
    assert json.loads(json.dumps(restored, cls=MontyEncoder)) == json.loads(written)
    # documents of all other force fields, and of another version, are refused
    for other in MODELS:
        for number in ("9.9", "1.0"):
            document = Doc(forcefield_name=str(other), forcefield_version=number)
            if (other, number) == (model, "9.9"):
                check_method(document, engine.method("static"), engine.engine_versions)
            else:
                with pytest.raises(SchemeMismatchError):
                    check_method(document, engine.method("static"), engine.engine_versions)


@pytest.mark.usefixtures("none_installed")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_missing_package_is_named(model, monkeypatch):
    monkeypatch.setattr("atomate2.forcefields.utils.find_spec", lambda name: name == "chgnet")
    package = _get_pkg_name(model).replace(".", "-")
    with pytest.raises(MissingDependencyError, match=rf"{model.name} needs the package {package} "):
        Engine.from_force_field(model.value, scheme="mine")


@pytest.mark.usefixtures("none_installed")
@pytest.mark.parametrize("make", [chgnet, sevennet])
def test_engines_by_name_say_so_too(make):
    with pytest.raises(MissingDependencyError, match="install it, or choose another engine"):
        make()


@pytest.mark.parametrize(
    "name", ["Magic", "", "Forcefield", "MLFF.Magic", "chgnet", ".", ".x", "x.", None, 3, {}, []]
)
def test_unknown_force_fields_are_refused_with_those_that_there_are(name):
    with pytest.raises(InputError, match="is unknown") as found:
        Engine.from_force_field(name, scheme="mine")
    for model in MODELS:
        assert model.value in str(found.value)


def test_engines_by_name_are_those_of_their_force_field():
    assert chgnet() == Engine.from_force_field("CHGNet")
    assert chgnet().scheme == "CHGNet-0.3.0"
    assert chgnet().phonon_maker.displacement == 0.05
    assert chgnet(fmax=0.1, steps=7) == Engine.from_force_field("CHGNet", fmax=0.1, steps=7)
    assert chgnet(phonon_displacement=0.02).phonon_maker.displacement == 0.02


@pytest.mark.usefixtures("all_installed")
def test_sevennet_is_corrected_and_its_scheme_says_so():
    engine = sevennet()
    assert engine == Engine.from_force_field("SevenNet")
    assert (engine.name, engine.scheme) == ("sevennet", "SevenNet-7net-0+MP2020")
    assert engine.energy_corrections == MP2020Corrections()
    assert engine.engine_versions.items() >= {"sevennet": "9.9", "sevennet-model": "7net-0"}.items()
    assert engine.phonon_maker.displacement == 0.01
    raw = Engine.from_force_field("SevenNet", energy_corrections=None)
    assert (raw.scheme, raw.energy_corrections) == ("SevenNet-7net-0", None)


@pytest.mark.usefixtures("all_installed")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("MACE-MP-0", {}), ("SevenNet", {"model": "7net-omat"}), ("CHGNet", {"path": "mine"})],
)
def test_weights_of_an_unknown_scale_need_a_scheme(name, arguments, caplog):
    with pytest.raises(InputError, match=rf"energy scale of {name}.*scheme=.*MP2020Corrections"):
        Engine.from_force_field(name, calculator_kwargs=arguments)
    with caplog.at_level(logging.WARNING):
        engine = Engine.from_force_field(name, "mine-1", calculator_kwargs=arguments)
    assert (engine.scheme, engine.energy_corrections) == ("mine-1", None)
    assert not [package for package in engine.engine_versions if package.endswith("-model")]
    assert f"whether energies of {name} need corrections" in caplog.text
    caplog.clear()
    given = MP2020Corrections()
    engine = Engine.from_force_field(
        name, "mine-1", calculator_kwargs=arguments, energy_corrections=given
    )
    assert engine.energy_corrections is given
    assert not caplog.text


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CHGNet", {"energy_corrections": MP2020Corrections()}),
        ("CHGNet", {"calculator_kwargs": {"path": "other-weights"}}),
        ("cheap_engine.tempered", {}),
    ],
)
def test_other_energies_take_no_scheme_with_shipped_references(name, options):
    with pytest.raises(SchemeMismatchError, match=r"CHGNet-0\.3\.0"):
        Engine.from_force_field(name, scheme="CHGNet-0.3.0", **options)


def test_other_fields_of_the_engine_can_be_given():
    engine = Engine.from_force_field("CHGNet", name="mine", manager_config={"_fworker": "gpu"})
    assert (engine.name, engine.manager_config) == ("mine", {"_fworker": "gpu"})
    with pytest.raises(TypeError, match="colour"):
        Engine.from_force_field("CHGNet", colour="blue")


@pytest.mark.parametrize("name", ["cheap_engine.tempered", TEMPERED])
def test_an_own_calculator_judges(name, tmp_path):
    """Its minimum is known."""
    with pytest.raises(InputError, match="scheme="):
        Engine.from_force_field(name)
    engine = Engine.from_force_field(name, scheme="tempered-1")
    assert engine.name == "tempered"
    document = screened(engine, tmp_path)
    assert (document.state, document.scheme) == (CalculationState.COMPLETED, "tempered-1")
    assert document.energy_per_atom == pytest.approx(cheap_engine.GROUND, abs=2e-3)


def test_own_calculators_that_are_not_there():
    with pytest.raises(
        MissingDependencyError, match=r"no_such_module\.calculator needs the module"
    ):
        Engine.from_force_field("no_such_module.calculator", scheme="mine")
    for name in ("cheap_engine.nothing", "cheap_engine.SCHEME"):
        with pytest.raises(InputError, match="module cheap_engine has no calculator"):
            Engine.from_force_field(name, scheme="mine")


# --- of a Maker


def relax_makers():
    kept = {"force_field_name": TEMPERED, "relax_kwargs": {"fmax": 0.05, **QUIET}}
    return {
        "atomate2": ForceFieldRelaxMaker(**kept, optimizer_kwargs={"optimizer": "BFGS"}),
        "ours": cheap_engine.engine().relax_maker,
    }


@pytest.mark.parametrize("name", ["atomate2", "ours"])
def test_a_relax_maker_of_a_force_field_judges(name, tmp_path):
    maker = relax_makers()[name]
    engine = Engine.from_maker(maker, scheme="tempered-1")
    assert engine.relax_maker is maker
    assert isinstance(engine.static_maker, type(maker))
    assert engine.method("relax") == engine.method("static")
    document = screened(engine, tmp_path)
    assert document.state is CalculationState.COMPLETED, document.error
    assert document.energy_per_atom == pytest.approx(cheap_engine.GROUND, abs=2e-3)
    # as generated, the crystal is higher; one that is not relaxed has this energy too
    atoms = cheap_engine.candidate("VO").structure.to_ase_atoms(msonable=False)
    atoms.calc = cheap_engine.tempered()
    assert document.initial_energy_per_atom == pytest.approx(atoms.get_potential_energy() / 2)
    assert document.initial_energy_per_atom > document.energy_per_atom + 0.1


def test_a_static_calculation_moves_nothing_whatever_the_relaxation_fixes():
    maker = replace(relax_makers()["atomate2"], relax_cell=False, relax_shape=True)
    maker = replace(maker, fix_symmetry=True)
    static = Engine.from_maker(maker, scheme="mine").static_maker
    found = static.run_ase(cheap_engine.crystal("VO2")).final_mol_or_struct
    assert found.lattice == cheap_engine.crystal("VO2").lattice
    assert (static.steps, static.relax_shape, static.fix_symmetry) == (1, False, False)
    assert static.name == "Force field static"


def test_an_ase_maker_states_its_method_by_itself(tmp_path):
    maker = LennardJonesRelaxMaker(steps=3, relax_kwargs={"fmax": 1e9, **QUIET})
    engine = Engine.from_maker(maker, scheme="lj-ase")
    assert engine.methods == {
        stage: Method("lennardjones", scheme="lj-ase") for stage in ("relax", "static")
    }
    document = screened(engine, tmp_path)
    assert (document.state, document.error) == (CalculationState.COMPLETED, None)
    with pytest.raises(SchemeMismatchError, match="emt computed this"):
        check_method(Doc(ase_calculator_name="emt"), engine.method("static"), {})


@pytest.mark.parametrize(
    "maker",
    [
        RelaxMaker(),
        MPGGARelaxMaker(),
        DoubleRelaxMaker(),
        DoubleRelaxMaker(relax_maker1=None, relax_maker2=MPGGARelaxMaker()),
        vasp(check=False).relax_maker,
    ],
    ids=["relax", "mp", "double", "double-mp", "ours"],
)
def test_a_relax_maker_of_vasp_gives_statics_of_its_input(maker):
    """Of the INCAR, only the tags of ionic steps differ; the mesh is the same."""
    engine = Engine.from_maker(maker, scheme="mine-1")
    inner = getattr(maker, "relax_maker2", maker)
    assert isinstance(engine.static_maker, StaticMaker)
    assert engine.method("relax") == engine.method("static")
    assert engine.method("static").code == "VASP"
    assert engine.manager_config == {"_category": "dft"}
    crystal = cheap_engine.crystal("VO2")
    relaxing, static = (
        m.input_set_generator.get_input_set(crystal, potcar_spec=True)
        for m in (inner, engine.static_maker)
    )
    before, after = relaxing["INCAR"], static["INCAR"]
    differing = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert differing <= {"NSW", "IBRION", "ISIF", "EDIFFG"}
    assert (static["INCAR"]["NSW"], relaxing["INCAR"]["NSW"] > 0) == (0, True)
    assert relaxing.get("KPOINTS") == static.get("KPOINTS")
    assert "job_type" not in engine.static_maker.run_vasp_kwargs
    generator = engine.static_maker.input_set_generator
    coarse = replace(generator, user_incar_settings={"ENCUT": 333})
    other = replace(engine.static_maker, input_set_generator=coarse)
    with pytest.raises(SchemeMismatchError, match="ENCUT"):
        replace(engine, static_maker=other)
    for foreign in (Doc(forcefield_name="MLFF.MACE"), Doc(structure=crystal)):
        with pytest.raises(SchemeMismatchError, match="VASP"):
            check_method(foreign, engine.method("static"), engine.engine_versions)


@dataclass
class OwnRelaxMaker(Maker):
    """Leaves the crystal as it is."""

    name: str = "own relax"

    @job
    def make(self, structure, prev_dir=None):
        return toy_engines.ToyStatic().calculate(structure)


def test_other_makers_need_a_static_maker():
    with pytest.raises(InputError, match="OwnRelaxMaker; give static_maker"):
        Engine.from_maker(OwnRelaxMaker(), scheme="mine")
    engine = Engine.from_maker(OwnRelaxMaker(), scheme="mine", static_maker=toy_engines.ToyStatic())
    assert (engine.name, engine.scheme, engine.methods) == ("mine", "mine", {})
    settings = GpawSettings()
    engine = Engine.from_maker(
        GpawRelaxMaker(settings=settings),
        scheme=settings.scheme(),
        static_maker=GpawStaticMaker(settings=settings),
    )
    assert engine.method("static").code == "GPAW"


@pytest.mark.parametrize("maker", ["CHGNet", None, RelaxMaker, chgnet])
def test_what_is_no_maker_is_refused(maker):
    with pytest.raises(InputError, match="not a jobflow Maker"):
        Engine.from_maker(maker, scheme="mine")
    with pytest.raises(InputError, match="not a jobflow Maker"):
        Engine.from_maker(RelaxMaker(), scheme="mine", static_maker=maker or "CHGNet")


@pytest.mark.parametrize(
    ("maker", "scheme", "error"),
    [
        (relax_makers()["ours"], "CHGNet-0.3.0", SchemeMismatchError),
        (ForceFieldRelaxMaker(force_field_name="CHGNet"), "VASP-PBE", SchemeMismatchError),
        (ForceFieldRelaxMaker(force_field_name="CHGNet"), "MACE", SchemeMismatchError),
        (RelaxMaker(), "CHGNet-0.3.0", SchemeMismatchError),
        (RelaxMaker(), "", InputError),
    ],
)
def test_a_scheme_of_another_model_is_refused(maker, scheme, error):
    with pytest.raises(error):
        Engine.from_maker(maker, scheme=scheme)


def test_a_missing_package_of_a_maker_is_named(none_installed):
    with pytest.raises(MissingDependencyError, match="mace-torch"):
        Engine.from_maker(ForceFieldRelaxMaker(force_field_name="MACE-MP-0"), scheme="mine")


def test_vasp_that_is_stated_without_settings_is_compared_by_program():
    """As the message of an engine that states nothing advises."""
    run = Doc(input=Doc(incar={}, hubbards=None, is_hubbard=False), run_type="PBE")
    document = Doc(calcs_reversed=[run], structure=cheap_engine.crystal(), orig_inputs=None)
    check_method(document, Method("VASP"), {})
    with pytest.raises(SchemeMismatchError, match="MACE computed this"):
        check_method(Doc(forcefield_name="MLFF.MACE"), Method("VASP"), {})


def test_engines_of_makers_have_what_they_are_given():
    ours = chgnet()
    engine = Engine.from_maker(
        ours.relax_maker, scheme="mine", phonon_maker=ours.phonon_maker, name="short"
    )
    assert engine.method("phonon forces").code == "CHGNet"
    assert engine.name == "short"
    assert engine.engine_versions["chgnet"] == ours.engine_versions["chgnet"]
    with pytest.raises(EngineCapabilityError, match="no band structure Maker"):
        check_bands(engine)
