"""Stability of one candidate, without comparison with other candidates.

Conventions
-----------
- Thresholds are met by the number that tables print, to 1 meV/atom; see `energy_rounding`.
- Symmetry of a relaxed cell is found at `SYMMETRY_PRECISION` = 0.1 Å, as the Materials Project
  does: forces of 0.05 eV/Å leave atoms some hundredths of an Å from their special positions,
  and at 0.01 Å most relaxed cells would be called P1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.energy_rounding import as_printed, at_most
from atomate2_vogen.errors import InputError, SchemeMismatchError, VogenError, reason
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    FieldClass,
    PaperClass,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.phases import ReferenceHull, check_elements
from atomate2_vogen.structures.dimensionality import extent
from atomate2_vogen.structures.geometry import shortest_distance, too_close
from atomate2_vogen.structures.matching import KnownStructures, rmsd
from atomate2_vogen.structures.reduction import ReducedCrystal

STABLE_LIMIT = 0.3
"""Energy above hull of the paper's stable crystals, eV/atom (section 3.3)."""

METASTABLE_LIMIT = 0.5
"""Energy above hull of the paper's metastable crystals, eV/atom (section 3.3)."""

IMATGEN_LIMIT = 0.5
"""Formation energy of iMatGen's stable crystals, eV/atom (DOI 10.1016/j.matt.2019.08.017)."""

NEAR_HULL_LIMIT = 0.1
"""Energy above hull up to which the field calls a crystal metastable, eV/atom."""

SYMMETRY_PRECISION = 0.1
"""Å; see the module's conventions."""


def paper_class(formation_energy: float, energy_above_hull: float) -> PaperClass:
    """Class by the paper, section 3.3: negative formation energy, and 0.3 or 0.5 eV/atom.

    Examples
    --------
    >>> from atomate2_vogen.stability import paper_class
    >>> paper_class(formation_energy=-2.0, energy_above_hull=0.4).value
    'metastable'
    """
    if as_printed(formation_energy) >= 0:
        return PaperClass.UNSTABLE
    if at_most(energy_above_hull, STABLE_LIMIT):
        return PaperClass.STABLE
    if at_most(energy_above_hull, METASTABLE_LIMIT):
        return PaperClass.METASTABLE
    return PaperClass.UNSTABLE


def field_class(energy_above_hull: float) -> FieldClass:
    """Class by the field's thresholds of 0 and 0.1 eV/atom above hull.

    Examples
    --------
    >>> from atomate2_vogen.stability import field_class
    >>> [field_class(energy).value for energy in (0.0, 0.05, 0.4)]
    ['on hull', 'near hull', 'above hull']
    """
    if at_most(energy_above_hull, 0.0):
        return FieldClass.ON_HULL
    if at_most(energy_above_hull, NEAR_HULL_LIMIT):
        return FieldClass.NEAR_HULL
    return FieldClass.ABOVE_HULL


@dataclass(frozen=True)
class Judged:
    """Stability document of one candidate before comparison with other candidates.

    Parameters
    ----------
    document
        Lacks what depends on the others.
    crystal
        Relaxed, refined and reduced, if the candidate is ranked.
    unrefined
        The same before refinement; None where that changed nothing.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM, load_references
    >>> from atomate2_vogen.samplers import SubstitutionSampler
    >>> from atomate2_vogen.schemas import CalculationDoc
    >>> from atomate2_vogen.stability import ReferenceHull, judge
    >>> (candidate,) = SubstitutionSampler().sample({"VO2": 1}, seed=0).candidates
    >>> failed = CalculationDoc.failed(candidate, "CHGNet-0.3.0", "out of memory")
    >>> judged = judge(failed, ReferenceHull(load_references("CHGNet-0.3.0"), VANADIUM))
    >>> judged.crystal is None
    True
    """

    document: StabilityDoc
    crystal: ReducedCrystal | None
    unrefined: ReducedCrystal | None = None


def judge(
    calculation: CalculationDoc, hull: ReferenceHull, known: KnownStructures | None = None
) -> Judged:
    """Stability document of one candidate, without the fields that depend on others.

    Parameters
    ----------
    calculation
        Of the hull's scheme and system.
    hull
        Of the reference phases.
    known
        Known crystals that decide on novelty; without them novelty stays unknown (None).

    Raises
    ------
    SchemeMismatchError, ElementError
        If it is not of the hull's scheme or system.
    InputError
        If the relaxed crystal is of another composition.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM, load_references
    >>> from atomate2_vogen.samplers import SubstitutionSampler
    >>> from atomate2_vogen.schemas import CalculationDoc
    >>> from atomate2_vogen.stability import ReferenceHull, judge
    >>> (candidate,) = SubstitutionSampler().sample({"VO2": 1}, seed=0).candidates
    >>> failed = CalculationDoc.failed(candidate, "CHGNet-0.3.0", "out of memory")
    >>> hull = ReferenceHull(load_references("CHGNet-0.3.0"), VANADIUM)
    >>> judged = judge(failed, hull)
    >>> judged.document.state.value, judged.document.reason
    ('failed', 'out of memory')
    """
    _check(calculation, hull)
    candidate = calculation.candidate
    composition = candidate.structure.composition
    state, reason = _state(calculation, hull.system)
    document = StabilityDoc(
        stability_id=calculation.calculation_id,
        candidate_id=calculation.candidate_id,
        scheme=calculation.scheme,
        hull_id=hull.hull_id,
        chemsys=hull.system.chemsys,
        formula=composition.reduced_formula,
        natoms=len(candidate.structure),
        sampler=candidate.sampler,
        model_id=candidate.model_id,
        state=state,
        reason=reason,
        is_converged=calculation.state is CalculationState.COMPLETED,
        calculation_updated=calculation.last_updated,
        novelty_pool=None if known is None else known.pool_id,
    )
    crystal = unrefined = None
    if _is_finite(calculation.initial_energy_per_atom):
        before = hull.position(composition, _number(calculation.initial_energy_per_atom))
        document.initial_formation_energy_per_atom = before.formation_energy
        document.initial_energy_above_hull = before.energy_above_hull
    if _is_finite(calculation.energy_per_atom):
        after = hull.position(composition, _number(calculation.energy_per_atom))
        document.energy_per_atom = calculation.energy_per_atom
        document.formation_energy_per_atom = after.formation_energy
        document.energy_above_hull = after.energy_above_hull
        document.decomposition = hull.decomposition(composition)
    if calculation.structure is not None:
        crystal = _describe(document, calculation, calculation.structure)
    if crystal is not None and calculation.unrefined_structure is not None:
        unrefined = _reduced_unrefined(document, calculation.unrefined_structure)
    if document.state is not StabilityState.RANKED:
        return Judged(document, None)
    if crystal is not None:
        document.reduced_cell = crystal.cell
    formation = _number(document.formation_energy_per_atom)
    above = _number(document.energy_above_hull)
    document.paper_class = paper_class(formation, above)
    document.field_class = field_class(above)
    document.imatgen_stable = at_most(formation, IMATGEN_LIMIT)
    if known is not None and calculation.structure is not None:
        document.known_as = known.find(calculation.structure, crystal)
        if document.known_as is None and calculation.unrefined_structure is not None:
            document.known_as = known.find(calculation.unrefined_structure, unrefined)
        if document.known_as is None:
            # a known prototype that moves away from itself when relaxed is no discovery
            document.known_as = known.find(candidate.structure)
        document.is_novel = document.known_as is None
    return Judged(document, crystal, unrefined)


def _state(calculation: CalculationDoc, system: OxideSystem) -> tuple[StabilityState, str | None]:
    """State of a calculation on the hull, and the reason where it cannot be ranked."""
    if calculation.state is CalculationState.FAILED:
        return StabilityState.FAILED, calculation.error or "the calculation failed without a reason"
    for name in ("energy_per_atom", "initial_energy_per_atom", "max_force"):
        value = getattr(calculation, name)
        if value is not None and not math.isfinite(value):
            return StabilityState.FAILED, f"{name} is {value}"
    if calculation.structure is None:
        return StabilityState.FAILED, "the calculation has no relaxed structure"
    if calculation.energy_per_atom is None:
        return StabilityState.FAILED, "the calculation has no energy"
    try:
        message = too_close(calculation.structure, system)
    except VogenError as error:
        return StabilityState.FAILED, f"relaxed structure: {reason(error)}"
    if message:
        return StabilityState.COLLAPSED, f"collapsed: {message}"
    if calculation.state is CalculationState.UNCONVERGED:
        return StabilityState.UNCONVERGED, calculation.error or _unconverged(calculation)
    return StabilityState.RANKED, None


def _unconverged(calculation: CalculationDoc) -> str:
    force = calculation.max_force
    steps = calculation.n_steps
    after = "" if steps is None else f" after {steps} steps"
    left = "" if force is None else f"; largest force {force:.3f} eV/Å"
    return f"the relaxation did not converge{after}{left}"


def _describe(
    document: StabilityDoc, calculation: CalculationDoc, relaxed: Structure
) -> ReducedCrystal | None:
    """Geometry of the relaxed cell, and this reduced.

    What is no bulk crystal is not ranked, and neither is what cannot be analysed.
    """
    try:
        document.minimum_distance = shortest_distance(relaxed)
        document.structure = relaxed
        found = extent(relaxed)
        document.bonding_dimensionality = found.bonding_dimensionality
        document.empty_gap = found.empty_gap
        document.is_bulk = found.is_bulk
        if document.state is StabilityState.RANKED and not found.is_bulk:
            document.state, document.reason = StabilityState.NOT_BULK, found.reason
        analyzer = SpacegroupAnalyzer(relaxed, symprec=SYMMETRY_PRECISION)
        document.space_group_symbol = analyzer.get_space_group_symbol()
        document.space_group_number = analyzer.get_space_group_number()
        if calculation.still_matches is None:  # recorded before that was part of it
            document.rmsd_to_relaxed = rmsd(calculation.candidate.structure, relaxed)
        else:
            document.rmsd_to_relaxed = calculation.rmsd_to_relaxed
        # what grouping and novelty do next must not fail for all because of one
        return ReducedCrystal(relaxed)
    except (VogenError, SymmetryUndeterminedError, ValueError, RuntimeError) as error:
        if document.state is StabilityState.RANKED:
            document.state = StabilityState.FAILED
            document.reason = f"relaxed structure cannot be analysed: {reason(error)}"
        return None


def _reduced_unrefined(document: StabilityDoc, unrefined: Structure) -> ReducedCrystal | None:
    """The crystal before its refinement, reduced; the document keeps it for later comparisons."""
    try:
        reduced = ReducedCrystal(unrefined)
    except (VogenError, ValueError, RuntimeError) as error:
        # what it resembles cannot be told then, and so neither that it is unique or novel
        if document.state is StabilityState.RANKED:
            document.state = StabilityState.FAILED
            document.reason = f"unrefined structure cannot be analysed: {reason(error)}"
        return None
    document.unrefined_structure, document.unrefined_cell = unrefined, reduced.cell
    return reduced


def _check(calculation: CalculationDoc, hull: ReferenceHull) -> None:
    if calculation.scheme != hull.scheme:
        raise SchemeMismatchError(
            f"calculation {calculation.calculation_id} is of scheme {calculation.scheme}, "
            f"the references are of {hull.scheme}"
        )
    name = f"candidate {calculation.candidate_id}"
    composition = calculation.candidate.structure.composition
    check_elements(composition, hull.system, name)
    for form, relaxed in (
        ("relaxed", calculation.structure),
        ("unrefined", calculation.unrefined_structure),
    ):
        if relaxed is not None and relaxed.composition != composition:
            raise InputError(
                f"{name} is {composition.formula} but its {form} structure is "
                f"{relaxed.composition.formula}"
            )


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _number(value: float | None) -> float:
    """A number that earlier checks have made sure of."""
    if value is None:
        raise InputError("a number is missing")
    return value
