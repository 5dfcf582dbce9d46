"""A small network with random weights: a smooth potential that needs no training."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM

SCHEME = "toy"


@lru_cache
def toy_potential(seed=0, system=VANADIUM):
    """Potential of a system; the same seed gives the same one."""
    from atomate2_vogen.potential.network import (
        NetworkShape,
        PotentialNetwork,
        closest_distances,
    )
    from atomate2_vogen.potential.potential import Potential

    shape = NetworkShape(cutoff=4.0, radial=6, channels=4, hidden=8)
    network = PotentialNetwork(shape, closest_distances(system), seed)
    rng = np.random.default_rng(seed)
    # the energy shall depend on everything
    network.linear.assign(rng.normal(0.0, 0.02, network.linear.shape).astype("f4"))
    network.last.assign(rng.normal(0.0, 0.3, network.last.shape).astype("f4"))
    network.atom_energies.assign(np.array([-4.0, -7.0], dtype="f4"))
    return Potential(network, system, SCHEME)


def own_potential(shift=0.01):
    """The shipped potential with another zero of energy: as good, and not the same."""
    from atomate2_vogen.potential import Potential, load_potential

    shipped = load_potential()
    shipped.network.atom_energies.assign_add(np.full(2, shift, dtype="f4"))
    # its id is that of its weights when it was first asked for
    return Potential(shipped.network, shipped.system, shipped.scheme)


def random_cell(seed, n_metal=2, n_anion=3):
    """Crystal without any symmetry whose atoms are at least 1.6 Å apart."""
    rng = np.random.default_rng(seed)
    species = ["V"] * n_metal + ["O"] * n_anion
    while True:
        lattice = Lattice(np.diag(rng.uniform(3.5, 6.0, 3)) + rng.normal(0.0, 0.6, (3, 3)))
        crystal = Structure(lattice, species, rng.random((len(species), 3)))
        apart = crystal.distance_matrix + 9 * np.eye(len(crystal))
        if apart.min() > 1.6 and min(lattice.abc) > 3 and lattice.volume > 40:
            return crystal


def evaluated(potential, structure):
    """Energy in eV, forces and stress of one crystal."""
    from atomate2_vogen.potential.neighbours import Batch, NeighbourList
    from atomate2_vogen.potential.potential import as_cell

    cell = as_cell(structure, potential.system)
    near = NeighbourList.of(cell, potential.network.shape.cutoff)
    energy, forces, stress = potential.network.evaluate(Batch.of([cell], [near]))
    return float(energy[0]), forces, stress[0]
