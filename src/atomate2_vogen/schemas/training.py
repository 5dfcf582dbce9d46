"""Data sets and trained models, with the files themselves."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from atomate2_vogen.schemas.base import FileName, VogenDoc


class Artefact(BaseModel):
    """A file that travels through the `data` store instead of a shared disk.

    Examples
    --------
    >>> Artefact(filename="model.npz", sha256="0" * 64, content="").filename
    'model.npz'
    """

    filename: FileName
    sha256: str
    content: str = Field(description="base64")


class DatasetDoc(VogenDoc):
    """A labelled data set: what is in it, and the file itself.

    Examples
    --------
    >>> "n_labelled" in DatasetDoc.model_fields
    True
    """

    dataset_id: str = Field(description="hash of crystals, splits and labels")
    chemsys: str
    scheme: str
    n_prototypes: int
    n_crystals: int
    n_distinct: int
    n_groups: int
    n_by_split: dict[str, int]
    n_by_formula: dict[str, int]
    n_labelled: int
    n_label_failures: int
    n_labels_reused: int
    label_failures: dict[str, str] = Field(
        default_factory=dict, description="reason by the crystal's index in the file"
    )
    label_statistics: dict[str, float] = Field(description="of the energy labels, eV/atom")
    wall_time: float
    artefact: Artefact


class TrainingDoc(VogenDoc):
    """A trained model: how it was made, how the training went, and the file itself.

    Examples
    --------
    >>> TrainingDoc.model_fields["peak_memory"].description
    'GiB'
    """

    model_id: str = Field(description="hash of the weights")
    stage: str = Field(
        default="wgan",
        description="vae, energy, or wgan: the last one, whose file holds all networks",
    )
    preset: str
    seed: int
    chemsys: str
    dataset_id: str
    config: dict[str, Any]
    history: dict[str, dict[str, list[float]]] = Field(description="network -> metric -> epochs")
    metrics: dict[str, float] = Field(default_factory=dict, description="on held-out crystals")
    backend: str
    wall_time: float
    peak_memory: float = Field(description="GiB")
    artefact: Artefact
