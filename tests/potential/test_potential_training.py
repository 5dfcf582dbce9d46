"""Training: on a potential in closed form, from an earlier one, and what cannot be trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from toy_potential import SCHEME, toy_potential

from atomate2_vogen.chemistry import TITANIUM, VANADIUM
from atomate2_vogen.errors import ElementError, InputError, SchemeMismatchError
from atomate2_vogen.potential.exploration import shaken
from atomate2_vogen.potential.frames import Frame, Frames
from atomate2_vogen.potential.network import NetworkShape
from atomate2_vogen.potential.training import (
    FEWEST_FRAMES,
    FitSettings,
    above_envelope,
    train_potential,
)

ROCK_SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.2), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
).get_primitive_structure()
SHAPE = NetworkShape(cutoff=4.0, radial=6, channels=4, hidden=16)


def lennard_jones(n, seed):
    """Shaken cells with four or six atoms, with their energies."""
    rng = np.random.default_rng(seed)
    frames = []
    for number in range(n):
        cell = ROCK_SALT.make_supercell([1, 1, 2 + number % 2], in_place=False)
        crystal = shaken(cell, rng, 0.1)
        atoms = AseAtomsAdaptor.get_atoms(crystal, msonable=False)
        atoms.calc = LennardJones(sigma=1.8, epsilon=0.5, rc=4.0, smooth=True)
        energy = atoms.get_potential_energy() / len(atoms)
        stress = atoms.get_stress(voigt=False)
        frames.append(Frame(crystal, energy, atoms.get_forces(), stress, "shaken"))
    return Frames("lennard-jones", frames)


@pytest.fixture(scope="module")
def frames():
    return lennard_jones(150, 1)


@pytest.fixture(scope="module")
def trained(frames):
    seen = []
    settings = FitSettings(epochs=20, batch=10, learning_rate=1e-2, held_out=0.2)
    potential, report = train_potential(
        frames,
        VANADIUM,
        settings=settings,
        shape=SHAPE,
        progress=lambda epoch, epochs, losses: seen.append((epoch, epochs, len(losses))),
    )
    return potential, report, seen


def errors(potential, frames):
    energies = np.array([one.energy for one in frames.frames])
    return potential.energies([one.structure for one in frames.frames]) - energies, energies.std()


def test_a_closed_form_is_learned(trained):
    potential, report, seen = trained
    # some are compressed too far to be learned from
    assert 100 <= report.n_frames + report.n_held_out <= 150
    assert report.n_held_out == int(0.2 * (report.n_frames + report.n_held_out))
    assert seen == [(epoch, 20, 3) for epoch in range(1, 21)]
    assert report.cpu_time > 0
    found, spread = errors(potential, lennard_jones(30, seed=77))
    assert np.abs(found).mean() < 0.15 * spread
    assert report.energy_mae < 0.15 * spread
    assert report.low_energy_rmse < 0.3 * spread
    losses = np.array(report.epochs)
    assert losses.shape == (20, 3)
    assert (losses[-3:].mean(axis=0) < 0.5 * losses[0]).all()


def test_the_units_of_the_stress_are_learned(trained):
    """At the volume where Lennard-Jones has no pressure the potential has none either."""
    from toy_potential import evaluated

    atoms = AseAtomsAdaptor.get_atoms(ROCK_SALT, msonable=False)
    atoms.calc = LennardJones(sigma=1.8, epsilon=0.5, rc=4.0, smooth=True)
    expected = np.trace(atoms.get_stress(voigt=False)) / 3
    _, _, stress = evaluated(trained[0], ROCK_SALT)
    assert np.trace(stress) / 3 == pytest.approx(expected, abs=0.15 * abs(expected) + 2e-3)


def quick_fit(frames, settings, **arguments):
    """A fit that is not compiled: for a few steps that takes longer than the steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(run_eagerly=True)
    try:
        return train_potential(frames, VANADIUM, settings=settings, **arguments)
    finally:
        tf.config.run_functions_eagerly(run_eagerly=False)


def test_the_same_seed_gives_the_same_potential(frames):
    settings = FitSettings(epochs=1, batch=60, held_out=0)

    def id_of(settings):
        return quick_fit(frames, settings, shape=SHAPE)[0].potential_id

    assert id_of(settings) == id_of(settings)
    assert id_of(replace(settings, seed=1)) != id_of(settings)


def test_a_fit_goes_on_where_another_ended(trained, frames):
    settings = FitSettings(epochs=1, batch=60, learning_rate=1e-5, held_out=0)
    again, report = quick_fit(frames, settings, start=trained[0])
    assert again.network.shape == SHAPE
    before, _ = errors(trained[0], frames)
    after, _ = errors(again, frames)
    assert np.abs(after - before).max() < 0.02
    assert report.epochs[0][0] < 0.1
    assert np.isnan(report.energy_mae)


def test_a_start_of_another_scheme_or_system(frames):
    with pytest.raises(SchemeMismatchError, match="is of toy, the frames are of lennard-jones"):
        train_potential(frames, VANADIUM, start=toy_potential())
    with pytest.raises(ElementError, match="is of O-Ti, the frames are of O-V"):
        train_potential(Frames(SCHEME), VANADIUM, start=toy_potential(system=TITANIUM))


def test_frames_of_another_system(frames):
    with pytest.raises(ElementError, match=r"a frame of VO \(shaken\) is not of O-Ti"):
        train_potential(frames, TITANIUM)


@pytest.mark.parametrize("n", [0, FEWEST_FRAMES - 1])
def test_too_few_frames(frames, n):
    with pytest.raises(InputError, match=f"{n} frames are too few; give at least {FEWEST_FRAMES}"):
        train_potential(Frames("lennard-jones", frames.frames[:n]), VANADIUM)


def test_too_few_frames_within_the_limits(frames):
    with pytest.raises(InputError, match="of 150 frames are within most_energy and most_force"):
        train_potential(frames, VANADIUM, settings=FitSettings(most_force=1e-3))


def test_frames_of_one_element():
    crystal = Structure(Lattice.cubic(2.4), ["V"], [[0, 0, 0]])
    alone = [Frame(crystal, -8.0, np.zeros((1, 3)), np.zeros((3, 3)))] * FEWEST_FRAMES
    with pytest.raises(InputError, match="of one element alone"):
        train_potential(Frames("scale", alone), VANADIUM, shape=SHAPE)


def test_heights_above_the_envelope():
    """Of V, VO, VO2 and O at -1, -3, -2 and 0: VO2 lies above the line from VO to O."""

    def frame(species, energy):
        coords = np.arange(3 * len(species)).reshape(-1, 3) / 10
        crystal = Structure(Lattice.cubic(5), species, coords)
        return Frame(crystal, energy, np.zeros((len(species), 3)), np.zeros((3, 3)))

    energies = [(["V"], -1.0), (["V", "O"], -3.0), (["V", "O", "O"], -1.5), (["O"], 0.0)]
    frames = [frame(*one) for one in [*energies, (["V", "O"], -2.0), (["V"], 0.5)]]
    np.testing.assert_allclose(above_envelope(frames, VANADIUM), [0, 0, 0.5, 0, 1, 1.5], atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch": 0},
        {"batch": 2.5},
        {"seed": -1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"held_out": 1.0},
        {"held_out": -0.1},
        {"most_energy": 0.0},
        {"most_force": float("inf")},
        {"energy_scale": -1.0},
    ],
)
def test_settings_out_of_range(change):
    with pytest.raises(InputError, match=next(iter(change))):
        FitSettings(**change)
