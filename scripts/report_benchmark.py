"""Write the report on the crystals of a benchmark, from its committed rows.

    python scripts/report_benchmark.py wgan --out report.html

reads ``results/benchmark/wgan/``; with ``--measure`` it prints the size of the file and what
writing it took.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from atomate2_vogen.analysis.records import RELAXED, read_records, stability_of, structure_of
from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.engines import chgnet, load_references
from atomate2_vogen.report import ReportDocuments, write_report
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    MetricsDoc,
    StabilityState,
)

BENCHMARK = Path(__file__).parents[1] / "results" / "benchmark"
STATES = {
    StabilityState.FAILED.value: CalculationState.FAILED,
    StabilityState.UNCONVERGED.value: CalculationState.UNCONVERGED,
}


def calculation(row: dict) -> CalculationDoc:
    """What a row tells of the calculation; the crystals have a CIF's eight digits."""
    candidate = CandidateDoc(
        **{key: row[key] for key in ("candidate_id", "sampler", "model_id", "formula", "index")},
        seed=row["seed"],
        structure=structure_of(row),
        details=json.loads(row["details"] or "{}"),
    )
    return CalculationDoc(
        calculation_id=f"{row['candidate_id']}|{row['scheme']}",
        candidate_id=row["candidate_id"],
        scheme=row["scheme"],
        state=STATES.get(row["state"], CalculationState.COMPLETED),
        error=row["reason"],
        candidate=candidate,
        structure=structure_of(row, RELAXED) if row[RELAXED] else None,
        initial_energy_per_atom=row["initial_energy_per_atom"],
        energy_per_atom=row["energy_per_atom"],
        max_force=row["max_force"],
        n_steps=row["n_steps"],
        cpu_time=row["relaxation_seconds"],
        wall_time=row["relaxation_wall_seconds"],
    )


def main() -> None:
    """Read, write, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sampler")
    parser.add_argument("--out", default="report.html")
    parser.add_argument("--measure", action="store_true")
    arguments = parser.parse_args()
    folder = BENCHMARK / arguments.sampler
    rows = read_records(folder / "candidates.csv.gz")
    documents = ReportDocuments(
        stability=[stability_of(row) for row in rows],
        references=load_references(chgnet(), VANADIUM),
        calculations=[calculation(row) for row in rows],
        metrics=MetricsDoc.model_validate_json((folder / "metrics.json").read_text()),
    )
    begin = time.process_time()
    done = write_report(arguments.out, documents, title=f"Benchmark: {arguments.sampler}")
    print(f"{done.path}: {done.n_candidates} candidates")
    if arguments.measure:
        print(f"{done.n_bytes / 1e6:.2f} MB, {time.process_time() - begin:.1f} s of CPU")


if __name__ == "__main__":
    main()
