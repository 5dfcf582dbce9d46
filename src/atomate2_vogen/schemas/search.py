"""Draws of a structure search, relaxed on a learned potential."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from atomate2_vogen.schemas.candidates import RejectionReason


class RelaxedDraws(BaseModel):
    """A part of the draws of one formula: the lowest ones, relaxed, and why others are not.

    Examples
    --------
    >>> RelaxedDraws(
    ...     formula="VO2", seed=1, n_draws=24, blocks=[0], model_id="none", wall_time=0, cpu_time=0
    ... ).draws
    []
    """

    formula: str
    seed: int
    n_draws: int = Field(description="draws of the formula in all parts")
    blocks: list[int] = Field(description="numbers of the blocks of draws that are compared")
    model_id: str = Field(description="of the sampler")
    options: dict[str, Any] = Field(default_factory=dict, description="of the sampler")
    draws: list[int] = Field(default_factory=list, description="numbers of the relaxed draws")
    groups: list[int] = Field(default_factory=list, description="space group of each, as drawn")
    energies: list[float] = Field(default_factory=list, description="by the potential, eV/atom")
    lattices: list[list[list[float]]] = Field(
        default_factory=list, description="cell vectors of each as rows, Å"
    )
    species: list[list[str]] = Field(default_factory=list, description="symbols of the sites")
    coords: list[list[list[float]]] = Field(
        default_factory=list, description="fractional coordinates of the sites"
    )
    refused: list[tuple[RejectionReason, str]] = Field(
        default_factory=list, description="reason and message of each that is left out"
    )
    wall_time: float = Field(description="seconds")
    cpu_time: float = Field(description="seconds")
