"""Train a plain GAN and a Wasserstein GAN alike, and draw their generators' losses.

Usage: python benchmarks/compare_gan.py --out OUT [--steps 1500] [--seed 0]

Autoencoders and energy network are those of the package. Both GANs are the paper's: latents from
noise alone, without the memory that the presets give the generator. OUT gets the losses, the share
of unfiltered latents that decode to what was asked for, and the figure (the paper's Fig. 5).
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.relaxed import RelaxedSet, relaxed_path
from atomate2_vogen.jobs.training import training_document
from atomate2_vogen.models.shipped import load_shipped
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training.pipeline import train_wgan
from atomate2_vogen.models.training.trained_stage import stages_of
from atomate2_vogen.plotting.training import plot_generator_losses
from atomate2_vogen.samplers.wgan import WGANSampler
from atomate2_vogen.stability.metrics import measure

KINDS: dict[str, dict[str, Any]] = {
    "GAN": {"loss": "gan", "penalty": "none"},
    "WGAN": {"loss": "wasserstein", "penalty": "clip"},
}
LATENTS = 64
"""Decoded of each target formula."""

console = Console(stderr=True)


def decoded(model: TrainedModel, seed: int) -> dict[str, Any]:
    """Shares of plain, unfiltered latents that read as asked for, and with atoms apart too."""
    plain: dict[str, Any] = {"preselect": 1, "min_atoms": 1, "latent_noise": 0.0, "projections": 0}
    sampler = WGANSampler(model, max_attempts=LATENTS, **plain)
    sample = sampler.sample(dict.fromkeys(model.system.target_formulas, LATENTS), seed=seed)
    found = measure(sample).overall
    steps = {"exact_composition": found.exact_composition, "sound": found.sound}
    return {step: share.model_dump() for step, share in steps.items() if share is not None}


def main() -> None:
    """Train both, decode, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    crystals, model = load_dataset(), load_shipped()
    vae, energy = stages_of(model)
    preset = model.preset
    relaxations = RelaxedSet.load(relaxed_path(crystals.system)) if preset.relaxed else None

    def report(stage: str, done: int, total: int, figures: dict[str, float]) -> None:
        shown = "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
        console.print(f"{stage} {done}/{total}  {shown}")

    # nothing here asks the acceptance network, which comes with every training
    hasty = replace(preset.acceptance, latents=64, steps=1, epochs=1)
    documents, rows = {}, {}
    for name, options in KINDS.items():
        console.print(name)
        start = time.perf_counter()
        wgan = replace(preset.wgan, memory=0, steps=arguments.steps, **options)
        result = train_wgan(
            crystals,
            replace(preset, wgan=wgan, acceptance=hasty),
            arguments.seed,
            report,
            vae=vae,
            energy=energy,
            relaxations=relaxations,
        )
        documents[name] = training_document(result, start)
        rows[name] = {
            "model_id": result.model.model_id,
            "history": result.history["wgan"],
            "decoded": decoded(result.model, arguments.seed),
        }
        console.print(rows[name]["decoded"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    plot_generator_losses(documents, arguments.out / "gan_against_wgan.png")
    record = {
        "model": model.model_id,
        "preset": preset.name,
        "steps": arguments.steps,
        "seed": arguments.seed,
        "rows": rows,
    }
    text = json.dumps(record, indent=1) + "\n"
    (arguments.out / "gan_against_wgan.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
