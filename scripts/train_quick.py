"""Train a preset, sample from it, and write what it reached as JSON.

Usage: python scripts/train_quick.py [--preset quick] [--seed 0] [--count 8] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

from rich.console import Console

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.data.dataset import load_dataset

console = Console(stderr=True)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--model", type=Path, help="where to keep the trained model")
    arguments = parser.parse_args()

    from atomate2_vogen.models.training import train_wgan
    from atomate2_vogen.samplers.wgan import WGANSampler

    wall, cpu = time.perf_counter(), time.process_time()
    result = train_wgan(load_dataset(), arguments.preset, arguments.seed, show)
    report = {
        "preset": arguments.preset,
        "seed": arguments.seed,
        "model_id": result.model.model_id,
        "cores": os.cpu_count(),
        "training_wall_s": round(time.perf_counter() - wall, 1),
        "training_cpu_s": round(time.process_time() - cpu, 1),
        "stage_wall_s": result.seconds,
        "peak_memory_gib": round(result.peak_memory, 2),
        "metrics": {key: round(value, 4) for key, value in result.metrics.items()},
        "last_losses": {
            network: {key: round(values[-1], 3) for key, values in history.items()}
            for network, history in result.history.items()
        },
    }
    if arguments.model:
        result.model.save(arguments.model)
    wall, cpu = time.perf_counter(), time.process_time()
    sample = WGANSampler(result.model).sample(
        dict.fromkeys(VANADIUM.target_formulas, arguments.count), arguments.seed
    )
    report["sampling"] = {
        "wall_s": round(time.perf_counter() - wall, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "attempts": sample.attempts,
        "rejected": sample.rejected,
        "yields": {key: round(value, 4) for key, value in sample.yields.items()},
        "missing": sample.missing,
    }
    text = json.dumps(report, indent=2)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def show(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
    """One line of progress."""
    shown = "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
    console.print(f"{stage} {done}/{total}  {shown}", highlight=False)


if __name__ == "__main__":
    main()
