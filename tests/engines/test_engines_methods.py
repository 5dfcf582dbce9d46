"""Energies of another method never enter a scheme: refused when an engine is made, and after."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace as Doc

import cheap_engine
import pytest
import standin_gpaw
import toy_engines
from atomate2.ase.jobs import LennardJonesRelaxMaker, LennardJonesStaticMaker
from atomate2.forcefields.jobs import ForceFieldRelaxMaker, ForceFieldStaticMaker
from atomate2.forcefields.utils import MLFF
from jobflow import run_locally
from monty.json import MontyDecoder, MontyEncoder

from atomate2_vogen.engines import (
    AnionCorrection,
    Engine,
    GpawSettings,
    chgnet,
    gpaw,
    load_references,
    vasp,
    vasp_mp,
)
from atomate2_vogen.engines.methods import Method, check_method, told_method
from atomate2_vogen.engines.methods_vasp import hubbard_u
from atomate2_vogen.errors import SchemeMismatchError
from atomate2_vogen.flows.discovery import DiscoveryFlowMaker
from atomate2_vogen.flows.electronic import ElectronicFlowMaker
from atomate2_vogen.flows.evaluation import EvaluateMaker
from atomate2_vogen.flows.gpaw_references import MoleculeReferencesFlowMaker
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.flows.references import ReferencesFlowMaker
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.jobs.references import make_reference
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CharacterisationState,
    ElectronicDoc,
    PhononDoc,
)
from atomate2_vogen.stores import VogenStores

LJ = {"@module": "toy_engines", "@callable": "attraction"}
MODELS = [model for model in MLFF if model is not MLFF.Forcefield]
RUTILE = cheap_engine.crystal("VO2")


@pytest.fixture(scope="module")
def judge():
    return chgnet()


def forcefield_document(name, version=None):
    return Doc(forcefield_name=name, forcefield_version=version)


# --- when an engine is made


@pytest.mark.parametrize("kind", [ForceFieldRelaxMaker, ForceFieldStaticMaker])
@pytest.mark.parametrize("name", ["MACE", "SevenNet", LJ])
def test_powerups_of_flows_cannot_swap_the_model_of_a_scheme(judge, kind, name):
    flows = [
        ScreeningFlowMaker(engine=judge),
        ReferencesFlowMaker(engine=judge),
        EvaluateMaker(engine=judge),
        PhononFlowMaker(engine=judge),
        DiscoveryFlowMaker(engine=judge, sampler="substitution"),
    ]
    for maker in flows:
        with pytest.raises(SchemeMismatchError, match=r"CHGNet"):
            maker.update_kwargs({"force_field_name": name}, class_filter=kind)


@pytest.mark.parametrize("field", ["relax_maker", "static_maker"])
def test_a_maker_of_another_model_needs_another_scheme(judge, field):
    other = getattr(cheap_engine.engine(), field)
    with pytest.raises(SchemeMismatchError, match=r"cheap_engine\.tempered.*CHGNet"):
        replace(judge, **{field: other})
    mixed = replace(judge, scheme="mine-1", **{field: other})
    stage = field.removesuffix("_maker")
    assert mixed.method(stage).code == "cheap_engine.tempered"
    assert mixed.method("phonon forces").code == "CHGNet"
    # and that one is fixed again
    with pytest.raises(SchemeMismatchError, match="mine-1"):
        replace(mixed, **{field: getattr(judge, field)})


def test_nested_makers_are_compared_too(judge):
    static = cheap_engine.engine().static_maker
    with pytest.raises(SchemeMismatchError, match="phonon_displacement_maker"):
        replace(judge, phonon_maker=replace(judge.phonon_maker, phonon_displacement_maker=static))


def test_a_model_in_other_weights_is_another_method(judge):
    other = {"calculator_kwargs": {"path": "other-weights"}}
    with pytest.raises(SchemeMismatchError, match="other-weights"):
        ScreeningFlowMaker(engine=judge).update_kwargs(other, class_filter=ForceFieldRelaxMaker)


def test_choices_that_leave_energies_alone_stay_free(judge):
    maker = ScreeningFlowMaker(engine=judge)
    device = {"calculator_kwargs": {"use_device": "cpu", "on_isolated_atoms": "warn"}}
    done = maker.update_kwargs(device, class_filter=ForceFieldRelaxMaker)
    done = done.update_kwargs({"steps": 7}, class_filter=ForceFieldRelaxMaker)
    assert done.engine.relax_maker.steps == 7
    assert done.engine.methods == judge.methods


@pytest.mark.parametrize(
    ("scheme", "refused"),
    [
        ("SevenNet-7net-0", True),
        ("VASP-PBE-V_pv", True),
        ("MACE", True),
        ("mine-1", False),
        ("chgnet-tuned", False),
    ],
)
def test_a_scheme_is_not_named_after_another_model(judge, scheme, refused):
    makers = {"relax_maker": judge.relax_maker, "static_maker": judge.static_maker}
    if refused:
        with pytest.raises(SchemeMismatchError, match="CHGNet"):
            Engine(name="x", scheme=scheme, **makers)
    else:
        assert Engine(name="x", scheme=scheme, **makers).method("static").scheme == scheme


def test_own_calculators_take_no_scheme_with_shipped_references(judge):
    assert load_references(judge)
    with pytest.raises(SchemeMismatchError, match=judge.scheme.replace(".", r"\.")):
        cheap_engine.engine(scheme=judge.scheme)
    assert cheap_engine.engine(scheme="CHGNet-r2SCAN").scheme == "CHGNet-r2SCAN"


@pytest.mark.parametrize("make", [cheap_engine.engine, toy_engines.lj, chgnet])
def test_methods_survive_serialisation(make):
    engine = make()
    restored = MontyDecoder().decode(json.dumps(engine, cls=MontyEncoder))
    assert restored.methods == engine.methods
    assert restored.method("static").scheme == engine.scheme


# --- engines of VASP and GPAW


@pytest.mark.parametrize("make", [vasp, vasp_mp])
@pytest.mark.parametrize(
    ("incar", "refused"),
    [
        ({"ENCUT": 600}, True),
        ({"GGA": "PS"}, True),
        ({"METAGGA": "R2SCAN"}, True),
        ({"IVDW": 11}, True),
        ({"LDAU": True, "LDAUU": {"O": {"V": 4.0}}}, True),
        ({"NCORE": 4, "ALGO": "All", "NELM": 300}, False),
    ],
)
def test_tags_that_move_energies_need_another_scheme(make, incar, refused):
    engine = make(check=False)
    generator = replace(engine.static_maker.input_set_generator, user_incar_settings=dict(incar))
    static = replace(engine.static_maker, input_set_generator=generator)
    if refused:
        with pytest.raises(SchemeMismatchError, match=engine.scheme[:8]):
            replace(engine, static_maker=static)
        assert replace(engine, static_maker=static, scheme="own").scheme == "own"
    else:
        assert replace(engine, static_maker=static).methods == engine.methods


@pytest.mark.parametrize("make", [vasp, vasp_mp])
@pytest.mark.parametrize("formula", ["VO2", "V2O3", "V", "O2"])
def test_declared_u_is_that_of_the_input_files(make, formula):
    """Against the INCAR that pymatgen writes."""
    engine = make(check=False)
    crystal = cheap_engine.crystal(formula)
    for stage, maker in (
        ("static", engine.static_maker),
        ("bands static", engine.band_structure_maker.static_maker),
    ):
        files = maker.input_set_generator.get_input_set(crystal, potcar_spec=True)
        incar = files["INCAR"]
        symbols = [element.symbol for element in files["POSCAR"].structure.composition.elements]
        in_file = dict(zip(files["POSCAR"].site_symbols, incar.get("LDAUU", []), strict=False))
        expected = engine.method(stage).settings
        table = hubbard_u(symbols, expected["hubbard_u"])
        assert {k: u for k, u in table.items() if u} == {k: u for k, u in in_file.items() if u}
        for name, value in expected["tags"].items():
            if name in incar:
                written = incar[name]
                assert (written.upper() if isinstance(written, str) else written) == value


def vasp_document(formula="VO2", u=None, potcars=("V_pv", "O"), run_type="PBE", **tags):
    """What emmet's document tells of a run."""
    incar = {"ENCUT": 500, "GGA": "Pe", "LASPH": True, **tags}
    given = Doc(
        incar=incar,
        hubbards=u,
        is_hubbard=bool(u),
        potcar_spec=[Doc(titel=f"PAW_PBE {symbol} 01Jan2000") for symbol in potcars],
    )
    run = Doc(input=given, run_type=run_type)
    return Doc(calcs_reversed=[run], structure=cheap_engine.crystal(formula), orig_inputs=None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"formula": "V", "potcars": ("V_pv",)}, None),
        ({"u": {"V": 3.25, "O": 0.0}, "run_type": "PBE+U"}, "U = {'V': 3.25} instead of none"),
        ({"run_type": "PBE+U"}, r"run type PBE\+U"),
        ({"potcars": ("V_sv", "O")}, "POTCARs O V_sv instead of O V_pv"),
        ({"GGA": "PS"}, "GGA = PS instead of PE"),
        ({"ENCUT": 400}, r"ENCUT = 400\.0 instead of 500\.0"),
        ({"METAGGA": "R2SCAN"}, "METAGGA = R2SCAN"),
        ({"LHFCALC": True, "AEXX": 0.25}, "LHFCALC = True"),
    ],
)
def test_documents_of_vasp(changes, reason):
    engine = vasp(check=False)
    document = vasp_document(**changes)
    if reason is None:
        check_method(document, engine.method("static"), engine.engine_versions)
    else:
        with pytest.raises(SchemeMismatchError, match=reason):
            check_method(document, engine.method("static"), engine.engine_versions)


def test_bands_with_u_want_that_u():
    engine = vasp(check=False)
    right = vasp_document(u={"V": 3.25, "O": 0.0}, run_type="PBE+U")
    check_method(right, engine.method("bands static"), {})
    for wrong in ({"u": {"V": 4.0}, "run_type": "PBE+U"}, {}):
        with pytest.raises(SchemeMismatchError, match=r"instead of \{'V': 3.25\}"):
            check_method(vasp_document(**wrong), engine.method("bands static"), {})


def gpaw_document(settings, system_u=":d,3.25", versions=None):
    parameters = settings.parameters(RUTILE)
    parameters["setups"] = {"V": system_u}
    given = Doc(scheme=settings.scheme(), parameters=parameters)
    return Doc(input=given, engine_versions=versions or standin_gpaw.VERSIONS, structure=RUTILE)


def test_documents_of_gpaw():
    engine = gpaw(check=False)
    versions = dict(standin_gpaw.VERSIONS)
    settings = GpawSettings()
    check_method(gpaw_document(settings), engine.method("static"), versions)
    wrong = [
        (gpaw_document(replace(settings, cutoff=700.0)), r"cutoff = 700\.0 instead of 500\.0"),
        (gpaw_document(replace(settings, xc="PBEsol")), "xc = PBEsol instead of PBE"),
        (gpaw_document(settings, ":d,3.25,0"), "setups"),
        (gpaw_document(settings, versions={"gpaw": "1.0"}), r"gpaw 1\.0 instead of 0\.standin"),
    ]
    for document, reason in wrong:
        with pytest.raises(SchemeMismatchError, match=reason):
            check_method(document, engine.method("static"), versions)
    other = replace(engine.static_maker, settings=replace(settings, cutoff=700.0))
    with pytest.raises(SchemeMismatchError, match="cutoff"):
        replace(engine, static_maker=other)


# --- what a task document tells


@pytest.mark.parametrize("expected", MODELS)
def test_of_all_models_only_the_declared_one_passes(expected):
    method = Method(expected.name, scheme="s-1")
    for model in MODELS:
        document = forcefield_document(str(model))
        if model is expected:
            check_method(document, method, {})
        else:
            found = rf"{model.name} computed this, but the method of scheme s-1 is {expected.name}"
            with pytest.raises(SchemeMismatchError, match=found):
                check_method(document, method, {})


@pytest.mark.parametrize(
    ("document", "method", "reason"),
    [
        (forcefield_document("MLFF.MACE"), None, "MACE computed this.* does not state its method"),
        (Doc(structure=RUTILE), Method("CHGNet", scheme="s"), "does not state.*CHGNet"),
        (vasp_document(), Method("CHGNet", scheme="s"), "VASP computed this.*CHGNet"),
        (forcefield_document("tempered"), Method("toy_engines.attraction"), "tempered"),
        (Doc(ase_calculator_name="emt"), Method("CHGNet"), "emt computed this.*CHGNet"),
        (Doc(structure=RUTILE), None, None),
        (forcefield_document("attraction"), Method("toy_engines.attraction"), None),
    ],
)
def test_unknown_and_silent_documents(document, method, reason):
    if reason is None:
        check_method(document, method, {})
        return
    with pytest.raises(SchemeMismatchError, match=reason):
        check_method(document, method, {})


@pytest.mark.parametrize("kind", [ForceFieldStaticMaker, None])
def test_documents_of_real_makers_tell_their_calculator(kind):
    engine = cheap_engine.engine()
    maker = engine.static_maker
    if kind is not None:
        maker = kind(
            force_field_name={"@module": "cheap_engine", "@callable": "tempered"},
            relax_kwargs={"final_atoms_object_file": None},
        )
    document = type(maker).make.original(maker, RUTILE)
    check_method(document, engine.method("static"), engine.engine_versions)
    with pytest.raises(SchemeMismatchError, match="tempered computed this"):
        check_method(document, toy_engines.lj().method("static"), {})


def test_documents_tell_weights_and_arguments(judge):
    document = type(judge.static_maker).make.original(judge.static_maker, RUTILE)
    assert told_method(document).code == "CHGNet"
    assert document.model_version == judge.engine_versions["chgnet-model"]
    check_method(document, judge.method("static"), judge.engine_versions)
    for versions in ({"chgnet-model": "9.9"}, {"chgnet": "9.9"}):
        with pytest.raises(SchemeMismatchError, match=r"instead of 9\.9"):
            check_method(document, judge.method("static"), versions)
    document.calculator_arguments["path"] = "elsewhere"
    with pytest.raises(SchemeMismatchError, match="elsewhere"):
        check_method(document, judge.method("static"), judge.engine_versions)


# --- what reaches a flow's documents


@pytest.mark.parametrize("stated", [None, "lennardjones", "emt"])
def test_makers_of_other_classes_state_their_method(stated, tmp_path):
    """atomate2's ASE Makers declare nothing before they run; their documents name a calculator."""
    quiet = {"final_atoms_object_file": None}
    methods = stated and {stage: Method(stated) for stage in ("relax", "static")}
    engine = Engine(
        name="lj",
        scheme="lj-ase",
        relax_maker=LennardJonesRelaxMaker(steps=1, relax_kwargs={"fmax": 1e9, **quiet}),
        static_maker=LennardJonesStaticMaker(relax_kwargs=quiet),
        methods=methods,
    )
    flow = ScreeningFlowMaker(engine=engine).make([cheap_engine.candidate("VO")])
    (found,) = (CalculationDoc.model_validate(doc) for doc in outputs(flow, tmp_path))
    if stated == "lennardjones":
        assert found.error is None
        assert found.state is CalculationState.COMPLETED
    else:
        reason = "method of scheme lj-ase is emt" if stated else r"Method\('lennardjones'\)"
        with pytest.raises(AssertionError, match=rf"lennardjones computed this.*{reason}"):
            raise AssertionError(found.error)
        assert found.energy_per_atom is None


def outputs(flow, tmp_path):
    with VogenStores.memory() as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        return stores.job_store.get_output(flow.output.uuid, load=True)


def swap(flow, stage):
    """Give the jobs of a stage another calculator after the flow was made."""
    other = toy_engines.lj()
    for job, _ in flow.iterflow():
        if stage in job.name:
            holder = job.function.__self__
            inner = other.relax_maker if "relax" in stage else other.static_maker
            if hasattr(holder, "maker"):
                holder.maker = inner
            else:
                job.function = inner.make.__func__.__get__(inner)


@pytest.mark.parametrize("stage", ["relax", "static", "initial"])
def test_candidates_with_foreign_energies_fail_and_bear_none(stage, tmp_path):
    flow = ScreeningFlowMaker(engine=cheap_engine.engine()).make([cheap_engine.candidate("VO")])
    swap(flow, stage)
    (found,) = (CalculationDoc.model_validate(doc) for doc in outputs(flow, tmp_path))
    reason = "toy_engines.attraction computed this, but the method of scheme cheap-1 is"
    assert f"{reason} cheap_engine.tempered" in found.error
    assert found.initial_energy_per_atom is None
    if stage == "initial":
        assert found.state is CalculationState.COMPLETED
    else:
        assert found.state is CalculationState.FAILED
        assert found.energy_per_atom is None
        assert found.structure is None


@pytest.mark.parametrize("stage", ["relaxed", "static"])
def test_references_with_foreign_energies_are_refused(stage):
    engine, other = cheap_engine.engine(), toy_engines.lj()
    documents = {
        name: type(maker).make.original(maker, cheap_engine.crystal("VO"))
        for name, maker in (
            ("relaxed", engine.relax_maker),
            ("static", engine.static_maker),
            (stage, other.static_maker),
        )
    }
    with pytest.raises(SchemeMismatchError, match=r"attraction computed this.*cheap-1"):
        make_reference.original(
            **documents,
            source="test",
            scheme=engine.scheme,
            engine_versions=engine.engine_versions,
            methods=engine.methods,
        )


@pytest.mark.parametrize("maker", [ReferencesFlowMaker, MoleculeReferencesFlowMaker])
def test_flows_of_references_hand_the_methods_down(maker):
    engine = replace(gpaw(check=False), energy_corrections=AnionCorrection("O", 0.3), scheme="x")
    made = [j for j, _ in maker(engine=engine).make().iterflow() if j.name == "make_reference"]
    assert len(made) > 2
    assert all(job.function_kwargs["methods"] == engine.methods for job in made)
    assert all(job.function_kwargs["corrections"] is engine.energy_corrections for job in made)


def test_bands_of_another_method_are_no_document(tmp_path):
    methods = {"bands static": Method("VASP", scheme="toy+U-1")}
    engine = replace(toy_engines.toy_dft(), methods=methods)
    flow = ElectronicFlowMaker(engine=engine).make([RUTILE])
    (found,) = (ElectronicDoc.model_validate(doc) for doc in outputs(flow, tmp_path))
    assert found.state is CharacterisationState.FAILED
    assert "BandTask does not state what computed it" in found.error
    assert found.energy_per_atom is None


@pytest.mark.parametrize("stage", ["phonon_cell", "phonons "])
def test_forces_of_another_method_are_no_phonons(stage, tmp_path):
    flow = PhononFlowMaker(engine=toy_engines.lj(), supercell=(2, 2, 2)).make([toy_engines.fcc()])
    other = toy_engines.lj(factory="broken", scheme="lj-2")
    for job, _ in flow.iterflow():
        if job.name.startswith(stage):  # as if the Makers of the flow had been changed since
            change(job, toy_engines.lj(), other)
    (found,) = (PhononDoc.model_validate(doc) for doc in outputs(flow, tmp_path))
    assert found.state is CharacterisationState.FAILED
    assert "attraction computed this, but the method of scheme lj-2 is" in found.error


def change(job, old, new):
    """The job as another engine would have made it."""
    after = {repr(old.method(stage)): new.method(stage) for stage in old.methods}
    job.function_args = tuple(new if isinstance(arg, Engine) else arg for arg in job.function_args)
    job.function_kwargs = {k: after.get(repr(v), v) for k, v in job.function_kwargs.items()}
