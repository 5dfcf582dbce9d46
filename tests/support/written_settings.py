"""Shipped prototypes written as CIFs in every setting of their space group.

Cells, operations and symbols are spglib's, so that a reader that uses gemmi's tables is compared
with another library. A file is read right if it holds the very atoms that spglib puts into the
same cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from math import gcd

import numpy as np
import spglib
from pymatgen.core import Element

from atomate2_vogen.data.prototypes import Prototype, load_prototypes

SYSTEMS = {
    "monoclinic": range(3, 16),
    "orthorhombic": range(16, 75),
    "trigonal": range(143, 168),
}
SYMMETRY = (
    "operations",
    "operations, short symbol, number",
    "Hall symbol",
    "long symbol",
    "short symbol",
    "short symbol, number",
    "number",
    "none",
)
CONTENT = ("", "formula", "formula, Z")
KINDS = [
    (symmetry, content)
    for symmetry in SYMMETRY
    for content in CONTENT
    # where operations are given, a formula alone adds nothing to formula and Z
    if content != "formula" or not symmetry.startswith(("operations", "Hall"))
]
"""Kinds of files: what they say about symmetry, and about the content of the cell."""


@dataclass(frozen=True)
class Written:
    """A crystal in one setting: all atoms of the cell, and what a CIF of it says."""

    name: str
    setting: str
    lattice: np.ndarray
    numbers: np.ndarray
    coords: np.ndarray
    sites: list[tuple[int, np.ndarray]]
    operations: list[str]
    hall: str
    long_symbol: str
    short_symbol: str
    space_group: int

    def cif(self, symmetry: str, content: str, digits: int = 5) -> str:
        """The file with one kind of symmetry statement and of content statement."""
        lines = ["data_x", *self._cell, *self._symmetry(symmetry), *self._content(content)]
        lines += ["loop_", "_atom_site_label", "_atom_site_type_symbol"]
        lines += [f"_atom_site_fract_{axis}" for axis in "xyz"]
        for index, (number, coords) in enumerate(self.sites):
            symbol = Element.from_Z(number).symbol
            lines.append(f"{symbol}{index} {symbol} " + " ".join(f"{x:.{digits}f}" for x in coords))
        return "\n".join(lines) + "\n"

    def is_same(
        self, lattice: np.ndarray, numbers: np.ndarray, coords: np.ndarray, digits: int = 5
    ) -> bool:
        """Whether atoms in a cell are those of this crystal, but for the digits written."""
        edges = np.linalg.norm(self.lattice, axis=1)
        # the digits written, and thirds that pymatgen's and our rule makes of 0.6666
        error = 1.5 * 10.0**-digits * float(edges.sum()) + 7e-5 * float(edges.max())
        if len(numbers) != len(self.numbers) or not np.allclose(
            lattice @ lattice.T, self.lattice @ self.lattice.T, rtol=1e-4, atol=1e-3
        ):
            return False
        apart = coords[:, None] - self.coords[None, :]
        near = np.linalg.norm((apart - np.round(apart)) @ self.lattice, axis=-1) < 1e-3 + error
        near &= numbers[:, None] == self.numbers[None, :]
        return bool((near.sum(axis=0) == 1).all() and (near.sum(axis=1) == 1).all())

    @cached_property
    def _cell(self) -> list[str]:
        edges = np.linalg.norm(self.lattice, axis=1)
        unit = self.lattice / edges[:, None]
        pairs = {"alpha": (1, 2), "beta": (0, 2), "gamma": (0, 1)}
        angles = {
            name: np.degrees(np.arccos(np.clip(unit[i] @ unit[j], -1, 1)))
            for name, (i, j) in pairs.items()
        }
        lines = [f"_cell_length_{axis} {edge:.5f}" for axis, edge in zip("abc", edges, strict=True)]
        return lines + [f"_cell_angle_{name} {angle:.4f}" for name, angle in angles.items()]

    def _symmetry(self, kind: str) -> list[str]:
        lines = []
        if "number" in kind:
            lines.append(f"_space_group_IT_number {self.space_group}")
        if "Hall" in kind:
            quote = "'" if '"' in self.hall else '"'
            lines.append(f"_space_group_name_Hall {quote}{self.hall}{quote}")
        for length, symbol in (("long", self.long_symbol), ("short", self.short_symbol)):
            if length in kind:
                lines.append(f"_symmetry_space_group_name_H-M '{symbol}'")
        if "operations" in kind:
            lines += ["loop_", "_symmetry_equiv_pos_as_xyz"]
            lines += [f"'{operation}'" for operation in self.operations]
        return lines

    def _content(self, kind: str) -> list[str]:
        lines = []
        found = {n: int((self.numbers == n).sum()) for n in sorted(set(self.numbers))}
        units = reduce(gcd, found.values())
        if "formula" in kind:
            formula = " ".join(
                f"{Element.from_Z(int(n)).symbol}{count // units}" for n, count in found.items()
            )
            lines.append(f"_chemical_formula_sum '{formula}'")
        if "Z" in kind:
            lines.append(f"_cell_formula_units_Z {units}")
        return lines


def chosen(system: str, *, everything: bool = False) -> list[Prototype]:
    """Prototypes of a crystal system: one of each group of matching ones, or all."""
    found = [p for p in load_prototypes() if p.space_group in SYSTEMS[system]]
    if everything:
        return found
    return list({p.group: p for p in reversed(found)}.values())[::-1]


def in_every_setting(prototype: Prototype, seed: int = 0) -> Iterator[Written]:
    """The crystal in each of spglib's settings of its space group."""
    cell = (prototype.lattice, prototype.frac_coords, prototype.numbers)
    rng = np.random.default_rng(seed)
    for hall_number in _settings_of(prototype.space_group):
        dataset = spglib.get_symmetry_dataset(cell, symprec=0.01, hall_number=hall_number)
        if dataset is None or dataset.number != prototype.space_group:
            continue
        database = spglib.get_symmetry_from_database(hall_number)
        rotations, shifts = database["rotations"], database["translations"]
        kind = spglib.get_spacegroup_type(hall_number)
        long_symbol = kind.international.split("=")[-1].strip().replace("_", "")
        short_symbol = long_symbol
        if prototype.space_group in SYSTEMS["monoclinic"]:
            centring, *parts = long_symbol.split()
            short_symbol = " ".join([centring, *(part for part in parts if part != "1")])
        elif kind.choice[:1] in {"1", "2", "H", "R"}:
            long_symbol = f"{long_symbol} :{kind.choice[:1]}"
        coords = dataset.std_positions % 1.0
        yield Written(
            name=prototype.name,
            setting=f"{kind.number} {kind.hall_symbol}",
            lattice=dataset.std_lattice,
            numbers=np.asarray(dataset.std_types),
            coords=coords,
            sites=_independent(coords, np.asarray(dataset.std_types), rotations, shifts, rng),
            operations=[_triplet(r, t) for r, t in zip(rotations, shifts, strict=True)],
            hall=kind.hall_symbol.replace("=", '"'),
            long_symbol=long_symbol,
            short_symbol=short_symbol,
            space_group=kind.number,
        )


@lru_cache
def _settings_of(number: int) -> list[int]:
    return [h for h in range(1, 531) if spglib.get_spacegroup_type(h).number == number]


def _independent(coords, numbers, rotations, shifts, rng) -> list[tuple[int, np.ndarray]]:
    """One site of each orbit, any of its images."""
    left, sites = np.ones(len(coords), dtype=bool), []
    for index in rng.permutation(len(coords)):
        if left[index]:
            images = rotations @ coords[index] + shifts
            apart = images[:, None] - coords[None, :]
            hit = (np.abs(apart - np.round(apart)) < 1e-4).all(axis=-1)
            assert hit.any(axis=1).all(), "the cell does not have the setting's symmetry"
            left &= ~hit.any(axis=0)
            sites.append((int(numbers[index]), coords[index]))
    return sites


def _triplet(rotation: np.ndarray, shift: np.ndarray) -> str:
    parts = []
    for row, t in zip(rotation, shift, strict=True):
        text = "".join(
            f"{'+' if v > 0 else '-'}{axis}" for v, axis in zip(row, "xyz", strict=True) if v
        )
        twelfths = round(t * 12) % 12
        parts.append(f"{text}+{twelfths}/12" if twelfths else text)
    return ",".join(parts)
