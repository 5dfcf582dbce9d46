"""Refinement of a relaxed crystal: kicks, and symmetrisation at growing tolerances."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field


class AttemptKind(StrEnum):
    """How a crystal was changed before it was relaxed again.

    Examples
    --------
    >>> AttemptKind("kick").name
    'KICK'
    """

    SYMMETRY = "symmetry"
    KICK = "kick"


class RefinementAttempt(BaseModel):
    """One change of a relaxed crystal, and what became of it when it was relaxed again.

    Examples
    --------
    >>> attempt = RefinementAttempt(
    ...     kind="symmetry", tolerance=0.1, displacement=0.06, space_group="P4_2/mnm"
    ... )
    >>> attempt.accepted, attempt.reason
    (False, None)
    """

    kind: AttemptKind
    tolerance: float | None = Field(None, description="symprec of the symmetrisation, Å")
    kick: int | None = Field(None, description="number of the random displacement, from 0")
    displacement: float = Field(
        description="largest displacement of a site before the relaxation, Å"
    )
    space_group: str = Field(description="symbol before the relaxation, exact")
    space_group_relaxed: str | None = Field(None, description="symbol after it, exact")
    energy_per_atom: float | None = Field(None, description="after the relaxation, eV/atom")
    n_steps: int | None = Field(None, description="ionic steps of the relaxation")
    accepted: bool = False
    reason: str | None = Field(None, description="why it was not accepted")
    wall_time: float | None = Field(None, description="seconds in the energy model")
    cpu_time: float | None = Field(None, description="CPU seconds in the energy model")


class Refinement(BaseModel):
    """What refining a relaxed crystal came to.

    Space groups are exact ones: found within 0.01 Å (`structures.symmetry.EXACT`).

    Examples
    --------
    >>> Refinement(space_group_before="P1", space_group_after="P1").accepted
    False
    """

    space_group_before: str | None = Field(None, description="symbol of the unrefined crystal")
    space_group_after: str | None = Field(None, description="symbol of the document's crystal")
    tolerance: float | None = Field(
        None, description="symprec of the last symmetrisation that was accepted, Å"
    )
    attempts: list[RefinementAttempt] = Field(default_factory=list)
    error: str | None = Field(
        None, description="why the crystal was not refined, or not to the end; None: it was"
    )

    @property
    def accepted(self) -> bool:
        """Whether any attempt was accepted, so that the document's crystal is a refined one."""
        return any(attempt.accepted for attempt in self.attempts)

    @property
    def n_steps(self) -> int:
        """Ionic steps of all attempts, as far as they are known."""
        return sum(attempt.n_steps or 0 for attempt in self.attempts)
