"""How the building of stability documents grows, to 100,000 of them in ten chemical systems.

    python benchmarks/build_stability.py --sizes 1000 3000 10000 30000 100000 --out built.json

starts a server of its own, or takes the one that MONGODB_URI names. For each size it writes as many
calculations, builds everything, builds again, adds one calculation and builds once more, each time
with a new process, whose CPU seconds, without those of importing the package, and largest memory
are told; the server's are not counted.

The crystals are those of the package's prototypes with at least as much oxygen as metal, the metal
exchanged, strained and rattled at random, drawn with Zipf's law: a few come again and again, most
are rare. Energies are drawn too, and so is how far the atoms moved, which jobs record with a
relaxation and building only reads. With `--novelty` every system's pool of known crystals is made as
well, which takes about 8 CPU seconds a system however many calculations there are, so growth is
measured without.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
from pymatgen.core import Element, Lattice, Structure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from mongo_server import mongo_uri
from query_speed import server_name

from atomate2_vogen.builders.stability import StabilityBuilder
from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.schemas import CalculationDoc, CandidateDoc, ReferenceDoc, StabilityDoc
from atomate2_vogen.stability.hull import assess
from atomate2_vogen.stores import VogenStores

METALS = ("V", "Ti", "Cr", "Mn", "Fe", "Co", "Ni", "Nb", "Mo", "W")
SCHEME = "drawn-1"
SYSTEMS = [
    dataclasses.replace(
        VANADIUM,
        metal=metal,
        target_formulas=(f"{metal}O2",),
        oxidation_states={metal: (2, 3, 4, 5), "O": (-2,)},
        atomic_volumes={metal: 13.8, "O": 10.0},
        minimum_distances={f"{metal}-{metal}": 1.2, f"{metal}-O": 1.0, "O-O": 1.2},
        hubbard_u={},
        initial_moments={},
    )
    for metal in METALS
]
RATTLE, STRAIN, MOVE = 0.08, 0.03, 0.15
"""Of a crystal as it is drawn: Å per coordinate, relative, and what its relaxation did, Å."""
STILL_MATCHES = 0.8
"""Share of relaxations that end in the crystal that they began with."""
ZIPF = 0.7
"""Exponent of the law by which prototypes are drawn."""


@cache
def pool() -> list[Structure]:
    """Distinct crystals of the package with at least as much oxygen as vanadium."""
    crystals = load_dataset(VANADIUM)
    found = [crystals.structure(int(i)) for i in np.flatnonzero(crystals.is_distinct)]
    return [s for s in found if s.composition["V"] <= s.composition["O"]]


def calculation(index: int, seed: int) -> CalculationDoc:
    """Number `index` of the benchmark, the same in every run."""
    rng = np.random.default_rng((seed, index))
    metal = METALS[index % len(METALS)]
    weights = np.arange(1, len(pool()) + 1) ** -ZIPF
    order = np.random.default_rng((seed, METALS.index(metal))).permutation(len(pool()))
    drawn = pool()[order[rng.choice(len(pool()), p=weights / weights.sum())]]
    matrix = drawn.lattice.matrix @ (np.eye(3) + rng.uniform(-STRAIN, STRAIN, (3, 3)))
    lattice = Lattice(matrix)
    species = [metal if site.specie.symbol == "V" else "O" for site in drawn]
    places = drawn.lattice.get_cartesian_coords(drawn.frac_coords) + rng.normal(
        0, RATTLE, (len(drawn), 3)
    )
    relaxed = Structure(lattice, species, lattice.get_fractional_coords(places))
    moved = places + rng.normal(0, MOVE, places.shape)
    generated = Structure(lattice, species, lattice.get_fractional_coords(moved))
    candidate = CandidateDoc.make(
        generated,
        sampler="drawn",
        model_id=f"seed-{seed}",
        formula=generated.composition.reduced_formula,
        seed=seed,
        index=index,
    )
    oxygen = relaxed.composition.get_atomic_fraction(Element("O"))
    energy = -5 - 6 * oxygen * (1 - oxygen) + rng.gamma(1.5, 0.1)
    still_matches = bool(rng.random() < STILL_MATCHES)
    return CalculationDoc(
        calculation_id=f"{candidate.candidate_id}|{SCHEME}",
        candidate_id=candidate.candidate_id,
        scheme=SCHEME,
        state="completed",
        candidate=candidate,
        structure=relaxed,
        initial_energy_per_atom=energy + 0.5,
        energy_per_atom=energy,
        max_force=0.02,
        n_steps=50,
        rmsd_to_relaxed=float(rng.gamma(4, MOVE / 4)) if still_matches else None,
        still_matches=still_matches,
    )


def references(metal: str) -> list[ReferenceDoc]:
    """Both elements and two oxides."""
    energies = {metal: -5.0, "O2": -5.0, f"{metal}O": -6.4, f"{metal}O2": -6.3}
    found = []
    for formula, energy in energies.items():
        species = {metal: [metal], "O2": ["O", "O"]}.get(formula)
        species = species or [metal, *["O"] * (2 if formula.endswith("2") else 1)]
        coordinates = [[i / len(species)] * 3 for i in range(len(species))]
        found.append(
            ReferenceDoc(
                reference_id=f"{formula}|{metal}|{SCHEME}",
                name=formula,
                scheme=SCHEME,
                formula=formula,
                structure=Structure(Lattice.cubic(4.2), species, coordinates),
                energy_per_atom=energy,
            )
        )
    return found


def build(where: str, novelty: bool) -> dict[str, float]:
    """One build; what it took, seen from within its process."""
    begin, started = time.perf_counter(), time.process_time()
    with VogenStores.open(where) as stores:
        builder = StabilityBuilder(
            stores.calculations, stores.references, stores.stability, SYSTEMS, novelty=novelty
        )
        written = builder.build()
    cpu = time.process_time() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall_s": round(time.perf_counter() - begin, 2),
        "cpu_s": round(cpu, 2),
        "import_cpu_s": round(used.ru_utime + used.ru_stime - cpu, 2),
        "peak_mib": round(used.ru_maxrss / 1024),
        "written": written,
        "malformed": len(builder.malformed),
    }


def told(where: str, novelty: bool, answers) -> None:
    """Body of a process."""
    answers.put(build(where, novelty))


def apart(where: str, novelty: bool) -> dict[str, float]:
    """A build in a process of its own, as a cron job makes it."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=told, args=(where, novelty, answers))
    process.start()
    found = answers.get()
    process.join()
    return found


def measure(where: str, size: int, seed: int, novelty: bool) -> dict[str, object]:
    """Full build, again, and after one more."""
    with VogenStores.open(where, create=True) as stores:
        begin = time.perf_counter()
        for metal in METALS:
            stores.save(references(metal))
        for start in range(0, size, 2000):
            chunk = range(start, min(start + 2000, size))
            stores.save([calculation(index, seed) for index in chunk])
        loading = time.perf_counter() - begin
    click.echo(f"{size}: written in {loading:.0f} s", err=True)
    found: dict[str, object] = {"size": size, "loading_s": round(loading, 1)}
    for step in ("full", "again", "one more"):
        if step == "one more":
            with VogenStores.open(where) as stores:
                stores.save(calculation(size, seed))
        found[step] = apart(where, novelty)
        click.echo(f"{size} {step}: {found[step]}", err=True)
    with VogenStores.open(where) as stores:
        held = list(stores.stability.query({}, properties=["state", "is_unique"]))
        found["ranked"] = sum(doc["state"] == "ranked" for doc in held)
        found["unique"] = sum(doc.get("is_unique") is True for doc in held)
    return found


def check(where: str, size: int, seed: int) -> int:
    """Documents of one system that are not as the plain function has them."""
    made = [calculation(i, seed) for i in range(size + 1)]
    ours = [c for i, c in enumerate(made) if i % len(METALS) == 0]
    expected = assess(ours, references(METALS[0]), SYSTEMS[0], joint=True)
    fields = {"state", "duplicate_group", "is_unique", "energy_above_joint_hull"}
    with VogenStores.open(where) as stores:
        held = {
            d.stability_id: d.model_dump(include=fields)
            for d in stores.load(StabilityDoc, {"chemsys": SYSTEMS[0].chemsys})
        }
    return sum(held.get(d.stability_id) != d.model_dump(include=fields) for d in expected)


def tell(result: dict[str, object], out: Path | None) -> None:
    """Write what is known so far: the largest size takes an hour."""
    if out:
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--novelty", action="store_true", help="judge novelty too; see above")
    parser.add_argument("--check", action="store_true", help="compare with the plain function")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, mongo_uri(Path(folder)) as uri:
        import pymongo

        client = pymongo.MongoClient(uri)
        result: dict[str, object] = {
            "date": datetime.now(UTC).date().isoformat(),
            "seed": options.seed,
            "novelty": options.novelty,
            "server": server_name(client),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in ("pymatgen", "numpy", "maggma")},
            "cores": os.cpu_count(),
            "load_before": [round(value, 1) for value in os.getloadavg()],
        }
        for size in options.sizes:
            name = f"vogen_build_{size}"
            client.drop_database(name)
            address = f"{uri.rstrip('/')}/{name}"
            row = measure(address, size, options.seed, options.novelty)
            full, more = row["full"], row["one more"]
            row["incremental_share"] = round(more["cpu_s"] / full["cpu_s"], 4)
            rows.append(row)
            result |= {"rows": rows, "load_after": [round(v, 1) for v in os.getloadavg()]}
            if len(rows) > 1:
                sizes, seconds = ([r["size"] for r in rows], [r["full"]["cpu_s"] for r in rows])
                slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
                result["growth_exponent"] = round(float(slope), 3)
            tell(result, options.out)
            if options.check:
                row["differences"] = check(address, size, options.seed)
                tell(result, options.out)
            client.drop_database(name)
    click.echo(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
