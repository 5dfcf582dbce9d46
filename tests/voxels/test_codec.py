"""The codec: round trips, covariance, told and untold composition, bad input."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import (
    CountsError,
    DisorderError,
    ElementError,
    GridError,
    InputError,
    NonFiniteError,
    OverlapError,
)
from atomate2_vogen.voxels import VoxelCodec

# spglib 2.8 announces how it will report errors; both ways are handled
pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")

METAL, ANION = VANADIUM.elements
Z_METAL, Z_ANION = VANADIUM.atomic_numbers
CODEC = VoxelCodec()
QUICK = VoxelCodec(n_sites=32, n_lattice=16)


def rutile(**changes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Structure.from_spacegroup(
            "P4_2/mnm",
            Lattice.tetragonal(4.55, 2.85),
            [changes.get("metal", METAL), changes.get("anion", ANION)],
            [[0, 0, 0], [0.3, 0.3, 0]],
        )


def corundum():
    return Structure.from_spacegroup(
        "R-3c", Lattice.hexagonal(4.95, 14.0), [METAL, ANION], [[0, 0, 0.346], [0.312, 0, 0.25]]
    ).get_primitive_structure()


def pentoxide():
    coords = [
        [0.1012, 0.25, 0.8917],
        [0.1043, 0.25, 0.531],
        [-0.0689, 0.25, 0.003],
        [0.25, 0.25, 0.001],
    ]
    return Structure.from_spacegroup(
        "Pmmn",
        Lattice.orthorhombic(9.9, 3.564, 4.373),
        [METAL, *[ANION] * 3],
        np.array(coords) - [0.25, 0.25, 0],
    )


KNOWN = {"rutile": rutile, "corundum": corundum, "pentoxide": pentoxide}


@pytest.mark.parametrize("codec", [CODEC, QUICK, VoxelCodec(n_sites=48, n_lattice=20)])
@pytest.mark.parametrize("name", KNOWN)
def test_known_phases_come_back(name, codec):
    structure = KNOWN[name]()
    sites, lattice = codec.encode(structure)
    assert sites.shape == codec.sites_shape
    assert lattice.shape == codec.lattice_shape
    assert sites.dtype == lattice.dtype == np.float32
    back = codec.decode(sites, lattice)
    assert back.composition == structure.composition
    assert back.volume == pytest.approx(structure.volume, rel=1e-4)
    assert StructureMatcher().fit(structure, back)
    _, largest = StructureMatcher(scale=False).get_rms_dist(structure, back)
    assert largest * (back.volume / len(back)) ** (1 / 3) < 0.005
    assert back.lattice.matrix[0, 1] == 0
    assert [s.specie.symbol for s in back] == sorted(
        (s.specie.symbol for s in back), key=VANADIUM.elements.index
    )


@st.composite
def crystals(draw):
    """Random atoms that the 32³ grid can tell apart."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(4, 8, 3)) + rng.uniform(-1.5, 1.5, (3, 3))
    coords, numbers = [], []
    for _ in range(200):
        point, number = rng.uniform(size=3), rng.choice([Z_METAL, Z_ANION])
        apart = [point - c for c, z in zip(coords, numbers, strict=True) if z == number]
        apart = np.array(apart).reshape(-1, 3)
        apart -= np.round(apart)
        if (np.linalg.norm(apart, axis=1) * 32 > 3.0).all():
            coords.append(point)
            numbers.append(number)
        if len(coords) == draw(st.integers(1, 20)):
            break
    return cell, np.array(coords[:20]), np.array(numbers[:20])


@settings(max_examples=60, deadline=None)
@given(crystal=crystals(), codec=st.sampled_from([CODEC, QUICK]))
def test_any_atoms_come_back(crystal, codec):
    _, coords, numbers = crystal
    back, numbers_back, heights = codec.decode_sites(codec.encode_sites(coords, numbers))
    assert np.array_equal(np.sort(numbers_back), np.sort(numbers))
    for z in (Z_METAL, Z_ANION):
        apart = coords[numbers == z][:, None] - back[numbers_back == z][None]
        apart -= np.round(apart)
        lengths = np.linalg.norm(apart, axis=-1)
        if lengths.size:
            assert lengths.min(axis=1).max() < 1e-4
            assert lengths.min(axis=0).max() < 1e-4
    assert (heights > 0.9).all()


@settings(max_examples=20, deadline=None)
@given(crystal=crystals(), shift=st.tuples(*[st.integers(-40, 40)] * 3))
def test_shifted_atoms_are_a_rolled_grid(crystal, shift):
    _, coords, numbers = crystal
    grid = QUICK.encode_sites(coords, numbers)
    moved = QUICK.encode_sites(coords + np.array(shift) / 32, numbers)
    assert np.allclose(moved, np.roll(grid, shift, axis=(0, 1, 2)), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(crystal=crystals(), axes=st.permutations(range(3)))
def test_permuted_axes_are_a_transposed_grid(crystal, axes):
    _, coords, numbers = crystal
    grid = QUICK.encode_sites(coords, numbers)
    moved = QUICK.encode_sites(coords[:, axes], numbers)
    assert np.allclose(moved, grid.transpose(*axes, 3), atol=1e-6)


def test_channels_are_metal_and_anion():
    grid = QUICK.encode_sites([[0.25, 0.5, 0.75]], [Z_METAL])
    assert grid[8, 16, 24].tolist() == [1.0, 0.0]
    grid = QUICK.encode_sites([[0.25, 0.5, 0.75]], [Z_ANION])
    assert grid[8, 16, 24].tolist() == [0.0, 1.0]


def test_grids_are_written_into_a_batch():
    structure = QUICK.canonical(rutile())
    numbers = np.array(structure.atomic_numbers)
    batch = np.full((2, *QUICK.sites_shape), np.nan, np.float32)
    assert QUICK.encode_sites(structure.frac_coords, numbers, out=batch[1]).base is batch
    assert np.isnan(batch[0]).all()
    assert np.array_equal(batch[1], QUICK.encode(structure)[0])
    cells = np.full((2, *QUICK.lattice_shape), np.nan, np.float32)
    QUICK.encode_lattice(structure.lattice.matrix, out=cells[0])
    assert np.array_equal(cells[0], QUICK.encode(structure)[1])
    for out in (batch, batch[0].astype(float), batch[0].transpose(1, 0, 2, 3)):
        with pytest.raises(GridError, match="out is"):
            QUICK.encode_sites(structure.frac_coords, numbers, out=out)


def test_encode_writes_the_canonical_form():
    structure = rutile()
    sites, lattice = CODEC.encode(structure)
    moved = structure.copy()
    moved.translate_sites(range(len(moved)), [0.123, 0.456, 0.789])
    again, cell = CODEC.encode(moved)
    assert np.allclose(again, sites, atol=1e-5)
    assert np.allclose(cell, lattice, atol=1e-5)


def test_told_counts_take_the_highest_peaks():
    coords = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0.2]])
    numbers = np.array([Z_METAL, Z_METAL, Z_ANION, Z_ANION])
    grid = QUICK.encode_sites(coords, numbers)
    weak = QUICK.encode_sites(np.array([[0.25, 0.25, 0.25], [0.75, 0.3, 0.8]]), [Z_METAL, Z_ANION])
    grid += 0.3 * weak
    found, read, heights = QUICK.decode_sites(grid)
    assert len(found) == 4
    found, read, heights = QUICK.decode_sites(grid, counts=(3, 2))
    assert np.bincount(read)[[Z_METAL, Z_ANION]].tolist() == [3, 2]
    assert found[2] == pytest.approx([0.25, 0.25, 0.25], abs=1e-4)
    assert heights == pytest.approx([1, 1, 0.3, 1, 1], abs=1e-3)
    assert len(QUICK.decode_sites(grid, counts=(1, 0))[0]) == 1
    with pytest.raises(GridError, match=r"channel 0 .* 3 peaks .* 4 atoms"):
        QUICK.decode_sites(grid, counts=(4, 2))


@pytest.mark.parametrize(
    "counts", [(1, 2, 3), (1,), (0, 0), (-1, 3), (1.5, 2), (11, 10), (True, 2)]
)
def test_bad_counts_are_refused(counts):
    with pytest.raises(CountsError):
        CODEC.decode(*CODEC.encode(rutile()), counts=counts)


def test_noise_blur_and_fading_are_borne():
    """What a network might write: peaks of 0.6 to 0.9, wider, on a noisy floor."""
    rng = np.random.default_rng(0)
    wide = VoxelCodec(sigma_sites=1.4)
    for name, phase in KNOWN.items():
        canonical = CODEC.canonical(phase())
        numbers = np.array(canonical.atomic_numbers)
        grid = 0.75 * wide.encode_sites(canonical.frac_coords, numbers)
        grid = np.clip(grid + rng.normal(0, 0.03, grid.shape), 0, 1).astype(np.float32)
        for counts in (None, tuple(np.bincount(numbers)[[Z_METAL, Z_ANION]])):
            coords, read, _ = CODEC.decode_sites(grid, counts)
            assert sorted(read) == sorted(numbers), name
            for z in (Z_METAL, Z_ANION):
                apart = canonical.frac_coords[numbers == z][:, None] - coords[read == z][None]
                apart -= np.round(apart)
                lengths = np.linalg.norm(apart @ canonical.lattice.matrix, axis=-1)
                assert lengths.min(axis=1).max() < 0.06, name


def test_a_box_of_noise_is_no_crystal():
    noise = np.random.default_rng(0).random(CODEC.sites_shape, dtype=np.float32)
    with pytest.raises(GridError, match=r"\d{4,} peaks, more than 20"):
        CODEC.decode_sites(noise)
    # told how many, the highest are taken; whether it is a crystal is for others to judge
    assert len(CODEC.decode_sites(noise, counts=(2, 4))[0]) == 6


def test_bad_grids_are_named():
    sites, lattice = CODEC.encode(rutile())
    with pytest.raises(GridError, match=r"sites grid has shape \(32, 32, 32, 2\), not \(64"):
        CODEC.decode(sites[::2, ::2, ::2], lattice)
    with pytest.raises(GridError, match="lattice grid has shape"):
        CODEC.decode(sites, lattice[..., 0])
    with pytest.raises(GridError, match="int64"):
        CODEC.decode(sites.astype(int), lattice)
    with pytest.raises(GridError, match="list"):
        CODEC.decode(sites.tolist(), lattice)
    with pytest.raises(GridError, match="empty"):
        CODEC.decode(np.zeros_like(sites), lattice)
    for bad in (np.nan, np.inf):
        broken = sites.copy()
        broken[1, 2, 3, 0] = bad
        with pytest.raises(NonFiniteError, match="1 voxels"):
            CODEC.decode(broken, lattice)
    broken = lattice.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="lattice"):
        CODEC.decode(sites, broken)
    # a saturated box has no peak; huge numbers, whose sum overflows, are no NaN
    for level in (1.0, 3e38):
        with pytest.raises(GridError, match="empty"):
            CODEC.decode(np.full_like(sites, level), lattice)


def test_double_precision_and_strided_grids_are_read():
    sites, lattice = CODEC.encode(rutile())
    both = np.stack([sites, sites], axis=-1).astype(float)
    first = CODEC.decode(both[..., 1], lattice.astype(float))
    second = CODEC.decode(sites, lattice)
    assert np.allclose(first.frac_coords, second.frac_coords, atol=1e-6)


def test_bad_structures_are_named():
    with pytest.raises(ElementError, match="22"):
        CODEC.encode(rutile(metal="Ti"))
    with pytest.raises(DisorderError, match="partly"):
        CODEC.encode(Structure(Lattice.cubic(4), [{METAL: 0.5, ANION: 0.5}], [[0, 0, 0]]))
    with pytest.raises(DisorderError):
        CODEC.encode(Structure(Lattice.cubic(4), [{METAL: 0.5}], [[0, 0, 0]]))
    with pytest.raises(GridError, match="does not fit"):
        CODEC.encode(Structure(Lattice.tetragonal(4, 15), [METAL, ANION], [[0, 0, 0], [0.5] * 3]))
    with pytest.raises(GridError, match="at most 20"):
        CODEC.encode(rutile() * (2, 2, 1))
    with pytest.raises(OverlapError, match=r"atoms 0 and 1 .* 1\.28 voxels"):
        CODEC.encode(
            Structure(Lattice.cubic(4), [METAL, METAL, ANION], [[0, 0, 0], [0, 0, 0.02], [0.5] * 3])
        )
    with pytest.raises(NonFiniteError):
        CODEC.encode_sites(np.array([[0, 0, np.nan]]), np.array([Z_METAL]))
    with pytest.raises(NonFiniteError):
        CODEC.canonical_arrays(np.eye(3) * 4, np.array([[0, 0, np.inf]]), np.array([Z_METAL]))
    with pytest.raises(GridError, match="at least one atom"):
        CODEC.encode_sites(np.zeros((0, 3)), np.zeros(0, int))
    with pytest.raises(GridError, match="shape"):
        CODEC.encode_sites(np.zeros((2, 3)), np.array([Z_METAL]))


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_sites": 8},
        {"n_lattice": 15},
        {"n_sites": 0},
        {"n_sites": 32.0},
        {"n_sites": True},
        {"n_sites": 32, "sigma_sites": 2.5},
        {"sigma_sites": 0.1},
        {"sigma_lattice": np.nan},
    ],
)
def test_bad_sizes_are_refused(sizes):
    with pytest.raises(InputError):
        VoxelCodec(**sizes)


def test_another_oxide_is_one_more_instance():
    system = OxideSystem(
        metal="Ti",
        target_formulas=("TiO2",),
        oxidation_states={"Ti": (3, 4), "O": (-2,)},
        atomic_volumes={"Ti": 14.0, "O": 10.0},
        minimum_distances={"Ti-Ti": 2.0, "Ti-O": 1.5, "O-O": 2.0},
    )
    codec = VoxelCodec(system=system, n_sites=32, n_lattice=16)
    structure = rutile(metal="Ti")
    back = codec.decode(*codec.encode(structure))
    assert back.composition == structure.composition
    assert StructureMatcher().fit(structure, back)
