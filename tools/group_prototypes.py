"""Which prototypes are the same crystal, and which belong together in a split.

Imported by `condense_prototypes.py`. Two prototypes match when pymatgen's StructureMatcher with
its defaults fits them onto each other with either assignment of their two species (only one is
possible unless the stoichiometry is 1:1). Lattices are scaled by the matcher, so the result does
not depend on the elements that are put in later.

Comparing every pair would take hours. Crystals that agree within a hundredth of the mean atomic
spacing in their neighbour distances, and that the matcher fits, are taken as one; the remaining
ones are compared pair by pair unless their neighbour distances are half a spacing apart, where
the matcher (0.3 spacings at most) was never seen to fit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

MINORITY, MAJORITY = 23, 8  # any two elements would do
VOLUME = 11.3  # Å³ per atom; enters only through the absolute tolerances of the reduction
NEIGHBOURS = 12
CLOSE, FAR = 0.01, 0.5  # of the mean atomic spacing

MATCHER = StructureMatcher()

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


def fits(first: Structure, second: Structure) -> bool:
    """What StructureMatcher's `fit` does once both are reduced and of one volume."""
    return MATCHER._strict_match(first, second, 1, break_on_match=True) is not None  # noqa: SLF001


def reduce(row: Row) -> Structure:
    """The cell that the matcher compares."""
    return MATCHER._get_reduced_structure(labelled(row))  # noqa: SLF001


def match_bucket(structures: list[Structure]) -> tuple[list[tuple[int, int]], list[int], int]:
    """Compare reduced crystals of one stoichiometry and size.

    Returns
    -------
    tuple
        Pairs that match; per crystal its two classes, as it is and with the two elements
        exchanged, numbered ``2 i`` and ``2 i + 1`` after the first member i (the same number
        twice if the exchange changes nothing); how many were compared pair by pair.
    """
    is_even = structures[0].atomic_numbers.count(MINORITY) * 2 == len(structures[0])
    matches: list[tuple[int, int]] = []
    classes: list[tuple[int, int]] = []
    components = Components(len(structures))
    kept: list[int] = []
    prints = np.empty((len(structures), 4 * (NEIGHBOURS + 1)))

    def join(index: int, other: int, is_exchanged: int) -> tuple[int, int]:
        components.union(index, other)
        matches.append((index, other))
        pair = classes[other]
        return (pair[1], pair[0]) if is_exchanged else pair

    for index, structure in enumerate(structures):
        variants = [structure, exchanged(structure)] if is_even else [structure]
        marks = [fingerprint(variant) for variant in variants]
        prints[len(kept)] = marks[0]
        gaps = [np.abs(prints[: len(kept)] - mark).max(axis=1) for mark in marks]
        found: tuple[int, int] | None = None
        # stage one: the same crystal up to small numerical differences
        for is_exchanged, (variant, gap) in enumerate(zip(variants, gaps, strict=True)):
            for position in np.flatnonzero(gap < CLOSE):
                if found is None and fits(structures[kept[position]], variant):
                    found = join(index, kept[position], is_exchanged)
        if found:
            classes.append(found)
            continue
        # stage two: against everything that was kept
        for position, other in enumerate(kept):
            is_head = classes[other][0] == 2 * other
            if components.find(other) == components.find(index) and (found or not is_head):
                continue
            for is_exchanged, (variant, gap) in enumerate(zip(variants, gaps, strict=True)):
                if gap[position] <= FAR and fits(structures[other], variant):
                    pair = join(index, other, is_exchanged)
                    if found is None and is_head:
                        found = pair
                    break
        if found is None:
            dual = is_even and fits(structure, variants[1])
            found = (2 * index, 2 * index if dual else 2 * index + 1)
        classes.append(found)
        kept.append(index)
    return matches, classes, len(kept)


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


def group_prototypes(rows: list[Row], report: Callable[[str], None], workers: int = 1) -> None:
    """Write ``group`` and ``classes`` into every row.

    ``group`` joins everything that matches, directly or through others. ``classes`` is greedy:
    a crystal joins the first earlier class head that it matches.
    """
    buckets: dict[tuple[str, int], list[int]] = defaultdict(list)
    components = Components(len(rows))
    with ProcessPoolExecutor(workers) as pool:
        structures = list(pool.map(reduce, rows, chunksize=64))
        for index, structure in enumerate(structures):
            buckets[structure.composition.reduced_formula, len(structure)].append(index)
        report(f"{len(rows)} prototypes in {len(buckets)} stoichiometries and sizes")
        # long ones first, so that no worker is left alone with one at the end
        order = sorted(buckets, key=lambda key: -len(buckets[key]))
        tasks = {
            pool.submit(match_bucket, [structures[i] for i in buckets[key]]): key for key in order
        }
        for task in as_completed(tasks):
            matches, pairs, n_kept = task.result()
            members = buckets[tasks[task]]
            for first, second in matches:
                components.union(members[first], members[second])
            for index, pair in zip(members, pairs, strict=True):
                # `labelled` puts the rarer species first, the file the more electropositive one
                _, n_first, _, n_second = rows[index]["species"]
                numbers = [2 * members[c // 2] + c % 2 for c in pair]
                rows[index]["classes"] = numbers if n_first <= n_second else numbers[::-1]
            formula, size = tasks[task]
            report(f"{formula} x {size}: {len(members)} prototypes, {n_kept} compared pair by pair")

    for index, row in enumerate(rows):
        row["group"] = rows[components.find(index)]["prototype_id"]
    sizes = np.unique([row["group"] for row in rows], return_counts=True)[1]
    n_classes = len({c for row in rows for c in row["classes"]})
    report(f"{len(sizes)} groups, the largest {sorted(sizes.tolist())[-8:]}; {n_classes} classes")
