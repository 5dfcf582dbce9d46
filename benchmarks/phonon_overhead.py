"""What storing costs in a phonon flow of one crystal without symmetry.

    python benchmarks/phonon_overhead.py

runs the flow of a triclinic crystal of 14 atoms, of which each is displaced along three axes both
ways (84 displacements), with a Lennard-Jones calculator and jobflow's `run_locally`, and prints
the CPU seconds of the whole flow, of the calculations and of the store. CHGNet needs about 2.5 s
for each displacement.
"""

from __future__ import annotations

import functools
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

import click
import numpy as np
import toy_engines
from ase.calculators.lj import LennardJones
from jobflow import run_locally
from pymatgen.core import Lattice, Structure

from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.stores import EmbeddedStore, VogenStores

ATOMS = 14


def triclinic() -> Structure:
    """Crystal of 14 atoms without symmetry: a rattled piece of a cubic one."""
    rng = np.random.default_rng(0)
    places = [(x, y, z) for x in range(2) for y in range(2) for z in range(4)][:ATOMS]
    fractional = (np.array(places) + 0.1 * rng.random((ATOMS, 3))) / [2, 2, 4]
    lattice = Lattice.from_parameters(7.4, 7.6, 14.9, 88, 91, 93)
    return Structure(lattice, ["V"] * ATOMS, fractional)


def timed(owner: type, name: str, spent: dict[str, list[float]], what: str) -> None:
    """Count the CPU seconds of a method, of the outermost call alone."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def measured(*args, **kwargs):
        begin = time.process_time()
        result = method(*args, **kwargs)
        if name == "query":
            result = iter(list(result))
        spent.setdefault(what, []).append(time.process_time() - begin)
        return result

    setattr(owner, name, measured)


def main() -> None:
    """Run, and print."""
    spent: dict[str, list[float]] = {}
    for name in ("query", "update", "count", "connect"):
        timed(EmbeddedStore, name, spent, f"store.{name}")
    timed(LennardJones, "calculate", spent, "forces")
    engine = toy_engines.lj(relax=False)
    flow = PhononFlowMaker(engine=engine, supercell=(1, 1, 1), symprec=None).make([triclinic()])
    begin, wall = time.process_time(), time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        VogenStores.open(Path(folder) / "store", create=True) as stores,
    ):
        run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
        (document,) = stores.job_store.get_output(flow.output.uuid, load=True)
        jobs = stores.job_store.count()
        click.echo(f"state {document['state']}, {document.get('error')}")
    click.echo(
        f"{jobs} jobs: {time.process_time() - begin:.1f} CPU s, {time.perf_counter() - wall:.1f} s"
    )
    for what, seconds in sorted(spent.items()):
        click.echo(f"{what}: {len(seconds)} calls, {sum(seconds):.2f} CPU s")


if __name__ == "__main__":
    main()
