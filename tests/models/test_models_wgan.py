"""The adversarial part: who is updated, what is clipped, what the losses are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_model import eager

from atomate2_vogen.errors import InputError, TrainingError
from atomate2_vogen.models.networks import wgan
from atomate2_vogen.models.networks.backend import keras, run
from atomate2_vogen.models.networks.energy import build_energy
from atomate2_vogen.models.training import adversarial

LATENT, CONDITION = 30, 7


@pytest.fixture
def parts(tiny):
    keras.utils.set_random_seed(0)
    return {
        "generator": wgan.build_generator(tiny.wgan, LATENT, CONDITION),
        "critic": wgan.build_critic(tiny.wgan, LATENT, CONDITION, "critic"),
        "twin": wgan.build_critic(tiny.wgan, LATENT, CONDITION, "twin"),
        "energy": build_energy(tiny.energy, LATENT, CONDITION),
    }


@pytest.fixture
def batch(tiny):
    rng = np.random.default_rng(0)
    shapes = {"noise": tiny.wgan.noise, "real": LATENT, "fake": LATENT, "condition": CONDITION}
    return {name: rng.normal(size=(16, n)).astype("f4") for name, n in shapes.items()}


def _weights(network):
    return [weight.copy() for weight in network.get_weights()]


def _changed(before, network):
    return any((a != b).any() for a, b in zip(before, network.get_weights(), strict=True))


def test_critic_loss_is_the_difference_of_mean_scores_plus_l2(parts, batch):
    update = wgan.CriticUpdate(parts["critic"])
    inputs = (batch["real"], batch["fake"], batch["condition"])
    pred = update(inputs, training=False)
    real = np.asarray(parts["critic"]([batch["real"], batch["condition"]]))
    fake = np.asarray(parts["critic"]([batch["fake"], batch["condition"]]))
    l2 = 1e-5 * sum((w**2).sum() for w in parts["critic"].get_weights() if w.ndim > 1)
    expected = fake.mean() - real.mean() + l2
    assert float(update.compute_loss(y_pred=pred)) == pytest.approx(expected, abs=1e-6)


def test_critic_learns_and_stays_clipped(parts, batch, tiny):
    update = wgan.CriticUpdate(parts["critic"])
    update.compile(optimizer=keras.optimizers.RMSprop(0.01), jit_compile=False)
    inputs = (batch["real"] + 1, batch["fake"] - 1, batch["condition"])
    losses = [float(np.ravel(update.train_on_batch(inputs))[0]) for _ in range(8)]
    assert losses[-1] < losses[0]
    kernels = [w for w in parts["critic"].get_weights() if w.ndim > 1]
    limits = [tiny.wgan.clip / np.sqrt(np.prod(w.shape[:-1])) for w in kernels]
    shares = [np.abs(w).max() / limit for w, limit in zip(kernels, limits, strict=True)]
    # some weights want to grow further, none may
    assert max(shares) == pytest.approx(1)


def test_composite_moves_the_generator_alone(parts, batch):
    composite = wgan.Composite(parts["generator"], parts["twin"], parts["energy"], 0.5)
    composite.compile(optimizer=keras.optimizers.RMSprop(0.01), jit_compile=False)
    composite.follow(parts["critic"], 3.0)
    assert float(composite.scale) == pytest.approx(0.95 + 0.05 * 3)
    before = {name: _weights(network) for name, network in parts.items()}
    for _ in range(2):
        composite.train_on_batch((batch["noise"], batch["condition"]))
    assert _changed(before["generator"], parts["generator"])
    for name in ("critic", "twin", "energy"):
        assert not _changed(before[name], parts[name])
    for twin, critic in zip(
        parts["twin"].get_weights(), parts["critic"].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(twin, critic)


def test_composite_loss_is_energy_minus_score(parts, batch):
    composite = wgan.Composite(parts["generator"], parts["twin"], parts["energy"], 0.5)
    pred = composite((batch["noise"], batch["condition"]), training=False)
    (fake,) = run(parts["generator"], [batch["noise"], batch["condition"]])
    score = run(parts["twin"], [fake, batch["condition"]])[0].mean()
    energy = run(parts["energy"], [fake, batch["condition"]])[0][:, 0].mean()
    composite.scale.assign(2.0)
    got = float(composite.compute_loss(y_pred=pred))
    assert got == pytest.approx(0.5 * energy - score / 2, abs=1e-6)


def test_targets_are_drawn_evenly():
    formulas = np.array(["A"] * 90 + ["B"] * 8 + ["C"] * 2)
    chance = wgan.draw_probabilities(formulas, ("A", "C", "absent"), 0.5, np.zeros(100))
    assert chance.sum() == pytest.approx(1)
    assert chance[formulas == "C"].sum() == pytest.approx(0.25 + 0.5 * 0.02)
    assert chance[formulas == "B"].sum() == pytest.approx(0.5 * 0.08)
    even = wgan.draw_probabilities(formulas, ("absent",), 0.5, np.zeros(100))
    np.testing.assert_allclose(even, 0.01)


def test_low_energies_are_drawn_as_boltzmann_says():
    formulas = np.array(["A", "A", "A", "B", "B", "C"])
    energies = np.array([-8.0, -7.8, np.nan, -5.0, 95.0, np.nan])
    costs = wgan.boltzmann_costs(formulas, energies, 0.2)
    np.testing.assert_allclose(costs, [0, 1, 20, 0, 20, 20])
    chance = wgan.draw_probabilities(formulas, ("A",), 1.0, costs)
    np.testing.assert_allclose(chance[1] / chance[0], np.exp(-1))
    assert chance[3:].sum() == 0
    assert (wgan.boltzmann_costs(formulas, energies, 0.0) == 0).all()


def test_divergence_is_an_error(tiny, parts):
    rng = np.random.default_rng(0)
    means = rng.normal(size=(20, LATENT)).astype("f4")
    means[3] = np.nan
    preset = replace(tiny.wgan, steps=2)
    with eager(), pytest.raises(TrainingError, match="WGAN diverged"):
        adversarial.fit_wgan(
            preset,
            parts["energy"],
            means,
            np.ones_like(means),
            np.zeros((20, CONDITION), "f4"),
            chance=np.full(20, 1 / 20),
            seed=0,
        )


class _Linear(keras.Model):
    """Scores a·x: the same slope everywhere."""

    def __init__(self, slope):
        super().__init__()
        self.slope = np.asarray(slope, "f4")[:, None]

    def call(self, inputs, training=None):
        return keras.ops.matmul(inputs[0], self.slope)


@pytest.mark.parametrize(("size", "expected"), [(0.5, 0.0), (1.0, 0.0), (3.0, 2 * (3 - 1) ** 2)])
def test_lipschitz_penalty_of_a_linear_critic(size, expected):
    """Along its gradient and over all directions a linear critic has one slope, its own."""
    slope = size * np.ones(4) / 2
    update = wgan.CriticUpdate(_Linear(slope), penalty="lipschitz", weight=10.0, seed=1)
    rng = np.random.default_rng(0)
    fake = rng.normal(size=(20_000, 4)).astype("f4")
    real = (fake + 100 * slope / size * rng.normal(size=(20_000, 1))).astype("f4")
    condition = np.zeros((20_000, 2), "f4")
    scores = update((real, fake, condition), training=True)
    assert float(scores[2]) == pytest.approx(expected, rel=0.03, abs=2e-3)
    bare = update.compute_loss(y_pred=scores[:2])
    whole = update.compute_loss(y_pred=scores)
    assert float(whole - bare) == pytest.approx(10 * float(scores[2]), rel=1e-3, abs=1e-3)


def test_lipschitz_penalty_across_the_gradient_sees_it_too():
    """Where real and generated differ across the slope, only random directions see it."""
    update = wgan.CriticUpdate(_Linear([3.0, 0, 0, 0]), penalty="lipschitz", seed=1)
    rng = np.random.default_rng(0)
    fake = rng.normal(size=(20_000, 4)).astype("f4")
    real = fake + np.array([0, 5, 0, 0], "f4")
    scores = update((real, fake, np.zeros((20_000, 2), "f4")), training=True)
    np.testing.assert_allclose(*scores[:2], rtol=1e-5)
    assert float(scores[2]) == pytest.approx(4, rel=0.06)


def test_lipschitz_penalty_holds_the_critic_back(tiny, batch):
    """Trained to tell two clouds apart, the critic's slopes stay near one."""
    keras.utils.set_random_seed(0)
    inputs = (batch["real"] + 1, batch["fake"] - 1, batch["condition"])
    steepest = {}
    for weight in (0.0, 10.0):
        preset = replace(tiny.wgan, penalty="lipschitz", dropout=0.0)
        critic = wgan.build_critic(preset, LATENT, CONDITION, "critic")
        assert all(layer.kernel_constraint is None for layer in critic.layers[3:4])
        update = wgan.CriticUpdate(critic, penalty="lipschitz", weight=weight)
        update.compile(optimizer=keras.optimizers.RMSprop(3e-3), jit_compile=False)
        for _ in range(40):
            update.train_on_batch(inputs)
        pair = [run(critic, [points, inputs[2]])[0][:, 0] for points in inputs[:2]]
        apart = np.linalg.norm(inputs[0] - inputs[1], axis=1)
        steepest[weight] = (np.abs(pair[0] - pair[1]) / apart).max()
    assert steepest[0.0] > 2
    assert steepest[10.0] < 1.3


def test_plain_gan_losses_are_cross_entropies(parts, batch):
    truth = keras.losses.BinaryCrossentropy(from_logits=True)
    inputs = (batch["real"], batch["fake"], batch["condition"])
    update = wgan.CriticUpdate(parts["critic"], "gan")
    real, fake = update(inputs, training=False)
    l2 = 1e-5 * sum((w**2).sum() for w in parts["critic"].get_weights() if w.ndim > 1)
    expected = float(truth(np.ones((16, 1)), real)) + float(truth(np.zeros((16, 1)), fake)) + l2
    assert float(update.compute_loss(y_pred=(real, fake))) == pytest.approx(expected, rel=1e-5)
    composite = wgan.Composite(parts["generator"], parts["twin"], parts["energy"], 0.5, loss="gan")
    pred = composite((batch["noise"], batch["condition"]), training=False)
    composite.scale.assign(7.0)  # units of a Wasserstein score: of no meaning here
    expected = float(truth(np.ones((16, 1)), pred[0])) + 0.5 * float(np.mean(pred[1]))
    assert float(composite.compute_loss(y_pred=pred)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("loss", "penalty"), [("gan", "none"), ("wasserstein", "lipschitz")])
def test_options_train(tiny, parts, loss, penalty):
    rng = np.random.default_rng(0)
    preset = replace(tiny.wgan, steps=2, loss=loss, penalty=penalty)
    means = rng.normal(size=(20, LATENT)).astype("f4")
    with eager():
        _, critic, history = adversarial.fit_wgan(
            preset,
            parts["energy"],
            means,
            np.full_like(means, 0.1),
            np.zeros((20, CONDITION), "f4"),
            chance=np.full(20, 1 / 20),
            seed=0,
        )
    assert np.isfinite(history["critic"]).all()
    if loss == "gan":
        assert min(history["critic"]) > 0
    assert any(np.abs(w).max() > tiny.wgan.clip / w.shape[0] ** 0.5 for w in critic.get_weights())


def test_losses_and_penalties_by_name(tiny):
    for change in ({"loss": "hinge"}, {"penalty": "gradient"}, {"penalty": "none"}):
        with pytest.raises(InputError, match=r"wgan\.(loss|penalty)"):
            replace(tiny.wgan, **change)
