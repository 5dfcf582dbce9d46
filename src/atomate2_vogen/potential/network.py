"""The network of the learned potential: from an atom's surroundings to its energy.

The density of the neighbours of each atom, by element, is expanded in radial functions and real
spherical harmonics up to l = 3; the power spectrum of the coefficients does not change when the
crystal is turned. A small network per element of the central atom gives the atom's energy
(Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007); Bartók, Kondor and Csányi, Phys. Rev. B
87, 184115 (2013)). Forces and stress are exact derivatives. An evaluation takes about a
hundredth of the time that a universal potential takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.potential.neighbours import Batch

import tensorflow as tf  # isort: skip - after the backend has set its environment

HARMONICS = (slice(0, 1), slice(1, 4), slice(4, 9), slice(9, 16))
"""Columns of the harmonics of l = 0 to 3."""

_REPULSION = 20.0  # eV at distance 0, so that no gap in the training data lets atoms overlap
_NARROWEST = 0.9  # Å, centre of the innermost radial function
_WIDEST = 12.0  # Å; an atom of an oxide has some 700 neighbours within it


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of the network.

    Parameters
    ----------
    cutoff
        Å within which atoms are neighbours.
    radial
        Radial functions per element.
    channels
        Mixtures of radial functions and elements that the power spectrum is taken of.
    hidden
        Units of each of the two hidden layers.

    Raises
    ------
    InputError
        If a size is no positive number, or the cutoff too short for radial functions.

    Examples
    --------
    >>> from atomate2_vogen.potential import NetworkShape
    >>> NetworkShape(channels=6).n_features
    90
    """

    cutoff: float = 5.0
    radial: int = 10
    channels: int = 12
    hidden: int = 64

    def __post_init__(self) -> None:
        """Refuse what makes no network."""
        if not (_NARROWEST < self.cutoff <= _WIDEST):
            raise InputError(
                f"cutoff is {self.cutoff!r}; give more than {_NARROWEST} and up to {_WIDEST:g} Å"
            )
        # the largest sizes are for files, whose header could ask for all memory
        for name, least, most in (("radial", 2, 64), ("channels", 1, 64), ("hidden", 1, 1024)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise InputError(f"{name} is {value!r}; give a whole number from {least} to {most}")

    @property
    def n_features(self) -> int:
        """Numbers that describe the surroundings of an atom."""
        pairs = self.channels * (self.channels + 1) // 2
        return len(HARMONICS) * pairs + self.channels


class PotentialNetwork(keras.layers.Layer):
    """Energies, forces and stresses of batches of crystals.

    Parameters
    ----------
    shape
        Sizes.
    closest
        Distances in Å of anion-anion, metal-anion and metal-metal below which atoms repel each
        other whatever the network has learnt.
    seed
        Of the initial weights.
    """

    def __init__(
        self, shape: NetworkShape, closest: tuple[float, float, float], seed: int = 0
    ) -> None:
        super().__init__(name="potential")
        self.shape, self.closest = shape, closest
        rng = np.random.default_rng(seed)
        functions, channels, hidden = 2 * shape.radial, shape.channels, shape.hidden
        n = shape.n_features + 1  # and the share of the anion

        def weight(name: str, dims: Sequence[int], scale: float, *, trained: bool = True) -> Any:
            values = rng.normal(0.0, scale, dims) if scale else np.zeros(dims)
            initial = keras.initializers.Constant(values.astype(np.float32))
            return self.add_weight(name=name, shape=dims, initializer=initial, trainable=trained)

        self.mixing = [
            weight(f"mixing_{ell}", (functions, channels), 3.0 / np.sqrt(functions))
            for ell in range(len(HARMONICS))
        ]
        # one set of weights for each element of the central atom
        self.first = weight("first", (2, n, hidden), 1.0 / np.sqrt(n))
        self.first_bias = weight("first_bias", (2, 1, hidden), 0.0)
        self.second = weight("second", (2, hidden, hidden), 1.0 / np.sqrt(hidden))
        self.second_bias = weight("second_bias", (2, 1, hidden), 0.0)
        self.last = weight("last", (2, hidden, 1), 0.1 / np.sqrt(hidden))
        self.last_bias = weight("last_bias", (2, 1, 1), 0.0)
        self.linear = weight("linear", (2, n, 1), 0.0)
        # set once from the training data
        self.mean = weight("mean", (2, n - 1), 0.0, trained=False)
        self.spread = weight("spread", (2, n - 1), 0.0, trained=False)
        self.spread.assign(np.ones((2, n - 1), dtype=np.float32))
        self.atom_energies = weight("atom_energies", (2,), 0.0, trained=False)
        self.built = True
        rows, columns = np.triu_indices(channels)
        self._pairs = (rows * channels + columns).astype(np.int32)
        self._centres = np.linspace(_NARROWEST, shape.cutoff, shape.radial, dtype=np.float32)

    @property
    def width(self) -> float:
        """Å, of the radial functions."""
        return float(self._centres[1] - self._centres[0])

    def features(self, vectors: Any, is_metal: Any, index: Any, present: Any) -> tuple[Any, Any]:
        """Power spectrum of the surroundings (N, n_features), and the distances in Å (N, k)."""
        # what is not there lies at the cutoff and beyond, where everything is zero
        far = (1.0 - present) * self.shape.cutoff**2
        x, y, z = (vectors[..., axis] for axis in range(3))
        distance = tf.sqrt(x * x + y * y + z * z + 1e-12 + far)
        share = tf.clip_by_value(distance / self.shape.cutoff, 0.0, 1.0)
        smooth = (1 - share) ** 3 * (1 + share) * (1 + 2 * share) * present
        # functions and harmonics come before neighbours: whole rows are written, not single numbers
        from_centre = (distance[:, None, :] - self._centres[:, None]) / self.width
        radial = tf.exp(-(from_centre**2)) * smooth[:, None, :]
        metal = tf.gather(is_metal, index)[:, None, :]
        radial = tf.concat([radial * (1 - metal), radial * metal], axis=1)
        harmonics = _harmonics(x / distance, y / distance, z / distance)
        density = tf.matmul(radial, harmonics, transpose_b=True)
        found = []
        for columns, mixing in zip(HARMONICS, self.mixing, strict=True):
            mixed = tf.einsum("anm,nc->acm", density[:, :, columns], tf.convert_to_tensor(mixing))
            products = tf.matmul(mixed, mixed, transpose_b=True)
            products = tf.reshape(products, (-1, self.shape.channels**2))
            found.append(tf.gather(products, self._pairs, axis=1))
            if columns == HARMONICS[0]:
                found.append(mixed[:, :, 0])
        return tf.concat(found, axis=-1), distance

    def energies(self, strain: Any, batch: Sequence[Any]) -> Any:
        """Energies in eV of strained crystals, shape (b,).

        Parameters
        ----------
        strain
            Symmetric strains, shape (b, 3, 3).
        batch
            Tensors of `Batch.arrays`.
        """
        lattices, positions, is_metal, crystal, index, image, present, n_atoms = batch
        vectors = tf.gather(positions, index) - positions[:, None, :]
        vectors = vectors + tf.matmul(image, tf.gather(lattices, crystal))
        vectors = vectors + tf.matmul(vectors, tf.gather(strain, crystal))
        features, distance = self.features(vectors, is_metal, index, present)
        n_metal = tf.math.unsorted_segment_sum(is_metal, crystal, tf.shape(n_atoms)[0])
        anions = tf.gather(1.0 - 2.0 * n_metal / n_atoms, crystal)
        energy = self._repulsion(distance, is_metal, index, present)
        for element, share in enumerate((1.0 - is_metal, is_metal)):
            scaled = (features - self.mean[element]) / self.spread[element]
            scaled = tf.concat([scaled, anions[:, None]], axis=-1)
            hidden = tf.nn.silu(scaled @ self.first[element] + self.first_bias[element])
            hidden = tf.nn.silu(hidden @ self.second[element] + self.second_bias[element])
            own = hidden @ self.last[element] + self.last_bias[element]
            energy += share * (own + scaled @ self.linear[element])[:, 0]
        anion, metal = self.atom_energies[0], self.atom_energies[1]
        return (
            tf.math.unsorted_segment_sum(energy, crystal, tf.shape(n_atoms)[0])
            + anion * (n_atoms - n_metal)
            + metal * n_metal
        )

    def _repulsion(self, distance: Any, is_metal: Any, index: Any, present: Any) -> Any:
        """Energy per atom of pairs that are closer than any crystal has them."""
        n_metals = tf.gather(is_metal, index) + is_metal[:, None]
        closest = tf.gather(tf.constant(self.closest), tf.cast(n_metals, tf.int32))
        overlap = tf.nn.relu(1.0 - distance / closest)
        return tf.reduce_sum(_REPULSION * present * overlap**2, axis=-1)

    def derivatives(self, batch: Sequence[Any]) -> tuple[Any, Any, Any]:
        """Energies, forces and stresses as tensors.

        Returns
        -------
        tuple
            eV, shape (b,); eV/Å, shape (N, 3); eV/Å³ and positive under tension, shape (b, 3, 3).
        """
        lattices, positions = batch[0], batch[1]
        strain = tf.zeros_like(lattices)
        with tf.GradientTape() as tape:
            tape.watch([positions, strain])
            energy = self.energies(strain, batch)
        by_position, by_strain = tape.gradient(energy, [positions, strain])
        normal = tf.linalg.cross(lattices[:, 0], lattices[:, 1])
        volume = tf.abs(tf.reduce_sum(normal * lattices[:, 2], axis=-1))[:, None, None]
        return energy, -by_position, (by_strain + tf.transpose(by_strain, (0, 2, 1))) / (2 * volume)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, 3, 3), tf.float32),
            tf.TensorSpec((None, 3), tf.float32),
            tf.TensorSpec((None,), tf.float32),
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None, None, 3), tf.float32),
            tf.TensorSpec((None, None), tf.float32),
            tf.TensorSpec((None,), tf.float32),
        ]
    )
    def _graph(self, *batch: Any) -> tuple[Any, Any, Any]:
        return self.derivatives(batch)

    def evaluate(self, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Energies, forces and stresses of a batch.

        Parameters
        ----------
        batch
            Crystals; the cutoff of their neighbour lists is `NetworkShape.cutoff` or larger.

        Returns
        -------
        tuple of numpy.ndarray
            As `derivatives`, in double precision.
        """
        return tuple(np.asarray(one, dtype=float) for one in self._graph(*batch.arrays()))  # type: ignore[return-value]


def closest_distances(system: OxideSystem) -> tuple[float, float, float]:
    """Minimum distances of anion-anion, metal-anion and metal-metal in Å."""
    metal, anion = system.metal, system.anion
    return (
        system.minimum_distance(anion, anion),
        system.minimum_distance(metal, anion),
        system.minimum_distance(metal, metal),
    )


def _harmonics(x: Any, y: Any, z: Any) -> Any:
    """Real spherical harmonics of l = 0 to 3 of unit vectors (N, k), shape (N, 16, k).

    Those of one l have the squares' sum 1, so that the power spectra of all l are of one size.
    """
    xx, yy, zz = x * x, y * y, z * z
    root = {n: float(np.sqrt(n)) for n in (3, 5 / 8, 15, 3 / 8)}
    rows = [
        tf.ones_like(x),
        x,
        y,
        z,
        root[3] * x * y,
        root[3] * y * z,
        (3 * zz - 1) / 2,
        root[3] * x * z,
        root[3] / 2 * (xx - yy),
        root[5 / 8] * y * (3 * xx - yy),
        root[15] * x * y * z,
        root[3 / 8] * y * (5 * zz - 1),
        z * (5 * zz - 3) / 2,
        root[3 / 8] * x * (5 * zz - 1),
        root[15] / 2 * z * (xx - yy),
        root[5 / 8] * x * (xx - 3 * yy),
    ]
    return tf.stack(rows, axis=1)
