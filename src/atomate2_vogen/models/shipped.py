"""Trained models that are shipped with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from atomate2_vogen.errors import ArtefactError, MissingModelError

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.models.trained_model import TrainedModel
    from atomate2_vogen.schemas import TrainingDoc


def shipped_path(preset: str, system: OxideSystem) -> Path:
    """Path of the shipped model of a system and preset, whether it exists or not."""
    name = f"wgan-{system.chemsys}-{preset}.zip"
    return Path(str(files("atomate2_vogen.models") / "files" / name))


def require_shipped(preset: str, system: OxideSystem) -> Path:
    """Path of the existing shipped model of a system and preset.

    Raises
    ------
    MissingModelError
        If none is shipped.
    """
    path = shipped_path(preset, system)
    if not path.is_file():
        raise MissingModelError(
            f"no trained networks are shipped for {system.chemsys} and the preset {preset!r}; "
            f"train them (TrainWGANMaker, or vogen train --system {system.metal}-{system.anion}) and "
            "give the model or its file"
        )
    return path


def load_shipped(preset: str = "paper", system: OxideSystem | None = None) -> TrainedModel:
    """Load the shipped model of a system.

    Parameters
    ----------
    preset
        Name of the preset that it was trained with.
    system
        Oxide system; None is vanadium and oxygen.

    Raises
    ------
    MissingModelError
        If none is shipped.
    ArtefactError
        If the file is damaged or holds another model than its name says.

    Examples
    --------
    >>> model = load_shipped()
    >>> model.system.chemsys, model.preset.name
    ('O-V', 'paper')
    """
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.models.trained_model import TrainedModel

    system = system or VANADIUM
    path = require_shipped(preset, system)
    model = TrainedModel.load(path)
    if (model.system.chemsys, model.preset.name) != (system.chemsys, preset):
        raise ArtefactError(
            f"{path.name} holds the preset {model.preset.name} of {model.system.chemsys}; "
            "install the package anew"
        )
    return model


def load_shipped_training(preset: str = "paper", system: OxideSystem | None = None) -> TrainingDoc:
    """Document of the training of a shipped model: settings, learning curves, metrics.

    Its artefact names the model's file and holds no content.

    Parameters
    ----------
    preset
        Name of the preset that it was trained with.
    system
        Oxide system; None is vanadium and oxygen.

    Raises
    ------
    MissingModelError
        If none is shipped.
    ArtefactError
        If the file is no document of a training.

    Examples
    --------
    >>> from atomate2_vogen.models import load_shipped_training
    >>> sorted(load_shipped_training().history)
    ['acceptance', 'energy', 'lattice', 'sites', 'wgan']
    """
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.schemas import TrainingDoc
    from atomate2_vogen.schemas.base import wrong_fields
    from atomate2_vogen.structured import read_structured

    path = require_shipped(preset, system or VANADIUM).with_suffix(".json")
    content = read_structured(path, ArtefactError)
    try:
        content["artefact"] = {"content": "", **content["artefact"]}
        return TrainingDoc.model_validate(content)
    except (KeyError, TypeError) as error:
        raise ArtefactError(f"{path.name} is no document of a training: {error}") from error
    except ValidationError as error:
        raise ArtefactError(
            f"{path.name} is no document of a training: {wrong_fields(error)}"
        ) from error
