"""Electronic structure of a crystal: gaps by spin channel, moments, character."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field
from pymatgen.core import Structure

from atomate2_vogen.schemas.base import FileName
from atomate2_vogen.schemas.calculations import CharacterisationState
from atomate2_vogen.schemas.jobs import LinkedDoc
from atomate2_vogen.schemas.magnetism import MagneticStart, MagneticState


class ElectronicCharacter(StrEnum):
    """Electronic character of a crystal, by `atomate2_vogen.electrons.electronic`.

    Examples
    --------
    >>> ElectronicCharacter("half-metal").name
    'HALF_METAL'
    """

    INSULATOR = "insulator"
    SEMICONDUCTOR = "semiconductor"
    HALF_SEMICONDUCTOR = "half-semiconductor"
    SPIN_GAPLESS = "spin-gapless semiconductor"
    HALF_METAL = "half-metal"
    METAL = "metal"


class ChannelState(StrEnum):
    """Character of one spin channel.

    Examples
    --------
    >>> ChannelState("gapped").name
    'GAPPED'
    """

    GAPPED = "gapped"
    GAPLESS = "gapless"
    METALLIC = "metallic"


class BandEdge(BaseModel):
    """Highest occupied or lowest empty state of a spin channel.

    Examples
    --------
    >>> BandEdge(energy=5.2, band=11, k_point=[0, 0, 0], mesh="uniform").energy
    5.2
    """

    energy: float = Field(description="eV on the scale of the calculation, as `fermi_level`")
    band: int = Field(description="from 0, in the channel")
    k_point: list[float] = Field(description="fractional coordinates in the reciprocal cell")
    label: str | None = Field(None, description="of the k point on the line, where it has one")
    mesh: str = Field(description="uniform or line: where the extremum was found")


class SpinChannel(BaseModel):
    """Gap and edges of one spin channel; of both together where spins are not polarised.

    Examples
    --------
    >>> SpinChannel(spin="up", state="metallic", gap=0).state.value
    'metallic'
    """

    spin: str = Field(description="up, down, or both without spin polarisation")
    state: ChannelState
    gap: float = Field(description="eV; 0 where the channel is metallic, never negative")
    direct_gap: float | None = Field(
        None, description="smallest vertical distance of the two bands, eV; None if metallic"
    )
    is_direct: bool | None = Field(None, description="None if metallic")
    vbm: BandEdge | None = Field(None, description="None if metallic")
    cbm: BandEdge | None = Field(None, description="None if metallic")
    dos_at_fermi: float | None = Field(None, description="states/eV/cell, where there is a DOS")


class ElectronicStructure(BaseModel):
    """Electronic structure of a crystal, from its bands and density of states.

    Examples
    --------
    >>> up = SpinChannel(spin="up", state="metallic", gap=0)
    >>> down = SpinChannel(spin="down", state="gapped", gap=1.5)
    >>> electrons = ElectronicStructure(
    ...     character="half-metal",
    ...     is_spin_polarised=True,
    ...     fermi_level=5.0,
    ...     up=up,
    ...     down=down,
    ...     gap=0,
    ...     meshes=["uniform"],
    ...     tolerances={},
    ... )
    >>> electrons.character.value, electrons.down.gap
    ('half-metal', 1.5)
    """

    character: ElectronicCharacter
    is_spin_polarised: bool
    fermi_level: float = Field(description="eV, common to both spins")
    up: SpinChannel = Field(description="both spins where they are not polarised")
    down: SpinChannel | None = Field(None, description="None without spin polarisation")
    gap: float = Field(description="fundamental gap over both spins, eV; 0 if any conducts")
    is_direct: bool | None = Field(
        None, description="vertical between states of one spin; None without a gap"
    )
    vbm_spin: str | None = Field(None, description="channel of the highest occupied state")
    cbm_spin: str | None = Field(None, description="channel of the lowest empty state")
    half_metallic_gap: float | None = Field(
        None,
        description="of a half metal: from the Fermi level to the nearer edge of the gapped "
        "channel, eV; the least energy of a spin flip",
    )
    total_moment: float | None = Field(None, description="μB per cell")
    moment_source: str | None = Field(None, description="the engine, or the integrated DOS")
    site_moments: list[float] | None = Field(None, description="μB, in the order of the sites")
    meshes: list[str] = Field(description="k meshes that were searched: uniform, line")
    tolerances: dict[str, float] = Field(description="eV, by name; see analysis.electronic")
    warnings: list[str] = Field(default_factory=list, description="what does not fit together")


class ElectronicDoc(LinkedDoc):
    """Electronic structure of one crystal by one engine.

    Its `jobs` are ``static``, ``uniform`` and ``line`` where the engine calculates bands in these
    steps; `task` reads their task documents. Where several magnetic starts were tried, ``static``
    is a summary of the calculation of the lowest energy.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> document = ElectronicDoc(
    ...     electronic_id="VO-1|PBE",
    ...     candidate_id="VO-1",
    ...     scheme="PBE",
    ...     engine="vasp",
    ...     state="failed",
    ...     error="not converged",
    ...     formula="VO",
    ...     structure=Structure(Lattice.cubic(3), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    ... )
    >>> document.electrons is None
    True
    """

    electronic_id: str = Field(description="candidate id and scheme")
    candidate_id: FileName
    scheme: str = Field(description="engine's energy scale, +U included")
    engine: str = Field(description="name of the engine")
    engine_versions: dict[str, str] = Field(default_factory=dict)
    state: CharacterisationState
    error: str | None = Field(None, description="why it failed")
    formula: str
    structure: Structure = Field(description="as calculated; as given where that failed")
    symmetry: dict[str, Any] | None = Field(
        None,
        description="how the symmetry was made exact before: space groups, tolerance and largest "
        "displacement in Å; None where nothing was done",
    )
    energy_per_atom: float | None = Field(None, description="of the static calculation, eV/atom")
    magnetism: MagneticState | None = Field(
        None, description="moments at start and end of the static calculation under the bands"
    )
    magnetic_start: str | None = Field(
        None, description="start of the lowest energy where several were tried: given, FM or AFM"
    )
    magnetic_starts: list[MagneticStart] = Field(
        default_factory=list, description="all starts, where several were tried"
    )
    magnetic_note: str | None = Field(
        None, description="why a magnetic start that was asked for is missing"
    )
    electrons: ElectronicStructure | None = Field(None, description="None where it failed")
    line_bands: Any = Field(
        None, description="pymatgen BandStructureSymmLine; in the `data` store, see `load=True`"
    )
    uniform_bands: Any = Field(None, description="pymatgen BandStructure; in the `data` store")
    density_of_states: Any = Field(None, description="pymatgen CompleteDos; in the `data` store")
