"""What the electrons of a crystal do: gaps by spin channel, moments, character.

pymatgen's own gap is that of both spins together: 0 for a half metal, for any gap of its
other channel. Here each channel is classified alone, then both together.

See `electrons.bands` for how the edges of a channel are found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import trapezoid

from atomate2_vogen.electrons.bands import (
    DIRECT_TOLERANCE,
    FERMI_TOLERANCE,
    GAPLESS_TOLERANCE,
    Channel,
    judge_channel,
    mesh_difference,
    read_meshes,
    spins_of,
)
from atomate2_vogen.errors import BandDataError
from atomate2_vogen.schemas import ChannelState, ElectronicCharacter, ElectronicStructure

if TYPE_CHECKING:
    from pymatgen.electronic_structure.bandstructure import BandStructure, BandStructureSymmLine
    from pymatgen.electronic_structure.core import Spin
    from pymatgen.electronic_structure.dos import Dos

    from atomate2_vogen.electrons.bands import Mesh

INSULATOR_GAP = 3.0
"""eV from which a semiconductor is called an insulator: the customary border, as in Yu and
Cardona, Fundamentals of Semiconductors, chapter 1. A matter of names alone."""

SPIN_EDGE_TOLERANCE = 0.1
"""eV by which the edges of the other channel must lie farther from the gap for both carriers
to be fully polarised: a half-semiconductor (Li and Yang 2016, DOI 10.1093/nsr/nww026). Four
times the thermal energy at room temperature, our choice."""

DOS_NOISE = 0.1
"""states/eV/cell at the Fermi level of a gapped channel above which a warning is given."""

MOMENT_TOLERANCE = 0.1
"""μB: a channel with a gap holds a whole number of electrons, and so does the cell, whose
moment is then whole. What is farther from it is warned of."""

MESH_TOLERANCE = 0.05
"""eV: what line and uniform mesh may differ by at a k point that both have, before a warning."""


def electronic_structure(
    uniform: BandStructure | None = None,
    line: BandStructureSymmLine | BandStructure | None = None,
    dos: Dos | None = None,
    *,
    fermi_level: float | None = None,
    total_moment: float | None = None,
    site_moments: Sequence[float] | None = None,
    fermi_tolerance: float = FERMI_TOLERANCE,
) -> ElectronicStructure:
    """Judge a crystal by its bands.

    Parameters
    ----------
    uniform
        Bands on a uniform mesh, eV. At least one of `uniform` and `line` must be given, on the
        same energy scale.
    line
        Bands along lines of high symmetry.
    dos
        Total density of states on the same energy scale; for the values at the Fermi level.
    fermi_level
        eV; by default that of the uniform mesh, else of the line.
    total_moment
        μB per cell; by default the difference of the channels' DOS up to the Fermi level.
    site_moments
        μB per site.
    fermi_tolerance
        See `FERMI_TOLERANCE`.

    Returns
    -------
    ElectronicStructure

    Raises
    ------
    BandDataError
        If there are no bands, energies are not finite, the meshes differ in spins, or a channel
        has no empty band or no filled one.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.electrons import electronic_structure
    >>> from pymatgen.core import Lattice
    >>> from pymatgen.electronic_structure.bandstructure import BandStructure
    >>> from pymatgen.electronic_structure.core import Spin
    >>> mesh = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    >>> energies = {Spin.up: np.array([[-1.5, -1.0], [2.0, 1.0]])}  # eV, bands by k points
    >>> reciprocal = Lattice.cubic(4.0).reciprocal_lattice
    >>> bands = BandStructure(mesh, energies, reciprocal, efermi=0.0)
    >>> found = electronic_structure(bands, fermi_level=0.0)
    >>> found.character.value
    'semiconductor'
    """
    meshes = read_meshes(uniform, line)
    fermi = _fermi_level(fermi_level, uniform, line)
    spins = spins_of(meshes)
    at_fermi = _dos_at(dos, fermi)
    channels = [
        judge_channel(
            spin,
            name,
            meshes,
            fermi=fermi,
            tolerance=fermi_tolerance,
            dos_at_fermi=at_fermi.get(spin),
        )
        for spin, name in spins
    ]
    moment, source = _moment(total_moment, dos, fermi, polarised=len(spins) == 2)
    gap, vbm_spin, cbm_spin, direct = _fundamental(channels)
    character = _character(channels)
    return ElectronicStructure(
        character=character,
        is_spin_polarised=len(spins) == 2,
        fermi_level=fermi,
        up=channels[0].document,
        down=channels[1].document if len(channels) == 2 else None,
        gap=max(gap, 0.0),
        is_direct=direct if gap > 0 else None,
        vbm_spin=vbm_spin,
        cbm_spin=cbm_spin,
        half_metallic_gap=_half_metallic_gap(channels, fermi)
        if character is ElectronicCharacter.HALF_METAL
        else None,
        total_moment=moment,
        moment_source=source,
        site_moments=None if site_moments is None else [float(m) for m in site_moments],
        meshes=[mesh.name for mesh in meshes],
        tolerances={
            "fermi_level": fermi_tolerance,
            "gapless": GAPLESS_TOLERANCE,
            "insulator": INSULATOR_GAP,
            "spin_edge": SPIN_EDGE_TOLERANCE,
            "direct": DIRECT_TOLERANCE,
        },
        warnings=_warnings(channels, meshes, moment, fermi),
    )


def _fermi_level(
    given: float | None, uniform: BandStructure | None, line: BandStructure | None
) -> float:
    bands = uniform if uniform is not None else line
    fermi = given if given is not None else (None if bands is None else bands.efermi)
    if fermi is None or not math.isfinite(fermi):
        raise BandDataError(f"the Fermi level is {fermi}")
    return float(fermi)


def _fundamental(
    channels: Sequence[Channel],
) -> tuple[float, str | None, str | None, bool | None]:
    """Signed gap over both spins, the spins of its edges, and whether it is direct."""
    if any(channel.state is ChannelState.METALLIC for channel in channels):
        return -math.inf, None, None, None
    highest = max(channels, key=lambda channel: channel.vbm)
    lowest = min(channels, key=lambda channel: channel.cbm)
    gap = lowest.cbm - highest.vbm
    # of two channels with the same edges the vertical transition of either will do
    direct = any(
        channel.document.direct_gap is not None
        and channel.document.direct_gap - gap <= DIRECT_TOLERANCE
        for channel in channels
    )
    return gap, highest.document.spin, lowest.document.spin, direct


def _character(channels: Sequence[Channel]) -> ElectronicCharacter:
    states = [channel.state for channel in channels]
    n_gapped = states.count(ChannelState.GAPPED)
    if n_gapped == 0:
        return ElectronicCharacter.METAL
    if n_gapped < len(states):
        if ChannelState.METALLIC in states:
            return ElectronicCharacter.HALF_METAL
        return ElectronicCharacter.SPIN_GAPLESS
    gap, _, _, _ = _fundamental(channels)
    if gap < -GAPLESS_TOLERANCE:
        return ElectronicCharacter.METAL
    if gap <= GAPLESS_TOLERANCE:
        return ElectronicCharacter.SPIN_GAPLESS
    if gap >= INSULATOR_GAP:
        return ElectronicCharacter.INSULATOR
    if len(channels) == 2:
        for one, other in (channels, channels[::-1]):
            if (
                one.vbm - other.vbm > SPIN_EDGE_TOLERANCE
                and other.cbm - one.cbm > SPIN_EDGE_TOLERANCE
            ):
                return ElectronicCharacter.HALF_SEMICONDUCTOR
    return ElectronicCharacter.SEMICONDUCTOR


def _half_metallic_gap(channels: Sequence[Channel], fermi: float) -> float:
    gapped = next(channel for channel in channels if channel.state is ChannelState.GAPPED)
    return max(0.0, min(fermi - gapped.vbm, gapped.cbm - fermi))


def _dos_at(dos: Dos | None, fermi: float) -> dict[Spin, float]:
    """DOS at the Fermi level by spin, linear between the points of its energies."""
    if dos is None:
        return {}
    energies = np.asarray(dos.energies, float)
    if not energies[0] <= fermi <= energies[-1]:
        raise BandDataError(
            f"the density of states covers {energies[0]:.2f} to {energies[-1]:.2f} eV, "
            f"the Fermi level is {fermi:.2f} eV: are they of one calculation?"
        )
    return {
        spin: float(np.interp(fermi, energies, np.asarray(values, float)))
        for spin, values in dos.densities.items()
    }


def _moment(
    given: float | None, dos: Dos | None, fermi: float, *, polarised: bool
) -> tuple[float | None, str | None]:
    from pymatgen.electronic_structure.core import Spin

    if given is not None:
        return float(given), "engine"
    if not polarised:
        return 0.0, "no spin polarisation"
    if dos is None or Spin.down not in dos.densities:
        return None, None
    energies = np.asarray(dos.energies, float)
    difference = np.asarray(dos.densities[Spin.up]) - np.asarray(dos.densities[Spin.down])
    filled = energies < fermi
    energies = np.append(energies[filled], fermi)
    difference = np.append(difference[filled], np.interp(fermi, dos.energies, difference))
    return float(trapezoid(difference, energies)), "integrated DOS"


def _warnings(
    channels: Sequence[Channel], meshes: Sequence[Mesh], moment: float | None, fermi: float
) -> list[str]:
    found = []
    for channel in channels:
        document = channel.document
        if document.state is ChannelState.GAPPED and (document.dos_at_fermi or 0) > DOS_NOISE:
            found.append(
                f"spin {document.spin} has a gap of {document.gap:.2f} eV by its bands, but "
                f"{document.dos_at_fermi:.2f} states/eV/cell at the Fermi level"
            )
    gapped = any(channel.state is ChannelState.GAPPED for channel in channels)
    if gapped and moment is not None and abs(moment - round(moment)) > MOMENT_TOLERANCE:
        found.append(f"a channel has a gap, but the moment of {moment:.2f} μB is not whole")
    if len(meshes) == 2 and (difference := mesh_difference(meshes, fermi)) > MESH_TOLERANCE:
        found.append(
            f"line and uniform mesh differ by {difference:.2f} eV at a k point of both: "
            "edges of different energy scales may have been compared"
        )
    return found
