"""Phonons of known phases by every energy model: verdicts, lowest modes, rutile's R point.

    OMP_NUM_THREADS=1 python benchmarks/phonon_models.py --out results/phonons/models.json

Known: rutile VO2 has a soft mode at R, along which it becomes monoclinic M1 (Gervais and Kress, Phys.
Rev. B 31, 4809 (1985)); corundum V2O3 and α-V2O5 are stable. Rows are written as they come; the same
command goes on.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from energy_models import models
from jobflow import run_locally

from atomate2_vogen import __version__, load_references
from atomate2_vogen.engines import load_engine
from atomate2_vogen.files import write_atomically
from atomate2_vogen.flows import PhononFlowMaker
from atomate2_vogen.phonons.harmonic import phonopy_from_document
from atomate2_vogen.schemas import PhononDoc
from atomate2_vogen.stores import VogenStores

PHASES = {
    "VO2 P4_2/mnm": "unstable at R",
    "V2O3 R-3c": "stable",
    "V2O5 Pmmn": "stable",
    "VO Fm-3m": "not known",
}
"""Name of the reference phase, and what is known of its phonons."""
R_POINT = (0.0, 0.5, 0.5)
"""Of the tetragonal zone, in units of the reciprocal cell vectors."""


def measure(engine_name: str, phase: str) -> dict[str, Any]:
    """One row; with an error where the model relaxes the phase into another one."""
    engine = load_engine(engine_name)
    row: dict[str, Any] = {"engine": engine_name, "phase": phase, "known": PHASES[phase]}
    crystals = [one.structure for one in load_references(engine) if one.name == phase]
    if not crystals:
        return row | {"error": "the model relaxes it into another phase"}
    flow = PhononFlowMaker(engine=engine).make(crystals)
    begin = time.process_time()
    with VogenStores.memory() as stores, tempfile.TemporaryDirectory() as folder:
        run_locally(flow, store=stores.job_store, root_dir=folder, log=False)
        (found,) = stores.job_store.get_output(flow.output.uuid, load=True)
        document = PhononDoc.model_validate(found)
        row |= {"cpu_seconds": round(time.process_time() - begin, 1), "error": document.error}
        if document.phonons is None:
            return row
        summary = document.phonons.model_dump(mode="json", exclude={"free_energy", "tolerances"})
        row |= {"displacement": document.displacement, **summary}
        if phase == "VO2 P4_2/mnm":
            phonons = phonopy_from_document(document.task(stores))
            phonons.run_qpoints([R_POINT])
            row["lowest_at_R"] = float(min(phonons.get_qpoints_dict()["frequencies"][0]))
    return row


def markdown(rows: list[dict[str, Any]]) -> str:
    """Table for people."""
    header = ["phase", "known", "model", "verdict", "lowest, THz", "at", "at R, THz", "CPU s"]
    lines = [header, ["---"] * 4 + ["---:", "---", "---:", "---:"]]
    for row in sorted(rows, key=lambda row: list(PHASES).index(row["phase"])):
        lowest, at_r = row.get("lowest_frequency"), row.get("lowest_at_R")
        lines.append(
            [
                row["phase"],
                row["known"],
                row["engine"],
                row.get("verdict") or row["error"] or "–",
                "–" if lowest is None else f"{lowest:.2f}",
                row.get("lowest_label", "–"),
                "–" if at_r is None else f"{at_r:.2f}",
                f"{row.get('cpu_seconds', 0):.0f}",
            ]
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


@click.command(help=__doc__.split("\n", 1)[0])
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="JSON file of the rows."
)
def main(*, out: Path) -> None:
    """Measure what is left, write rows and table."""
    rows = json.loads(out.read_text())["rows"] if out.is_file() else []
    done = {(row["engine"], row["phase"]) for row in rows}
    for name in models():
        for phase in PHASES:
            if (name, phase) in done:
                continue
            rows.append(measure(name, phase))
            click.echo(json.dumps(rows[-1]), err=True)
            content = {"package_version": __version__, "rows": rows}
            write_atomically(out, json.dumps(content, indent=1) + "\n")
    text = markdown(rows)
    write_atomically(out.with_suffix(".md"), text)
    click.echo(text)


if __name__ == "__main__":
    main()
