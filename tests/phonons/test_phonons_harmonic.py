"""Phonons against closed forms, phonopy driven by hand, and sums over single modes."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.io.phonopy import get_pmg_structure
from scipy.constants import atomic_mass, electron_volt, h, k
from scipy.integrate import trapezoid
from toy_solids import argon, springs

from atomate2_vogen.errors import BandDataError
from atomate2_vogen.phonons import harmonic as phonons
from atomate2_vogen.phonons.harmonic import (
    impose_sum_rules,
    phonon_bands,
    phonon_dos,
    phonopy_from_document,
    summarise_phonons,
    verdict,
)
from atomate2_vogen.schemas import PhononVerdict

MASSES = (10.0, 30.0)
LJ_EDGE = 5.25


@pytest.fixture(scope="module")
def solid():
    return argon(LJ_EDGE, (2, 2, 2))


def chain_frequency(stiffness, q, sign):
    """Diatomic chain, THz: ω² = K(1/m + 1/M) ± K sqrt((1/m + 1/M)² - 4 sin²(πq) / mM)."""
    light, heavy = (m * atomic_mass for m in MASSES)
    si = stiffness * electron_volt * 1e20
    total = 1 / light + 1 / heavy
    root = np.sqrt(total**2 - 4 * np.sin(np.pi * q) ** 2 / (light * heavy))
    square = si * (total + sign * root)
    return np.sign(square) * np.sqrt(abs(square)) / (2 * np.pi) / 1e12


@pytest.mark.parametrize("stiffness", [5.0, -2.0])
def test_a_chain_has_the_frequencies_of_the_textbook(stiffness):
    found = summarise_phonons(springs(stiffness, MASSES))
    optical = chain_frequency(stiffness, 0.0, 1)
    extreme = found.highest_frequency if stiffness > 0 else found.lowest_frequency
    assert extreme == pytest.approx(optical, abs=1e-3)
    assert found.n_atoms_supercell == 8
    assert found.n_atoms_primitive == 2
    assert found.supercell_matrix == [[4, 0, 0], [0, 1, 0], [0, 0, 1]]
    if stiffness > 0:
        assert found.verdict is PhononVerdict.STABLE
        assert found.imaginary_fraction == 0
    else:
        # the two modes along the chain out of six; acoustic ones near Γ are within the noise
        assert found.verdict is PhononVerdict.UNSTABLE
        assert found.imaginary_fraction == pytest.approx(1 / 3, abs=0.03)
        assert found.lowest_q_point[0] == pytest.approx(0, abs=1e-9)
        assert found.free_energy is None


def test_dispersion_of_the_chain_along_its_axis():
    bands = phonon_bands(springs(5.0, MASSES), points=21)
    q = np.array([point.frac_coords for point in bands.qpoints])
    along = np.flatnonzero((np.abs(q[:, 1:]) < 1e-9).all(axis=1))
    acoustic = [chain_frequency(5.0, x, -1) for x in q[along, 0]]
    assert len(along) >= 21
    for i, expected in zip(along, acoustic, strict=True):
        assert np.abs(bands.bands[:, i] - expected).min() < 1e-3


def test_lennard_jones_is_stable_where_it_is_bound_and_unstable_where_stretched(solid):
    found = summarise_phonons(solid)
    assert found.verdict is PhononVerdict.STABLE
    assert found.acoustic_sum_rule_error < 0.01
    assert found.force_constant_drift < 1e-4
    assert found.lowest_frequency > -0.01
    stretched = summarise_phonons(argon(1.35 * LJ_EDGE, (2, 2, 2)))
    assert stretched.verdict is not PhononVerdict.STABLE
    assert stretched.lowest_frequency < -phonons.NOISE
    assert stretched.imaginary_fraction > 0.25


def test_frequencies_are_those_of_phonopy_by_hand(solid):
    bands = phonon_bands(solid)
    by_hand = argon(LJ_EDGE, (2, 2, 2))
    for i in range(0, len(bands.qpoints), 17):
        theirs = by_hand.get_frequencies(bands.qpoints[i].frac_coords)
        assert np.sort(bands.bands[:, i]) == pytest.approx(np.sort(theirs), abs=1e-3)


def test_path_is_that_of_the_crystal_in_whatever_cell_it_comes(solid):
    # X of fcc: the doubly degenerate and the longitudinal mode are the same in any cell
    labels = {p.label for p in phonon_bands(solid).qpoints if p.label}
    assert {"GAMMA", "X", "L"} <= labels
    from phonopy import Phonopy

    skewed = Phonopy(
        solid.unitcell,
        np.diag([2, 2, 2]),
        primitive_matrix=solid.primitive_matrix @ np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1]]).T,
    )
    skewed.force_constants = solid.force_constants
    one, other = phonon_bands(solid), phonon_bands(skewed)
    for label in ("X", "L"):
        a, b = (
            next(np.sort(s.bands[:, i]) for i, p in enumerate(s.qpoints) if p.label == label)
            for s in (one, other)
        )
        assert a == pytest.approx(b, abs=1e-3)


def test_free_energy_is_a_sum_over_oscillators():
    found = summarise_phonons(springs(5.0, MASSES, supercell=(6, 1, 1)), mesh_length=40.0)
    phonon = springs(5.0, MASSES, supercell=(6, 1, 1))
    phonon.run_mesh(40.0)
    mesh = phonon.get_mesh_dict()
    frequencies = mesh["frequencies"]
    weights = np.broadcast_to(mesh["weights"][:, None], frequencies.shape)
    kept = frequencies > phonons.FREE_ENERGY_CUTOFF
    quantum = h * frequencies[kept] * 1e12 / electron_volt
    share = weights[kept] / mesh["weights"].sum() / 2
    assert found.free_energy.zero_point == pytest.approx((share * quantum / 2).sum(), rel=1e-5)
    for temperature, value in zip(
        found.free_energy.temperatures[1::5], found.free_energy.values[1::5], strict=True
    ):
        thermal = k * temperature / electron_volt
        single = quantum / 2 + thermal * np.log1p(-np.exp(-quantum / thermal))
        assert value == pytest.approx((share * single).sum(), abs=1e-6)
    assert (found.free_energy.temperatures[0], found.free_energy.temperatures[-1]) == (0, 1000)
    assert (np.diff(found.free_energy.values) < 0).all()
    assert found.free_energy.left_out == pytest.approx((weights[~kept]).sum() / weights.sum())


def test_dos_counts_every_mode_once(solid):
    dos = phonon_dos(solid)
    modes = trapezoid(dos.densities, dos.frequencies)
    assert modes == pytest.approx(3 * len(solid.primitive), rel=0.02)


def test_broken_sum_rule_is_measured_and_said():
    phonon = springs(5.0, MASSES)
    clean = summarise_phonons(phonon)
    # every motion across the chain is tied to its place: that is the drift
    assert clean.force_constant_drift == pytest.approx(5.0)
    constants = phonon.force_constants.copy()
    constants[np.arange(8), np.arange(8)] -= 5.5 * np.eye(3)
    phonon.force_constants = constants
    broken = summarise_phonons(phonon)
    assert broken.acoustic_sum_rule_error > 1
    assert broken.verdict is PhononVerdict.UNSTABLE
    assert any("too inaccurate" in text for text in broken.warnings)


def test_imposed_sum_rule_takes_out_noise_and_tells_it(solid):
    noisy = argon(LJ_EDGE, (2, 2, 2))
    rng = np.random.default_rng(0)
    noisy.force_constants = noisy.force_constants + rng.normal(0, 2e-3, (32, 32, 3, 3))
    raw = summarise_phonons(noisy)
    assert not raw.sum_rule_imposed
    errors = impose_sum_rules(noisy)
    clean = summarise_phonons(noisy, imposed=errors)
    assert clean.sum_rule_imposed
    assert clean.acoustic_sum_rule_error == raw.acoustic_sum_rule_error > 0.01
    assert clean.force_constant_drift == raw.force_constant_drift > 1e-3
    at_gamma = np.abs(noisy.get_frequencies([0, 0, 0])).max()
    assert at_gamma < 1e-3 < raw.acoustic_sum_rule_error
    # forces that were right stay as they were
    untouched = argon(LJ_EDGE, (2, 2, 2))
    impose_sum_rules(untouched)
    q = [0.1, 0.3, 0.45]
    assert untouched.get_frequencies(q) == pytest.approx(solid.get_frequencies(q), abs=1e-3)


def document(phonon, **changes):
    fields = {
        "structure": get_pmg_structure(phonon.unitcell),
        "supercell_matrix": phonon.supercell_matrix.tolist(),
        "primitive_matrix": phonon.primitive_matrix.tolist(),
        "force_constants": SimpleNamespace(force_constants=phonon.force_constants.tolist()),
        "born": None,
        "epsilon_static": None,
    }
    return SimpleNamespace(**(fields | changes))


def test_a_document_gives_the_same_phonons(solid):
    again = phonopy_from_document(document(solid))
    q = [0.13, 0.27, 0.41]
    assert again.get_frequencies(q) == pytest.approx(solid.get_frequencies(q), abs=1e-6)
    with_moments = document(solid)
    with_moments.structure.add_site_property("magmom", [1.0, -1.0, 1.0, -1.0])
    assert phonopy_from_document(with_moments).get_frequencies(q) == pytest.approx(
        solid.get_frequencies(q), abs=1e-6
    )


def test_documents_without_force_constants_are_refused(solid):
    with pytest.raises(BandDataError, match="lacks force_constants"):
        phonopy_from_document(document(solid, force_constants=None))
    broken = phonopy_from_document(document(solid))
    broken.force_constants = np.full_like(solid.force_constants, np.nan)
    with pytest.raises(BandDataError, match="not finite"):
        summarise_phonons(broken)


@given(lowest=st.floats(-20, 5), fraction=st.floats(0, 1))
def test_verdicts_are_ordered(lowest, fraction):
    order = [PhononVerdict.STABLE, PhononVerdict.SOFT, PhononVerdict.UNSTABLE]
    here = order.index(verdict(lowest, fraction))
    assert here <= order.index(verdict(lowest - 0.5, fraction))
    assert here <= order.index(verdict(lowest, min(1.0, fraction + 0.1)))
    assert (here == 0) == (lowest >= -phonons.NOISE)
