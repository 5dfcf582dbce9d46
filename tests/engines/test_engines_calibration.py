"""A correction fitted to experiment: closed forms, what it leaves alone, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import cheap_engine
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobflow import run_locally
from pymatgen.core import Composition, Lattice, Structure

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.data.labels import JUDGE_SCHEME
from atomate2_vogen.engines import load_references
from atomate2_vogen.engines.calibration import (
    AnionCorrection,
    fit_anion_correction,
    measured_formation_energies,
    with_correction,
)
from atomate2_vogen.errors import InputError, MissingReferenceError, SchemeMismatchError
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.schemas import CalculationDoc, ReferenceDoc
from atomate2_vogen.stability.phases import ReferenceHull
from atomate2_vogen.stores import VogenStores

TRUE = {"VO": -2.2, "V2O3": -2.5, "VO2": -2.4, "V2O5": -2.3}


def phases(shift=0.0, noise=(0.0, 0.0, 0.0, 0.0)):
    """References whose formation energies are `TRUE`, off by a shift per O and a noise per atom."""
    errors = dict(zip(TRUE, noise, strict=True))
    made = []
    for formula in ("V", "O2", *TRUE):
        composition = Composition(formula)
        energy = TRUE.get(formula, 0.0) - 8 * composition.get_atomic_fraction("V")
        energy -= 5 * composition.get_atomic_fraction("O") + errors.get(formula, 0.0)
        if formula in TRUE:
            energy -= shift * composition.get_atomic_fraction("O")
        species = [e.symbol for e, n in composition.items() for _ in range(int(n))]
        coordinates = [[i / len(species)] * 3 for i in range(len(species))]
        made.append(
            ReferenceDoc(
                reference_id=f"{formula}|s",
                name=formula,
                scheme="s",
                formula=formula,
                structure=Structure(Lattice.cubic(9), species, coordinates),
                energy_per_atom=energy,
            )
        )
    return made


EXPERIMENT = {formula: (energy, 0.01) for formula, energy in TRUE.items()}


def test_a_shift_per_anion_is_found_and_taken_out():
    fit = fit_anion_correction(phases(0.345), VANADIUM, EXPERIMENT)
    assert fit.correction == AnionCorrection("O", 0.345)
    assert [c.formula for c in fit.compounds] == list(TRUE)
    for compound in fit.compounds:
        assert compound.corrected == pytest.approx(compound.measured, abs=1e-9)
        assert compound.left_out == pytest.approx(compound.measured, abs=1e-9)


def test_noise_is_fitted_by_least_squares_and_predicted_from_the_others():
    noise = (0.05, -0.02, 0.01, 0.03)
    fit = fit_anion_correction(phases(0.2, noise), VANADIUM, EXPERIMENT)
    x = np.array([Composition(f).get_atomic_fraction("O") for f in TRUE])
    y = 0.2 * x + noise
    (slope,), *_ = np.linalg.lstsq(x[:, None], y, rcond=None)
    assert fit.correction.shift == pytest.approx(slope, abs=5e-4)
    (others,), *_ = np.linalg.lstsq(x[1:, None], y[1:], rcond=None)
    first = fit.compounds[0]
    assert first.left_out == pytest.approx(first.calculated + others * x[0], abs=1e-9)


@given(shift=st.floats(-0.5, 0.5), energy=st.floats(-1, 1), x=st.floats(0.5, 5 / 7))
def test_heights_between_compounds_stay(shift, energy, x):
    references = phases()
    correction = AnionCorrection("O", shift)
    _, corrected = with_correction(cheap_engine.engine(scheme="s"), references, correction)
    composition = Composition({"V": 1 - x, "O": x})
    before = ReferenceHull(references, VANADIUM).position(composition, energy - 8)
    after = ReferenceHull(corrected, VANADIUM).position(
        composition, energy - 8 + correction.of(composition)
    )
    assert after.energy_above_hull == pytest.approx(before.energy_above_hull, abs=1e-9)
    assert after.formation_energy == pytest.approx(before.formation_energy + shift * x, abs=1e-9)


def test_elements_bear_no_correction():
    correction = AnionCorrection("O", 0.3)
    assert correction.of(Composition("O2")) == correction.of(Composition("V")) == 0
    crystal = SimpleNamespace(structure=cheap_engine.crystal("VO2"))
    assert correction.per_atom(crystal) == pytest.approx(0.2)


def test_candidates_meet_references_on_the_corrected_scale(tmp_path):
    plain = cheap_engine.engine()
    engine, references = with_correction(
        plain, cheap_engine.references(), AnionCorrection("O", 0.3)
    )
    assert engine.scheme == "cheap-1+O(0.300)"
    energies = {r.formula: r.energy_per_atom for r in references}
    assert energies == {"V": -5.0, "O2": -4.0, "VO": pytest.approx(-7.85)}
    flow = ScreeningFlowMaker(engine=engine).make([cheap_engine.candidate()])
    with VogenStores.memory() as stores:
        run_locally(flow, store=stores.job_store, root_dir=tmp_path, log=False)
        stores.ingest_jobs()
        (found,) = stores.load(CalculationDoc)
    assert found.scheme == references[0].scheme
    assert found.energy_per_atom == pytest.approx(cheap_engine.GROUND + 0.2, abs=2e-3)
    with pytest.raises(InputError, match="corrects its energies already"):
        with_correction(engine, references, AnionCorrection("O", 0.3))
    with pytest.raises(SchemeMismatchError, match="cheap-1, not other"):
        with_correction(
            replace(plain, scheme="other"), cheap_engine.references(), AnionCorrection("O", 0.3)
        )


def test_too_few_measured_compounds_are_refused():
    few = dict(list(EXPERIMENT.items())[:2])
    with pytest.raises(MissingReferenceError, match=r"2 of the reference phases.*VO"):
        fit_anion_correction(phases(), VANADIUM, few)


def test_titanium_oxides_come_within_a_tenth_of_experiment():
    """Each also by a correction that it had no part in (README, another oxide)."""
    fit = fit_anion_correction(load_references(JUDGE_SCHEME, TITANIUM), TITANIUM)
    by_formula = {c.formula: c for c in fit.compounds}
    for formula in ("Ti2O3", "Ti3O5", "Ti4O7", "TiO2"):
        compound = by_formula[formula]
        assert compound.measured == measured_formation_energies()[formula][0]
        assert compound.calculated < compound.measured - 0.1
        assert abs(compound.corrected - compound.measured) < 0.1
        assert abs(compound.left_out - compound.measured) < 0.1
    # at the price of the metallic monoxide, which was right
    assert by_formula["TiO"].corrected - by_formula["TiO"].measured > 0.1
