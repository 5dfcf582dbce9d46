"""Trained model: networks, scales and the table of cell sizes; and its file.

The file is an `Archive` of Keras weight files. Beside the archive's own checks, the sizes asked
for by the header are bounded before a network is built, every array must have the shape that
the header implies and be finite, and the model id (a hash of header and weights) must be the one
that was written.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import ArtefactError, CountsError, GridError, InputError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.models.archive import CONFIG, Archive
from atomate2_vogen.models.networks.backend import keras, run
from atomate2_vogen.models.networks.building import build_networks
from atomate2_vogen.models.networks.energy import EnergyScale
from atomate2_vogen.models.networks.hyperparameters import Preset
from atomate2_vogen.models.networks.inputs import conditions, make_codec
from atomate2_vogen.models.networks.weight_counts import count_weights
from atomate2_vogen.voxels.sites import write_sites

FORMAT = 3
"""Version of the file's layout; a file of another version is refused."""

SUFFIX = ".weights.h5"

GRID_ROWS, LATENT_ROWS = 16, 1024
"""Largest batch through a network with grids and through one of latents alone."""


class TrainedModel:
    """Trained networks that turn noise and a composition into grids of a crystal.

    Parameters
    ----------
    preset
        Hyperparameters of the networks.
    system
        Oxide system.
    networks
        Trained networks by the names of `build_networks`.
    mean, width
        Mean and standard deviation of the joint latent on training crystals, shape (L,) each.
    energy_scale
        Scale of the energy network's output.
    cells
        Number of training crystals by reduced formula and formula units per cell.
    provenance
        Data set id, seed and similar plain values; part of the model id.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.models import load_shipped
    >>> model = load_shipped()
    >>> counts = np.array([[2, 4]])  # V2O4
    >>> latents = model.generate(counts, np.random.default_rng(0))
    >>> latents.shape, model.predict_energy(latents, counts).shape
    ((1, 225), (1,))
    >>> sites, lattices = model.decode(latents)  # doctest: +SKIP
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
        """Copy of the model with some networks added or replaced."""
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
        """Possible numbers of formula units per cell, and the probability of each.

        They follow the training crystals of the formula. For a formula without training
        crystals, all numbers that fit are equally likely.

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
            Requested numbers of metal and anion atoms, shape (n, 2).
        rng
            Random generator of the noise.
        truncation
            Standard deviation of the noise; below 1, latents are closer to typical crystals.
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
        """Critic's score (n,), higher for latents that resemble those of training crystals."""
        return self._run("critic", [latents, conditions(counts, self.system)])[0][:, 0]

    def predict_acceptance(self, latents: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Predicted log-odds (n,) that a latent decodes to a sound crystal of these counts."""
        return self._run("acceptance", [latents, conditions(counts, self.system)])[0][:, 0]

    def encode(self, sites: np.ndarray, lattices: np.ndarray) -> np.ndarray:
        """Standardised joint latents (n, L) of grids: the posterior means."""
        joint = np.concatenate(
            [self._run("sites_encoder", [sites])[0], self._run("lattice_encoder", [lattices])[0]],
            axis=1,
        )
        return (joint - self.mean) / self.width

    def decode(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode standardised joint latents (n, L) to grids of occupancies.

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
        """Sites grids of latents; shape and errors as `decode`."""
        return self._decode("sites", self._joint(latents)[:, : self.preset.sites.latent])

    def decode_lattices(self, latents: np.ndarray) -> np.ndarray:
        """Lattice grids of latents; shape and errors as `decode`."""
        return self._decode("lattice", self._joint(latents)[:, self.preset.sites.latent :])

    def _decode(self, kind: str, joint: np.ndarray) -> np.ndarray:
        if not len(joint):
            shape = self.codec.sites_shape if kind == "sites" else self.codec.lattice_shape
            return np.zeros((0, *shape), np.float32)
        return run(self._occupancies[kind], joint, rows=GRID_ROWS, compiled=True)[0]

    def _joint(self, latents: np.ndarray) -> np.ndarray:
        """Latents without standardisation, the input of the decoders."""
        latents = np.asarray(latents, dtype=np.float32)
        if latents.ndim != 2 or latents.shape[1] != len(self.mean):
            raise InputError(f"latents have shape {latents.shape}, not (n, {len(self.mean)})")
        if not np.isfinite(latents).all():
            raise InputError("the latents hold NaN or infinity")
        return np.asarray(latents * self.width + self.mean)

    @cached_property
    def _occupancies(self) -> dict[str, Any]:
        """Decoders followed by the logistic function, each as one graph."""
        decoders = {kind: self.networks[f"{kind}_decoder"] for kind in ("sites", "lattice")}
        return {
            kind: keras.Model(decoder.inputs, keras.ops.sigmoid(decoder.output))
            for kind, decoder in decoders.items()
        }

    def project(
        self, latents: np.ndarray, sites: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Project latents onto the latents of crystals: read atoms, voxelise them, encode.

        A generated latent decodes to a blurred sites grid. Its highest peaks, as many as
        requested, make a sharp grid, whose latent decodes to definite atoms. The lattice part
        is unchanged.

        Parameters
        ----------
        latents
            Standardised joint latents, shape (n, L).
        sites
            Sites grids that they decode to, shape (n, N, N, N, 2).
        counts
            Numbers of metal and anion atoms to read, shape (n, 2).

        Returns
        -------
        latents : np.ndarray
            Shape (n, L); latents whose grid has too few peaks are unchanged.
        moved : np.ndarray
            Whether each latent was projected, shape (n,).
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
        """Outputs of a network in inference mode; slow networks are compiled."""
        of_grids = network.endswith("coder")
        return run(
            self.networks[network],
            inputs,
            rows=GRID_ROWS if of_grids else LATENT_ROWS,
            compiled=of_grids or network == "generator",
        )

    # --- file ------------------------------------------------------------------------------

    @property
    def config(self) -> dict[str, Any]:
        """Header of the model file, except the model id."""
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
        """Content of the model file."""
        files = {}
        with tempfile.TemporaryDirectory() as folder:
            for name in sorted(self.networks):
                path = Path(folder) / f"{name}{SUFFIX}"
                self.networks[name].save_weights(path)  # Keras writes to a path alone
                files[path.name] = path.read_bytes()
        return Archive({**self.config, "model_id": self.model_id}, files=files).to_bytes()

    def save(self, path: str | Path) -> None:
        """Write the model file, whole or not at all."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model file.

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
        """Read the content of a model file.

        Parameters
        ----------
        data
            Content of the file.
        name
            File name for error messages.

        Raises
        ------
        ArtefactError
            If the content is damaged or differs from what `to_bytes` writes.
        """
        archive = Archive.from_bytes(data, name, advice="train the model again", limits=_file_sizes)
        settings = _read_config(archive.header)
        networks = build_networks(settings["preset"], settings["system"])
        try:
            with tempfile.TemporaryDirectory() as folder:
                for network, model in networks.items():
                    path = Path(folder) / f"{network}{SUFFIX}"
                    path.write_bytes(archive.files[path.name])
                    _load_weights(model, path)
        except ArtefactError as error:
            raise archive.error(str(error)) from error
        model = cls(networks=networks, **settings)
        archive.check_id(model.model_id)
        return model


def _file_sizes(header: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Smallest and largest size in bytes of each weight file of a model with this header."""
    settings = _read_config(header)
    try:
        counts = count_weights(settings["preset"], settings["system"])
    except InputError as error:
        raise ArtefactError(f"{CONFIG} is not a model's: {error}") from error
    # four bytes a weight, and room for HDF5's own structures
    return {f"{name}{SUFFIX}": (4 * n, 5 * n + 2_000_000) for name, n in counts.items()}


def _read_config(header: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `TrainedModel`, except the networks, from the header of its file."""
    if header.get("format") != FORMAT:
        raise ArtefactError(f"{CONFIG} is not of format {FORMAT}")
    try:
        settings: dict[str, Any] = {
            "preset": Preset.from_dict(header["preset"]),
            "system": OxideSystem.from_fields(header["system"]),
            "energy_scale": EnergyScale.from_dict(header["energy_scale"]),
            "cells": {
                str(formula): {int(z): int(n) for z, n in table.items()}
                for formula, table in header["cells"].items()
            },
            "mean": np.array(header["mean"], dtype=np.float64),
            "width": np.array(header["width"], dtype=np.float64),
            "provenance": dict(header["provenance"]),
        }
        settings["preset"].check_sizes()
    except InputError as error:
        raise ArtefactError(f"{CONFIG} is not a model's: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ArtefactError(f"{CONFIG} is not a model's: {error!r}") from error
    mean, width = settings["mean"], settings["width"]
    n_latent = settings["preset"].sites.latent + settings["preset"].lattice.latent
    if mean.shape != (n_latent,) or width.shape != (n_latent,):
        raise ArtefactError(f"{CONFIG}: mean or width has not {n_latent} numbers")
    finite = np.isfinite(mean).all() and np.isfinite(width).all() and (width > 0).all()
    if not (finite and settings["energy_scale"].is_finite):
        raise ArtefactError(f"{CONFIG}: a scale is not finite and positive")
    return settings


def _load_weights(network: Any, path: Path) -> None:
    """Load a Keras weight file into a network.

    Raises
    ------
    ArtefactError
        If the file does not fit the network or holds a value that is not finite.
    """
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
