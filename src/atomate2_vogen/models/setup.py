"""What the stages of one training share: crystals, seeds, checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.errors import InputError, TrainingError
from atomate2_vogen.models.backend import keras
from atomate2_vogen.models.batches import Pool, make_codec, make_pool
from atomate2_vogen.models.checkpoint import Checkpoint
from atomate2_vogen.models.fitting import Progress
from atomate2_vogen.models.presets import Preset, get_preset
from atomate2_vogen.models.stagefile import TrainedStage
from atomate2_vogen.voxels.codec import VoxelCodec


@dataclass(frozen=True)
class Setup:
    """What every stage of one training shares.

    Parameters
    ----------
    crystals
        Labelled data set with splits.
    preset
        Sizes.
    seed
        Of weights, batches and noise.
    progress
        Told how it goes.
    folder
        Of the checkpoints; None keeps none.
    """

    crystals: CrystalSet
    preset: Preset
    seed: int
    progress: Progress | None = None
    folder: Path | None = None

    @property
    def system(self) -> OxideSystem:
        """Oxide system of the data set."""
        return self.crystals.system

    @cached_property
    def codec(self) -> VoxelCodec:
        """Grids of the preset's sizes."""
        return make_codec(self.preset, self.system)

    @cached_property
    def train(self) -> Pool:
        """Training crystals."""
        return make_pool(self.crystals, "train", self.preset, self.codec, self.seed)

    @cached_property
    def validation(self) -> Pool:
        """Crystals that decide when to stop."""
        return make_pool(self.crystals, "validation", self.preset, self.codec, self.seed)

    @cached_property
    def test(self) -> Pool | None:
        """Crystals that no stage sees; None if the data set has none."""
        if not (self.crystals.splits == "test").any():
            return None
        return make_pool(self.crystals, "test", self.preset, self.codec, self.seed)

    def checkpoint(self, name: str, **more: Any) -> Checkpoint:
        """File of a stage; `more` decides its result beside seed, data set and backend."""
        identity = {
            "stage": name,
            "seed": self.seed,
            "data set": self.crystals.dataset_id,
            "backend": keras.backend.backend(),
            **more,
        }
        return Checkpoint(None if self.folder is None else self.folder / f"{name}.npz", identity)

    def reseed(self, stage: int) -> None:
        """Give Keras the seed of a stage, just before its network is built.

        With a seed of its own a network starts alike whether the stages before it ran in the
        same process, in another, or long ago.
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
            If it cannot be built upon.
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
) -> Setup:
    """`Setup` of the arguments that all stages take."""
    folder = None if checkpoint is None else Path(checkpoint).expanduser()
    return Setup(crystals, get_preset(preset), seed, progress, folder)


def recipe(preset: Preset, *parts: str) -> dict[str, Any]:
    """The settings of some networks, and those that all share."""
    values = preset.as_dict()
    networks = {"sites", "lattice", "energy", "wgan"}
    return {k: v for k, v in values.items() if k in parts or k not in {"name", *networks}}
