"""What several energy models say about one crystal."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field
from pymatgen.core import Structure

from atomate2_vogen.schemas.base import FileName, VogenDoc
from atomate2_vogen.schemas.jobs import JobLinks
from atomate2_vogen.schemas.stability import StabilityState


class Verdict(StrEnum):
    """Whether further energy models confirm that a crystal lies within a limit above hull.

    Examples
    --------
    >>> Verdict("disputed").name
    'DISPUTED'
    """

    CONFIRMED = "confirmed"
    DISPUTED = "disputed"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


class EnergyModel(BaseModel):
    """Name and origin of an energy model.

    Examples
    --------
    >>> EnergyModel(engine="diep", scheme="DIEP-fold1", functional="r2SCAN").training_data
    []
    """

    engine: str = Field(description="name of the engine")
    scheme: str = Field(description="energy scale")
    functional: str = Field(
        "", description="of its energies, or of those that it learned from; empty: not known"
    )
    training_data: list[str] = Field(
        default_factory=list, description="data sets that it learned from; empty for DFT"
    )
    engine_versions: dict[str, str] = Field(default_factory=dict)


class ReferenceLevel(BaseModel):
    """Energies of one model at one formula: its hull, and its lowest known phase.

    Examples
    --------
    >>> ReferenceLevel(formula="VO", hull_energy_per_atom=-8.5).phase is None
    True
    """

    formula: str
    hull_energy_per_atom: float = Field(description="of the reference phases, eV/atom")
    phase: str | None = Field(None, description="lowest known phase; None: none of this formula")
    phase_energy_per_atom: float | None = Field(None, description="of this phase, eV/atom")


class Opinion(JobLinks):
    """One energy model about one crystal, relaxed by it.

    Its `jobs` are ``relax`` and ``static``; `task` reads their task documents.

    Examples
    --------
    >>> model = EnergyModel(engine="diep", scheme="DIEP-fold1")
    >>> Opinion(model=model, state="failed", reason="out of memory").energy_above_hull is None
    True
    """

    model: EnergyModel
    state: StabilityState = Field(description="ranked, or why the crystal is not")
    reason: str | None = None
    energy_per_atom: float | None = Field(None, description="eV/atom in the model's scheme")
    energy_above_hull: float | None = Field(
        None, description="above the hull of the model's own reference phases, eV/atom"
    )
    above_known_phase: float | None = Field(
        None,
        description="energy above the model's lowest known phase of the formula, eV/atom; None "
        "where there is none. It needs no elements and no correction",
    )
    known_phase: str | None = Field(None, description="that phase")
    space_group_symbol: str | None = None
    space_group_number: int | None = None
    rmsd: float | None = Field(
        None,
        description="of the atoms from the first model's crystal, Å; None if it no longer matches",
    )
    left_basin: bool | None = Field(
        None,
        description="relaxed into another crystal than the first model's; None if that is not known",
    )
    n_steps: int | None = Field(None, description="ionic steps")
    cpu_time: float | None = Field(None, description="CPU seconds of its calculations")
    structure: Structure | None = Field(None, description="relaxed by the model")


class ConsensusDoc(VogenDoc):
    """A find, as the energy model that found it and further ones see it.

    A model agrees within a limit if its energy above its own hull is within it and the crystal
    stayed the one that the first model relaxed. Verdicts are about crystals that the first model
    places within the limit. ``confirmed``: all models agree, among them two
    of different functionals that share no training data. ``refuted``: a further model disagrees,
    and none agrees. ``disputed``: some agree and some do not. ``undecided``: none disagrees, but
    one gave no answer, or no two are independent.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> model = EnergyModel(engine="chgnet", scheme="CHGNet-0.3.0")
    >>> document = ConsensusDoc(
    ...     consensus_id="VO-1|CHGNet-0.3.0",
    ...     candidate_id="VO-1",
    ...     scheme="CHGNet-0.3.0",
    ...     formula="VO",
    ...     chemsys="O-V",
    ...     sampler="random",
    ...     model_id="none",
    ...     structure=Structure(Lattice.cubic(3), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    ...     opinions=[Opinion(model=model, state="ranked", energy_above_hull=0.02)],
    ...     verdict="undecided",
    ... )
    >>> document.opinions[0].model.engine
    'chgnet'
    """

    consensus_id: str = Field(description="candidate id, and scheme of the first model")
    candidate_id: FileName
    scheme: str = Field(description="of the first model, which found the crystal")
    formula: str
    chemsys: str
    sampler: str
    model_id: str = Field(description="of the generator")
    structure: Structure = Field(description="relaxed and refined by the first model")
    opinions: list[Opinion] = Field(description="of the first model, then of the others")
    verdict: Verdict | None = Field(
        None, description="within 0.1 eV/atom; None: the first model places it higher"
    )
    verdict_25mev: Verdict | None = Field(
        None, description="within 0.025 eV/atom; None: the first model places it higher"
    )
    largest_above_hull: float | None = Field(
        None, description="largest energy above hull of the models that rank it, eV/atom"
    )
    spread: float | None = Field(
        None, description="largest less smallest energy above hull, eV/atom"
    )
    shared_training_data: list[list[str]] = Field(
        default_factory=list,
        description="groups of engines that learned from common data: their agreement is weaker "
        "evidence",
    )
