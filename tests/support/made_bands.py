"""Bands in closed form: cosines of known centre, width and shift, on any k points."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.electronic_structure.bandstructure import BandStructure, BandStructureSymmLine
from pymatgen.electronic_structure.core import Spin
from pymatgen.electronic_structure.dos import CompleteDos, Dos

from atomate2_vogen.electrons.electronic import electronic_structure
from atomate2_vogen.schemas import ElectronicDoc

CELL = Structure(Lattice.cubic(4.0), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
RECIPROCAL = CELL.lattice.reciprocal_lattice
CORNERS = {
    "\\Gamma": (0.0, 0.0, 0.0),
    "X": (0.5, 0.0, 0.0),
    "M": (0.5, 0.5, 0.0),
    "R": (0.5, 0.5, 0.5),
}
SPINS = (Spin.up, Spin.down)


def energies(bands, k_points):
    """Energies of bands (centre, width, shift), shape (bands, k points).

    A band reaches centre + width / 2 at Γ if its shift is 0 and at R if that is 0.5; the other
    end lies at the other point. A shift may also be three numbers, one per axis.
    """
    k_points = np.asarray(k_points, float)
    return np.array(
        [
            centre + width / 2 * np.cos(2 * np.pi * (k_points + np.asarray(shift))).mean(axis=1)
            for centre, width, shift in bands
        ]
    )


def mesh(n=4, offset=0.0):
    """k points of a cubic mesh, shape (n³, 3); with Γ and R if n is even and nothing is offset."""
    axis = (np.arange(n) + offset) / n
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


def path(points=8):
    """k points of Γ-X-M-R-Γ."""
    stops = [*CORNERS.values(), CORNERS["\\Gamma"]]
    legs = [np.linspace(a, b, points) for a, b in pairwise(stops)]
    return np.concatenate(legs)


def uniform(spins, fermi, k_points=None):
    """Bands on a mesh; `spins` is a list of one or two lists of bands."""
    k_points = mesh() if k_points is None else k_points
    values = {spin: energies(b, k_points) for spin, b in zip(SPINS, spins, strict=False)}
    return BandStructure(k_points, values, RECIPROCAL, fermi, structure=CELL)


def line(spins, fermi, k_points=None):
    """Bands along the path."""
    k_points = path() if k_points is None else k_points
    values = {spin: energies(b, k_points) for spin, b in zip(SPINS, spins, strict=False)}
    return BandStructureSymmLine(k_points, values, RECIPROCAL, fermi, dict(CORNERS), structure=CELL)


def dos(spins, fermi, sigma=0.05):
    """Sum of Gaussians over a mesh, states/eV/cell."""
    k_points = mesh(6)
    everything = np.concatenate([energies(bands, k_points).ravel() for bands in spins])
    grid = np.arange(everything.min() - 1, everything.max() + 1, 0.02)
    densities = {}
    for spin, bands in zip(SPINS, spins, strict=False):
        states = energies(bands, k_points).ravel()
        weight = (2 if len(spins) == 1 else 1) / len(k_points)
        levels, counts = np.unique(states.round(6), return_counts=True)
        shape = counts * np.exp(-(((grid[:, None] - levels[None]) / sigma) ** 2) / 2)
        densities[spin] = weight * shape.sum(1) / (sigma * np.sqrt(2 * np.pi))
    total = Dos(fermi, grid, densities)
    halves = {spin: values / 2 for spin, values in densities.items()}
    return CompleteDos(CELL, total, _by_site(halves))


def _by_site(densities):
    from pymatgen.electronic_structure.core import Orbital

    return {site: {Orbital.s: densities} for site in CELL}


VALENCE = (-4.0, 1.0, 0.0)
"""A deep band, filled in every channel: -4.5 to -3.5 eV."""
EMPTY = (6.0, 1.0, 0.0)
"""A high band, empty in every channel: 5.5 to 6.5 eV."""


def gapped(vbm, cbm, width=1.0, *, direct=False):
    """Bands with their edges at Γ (top) and at R, or at Γ too where direct."""
    return [
        VALENCE,
        (vbm - width / 2, width, 0.0),
        (cbm + width / 2, width, 0.5 if direct else 0.0),
        EMPTY,
    ]


def metallic(centre, width=2.0):
    """Bands one of which is cut by a Fermi level within `width` / 2 of its centre."""
    return [VALENCE, (centre, width, 0.0), EMPTY, (8.0, 1.0, 0.0)]


def electronic(spins, fermi=0.0, **changes):
    """Document of these bands."""
    bands, lines, density = uniform(spins, fermi), line(spins, fermi), dos(spins, fermi)
    fields = {
        "electronic_id": "a|x",
        "candidate_id": "a",
        "scheme": "toy+U-1",
        "engine": "toy",
        "state": "completed",
        "formula": "VO2",
        "structure": CELL,
        "electrons": electronic_structure(bands, lines, density, total_moment=1.0),
        "line_bands": lines,
        "uniform_bands": bands,
        "density_of_states": density,
    }
    return ElectronicDoc(**(fields | changes))
