"""Collinear magnetic moments of a crystal: read, named, renewed.

The moments of a structure are its site property ``magmom`` (numbers in μB), as in pymatgen; spins
of `pymatgen.core.Species` are taken over into that property.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from pymatgen.core import Element, Species, Structure
from pymatgen.electronic_structure.core import Magmom

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import MagneticMomentError
from atomate2_vogen.schemas import MagneticOrder

MOMENT_NOISE = 0.1
"""μB below which a site has no moment: spheres of nonmagnetic atoms hold some hundredths."""

MINOR_SHARE = 0.15
"""Moments below this share of the largest one do not count for the name of the order: a metal
polarises its anions, often with the opposite sign."""

COMPENSATION = 0.1
"""Moments cancel if their sum is at most this share of the sum of their magnitudes: sites of one
order that no symmetry relates have slightly different moments."""


def given_moments(structure: Structure) -> list[float] | None:
    """Moments that a structure carries, in μB by site; None where it carries none.

    A vector counts as its z component if x and y are zero.

    Raises
    ------
    MagneticMomentError
        If some sites have a moment and others none, a moment is not a finite number, moments are
        not collinear along z, or site property and spin of the species contradict each other.
    """
    listed = structure.site_properties.get("magmom")
    if listed is not None and all(moment is None for moment in listed):
        listed = None
    spins = [getattr(site.specie, "spin", None) for site in structure]
    if all(spin is None for spin in spins):
        spins = []
    name = structure.composition.reduced_formula
    moments = None if listed is None else [_number(m, i, name) for i, m in enumerate(listed)]
    if not spins:
        return moments
    # a species without a spin in a structure with spins is nonmagnetic, as pymatgen takes it
    by_species = [_number(spin or 0.0, i, name) for i, spin in enumerate(spins)]
    if moments is not None and not np.allclose(moments, by_species):
        raise MagneticMomentError(
            f"the sites of {name} have moments both as property 'magmom' and as spin of their "
            "species, and these differ: remove one of the two"
        )
    return by_species


def collinear(structure: Structure) -> Structure:
    """The structure with its moments as numbers in the site property ``magmom`` alone.

    Returns
    -------
    Structure
        The same object where there is nothing to change; else a copy, sites in the same order.

    Raises
    ------
    MagneticMomentError
        As `given_moments`.
    """
    moments = given_moments(structure)
    listed = structure.site_properties.get("magmom")
    has_spins = any(getattr(kind, "spin", None) is not None for kind in structure.types_of_species)
    if not has_spins and (listed is None or _plain(listed)):
        return structure
    made = structure.copy()
    if has_spins:
        made.replace_species({kind: _without_spin(kind) for kind in made.types_of_species})
    if "magmom" in made.site_properties:
        made.remove_site_property("magmom")
    return made if moments is None else made.add_site_property("magmom", moments)


def with_moments(structure: Structure, moments: Sequence[float] | None) -> Structure:
    """Copy of a structure with other moments, in μB by site, or with none."""
    made = collinear(structure).copy()
    if "magmom" in made.site_properties:
        made.remove_site_property("magmom")
    return (
        made if moments is None else made.add_site_property("magmom", [float(m) for m in moments])
    )


def renewed_moments(structure: Structure, system: OxideSystem) -> list[float] | None:
    """Moments with the signs of those that a structure carries and the system's magnitudes.

    A self-consistent cycle that starts from the small moments of a calculation without U, or from
    those within the spheres of the last one, may end in a solution of higher energy than one that
    starts from the high-spin moments of `OxideSystem.initial_moments`. The pattern is kept: a site
    with a moment keeps its sign. A site without one takes the sign of the net moment, and stays
    without where that vanishes.

    Returns
    -------
    list of float or None
        μB by site; None where the structure carries no moment above `MOMENT_NOISE`, and a
        calculation starts from the moments of the elements.

    Raises
    ------
    MagneticMomentError
        As `given_moments`.
    """
    found = given_moments(structure)
    if found is None or max(np.abs(found), default=0.0) < MOMENT_NOISE:
        return None
    moments = np.array(found)
    counted = np.where(np.abs(moments) >= MOMENT_NOISE, moments, 0.0)
    net = 0.0 if _cancel(counted) else float(np.sign(counted.sum()))
    signs = np.where(counted == 0, net, np.sign(counted))
    sizes = [
        float(system.initial_moments.get(site.specie.symbol, 0.0)) or abs(moment)
        for site, moment in zip(structure, found, strict=True)
    ]
    return [float(sign * size) for sign, size in zip(signs, sizes, strict=True)]


def magnetic_order(structure: Structure, moments: Sequence[float] | None) -> MagneticOrder | None:
    """Name of the order of moments, by pymatgen's `CollinearMagneticStructureAnalyzer`.

    Moments below `MOMENT_NOISE`, or below `MINOR_SHARE` of the largest, do not count; what cancels
    to `COMPENSATION` is antiferromagnetic.

    Parameters
    ----------
    structure
        Crystal.
    moments
        μB by site of the structure, or None.

    Returns
    -------
    MagneticOrder or None
        None where there are no moments, or one is not finite.
    """
    if moments is None or len(moments) != len(structure) or not np.isfinite(moments).all():
        return None
    from pymatgen.analysis.magnetism import CollinearMagneticStructureAnalyzer

    sizes = np.abs(moments)
    least = max(MOMENT_NOISE, MINOR_SHARE * float(sizes.max()))
    analyzer = CollinearMagneticStructureAnalyzer(
        with_moments(structure, moments),
        make_primitive=False,
        threshold=least,
        threshold_nonmag=least,
        threshold_ordering=COMPENSATION * float(sizes[sizes > least].sum()),
    )
    return MagneticOrder(analyzer.ordering.value)


def by_moment(structure: Structure) -> Structure:
    """Copy whose atoms of one element but different moments are different species.

    Symmetry operations, primitive cells and paths through the Brillouin zone of the copy are those
    of one spin channel; of the chemical crystal they would mix up and down. The spin of a species
    in the copy is the number of its class and no moment. Moments within `MOMENT_NOISE` of each
    other are of one class; an element with one class stays a plain element.

    Raises
    ------
    MagneticMomentError
        As `given_moments`.
    """
    moments = given_moments(structure)
    elements = [site.specie.symbol for site in structure]
    made = Structure(structure.lattice, elements, structure.frac_coords)
    if moments is None:
        return made
    for element in set(elements):
        sites = sorted((i for i, e in enumerate(elements) if e == element), key=moments.__getitem__)
        steps = [moments[j] - moments[i] > MOMENT_NOISE for i, j in itertools.pairwise(sites)]
        if not any(steps):
            continue
        classes = itertools.accumulate([1, *(int(step) for step in steps)])
        for site, number in zip(sites, classes, strict=True):
            made.replace(site, Species(element, spin=number))
    return made


def _without_spin(kind: Any) -> Any:
    """Element, with its oxidation state where it has one."""
    state = getattr(kind, "oxi_state", None)
    return Element(kind.symbol) if state is None else Species(kind.symbol, state)


def _plain(listed: Sequence[Any] | None) -> bool:
    return listed is not None and all(type(moment) is float for moment in listed)


def _number(moment: Any, site: int, name: str) -> float:
    """One moment as a number in μB."""
    where = f"the magnetic moment of site {site} of {name}"
    value = moment.moment if isinstance(moment, Magmom) else moment
    if isinstance(value, (list, tuple, np.ndarray)) and np.shape(value) == (3,):
        x, y, z = value
        if x or y or (isinstance(moment, Magmom) and any(moment.saxis[:2])):
            raise MagneticMomentError(
                f"{where} is the vector {list(value)}: only moments along one axis can be "
                "calculated; give one number per site"
            )
        value = z
    if isinstance(value, bool) or not isinstance(value, (Real, np.number)):
        raise MagneticMomentError(
            f"{where} is {moment!r}, not a number; give one in μB to every site, 0 to those "
            "without a moment, or to none"
        )
    if not np.isfinite(float(value)):
        raise MagneticMomentError(f"{where} is {value}, not finite")
    return float(value)


def _cancel(moments: np.ndarray) -> bool:
    return bool(abs(moments.sum()) <= COMPENSATION * np.abs(moments).sum())
