"""A judge that knows the first edge only; importable, so that jobs can carry it."""

from __future__ import annotations


def edge_energies():
    """Loads it."""
    return lambda structures: [structure.lattice.a for structure in structures]
