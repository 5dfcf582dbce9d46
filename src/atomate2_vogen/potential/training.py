"""Training of the learned potential on frames of one energy model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import ElementError, InputError, SchemeMismatchError
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.potential.frames import Frame, Frames
from atomate2_vogen.potential.neighbours import Batch, Cell, NeighbourList
from atomate2_vogen.potential.network import (
    NetworkShape,
    PotentialNetwork,
    closest_distances,
)
from atomate2_vogen.potential.potential import Potential, as_cell

import tensorflow as tf  # isort: skip - after the backend has set its environment

FEWEST_FRAMES = 100
"""Frames below which a potential would only repeat them."""


@dataclass(frozen=True)
class FitSettings:
    """How a potential is fitted.

    Parameters
    ----------
    epochs
        Passes through the frames.
    batch
        Frames per step.
    learning_rate
        At the start; it falls as half a cosine.
    held_out
        Share of the frames that is not trained on, for the errors in the report.
    most_energy, most_force
        Frames higher than this above the lower envelope of the frames' energies (eV/atom), or
        with a larger force (eV/Å), are left out.
    energy_scale
        Energy above the envelope in eV/atom at which a frame counts about a third.
    seed
        Of weights, division and order.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> from atomate2_vogen.potential import FitSettings
    >>> FitSettings(epochs=20).batch
    24
    """

    epochs: int = 60
    batch: int = 24
    learning_rate: float = 4e-3
    held_out: float = 0.05
    most_energy: float = 4.0
    most_force: float = 30.0
    energy_scale: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no fit can be made with."""
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; give a whole number from {least} on")
        for name in ("learning_rate", "most_energy", "most_force", "energy_scale"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name} is {getattr(self, name)!r}; give a positive number")
        if not 0 <= self.held_out < 1:
            raise InputError(f"held_out is {self.held_out!r}; give a share from 0 to below 1")


@dataclass
class FitReport:
    """Errors of a potential on frames that it was not trained on.

    Parameters
    ----------
    n_frames, n_held_out
        Frames trained on, and kept apart.
    low_energy_rmse, energy_mae
        eV/atom: of the frames within 0.5 eV/atom of the envelope, and of all.
    force_mae
        eV/Å, of all.
    epochs
        Mean losses of each epoch: energy (eV/atom), forces (eV/Å), stress (eV/Å³), as roots.
    cpu_time
        Seconds of the process.

    Examples
    --------
    >>> from atomate2_vogen.potential import FitReport
    >>> FitReport(n_frames=950, n_held_out=50, energy_mae=0.02).energy_mae
    0.02
    """

    n_frames: int
    n_held_out: int
    low_energy_rmse: float = float("nan")
    energy_mae: float = float("nan")
    force_mae: float = float("nan")
    epochs: list[list[float]] = field(default_factory=list)
    cpu_time: float = 0.0


Progress = Callable[[int, int, Sequence[float]], None]
"""Called after each epoch with its number, how many there are, and its losses."""


def train_potential(
    frames: Frames,
    system: OxideSystem,
    *,
    settings: FitSettings | None = None,
    shape: NetworkShape | None = None,
    start: Potential | None = None,
    progress: Progress | None = None,
) -> tuple[Potential, FitReport]:
    """Fit a potential to energies, forces and stresses.

    Parameters
    ----------
    frames
        What to fit.
    system
        Oxide system of all of them.
    settings
        How to fit.
    shape
        Sizes of the network.
    start
        Potential of the same scheme to go on from; its sizes are kept.
    progress
        Called after each epoch.

    Returns
    -------
    tuple
        The potential, and its errors on the frames held out.

    Raises
    ------
    InputError
        If there are too few frames, or one of the elements is in none of them.
    ElementError
        If a frame, or the start, is of another system.
    SchemeMismatchError
        If the start is of another scheme.

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.potential import FitSettings, Frame, Frames, train_potential
    >>> frames = Frames("springs")
    >>> for length in np.linspace(2.4, 2.8, 100):
    ...     crystal = Structure(
    ...         Lattice.cubic(length), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ...     )
    ...     energy = (length - 2.6) ** 2
    ...     stress = np.eye(3) * 4 / 3 * (length - 2.6) / length**2
    ...     frames.frames.append(Frame(crystal, energy, np.zeros((2, 3)), stress))
    >>> potential, report = train_potential(frames, VANADIUM, settings=FitSettings(epochs=2))
    >>> potential.scheme, report.n_frames, report.n_held_out
    ('springs', 95, 5)
    """
    settings = settings or FitSettings()
    for frame in frames.frames:
        if not {one.symbol for one in frame.structure.composition} <= set(system.elements):
            formula = frame.structure.composition.reduced_formula
            raise ElementError(f"a frame of {formula} ({frame.source}) is not of {system.chemsys}")
    if start is not None and start.system.chemsys != system.chemsys:
        raise ElementError(
            f"the potential to go on from is of {start.system.chemsys}, the frames are of "
            f"{system.chemsys}"
        )
    if start is not None and start.scheme != frames.scheme:
        raise SchemeMismatchError(
            f"the potential to go on from is of {start.scheme}, the frames are of {frames.scheme}"
        )
    if len(frames) < FEWEST_FRAMES:
        raise InputError(f"{len(frames)} frames are too few; give at least {FEWEST_FRAMES}")
    begin = time.process_time()
    heights = above_envelope(frames.frames, system)
    kept = [
        number
        for number, frame in enumerate(frames.frames)
        if heights[number] <= settings.most_energy
        and np.abs(frame.forces).max() <= settings.most_force
    ]
    if len(kept) < FEWEST_FRAMES:
        raise InputError(
            f"{len(kept)} of {len(frames)} frames are within most_energy and most_force; give at "
            f"least {FEWEST_FRAMES} of these"
        )
    rng = np.random.default_rng(settings.seed)
    order = rng.permutation(kept)
    n_apart = int(settings.held_out * len(order))
    apart, trained = order[:n_apart], order[n_apart:]
    shape = start.network.shape if start else shape or NetworkShape()
    network = PotentialNetwork(shape, closest_distances(system), settings.seed)
    data = _Data.of(frames.frames, heights, system, shape.cutoff, settings)
    if start is None:
        _set_scales(network, data, trained)
    else:
        for variable, value in zip(network.weights, start.network.weights, strict=True):
            variable.assign(value)
    report = FitReport(len(trained), len(apart))
    fit = _Fit(network, settings, settings.epochs * _n_steps(len(trained), settings))
    for epoch in range(settings.epochs):
        chunks = np.array_split(rng.permutation(trained), _n_steps(len(trained), settings))
        losses = [fit.step(data.batch(chunk)) for chunk in chunks]
        report.epochs.append(np.sqrt(np.mean(losses, axis=0)).tolist())
        if progress:
            progress(epoch + 1, settings.epochs, report.epochs[-1])
    potential = Potential(network, system, frames.scheme)
    _assess(network, data, apart, report)
    report.cpu_time = time.process_time() - begin
    return potential, report


def above_envelope(frames: Sequence[Frame], system: OxideSystem) -> np.ndarray:
    """Energy of each frame above the lower convex envelope of all over composition, eV/atom.

    The envelope of the frames themselves, not of reference phases: nothing but frames is needed.
    """
    shares = np.array(
        [frame.structure.composition.get_atomic_fraction(system.anion) for frame in frames]
    )
    energies = np.array([frame.energy for frame in frames])
    lowest: dict[float, float] = {}
    for share, energy in zip(np.round(shares, 6).tolist(), energies.tolist(), strict=True):
        lowest[share] = min(lowest.get(share, np.inf), energy)
    corners: list[tuple[float, float]] = []
    for point in sorted(lowest.items()):
        while len(corners) > 1 and not _is_convex(corners[-2], corners[-1], point):
            corners.pop()
        corners.append(point)
    across, heights = np.array(corners).T
    return np.asarray(energies - np.interp(shares, across, heights))


def _is_convex(
    first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]
) -> bool:
    slope = (last[1] - first[1]) / (last[0] - first[0])
    return middle[1] < first[1] + slope * (middle[0] - first[0])


@dataclass
class _Data:
    """Frames as arrays, with their neighbour lists."""

    cells: list[Cell]
    lists: list[NeighbourList]
    energies: np.ndarray
    forces: list[np.ndarray]
    stresses: np.ndarray
    heights: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls,
        frames: Sequence[Frame],
        heights: np.ndarray,
        system: OxideSystem,
        cutoff: float,
        settings: FitSettings,
    ) -> _Data:
        cells = [as_cell(frame.structure, system) for frame in frames]
        weights = (1.0 + np.maximum(heights, 0.0) / settings.energy_scale) ** -1.5 + 0.03
        return cls(
            cells,
            [NeighbourList.of(cell, cutoff) for cell in cells],
            np.array([frame.energy for frame in frames], dtype=np.float32),
            [np.asarray(frame.forces, dtype=np.float32) for frame in frames],
            np.array([frame.stress for frame in frames], dtype=np.float32),
            heights,
            weights.astype(np.float32),
        )

    def batch(self, rows: np.ndarray) -> list[np.ndarray]:
        """Arrays of `Batch`, then energies, forces, stresses and weights."""
        numbers = rows.tolist()
        joined = Batch.of([self.cells[i] for i in numbers], [self.lists[i] for i in numbers])
        forces = np.concatenate([self.forces[i] for i in numbers])
        return [
            *joined.arrays(),
            self.energies[rows],
            forces,
            self.stresses[rows],
            self.weights[rows],
        ]


def _n_steps(n_frames: int, settings: FitSettings) -> int:
    return max(1, n_frames // settings.batch)


def _set_scales(network: PotentialNetwork, data: _Data, rows: np.ndarray) -> None:
    """Energies of the atoms by least squares; mean and spread of the features by element."""
    sizes = np.array(
        [[np.sum(~data.cells[i].is_metal), np.sum(data.cells[i].is_metal)] for i in rows]
    )
    per_atom = sizes / sizes.sum(axis=1, keepdims=True)
    weights = data.weights[rows][:, None]
    atoms = np.linalg.lstsq(per_atom * weights, data.energies[rows] * weights[:, 0], rcond=None)[0]
    network.atom_energies.assign(atoms.astype(np.float32))
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for row in rows[:1500].tolist():
        batch = Batch.of([data.cells[row]], [data.lists[row]])
        apart = batch.positions[batch.index] - batch.positions[:, None, :]
        apart = apart + batch.image @ batch.lattices[0]
        features, _ = network.features(apart, batch.is_metal, batch.index, batch.present)
        for element in (0, 1):
            found[element].append(np.asarray(features)[batch.is_metal == element])
    joined = [np.concatenate(one) for one in found]
    if not all(len(one) for one in joined):
        raise InputError("the frames are of one element alone; add some of compounds")
    network.mean.assign(np.array([one.mean(axis=0) for one in joined]))
    network.spread.assign(np.array([1.5 * one.std(axis=0) + 0.01 for one in joined]))


def _huber(difference: Any, width: float) -> Any:
    """Square of small differences, linear in large ones (pseudo-Huber)."""
    return 2 * width**2 * (tf.sqrt(1.0 + (difference / width) ** 2) - 1.0)


class _Fit:
    """One optimiser and its step."""

    def __init__(self, network: PotentialNetwork, settings: FitSettings, steps: int) -> None:
        self._network = network
        rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps, alpha=0.005)
        self._optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-5, clipnorm=1.0)
        self._optimizer.build(network.trainable_variables)
        # a graph of its own: a later fit has another network
        self._graph = tf.function(self._step, reduce_retracing=True)

    def step(self, arrays: Sequence[np.ndarray]) -> list[float]:
        """Losses of energies, forces and stresses before the step."""
        return [float(loss) for loss in self._graph(*[tf.constant(array) for array in arrays])]

    def _step(self, *arrays: Any) -> tuple[Any, Any, Any]:
        *batch, energies, forces, stresses, weights = arrays
        crystal, n_atoms = batch[3], batch[7]
        with tf.GradientTape() as tape:
            energy, force, stress = self._network.derivatives(batch)
            by_energy = tf.reduce_mean(weights * _huber(energy / n_atoms - energies, 0.05))
            of_atoms = tf.gather(weights, crystal)[:, None]
            by_force = tf.reduce_mean(of_atoms * _huber(force - forces, 1.0))
            by_stress = tf.reduce_mean(weights[:, None, None] * _huber(stress - stresses, 0.05))
            loss = 100.0 * by_energy + by_force + 100.0 * by_stress
        variables = self._network.trainable_variables
        gradients = tape.gradient(loss, variables)
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return by_energy, by_force, by_stress


def _assess(network: PotentialNetwork, data: _Data, rows: np.ndarray, report: FitReport) -> None:
    """Errors on frames that were kept apart."""
    if not len(rows):
        return
    by_energy, by_force = [], []
    for start in range(0, len(rows), 64):
        numbers = rows[start : start + 64].tolist()
        batch = Batch.of([data.cells[i] for i in numbers], [data.lists[i] for i in numbers])
        energy, force, _ = network.evaluate(batch)
        by_energy.append(energy / batch.n_atoms - data.energies[numbers])
        by_force.append(np.abs(force - np.concatenate([data.forces[i] for i in numbers])))
    errors, low = np.concatenate(by_energy), data.heights[rows] < 0.5
    report.energy_mae = float(np.abs(errors).mean())
    report.low_energy_rmse = (
        float(np.sqrt((errors[low] ** 2).mean())) if low.any() else float("nan")
    )
    report.force_mae = float(np.concatenate(by_force).mean())
