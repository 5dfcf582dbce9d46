"""Edges and gap of one spin channel, from bands on one or two k meshes.

The number of filled bands n is read off the mesh that the Fermi level belongs to (the uniform
one where there is one): the Fermi level lies between the top of band n and the bottom of band
n + 1, edges included, or no n exists and the channel conducts. Where in the gap the Fermi level
was placed does therefore not matter. The edges themselves are then sought on all k points, for
the extrema may lie on the line or off it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from atomate2_vogen.errors import BandDataError
from atomate2_vogen.schemas import BandEdge, ChannelState, SpinChannel

if TYPE_CHECKING:
    from pymatgen.electronic_structure.bandstructure import BandStructure
    from pymatgen.electronic_structure.core import Spin

FERMI_TOLERANCE = 0.02
"""eV by which the Fermi level may lie inside a band that still counts as filled or empty.

Codes place the Fermi level of an insulator at a band edge to the accuracy of a bisection, and
smearing moves it by less than its width where the gap is wide. A channel that is doped by less
cannot be distinguished from a gapped one. Our choice."""

GAPLESS_TOLERANCE = 0.05
"""eV: a gap, or an overlap, of at most this much counts as none.

Two bands that touch (a spin-gapless semiconductor, Wang 2008, DOI
10.1103/PhysRevLett.100.156404) do so at a point that no mesh hits exactly. Our choice; twice
the thermal energy at room temperature."""

DIRECT_TOLERANCE = 0.01
"""eV that the smallest vertical distance may exceed the gap by for the gap to be direct."""

_SAME_K = 1e-3

_TIE = 1e-4

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Mesh:
    """Energies of one calculation, bands sorted at every k point.

    Parameters
    ----------
    name
        uniform or line.
    energies
        By spin, shape (bands, k points), eV.
    k_points
        Fractional, shape (k points, 3).
    labels
        One per k point, or None.
    """

    name: str
    energies: dict[Spin, np.ndarray]
    k_points: np.ndarray
    labels: tuple[str | None, ...]


@dataclass(frozen=True)
class Channel:
    """State of a spin channel, and its band edges as comparable numbers."""

    document: SpinChannel

    @property
    def state(self) -> ChannelState:
        """Gapped, gapless or metallic."""
        return self.document.state

    @property
    def vbm(self) -> float:
        """Highest filled energy in eV; minus infinity if metallic."""
        edge = self.document.vbm
        return -math.inf if edge is None else edge.energy

    @property
    def cbm(self) -> float:
        """Lowest empty energy in eV; infinity if metallic."""
        edge = self.document.cbm
        return math.inf if edge is None else edge.energy


def read_meshes(uniform: BandStructure | None, line: BandStructure | None) -> list[Mesh]:
    """The meshes that are given, the uniform one first.

    Raises
    ------
    BandDataError
        If there are none, or energies are not finite.
    """
    given = {"uniform": uniform, "line": line}
    meshes = []
    for name, bands in given.items():
        if bands is None:
            continue
        energies = {
            spin: np.sort(np.asarray(values, float), axis=0) for spin, values in bands.bands.items()
        }
        for values in energies.values():
            if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
                raise BandDataError(f"the {name} bands are empty or hold NaN or infinity")
        meshes.append(
            Mesh(
                name=name,
                energies=energies,
                k_points=np.array([k.frac_coords for k in bands.kpoints], float),
                labels=tuple(k.label for k in bands.kpoints),
            )
        )
    if not meshes:
        raise BandDataError("no bands are given, on a uniform mesh or along a line")
    return meshes


def spins_of(meshes: Sequence[Mesh]) -> list[tuple[Spin, str]]:
    """Spin channels and their names.

    Raises
    ------
    BandDataError
        If the meshes do not have the same ones.
    """
    from pymatgen.electronic_structure.core import Spin

    found = [frozenset(mesh.energies) for mesh in meshes]
    if len(set(found)) > 1:
        raise BandDataError("one of uniform mesh and line is spin-polarised, the other is not")
    if Spin.down in found[0]:
        return [(Spin.up, "up"), (Spin.down, "down")]
    return [(Spin.up, "both")]


def _labelled(mesh: Mesh) -> list[tuple[str, np.ndarray]]:
    return [
        (label, k) for label, k in zip(mesh.labels, mesh.k_points, strict=True) if label is not None
    ]


def _same_k(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether k points are the same but for a reciprocal lattice vector; broadcasts."""
    shift = first - second
    return np.abs(shift - np.round(shift)).max(axis=-1) < _SAME_K


def filled_bands(energies: np.ndarray, fermi: float, tolerance: float) -> int | None:
    """Number of bands below a gap, or touch, at the Fermi level; None where a band crosses it.

    Parameters
    ----------
    energies
        Shape (bands, k points), sorted at each k point, eV.
    fermi
        Fermi level of these k points, eV.
    tolerance
        eV that it may lie outside the gap. A level that lies strictly inside a gap is taken
        for that gap; one that only the tolerance puts into two gaps, that of a narrow band
        which it cuts, is in none.
    """
    top = np.concatenate([[-np.inf], energies.max(axis=1)])
    bottom = np.concatenate([energies.min(axis=1), [np.inf]])
    open_ = bottom - top >= -GAPLESS_TOLERANCE
    low, high = np.minimum(top, bottom), np.maximum(top, bottom)
    for slack in (_ROUNDING, tolerance):
        around = np.flatnonzero(open_ & (low - slack <= fermi) & (fermi <= high + slack))
        if len(around):
            return int(around[0]) if len(around) == 1 else None
    return None


def judge_channel(
    spin: Spin,
    name: str,
    meshes: Sequence[Mesh],
    *,
    fermi: float,
    tolerance: float = FERMI_TOLERANCE,
    dos_at_fermi: float | None = None,
) -> Channel:
    """Judge one spin channel.

    Parameters
    ----------
    spin, name
        The channel, and what its document calls it.
    meshes
        The first is the one that the Fermi level belongs to.
    fermi, tolerance
        eV; see `filled_bands`.
    dos_at_fermi
        states/eV/cell, for the document.

    Raises
    ------
    BandDataError
        If no filled or no empty band was calculated.
    """
    labels = {label: k for mesh in meshes for label, k in _labelled(mesh)}
    n_filled = filled_bands(meshes[0].energies[spin], fermi, tolerance)
    metallic = Channel(
        SpinChannel(spin=name, state=ChannelState.METALLIC, gap=0.0, dos_at_fermi=dos_at_fermi)
    )
    if n_filled is None:
        return metallic
    fewest = min(len(mesh.energies[spin]) for mesh in meshes)
    if not 0 < n_filled < fewest:
        missing = "filled" if n_filled == 0 else "empty"
        raise BandDataError(
            f"spin {name}: {n_filled} bands lie below the Fermi level, {fewest} were calculated; "
            f"without a{'n' if missing == 'empty' else ''} {missing} band there is no gap to read"
        )
    vbm = _edge(spin, n_filled - 1, meshes, labels, sign=1)
    cbm = _edge(spin, n_filled, meshes, labels, sign=-1)
    gap = cbm.energy - vbm.energy
    if gap < -GAPLESS_TOLERANCE:
        return metallic
    direct_gap = min(
        float((mesh.energies[spin][n_filled] - mesh.energies[spin][n_filled - 1]).min())
        for mesh in meshes
    )
    return Channel(
        SpinChannel(
            spin=name,
            state=ChannelState.GAPPED if gap > GAPLESS_TOLERANCE else ChannelState.GAPLESS,
            gap=max(gap, 0.0),
            direct_gap=direct_gap,
            is_direct=direct_gap - gap <= DIRECT_TOLERANCE,
            vbm=vbm,
            cbm=cbm,
            dos_at_fermi=dos_at_fermi,
        )
    )


def _edge(
    spin: Spin, band: int, meshes: Sequence[Mesh], labels: dict[str, np.ndarray], *, sign: int
) -> BandEdge:
    """Maximum (sign 1) or minimum (sign -1) of a band over all meshes.

    Of several k points with the same energy one with a name is taken, else the shortest.
    """
    edges = []
    best = max(float((sign * mesh.energies[spin][band]).max()) for mesh in meshes)
    for mesh in meshes:
        for i in np.flatnonzero(sign * mesh.energies[spin][band] >= best - _TIE):
            k_point = mesh.k_points[i]
            label = mesh.labels[i] or next(
                (name for name, k in labels.items() if _same_k(k, k_point)), None
            )
            edges.append(
                (label is None, float(np.abs(k_point).sum()), mesh.name, label, k_point.tolist())
            )
    _, _, name, label, k_point = min(edges, key=lambda edge: edge[:2])
    return BandEdge(energy=sign * best, band=band, k_point=k_point, label=label, mesh=name)


def mesh_difference(meshes: Sequence[Mesh], fermi: float, window: float = 5.0) -> float:
    """Largest difference of energies near the Fermi level at k points that both meshes have."""
    first, second = meshes
    same = _same_k(first.k_points[:, None], second.k_points[None])
    pairs = np.argwhere(same)
    largest = 0.0
    for spin, energies in first.energies.items():
        others = second.energies[spin]
        n = min(len(energies), len(others))
        one, two = energies[:n, pairs[:, 0]], others[:n, pairs[:, 1]]
        near = np.abs(one - fermi) < window
        if near.any():
            largest = max(largest, float(np.abs(one - two)[near].max()))
    return largest
