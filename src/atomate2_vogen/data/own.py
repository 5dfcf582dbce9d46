"""A data set of a user's own: structure files and an energy for each."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.data.ends import RANDOM, standard_cell
from atomate2_vogen.data.energies import FileKey, energies_by_file
from atomate2_vogen.data.splits import split_groups
from atomate2_vogen.errors import GridError, InputError, MissingEnergyError, NonFiniteError
from atomate2_vogen.structures.matching import duplicate_groups
from atomate2_vogen.structures.reading.structures import BadFile, ReadStructure, read_structures


def crystals_from_files(
    paths: Iterable[str | Path],
    energies: Mapping[str, float],
    system: OxideSystem = VANADIUM,
    max_edge: float = 10.0,
) -> tuple[CrystalSet, list[BadFile]]:
    """A labelled data set from structure files; bad ones are named and the others go on.

    Crystals that match one another share a group, and a group lies whole in one split, so that no
    test crystal was seen in training.

    Parameters
    ----------
    paths
        Files and folders, as `read_structures` takes them.
    energies
        eV/atom by path, all in one scheme, as `read_energies` gives them; of a CIF with several
        structures by ``"path (block 2)"``.
    system
        The two elements, their minimum distances and the largest cell.
    max_edge
        Longest edge of the primitive Niggli cell in Å: 10 is what the lattice grid holds.

    Returns
    -------
    crystals : CrystalSet
        Primitive Niggli cells in the order of the files, without prototypes.
    bad : list of BadFile
        Files and blocks that were left out. Their errors: `StructureFileError` for what does not
        parse or has more than 200 atoms, `ElementError`, `DisorderError`, `OverlapError`,
        `MissingEnergyError`, `NonFiniteError` for an energy that is no number, `GridError` for a
        cell that is too long or has too many atoms for the grids.

    Raises
    ------
    InputError
        If fewer than three distinct crystals are left: each split needs one. If an energy could
        be that of several files, or a file has several energies.

    Examples
    --------
    >>> from atomate2_vogen.data import crystals_from_files
    >>> from pymatgen.core import Lattice, Structure
    >>> energies = {"cubic.cif": -8.5, "long.cif": -8.2, "longer.cif": -7.9}
    >>> for name, c in zip(energies, (2.6, 3.6, 5.0)):
    ...     lattice = Lattice.tetragonal(2.6, c)
    ...     _ = Structure(lattice, ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(name)
    >>> crystals, bad = crystals_from_files(energies, energies)
    >>> sorted(crystals.energies.tolist()), bad
    ([-8.5, -8.2, -7.9], [])
    """
    places = [Path(path) for path in paths]
    found, bad = read_structures(places, system)
    files = [*(crystal.path for crystal in found), *(file.path for file in bad)]
    labelled = energies_by_file(energies, files, [path for path in places if path.is_dir()])
    cells, labels = [], []
    for crystal in found:
        try:
            labels.append(_energy(crystal, labelled))
        except InputError as error:
            bad.append(BadFile(crystal.path, error))
            continue
        try:
            cells.append(_cell(crystal, system, max_edge))
        except InputError as error:
            labels.pop()
            bad.append(BadFile(crystal.path, error))
    leaders = duplicate_groups(cells, labels)
    if (n := len(set(leaders))) < 3:
        raise InputError(
            f"{n} distinct crystals can be used, and {len(bad)} files cannot; training, "
            "validation and test need one each"
        )
    return _assemble(cells, labels, np.array(leaders, dtype=np.int32), system), bad


def _energy(crystal: ReadStructure, energies: Mapping[FileKey, float]) -> float:
    energy = energies.get((os.path.realpath(crystal.path), crystal.block))
    if energy is None:
        raise MissingEnergyError(
            f"{crystal.label}: no energy is given for it; the table names files by their path"
        )
    if not math.isfinite(energy):
        raise NonFiniteError(f"{crystal.label}: its energy is {energy}, not a number of eV/atom")
    return float(energy)


def _cell(crystal: ReadStructure, system: OxideSystem, max_edge: float) -> Structure:
    """The primitive Niggli cell, if the grids can hold it."""
    cell = standard_cell(crystal.structure.get_primitive_structure())
    if len(cell) > system.max_atoms:
        raise GridError(
            f"{crystal.label}: its primitive cell has {len(cell)} atoms; at most "
            f"{system.max_atoms} fit into the grids"
        )
    if (longest := max(cell.lattice.abc)) > max_edge:
        raise GridError(
            f"{crystal.label}: an edge of its Niggli cell is {longest:.2f} Å; at most "
            f"{max_edge:g} Å fit into the grids"
        )
    return cell


def _assemble(
    cells: list[Structure], labels: list[float], groups: np.ndarray, system: OxideSystem
) -> CrystalSet:
    sizes = [len(cell) for cell in cells]
    is_distinct = np.zeros(len(cells), dtype=bool)
    is_distinct[np.unique(groups, return_index=True)[1]] = True
    return CrystalSet(
        system=system,
        lattices=np.array([cell.lattice.matrix for cell in cells]),
        numbers=np.array([z for cell in cells for z in cell.atomic_numbers], dtype=np.int8),
        frac_coords=np.concatenate([cell.frac_coords for cell in cells]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        prototype_ids=np.full(len(cells), RANDOM, dtype=np.int32),
        swapped=np.zeros(len(cells), dtype=bool),
        groups=groups,
        splits=split_groups(groups),
        is_distinct=is_distinct,
        energies=np.array(labels, dtype=float),
    )
