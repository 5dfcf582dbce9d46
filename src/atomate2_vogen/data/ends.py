"""Where crystals of a data set end when a judge relaxes them: labels, and more crystals.

A data set holds scaled copies of prototypes. Of some of them both ends of a relaxation are
known (see `data.relaxed`). The energy at the end is a second label of the start, and the
crystal at the end is one that the judge takes for stable against small moves, which a scaled
copy seldom is.

Leaks. An end belongs to the split of its start. Two starts of different splits may end in one
crystal, and random starts belong to no split; an end of training is therefore dropped if it
matches a crystal that training must not see: one of validation, test or parents, as it stands
or as it ends.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.analysis.matching import KnownStructures
from atomate2_vogen.data.crystals import DECIMALS, CrystalSet
from atomate2_vogen.data.relaxed import RelaxedSet, crystal_key

RANDOM = -1
"""Prototype id of an end whose start is no crystal of the data set; groups count down from it."""


@dataclass(frozen=True, eq=False)
class Ends:
    """What relaxations add to a data set of n crystals.

    Parameters
    ----------
    energies
        Energy at the end for each crystal of the data set, eV/atom, not-a-number where it was
        not relaxed, shape (n,).
    crystals
        The ends, with these energies as labels and the splits and groups of their starts.
    n_leaks
        Ends left out because they match a crystal that training must not see.
    """

    energies: np.ndarray
    crystals: CrystalSet
    n_leaks: int

    @property
    def ends_id(self) -> str:
        """Hash of the whole content."""
        digest = hashlib.sha256(self.crystals.dataset_id.encode())
        digest.update(np.nan_to_num(self.energies, nan=1e6).astype("<f4").tobytes())
        return digest.hexdigest()[:16]


def starts(crystals: CrystalSet, relaxed: RelaxedSet) -> np.ndarray:
    """Row of each relaxation's start in the data set, -1 for none of its distinct crystals, (n,)."""
    distinct = np.flatnonzero(crystals.is_distinct)
    at = {crystal_key(crystals.structure(i)): i for i in distinct.tolist()}
    return np.array([at.get(key, -1) for key in relaxed.keys.tolist()], dtype=int)


def find_ends(crystals: CrystalSet, relaxed: RelaxedSet, *, random: bool = True) -> Ends:
    """Ends of a data set's crystals, and of random ones, without leaks.

    Parameters
    ----------
    crystals
        Data set with splits.
    relaxed
        Relaxations; those whose start is not a distinct crystal of the data set count as random.
    random
        Whether random starts are taken; they belong to the split ``train``.

    Returns
    -------
    Ends
        In the order of the relaxations. Crystals that did not converge are left out.
    """
    rows = starts(crystals, relaxed)
    taken = relaxed.converged & ((rows >= 0) | random)
    energies = np.full(len(crystals), np.nan)
    energies[rows[taken & (rows >= 0)]] = relaxed.energies[taken & (rows >= 0)]
    found = _crystals(crystals, relaxed, np.flatnonzero(taken), rows[taken])
    leaks = _leaks(crystals, found)
    return Ends(energies, found.select(~leaks), int(leaks.sum()))


def _crystals(
    crystals: CrystalSet, relaxed: RelaxedSet, chosen: np.ndarray, rows: np.ndarray
) -> CrystalSet:
    """The chosen ends as a data set; `rows` are their starts in `crystals`, -1 for none."""
    reduced = [standard_cell(relaxed.structure(index)) for index in chosen.tolist()]
    known = rows >= 0
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
        energies=relaxed.energies[chosen].astype(float),
    )


def standard_cell(structure: Structure) -> Structure:
    """Niggli cell with a along x and b in the xy plane, as in a data set."""
    reduced = structure.get_reduced_structure(reduction_algo="niggli")
    lattice = Lattice.from_parameters(*reduced.lattice.parameters, vesta=True)
    return Structure(
        Lattice(np.round(lattice.matrix, DECIMALS)),
        reduced.species,
        np.round(reduced.frac_coords % 1.0, DECIMALS) % 1.0,
    )


def _leaks(crystals: CrystalSet, ends: CrystalSet) -> np.ndarray:
    """Whether each end is one of training that matches a crystal held out, shape (n,)."""
    training = ends.splits == "train"
    formulas = set(ends.formulas()[training].tolist())
    unseen = crystals.select(crystals.is_distinct & (crystals.splits != "train"))
    pool = KnownStructures(
        {
            f"{kind} {index}": held.structure(index)
            for kind, held in (("held out", unseen), ("end", ends.select(~training)))
            for index, formula in enumerate(held.formulas().tolist())
            if formula in formulas
        }
    )
    return np.array(
        [
            bool(train) and pool.find(ends.structure(index)) is not None
            for index, train in enumerate(training)
        ],
        dtype=bool,
    )
