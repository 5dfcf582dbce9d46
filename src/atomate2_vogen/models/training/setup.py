"""Common inputs of the stages of one training: crystals, hyperparameters, seeds, checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.data.ends import Ends, find_ends
from atomate2_vogen.data.relaxed import RelaxedSet
from atomate2_vogen.errors import InputError, TrainingError
from atomate2_vogen.models.networks.backend import keras
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.models.networks.inputs import make_codec
from atomate2_vogen.models.networks.presets import get_preset
from atomate2_vogen.models.training.checkpoint import Checkpoint
from atomate2_vogen.models.training.crystal_pool import Pool, make_pool, physical, pool_of
from atomate2_vogen.models.training.fitting import Progress
from atomate2_vogen.models.training.trained_stage import TrainedStage
from atomate2_vogen.voxels.codec import VoxelCodec


@dataclass(frozen=True)
class Setup:
    """Common inputs of the stages of one training.

    Parameters
    ----------
    crystals
        Labelled data set with splits.
    preset
        Hyperparameters.
    seed
        Random seed for initial weights, batch order and noise.
    progress
        Function that is called with the stage's name, finished steps, all steps and metrics.
    folder
        Folder of the checkpoints; None saves none.
    relaxations
        Relaxations of crystals, required by a preset with ``relaxed=True``.
    """

    crystals: CrystalSet
    preset: Preset
    seed: int
    progress: Progress | None = None
    folder: Path | None = None
    relaxations: RelaxedSet | None = None

    @property
    def system(self) -> OxideSystem:
        """Oxide system of the data set."""
        return self.crystals.system

    @cached_property
    def codec(self) -> VoxelCodec:
        """Codec between crystals and grids of the preset's sizes."""
        return make_codec(self.preset, self.system)

    @cached_property
    def train(self) -> Pool:
        """Training crystals."""
        return self._pool("train")

    @cached_property
    def validation(self) -> Pool:
        """Validation crystals, for early stopping."""
        return self._pool("validation")

    @cached_property
    def test(self) -> Pool | None:
        """Test crystals, which no stage is trained on; None if the data set has none."""
        if not (self.crystals.splits == "test").any():
            return None
        return self._pool("test")

    def _pool(self, split: str) -> Pool:
        energies = None if self.ends is None else self.ends.energies
        return make_pool(self.crystals, split, self.preset, self.codec, self.seed, relaxed=energies)

    @cached_property
    def ends(self) -> Ends | None:
        """End points of the relaxations; None if the preset does not use them."""
        if not self.preset.relaxed or self.relaxations is None:
            return None
        return find_ends(self.crystals, self.relaxations)

    @property
    def ends_id(self) -> str:
        """Hash of the relaxations that are used; empty without any."""
        return "" if self.ends is None else self.ends.ends_id

    def learned(self, split: str) -> tuple[Pool, int]:
        """Crystals whose latents are training data of the WGAN and of the energy network.

        Returns
        -------
        pool : Pool
            Crystals of the split, then the end points of their relaxations.
        n : int
            Number of crystals of the split, without end points.
        """
        if split not in self._learned:
            self._learned[split] = self._learn(split)
        return self._learned[split]

    @cached_property
    def labelled(self) -> Pool:
        """Training crystals of the energy network: ``learned("train")``, then random crystals.

        The latter are start and end of the relaxations of random crystals, each with the energy
        that it has without further relaxation.
        """
        pool = self.learned("train")[0]
        if self.ends is None:
            return pool
        random = self.ends.random.select(physical(self.ends.random))
        if not len(random):
            return pool
        return pool + pool_of(random, self.codec, "random relaxations")

    @cached_property
    def _learned(self) -> dict[str, tuple[Pool, int]]:
        """Cache of `learned`: every stage needs the same pools several times."""
        return {}

    def _learn(self, split: str) -> tuple[Pool, int]:
        start = self.test if split == "test" else getattr(self, split)
        if start is None:
            raise TrainingError(f"the data set has no crystals of the split {split}")
        if self.ends is None:
            return start, len(start)
        ends = self.ends.crystals.select(self.ends.crystals.splits == split)
        ends = ends.select(physical(ends))
        if not len(ends):
            return start, len(start)
        return start + pool_of(ends, self.codec, "relaxations", ends.energies), len(start)

    def check_relaxations(self) -> None:
        """Refuse a training without the relaxations that its preset asks for.

        Raises
        ------
        TrainingError
            If there are none.
        """
        if self.preset.relaxed and self.relaxations is None:
            raise TrainingError(
                f"preset {self.preset.name} learns from relaxed crystals, and none are given for "
                f"{self.system.chemsys}; relax some (see data.relaxed) or set relaxed=False"
            )

    def checkpoint(self, name: str, **more: Any) -> Checkpoint:
        """Checkpoint of a stage.

        Parameters
        ----------
        name
            Name of the stage and of its file.
        more
            Everything that decides the stage's result beside seed, data set and backend.
        """
        identity = {
            "stage": name,
            "seed": self.seed,
            "data set": self.crystals.dataset_id,
            "backend": keras.backend.backend(),
            **more,
        }
        return Checkpoint(None if self.folder is None else self.folder / f"{name}.npz", identity)

    def reseed(self, stage: int) -> None:
        """Seed Keras for a stage, just before its network is built.

        Initial weights then do not depend on whether the stages before it ran in this process.
        """
        sequence = np.random.SeedSequence([self.seed, stage])
        keras.utils.set_random_seed(int(sequence.generate_state(1)[0]))

    def check_labels(self) -> None:
        """Refuse a data set without energies.

        Raises
        ------
        TrainingError
            If no training crystal has one.
        """
        if not np.isfinite(self.crystals.energies[self.crystals.splits == "train"]).any():
            raise TrainingError("no training crystal has an energy label; label the data set first")

    def check_stage(self, stage: TrainedStage, kind: str, *parts: str) -> None:
        """Refuse a stage of another kind, data set or preset.

        Raises
        ------
        InputError
            If the stage does not belong to this training.
        """
        if stage.kind != kind:
            raise InputError(f"a trained stage {kind} is needed, given was {stage.kind}")
        if stage.dataset_id != self.crystals.dataset_id:
            raise InputError(
                f"the stage {kind} {stage.model_id} was trained on data set {stage.dataset_id}, "
                f"this one is {self.crystals.dataset_id}; its test crystals could have been seen"
            )
        if recipe(stage.preset, *parts) != recipe(self.preset, *parts):
            raise InputError(
                f"the stage {kind} {stage.model_id} was trained with other settings (preset "
                f"{stage.preset.name}) than preset {self.preset.name} asks for"
            )


def make_setup(
    crystals: CrystalSet,
    preset: str | Preset,
    seed: int,
    progress: Progress | None,
    checkpoint: str | Path | None,
    *,
    relaxations: RelaxedSet | None = None,
) -> Setup:
    """Make a `Setup` of the arguments that all stages have."""
    folder = None if checkpoint is None else Path(checkpoint).expanduser()
    return Setup(crystals, get_preset(preset), seed, progress, folder, relaxations)


def recipe(preset: Preset, *parts: str) -> dict[str, Any]:
    """Hyperparameters of some networks, and those common to all networks."""
    values = preset.as_dict()
    left_out = {"name", "sites", "lattice", "energy", "wgan", "acceptance"} - {*parts}
    if not {"energy", "wgan"} & {*parts}:
        left_out.add("relaxed")  # the autoencoders learn from the data set alone
    return {key: value for key, value in values.items() if key not in left_out}
