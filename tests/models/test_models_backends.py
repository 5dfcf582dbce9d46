"""The same training on another backend.

Three updates of each network run on TensorFlow and on PyTorch, each in a process of its own,
from the same weights and the same batches; the losses after each update are compared. Random
numbers differ between backends, so there are none: dropout is off, and the autoencoder's noise
is multiplied by zero. What is compared is therefore layers, losses, gradients (through the
second and third loss), optimizers, clipping and batch statistics.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "three_steps.py"


def _losses(backend: str, weights: Path, out: Path) -> dict:
    subprocess.run(
        [sys.executable, str(SCRIPT), str(weights), str(out)],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
        timeout=600,
    )
    return json.loads(out.read_text())


@pytest.mark.slow
def test_tensorflow_and_torch_agree(tmp_path):
    pytest.importorskip("torch")
    weights = tmp_path / "weights.npz"
    expected = _losses("tensorflow", weights, tmp_path / "tensorflow.json")
    found = _losses("torch", weights, tmp_path / "torch.json")
    assert set(expected) == set(found)
    for name, steps in expected.items():
        for key in steps[0]:
            ours, theirs = ([step[key] for step in run] for run in (steps, found[name]))
            np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4, err_msg=f"{name} {key}")
        # the updates changed something, else only the start would have been compared
        losses = [step["loss"] for step in steps]
        assert len(losses) == 3
        assert np.ptp(losses) > 1e-3, name
