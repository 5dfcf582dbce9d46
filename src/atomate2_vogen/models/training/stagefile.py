"""A trained stage before the WGAN, and its one-file form: plain arrays and JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import ArtefactError, InputError
from atomate2_vogen.models.artefact import TrainedModel, build_networks
from atomate2_vogen.models.networks.energy import KNOTS, EnergyScale
from atomate2_vogen.models.networks.presets import Preset
from atomate2_vogen.models.sizes import count_weights
from atomate2_vogen.models.training.checkpoint import (
    State,
    assign,
    pack,
    pack_state,
    unpack,
    unpack_state,
)
from atomate2_vogen.models.training.fitting import History

NETWORKS = {
    "vae": ("sites_encoder", "sites_decoder", "lattice_encoder", "lattice_decoder"),
    "energy": ("energy",),
}
"""Networks of each kind of stage, as `build_networks` calls them."""


@dataclass(frozen=True, eq=False)
class TrainedStage:
    """A trained stage and how its training went.

    Parameters
    ----------
    kind
        ``vae`` or ``energy``.
    preset, system, seed, dataset_id
        What it was trained with.
    networks
        By the names of `NETWORKS`.
    numbers
        For ``energy``: the `EnergyScale`.
    mean, width
        For ``vae``: standardisation of the joint latent, (L,) each.
    parent
        For ``energy``: model id of the autoencoders on whose latents it was trained.
    history
        Network -> metric -> value per epoch.
    metrics
        On held-out crystals; energies in eV/atom.
    seconds
        Wall time per part, over all runs that it took.
    peak_memory
        GiB, of the whole process.
    backend
        Name and version.
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
        """Hash of what it was trained with and of the weights."""
        return _digest(self._record(), self._arrays())

    def codec_model(self) -> TrainedModel:
        """Both autoencoders as a model that can encode and decode, and nothing else."""
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

    def state(self) -> State:
        """Everything as arrays and JSON."""
        return State(self._arrays(), {**self._record(), "model_id": self.model_id})

    def to_bytes(self) -> bytes:
        """One file without code or pickle."""
        return pack_state(self.state())

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "training stage") -> Self:
        """Inverse of `to_bytes`; `name` stands in error messages.

        Raises
        ------
        ArtefactError
            If the bytes are damaged or not those of a stage.
        """
        return cls.from_state(unpack_state(content, name))

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Inverse of `state`.

        Raises
        ------
        ArtefactError
            If it is not that of a stage.
        """
        record = dict(state.record)
        stored = record.pop("model_id", None)
        found = _digest(record, state.arrays)
        if found != stored:  # before anything is built of it
            raise ArtefactError(
                f"{state.name}: its content has the id {found}, written was {str(stored)[:20]!r}; "
                "train again"
            )
        try:
            record["preset"] = Preset.from_dict(record["preset"])
            record["system"] = OxideSystem.from_fields(record["system"])
            record["preset"].check_sizes()
            for key in ("mean", "width"):
                record[key] = state.arrays[key].astype(np.float32)
            names = NETWORKS[record["kind"]]
            counts = count_weights(record["preset"], record["system"])
            for name in names:
                held = sum(array.size for array in unpack(state.arrays, name))
                if held != counts[name]:
                    raise InputError(f"{held} weights of {name}, not {counts[name]}")
            every = build_networks(record["preset"], record["system"])
            stage = cls(networks={name: every[name] for name in names}, **record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtefactError(f"{state.name}: not a training stage's ({error!r})") from error
        for name, network in stage.networks.items():
            assign(state, name, network.weights)
        return stage

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {"mean": self.mean, "width": self.width}
        for name, network in self.networks.items():
            arrays.update(pack(name, network.weights))
        return arrays

    def _record(self) -> dict[str, Any]:
        plain = (
            "kind",
            "seed",
            "dataset_id",
            "numbers",
            "parent",
            "history",
            "metrics",
            "seconds",
            "peak_memory",
            "backend",
        )
        record = {
            **{name: getattr(self, name) for name in plain},
            "preset": self.preset.as_dict(),
            "system": asdict(self.system),
        }
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
    """Autoencoders and energy network of a whole model, as stages that more can be built upon.

    How their training went is not in a model, and stays empty.
    """
    seed, dataset_id = int(model.provenance["seed"]), model.provenance["dataset_id"]
    vae = TrainedStage(
        "vae",
        model.preset,
        model.system,
        seed,
        dataset_id,
        {name: model.networks[name] for name in NETWORKS["vae"]},
        mean=model.mean,
        width=model.width,
    )
    energy = TrainedStage(
        "energy",
        model.preset,
        model.system,
        seed,
        dataset_id,
        {name: model.networks[name] for name in NETWORKS["energy"]},
        numbers=model.energy_scale.as_dict(),
        parent=vae.model_id,
    )
    return vae, energy


def bare(preset: Preset, system: OxideSystem, trained: Mapping[str, Any]) -> dict[str, Any]:
    """The same networks without optimizers, whose slots would triple the file."""
    every = build_networks(preset, system)
    networks = {name: every[name] for name in trained}
    for name, network in networks.items():
        network.set_weights(trained[name].get_weights())
    return networks
