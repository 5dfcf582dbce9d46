"""INCAR, KPOINTS and POTCAR against the paper's settings and the Materials Project's."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import vasp_stand_in
from atomate2.vasp.jobs.mp import MPGGARelaxMaker, MPGGAStaticMaker
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.bandstructure import HighSymmKpath

from atomate2_vogen import engines
from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import vasp_sets
from atomate2_vogen.engines.cells import orthogonality, reduced, unskewed
from atomate2_vogen.engines.vasp_jobs import cell_for_path
from atomate2_vogen.engines.vasp_moments import with_moments_of
from atomate2_vogen.errors import (
    ElementError,
    GridError,
    InputError,
    SchemeMismatchError,
)

PAPER = {
    "ALGO": "Normal",
    "EDIFF": 1e-5,
    "ENCUT": 500,
    "GGA": "Pe",  # as pymatgen writes it; VASP reads either case
    "ISMEAR": 0,
    "ISPIN": 2,
    "LASPH": True,
    "LMAXMIX": 4,
    "LORBIT": 11,
    "LREAL": False,
    "LWAVE": False,
    "MAGMOM": [5.0, 5.0, 0.6, 0.6, 0.6, 0.6],
    "NELM": 200,
    "PREC": "Accurate",
    "SIGMA": 0.05,
}
PLUS_U = {
    "LDAU": True,
    "LDAUTYPE": 2,
    "LDAUL": [2, -1],
    "LDAUU": [3.25, 0.0],
    "LDAUJ": [0.0, 0.0],
    "LDAUPRINT": 1,
}
RUTILE = vasp_stand_in.rutile()


@pytest.fixture(scope="module")
def engine():
    return engines.vasp(check=False)


@pytest.fixture(scope="module")
def mp_engine():
    return engines.vasp_mp(check=False)


def inputs(maker, structure=RUTILE, mode=None):
    generator = maker.input_set_generator
    if mode:
        generator = replace(generator, mode=mode)
    return generator.get_input_set(structure, potcar_spec=True)


def symbols(files):
    return files["POTCAR.spec"].split()


def test_relaxation_is_the_papers(engine):
    files = inputs(engine.relax_maker)
    relaxation = {"IBRION": 2, "ISIF": 3, "NSW": 99, "EDIFFG": -0.05, "LCHARG": False}
    assert dict(files["INCAR"]) == PAPER | relaxation
    assert files["KPOINTS"].style.name == "Gamma"
    assert files["KPOINTS"].kpts == [(3, 3, 5)]
    assert symbols(files) == ["V_pv", "O"]


def test_hull_energies_are_without_u_and_bands_with_it(engine):
    assert dict(inputs(engine.static_maker)["INCAR"]) == PAPER | {"NSW": 0, "LCHARG": True}
    bands = engine.band_structure_maker
    static = inputs(bands.static_maker)
    assert dict(static["INCAR"]) == PAPER | PLUS_U | {"NSW": 0, "LCHARG": True}
    assert static["KPOINTS"].kpts == [(3, 3, 5)]
    non_scf = {"NSW": 0, "LCHARG": False, "ICHARG": 11}
    line = dict(inputs(bands.bs_maker, mode="line")["INCAR"])
    assert line == PAPER | PLUS_U | non_scf | {"ISYM": 0, "SIGMA": 0.01}
    uniform = dict(inputs(bands.bs_maker, mode="uniform")["INCAR"])
    expected = PAPER | PLUS_U | non_scf | {"ISYM": 2, "ISMEAR": -5, "NEDOS": uniform["NEDOS"]}
    assert uniform == expected
    assert engine.scheme == "VASP-PBE-V_pv"
    assert engine.band_structure_scheme == "VASP-PBE+U(V=3.25)-V_pv"


def test_phonons_start_from_tight_forces(engine):
    phonons = engine.phonon_maker
    tight = dict(inputs(phonons.bulk_relax_maker)["INCAR"])
    assert (tight["EDIFFG"], tight["EDIFF"], tight["IBRION"]) == (-0.01, 1e-6, 2)
    displaced = dict(inputs(phonons.phonon_displacement_maker)["INCAR"])
    assert displaced == PAPER | {"EDIFF": 1e-7, "NSW": 0, "LCHARG": False}
    assert phonons.born_maker is None
    assert phonons.code == "vasp"


def test_elements_have_no_u(engine):
    metal = Structure(Lattice.cubic(3.0), ["V", "V"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    oxygen = Structure(Lattice.cubic(4.0), ["O", "O"], [[0, 0, 0], [0.3, 0, 0]])
    static = engine.band_structure_maker.static_maker
    for element in (metal, oxygen):
        assert not [tag for tag in inputs(static, element)["INCAR"] if tag.startswith("LDAU")]
    assert symbols(inputs(static, oxygen)) == ["O"]


def test_what_the_user_sets_wins(engine):
    generator = replace(engine.relax_maker.input_set_generator, user_incar_settings={"ENCUT": 700})
    incar = generator.get_input_set(RUTILE, potcar_spec=True)["INCAR"]
    assert incar["ENCUT"] == 700
    assert incar["EDIFF"] == 1e-5


def test_another_oxide_is_another_system_and_no_code():
    titanium = OxideSystem(
        metal="Ti",
        target_formulas=("TiO2",),
        oxidation_states={"Ti": (4,), "O": (-2,)},
        atomic_volumes={"Ti": 17.0, "O": 10.0},
        minimum_distances={"Ti-Ti": 2.0, "Ti-O": 1.5, "O-O": 2.0},
        hubbard_u={"Ti": 4.2},
        initial_moments={"Ti": 1.0, "O": 0.0},
    )
    engine = engines.load_engine("vasp", system=titanium, check=False)
    crystal = RUTILE.copy()
    crystal.replace_species({"V": "Ti"})
    incar = inputs(engine.band_structure_maker.static_maker, crystal)["INCAR"]
    assert incar["LDAUU"] == [4.2, 0.0]
    assert incar["MAGMOM"] == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert engine.band_structure_scheme == "VASP-PBE+U(Ti=4.2)-Ti_pv"
    with pytest.raises(ElementError, match="V is not part of O-Ti"):
        inputs(engine.static_maker, RUTILE)


def test_bands_with_u_start_from_fresh_moments(engine):
    """A crystal whose moment PBE lost would stay without one."""
    quenched = RUTILE.copy().add_site_property("magmom", [0.0] * 6)
    assert inputs(engine.static_maker, quenched)["INCAR"]["MAGMOM"] == [0.0] * 6
    fresh = inputs(engine.band_structure_maker.static_maker, quenched)["INCAR"]["MAGMOM"]
    assert fresh == PAPER["MAGMOM"]
    assert quenched.site_properties["magmom"] == [0.0] * 6


@pytest.mark.parametrize("spacing", [0.5, 0.3, 0.2])
def test_mesh_is_the_coarsest_within_the_spacing(spacing):
    rng = np.random.default_rng(3)
    for _ in range(20):
        lattice = Lattice(np.diag(rng.uniform(2, 12, 3)) + rng.uniform(-1, 1, (3, 3)))
        crystal = Structure(lattice, ["V"], [[0, 0, 0]])
        counts = np.array(vasp_sets.gamma_mesh(crystal, spacing).kpts[0])
        # by ASE's cell, which leaves the 2π out
        reciprocal = AseAtomsAdaptor.get_atoms(crystal).cell.reciprocal()
        edges = 2 * math.pi * np.linalg.norm(reciprocal, axis=1)
        assert (edges / counts <= spacing + 1e-8).all()
        assert (edges / np.maximum(counts - 1, 1) > spacing)[counts > 1].all()


@pytest.mark.parametrize("spacing", [0, -1, math.nan])
def test_a_spacing_without_sense_is_refused(spacing):
    with pytest.raises(InputError, match="k-spacing"):
        vasp_sets.gamma_mesh(RUTILE, spacing)


@pytest.mark.parametrize("k_path", vasp_sets.K_PATHS)
def test_path_is_that_of_the_convention(k_path):
    engine = engines.vasp(k_path=k_path, check=False)
    bands = engine.band_structure_maker
    assert bands.static_maker.k_path == engine.k_path == k_path
    cell = cell_for_path(RUTILE, k_path)
    kpoints = inputs(bands.bs_maker, cell, mode="line")["KPOINTS"]
    expected = HighSymmKpath(cell, path_type=k_path).kpath["path"]
    found = [label for label in kpoints.labels if label]
    assert set(found) == {label for branch in expected for label in branch}
    assert kpoints.style.name == "Reciprocal"


def test_an_unknown_path_is_refused():
    with pytest.raises(InputError, match="latimer_munro"):
        engines.vasp(k_path="nowhere", check=False)


@pytest.mark.parametrize("k_path", vasp_sets.K_PATHS)
def test_cell_for_a_path_is_the_same_crystal(k_path):
    from pymatgen.analysis.structure_matcher import StructureMatcher

    skewed = RUTILE.copy()
    skewed.make_supercell([[1, 0, 0], [2, 1, 0], [0, 3, 1]])
    cell = cell_for_path(skewed, k_path)
    assert StructureMatcher(scale=False).fit(cell, RUTILE)
    assert orthogonality(cell) > 0.99


def test_skewed_cells_are_reduced_and_others_left_alone():
    skewed = vasp_stand_in.triclinic()
    assert unskewed(skewed) is skewed
    skewed.make_supercell([[1, 0, 0], [4, 1, 0], [3, 2, 1]])
    skewed.add_site_property("magmom", [1.0, 0.0, 0.0])
    assert orthogonality(skewed) < 0.3
    cell = unskewed(skewed)
    assert orthogonality(cell) >= 0.7
    assert cell.volume == pytest.approx(skewed.volume)
    assert cell.species == skewed.species
    assert cell.site_properties["magmom"] == [1.0, 0.0, 0.0]
    # every atom stays where it was, up to lattice vectors
    moved = cell.cart_coords - skewed.cart_coords
    for lattice in (cell.lattice, skewed.lattice):
        steps = lattice.get_fractional_coords(moved)
        assert np.allclose(steps, np.round(steps), atol=1e-6)


def test_no_niggli_cell_counts_as_skewed():
    rng = np.random.default_rng(5)
    cells = [Lattice(rng.normal(size=(3, 3)) * 4) for _ in range(200)]
    for lattice in [cell for cell in cells if cell.volume > 5]:
        assert orthogonality(reduced(Structure(lattice, ["V"], [[0, 0, 0]]))) >= 0.7


def test_a_flat_cell_is_refused():
    flat = Structure(Lattice([[3, 0, 0], [0, 3, 0], [3, 3, 1e-9]]), ["V"], [[0, 0, 0]])
    with pytest.raises(GridError):
        unskewed(flat)


def test_supercells_take_over_the_moments_of_the_unit_cell():
    unit = RUTILE.copy().add_site_property("magmom", [1.0, -1.0, 0.1, 0.2, 0.3, 0.4])
    supercell = unit.copy()
    supercell.make_supercell([[2, 0, 0], [0, 1, 1], [0, -1, 1]])
    expected = supercell.site_properties["magmom"]
    supercell.remove_site_property("magmom")
    supercell.translate_sites([3], [0.01, 0, 0.005])
    order = np.random.default_rng(0).permutation(len(supercell))
    shuffled = Structure.from_sites([supercell[i] for i in order])
    found = with_moments_of(shuffled, unit).site_properties["magmom"]
    assert found == [expected[i] for i in order]
    with pytest.raises(InputError, match="no supercell"):
        with_moments_of(vasp_stand_in.triclinic(), unit)


def test_mp_engine_has_the_materials_projects_inputs(mp_engine):
    for ours, theirs in (
        (mp_engine.relax_maker, MPGGARelaxMaker()),
        (mp_engine.static_maker, MPGGAStaticMaker()),
    ):
        assert type(ours.input_set_generator) is type(theirs.input_set_generator)
        mine, reference = inputs(ours), inputs(theirs)
        assert dict(mine["INCAR"]) == dict(reference["INCAR"])
        assert str(mine["KPOINTS"]) == str(reference["KPOINTS"])
        assert symbols(mine) == symbols(reference) == ["V_pv", "O"]
    assert inputs(mp_engine.relax_maker)["INCAR"]["LDAUU"] == [3.25, 0]
    assert mp_engine.scheme == "VASP-MP2020-PBE+U(V=3.25)-V_pv"
    assert mp_engine.band_structure_scheme is None


def test_mp_bands_keep_the_settings_of_their_static(mp_engine):
    static = dict(inputs(mp_engine.band_structure_maker.static_maker)["INCAR"])
    line = dict(inputs(mp_engine.band_structure_maker.bs_maker, mode="line")["INCAR"])
    for tag in ("ENCUT", "PREC", "LREAL", "LASPH", "LMAXMIX", "LDAUU", "LDAUL", "ISPIN", "EDIFF"):
        assert line[tag] == static[tag], tag
    assert line["ICHARG"] == 11


def test_mp_engine_refuses_another_u():
    other = replace(VANADIUM, hubbard_u={"V": 4.0})
    with pytest.raises(SchemeMismatchError, match=r"3\.25 eV, not 4"):
        engines.vasp_mp(other, check=False)
    assert "4" in engines.vasp(other, check=False).band_structure_scheme


@pytest.mark.parametrize("name", ["vasp", "vasp-mp"])
def test_survives_serialisation(name):
    engine = engines.load_engine(name, k_path="hinuma", check=False)
    restored = MontyDecoder().decode(json.dumps(engine, cls=MontyEncoder))
    assert restored.scheme == engine.scheme
    assert restored.k_path == "hinuma"
    assert type(restored.energy_corrections) is type(engine.energy_corrections)
    pairs = [
        (e.relax_maker, e.static_maker, e.band_structure_maker.static_maker)
        for e in (engine, restored)
    ]
    for ours, theirs in zip(*pairs, strict=True):
        assert dict(inputs(ours)["INCAR"]) == dict(inputs(theirs)["INCAR"])
        mine, other = (
            [type(handler) for handler in maker.run_vasp_kwargs["handlers"]]
            for maker in (ours, theirs)
        )
        assert mine == other


def test_no_handler_changes_mesh_or_smearing_of_some_crystals(engine):
    names = {type(h).__name__ for h in engine.static_maker.run_vasp_kwargs["handlers"]}
    assert not {"KspacingMetalHandler", "IncorrectSmearingHandler", "LargeSigmaHandler"} & names
    assert {"PotimErrorHandler", "MeshSymmetryErrorHandler", "PositiveEnergyAtEndHandler"} <= names
