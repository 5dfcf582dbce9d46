"""Magnetic moments before and after a calculation."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, Field


class MagneticOrder(StrEnum):
    """Collinear order of the moments in one cell, by `structures.magnetism.magnetic_order`.

    Examples
    --------
    >>> MagneticOrder("FiM").name
    'FIM'
    """

    NM = "NM"
    """Nonmagnetic."""
    FM = "FM"
    """Ferromagnetic: all moments have one sign."""
    AFM = "AFM"
    """Antiferromagnetic: both signs, and they cancel."""
    FIM = "FiM"
    """Ferrimagnetic: both signs, and a moment is left."""


class MagneticState(BaseModel):
    """Moments with which a calculation, or a chain of calculations, began and ended.

    Both lists are in the order of the sites of the document's structure.

    Examples
    --------
    >>> MagneticState(moments=[1.0, -1.0], order="AFM", total_moment=0).order.name
    'AFM'
    """

    initial_moments: list[float] | None = Field(
        None, description="μB by site at the start of the first self-consistent cycle"
    )
    initial_order: MagneticOrder | None = Field(None, description="of the initial moments")
    moments: list[float] | None = Field(
        None, description="μB by site at the end, within the spheres of the engine"
    )
    order: MagneticOrder | None = Field(None, description="of the final moments")
    total_moment: float | None = Field(None, description="μB per cell at the end")


class MagneticStart(MagneticState):
    """One self-consistent calculation of a crystal from one pattern of moments.

    Examples
    --------
    >>> MagneticStart(name="FM", initial_moments=[1.0, 1.0], energy_per_atom=-7.5).name
    'FM'
    """

    name: str = Field(description="pattern: given, FM or AFM")
    energy_per_atom: float | None = Field(None, description="eV/atom; None where it failed")
    error: str | None = Field(None, description="why it failed")
    cpu_time: float | None = Field(None, description="CPU seconds; None where it is not known")
