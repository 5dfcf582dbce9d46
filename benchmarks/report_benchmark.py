"""Write the report on the crystals of a benchmark, from its committed rows.

    python benchmarks/report_benchmark.py wgan --out report.html

reads ``results/benchmark/wgan/``; with ``--measure`` it prints the size of the file and what
writing it took.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from records import calculation_of, read_records, stability_of

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.engines import chgnet, load_references
from atomate2_vogen.report import ReportDocuments, write_report
from atomate2_vogen.schemas import MetricsDoc

BENCHMARK = Path(__file__).parents[1] / "results" / "benchmark"


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
        calculations=[calculation_of(row) for row in rows],
        metrics=MetricsDoc.model_validate_json((folder / "metrics.json").read_text()),
    )
    begin = time.process_time()
    done = write_report(arguments.out, documents, title=f"Benchmark: {arguments.sampler}")
    print(f"{done.path}: {done.n_candidates} candidates")
    if arguments.measure:
        print(f"{done.n_bytes / 1e6:.2f} MB, {time.process_time() - begin:.1f} s of CPU")


if __name__ == "__main__":
    main()
