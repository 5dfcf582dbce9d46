"""Put a trained model into the package, small enough to be shipped.

Usage: python tools/ship_model.py FOLDER

FOLDER is the output of ``vogen train``. Weights are rounded to `BITS` significant bits, after
which the file compresses to about half. The held-out crystals are reconstructed before and
after, so that what rounding costs is seen; training document and learning curves go beside the
model with the id of the rounded one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from rich.console import Console

from atomate2_vogen.cli.sampling_options import MODEL_FILE
from atomate2_vogen.cli.train import DOCUMENT
from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.errors import InputError
from atomate2_vogen.models.reconstruction import summarise_reconstruction
from atomate2_vogen.models.shipped import shipped_path
from atomate2_vogen.models.trained_model import TrainedModel
from atomate2_vogen.models.training.assessment import reconstruct_pool
from atomate2_vogen.models.training.crystal_pool import make_pool

BITS = 11
"""As many as half precision has, but without its limits on the exponent."""
MOST_BYTES = 25_000_000

console = Console()


def rounded(values: np.ndarray) -> np.ndarray:
    """Values with `BITS` significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2.0**BITS) / 2.0**BITS, exponent).astype(np.float32)


def main() -> None:
    """Round, compare, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    model = TrainedModel.load(folder / MODEL_FILE)
    if model.model_id != document["model_id"]:
        raise InputError(f"{folder}: {MODEL_FILE} and {DOCUMENT} are of different models")
    pool = make_pool(load_dataset(model.system), "test", model.preset, model.codec)
    before = summarise_reconstruction(reconstruct_pool(model, pool))
    for network in model.networks.values():
        network.set_weights([rounded(weight) for weight in network.get_weights()])
    small = TrainedModel(
        model.preset,
        model.system,
        model.networks,
        mean=model.mean,
        width=model.width,
        energy_scale=model.energy_scale,
        cells=model.cells,
        provenance={**model.provenance, "significant_bits": BITS, "from": document["model_id"]},
    )
    after = summarise_reconstruction(reconstruct_pool(small, pool))
    for group, figures in before.items():
        for name, value in figures.items():
            if value is not None:
                console.print(
                    f"{group:<14}{name:<20}{value:10.4f} before rounding"
                    f"{after[group][name]:10.4f} after"
                )
    content = small.to_bytes()
    if len(content) > MOST_BYTES:
        raise InputError(f"the file has {len(content)} bytes, over {MOST_BYTES}")
    target = shipped_path(model.preset.name, model.system)
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(content)
    document |= {
        "model_id": small.model_id,
        "rounded_from": document["model_id"],
        "significant_bits": BITS,
        "reconstruction_of_all_test_crystals": after,
        "artefact": {"filename": target.name, "sha256": hashlib.sha256(content).hexdigest()},
    }
    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
    target.with_suffix(".json").write_text(text, encoding="utf-8")
    console.print(f"{target.name}: {len(content) / 1e6:.1f} MB, model {small.model_id}")


if __name__ == "__main__":
    main()
