"""Measure what each option of decoding is worth, on one model, in one table.

Usage: python benchmarks/ablate_decoding.py [--model FILE] [--latents 256] [--seed 0]
                                         [--formulas A,B] [--judged 50] [--projections 0]
                                         [--rows TEXT] [--out FILE]

Every row decodes the same number of latents per formula with one option switched on over the
plain decoder (latents as generated, no projection, composition read from the grid). Where a
model is so weak that this gives nothing, ``--projections 1`` makes a decoder with one
projection the plain one. Below the line stand the baselines: latents that no generator made,
through the plain decoder and through one projection. A row marked "told" lets the reader of a
box, or its projection, know how many atoms were asked for. Shares are of the decoded latents.
At most ``--judged`` candidates per formula, drawn by the seed, are judged: energies above hull
are single points of CHGNet on its own hull before any relaxation; *novel* match no known
crystal as generated, *far* none at twice the tolerances. Seconds are CPU time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from atomate2_vogen import __version__
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.data.labels import JUDGE_SCHEME, chgnet_energies, single_points
from atomate2_vogen.engines.references import load_references
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs.known import known_structures
from atomate2_vogen.samplers.filtered import FilteredSampler
from atomate2_vogen.samplers.wgan import DECODING_DEFAULTS
from atomate2_vogen.schemas import CandidateDoc, RejectionReason, SampleDoc
from atomate2_vogen.stability.metrics import measure
from atomate2_vogen.stability.phases import ReferenceHull

console = Console(stderr=True)

PLAIN: dict[str, Any] = {"preselect": 1, "oversample": 1, "latent_noise": 0.0, "min_atoms": 1}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain decoder": {},
    "truncation 0.7": {"truncation": 0.7},
    "latent noise 0.5": {"latent_noise": 0.5},
    "latent noise 0.8": {"latent_noise": 0.8},
    "7 atoms or more": {"min_atoms": 7},
    "likeliest of 16 latents": {"preselect": 16},
    "latent noise 0.8, likeliest of 16": {"latent_noise": 0.8, "preselect": 16},
    "CNN keeps 1 of 4 latents": {"oversample": 4},
    "10 steps down the energy": {"energy_steps": 10},
    "1 projection of all": {"projections": 1, "miscount": 40},
    "1 projection of near ones": {"projections": 1},
    "3 projections": {"projections": 3},
    "up to 3 projections, until read": {"projections": 3, "stop_when_read": True},
    "counts told": {"told_counts": True},
    "symmetry within 0.2 Å": {"symmetry_tolerance": 0.2},
    "judge keeps 1 of 4 crystals": {"judge_oversample": 4},
    "sampler's defaults": {k: v for k, v in DECODING_DEFAULTS.items() if k != "batch"},
    "all but told": {
        "preselect": 16,
        "oversample": 4,
        "latent_noise": 0.8,
        "min_atoms": 7,
        "energy_steps": 10,
        "projections": 3,
        "stop_when_read": True,
        "symmetry_tolerance": 0.2,
        "judge_oversample": 4,
    },
}
SOURCES = ("independent normals", "midpoints", "posterior of training crystals")
MOST_ENCODED = 200  # training crystals per formula that baselines draw from


class Source:
    """A model whose latents come from elsewhere than its generator.

    Parameters
    ----------
    model
        Trained model; it does all the rest.
    kind
        One of `SOURCES`.
    seed
        Which training crystals are encoded where there are more than `MOST_ENCODED`.
    """

    def __init__(self, model: Any, kind: str, seed: int) -> None:
        self._model, self.kind, self._seed = model, kind, seed
        self._posteriors: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def formula_units(self, formula: str) -> tuple[np.ndarray, np.ndarray]:
        """Those of the training crystals that there are, with their shares."""
        if self.kind == "independent normals":
            return self._model.formula_units(formula)
        counts, means, widths = encode_training(self._model, formula, self._seed)
        least = 2 if self.kind == "midpoints" else 1
        unit = self._model.system.formula_unit(formula)[0]
        numbers: list[int] = []
        weights: list[int] = []
        for key in sorted({tuple(c) for c in counts.tolist()}):
            mask = (counts == key).all(axis=1)
            if mask.sum() >= least:
                self._posteriors[key] = (means[mask], widths[mask])
                numbers.append(key[0] // unit)
                weights.append(int(mask.sum()))
        if not numbers:
            raise InputError(f"training holds no {formula} to draw {self.kind} from")
        return np.array(numbers), np.array(weights) / sum(weights)

    def generate(
        self,
        counts: np.ndarray,
        rng: np.random.Generator,
        truncation: float = 1.0,
        latent_noise: float = 0.0,
    ) -> np.ndarray:
        """Standardised latents (n, L)."""
        del truncation, latent_noise
        length = len(self._model.mean)
        if self.kind == "independent normals":
            return rng.standard_normal((len(counts), length)).astype(np.float32)
        latents = np.empty((len(counts), length), dtype=np.float32)
        for row, key in enumerate(map(tuple, counts.tolist())):
            means, widths = self._posteriors[key]
            if self.kind == "midpoints":
                first, second = rng.choice(len(means), 2, replace=False)
                latents[row] = (means[first] + means[second]) / 2
            else:
                at = rng.integers(len(means))
                latents[row] = means[at] + widths[at] * rng.standard_normal(length)
        return latents


_encoded: dict[tuple[str, str], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}


def encode_training(
    model: Any, formula: str, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts (n, 2) and standardised posterior means and widths (n, L) of training crystals."""
    from atomate2_vogen.models.networks.backend import run
    from atomate2_vogen.models.training.crystal_pool import (
        lattice_grids,
        physical,
        pool_of,
        sites_grids,
    )

    key = (model.model_id, formula)
    if key in _encoded:
        return _encoded[key]
    crystals = load_dataset(model.system)
    small = crystals.n_atoms <= model.system.max_atoms
    wanted = (crystals.splits == "train") & (crystals.formulas() == formula) & small
    crystals = crystals.select(wanted & crystals.is_distinct)
    crystals = crystals.select(physical(crystals))
    some = np.random.default_rng([seed, 11]).permutation(len(crystals))[:MOST_ENCODED]
    pool = pool_of(crystals.select(np.sort(some)), model.codec, f"training set of {formula}")
    means, widths = [], []
    for start in range(0, len(pool), 32):
        part = pool.take(np.arange(start, min(start + 32, len(pool))))
        halves = (
            run(
                model.networks["sites_encoder"],
                sites_grids(part, model.codec.n_sites, model.codec.sigma_sites),
            ),
            run(model.networks["lattice_encoder"], lattice_grids(part, model.codec)),
        )
        joint = [np.concatenate(parts, axis=1) for parts in zip(*halves, strict=True)]
        means.append((joint[0] - model.mean) / model.width)
        widths.append(np.exp(0.5 * joint[1]) / model.width)
    _encoded[key] = pool.counts, np.concatenate(means), np.concatenate(widths)
    return _encoded[key]


def sample_all(
    model: Any, options: Mapping[str, Any], formula: str, latents: int, seed: int
) -> tuple[SampleDoc, float]:
    """What comes of a number of decoded latents, and the CPU seconds that it took."""
    from atomate2_vogen.samplers.wgan import WGANSampler

    options = {**PLAIN, **options}
    keep = options.pop("judge_oversample", 1)
    sampler = WGANSampler(model, max_attempts=latents, batch=min(64, latents), **options)
    begin = time.process_time()
    sample = sampler.sample({formula: latents + 1}, seed)
    if keep > 1 and len(sample.candidates) >= keep:
        # as many as can be kept of what this number of latents gives
        wanted = len(sample.candidates) // keep
        judge = chgnet_energies()
        begin = time.process_time()
        sample = FilteredSampler(sampler, lambda: judge, keep).sample({formula: wanted}, seed)
    return sample, time.process_time() - begin


def figures(sample: SampleDoc, formula: str, judged: Judged, seconds: float) -> dict:
    """One cell of the table."""
    found = measure(sample).overall
    valid = found.sound.count if found.sound else 0
    return {
        "attempts": sample.attempts[formula],
        "exact": found.exact_composition.count if found.exact_composition else 0,
        "valid": valid,
        "unique": valid - sample.rejected[formula].get(RejectionReason.DUPLICATE.value, 0),
        "delivered": len(sample.candidates),
        "energies_above_hull": [round(energy, 4) for energy in judged.energies],
        "looked_up": judged.looked_up,
        "novel": judged.novel,
        "far": judged.far,
        "seconds": round(seconds, 3),
    }


def summary(cells: list[dict]) -> dict[str, float | int | None]:
    """Shares of attempts, median energy and seconds per delivered crystal of several cells."""
    total = {key: sum(cell[key] for cell in cells) for key in ("attempts", "delivered", "seconds")}
    energies = [energy for cell in cells for energy in cell["energies_above_hull"]]
    shares = {
        key: sum(cell[key] for cell in cells) / total["attempts"]
        for key in ("exact", "valid", "unique")
    }
    looked_up = sum(cell["looked_up"] for cell in cells)
    of_known = {
        key: round(sum(cell[key] for cell in cells) / looked_up, 4) if looked_up else None
        for key in ("novel", "far")
    }
    return {
        "attempts": total["attempts"],
        **{key: round(share, 4) for key, share in shares.items()},
        **of_known,
        "delivered": total["delivered"],
        "median_energy_above_hull": round(float(np.median(energies)), 4) if energies else None,
        "judged": len(energies),
        "seconds_per_delivered": (
            round(total["seconds"] / total["delivered"], 3) if total["delivered"] else None
        ),
    }


@dataclass(frozen=True)
class Judged:
    """Energies above hull as generated, eV/atom, and how many crystals are no known ones."""

    energies: list[float]
    looked_up: int
    novel: int
    far: int


class Judge:
    """Energies above hull of candidates as generated, and whether they are new."""

    def __init__(self, system: Any, formulas: Sequence[str], most: int, seed: int) -> None:
        self.hull = ReferenceHull(load_references(JUDGE_SCHEME, system), system)
        self.most, self.seed, self.system = most, seed, system
        self._energies = chgnet_energies() if most else None
        self._known = [known_structures(system, (), formulas, margin=m) for m in (1.0, 2.0)]

    def __call__(self, candidates: list[CandidateDoc]) -> Judged:
        """Of at most `most` of them; energies that cannot be computed are left out."""
        if self._energies is None:
            return Judged([], 0, 0, 0)
        rng = np.random.default_rng([self.seed, 12])
        chosen = np.sort(rng.permutation(len(candidates))[: self.most])
        structures = [candidates[i].structure for i in chosen]
        energies = [
            self.hull.position(structure.composition, energy).energy_above_hull
            for structure, (energy, failure) in zip(
                structures, single_points(structures, self._energies, self.system), strict=True
            )
            if not failure
        ]
        new = [sum(known.find(s) is None for s in structures) for known in self._known]
        return Judged(energies, len(structures), *new)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="default: the shipped one")
    parser.add_argument("--latents", type=int, default=256, help="decoded per formula and row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formulas", help="separated by commas; default: the system's targets")
    parser.add_argument("--judged", type=int, default=50, help="candidates judged; 0: none")
    parser.add_argument("--projections", type=int, default=0, help="of the plain decoder")
    parser.add_argument("--rows", default="", help="only rows whose names hold this text")
    parser.add_argument("--out", type=Path, help="JSON file, rewritten after every row")
    arguments = parser.parse_args()

    from atomate2_vogen.models.shipped import load_shipped
    from atomate2_vogen.models.trained_model import TrainedModel

    model = TrainedModel.load(arguments.model) if arguments.model else load_shipped()
    formulas = (
        [model.system.reduced_formula(text) for text in arguments.formulas.split(",")]
        if arguments.formulas
        else list(model.system.target_formulas)
    )
    PLAIN["projections"] = arguments.projections
    # the first call of every network is slow, and no row is to pay for it
    sample_all(model, {"projections": 1}, formulas[0], 2, arguments.seed)
    judge = Judge(model.system, formulas, arguments.judged, arguments.seed)
    report: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/ablate_decoding.py", *sys.argv[1:]]),
        "package_version": __version__,
        "model_id": model.model_id,
        "preset": model.preset.name,
        "judge": JUDGE_SCHEME,
        "hull_id": judge.hull.hull_id,
        "seed": arguments.seed,
        "latents": arguments.latents,
        "formulas": formulas,
        "rows": {},
    }
    rows = [(name, model, options) for name, options in OPTIONS.items()]
    for kind in SOURCES:
        source = Source(model, kind, arguments.seed)
        rows += [(kind, source, {}), (f"{kind}, 1 projection", source, {"projections": 1})]
    for name, source, options in rows:
        if arguments.rows not in name:
            continue
        cells = {}
        for formula in formulas:
            try:
                sample, seconds = sample_all(
                    source, options, formula, arguments.latents, arguments.seed
                )
            except InputError as error:
                console.print(f"{name}, {formula}: {error}")
                continue
            cells[formula] = figures(sample, formula, judge(sample.candidates), seconds)
        if not cells:
            continue
        report["rows"][name] = {
            "options": {**PLAIN, **options},
            "told": bool(options.get("told_counts") or {**PLAIN, **options}["projections"]),
            "by_formula": {f: {**cell, **summary([cell])} for f, cell in cells.items()},
            "all": summary(list(cells.values())),
        }
        console.print(f"{name}: {report['rows'][name]['all']}", highlight=False)
        if arguments.out:
            arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    Console(width=140).print(table(report))


def table(report: dict[str, Any]) -> Table:
    """All rows, over all formulas."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    shown.title = (
        f"{report['latents']} latents of {', '.join(report['formulas'])} each, seed "
        f"{report['seed']}, model {report['model_id']}"
    )
    shown.add_column("decoder", min_width=34)
    shown.add_column("told")
    shares = ("exact", "valid", "unique", "novel", "far")
    names = ("attempts", *shares, "delivered", "E_hull", "judged", "s each")
    for name in names:
        shown.add_column(name, justify="right")
    for name, row in report["rows"].items():
        every = row["all"]
        energy, seconds = every["median_energy_above_hull"], every["seconds_per_delivered"]
        if name == SOURCES[0]:
            shown.add_section()
        shown.add_row(
            name,
            "yes" if row["told"] else "no",
            str(every["attempts"]),
            *("–" if every[key] is None else f"{every[key]:.1%}" for key in shares),
            str(every["delivered"]),
            "–" if energy is None else f"{energy:.2f}",
            str(every["judged"]),
            "–" if seconds is None else f"{seconds:.2f}",
        )
    return shown


if __name__ == "__main__":
    main()
