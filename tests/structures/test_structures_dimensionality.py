"""What is bulk: known crystals, closed forms, other libraries, and every choice of cell."""

from __future__ import annotations

import numpy as np
import pytest
from ase.data import covalent_radii
from ase.data.vdw_alvarez import vdw_radii
from ase.geometry.dimensionality.rank_determination import RDA
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.dimensionality import get_dimensionality_larsen
from pymatgen.analysis.graphs import StructureGraph
from pymatgen.analysis.local_env import CutOffDictNN
from pymatgen.core import Element, Lattice, Structure
from scipy.spatial.transform import Rotation

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.data import oxide_system
from atomate2_vogen.data.prototypes import load_prototypes
from atomate2_vogen.data.relaxed import RelaxedSet, relaxed_path
from atomate2_vogen.engines import load_references, reference_metals, reference_structures
from atomate2_vogen.errors import DisorderError, NonFiniteError, OverlapError
from atomate2_vogen.structures.dimensionality import BOND_MARGIN, LARGEST_GAP, Extent, extent


def group(symbol, lattice, *sites):
    return Structure.from_spacegroup(symbol, lattice, [s for s, _ in sites], [x for _, x in sites])


def v2o5(c=4.368):
    """alpha-V2O5 (Enjalbert & Galy, Acta Cryst. C42, 1467, 1986), Pmmn in origin choice 2."""
    quarter = 0.25
    fours = [("V", 0.10118, 0.8917), ("O", 0.1043, 0.531), ("O", 0.9311, 0.003)]
    sites = [("O", [quarter, quarter, 0.001]), ("O", [0.75, 0.75, -0.001])]
    for symbol, x, z in fours:
        sites += [
            (symbol, [x, quarter, z]),
            (symbol, [0.5 - x, quarter, z]),
            (symbol, [-x, 0.75, -z]),
            (symbol, [x + 0.5, 0.75, -z]),
        ]
    lattice = Lattice.orthorhombic(11.512, 3.564, 4.368)
    crystal = Structure(lattice, *zip(*sites, strict=True))
    return apart(crystal, c)


def apart(crystal, c):
    """The same atoms, as they are across the boundary along c, in a cell of another c."""
    # z is counted from the middle of the layer, which lies at the boundary of the cell
    z = (crystal.frac_coords[:, 2] + 0.5) % 1.0 - 0.5
    coords = np.column_stack([crystal.frac_coords[:, :2], z * crystal.lattice.c / c])
    a, b, _ = crystal.lattice.abc
    return Structure(Lattice.orthorhombic(a, b, c), crystal.species, coords)


RUTILE = group("P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ("V", [0, 0, 0]), ("O", [0.3, 0.3, 0]))
CORUNDUM = group(
    "R-3c", Lattice.hexagonal(4.95, 14.0), ("V", [0, 0, 0.346]), ("O", [0.31, 0, 0.25])
)
ROCK_SALT = group("Fm-3m", Lattice.cubic(4.06), ("V", [0, 0, 0]), ("O", [0.5, 0.5, 0.5]))


@pytest.mark.parametrize("crystal", [RUTILE, CORUNDUM, ROCK_SALT], ids=lambda c: c.formula)
def test_frameworks(crystal):
    assert extent(crystal) == Extent(3, 0.0)
    assert extent(crystal).reason is None


def test_the_layers_of_v2o5_are_a_crystal_until_they_are_pulled_apart():
    bulk = extent(v2o5())
    assert (bulk.bonding_dimensionality, bulk.empty_gap, bulk.is_bulk) == (2, 0.0, True)
    # vanadyl O over V of the next layer: 2.79 Å, and c more
    widths = [extent(v2o5(4.368 + more)) for more in (0.5, 1.0, 3.0, 8.0, 25.0)]
    assert [one.is_bulk for one in widths] == [True, True, False, False, False]
    assert {one.bonding_dimensionality for one in widths} == {2}
    gaps = [one.empty_gap for one in widths]
    assert gaps == sorted(gaps)
    # far apart, a further Å between the layers is a further Å of empty space, all but what the
    # nearest atoms of two layers lie aside of each other
    assert 16.5 < gaps[4] - gaps[3] < 17.0
    assert extent(v2o5(12.0)).reason.startswith("not bulk: layers in vacuum, ")


@pytest.mark.parametrize("system", [VANADIUM, TITANIUM], ids=lambda s: s.chemsys)
def test_every_reference_phase_but_oxygen_is_bulk(system):
    """V2O5 Pmmn (two), beta and delta among them, as CHGNet relaxes them: without dispersion."""
    references = [r for r in load_references("CHGNet-0.3.0", system) if r.formula != "O2"]
    assert len(references) >= 20
    assert [r.name for r in references if not extent(r.structure).is_bulk] == []


def test_where_references_of_other_metals_start_from_is_bulk():
    """Known phases of metals and their oxides, as the OQMD has them; Pa has no prototype here."""
    phases = [
        (metal, phase.source, extent(phase.structure))
        for metal in reference_metals()
        if metal != "Pa"
        for phase in reference_structures(oxide_system(metal))
    ]
    assert len(phases) > 700
    assert [phase for phase in phases if not phase[2].is_bulk] == []


def test_every_oxide_known_to_experiment_is_bulk():
    """464 binary oxides of the ICSD as the OQMD relaxes them: layers, chains and molecules too."""
    found = []
    for prototype in load_prototypes():
        if 8 in prototype.numbers:
            crystal = Structure(prototype.lattice, prototype.numbers, prototype.frac_coords)
            found.append(extent(crystal))
    assert len(found) > 400
    assert {one.bonding_dimensionality for one in found} == {0, 1, 2, 3}
    assert max(one.empty_gap for one in found) < LARGEST_GAP / 2


def in_box(symbols, positions, *edges):
    return Structure(Lattice.orthorhombic(*edges), symbols, positions, coords_are_cartesian=True)


def test_pieces_in_vacuum_by_closed_form():
    """Widths between spheres of radius 1.50 Å (O) and 2.42 Å (V)."""
    atom = in_box(["O"], [[1, 2, 3]], 3.0, 6.0, 9.0)  # touches itself along x
    assert extent(atom) == Extent(0, pytest.approx(9 - 3.0))
    molecule = in_box(["V", "O", "O"], [[0, 0, 0], [1.7, 0, 0], [-1.7, 0, 0]], 14, 12, 12)
    # from the O of one to the O of the next along x 14 - 3.4 Å; sideways V to V is nearest
    assert extent(molecule) == Extent(0, pytest.approx(max(14 - 3.4 - 3.0, 12 - 2 * 2.42)))
    assert "molecules or atoms in vacuum" in extent(molecule).reason
    chain = in_box(["V", "O"], [[0, 0, 0], [1.8, 0, 0]], 3.6, 10, 10)
    assert extent(chain) == Extent(1, pytest.approx(10 - 2 * 2.42))
    assert "chains in vacuum" in extent(chain).reason
    # chains that touch in one direction are layers in vacuum; bonds reach in one direction still
    assert extent(in_box(["V", "O"], [[0, 0, 0], [1.8, 0, 0]], 3.6, 4.5, 11)) == Extent(
        1, pytest.approx(11 - 2 * 2.42)
    )
    for edge, is_bulk in ((3.9, True), (4.0, True), (4.004, True), (4.01, False)):
        assert extent(in_box(["O"], [[0, 0, 0]], 3, edge, 3)).is_bulk is is_bulk


def test_a_layer_that_vacuum_was_made_of_along_a_slanted_axis():
    """Rutile (110), three layers thick: the axis of the vacuum is no axis of the reduced cell."""
    from pymatgen.core.surface import SlabGenerator

    slab = SlabGenerator(RUTILE, (1, 1, 0), 6, 10, center_slab=True).get_slab()
    found = extent(slab)
    assert found.bonding_dimensionality == 2
    assert not found.is_bulk
    assert 5 < found.empty_gap < 12


def test_a_molecule_in_the_pore_of_a_framework_is_part_of_a_crystal():
    crystal = RUTILE * (3, 3, 4)
    centre = crystal.lattice.get_cartesian_coords([0.5, 0.5, 0.5])
    crystal.remove_sites([site.index for site in crystal.get_sites_in_sphere(centre, 4.5)])
    crystal.append("O", centre, coords_are_cartesian=True)
    assert extent(crystal).bonding_dimensionality == 3
    assert extent(crystal).is_bulk


# every element pair of the two oxides, cells from flat to needle-like
CRYSTALS = st.builds(
    lambda lattice, symbols, seed: Structure(
        lattice, symbols, np.random.default_rng(seed).uniform(-1, 2, (len(symbols), 3))
    ),
    st.builds(
        Lattice.from_parameters,
        *[st.floats(2.5, 14)] * 3,
        *[st.floats(60, 100)] * 3,
    ),
    st.lists(st.sampled_from(["V", "O"]), min_size=1, max_size=5),
    st.integers(0, 2**31),
)


def linked(structure, reach):
    """Number of pieces by dimensionality, by ASE, of atoms up to (n, n) distances apart."""
    atoms = structure.to_ase_atoms()
    pieces = RDA(len(atoms))
    for i, j, distance, offset in zip(
        *neighbor_list("ijdS", atoms, float(reach.max())), strict=True
    ):
        if distance <= reach[i, j]:
            pieces.insert_bond(int(i), int(j), tuple(map(int, offset)))
    return pieces.check()


def sums(structure, radii):
    each = radii[list(structure.atomic_numbers)]
    return each[:, None] + each[None, :]


def check_against_ase(structure):
    found = extent(structure)
    bonds = linked(structure, sums(structure, covalent_radii) + BOND_MARGIN)
    assert found.bonding_dimensionality == max(d for d, n in enumerate(bonds) if n)
    contact = sums(structure, vdw_radii)
    if found.empty_gap > 1e-6:
        assert linked(structure, contact + found.empty_gap - 1e-6)[3] == 0
    assert linked(structure, contact + found.empty_gap + 1e-6)[3] > 0


@settings(deadline=None, max_examples=25)
@given(CRYSTALS)
def test_as_ase_finds_it_in_any_cell(structure):
    check_against_ase(structure)


def test_as_ase_and_pymatgen_find_it_in_relaxed_crystals():
    """Of every 150th crystal that CHGNet relaxed; bonds once more by pymatgen's graphs."""
    radii = {symbol: float(covalent_radii[Element(symbol).Z]) for symbol in ("V", "O")}
    cutoffs = {(a, b): radii[a] + radii[b] + BOND_MARGIN for a in radii for b in radii}
    found = []
    pool = RelaxedSet.load(relaxed_path(VANADIUM))
    for structure in (pool.structure(index) for index in range(0, len(pool.keys), 150)):
        check_against_ase(structure)
        graph = StructureGraph.from_local_env_strategy(structure, CutOffDictNN(cutoffs))
        found.append(extent(structure))
        assert found[-1].bonding_dimensionality == get_dimensionality_larsen(graph)
    assert {one.is_bulk for one in found} == {True, False}


@settings(deadline=None, max_examples=25)
@given(
    CRYSTALS,
    st.integers(0, 2**31),
    st.sampled_from([[[1, 0, 0], [1, 1, 0], [-1, 2, 1]], [[2, 1, 0], [1, 1, 0], [3, 0, -1]]]),
    st.sampled_from([(2, 1, 1), (1, 3, 1), (1, 2, 2)]),
)
def test_neither_cell_nor_orientation_nor_order_matters(structure, seed, other_cell, size):
    rng = np.random.default_rng(seed)
    expected = extent(structure)
    turn = Rotation.random(random_state=seed).as_matrix()
    turned = Structure(structure.lattice.matrix @ turn, structure.species, structure.frac_coords)
    moved = structure.copy()
    moved.translate_sites(range(len(moved)), rng.random(3), to_unit_cell=bool(rng.integers(2)))
    shuffled = Structure.from_sites([structure[i] for i in rng.permutation(len(structure))])
    for same in (turned, moved, shuffled, structure * np.array(other_cell), structure * size):
        found = extent(same)
        assert found.bonding_dimensionality == expected.bonding_dimensionality
        assert found.empty_gap == pytest.approx(expected.empty_gap, abs=1e-6)


def test_cells_that_are_extreme_take_no_longer():
    far = in_box(["O"], [[0, 0, 0]], 3, 3, 1e6)
    assert extent(far) == Extent(0, pytest.approx(1e6 - 3))
    # the same crystal in a cell whose edges are all but parallel
    slanted = ROCK_SALT * np.array([[1, 0, 0], [7, 1, 0], [40, 13, 1]])
    assert extent(slanted) == Extent(3, 0.0)
    # atoms on top of each other are one; the rest decides
    twice = in_box(["O", "O"], [[0, 0, 0], [0, 0, 0]], 3, 3, 9)
    assert extent(twice) == Extent(0, pytest.approx(6))


def test_what_is_no_crystal_is_refused():
    flat = Structure(Lattice([[3, 0, 0], [0, 3, 0], [3, 3, 1e-9]]), ["V"], [[0, 0, 0]])
    with pytest.raises(OverlapError, match="no volume"):
        extent(flat)
    with pytest.raises(NonFiniteError):
        extent(Structure(Lattice.cubic(4), ["V"], [[0, 0, np.nan]]))
    with pytest.raises(DisorderError, match="disordered"):
        extent(Structure(Lattice.cubic(4), [{"V": 0.5, "O": 0.5}], [[0, 0, 0]]))


@pytest.mark.parametrize("symbol", ["Pm", "Po", "Ra", "U", "H"])
def test_every_element_has_a_radius(symbol):
    assert extent(in_box([symbol], [[0, 0, 0]], 4, 4, 30)).empty_gap > 20
