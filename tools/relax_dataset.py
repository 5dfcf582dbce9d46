"""Relax the distinct substituted crystals, and random ones, with the default judge.

Usage: ``python tools/relax_dataset.py relax LOG [--source S] [--part I/N]`` any number of
times, side by side with different parts, then ``python tools/relax_dataset.py condense LOG
[LOG ...]``, which adds them to what the package holds. Killed and started again with the same
log it goes on where it was; what the package holds is not relaxed again.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pymatgen.core import Structure
from rich.console import Console

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.relaxed import (
    Record,
    Relaxation,
    RelaxedSet,
    read_log,
    relax_crystals,
    relaxed_path,
)
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.models.training.crystal_pool import physical
from atomate2_vogen.samplers.random_symmetric import RandomSampler

MAX_STEPS = 150
"""A crystal that is not converged by then keeps the energy it has; the flag says so."""
PER_FORMULA = 40  # random crystals of each formula drawn at a time


def relax(structure: Structure) -> Relaxation:
    """Relax with the engine that screening uses."""
    result = chgnet(steps=MAX_STEPS).relax_maker.run_ase(structure)
    energies = [frame["energy"] for frame in result.trajectory.frame_properties]
    return Relaxation(
        structure=result.final_mol_or_struct,
        start_energy=float(energies[0]) / len(structure),
        energy=float(energies[-1]) / len(structure),
        steps=len(energies) - 1,
        converged=bool(result.is_force_converged),
    )


def substituted(part: int, parts: int) -> Iterator[Structure]:
    """Distinct crystals in a fixed random order.

    The target formulas come first, then those with an anion per metal or more; of each the ones
    without close atoms.
    """
    crystals = load_dataset()
    chosen = np.flatnonzero(crystals.is_distinct)
    chosen = np.random.default_rng(0).permutation(chosen)
    n_metal, n_anion = crystals.counts[chosen].T
    close = ~physical(crystals.select(chosen))
    others = ~np.isin(crystals.formulas()[chosen], VANADIUM.target_formulas)
    chosen = chosen[np.lexsort((close, n_metal > n_anion, others))]
    for index in chosen[part::parts]:
        yield crystals.structure(int(index))


def random(part: int, parts: int) -> Iterator[Structure]:
    """Random symmetric crystals of the target formulas, without end."""
    sampler = RandomSampler(VANADIUM)
    for seed in range(1_000_000 + part, 2_000_000, parts):
        sample = sampler.sample(dict.fromkeys(VANADIUM.target_formulas, PER_FORMULA), seed=seed)
        for candidate in sample.candidates:
            yield candidate.structure


def shipped() -> list[Record]:
    """What the package holds already."""
    path = relaxed_path(VANADIUM)
    return RelaxedSet.load(path).records() if path.exists() else []


def main() -> None:
    """Relax, or condense logs into the package's file and say what is in it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("relax")
    command.add_argument("log", type=Path)
    command.add_argument("--source", choices=("substitution", "random"), default="substitution")
    command.add_argument("--part", default="0/1")
    command = commands.add_parser("condense")
    command.add_argument("logs", type=Path, nargs="+")
    arguments = parser.parse_args()
    console = Console()
    if arguments.command == "relax":
        part, parts = (int(number) for number in arguments.part.split("/"))
        starts = {"substitution": substituted, "random": random}[arguments.source]
        n = relax_crystals(
            starts(part, parts),
            relax,
            arguments.log,
            system=VANADIUM,
            source=arguments.source,
            skip=[record.key for record in shipped()],
            progress=lambda done: console.print(done) if done % 20 == 0 else None,
        )
        console.print(f"{n} crystals relaxed")
        return
    records = [*shipped(), *(record for log in arguments.logs for record in read_log(log))]
    relaxed = RelaxedSet.from_records(records)
    target = relaxed_path(VANADIUM)
    relaxed.save(target)
    console.print(f"{len(relaxed)} relaxed, {int(relaxed.converged.sum())} converged")
    console.print(Counter(relaxed.sources.tolist()))
    failures = Counter(record.reason.split(":")[0] for record in records if record.reason)
    console.print(f"{failures.total()} failures", failures)
    console.print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
