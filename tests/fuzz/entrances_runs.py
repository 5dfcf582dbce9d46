"""Entrances that take what the package itself wrote: output folders and their stores."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import small_run
from attack import Attack, Place, vogen
from mutations import hostile_value, mutate, mutate_text, structured_file

COMMANDS = (("report",), ("report",), ("build",), ("query", "--state", "any"))


def commands(rng: random.Random, folder: Path) -> list[tuple[str, ...]]:
    """One or two commands on a folder."""
    chosen = rng.sample(COMMANDS, rng.choice((1, 1, 2)))
    made = [(*words, str(folder)) for words in chosen]
    if rng.random() < 0.3:
        made.append(("query", "--state", "any", "--cifs", str(folder / "found"), str(folder)))
    return made


def run_all(words: list[tuple[str, ...]]) -> None:
    """One after the other."""
    for one in words:
        vogen(*one)


class RunFiles:
    """``report``, ``build`` and ``query`` on a folder with one damaged file."""

    name, share = "run files", 320
    files = ("run.json", "metrics.json", "stability.json")

    def prepare(self, root: Path) -> None:
        """A good run."""
        self.folder = small_run.shared(root / "run")

    def attack(self, rng: random.Random, place: Place) -> Attack:
        shutil.copytree(self.folder, place.out)
        path = place.out / rng.choice(self.files)
        text = path.read_text()
        if rng.random() < 0.8:
            content = structured_file(rng, json.loads(text), str(place.outside / "escaped"))
        else:
            content = mutate_text(rng, text)
        path.write_bytes(content)
        if rng.random() < 0.05:
            path.unlink()
            rng.choice((path.mkdir, lambda: path.symlink_to(path), lambda: path.symlink_to("/")))()
        words = commands(rng, place.out)
        return Attack(
            f"{path.name}: {words} {content[:100]!r}", lambda: run_all(words), writes=True
        )


class Documents:
    """The same on a store with damaged documents."""

    name, share = "documents in stores", 430
    keys = ("candidate_id", "calculation_id", "stability_id", "electronic_id", "phonon_id",
            "reference_id", "formula", "scheme", "state", "structure", "candidate", "hull_id",
            "last_updated", "chemsys", "energy_per_atom")  # fmt: skip

    def prepare(self, root: Path) -> None:
        """A good run."""
        self.folder = small_run.shared(root / "run")

    def attack(self, rng: random.Random, place: Place) -> Attack:
        shutil.copytree(self.folder, place.out)
        note = self._bytes(rng, place) if rng.random() < 0.15 else self._document(rng, place)
        words = commands(rng, place.out)
        return Attack(f"{note} {words}"[:400], lambda: run_all(words), writes=True)

    def _document(self, rng: random.Random, place: Place) -> str:
        from atomate2_vogen.stores import VogenStores
        from atomate2_vogen.stores.documents import KEYS

        outside = str(place.outside / "escaped")
        name = rng.choice(list(KEYS))
        with VogenStores.open(place.out / "store") as stores:
            store = getattr(stores, name)
            held = sorted(store.query(), key=lambda content: str(content.get(store.key)))
            if not held:
                name, store = "calculations", stores.calculations
                held = sorted(store.query(), key=lambda content: str(content.get(store.key)))
            good = rng.choice(held)
            good.pop("_id", None)
            changed: dict[str, Any] = good
            if rng.random() < 0.5:
                field = rng.choice([key for key in self.keys if key in good])
                changed = {**good, field: hostile_value(rng, outside)}
                note = f"{name}.{field} = {str(changed[field])[:100]!r}"
            else:
                changed = mutate(rng, good, outside)
                note = f"{name} mutated"
            if not isinstance(changed, dict):
                changed = {store.key: "bad", "value": changed}
            self._insert(store, changed, good, replace=rng.random() < 0.7)
        return note

    @staticmethod
    def _insert(store: Any, changed: dict, good: dict, *, replace: bool) -> None:
        """Put it there as somebody else's program would; what no store can hold is left out."""
        try:
            store._collection.insert_one({"_id": "bad", **changed})
        except Exception:  # noqa: BLE001 - BSON has no such value
            return
        if replace:
            store.remove_docs({store.key: good[store.key], "_id": {"$ne": "bad"}})

    @staticmethod
    def _bytes(rng: random.Random, place: Place) -> str:
        found = sorted(path for path in (place.out / "store").rglob("*") if path.is_file())
        path = rng.choice(found)
        raw = bytearray(path.read_bytes())
        kind = rng.randrange(5)
        if kind == 0 or not raw:
            raw = bytearray(rng.randbytes(300))
        elif kind == 1:
            raw = raw[: rng.randrange(len(raw))]
        elif kind == 2:
            raw = bytearray()
        else:
            for _ in range(rng.choice((1, 5, 50))):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
        path.write_bytes(bytes(raw))
        return f"bytes of {path.name} ({kind})"
