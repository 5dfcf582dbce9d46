"""Oxide systems by name: those written down, those that follow from the prototypes, files.

The numbers of a system that nobody wrote down come from pymatgen and from the package's
prototypes, namely the compounds of the metal and oxygen that the OQMD places at most
`MAX_STABILITY` above its hull and in which oxygen can be O²⁻:

==================  ==============================================================================
oxidation states    positive ones that pymatgen lists for the ICSD, else its common ones
target formulas     the three reduced formulas with the most prototypes
atomic volumes      oxygen as in `VANADIUM`; metal: median of what is left of the cells, per atom
minimum distances   O-O as in `VANADIUM`, which excludes peroxides; M-O and M-M: shares of the
                    shortest ones there are, 0.9 and 0.75, which would give V-O 1.4 and V-V 2.1 Å
Hubbard U, moments  those of the Materials Project (pymatgen's MPRelaxSet)
==================  ==============================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from pymatgen.core import Composition, Element, Lattice, Structure

from atomate2_vogen.chemistry import TITANIUM, VANADIUM, OxideSystem
from atomate2_vogen.data.prototypes import Prototype, load_prototypes
from atomate2_vogen.errors import InputError, UnknownSystemError
from atomate2_vogen.files import user_path
from atomate2_vogen.structured import read_structured

SYSTEMS = (VANADIUM, TITANIUM)
"""Systems that are written down; the first is the default everywhere."""

ANION = VANADIUM.anion
MAX_STABILITY = 0.1  # eV/atom above OQMD's hull
TARGETS = 3
SHARES = {"metal-metal": 0.75, "metal-anion": 0.9}  # of the shortest distance there is
CUTOFF = 6.0  # Å, beyond any shortest distance of a metal oxide
DEFAULT_MOMENT = 0.6  # μB, of MPRelaxSet where its table has no entry


def load_system(text: str) -> OxideSystem:
    """The system of a name or of a file.

    Parameters
    ----------
    text
        ``Ti-O`` or ``O-Ti``, the metal alone, or a JSON or YAML file with the fields of an
        `OxideSystem`.

    Raises
    ------
    UnknownSystemError
        If there is no such system or file, or the file is none of a system.
    InputError
        If the file's system is impossible; see `OxideSystem`.

    Examples
    --------
    >>> from atomate2_vogen.data import load_system
    >>> load_system("Ti-O").chemsys
    'O-Ti'
    """
    path = Path(text)
    if path.suffix.lower() in {".json", ".yaml", ".yml"}:
        return _read(user_path(path, UnknownSystemError))
    symbols = text.split("-")
    metals = [symbol for symbol in symbols if symbol != ANION]
    if len(metals) != 1 or len(symbols) > 2:
        raise UnknownSystemError(
            f"{text!r} is no oxide system; write METAL-{ANION}, for example "
            f"{VANADIUM.metal}-{ANION}, or give a .json or .yaml file of one"
        )
    return oxide_system(metals[0])


def oxide_system(metal: str) -> OxideSystem:
    """The system of a metal and oxygen: as written down, else from the package's prototypes.

    Parameters
    ----------
    metal
        Symbol, e.g. ``Fe``.

    Raises
    ------
    UnknownSystemError
        If it is no metal, or the package has no prototype of its oxides.

    Examples
    --------
    >>> from atomate2_vogen.data import oxide_system
    >>> oxide_system("Ti").elements
    ('Ti', 'O')
    """
    for system in SYSTEMS:
        if system.metal == metal:
            return system
    return derive_system(metal)


@lru_cache(maxsize=16)
def derive_system(metal: str) -> OxideSystem:
    """The system of a metal and oxygen from pymatgen and the package's prototypes alone.

    Parameters
    ----------
    metal
        Symbol; one that is written down too, for comparison.

    Raises
    ------
    UnknownSystemError
        As `oxide_system`.
    """
    oxides = _oxides().get(metal, ())
    if not oxides:
        known = ", ".join(sorted(_oxides()))
        raise UnknownSystemError(f"no oxides of {metal!r} are known here; there are {known}")
    states = _oxidation_states(metal)
    from pymatgen.io.vasp.sets import MPRelaxSet

    settings = MPRelaxSet.CONFIG["INCAR"]
    hubbard_u = settings["LDAUU"].get(ANION, {}).get(metal)
    volumes = [
        (oxide.volume - VANADIUM.atomic_volumes[ANION] * oxide.composition[ANION])
        / oxide.composition[metal]
        for oxide in oxides
    ]
    formulas = Counter(oxide.composition.reduced_formula for oxide in oxides)
    return OxideSystem(
        metal=metal,
        anion=ANION,
        target_formulas=tuple(formula for formula, _ in formulas.most_common(TARGETS)),
        oxidation_states={metal: states, ANION: VANADIUM.oxidation_states[ANION]},
        atomic_volumes={
            metal: round(float(np.median(volumes)), 1),
            ANION: VANADIUM.atomic_volumes[ANION],
        },
        minimum_distances={
            f"{metal}-{metal}": _share("metal-metal", oxides, metal, metal),
            f"{metal}-{ANION}": _share("metal-anion", oxides, metal, ANION),
            f"{ANION}-{ANION}": VANADIUM.minimum_distance(ANION, ANION),
        },
        hubbard_u={metal: float(hubbard_u)} if hubbard_u else {},
        initial_moments={
            symbol: float(settings["MAGMOM"].get(symbol, DEFAULT_MOMENT))
            for symbol in (metal, ANION)
        },
    )


def _oxidation_states(metal: str) -> tuple[int, ...]:
    element = Element(metal)
    states = element.icsd_oxidation_states or element.common_oxidation_states
    return tuple(sorted(state for state in states if state > 0))


@lru_cache(maxsize=1)
def _oxides() -> dict[str, tuple[Structure, ...]]:
    """Prototypes that are oxides of a metal, by its symbol."""
    found: dict[str, list[Structure]] = {}
    for prototype in load_prototypes():
        metal = _metal(prototype)
        if metal is not None and prototype.stability <= MAX_STABILITY:
            structure = Structure(
                Lattice(prototype.lattice), prototype.numbers.tolist(), prototype.frac_coords
            )
            found.setdefault(metal, []).append(structure)
    return {metal: tuple(structures) for metal, structures in found.items()}


def _metal(prototype: Prototype) -> str | None:
    """Symbol of its metal if it is an oxide, in which oxygen can be O²⁻; None else."""
    composition = Composition(Counter(Element.from_Z(z) for z in prototype.numbers.tolist()))
    metals = [element.symbol for element in composition if element.symbol != ANION]
    if len(metals) != 1 or len(composition) != 2 or not Element(metals[0]).is_metal:
        return None
    states = _oxidation_states(metals[0])
    (charge,) = VANADIUM.oxidation_states[ANION]
    state = -charge * composition[ANION] / composition[metals[0]]
    return metals[0] if states and states[0] <= state <= states[-1] else None


def _share(kind: str, oxides: Sequence[Structure], first: str, second: str) -> float:
    """A share of the shortest distance between two elements in Å, to one decimal."""
    pair = {first, second}
    shortest = CUTOFF
    for oxide in oxides:
        symbols = np.array([site.specie.symbol for site in oxide])
        centers, others, _, distances = oxide.get_neighbor_list(CUTOFF)
        between = zip(symbols[centers], symbols[others], strict=True)
        wanted = [{a, b} == pair for a, b in between]
        shortest = min(shortest, *distances[wanted].tolist())
    return round(SHARES[kind] * shortest, 1)


def _read(path: Path) -> OxideSystem:
    """The system of a JSON or YAML file."""
    content = read_structured(path, UnknownSystemError)
    if not isinstance(content, dict):
        raise UnknownSystemError(f"{path}: no system in it, but {type(content).__name__}")
    try:
        return OxideSystem.from_fields(content)
    except InputError as error:
        raise UnknownSystemError(f"{path}: {error}") from error
