"""Which prototypes are the same crystal, and which belong together in a split.

Imported by `condense_prototypes.py`. Two prototypes match when pymatgen's StructureMatcher with
its defaults fits them onto each other with either assignment of their two species (only one is
possible unless the stoichiometry is 1:1). Lattices are scaled by the matcher, so the result does
not depend on the elements that are put in later.

Comparing every pair would take hours. Crystals that agree within a hundredth of the mean atomic
spacing in their neighbour distances, and that the matcher fits, are taken as one before the
remaining ones are compared pair by pair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

MINORITY, MAJORITY = 23, 8  # any two elements would do
VOLUME = 11.3  # Å³ per atom; enters only through the absolute tolerances of the reduction
NEIGHBOURS = 12
CLOSE = 0.01  # of the mean atomic spacing

Row = dict[str, Any]


def labelled(row: Row) -> Structure:
    """The prototype with the rarer species (the first one at 1:1) as one fixed element."""
    _, n_first, _, n_second = row["species"]
    pair = (MINORITY, MAJORITY) if n_first <= n_second else (MAJORITY, MINORITY)
    lattice = np.zeros((3, 3))
    lattice[np.tril_indices(3)] = row["lattice"]
    lattice *= np.cbrt(VOLUME * (n_first + n_second) / np.linalg.det(lattice))
    numbers = [int(z) for z in np.repeat(pair, [n_first, n_second])]
    return Structure(Lattice(lattice), numbers, np.reshape(row["frac_coords"], (-1, 3)))


def exchanged(structure: Structure) -> Structure:
    """The same sites with the two elements exchanged."""
    numbers = [MINORITY + MAJORITY - z for z in structure.atomic_numbers]
    return Structure(structure.lattice, numbers, structure.frac_coords)


def fingerprint(structure: Structure) -> np.ndarray:
    """Mean sorted neighbour distances by species pair in units of the atomic spacing."""
    matrix = structure.lattice.matrix / np.cbrt(structure.volume / len(structure))
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    frac = structure.frac_coords
    delta = frac[None, :, None] - frac[:, None, None] + shifts[None, None]
    distances = np.linalg.norm(delta @ matrix, axis=-1)
    numbers = np.array(structure.atomic_numbers)
    parts = []
    for first in (MINORITY, MAJORITY):
        for second in (MINORITY, MAJORITY):
            rows = distances[numbers == first][:, numbers == second].reshape(
                (numbers == first).sum(), -1
            )
            parts.append(np.sort(rows, axis=1)[:, : NEIGHBOURS + 1].mean(axis=0))
    return np.concatenate(parts)


class Components:
    """Union-find whose root is the smallest member."""

    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def find(self, item: int) -> int:
        """Root of the component."""
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def union(self, first: int, second: int) -> None:
        """Join two components."""
        low, high = sorted((self.find(first), self.find(second)))
        self.parent[high] = low


def group_prototypes(rows: list[Row], report: Callable[[str], None]) -> None:
    """Write ``group`` and ``classes`` into every row.

    ``group`` joins everything that matches, directly or through others. ``classes`` is greedy:
    a crystal joins the first earlier class head that it matches.
    """
    matcher = StructureMatcher()

    def fits(first: Structure, second: Structure) -> bool:
        return matcher.fit(first, second, skip_structure_reduction=True)

    structures = []
    buckets: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        reduced = matcher._get_reduced_structure(labelled(row))  # noqa: SLF001
        structures.append(reduced)
        buckets[reduced.composition.reduced_formula, len(reduced)].append(index)
    report(f"{len(rows)} prototypes reduced; {len(buckets)} stoichiometries and sizes")

    components = Components(len(rows))
    # per prototype: the class of the crystal as labelled, and with the two elements exchanged
    classes: dict[int, tuple[int, int]] = {}
    n_fits = 0
    for (formula, size), members in sorted(buckets.items(), key=lambda item: -len(item[1])):
        is_even = structures[members[0]].composition.num_atoms == 2 * sum(
            z == MINORITY for z in structures[members[0]].atomic_numbers
        )
        kept: list[int] = []
        prints = np.empty((len(members), 4 * (NEIGHBOURS + 1)))
        mirrors = np.empty_like(prints)
        for index in members:
            structure = structures[index]
            variants = [(structure, False)]
            if is_even:
                variants.append((exchanged(structure), True))
            # stage one: the same crystal up to small numerical differences
            same = None
            for variant, is_exchanged in variants:
                mark = fingerprint(variant)
                if is_exchanged:
                    mirrors[len(kept)] = mark
                else:
                    prints[len(kept)] = mark
                gaps = np.abs(prints[: len(kept)] - mark).max(axis=1)
                for position in np.flatnonzero(gaps < CLOSE):
                    n_fits += 1
                    if fits(structures[kept[position]], variant):
                        same = (kept[position], is_exchanged)
                        break
                if same:
                    break
            if same:
                head, is_exchanged = same
                components.union(index, head)
                pair = classes[head]
                classes[index] = (pair[1], pair[0]) if is_exchanged else pair
                continue
            # stage two: against everything that was kept
            found = None
            for other in kept:
                is_head = classes[other][0] == 2 * other
                united = components.find(other) == components.find(index)
                if united and (found or not is_head):
                    continue
                for variant, is_exchanged in variants:
                    n_fits += 1
                    if fits(structures[other], variant):
                        components.union(index, other)
                        if found is None and is_head:
                            pair = classes[other]
                            found = (pair[1], pair[0]) if is_exchanged else pair
                        break
            if found is None:
                dual = is_even and fits(structure, variants[1][0])
                found = (2 * index, 2 * index if dual else 2 * index + 1)
            classes[index] = found
            kept.append(index)
        report(f"{formula} x {size}: {len(members)} -> {len(kept)} compared; {n_fits} fits so far")

    for index, row in enumerate(rows):
        _, n_first, _, n_second = row["species"]
        pair = classes[index]
        # `labelled` puts the rarer species first, the file the more electropositive one
        row["classes"] = list(pair if n_first <= n_second else pair[::-1])
        row["group"] = rows[components.find(index)]["prototype_id"]
    sizes = np.unique([row["group"] for row in rows], return_counts=True)[1]
    n_classes = len({c for row in rows for c in row["classes"]})
    report(f"{len(sizes)} groups, the largest {sorted(sizes.tolist())[-8:]}; {n_classes} classes")
