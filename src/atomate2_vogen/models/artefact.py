"""A trained model: networks, scales and the table of cell sizes; and its one-file form.

The file is a zip of `config.json` and one Keras weight file (``.weights.h5``: plain arrays, no
code, no pickle) per network. Reading trusts nothing: names, number and size of the members
are checked before anything is unpacked, the sizes asked for by the configuration are bounded,
every array must have the shape that the configuration implies and be finite, and the model id
(a hash of configuration and weights) must be the one that was written.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import ArtefactError, CountsError, GridError, InputError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.models.batches import condition_length, conditions, make_codec
from atomate2_vogen.models.networks.acceptance import build_acceptance
from atomate2_vogen.models.networks.backend import keras, run
from atomate2_vogen.models.networks.energy import EnergyScale, build_energy
from atomate2_vogen.models.networks.presets import Preset
from atomate2_vogen.models.networks.vae import build_decoder, build_encoder
from atomate2_vogen.models.networks.wgan import build_critic, build_generator
from atomate2_vogen.models.sizes import count_weights
from atomate2_vogen.structured import parse_json
from atomate2_vogen.voxels.sites import write_sites

FORMAT = 3
CONFIG = "config.json"
SUFFIX = ".weights.h5"
MAX_CONFIG_BYTES = 4_000_000
_GRIDS, _LATENTS = 16, 1024
"""Most rows at once through a network of grids and through one of latents alone."""


def build_networks(preset: Preset, system: OxideSystem) -> dict[str, Any]:
    """All networks that generation and reconstruction need, untrained, by name.

    They compute in single precision, whatever the precision of training: bfloat16 logits would
    shift the peaks.
    """
    n_latent = preset.sites.latent + preset.lattice.latent
    n_condition = condition_length(system)
    sites, lattice = (replace(part, precision="float32") for part in (preset.sites, preset.lattice))
    return {
        "sites_encoder": build_encoder(sites, 2, "sites"),
        "sites_decoder": build_decoder(sites, 2, "sites"),
        "lattice_encoder": build_encoder(lattice, 1, "lattice"),
        "lattice_decoder": build_decoder(lattice, 1, "lattice"),
        "energy": build_energy(preset.energy, n_latent, n_condition),
        "critic": build_critic(preset.wgan, n_latent, n_condition, "critic"),
        "generator": build_generator(preset.wgan, n_latent, n_condition),
        "acceptance": build_acceptance(preset.acceptance, n_latent, n_condition),
    }


class TrainedModel:
    """Everything that turns noise and a composition into grids.

    Parameters
    ----------
    preset
        Sizes of the networks.
    system
        Oxide system.
    networks
        As `build_networks`, trained.
    mean, width
        Standardisation of the joint latent, shape (L,) each.
    energy_scale
        Of the energy network's output.
    cells
        For each reduced formula the number of training crystals by formula units per cell.
    provenance
        Data set id, seed and the like; part of the model id.
    """

    def __init__(
        self,
        preset: Preset,
        system: OxideSystem,
        networks: Mapping[str, Any],
        *,
        mean: np.ndarray,
        width: np.ndarray,
        energy_scale: EnergyScale,
        cells: Mapping[str, Mapping[int, int]],
        provenance: Mapping[str, Any],
    ) -> None:
        self.preset, self.system, self.networks = preset, system, dict(networks)
        self.mean = np.asarray(mean, dtype=np.float32)
        self.width = np.asarray(width, dtype=np.float32)
        self.energy_scale = energy_scale
        self.cells = {f: {int(z): int(n) for z, n in of.items()} for f, of in cells.items()}
        self.provenance = dict(provenance)
        self.codec = make_codec(preset, system)

    def with_networks(self, networks: Mapping[str, Any]) -> Self:
        """The same model with some networks added or in place of its own."""
        return type(self)(
            self.preset,
            self.system,
            {**self.networks, **networks},
            mean=self.mean,
            width=self.width,
            energy_scale=self.energy_scale,
            cells=self.cells,
            provenance=self.provenance,
        )

    # --- use -------------------------------------------------------------------------------

    def formula_units(self, formula: str) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of formula units per cell of a formula, and the chance of each.

        A formula that training lacked gets every number that fits, equally likely.

        Raises
        ------
        CountsError
            If one formula unit exceeds the largest cell.
        """
        most = self.system.max_formula_units(formula)
        if most == 0:
            raise CountsError(
                f"{formula} has more than {self.system.max_atoms} atoms per formula unit"
            )
        table = {z: n for z, n in self.cells.get(formula, {}).items() if z <= most}
        if not table:
            table = dict.fromkeys(range(1, most + 1), 1)
        units = np.array(sorted(table))
        chance = np.sqrt([table[int(z)] for z in units])
        return units, chance / chance.sum()

    def generate(
        self,
        counts: np.ndarray,
        rng: np.random.Generator,
        truncation: float = 1.0,
        latent_noise: float = 0.0,
    ) -> np.ndarray:
        """Standardised joint latents of the generator.

        Parameters
        ----------
        counts
            (n, 2) atoms of metal and anion that each latent shall stand for.
        rng
            Source of the noise.
        truncation
            Standard deviation of the noise; less than 1 stays closer to the typical crystal.
        latent_noise
            Standard deviation of normal noise that is added to the standardised latents.

        Returns
        -------
        np.ndarray
            (n, L) float32.
        """
        noise = rng.standard_normal((len(counts), self.preset.wgan.noise)).astype(np.float32)
        latents = self._run("generator", [truncation * noise, conditions(counts, self.system)])[0]
        if latent_noise:
            latents = latents + latent_noise * rng.standard_normal(latents.shape)
        return latents.astype(np.float32)

    def predict_energy(self, latents: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Predicted energy per atom above the composition line, (n,) in eV/atom."""
        out = self._run("energy", [latents, conditions(counts, self.system)])[0]
        return self.energy_scale.above_line(out[:, 0], counts)

    def score(self, latents: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Critic's score, (n,); higher looks more like training."""
        return self._run("critic", [latents, conditions(counts, self.system)])[0][:, 0]

    def predict_acceptance(self, latents: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Predicted log-odds (n,) that a latent decodes to a sound crystal as asked for."""
        return self._run("acceptance", [latents, conditions(counts, self.system)])[0][:, 0]

    def encode(self, sites: np.ndarray, lattices: np.ndarray) -> np.ndarray:
        """Standardised joint latents (n, L) of grids: the posterior means."""
        joint = np.concatenate(
            [self._run("sites_encoder", [sites])[0], self._run("lattice_encoder", [lattices])[0]],
            axis=1,
        )
        return (joint - self.mean) / self.width

    def decode(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Grids of occupancies of standardised joint latents (n, L).

        Returns
        -------
        sites : np.ndarray
            (n, N, N, N, 2) in [0, 1].
        lattices : np.ndarray
            (n, M, M, M, 1) in [0, 1].

        Raises
        ------
        InputError
            If the latents have the wrong length or are not finite.
        """
        return self.decode_sites(latents), self.decode_lattices(latents)

    def decode_sites(self, latents: np.ndarray) -> np.ndarray:
        """The first of the grids that `decode` gives, and its errors."""
        return self._decode("sites", self._joint(latents)[:, : self.preset.sites.latent])

    def decode_lattices(self, latents: np.ndarray) -> np.ndarray:
        """The second of them."""
        return self._decode("lattice", self._joint(latents)[:, self.preset.sites.latent :])

    def _decode(self, kind: str, joint: np.ndarray) -> np.ndarray:
        if not len(joint):
            shape = self.codec.sites_shape if kind == "sites" else self.codec.lattice_shape
            return np.zeros((0, *shape), np.float32)
        return run(self._occupancies[kind], joint, rows=_GRIDS, compiled=True)[0]

    def _joint(self, latents: np.ndarray) -> np.ndarray:
        """Latents as the decoders take them."""
        latents = np.asarray(latents, dtype=np.float32)
        if latents.ndim != 2 or latents.shape[1] != len(self.mean):
            raise InputError(f"latents have shape {latents.shape}, not (n, {len(self.mean)})")
        if not np.isfinite(latents).all():
            raise InputError("the latents hold NaN or infinity")
        return np.asarray(latents * self.width + self.mean)

    @cached_property
    def _occupancies(self) -> dict[str, Any]:
        """The decoders and the logistic function of what they put out, as one graph each."""
        decoders = {kind: self.networks[f"{kind}_decoder"] for kind in ("sites", "lattice")}
        return {
            kind: keras.Model(decoder.inputs, keras.ops.sigmoid(decoder.output))
            for kind, decoder in decoders.items()
        }

    def project(
        self, latents: np.ndarray, sites: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Latents moved onto what the autoencoder knows: read atoms, voxelise them, encode.

        A generated latent decodes to a blurred box. Its highest peaks, as many as asked for,
        make a sharp one, whose latent decodes to definite atoms. The lattice part stays.

        Parameters
        ----------
        latents
            (n, L) standardised.
        sites
            (n, N, N, N, 2) grids that they decode to.
        counts
            (n, 2) atoms of metal and anion to read.

        Returns
        -------
        latents : np.ndarray
            (n, L); those whose box lacks peaks are unchanged.
        moved : np.ndarray
            (n,) whether a latent was projected.
        """
        latents = np.array(latents, dtype=np.float32)
        moved = np.zeros(len(latents), dtype=bool)
        sharp = np.zeros(sites.shape, dtype=np.float32)
        for i, wanted in enumerate(np.asarray(counts).tolist()):
            try:
                coords, numbers, _ = self.codec.decode_sites(sites[i], wanted)
            except GridError:
                continue
            channels = (numbers == self.system.atomic_numbers[1]).astype(int)
            write_sites(coords, channels, self.codec.n_sites, self.codec.sigma_sites, sharp[i])
            moved[i] = True
        if moved.any():
            boxes = sharp if moved.all() else sharp[moved]
            means = self._run("sites_encoder", [np.minimum(boxes, 1.0, out=boxes)])[0]
            cut = self.preset.sites.latent
            latents[moved, :cut] = (means - self.mean[:cut]) / self.width[:cut]
        return latents, moved

    def _run(self, network: str, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Outputs of a network in inference mode; those that take long are compiled."""
        of_grids = network.endswith("coder")
        return run(
            self.networks[network],
            inputs,
            rows=_GRIDS if of_grids else _LATENTS,
            compiled=of_grids or network == "generator",
        )

    # --- file ------------------------------------------------------------------------------

    @property
    def config(self) -> dict[str, Any]:
        """What the file's `config.json` holds, save the model id."""
        return {
            "format": FORMAT,
            "preset": self.preset.as_dict(),
            "system": asdict(self.system),
            "mean": [float(v) for v in self.mean],
            "width": [float(v) for v in self.width],
            "energy_scale": self.energy_scale.as_dict(),
            "cells": {f: {str(z): n for z, n in of.items()} for f, of in self.cells.items()},
            "provenance": self.provenance,
        }

    @cached_property
    def model_id(self) -> str:
        """Hash of configuration and weights."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for name in sorted(self.networks):
            for weight in self.networks[name].weights:
                digest.update(np.ascontiguousarray(weight.numpy(), dtype="<f4").tobytes())
        return digest.hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """The file."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            config = {**self.config, "model_id": self.model_id}
            _add(archive, CONFIG, json.dumps(config, sort_keys=True).encode())
            with tempfile.TemporaryDirectory() as folder:
                for name in sorted(self.networks):
                    path = Path(folder) / f"{name}{SUFFIX}"
                    self.networks[name].save_weights(path)
                    _add(archive, path.name, path.read_bytes())
        return buffer.getvalue()

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the file.

        Raises
        ------
        ArtefactError
            As `from_bytes`, or if the file cannot be read.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ArtefactError(f"{path}: cannot be read ({error.strerror})") from error
        return cls.from_bytes(data, str(path))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "model") -> Self:
        """Read the file's bytes; `name` stands in error messages.

        Raises
        ------
        ArtefactError
            If anything about it is not as `to_bytes` writes it.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                model, stored = cls._from_archive(archive)
        except ArtefactError as error:
            raise ArtefactError(f"{name}: {error}; train the model again") from error
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise ArtefactError(
                f"{name}: damaged or no model file ({error}); train the model again"
            ) from error
        if model.model_id != stored:
            raise ArtefactError(
                f"{name}: its content has the id {model.model_id}, written was {stored!r}; "
                "train the model again"
            )
        return model

    @classmethod
    def _from_archive(cls, archive: zipfile.ZipFile) -> tuple[Self, Any]:
        infos = {info.filename: info for info in archive.infolist()}
        if CONFIG not in infos:
            raise ArtefactError(f"lacks {CONFIG}")
        config = _parse_config(_extract(archive, infos[CONFIG], MAX_CONFIG_BYTES))
        try:
            preset = Preset.from_dict(config["preset"])
            system = OxideSystem.from_fields(config["system"])
            scale = EnergyScale.from_dict(config["energy_scale"])
            cells = {
                str(f): {int(z): int(n) for z, n in of.items()} for f, of in config["cells"].items()
            }
            mean = np.array(config["mean"], dtype=np.float64)
            width = np.array(config["width"], dtype=np.float64)
            provenance = dict(config["provenance"])
            preset.check_sizes()
            n_latent = preset.sites.latent + preset.lattice.latent
            counts = count_weights(preset, system)
        except InputError as error:
            raise ArtefactError(f"{CONFIG} is not a model's: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ArtefactError(f"{CONFIG} is not a model's: {error!r}") from error
        if mean.shape != (n_latent,) or width.shape != (n_latent,):
            raise ArtefactError(f"{CONFIG}: mean or width has not {n_latent} numbers")
        finite = np.isfinite(mean).all() and np.isfinite(width).all() and (width > 0).all()
        if not (finite and scale.is_finite):
            raise ArtefactError(f"{CONFIG}: a scale is not finite and positive")
        expected = {CONFIG, *(f"{name}{SUFFIX}" for name in counts)}
        if set(infos) != expected or len(archive.infolist()) != len(expected):
            differing = ", ".join(sorted(set(infos) ^ expected)) or "a name twice"
            raise ArtefactError(f"missing or foreign members: {differing}")
        with tempfile.TemporaryDirectory() as folder:
            for name, count in counts.items():
                content = _extract(archive, infos[f"{name}{SUFFIX}"], 5 * count + 2_000_000)
                # before anything is built: no network is larger than the file that describes it
                if len(content) < 4 * count:
                    raise ArtefactError(
                        f"{name}{SUFFIX} is too small for the {count} weights of {CONFIG}"
                    )
                (Path(folder) / f"{name}{SUFFIX}").write_bytes(content)
            networks = build_networks(preset, system)
            for name, network in networks.items():
                _load_weights(network, Path(folder) / f"{name}{SUFFIX}")
        model = cls(
            preset,
            system,
            networks,
            mean=mean,
            width=width,
            energy_scale=scale,
            cells=cells,
            provenance=provenance,
        )
        return model, config.get("model_id")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add a member with a fixed date."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """Content of a member that may not unpack to more than `limit` bytes."""
    if info.file_size > limit:
        raise ArtefactError(f"{info.filename} unpacks to {info.file_size} bytes, over {limit}")
    try:
        with archive.open(info) as member:
            content = member.read(limit + 1)
    except Exception as error:  # zlib and zipfile have many ways to say so
        raise ArtefactError(f"{info.filename} is damaged ({error})") from error
    if len(content) > limit:
        raise ArtefactError(f"{info.filename} unpacks to more than {limit} bytes")
    return content


def _parse_config(content: bytes) -> dict[str, Any]:
    config = parse_json(content, CONFIG, ArtefactError)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ArtefactError(f"{CONFIG} is not of format {FORMAT}")
    return config


def _load_weights(network: Any, path: Path) -> None:
    """Load a weight file into a network, or say what is wrong with it."""
    before = [weight.shape for weight in network.weights]
    try:
        network.load_weights(path)
    except Exception as error:  # h5py and Keras raise almost anything on a bad file
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ArtefactError(f"{path.name} does not fit its network ({first})") from error
    for weight, shape in zip(network.weights, before, strict=True):
        values = weight.numpy()
        if values.shape != tuple(shape):
            raise ArtefactError(f"{path.name}: {weight.path} has shape {values.shape}")
        if not np.isfinite(values).all():
            raise ArtefactError(f"{path.name}: {weight.path} holds NaN or infinity")
