"""Relaxed crystals of a data set as further labels and further crystals for training.

A data set holds scaled copies of prototypes. Of some of them both ends of a relaxation are
known (see `data.relaxed`). The energy at the end is a second label of the start, and the
crystal at the end is a local minimum of the energy model, which a scaled copy seldom is.

Random crystals are relaxed too, and kept apart: from both ends the energy network learns energies
of unrelaxed crystals. It does not learn their relaxed energies: these are higher than those of
crystals of the same composition that resemble prototypes, for which the network is used. The
generator never sees them, as one that repeated the finds of a random search would be credited with
them.

Leaks. An end belongs to the split of its start. Two starts of different splits may end in one
crystal, and random starts belong to no split; a crystal of training is therefore dropped if it
matches a crystal that training must not see: one of validation, test or parents, before or after
relaxation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.data.crystals import COORDINATE_DECIMALS, CrystalSet
from atomate2_vogen.data.relaxed import RelaxedSet, crystal_key
from atomate2_vogen.structures.matching import KnownStructures

RANDOM = -1
"""Prototype id of a crystal that is none of the data set; groups count down from it."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Labels and crystals that relaxations add to a data set of n crystals.

    Parameters
    ----------
    energies
        Energy at the end for each crystal of the data set, eV/atom, not-a-number where it was
        not relaxed, shape (n,).
    crystals
        The ends of the data set's crystals, with these energies as labels and the splits and
        groups of their starts.
    random
        The others, before and after relaxation, each labelled with its own energy. All belong to
        the split ``train``.
    n_leaks
        Crystals left out because they match a crystal that training must not see.
    """

    energies: np.ndarray
    crystals: CrystalSet
    random: CrystalSet
    n_leaks: int

    @property
    def ends_id(self) -> str:
        """Hash of the whole content."""
        digest = hashlib.sha256(self.crystals.dataset_id.encode())
        digest.update(np.nan_to_num(self.energies, nan=1e6).astype("<f4").tobytes())
        digest.update(self.random.dataset_id.encode())
        return digest.hexdigest()[:16]


def starts(crystals: CrystalSet, relaxed: RelaxedSet) -> np.ndarray:
    """Row of each relaxation's start in the data set, -1 for none of its distinct crystals, (n,)."""
    distinct = np.flatnonzero(crystals.is_distinct)
    at = {crystal_key(crystals.structure(i)): i for i in distinct.tolist()}
    return np.array([at.get(key, -1) for key in relaxed.keys.tolist()], dtype=int)


def find_ends(crystals: CrystalSet, relaxed: RelaxedSet) -> Ends:
    """Labels and crystals that relaxations add to a data set with splits, without leaks.

    Those whose start is not a distinct crystal of the data set count as random. Both ends of
    each are in the order of the relaxations; what did not converge is left out.
    """
    rows = starts(crystals, relaxed)
    known = np.flatnonzero(relaxed.converged & (rows >= 0))
    others = np.flatnonzero(relaxed.converged & (rows < 0))
    both_ends = [(index, start) for start in (True, False) for index in others.tolist()]
    energies = np.full(len(crystals), np.nan)
    energies[rows[known]] = relaxed.energies[known]
    ends = _crystals(
        crystals,
        [relaxed.structure(index) for index in known.tolist()],
        relaxed.energies[known],
        rows[known],
    )
    random = _crystals(
        crystals,
        [relaxed.structure(index, start=start) for index, start in both_ends],
        np.concatenate([relaxed.start_energies[others], relaxed.energies[others]]),
        np.full(2 * len(others), RANDOM),
    )
    unseen = _unseen(crystals, ends)
    leaks, random_leaks = _leaks(ends, unseen), _leaks(random, unseen)
    return Ends(
        energies,
        ends.select(~leaks),
        random.select(~random_leaks),
        int(leaks.sum() + random_leaks.sum()),
    )


def _crystals(
    crystals: CrystalSet, structures: Sequence[Structure], energies: np.ndarray, rows: np.ndarray
) -> CrystalSet:
    """Structures as a data set; `rows` are their starts in `crystals`, `RANDOM` for none."""
    reduced = [standard_cell(structure) for structure in structures]
    known = rows != RANDOM
    strangers = RANDOM - np.arange(len(rows))
    return CrystalSet(
        system=crystals.system,
        lattices=np.array([structure.lattice.matrix for structure in reduced]).reshape(-1, 3, 3),
        numbers=np.array([z for s in reduced for z in s.atomic_numbers], dtype=np.int8),
        frac_coords=np.concatenate([np.empty((0, 3)), *(s.frac_coords for s in reduced)]),
        offsets=np.concatenate([[0], np.cumsum([len(s) for s in reduced])]).astype(np.int64),
        prototype_ids=np.where(known, crystals.prototype_ids[rows], RANDOM).astype(np.int32),
        swapped=known & crystals.swapped[rows],
        groups=np.where(known, crystals.groups[rows], strangers).astype(np.int32),
        splits=np.where(known, crystals.splits[rows], "train").astype("<U10"),
        is_distinct=np.ones(len(rows), dtype=bool),
        energies=energies.astype(float),
    )


def standard_cell(structure: Structure) -> Structure:
    """Niggli cell with a along x and b in the xy plane, as in a data set."""
    reduced = structure.get_reduced_structure(reduction_algo="niggli")
    lattice = Lattice.from_parameters(*reduced.lattice.parameters, vesta=True)
    return Structure(
        Lattice(np.round(lattice.matrix, COORDINATE_DECIMALS)),
        reduced.species,
        np.round(reduced.frac_coords % 1.0, COORDINATE_DECIMALS) % 1.0,
    )


def _unseen(crystals: CrystalSet, ends: CrystalSet) -> KnownStructures:
    """Crystals that training must not see: those that are held out, before and after relaxation."""
    held = crystals.select(crystals.is_distinct & (crystals.splits != "train"))
    held_ends = ends.select(ends.splits != "train")
    return KnownStructures(
        {
            f"{kind} {index}": unseen.structure(index)
            for kind, unseen in (("held out", held), ("end", held_ends))
            for index in range(len(unseen))
        }
    )


def _leaks(crystals: CrystalSet, unseen: KnownStructures) -> np.ndarray:
    """Whether each is one of training that matches one that training must not see, (n,)."""
    return np.array(
        [
            split == "train" and unseen.find(crystals.structure(index)) is not None
            for index, split in enumerate(crystals.splits)
        ],
        dtype=bool,
    )
