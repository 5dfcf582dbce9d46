"""The whole training on a slice of the data set, and each network's own promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_model import eager

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.ends import find_ends
from atomate2_vogen.data.relaxed import Record, RelaxedSet, crystal_key
from atomate2_vogen.errors import GridError, TrainingError
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.energy import EnergyScale
from atomate2_vogen.models.networks.memory import UNUSED
from atomate2_vogen.models.networks.vae import VAE
from atomate2_vogen.models.training import assessment, augmentation, crystal_pool, fitting
from atomate2_vogen.models.training import pipeline as training
from atomate2_vogen.models.training.setup import make_setup
from atomate2_vogen.models.training.trained_stage import stages_of
from atomate2_vogen.voxels.codec import VoxelCodec


@pytest.fixture
def vae(trained, crystals, tiny):
    """The autoencoders of the trained model as a stage."""
    stage, energy = stages_of(trained.model)
    assert (stage.preset, stage.dataset_id) == (tiny, crystals.dataset_id)
    assert energy.parent == stage.model_id
    assert EnergyScale.from_dict(energy.numbers) == trained.model.energy_scale
    return replace(stage, metrics={"n_train": trained.metrics["n_train"]})


def relaxation(start, end, start_energy, energy, source="substitution"):
    """A made-up relaxation between two structures with the same order of sites."""
    return Record(
        key=crystal_key(start),
        source=source,
        numbers=list(start.atomic_numbers),
        start_lattice=start.lattice.matrix.tolist(),
        start_coords=start.frac_coords.tolist(),
        lattice=end.lattice.matrix.tolist(),
        coords=end.frac_coords.tolist(),
        start_energy=start_energy,
        energy=energy,
        converged=True,
    )


def strained_ends(crystals):
    """Made-up relaxations: a little larger, 2 eV/atom lower."""
    records = []
    for index in np.flatnonzero(crystals.is_distinct).tolist():
        start, energy = crystals.structure(index), float(crystals.energies[index])
        end = start.apply_strain(0.02, inplace=False)
        records.append(relaxation(start, end, energy, energy - 2.0))
    return RelaxedSet.from_records(records)


def test_history_has_every_network_and_epoch(trained, tiny):
    history = trained.history
    assert len(history["sites"]["reconstruction"]) == tiny.sites.epochs
    assert len(history["lattice"]["val_reconstruction"]) == tiny.lattice.epochs
    assert len(history["energy"]["mae"]) == tiny.energy.epochs
    assert len(history["wgan"]["critic"]) == tiny.wgan.steps
    assert history["sites"]["reconstruction"][-1] < history["sites"]["reconstruction"][0]
    # annealing: half the weight in the first of two epochs, all of it from then on
    np.testing.assert_allclose(
        history["sites"]["beta"], np.array([0.5, 1, 1, 1]) * tiny.sites.beta, rtol=1e-6
    )
    assert trained.metrics["test_energy_n"] > 0
    assert 0 <= trained.metrics["test_match"] <= trained.metrics["test_exact_composition"] <= 1
    assert set(trained.seconds) >= {"sites", "lattice", "energy", "wgan"}
    assert 0.1 < trained.peak_memory < 8


def test_critic_of_the_trained_model_is_clipped(trained, tiny):
    for kernel in trained.model.networks["critic"].get_weights():
        if kernel.ndim > 1:
            limit = tiny.wgan.clip / np.sqrt(np.prod(kernel.shape[:-1]))
            assert np.abs(kernel).max() <= limit * (1 + 1e-6)


def test_relaxations_teach_energy_network_and_generator(crystals, tiny, vae):
    """Ends are learned where the preset asks for them; the autoencoders stay the same."""
    preset = replace(tiny, relaxed=True, wgan=replace(tiny.wgan, memory=400, temperature=0.5))
    with pytest.raises(TrainingError, match=r"preset tiny learns from relaxed crystals.*O-V"):
        training.train_wgan(crystals, preset, 3, vae=vae)
    relaxed = strained_ends(crystals)
    with eager():
        result = training.train_wgan(crystals, preset, 3, vae=vae, relaxations=relaxed)
    assert result.metrics["test_energy_n"] > 0
    assert result.metrics["test_energy_of_ends_n"] > 0
    assert result.metrics["test_energy_as_it_stands_n"] >= result.metrics["test_energy_n"]
    ends = find_ends(crystals, relaxed)
    assert result.model.provenance["ends_id"] == ends.ends_id
    # the target is the relaxed energy, 2 eV/atom below the one of the crystal as it stands
    line = result.model.energy_scale.line(crystals.counts)
    above = ends.energies - line
    assert abs(np.nanmedian(above)) < 0.5
    stored = np.asarray(result.model.networks["generator"].get_layer("memory").counts)
    assert (stored < UNUSED).all(axis=1).sum() > result.metrics["n_train"]


def test_random_relaxations_teach_the_energy_network_alone(crystals, tiny, vae, monkeypatch):
    """A generator that repeated them would be credited with what a random search found.

    And the energy that crystals relax to is learned from those that resemble prototypes.
    """
    preset = replace(tiny, relaxed=True, energy=replace(tiny.energy, epochs=1))
    known = strained_ends(crystals)
    index = int(np.flatnonzero(crystals.is_distinct & (crystals.splits == "train"))[0])
    start = crystals.structure(index).apply_strain(0.06, inplace=False)
    random = relaxation(start, start, -1.0, -2.0, source="random")
    more = RelaxedSet.from_records([*known.records(), random])
    setups = [make_setup(crystals, preset, 3, None, None, relaxations=r) for r in (known, more)]
    assert len(setups[1].labelled) == len(setups[0].labelled) + 2
    assert np.isnan(setups[1].labelled.relaxed[-2:]).all()
    assert setups[1].labelled.energies[-2:].tolist() == [-1.0, -2.0]

    class Reached(Exception):
        pass

    def stop(_preset, _energy, means, *_, chance, **__):
        raise Reached(len(means), len(chance))

    monkeypatch.setattr(training, "fit_wgan", stop)
    with eager(), pytest.raises(Reached) as reached:
        training.train_wgan(crystals, preset, 3, vae=vae, relaxations=more)
    n = len(setups[0].learned("train")[0])
    assert n == len(setups[0].labelled)
    assert reached.value.args == (n, n)


def test_cells_are_counted_by_formula_units():
    formulas = np.array(["VO2", "VO2", "V2O5"])
    cells = training._cells(formulas, np.array([[2, 4], [4, 8], [4, 10]]), VANADIUM)
    assert cells == {"V2O5": {2: 1}, "VO2": {2: 1, 4: 1}}


def test_unlabelled_data_are_refused(crystals, tiny):
    bare = crystals.select(np.arange(50))
    bare.energies[:] = np.nan
    with pytest.raises(TrainingError, match="label"):
        training.train_wgan(bare, tiny)


def test_blank_boxes_are_refused(tiny):
    long = replace(tiny.sites, steps=300, epochs=2)
    with pytest.raises(TrainingError, match=r"blank.*0\.31"):
        assessment.check_gate(0.31, long)
    assessment.check_gate(0.51, long)
    # too short a training to judge
    assessment.check_gate(0.0, tiny.sites)


def test_untrained_boxes_are_blank(crystals, tiny):
    codec = VoxelCodec(VANADIUM, n_sites=16, n_lattice=16)
    pool = crystal_pool.make_pool(crystals, "train", tiny, codec).take(np.arange(4))
    grids = crystal_pool.sites_grids(pool, 16, codec.sigma_sites)
    assert assessment.peak_height(VAE(tiny.sites, 2, "sites"), pool, grids, codec) < 0.5


def test_divergence_is_an_error(tiny):
    vae = VAE(tiny.lattice, 1, "lattice")
    weights = vae.get_weights()
    vae.set_weights([np.full_like(w, np.nan) for w in weights])
    grids = np.zeros((4, 16, 16, 16, 1), "f4")

    class Same(augmentation.GridBatches):
        def __getitem__(self, index):
            return (grids,)

    with eager(), pytest.raises(TrainingError, match="lattice network diverged"):
        fitting.fit_vae(vae, Same(None, replace(tiny.lattice, steps=1), 0), grids)


def test_loss_is_reconstruction_plus_beta_times_kl(tiny):
    keras.utils.set_random_seed(0)
    vae = VAE(tiny.lattice, 1, "lattice")
    vae.beta.assign(0.7)
    boxes = np.random.default_rng(0).random((3, 16, 16, 16, 1)).astype("f4")
    logits, mean, log_variance = (np.asarray(o, float) for o in vae(boxes, training=False))
    x = np.asarray(vae.fold(boxes))  # the logits stay folded in training
    p = 1 / (1 + np.exp(-logits))
    bce = -(x * np.log(p) + (1 - x) * np.log1p(-p)).sum() / 3
    kl = -0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)).sum() / 3
    loss = float(vae.compute_loss(boxes, y_pred=vae(boxes, training=False)))
    assert loss == pytest.approx(bce + 0.7 * kl, rel=1e-4)
    # inference uses the mean: no noise
    np.testing.assert_array_equal(vae(boxes, training=False)[0], vae(boxes, training=False)[0])


@pytest.mark.slow
def test_a_handful_of_crystals_is_learned_by_heart(crystals, tiny):
    """The box is not blank: atoms come back where they were, with nothing told."""
    keras.utils.set_random_seed(0)
    codec = VoxelCodec(VANADIUM, n_sites=16, n_lattice=16)
    pool = crystal_pool.make_pool(crystals, "train", tiny, codec)
    preset = replace(
        tiny.sites, steps=100, epochs=2, batch=8, beta=1e-3, learning_rate=5e-3, patience=9
    )
    # at 16³ only crystals whose atoms are well apart can be told from the grid at all
    readable = []
    for i in range(len(pool)):
        one = pool.take(np.array([i]))
        grid = crystal_pool.sites_grids(one, 16, codec.sigma_sites)[0]
        try:
            numbers = codec.decode_sites(grid)[1]
        except GridError:
            continue
        if len(numbers) == one.counts.sum():
            readable.append(i)
    pool = pool.take(np.array(readable[:6]))
    grids = crystal_pool.sites_grids(pool, 16, codec.sigma_sites)

    class Same(augmentation.GridBatches):
        def __getitem__(self, index):
            return (np.concatenate([grids, grids[:2]]),)

    vae = VAE(preset, 2, "sites")
    history = fitting.fit_vae(vae, Same(pool, preset, 0), grids)
    assert history["kl"][-1] < 1e4
    decoded = vae.decode(vae.encode(grids)[0])
    for i in range(len(pool)):
        coords, numbers, _ = codec.decode_sites(decoded[i])
        assert np.bincount(numbers, minlength=24)[[23, 8]].tolist() == pool.counts[i].tolist()
        for channel, z in enumerate(VANADIUM.atomic_numbers):
            truth = pool.coords[i][pool.channels[i] == channel]
            gaps = truth[:, None] - coords[numbers == z]
            gaps -= np.round(gaps)
            assert np.linalg.norm(gaps, axis=-1).min(axis=1).max() < 0.05


def test_projection_is_the_encoding_of_what_is_read(trained, crystals):
    """A box that holds a crystal projects to the latent of that crystal."""
    model = trained.model
    pool = crystal_pool.make_pool(crystals, "train", model.preset, model.codec)
    sites = crystal_pool.sites_grids(pool, 16, model.codec.sigma_sites)
    whole = []
    for grid, counts in zip(sites, pool.counts.tolist(), strict=True):
        try:
            numbers = model.codec.decode_sites(grid)[1]
        except GridError:
            numbers = np.empty(0)
        whole.append(len(numbers) == sum(counts))
    chosen = np.flatnonzero(whole)[:4]
    pool, sites = pool.take(chosen), sites[chosen]
    encoded = model.encode(sites, crystal_pool.lattice_grids(pool, model.codec))
    cut = model.preset.sites.latent
    start = np.ones_like(encoded)
    latents, moved = model.project(start, sites, pool.counts)
    assert moved.all()
    np.testing.assert_allclose(latents[:, :cut], encoded[:, :cut], atol=0.02)
    np.testing.assert_array_equal(latents[:, cut:], 1)
    # a blank box has nothing to read: its latent stays
    latents, moved = model.project(start, np.zeros_like(sites), pool.counts)
    assert not moved.any()
    np.testing.assert_array_equal(latents, start)
