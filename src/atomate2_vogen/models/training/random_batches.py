"""Random training batches that can be repeated one by one."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from atomate2_vogen.models.networks.backend import keras


class Sizes(Protocol):
    """Hyperparameters of batches."""

    @property
    def batch(self) -> int:
        """Number of examples per step."""

    @property
    def steps(self) -> int:
        """Number of steps per epoch."""


class RandomBatches(keras.utils.PyDataset):
    """Training batches; seed, epoch and index decide each.

    A resumed training needs the batches that it would have had without the interruption.

    Parameters
    ----------
    preset
        Batch size and steps per epoch.
    seed
        Random seed.
    """

    stream: tuple[int, ...] = ()
    """Numbers that make the random stream of a subclass differ from others with the same seed."""

    def __init__(self, preset: Sizes, seed: int) -> None:
        super().__init__(workers=1)
        self.preset, self.seed, self.epoch = preset, seed, 0

    def __len__(self) -> int:
        return self.preset.steps

    def on_epoch_end(self) -> None:
        """Advance the random state, so that the next epoch has other batches."""
        self.epoch += 1

    def __getitem__(self, index: int) -> Any:
        return self.draw(np.random.default_rng([self.seed, *self.stream, self.epoch, index]))

    def draw(self, rng: np.random.Generator) -> Any:
        """Inputs and, for supervised training, targets of one batch."""
        raise NotImplementedError
