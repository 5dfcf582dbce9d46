"""Consensus of several energy models about one crystal.

Conventions
-----------
- Every model has its own hull, of its own relaxed reference phases.
- Limits are met by the number that tables print, to 1 meV/atom; see `energy_rounding`.
- Models that learned from common data share its faults, and r2SCAN and PBE+U have different ones.
  So a crystal is confirmed only if two of the models that agree differ in functional and share no
  training data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from pymatgen.core import Composition

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.energy_rounding import at_most
from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas import (
    ConsensusDoc,
    EnergyModel,
    Opinion,
    ReferenceDoc,
    ReferenceLevel,
    StabilityDoc,
    StabilityState,
    Verdict,
)
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from atomate2_vogen.stability.phases import ReferenceHull

TIGHT_LIMIT = 0.025
"""Energy above hull, in eV/atom, within which crystals are often found to exist."""


def reference_levels(
    references: Sequence[ReferenceDoc], system: OxideSystem, formulas: Iterable[str]
) -> dict[str, ReferenceLevel]:
    """Hull energy and lowest known phase of some formulas, by one model.

    Parameters
    ----------
    references
        Relaxed phases of one scheme.
    system
        Oxide system.
    formulas
        Reduced formulas.

    Returns
    -------
    dict
        Levels by formula.

    Raises
    ------
    SchemeMismatchError, MissingReferenceError, ElementError, NonFiniteError, InputError
        As `ReferenceHull`.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM, load_references
    >>> from atomate2_vogen.stability import reference_levels
    >>> levels = reference_levels(load_references("CHGNet-0.3.0"), VANADIUM, ["VO2"])
    >>> levels["VO2"].phase
    'VO2 P4_2/mnm'
    """
    hull = ReferenceHull(references, system)
    levels = {}
    for formula in dict.fromkeys(formulas):
        composition = Composition(formula)
        known = [
            reference
            for reference in hull.references
            if reference.structure.composition.reduced_formula == composition.reduced_formula
        ]
        lowest = min(known, key=lambda one: (one.energy_per_atom, one.name), default=None)
        levels[formula] = ReferenceLevel(
            formula=formula,
            hull_energy_per_atom=-hull.position(composition, 0.0).energy_above_hull,
            phase=lowest and lowest.name,
            phase_energy_per_atom=lowest and lowest.energy_per_atom,
        )
    return levels


def place_opinion(opinion: Opinion, level: ReferenceLevel) -> None:
    """Set the energies of an opinion relative to its model's hull and known phase; in place."""
    if opinion.energy_per_atom is None:
        return
    opinion.energy_above_hull = opinion.energy_per_atom - level.hull_energy_per_atom
    opinion.known_phase = level.phase
    if level.phase_energy_per_atom is not None:
        opinion.above_known_phase = opinion.energy_per_atom - level.phase_energy_per_atom


def first_opinion(find: StabilityDoc, model: EnergyModel, level: ReferenceLevel) -> Opinion:
    """Opinion of the model that found a crystal, from its stability document.

    Parameters
    ----------
    find
        Stability document.
    model
        Energy model of the same scheme.
    level
        Of the find's formula, by this model.

    Raises
    ------
    InputError
        If the document holds no relaxed structure.
    """
    if find.structure is None:
        raise InputError(f"candidate {find.candidate_id} has no relaxed structure")
    opinion = Opinion(
        model=model,
        state=find.state,
        reason=find.reason,
        energy_per_atom=find.energy_per_atom,
        space_group_symbol=find.space_group_symbol,
        space_group_number=find.space_group_number,
        rmsd=0.0,
        left_basin=False,
        structure=find.structure,
    )
    place_opinion(opinion, level)
    return opinion


def agrees(opinion: Opinion, limit: float) -> bool | None:
    """Whether a model places the same crystal within a limit; None where it gave no answer.

    Parameters
    ----------
    opinion
        Of the model.
    limit
        Energy above hull in eV/atom.
    """
    if opinion.state is StabilityState.COLLAPSED or opinion.left_basin:
        return False
    if opinion.state is not StabilityState.RANKED or opinion.energy_above_hull is None:
        return None
    return at_most(opinion.energy_above_hull, limit)


def are_independent(one: EnergyModel, other: EnergyModel) -> bool:
    """Whether two models differ in functional and share no training data.

    Examples
    --------
    >>> from atomate2_vogen.schemas import EnergyModel
    >>> from atomate2_vogen.stability import are_independent
    >>> chgnet = EnergyModel(
    ...     engine="chgnet", scheme="a", functional="PBE(+U)", training_data=["MPtrj"]
    ... )
    >>> diep = EnergyModel(
    ...     engine="diep", scheme="b", functional="r2SCAN", training_data=["MatPES-r2SCAN"]
    ... )
    >>> are_independent(chgnet, diep), are_independent(chgnet, chgnet)
    (True, False)
    """
    named = bool(one.functional and other.functional) and one.functional != other.functional
    return named and not set(one.training_data) & set(other.training_data)


def joint_verdict(opinions: Sequence[Opinion], limit: float = NEAR_HULL_LIMIT) -> Verdict | None:
    """Verdict of several models on one crystal within a limit.

    Parameters
    ----------
    opinions
        Of the model that found the crystal, then of the others.
    limit
        Energy above hull in eV/atom.

    Returns
    -------
    Verdict or None
        As `ConsensusDoc` defines them; None where the first model itself does not place the
        crystal within the limit.

    Raises
    ------
    InputError
        If there is no opinion beside the first.

    Examples
    --------
    >>> from atomate2_vogen.schemas import EnergyModel, Opinion
    >>> from atomate2_vogen.stability import joint_verdict
    >>> def opinion(name, functional, above_hull):
    ...     model = EnergyModel(engine=name, scheme=name, functional=functional)
    ...     return Opinion(model=model, state="ranked", energy_above_hull=above_hull)
    >>> chgnet, diep = opinion("chgnet", "PBE(+U)", 0.02), opinion("diep", "r2SCAN", 0.06)
    >>> joint_verdict([chgnet, diep], limit=0.1).value, joint_verdict([chgnet, diep], limit=0.025).value
    ('confirmed', 'refuted')
    """
    if len(opinions) < 2:
        raise InputError("a verdict needs the opinion of a further energy model")
    found = [agrees(opinion, limit) for opinion in opinions]
    if not found[0]:
        return None
    others = found[1:]
    if False in others:
        return Verdict.DISPUTED if True in others else Verdict.REFUTED
    models = [one.model for one, yes in zip(opinions, found, strict=True) if yes]
    independent = any(are_independent(one, other) for one, other in combinations(models, 2))
    return Verdict.CONFIRMED if all(found) and independent else Verdict.UNDECIDED


def shared_training_data(models: Sequence[EnergyModel]) -> list[list[str]]:
    """Groups of engines that learned from common data, each of two or more."""
    groups: list[list[EnergyModel]] = []
    for model in models:
        common = [
            group
            for group in groups
            if any(set(model.training_data) & set(one.training_data) for one in group)
        ]
        groups = [group for group in groups if group not in common]
        groups.append([*(one for group in common for one in group), model])
    order = [model.engine for model in models]
    named = [sorted((one.engine for one in group), key=order.index) for group in groups]
    return [group for group in named if len(group) > 1]


def consensus_document(find: StabilityDoc, opinions: Sequence[Opinion]) -> ConsensusDoc:
    """Document about one crystal from the opinions of several models.

    Parameters
    ----------
    find
        Stability document by the model that found the crystal.
    opinions
        Of this model (`first_opinion`), then of the others.

    Raises
    ------
    InputError
        If there is no opinion beside the first, or the find has no relaxed structure.

    Examples
    --------
    >>> from atomate2_vogen.schemas import EnergyModel, Opinion, StabilityDoc
    >>> from atomate2_vogen.stability import consensus_document
    >>> from pymatgen.core import Lattice, Structure
    >>> find = StabilityDoc(
    ...     stability_id="VO-1|CHGNet-0.3.0",
    ...     candidate_id="VO-1",
    ...     scheme="CHGNet-0.3.0",
    ...     hull_id="made by hand",
    ...     chemsys="O-V",
    ...     formula="VO",
    ...     natoms=2,
    ...     sampler="files",
    ...     model_id="none",
    ...     state="ranked",
    ...     is_converged=True,
    ...     structure=Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    ... )
    >>> opinions = [
    ...     Opinion(
    ...         model=EnergyModel(engine=name, scheme=name, functional=functional),
    ...         state="ranked",
    ...         energy_above_hull=above_hull,
    ...     )
    ...     for name, functional, above_hull in (
    ...         ("chgnet", "PBE(+U)", 0.02),
    ...         ("diep", "r2SCAN", 0.07),
    ...     )
    ... ]
    >>> document = consensus_document(find, opinions)
    >>> document.verdict.value, round(document.spread, 3)
    ('confirmed', 0.05)
    """
    if find.structure is None:
        raise InputError(f"candidate {find.candidate_id} has no relaxed structure")
    heights = [
        opinion.energy_above_hull
        for opinion in opinions
        if opinion.state is StabilityState.RANKED and opinion.energy_above_hull is not None
    ]
    return ConsensusDoc(
        consensus_id=find.stability_id,
        candidate_id=find.candidate_id,
        scheme=find.scheme,
        formula=find.formula,
        chemsys=find.chemsys,
        sampler=find.sampler,
        model_id=find.model_id,
        structure=find.structure,
        opinions=list(opinions),
        verdict=joint_verdict(opinions, NEAR_HULL_LIMIT),
        verdict_25mev=joint_verdict(opinions, TIGHT_LIMIT),
        largest_above_hull=max(heights, default=None),
        spread=max(heights) - min(heights) if heights else None,
        shared_training_data=shared_training_data([opinion.model for opinion in opinions]),
    )
