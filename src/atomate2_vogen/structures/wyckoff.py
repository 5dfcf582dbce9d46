"""Random crystals of a space group: Wyckoff positions, a cell of the group's kind, coordinates.

What PyXtal's `random_crystal` does with many retries and checks, here as bare draws of about a
millisecond: what is made goes on to a relaxation, which mends what is bad and leaves the space
group as it is. The tables of the space groups are PyXtal's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import CountsError

N_SPACE_GROUPS = 230

_PLACEMENTS = 4
"""Draws of cell and coordinates for one choice of Wyckoff positions."""

_CHOICES = 6
"""Draws of Wyckoff positions for one space group."""

_VOLUMES = (0.85, 1.2)
"""Factors on the system's atomic volumes between which the volume is drawn."""

_SHORTEST_EDGE = 2.5  # Å

_FLATTEST = 0.4
"""Volume of a drawn cell over the product of its edges, at least."""

_GROUPS_TRIED = 50
"""Space groups drawn for one crystal before it is given up."""

_SHARE_OF_CLOSEST = 0.6
"""Of the minimum distances, below which a draw is not worth a relaxation."""

_PRIMITIVE = {
    "P": np.eye(3),
    "A": np.array([[1, 0, 0], [0, 0.5, 0.5], [0, -0.5, 0.5]]),
    "C": np.array([[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]]),
    "I": np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]),
    "F": np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "R": np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3,
}
"""Primitive cell vectors as rows in units of the conventional ones, by centring."""

_IMAGES = np.array(
    [[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)], dtype=float
)


@dataclass(frozen=True, eq=False)
class WyckoffPosition:
    """One Wyckoff position of a space group.

    Parameters
    ----------
    letter
        Its letter.
    multiplicity
        Sites in the conventional cell.
    is_free
        Whether a coordinate is free, so that it can be taken more than once.
    rotations, translations
        From the free coordinates to the sites, shapes (multiplicity, 3, 3) and
        (multiplicity, 3).
    """

    letter: str
    multiplicity: int
    is_free: bool
    rotations: np.ndarray
    translations: np.ndarray

    def sites(self, free: np.ndarray) -> np.ndarray:
        """Fractional coordinates of all sites, shape (multiplicity, 3)."""
        return np.asarray((self.rotations @ free + self.translations) % 1.0)


@dataclass(frozen=True, eq=False)
class SpaceGroup:
    """What is needed of a space group to draw crystals of it."""

    number: int
    kind: str
    primitive: np.ndarray
    n_lattice_points: int
    positions: tuple[WyckoffPosition, ...]

    def can_hold(self, *counts: int) -> bool:
        """Whether atoms of two elements, as many of each in a primitive cell, find places."""
        group = pyxtal_group(self.number)
        wanted = np.array(counts) * self.n_lattice_points
        return bool(group.check_compatible(wanted)[0])


@lru_cache(maxsize=N_SPACE_GROUPS)
def pyxtal_group(number: int) -> Any:
    """PyXtal's space group; making one takes about 20 ms."""
    from pyxtal.symmetry import Group

    return Group(number)


def pyxtal_version() -> str:
    """Version of PyXtal, whose tables fix what a seed gives."""
    return metadata.version("pyxtal")


@lru_cache(maxsize=N_SPACE_GROUPS)
def space_group_by_number(number: int) -> SpaceGroup:
    """A space group by its number."""
    group = pyxtal_group(number)
    positions = []
    for one in group.Wyckoff_positions:
        rotations = np.array([operation.rotation_matrix for operation in one.ops])
        positions.append(
            WyckoffPosition(
                letter=str(one.letter),
                multiplicity=int(one.multiplicity),
                is_free=bool(np.any(rotations[0])),
                rotations=rotations,
                translations=np.array([operation.translation_vector for operation in one.ops]),
            )
        )
    return SpaceGroup(
        number,
        str(group.lattice_type).lower(),
        _PRIMITIVE[group.symbol[0]],
        int(group.cellsize()),
        tuple(positions),
    )


@lru_cache(maxsize=256)
def groups_that_hold(n_metal: int, n_anion: int) -> tuple[int, ...]:
    """Space groups whose Wyckoff positions can hold these atoms in one primitive cell."""
    numbers = range(1, N_SPACE_GROUPS + 1)
    return tuple(
        number for number in numbers if space_group_by_number(number).can_hold(n_metal, n_anion)
    )


def random_crystal(
    group: SpaceGroup, counts: tuple[int, int], system: OxideSystem, rng: np.random.Generator
) -> Structure | None:
    """Primitive cell of a random crystal, or None if the draws gave nothing sound.

    Parameters
    ----------
    group
        Space group, one of `groups_that_hold`.
    counts
        Atoms of metal and anion in the primitive cell.
    system
        Oxide system, for volumes and minimum distances.
    rng
        Random numbers.

    Returns
    -------
    Structure or None
        No two atoms are nearer than about the minimum distances.
    """
    chosen = _choose(group, counts, rng)
    if chosen is None:
        return None
    symbols = [symbol for symbol, of in zip(system.elements, chosen, strict=True) for _ in of]
    positions = [position for of in chosen for position in of]
    volume = system.volume(*counts)
    to_primitive = np.linalg.inv(group.primitive)
    for _ in range(_PLACEMENTS):
        factor = rng.uniform(*_VOLUMES) * group.n_lattice_points
        cell = _random_cell(group.kind, volume * factor, rng)
        sites = [position.sites(rng.random(3)) for position in positions]
        species = [s for s, one in zip(symbols, sites, strict=True) for _ in one]
        coords = np.concatenate(sites) @ to_primitive
        coords, species = _one_of_each(coords - np.floor(coords + 1e-9), species, group)
        if len(species) != sum(counts):
            return None
        vectors = group.primitive @ cell
        if not _is_crowded(coords, vectors, species, system):
            return Structure(Lattice(vectors), species, coords).get_sorted_structure()
    return None


def _choose(
    group: SpaceGroup, counts: tuple[int, int], rng: np.random.Generator
) -> tuple[list[WyckoffPosition], list[WyckoffPosition]] | None:
    """Wyckoff positions of the two elements, as many as hold all atoms."""
    for _ in range(_CHOICES):
        taken: set[str] = set()
        found = [_fill(group, n * group.n_lattice_points, taken, rng) for n in counts]
        if found[0] is not None and found[1] is not None:
            return found[0], found[1]
    return None


def _fill(
    group: SpaceGroup, n: int, taken: set[str], rng: np.random.Generator
) -> list[WyckoffPosition] | None:
    """Positions for n atoms, drawn one by one among those that still fit."""
    found: list[WyckoffPosition] = []
    while n > 0:
        fitting = [
            one
            for one in group.positions
            if one.multiplicity <= n and (one.is_free or one.letter not in taken)
        ]
        if not fitting:
            return None
        one = fitting[int(rng.integers(len(fitting)))]
        found.append(one)
        n -= one.multiplicity
        if not one.is_free:
            taken.add(one.letter)
    return found


def _random_cell(kind: str, volume: float, rng: np.random.Generator) -> np.ndarray:
    """Conventional cell of a lattice system, vectors as rows in Å."""
    while True:
        a, b, c = np.exp(rng.normal(0.0, 0.35, 3)).tolist()
        alpha, beta, gamma = rng.uniform(60.0, 120.0, 3).tolist()
        if kind == "cubic":
            a = b = c
        if kind in {"hexagonal", "rhombohedral", "trigonal", "tetragonal"}:
            b = a
        if kind in {"hexagonal", "rhombohedral", "trigonal"}:
            alpha, beta, gamma = 90.0, 90.0, 120.0
            # three layers in a hexagonal cell of a rhombohedral lattice
            c *= 1.5 if kind == "rhombohedral" else 1.0
        elif kind == "monoclinic":
            alpha, gamma = 90.0, 90.0
            beta = rng.uniform(90.0, 130.0)
        elif kind != "triclinic":
            alpha = beta = gamma = 90.0
        ca, cb, cg = np.cos(np.radians([alpha, beta, gamma])).tolist()
        # square of the volume of a cell with unit edges: flat cells are no crystals
        square = 1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg
        if square < _FLATTEST**2:
            continue
        scale = (volume / (a * b * c * np.sqrt(square))) ** (1 / 3)
        if min(a, b, c) * scale >= _SHORTEST_EDGE:
            sine = np.sqrt(1.0 - cg * cg)
            vectors = [
                [a, 0.0, 0.0],
                [b * cg, b * sine, 0.0],
                [c * cb, c * (ca - cb * cg) / sine, c * np.sqrt(square) / sine],
            ]
            return scale * np.array(vectors)


def _one_of_each(
    coords: np.ndarray, species: list[str], group: SpaceGroup
) -> tuple[np.ndarray, list[str]]:
    """Sites of the primitive cell: one of those that the centring makes equal."""
    if group.n_lattice_points == 1:
        return coords, species
    apart = coords[:, None] - coords[None]
    equal = np.abs(apart - np.round(apart)).max(axis=-1) < 1e-4
    first = ~np.tril(equal, -1).any(axis=1)
    return coords[first], [s for s, one in zip(species, first.tolist(), strict=True) if one]


def _is_crowded(
    coords: np.ndarray, vectors: np.ndarray, species: list[str], system: OxideSystem
) -> bool:
    """Whether two atoms are nearer than a relaxation can mend."""
    one, other = np.triu_indices(len(species))
    apart = ((coords[one] - coords[other])[:, None] + _IMAGES) @ vectors
    squares = np.einsum("...i,...i", apart, apart)
    squares[one == other, len(_IMAGES) // 2] = np.inf  # an atom and itself
    elements = system.elements
    of_two = np.array([[system.minimum_distance(a, b) for b in elements] for a in elements])
    which = np.array([elements.index(symbol) for symbol in species])
    nearest = _SHARE_OF_CLOSEST * of_two[which[one], which[other]]
    return bool((squares.min(axis=-1) < nearest**2).any())


def draw_crystal(
    formula: str, system: OxideSystem, rng: np.random.Generator, min_atoms: int = 1
) -> tuple[int, Structure | None]:
    """Random crystal of a random size and space group.

    Parameters
    ----------
    formula
        Reduced formula.
    system
        Oxide system.
    rng
        Random numbers.
    min_atoms
        Fewest atoms of the primitive cell; a formula whose largest cell is smaller gets that one.

    Returns
    -------
    tuple
        Number of the space group, and the crystal, or None if its draws gave nothing sound.

    Raises
    ------
    CountsError
        If one formula unit exceeds the largest cell.
    UnknownFormulaError
        If the formula is not a compound of the system.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.structures.wyckoff import draw_crystal
    >>> rng = np.random.default_rng(1)
    >>> draws = [draw_crystal("VO2", VANADIUM, rng) for _ in range(8)]
    >>> {crystal.composition.reduced_formula for _, crystal in draws if crystal}
    {'VO2'}
    """
    unit = system.formula_unit(formula)
    most = system.max_formula_units(formula)
    if most == 0:
        raise CountsError(f"{formula} has more than {system.max_atoms} atoms per formula unit")
    fewest = min(most, -(-min_atoms // sum(unit)))
    n_units = int(rng.integers(fewest, most, endpoint=True))
    counts = (n_units * unit[0], n_units * unit[1])
    groups = groups_that_hold(*counts)
    for _ in range(_GROUPS_TRIED):
        number = groups[int(rng.integers(len(groups)))]
        crystal = random_crystal(space_group_by_number(number), counts, system, rng)
        if crystal is not None:
            return number, crystal
    return number, None
