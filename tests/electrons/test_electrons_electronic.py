"""Character by bands in closed form, whose gaps are known, and by pymatgen where it can judge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bands import (
    EMPTY,
    VALENCE,
    dos,
    energies,
    gapped,
    line,
    mesh,
    metallic,
    path,
    uniform,
)
from pymatgen.electronic_structure.bandstructure import BandStructure
from pymatgen.electronic_structure.core import Spin

from atomate2_vogen.electrons.bands import filled_bands
from atomate2_vogen.electrons.electronic import electronic_structure
from atomate2_vogen.errors import BandDataError
from atomate2_vogen.schemas import ChannelState, ElectronicCharacter

METALLIC = metallic(0.0)
CASES = {
    "metal": ([METALLIC, metallic(0.4)], ElectronicCharacter.METAL),
    "metal of one gapless channel": ([METALLIC, gapped(0.0, 0.01)], ElectronicCharacter.METAL),
    "unpolarised metal": ([METALLIC], ElectronicCharacter.METAL),
    "half metal, up conducts": ([METALLIC, gapped(-0.8, 1.2)], ElectronicCharacter.HALF_METAL),
    "half metal, down conducts": ([gapped(-0.8, 1.2), METALLIC], ElectronicCharacter.HALF_METAL),
    "insulator": ([gapped(-2.0, 2.0), gapped(-2.5, 2.1)], ElectronicCharacter.INSULATOR),
    "unpolarised insulator": ([gapped(-2.0, 2.0)], ElectronicCharacter.INSULATOR),
    "semiconductor": ([gapped(-0.5, 0.6), gapped(-0.5, 0.6)], ElectronicCharacter.SEMICONDUCTOR),
    "edges of opposite spin": (
        [gapped(-0.5, 1.6), gapped(-1.5, 0.6)],
        ElectronicCharacter.SEMICONDUCTOR,
    ),
    "unpolarised semiconductor": ([gapped(-0.5, 0.6)], ElectronicCharacter.SEMICONDUCTOR),
    "half-semiconductor": (
        [gapped(-0.2, 0.3), gapped(-1.5, 2.0)],
        ElectronicCharacter.HALF_SEMICONDUCTOR,
    ),
    "spin-gapless, one channel touches": (
        [gapped(0.0, 0.0, direct=True), gapped(-1.0, 1.0)],
        ElectronicCharacter.SPIN_GAPLESS,
    ),
    "spin-gapless, the spins touch": (
        [gapped(0.0, 1.5), gapped(-1.5, 0.0)],
        ElectronicCharacter.SPIN_GAPLESS,
    ),
}


def judge(spins, fermi=0.0, **options):
    return electronic_structure(
        uniform(spins, fermi), line(spins, fermi), dos(spins, fermi), **options
    )


@pytest.mark.parametrize("case", CASES)
def test_character(case):
    spins, expected = CASES[case]
    assert judge(spins).character is expected


def test_half_metal_has_the_gap_that_pymatgen_does_not_see():
    spins = [METALLIC, gapped(-0.8, 1.2)]
    found = judge(spins, total_moment=1.0)
    assert line(spins, 0.0).get_band_gap()["energy"] == 0
    assert found.up.state is ChannelState.METALLIC
    assert found.up.gap == 0
    assert found.up.vbm is None
    assert found.down.gap == pytest.approx(2.0, abs=1e-9)
    assert found.down.vbm.energy == pytest.approx(-0.8)
    assert found.down.cbm.energy == pytest.approx(1.2)
    assert found.half_metallic_gap == pytest.approx(0.8)
    assert found.gap == 0
    assert found.is_direct is None
    assert found.up.dos_at_fermi > 0.3
    assert found.down.dos_at_fermi == pytest.approx(0, abs=1e-6)
    assert found.warnings == []


@pytest.mark.parametrize("direct", [True, False])
def test_gap_is_that_of_pymatgen_where_it_can_judge(direct):
    spins = [gapped(-0.5, 0.6, direct=direct), gapped(-0.9, 1.6)]
    found = judge(spins)
    theirs = line(spins, 0.0).get_band_gap()
    assert found.gap == pytest.approx(theirs["energy"])
    assert found.is_direct is theirs["direct"] is direct
    per_spin = line(spins, 0.0).get_direct_band_gap_dict()
    for channel, spin in ((found.up, Spin.up), (found.down, Spin.down)):
        assert channel.direct_gap == pytest.approx(per_spin[spin]["value"])
    assert found.up.vbm.label == "\\Gamma"
    assert found.up.cbm.label == ("\\Gamma" if direct else "R")
    assert found.vbm_spin == found.cbm_spin == "up"


def test_edges_lie_on_either_mesh():
    # the top of the valence band lies at (1/4, 1/4, 0), off the line; the bottom of the
    # conduction band at R, which a mesh that is offset lacks
    spins = [[VALENCE, (-1.0, 1.0, (-0.25, -0.25, 0.0)), (1.5, 1.0, 0.0), EMPTY]]
    only_mesh = uniform(spins, 0.0, mesh(4, 0.5))
    alone = electronic_structure(only_mesh)
    line_alone = electronic_structure(line=line(spins, 0.0))
    both = electronic_structure(uniform(spins, 0.0, mesh(4)), line(spins, 0.0))
    assert both.up.vbm.energy == pytest.approx(-0.5)
    assert both.up.vbm.mesh == "uniform"
    assert both.up.vbm.k_point == pytest.approx([0.25, 0.25, 0.0])
    assert both.up.cbm.energy == pytest.approx(1.0)
    assert both.gap == pytest.approx(1.5)
    assert alone.gap > 1.55
    assert line_alone.gap > 1.55
    assert electronic_structure(only_mesh, line(spins, 0.0)).up.cbm.mesh == "line"


def test_a_band_that_only_the_line_shows_to_overlap_makes_a_metal():
    spins = [[VALENCE, (-0.45, 1.0, 0.0), (0.35, 1.0, 0.0), EMPTY]]
    # without Γ and R the two bands seem apart, by their true edges they overlap by 0.2 eV
    coarse = uniform(spins, -0.05, mesh(2, 0.5))
    assert electronic_structure(coarse).character is ElectronicCharacter.SEMICONDUCTOR
    both = electronic_structure(coarse, line(spins, -0.05))
    assert both.character is ElectronicCharacter.METAL


@pytest.mark.parametrize("fermi", [-0.5, -0.49, 0.0, 0.6, 0.5999, -0.51, 0.61])
def test_fermi_level_anywhere_in_the_gap(fermi):
    found = judge([gapped(-0.5, 0.6), gapped(-0.7, 0.9)], fermi)
    assert found.gap == pytest.approx(1.1)
    assert found.up.gap == pytest.approx(1.1)
    assert found.down.gap == pytest.approx(1.6)


def test_valence_top_between_the_points_of_the_mesh_is_above_the_fermi_level():
    # E_F as a code without smearing sets it: at the highest energy of its own mesh
    spins = [gapped(0.0, 1.0)]
    coarse = mesh(3, 0.5)
    fermi = energies(spins[0], coarse)[1].max()
    assert fermi < -0.1
    found = electronic_structure(uniform(spins, fermi, coarse), line(spins, fermi))
    assert found.gap == pytest.approx(1.0)


@pytest.mark.parametrize("fermi", [-0.3, -0.05, 1.05, 1.3])
def test_fermi_level_in_a_band_is_a_metal(fermi):
    found = judge([gapped(0.0, 1.0)], fermi)
    assert found.character is ElectronicCharacter.METAL


def test_a_narrow_band_cut_in_the_middle_is_a_metal():
    spins = [[VALENCE, (0.0, 0.03, 0.0), EMPTY]]
    assert judge(spins, 0.0).character is ElectronicCharacter.METAL
    assert judge(spins, 0.015).character is ElectronicCharacter.INSULATOR


def test_bands_that_cross_are_told_apart_by_energy():
    spins = [gapped(-0.5, 0.6)]
    tangled = line(spins, 0.0)
    values = tangled.bands[Spin.up]
    half = values.shape[1] // 2
    values[[0, 1], :half] = values[[1, 0], :half]
    values[[2, 3], half:] = values[[3, 2], half:]
    assert electronic_structure(line=tangled).gap == pytest.approx(1.1)


def test_moment_is_the_engines_or_the_integral_of_the_dos():
    given = judge([METALLIC, METALLIC], total_moment=0.5, site_moments=[0.6, -0.1])
    assert (given.total_moment, given.moment_source) == (0.5, "engine")
    assert given.site_moments == [0.6, -0.1]
    spins = [[VALENCE, (-1.0, 1.0, 0.0), EMPTY], [VALENCE, (1.5, 1.0, 0.0), EMPTY]]
    integrated = judge(spins, 0.0)
    assert integrated.total_moment == pytest.approx(1.0, abs=1e-3)
    assert integrated.moment_source == "integrated DOS"
    assert judge([gapped(-1, 1)]).total_moment == 0
    bare = electronic_structure(uniform(spins, 0.0))
    assert bare.total_moment is None
    assert bare.up.dos_at_fermi is None


def test_what_does_not_fit_together_is_said():
    spins = [gapped(-1.0, 1.0), gapped(-1.5, 1.5)]
    moment = judge(spins, total_moment=0.4).warnings
    assert len(moment) == 1
    assert "0.40 μB is not whole" in moment[0]
    shifted = line([[(c + 0.3, w, s) for c, w, s in bands] for bands in spins], 0.0)
    scales = electronic_structure(uniform(spins, 0.0), shifted).warnings
    assert len(scales) == 1
    assert "differ by 0.30 eV" in scales[0]
    filled_gap = electronic_structure(uniform(spins, 0.0), dos=dos([METALLIC, METALLIC], 0.0))
    assert sum("states/eV/cell" in text for text in filled_gap.warnings) == 2


def bands_like(values, fermi=0.0):
    like = uniform([METALLIC], 0.0)
    return BandStructure(
        [k.frac_coords for k in like.kpoints], {Spin.up: values}, like.lattice_rec, fermi
    )


def test_bands_that_tell_nothing_are_refused():
    with pytest.raises(BandDataError, match="no bands"):
        electronic_structure()
    with pytest.raises(BandDataError, match="NaN"):
        electronic_structure(bands_like(np.full((3, 64), np.nan)))
    with pytest.raises(BandDataError, match="without an empty band"):
        electronic_structure(uniform([gapped(-1, 1)[:2]], 0.0))
    with pytest.raises(BandDataError, match="without a filled band"):
        electronic_structure(uniform([gapped(-1, 1)[2:]], 0.0))
    with pytest.raises(BandDataError, match="spin-polarised"):
        electronic_structure(uniform([METALLIC], 0.0), line([METALLIC] * 2, 0.0))
    with pytest.raises(BandDataError, match="Fermi level is nan"):
        electronic_structure(uniform([METALLIC], float("nan")))
    with pytest.raises(BandDataError, match="are they of one calculation"):
        electronic_structure(uniform([METALLIC], 0.0), dos=dos([METALLIC], 0.0), fermi_level=99.0)


def swapped(text):
    return {"up": "down", "down": "up"}.get(text, text)


@given(case=st.sampled_from(sorted(CASES)))
@settings(max_examples=20, deadline=None)
def test_swapped_spins_give_swapped_channels(case):
    spins, _ = CASES[case]
    one, other = judge(spins), judge(spins[::-1])
    assert one.character is other.character
    assert one.gap == other.gap
    if len(spins) == 2:
        assert one.up.model_dump(exclude={"spin"}) == other.down.model_dump(exclude={"spin"})
        assert one.down.model_dump(exclude={"spin"}) == other.up.model_dump(exclude={"spin"})
        assert other.total_moment == pytest.approx(-one.total_moment, abs=1e-9)
        if one.vbm_spin and abs(one.up.vbm.energy - one.down.vbm.energy) > 1e-9:
            assert other.vbm_spin == swapped(one.vbm_spin)


@given(case=st.sampled_from(sorted(CASES)), shift=st.floats(-20, 20))
@settings(max_examples=40, deadline=None)
def test_a_shift_of_all_energies_shifts_edges_alone(case, shift):
    spins, _ = CASES[case]
    moved = [[(c + shift, w, s) for c, w, s in bands] for bands in spins]
    one, other = judge(spins), judge(moved, fermi=shift)
    assert one.character is other.character
    assert other.fermi_level == pytest.approx(one.fermi_level + shift)
    assert other.gap == pytest.approx(one.gap, abs=1e-9)
    for a, b in ((one.up, other.up), (one.down, other.down)):
        if a is None or a.vbm is None:
            assert b is None or b.vbm is None
            continue
        assert b.gap == pytest.approx(a.gap, abs=1e-9)
        assert b.vbm.energy == pytest.approx(a.vbm.energy + shift, abs=1e-9)
        assert b.cbm.energy == pytest.approx(a.cbm.energy + shift, abs=1e-9)
        assert (a.is_direct, a.vbm.label, a.cbm.label) == (b.is_direct, b.vbm.label, b.cbm.label)


@given(case=st.sampled_from(sorted(CASES)), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_the_order_of_k_points_does_not_matter(case, seed):
    spins, _ = CASES[case]
    rng = np.random.default_rng(seed)
    one = electronic_structure(uniform(spins, 0.0), line(spins, 0.0))
    other = electronic_structure(
        uniform(spins, 0.0, rng.permutation(mesh())),
        uniform(spins, 0.0, rng.permutation(path())),
    )
    assert one.character is other.character
    assert one.gap == pytest.approx(other.gap, abs=1e-12)
    for a, b in ((one.up, other.up), (one.down, other.down)):
        assert (a is None) == (b is None)
        if a is not None and a.vbm is not None:
            assert b.vbm.energy == pytest.approx(a.vbm.energy, abs=1e-12)
            assert b.is_direct == a.is_direct


@given(
    vbm=st.floats(-2, 0),
    gap=st.floats(0.06, 2),
    place=st.floats(0, 1),
    width=st.floats(0.1, 1.0),
)
@settings(max_examples=60, deadline=None)
def test_any_gap_is_found_wherever_the_fermi_level_is(vbm, gap, place, width):
    bands = gapped(vbm, vbm + gap, width)
    found = electronic_structure(uniform([bands], vbm + place * gap))
    assert found.gap == pytest.approx(gap, abs=1e-9)


def test_filled_bands_are_counted():
    values = np.array([[-2.0, -1.0], [0.0, 0.5], [2.0, 3.0]])
    assert [filled_bands(values, e, 0.02) for e in (-3, -1.5, -0.5, 0.2, 1, 4)] == [
        0, None, 1, None, 2, 3,
    ]  # fmt: skip
