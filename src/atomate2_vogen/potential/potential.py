"""The learned potential of one oxide system and energy scale, and its file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import ArtefactError, DisorderError, ElementError, InputError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.models.archive import Archive, named
from atomate2_vogen.potential.neighbours import Batch, Cell, CellSymmetry, NeighbourList
from atomate2_vogen.potential.network import (
    NetworkShape,
    PotentialNetwork,
    closest_distances,
)

FORMAT = 1
_ADVICE = "train it again (tools/train_potential.py)"
_SIDE_BY_SIDE = 64  # crystals evaluated at once, for the sake of memory


def as_cell(structure: Structure, system: OxideSystem, *, symmetric: bool = False) -> Cell:
    """Crystal of a system as arrays, with the symmetry that it has if that is to be kept.

    Raises
    ------
    ElementError
        If the crystal is of another system.
    DisorderError
        If a site is partly occupied.
    """
    formula = structure.composition.reduced_formula
    if not structure.is_ordered:
        raise DisorderError(f"{formula} has partly occupied sites; give an ordered crystal")
    if not {one.symbol for one in structure.composition.elements} <= set(system.elements):
        raise ElementError(f"{formula} is not of the system {system.chemsys} of the potential")
    symmetry = CellSymmetry.of(structure) if symmetric else None
    numbers = np.array([site.specie.symbol == system.metal for site in structure])
    return Cell(
        np.array(structure.lattice.matrix), np.array(structure.cart_coords), numbers, symmetry
    )


class Potential:
    """Energies, forces and stresses of crystals of one oxide, fast and approximate.

    It repeats one energy model, whose scale it is on, with an error of some tens of meV/atom: good
    enough to find where minima are, not to judge them.

    Parameters
    ----------
    network
        Trained network.
    system
        Oxide system.
    scheme
        Energy scale that it was trained on.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from atomate2_vogen.potential import load_potential
    >>> rutile = Structure.from_spacegroup(
    ...     "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    ... )
    >>> potential = load_potential()
    >>> potential.scheme
    'CHGNet-0.3.0'
    >>> bool(abs(potential.energies([rutile])[0] + 8.9) < 0.3)
    True
    """

    def __init__(self, network: PotentialNetwork, system: OxideSystem, scheme: str) -> None:
        self.network, self.system, self.scheme = network, system, scheme

    @cached_property
    def potential_id(self) -> str:
        """Hash of the weights, the sizes and the scale."""
        digest = hashlib.sha256(f"{self.scheme}|{self.system.chemsys}".encode())
        digest.update(repr(sorted(asdict(self.network.shape).items())).encode())
        for variable in self.network.weights:
            digest.update(np.ascontiguousarray(variable, dtype="<f4").tobytes())
        return digest.hexdigest()[:16]

    def require_system(self, system: OxideSystem) -> None:
        """Refuse another oxide system than that of the potential.

        Raises
        ------
        InputError
            If it is another one.
        """
        if self.system.chemsys != system.chemsys:
            name = f"{system.metal}-{system.anion}"
            raise InputError(
                f"the potential is of {self.system.chemsys}, asked for is {system.chemsys}; train "
                f"one: python tools/train_potential.py --system {name} --out potential_{name}"
            )

    def energies(self, structures: Sequence[Structure]) -> np.ndarray:
        """Energies in eV/atom, shape (n,).

        Raises
        ------
        ElementError
            If a crystal is of another system.
        DisorderError
            If a site is partly occupied.
        """
        cells = [as_cell(structure, self.system) for structure in structures]
        found = []
        for start in range(0, len(cells), _SIDE_BY_SIDE):
            some = cells[start : start + _SIDE_BY_SIDE]
            lists = [NeighbourList.of(cell, self.network.shape.cutoff) for cell in some]
            batch = Batch.of(some, lists)
            found.append(self.network.evaluate(batch)[0] / batch.n_atoms)
        return np.concatenate(found) if found else np.zeros(0)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all."""
        write_atomically(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Content of the file."""
        header = {
            "format": FORMAT,
            "kind": "potential",
            "scheme": self.scheme,
            "system": self.system.as_dict(),
            "shape": asdict(self.network.shape),
            "model_id": self.potential_id,
        }
        return Archive(header, named("weights", self.network.weights)).to_bytes()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the file that `save` wrote.

        Raises
        ------
        ArtefactError
            If it is missing, damaged, of another format, or not a potential.
        """
        name = Path(path).name
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise ArtefactError(f"{name} cannot be read ({error}); {_ADVICE}") from error
        return cls.from_bytes(content, name)

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> Self:
        """Read the content of a file of this name.

        Raises
        ------
        ArtefactError
            As `load`.
        """
        archive = Archive.from_bytes(content, name, advice=_ADVICE)
        header = archive.header
        if header.get("kind") != "potential" or header.get("format") != FORMAT:
            raise archive.error("it holds no potential of this version")
        try:
            system = OxideSystem.from_fields(header["system"])
            network = PotentialNetwork(NetworkShape(**header["shape"]), closest_distances(system))
            scheme = str(header["scheme"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise archive.error(f"damaged header ({error})") from error
        archive.assign("weights", network.weights)
        potential = cls(network, system, scheme)
        archive.check_id(potential.potential_id)
        return potential
