"""The catalogue: every find that several energy models confirm, with all that is known of it.

    python benchmarks/catalogue.py --out results/finds

Reads committed rows and calculates no energy: verdicts of ``results/confirmation``, crystals of
``results/benchmark`` and ``results/discovery/raw``, DFT energies of ``results/dft``, phonons of
``results/finds/phonons.csv``. Writes one table, one CIF per crystal (symmetrised, with provenance),
pictures of the ten lowest of each formula, and one report.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from ase_ga.ofp_comparator import OFPComparator
from confirm_finds import BENCHMARK, RESULTS, consensus_of, discovery_finds, read
from pymatgen.core import Structure
from pymatgen.core.structure_matcher import StructureMatcher
from pymatgen.util.string import latexify, latexify_spacegroup
from records import calculation_of, read_records, stability_of

from atomate2_vogen import VANADIUM, load_references
from atomate2_vogen.files import write_atomically
from atomate2_vogen.jobs.known import known_crystals
from atomate2_vogen.plotting import draw_polyhedra
from atomate2_vogen.plotting.figures import drawing
from atomate2_vogen.report import ReportDocuments, write_report
from atomate2_vogen.schemas import CandidateDoc, ConsensusDoc, StabilityDoc, Verdict
from atomate2_vogen.stability.consensus import TIGHT_LIMIT, agrees
from atomate2_vogen.structures import duplicate_groups
from atomate2_vogen.structures.cif import relaxed_cif
from atomate2_vogen.structures.dimensionality import extent

LIMITS = (0.1, 0.05, TIGHT_LIMIT)
"""Within which finds were confirmed, eV/atom."""
DRAWN = 10
"""Crystals of each formula in a picture."""
FINGERPRINT = OFPComparator(rcut=8.0, binwidth=0.05, sigma=0.05)
"""Oganov and Valle's (J. Chem. Phys. 130, 104504, 2009), up to 8 Å."""
LOOSE = StructureMatcher(ltol=0.4, stol=0.6, angle_tol=12)
"""Twice StructureMatcher's tolerances and a bit: what it matches only resembles."""


@dataclass
class Entry:
    """One crystal of the catalogue."""

    source: str
    consensus: ConsensusDoc
    stability: StabilityDoc
    candidate: CandidateDoc
    also: list[str] = field(default_factory=list)
    cells: dict[str, Any] = field(default_factory=dict)

    @property
    def height(self) -> float:
        """Largest energy above hull of all models."""
        assert self.consensus.largest_above_hull is not None
        return self.consensus.largest_above_hull


def confirmed(folder: Path = RESULTS / "confirmation") -> list[Entry]:
    """Confirmed finds of all tables, the lowest of each kind, by formula and height."""
    entries = []
    for path in sorted(folder.glob("*.csv.gz")):
        name = path.name.split(".")[0]
        known = sources(name)
        for row in read(path):
            if row["verdict"] == Verdict.CONFIRMED:
                stability, candidate = known[row["candidate_id"]]
                entries.append(Entry(name, consensus_of(row), stability, candidate))
    kept = []
    for formula in sorted({entry.stability.formula for entry in entries}):
        same = [entry for entry in entries if entry.stability.formula == formula]
        groups = duplicate_groups(
            [entry.consensus.structure for entry in same], [entry.height for entry in same]
        )
        for entry, leader in zip(same, groups, strict=True):
            if same[leader] is not entry:
                same[leader].also.append(entry.stability.candidate_id)
        kept += [entry for number, entry in enumerate(same) if groups[number] == number]
    return sorted(kept, key=lambda entry: (entry.stability.formula, entry.height))


def sources(name: str) -> dict[str, tuple[StabilityDoc, CandidateDoc]]:
    """Judgements and candidates of a table, by candidate id."""
    if name.startswith("discovery-"):
        # a crystal that comes back lower is new within the tighter limit alone
        arm = name.removeprefix("discovery-")
        pairs = [pair for limit in LIMITS for pair in discovery_finds(arm, limit)]
    else:
        records = read_records(BENCHMARK / name / "candidates.csv.gz")
        pairs = [(stability_of(one), calculation_of(one).candidate) for one in records]
    return {made.candidate_id: (made, candidate) for made, candidate in pairs}


@cache
def known_pool(formula: str) -> tuple[list[tuple[str, Structure]], list[Any]]:
    """Known crystals of a formula, and their fingerprints."""
    references = load_references("CHGNet-0.3.0")
    named = [
        (name, structure)
        for name, one, structure in known_crystals(VANADIUM, references)
        if one == formula
    ]
    return named, [fingerprint(structure) for _, structure in named]


def fingerprint(structure: Structure) -> Any:
    """Of a primitive cell: distances do not depend on the cell."""
    atoms = structure.get_primitive_structure().to_ase_atoms()
    return FINGERPRINT._take_fingerprints(atoms)


def nearest_known(structure: Structure, formula: str) -> dict[str, Any]:
    """Known crystal that is nearest by fingerprint, and the nearest that a loose matcher finds."""
    named, prints = known_pool(formula)
    own, types = fingerprint(structure)
    distances = [float(FINGERPRINT._cosine_distance(own, other, types)) for other, _ in prints]
    first = int(np.argmin(distances))
    matched = [
        (rms[0], name)
        for name, other in named
        if (rms := LOOSE.get_rms_dist(structure, other)) is not None
    ]
    rms, like = min(matched, default=(None, None))
    return {
        "nearest_known": named[first][0],
        "fingerprint_distance": distances[first],
        "loosely_matches": like,
        "matcher_rms": rms,
    }


def rows_by(path: Path, key: str) -> dict[str, list[dict[str, str]]]:
    """Rows of a table that may not be there, by a column."""
    found: dict[str, list[dict[str, str]]] = {}
    if path.is_file():
        with path.open() as file:
            for row in csv.DictReader(file):
                found.setdefault(row[key], []).append(row)
    return found


def dft_cells(rows: Sequence[dict[str, str]]) -> dict[str, Any]:
    """What DFT says of a crystal: its lowest start."""
    done = [row for row in rows if row["energy_per_atom"]]
    if not done:
        return {}
    lowest = min(done, key=lambda row: float(row["energy_per_atom"]))
    return {
        "dft_scheme": lowest["scheme"],
        "dft_above_known_phase": lowest["above_known_phase"],
        "dft_lowest_known_phase": lowest["lowest_known_phase"],
        "dft_magnetic_order": lowest["order"],
        "dft_total_moment": lowest["total_moment"],
    }


def cells_of(entry: Entry, dft: Any, phonons: Any, commits: dict[str, str]) -> dict[str, Any]:
    """The row of a crystal."""
    stability, consensus = entry.stability, entry.consensus
    structure = consensus.structure
    cells: dict[str, Any] = {
        "candidate_id": stability.candidate_id,
        "formula": stability.formula,
        "natoms": len(structure.get_primitive_structure()),
        "space_group": stability.space_group_symbol,
        "space_group_number": stability.space_group_number,
        "verdict_25mev": consensus.verdict_25mev,
        "largest_above_hull": consensus.largest_above_hull,
        "spread": consensus.spread,
    }
    for opinion in consensus.opinions:
        name = opinion.model.engine
        cells[f"{name} energy_above_hull"] = opinion.energy_above_hull
        cells[f"{name} above_known_phase"] = opinion.above_known_phase
    cells |= dft_cells(dft.get(stability.candidate_id, []))
    (vibrations,) = phonons.get(stability.candidate_id, [{}])
    for name in ("engine", "verdict", "lowest_frequency", "followed_to"):
        cells[f"phonons_{name}"] = vibrations.get(name)
    cells["dimensionality"] = extent(structure).bonding_dimensionality
    cells |= nearest_known(structure, stability.formula)
    candidate = entry.candidate
    return cells | {
        "source": entry.source,
        "sampler": candidate.sampler,
        "model_id": candidate.model_id,
        "seed": candidate.seed,
        "index": candidate.index,
        "package_version": candidate.package_version,
        "rows_committed_in": commits[entry.source],
        "also_found_as": " ".join(entry.also),
        "cif": f"cifs/{stability.candidate_id}.cif",
    }


def commit_of(name: str) -> str:
    """Commit in which the rows that a table is about were written last."""
    path = RESULTS / (
        f"discovery/raw/{name.removeprefix('discovery-')}"
        if name.startswith("discovery-")
        else f"benchmark/{name}/candidates.csv.gz"
    )
    git = shutil.which("git")
    if git is None:
        return "not known: there is no git"
    done = subprocess.run(
        [git, "log", "-1", "--format=%h", "--", str(path)],
        capture_output=True,
        check=True,
        text=True,
        cwd=RESULTS,
    )
    return done.stdout.strip() or "not committed"


def table(entries: Sequence[Entry]) -> str:
    """CSV, one line per crystal."""
    columns = list(dict.fromkeys(name for entry in entries for name in entry.cells))
    last = (
        "source",
        "sampler",
        "model_id",
        "seed",
        "index",
        "package_version",
        "rows_committed_in",
        "also_found_as",
        "cif",
    )
    columns = [name for name in columns if name not in last] + list(last)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        cells = {
            name: f"{value:.6f}" if isinstance(value, float) else value
            for name, value in entry.cells.items()
        }
        writer.writerow(cells)
    return text.getvalue()


def draw(entries: Sequence[Entry], path: Path) -> None:
    """The lowest crystals of a formula as polyhedra."""
    formula = entries[0].stability.formula
    caption = (
        f"The {len(entries)} confirmed finds of {latexify(formula)} that are lowest by the model "
        "that places them highest (its energy above hull, meV/atom). Conventional cells, seen "
        "along the shortest axis; polyhedra of O around V."
    )
    rows = (len(entries) + 4) // 5
    with drawing(path, caption, width=7.0, height=0.6 + 1.55 * rows) as page:
        panels = page.panels(len(entries), 5)
        for axes, entry in zip(panels, entries, strict=True):
            axes.set_axis_off()
            draw_polyhedra(axes, entry.consensus.structure)
            symbol = latexify_spacegroup(entry.stability.space_group_symbol or "")
            height = f"{1000 * entry.height:.0f}".replace("-", "−")
            name = entry.stability.candidate_id.split("-")[1]
            axes.set_title(f"{name}\n{symbol}, {height}", fontsize=7)


def is_within(entry: Entry, limit: float, engines: Sequence[str]) -> bool:
    """Whether these models place a crystal within a limit."""
    return all(
        agrees(one, limit) for one in entry.consensus.opinions if one.model.engine in engines
    )


def markdown(entries: Sequence[Entry]) -> str:
    """Counts, and the lowest of each formula."""
    pair = ("chgnet", "diep")
    by_two = [entry for entry in entries if is_within(entry, TIGHT_LIMIT, pair)]
    by_all = [entry for entry in entries if entry.consensus.verdict_25mev is Verdict.CONFIRMED]
    lines = [
        (
            f"{len(entries)} crystals. Within 0.025 eV/atom by {' and '.join(pair)}, which share no "
            f"training data: {len(by_two)}; by all three: {len(by_all)}."
        ),
        "",
    ]
    for formula in sorted({entry.stability.formula for entry in entries}):
        same = [entry for entry in entries if entry.stability.formula == formula]
        tight = sum(entry.consensus.verdict_25mev is Verdict.CONFIRMED for entry in same)
        models = [opinion.model.engine for opinion in same[0].consensus.opinions]
        lines += [
            f"## {formula}: {len(same)} confirmed, {tight} of them within 0.025 eV/atom",
            "",
            (
                f"| id | space group | atoms | {' | '.join(models)} | DFT+U | phonons | nearest known, "
                "distance |"
            ),
            f"|---|---|---:|{'---:|' * len(models)}---:|---|---|",
        ]
        for entry in same[:DRAWN]:
            cells = entry.cells
            heights = [f"{opinion.energy_above_hull:.3f}" for opinion in entry.consensus.opinions]
            dft = cells.get("dft_above_known_phase")
            row = [
                cells["candidate_id"],
                f"*{cells['space_group']}*",
                str(cells["natoms"]),
                *heights,
                f"{float(dft):.3f}" if dft else "–",
                cells["phonons_verdict"] or "–",
                f"{cells['nearest_known']}, {cells['fingerprint_distance']:.2f}",
            ]
            lines.append(f"| {' | '.join(row)} |")
        lines.append("")
    lines += [
        (
            "Energies above each model's own hull, eV/atom; DFT+U above the lowest known phase of the "
            "formula. Distance: cosine distance of Oganov-Valle fingerprints."
        ),
        "",
    ]
    return "\n".join(lines)


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Output folder.")
def main(*, out: Path) -> None:
    """Write the catalogue."""
    entries = confirmed()
    dft = rows_by(RESULTS / "dft/gpaw.csv", "crystal")
    phonons = rows_by(out / "phonons.csv", "candidate_id")
    commits = {name: commit_of(name) for name in {entry.source for entry in entries}}
    (out / "cifs").mkdir(parents=True, exist_ok=True)
    written = set()
    for number, entry in enumerate(entries):
        entry.cells = cells_of(entry, dft, phonons, commits)
        text = relaxed_cif(entry.stability, entry.candidate)
        assert text is not None
        write_atomically(out / entry.cells["cif"], text)
        written.add(out / entry.cells["cif"])
        if number % 20 == 0:
            click.echo(f"{number} of {len(entries)} crystals", err=True)
    for path in set((out / "cifs").glob("*.cif")) - written:
        path.unlink()
    write_atomically(out / "finds.csv", table(entries))
    for formula in sorted({entry.stability.formula for entry in entries}):
        same = [entry for entry in entries if entry.stability.formula == formula][:DRAWN]
        draw(same, out / f"{formula}.png")
    documents = ReportDocuments(
        [entry.stability for entry in entries],
        load_references("CHGNet-0.3.0"),
        consensus=[entry.consensus for entry in entries],
    )
    summary = write_report(out / "report.html", documents, title="Confirmed vanadium oxides")
    text = markdown(entries)
    write_atomically(out / "summary.md", text)
    click.echo(text)
    click.echo(json.dumps({"crystals": len(entries), "report_bytes": summary.n_bytes}))


if __name__ == "__main__":
    sys.exit(main())
