"""Stand-ins that write down which settings they ran with: what a powerup has reached is seen."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import toy_engines
from cheap_engine import engine as cheap
from jobflow import Maker

from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.forcefields import SharedRelaxMaker, SharedStaticMaker

RAN: list[Marked] = []
"""The Maker of every calculation that ran."""


@dataclass
class Marked(Maker):
    """Mixin: a setting that a powerup changes."""

    mark: str = ""


@dataclass
class MarkedRelaxMaker(Marked, SharedRelaxMaker):
    """A relaxation."""

    def run_ase(self, mol_or_struct: Any, prev_dir: Any = None) -> Any:
        RAN.append(self)
        return super().run_ase(mol_or_struct, prev_dir=prev_dir)


@dataclass
class MarkedStaticMaker(Marked, SharedStaticMaker):
    """A static calculation."""

    def run_ase(self, mol_or_struct: Any, prev_dir: Any = None) -> Any:
        RAN.append(self)
        return super().run_ase(mol_or_struct, prev_dir=prev_dir)


@dataclass
class MarkedToyStatic(Marked, toy_engines.ToyStatic):
    """A static calculation with moments."""

    def calculate(self, structure: Any) -> Any:
        RAN.append(self)
        return super().calculate(structure)


@dataclass
class MarkedToyBands(Marked, toy_engines.ToyBands):
    """Bands."""

    def calculate(self, structure: Any, mode: str) -> Any:
        RAN.append(self)
        return super().calculate(structure, mode)


CLASSES: dict[type[Maker], type[Maker]] = {
    SharedRelaxMaker: MarkedRelaxMaker,
    SharedStaticMaker: MarkedStaticMaker,
    toy_engines.ToyStatic: MarkedToyStatic,
    toy_engines.ToyBands: MarkedToyBands,
}


def marked(maker: Any) -> Any:
    """The same Maker that writes down its mark, and so the Makers inside it."""
    if not isinstance(maker, Maker):
        return maker
    kept = {f.name: marked(getattr(maker, f.name)) for f in fields(maker)}
    return CLASSES.get(type(maker), type(maker))(**kept)


def engine(base: Engine | None = None) -> Engine:
    """An engine whose Makers write down their marks."""
    base = base or cheap()
    names = ("relax_maker", "static_maker", "phonon_maker", "band_structure_maker")
    return replace(base, **{name: marked(getattr(base, name)) for name in names})
