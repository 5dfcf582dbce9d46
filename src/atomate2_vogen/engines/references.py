"""Reference phases: the known compounds and elements that span a hull.

There are two kinds of package data in ``files/``:

``reference_structures.json.gz``
    Starting structures, condensed by ``tools/condense_references.py``: every OQMD entry of
    an ICSD compound of oxygen, a metal or both that OQMD places at most 0.1 eV/atom above its
    hull, for every metal of which there is both the element and an oxide.
``references_<chemsys>_<scheme>.json.gz``
    The same phases relaxed by the Makers of one engine (``tools/relax_references.py``), with
    their energies in its scheme.

Which phases there are is thus a matter of data, not of code. The oxygen reference is the
crystal, not a molecule in a box: force fields are trained on crystals, and MP2020-type scales
are fitted with solid O2 as the element's zero. Its molecules slide almost freely:
relaxed to 0.05 eV/Å its energy is known to some 7 meV/atom (FIRE stops 6 meV/atom above BFGS),
which moves formation energies by at most 5 meV/atom and no energy above hull between two
oxides.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from pymatgen.core import Element, Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import ArtefactError, MissingReferenceError
from atomate2_vogen.schemas import ReferenceDoc

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


FORMAT_VERSION = 1
STRUCTURES_FILE = "reference_structures.json.gz"


@dataclass(frozen=True)
class ReferencePhase:
    """Starting structure of one reference phase.

    Parameters
    ----------
    source
        Where it comes from, e.g. ``OQMD 1502-3224``.
    structure
        Primitive cell.
    source_stability
        Energy above hull in eV/atom that the source gives, by its own functional.
    """

    source: str
    structure: Structure
    source_stability: float


def _folder() -> Traversable:
    return resources.files("atomate2_vogen.engines") / "files"


def references_filename(scheme: str, system: OxideSystem) -> str:
    """Name of the file of relaxed references of a system in a scheme."""
    return f"references_{system.chemsys}_{safe_scheme(scheme)}.json.gz"


class HasScheme(Protocol):
    """Anything with the name of an energy scale, such as an engine."""

    @property
    def scheme(self) -> str:
        """Name of the energy scale."""


def safe_scheme(scheme: str) -> str:
    """Name of a scheme as part of a file name."""
    return "".join(c if c.isalnum() or c in "-+.=()" else "_" for c in scheme)


def encode(content: dict[str, Any]) -> bytes:
    """Compressed JSON, the same bytes for the same content."""
    text = json.dumps({"format_version": FORMAT_VERSION, **content}, sort_keys=True)
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def _decode(file: Traversable) -> dict[str, Any]:
    try:
        content = json.loads(gzip.decompress(file.read_bytes()))
        found = content["format_version"]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{file.name} is damaged: {error}; install the package anew") from error
    if found != FORMAT_VERSION:
        raise ArtefactError(f"{file.name} has format {found}, this version reads {FORMAT_VERSION}")
    return content


@lru_cache(maxsize=1)
def _phases() -> tuple[dict[str, Any], ...]:
    """Starting structures of every system, as in the file."""
    return tuple(_decode(_folder() / STRUCTURES_FILE)["phases"])


def reference_metals() -> tuple[str, ...]:
    """Metals of which the package has starting structures of the element and of oxides.

    Returns
    -------
    tuple of str
        Symbols in alphabetical order.

    Raises
    ------
    ArtefactError
        If the file is damaged.

    Examples
    --------
    >>> from atomate2_vogen.engines import reference_metals
    >>> "V" in reference_metals()
    True
    """
    numbers = {number for phase in _phases() for number in phase["numbers"]}
    symbols = {Element.from_Z(number).symbol for number in numbers}
    return tuple(sorted(symbols - {VANADIUM.anion}))


def reference_structures(system: OxideSystem = VANADIUM) -> list[ReferencePhase]:
    """Starting structures of the reference phases of a system, elements included.

    Returns
    -------
    list of ReferencePhase
        By share of the anion, then by stability in the source.

    Raises
    ------
    MissingReferenceError
        If the package lacks one of the two elements, or any compound of both.
    ArtefactError
        If the file is damaged.

    Examples
    --------
    >>> from atomate2_vogen.engines import reference_structures
    >>> "VO2" in {phase.structure.reduced_formula for phase in reference_structures()}
    True
    """
    elements = set(system.atomic_numbers)
    found = [phase for phase in _phases() if set(phase["numbers"]) <= elements]
    kinds = {frozenset(phase["numbers"]) for phase in found}
    if len(kinds) < 3:  # the metal, the anion, and compounds of both
        raise MissingReferenceError(
            f"no reference structures are shipped for {system.chemsys}, only for the oxides of "
            f"{', '.join(reference_metals())}; pass phases of your own to ReferencesFlowMaker"
        )
    anion = system.atomic_numbers[1]

    def order(phase: dict[str, Any]) -> tuple[float, float, str]:
        share = phase["numbers"].count(anion) / len(phase["numbers"])
        return share, phase["stability"], phase["source"]

    return [
        ReferencePhase(
            source=phase["source"],
            structure=Structure(
                np.array(phase["lattice"]),
                [Element.from_Z(number) for number in phase["numbers"]],
                np.array(phase["frac_coords"]),
            ),
            source_stability=phase["stability"],
        )
        for phase in sorted(found, key=order)
    ]


def has_references(scheme: str | HasScheme, system: OxideSystem = VANADIUM) -> bool:
    """Whether relaxed references of a system are shipped in a scheme; see `load_references`.

    Examples
    --------
    >>> from atomate2_vogen.engines import has_references
    >>> has_references("CHGNet-0.3.0"), has_references("no such scheme")
    (True, False)
    """
    name = scheme if isinstance(scheme, str) else scheme.scheme
    return (_folder() / references_filename(name, system)).is_file()


def load_references(scheme: str | HasScheme, system: OxideSystem = VANADIUM) -> list[ReferenceDoc]:
    """Relaxed reference phases of a system in one scheme, as shipped.

    Parameters
    ----------
    scheme
        Name of the energy scale, or the engine that has it.
    system
        Oxide system.

    Returns
    -------
    list of ReferenceDoc
        Sorted by name. Fresh copies: changing one changes no other caller's.

    Raises
    ------
    MissingReferenceError
        If no references are shipped for this scheme and system, or an element has none.
    ArtefactError
        If the file is damaged.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> references = load_references("CHGNet-0.3.0")
    >>> "V2O3" in {reference.formula for reference in references}
    True
    """
    name = scheme if isinstance(scheme, str) else scheme.scheme
    return [reference.model_copy(deep=True) for reference in _load(name, system)]


@lru_cache(maxsize=8)
def _load(scheme: str, system: OxideSystem) -> tuple[ReferenceDoc, ...]:
    file = _folder() / references_filename(scheme, system)
    if not file.is_file():
        raise MissingReferenceError(
            f"no references of scheme {scheme} are shipped for {system.chemsys}; give a flow "
            "references=ReferencesFlowMaker(engine=..., system=...), which relaxes them first"
        )
    try:
        references = [ReferenceDoc.model_validate(doc) for doc in _decode(file)["references"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{file.name} is damaged: {error}; install the package anew") from error
    check_references(references, scheme, system)
    return tuple(sorted(references, key=lambda reference: reference.reference_id))


def check_references(references: list[ReferenceDoc], scheme: str, system: OxideSystem) -> None:
    """Refuse references from which no hull of the system can be made.

    Raises
    ------
    MissingReferenceError
        If one of the two elements has no reference.
    ArtefactError
        If a reference is of another scheme, has other elements or a non-finite energy.
    """
    for reference in references:
        symbols = {element.symbol for element in reference.structure.composition.elements}
        if reference.scheme != scheme:
            raise ArtefactError(f"{reference.name} is of scheme {reference.scheme}, not {scheme}")
        if not symbols <= set(system.elements):
            raise ArtefactError(f"{reference.name} is no phase of {system.chemsys}")
        if not np.isfinite(reference.energy_per_atom):
            raise ArtefactError(f"{reference.name} has energy {reference.energy_per_atom}")
    for symbol in system.elements:
        if not any(
            {element.symbol for element in reference.structure.composition.elements} == {symbol}
            for reference in references
        ):
            raise MissingReferenceError(
                f"no reference of element {symbol} in scheme {scheme}: formation energies need one"
            )
