"""Entrances that take weights: model files, training stages, data sets."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import bare_model
import numpy as np
from attack import Attack, Place
from mutations import hostile_value, mutate
from tiny_model import TINY
from toy_potential import toy_potential

SIZES = (0, -1, 1, 2, 64, 512, 10**4, 10**9, 2**63, 1.5, "8", None, [8], True, float("nan"))


def reshaped(rng: random.Random, config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with other numbers in the preset or the system."""
    config = json.loads(json.dumps(config))
    for _ in range(rng.choice((1, 1, 2, 4))):
        preset = config["preset"]
        parts = [part for part in preset.values() if isinstance(part, dict)]
        where = rng.choice((*parts, *parts, preset, config["system"]))
        name = rng.choice(list(where))
        size = rng.choice(SIZES)
        where[name] = [size] * rng.choice((1, 3, 6, 40)) if isinstance(where[name], list) else size
    return config


class Models:
    """Files of trained networks."""

    name, share = "models", 250

    def prepare(self, root: Path) -> None:
        """A model with random weights, and its parts."""
        self.model = bare_model.bare_model(TINY).to_bytes()
        with zipfile.ZipFile(io.BytesIO(self.model)) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}

    def attack(self, rng: random.Random, place: Place) -> Attack:
        note, content = self._file(rng)
        path = place.write("model.zip", content)
        return Attack(note, lambda: self._read(path))

    @staticmethod
    def _read(path: Path) -> None:
        from atomate2_vogen.samplers.loading import load_sampler

        load_sampler("wgan", model=path)

    def _file(self, rng: random.Random) -> tuple[str, bytes]:
        members = dict(self.members)
        kind = rng.randrange(10)
        if kind < 7:
            config = json.loads(members["config.json"])
            changed = reshaped(rng, config) if kind < 5 else mutate(rng, config)
            members["config.json"] = json.dumps(changed).encode()
            note = str({k: v for k, v in changed.items() if config.get(k) != v})[:300] if isinstance(
                changed, dict) else str(changed)[:100]  # fmt: skip
            return note, archive_of(members)
        name = rng.choice(list(members))
        if kind == 7:
            raw = bytearray(members[name])
            for _ in range(rng.choice((1, 20))):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            members[name] = bytes(raw)
            return f"bytes of {name}", archive_of(members)
        if kind == 8:
            other = rng.choice(list(members))
            members[rng.choice((name, "../../escaped", "/escaped", "x" * 300))] = members[other]
            return f"{other} for {name}", archive_of(members)
        raw = bytearray(self.model)
        cut = rng.randrange(len(raw))
        return "file cut", bytes(raw[:cut]) if rng.random() < 0.5 else bytes(raw[cut:])


def archive_of(members: dict[str, bytes]) -> bytes:
    """A zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class Arrays:
    """Files of arrays: training stages, data sets, labels, checkpoints, potentials, frames."""

    name, share = "arrays", 150

    def prepare(self, root: Path) -> None:
        """One good file of each kind."""
        from atomate2_vogen.data.dataset import load_dataset
        from atomate2_vogen.data.labels import Labels
        from atomate2_vogen.models.training.checkpoint import Checkpoint
        from atomate2_vogen.models.training.trained_stage import stages_of
        from atomate2_vogen.potential import Frame, Frames

        model = bare_model.bare_model(TINY)
        model.provenance["dataset_id"] = "x"
        vae, energy = stages_of(model)
        crystals = load_dataset().select(np.arange(20))
        folder = root / "arrays"
        folder.mkdir()
        Labels("s", {1: -1.0, 2: float("nan")}, {2: "why"}).save(folder / "labels.npz")
        Checkpoint(folder / "checkpoint.npz", {"a": 1}).save({"x": np.ones(3)}, {"epoch": 1})
        some = crystals.structures()[:3]
        none = [np.zeros((len(one), 3)) for one in some]
        frames = [Frame(*of, np.eye(3)) for of in zip(some, (-1.0, -2.0, -3.0), none, strict=True)]
        Frames("s", frames).save(folder / "frames.npz")
        self.files = {
            "vae": vae.to_bytes(),
            "energy": energy.to_bytes(),
            "crystals": crystals.to_bytes(),
            "labels": (folder / "labels.npz").read_bytes(),
            "checkpoint": (folder / "checkpoint.npz").read_bytes(),
            "potential": toy_potential().to_bytes(),
            "frames": (folder / "frames.npz").read_bytes(),
        }

    def attack(self, rng: random.Random, place: Place) -> Attack:
        kind = rng.choice(list(self.files))
        if rng.random() < 0.3:
            raw = bytearray(self.files[kind])
            for _ in range(rng.choice((1, 10))):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            note, content = "bytes", bytes(raw[: rng.choice((len(raw), rng.randrange(len(raw))))])
        else:
            note, content = self._arrays(rng, self.files[kind])
        path = place.write(f"{kind}.npz", content)
        return Attack(f"{kind}: {note}"[:300], lambda: self._read(kind, path))

    @staticmethod
    def _read(kind: str, path: Path) -> None:
        from atomate2_vogen.data.crystals import CrystalSet
        from atomate2_vogen.data.labels import Labels
        from atomate2_vogen.models.training.checkpoint import Checkpoint
        from atomate2_vogen.models.training.trained_stage import TrainedStage
        from atomate2_vogen.potential import Frames, Potential

        if kind == "crystals":
            CrystalSet.load(path)
        elif kind == "potential":
            Potential.load(path)
        elif kind == "frames":
            Frames.load(path)
        elif kind == "labels":
            Labels.load(path)
        elif kind == "checkpoint":
            Checkpoint(path, {"a": 1}).load()
        else:
            TrainedStage.from_bytes(path.read_bytes(), str(path))

    @staticmethod
    def _arrays(rng: random.Random, content: bytes) -> tuple[str, bytes]:
        with np.load(io.BytesIO(content)) as archive:
            arrays = {name: archive[name] for name in archive.files}
        name = rng.choice(list(arrays))
        if "record" in arrays and rng.random() < 0.7:
            name = "record"
            record = json.loads(arrays[name].tobytes())
            record = reshaped(rng, record) if "preset" in record else mutate(rng, record)
            text = json.dumps(record).encode()
            arrays[name] = np.frombuffer(text, dtype=np.uint8)
        elif "system" in arrays and rng.random() < 0.4:
            name = "system"
            text = json.dumps(mutate(rng, json.loads(str(arrays[name]))))
            arrays[name] = np.array(text)
        else:
            array = arrays[name]
            if rng.randrange(3) == 0:
                del arrays[name]
            elif rng.randrange(2):
                arrays[name] = array[..., :1] if array.ndim else np.array([array, array])
            else:
                try:
                    arrays[name] = np.array(hostile_value(rng))
                except ValueError:  # not of one shape
                    arrays[name] = np.zeros((2, 0))
                if arrays[name].dtype == object:
                    arrays[name] = np.array("x")
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return name, buffer.getvalue()
