"""Trained autoencoders or a trained energy network, and their file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Self

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.models.archive import Archive, named
from atomate2_vogen.models.networks.building import build_networks
from atomate2_vogen.models.networks.energy import KNOTS, EnergyScale
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.models.networks.weight_counts import count_weights
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training.fitting import History

NETWORKS = {
    "vae": ("sites_encoder", "sites_decoder", "lattice_encoder", "lattice_decoder"),
    "energy": ("energy",),
}
"""Networks of each kind of stage, as `build_networks` calls them."""


@dataclass(frozen=True, eq=False)
class TrainedStage:
    """Trained autoencoders or energy network, with the history and cost of the training.

    Parameters
    ----------
    kind
        ``vae`` or ``energy``.
    preset, system, seed, dataset_id
        Hyperparameters, oxide system, random seed and hash of the data set of the training.
    networks
        Keras networks by the names of `NETWORKS`.
    numbers
        Values of the `EnergyScale`; empty for ``vae``.
    mean, width
        Mean and standard deviation of the joint latent, shape (L,) each; empty for ``energy``.
    parent
        Model id of the autoencoders whose latents an energy network was trained on.
    history
        Values per epoch by network and metric.
    metrics
        Metrics on held-out crystals by name; energies in eV/atom.
    seconds
        Wall time in s by part, summed over all runs of a resumed training.
    peak_memory
        Peak resident memory of the process in GiB.
    backend
        Name and version of the Keras backend.

    Examples
    --------
    >>> from atomate2_vogen.models import load_shipped
    >>> vae, energy = stages_of(load_shipped())
    >>> energy.kind, energy.parent == vae.model_id
    ('energy', True)
    """

    kind: str
    preset: Preset
    system: OxideSystem
    seed: int
    dataset_id: str
    networks: Mapping[str, Any]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    width: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    parent: str = ""
    history: Mapping[str, History] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_memory: float = 0.0
    backend: str = ""

    @cached_property
    def model_id(self) -> str:
        """Hash of the training's inputs and of the weights."""
        return _digest(self._record(), self._arrays())

    def codec_model(self) -> TrainedModel:
        """Model of both autoencoders, which can encode and decode only."""
        flat = EnergyScale(0.0, 0.0, 0.0, 0.0, (0.0,) * len(KNOTS), 1.0)
        return TrainedModel(
            self.preset,
            self.system,
            self.networks,
            mean=self.mean,
            width=self.width,
            energy_scale=flat,
            cells={},
            provenance={},
        )

    def archive(self) -> Archive:
        """Arrays and header that `from_archive` makes the stage of."""
        return Archive({**self._record(), "model_id": self.model_id}, self._arrays())

    def to_bytes(self) -> bytes:
        """Content of the stage's file."""
        return self.archive().to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "training stage") -> Self:
        """Read the content of a stage's file.

        Parameters
        ----------
        content
            Content of the file.
        name
            File name for error messages.

        Raises
        ------
        ArtefactError
            If the content is damaged or is not a trained stage.
        """
        return cls.from_archive(Archive.from_bytes(content, name))

    @classmethod
    def from_archive(cls, archive: Archive) -> Self:
        """Rebuild a stage from its arrays and header.

        Raises
        ------
        ArtefactError
            If they are not those of a trained stage.
        """
        record = dict(archive.header)
        archive.check_id(_digest(record, archive.arrays))  # before any network is built
        record.pop("model_id")
        try:
            record["preset"] = Preset.from_dict(record["preset"])
            record["system"] = OxideSystem.from_fields(record["system"])
            record["preset"].check_sizes()
            for key in ("mean", "width"):
                record[key] = archive.arrays[key].astype(np.float32)
            names = NETWORKS[record["kind"]]
            counts = count_weights(record["preset"], record["system"])
            for name in names:
                held = sum(array.size for array in archive.group(name))
                if held != counts[name]:
                    raise InputError(f"{held} weights of {name}, not {counts[name]}")
            networks = build_networks(record["preset"], record["system"], names)
            stage = cls(networks=networks, **record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise archive.error(f"not a training stage ({error!r})") from error
        for name, network in stage.networks.items():
            archive.assign(name, network.weights)
        return stage

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {"mean": self.mean, "width": self.width}
        for name, network in self.networks.items():
            arrays.update(named(name, network.weights))
        return arrays

    def _record(self) -> dict[str, Any]:
        """Header of the file, except the model id."""
        record = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in {"networks", "mean", "width"}  # these are arrays
        }
        record |= {"preset": self.preset.as_dict(), "system": asdict(self.system)}
        # tuples become lists, so that the hash is that of the file
        return dict(json.loads(json.dumps(record)))


def _digest(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    made = {k: record.get(k) for k in ("kind", "preset", "system", "seed", "dataset_id", "parent")}
    made["numbers"] = record.get("numbers")
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode())
    for _, array in sorted(arrays.items()):
        digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return digest.hexdigest()[:16]


def stages_of(model: TrainedModel) -> tuple[TrainedStage, TrainedStage]:
    """Split a model into autoencoders and energy network, as a start for further training.

    A model holds no history of its training, so that of the stages is empty.
    """

    def stage(kind: str, **more: Any) -> TrainedStage:
        networks = {name: model.networks[name] for name in NETWORKS[kind]}
        seed, dataset_id = int(model.provenance["seed"]), model.provenance["dataset_id"]
        return TrainedStage(kind, model.preset, model.system, seed, dataset_id, networks, **more)

    vae = stage("vae", mean=model.mean, width=model.width)
    scale = model.energy_scale.as_dict()
    return vae, stage("energy", numbers=scale, parent=vae.model_id)
