"""Keras with a quiet backend and a chosen number of threads.

Every other module of this package takes `keras` from here, so that the environment is set
before the backend is first imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from atomate2_vogen.settings import settings

THREADS_VARIABLE = "VOGEN_THREADS"
"""Environment variable: threads per operation; the default is one per core."""


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discard the process's stderr: TensorFlow logs before its log level is read."""
    try:
        stderr = sys.stderr.fileno()
        saved = os.dup(stderr)
    except (OSError, ValueError, AttributeError):  # no real file behind it
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), stderr)
        try:
            yield
        finally:
            os.dup2(saved, stderr)
            os.close(saved)


def _keep_memory() -> None:
    """Let the C library keep freed memory instead of returning it to the system at once.

    The feature maps of a grid are tens of MB that are allocated and freed at every operation.
    glibc maps such blocks one by one, and having their pages zeroed anew each time can take as
    long as the networks themselves (`tests/benchmarks/test_bench_models.py`). Results are the same.
    """
    # mallopt's parameters; another C library has none of this, and goes on as it is
    trim_threshold, mmap_max = -1, -4
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def _prepare() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    threads = os.environ.get(THREADS_VARIABLE) or settings().THREADS
    if threads:
        # read by TensorFlow when it starts; a pool per operation and one between them
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


_prepare()
_keep_memory()
if os.environ["KERAS_BACKEND"] == "tensorflow" and "tensorflow" not in sys.modules:
    with _silent_stderr():
        importlib.import_module("tensorflow")

import keras  # noqa: E402

# "retracing": harmless here, and nothing a user could act upon
logging.getLogger("tensorflow").setLevel(logging.ERROR)

__all__ = ["backend_name", "keras", "run"]


def run(
    network: Any, inputs: Any, *, rows: int | None = None, compiled: bool = False
) -> list[np.ndarray]:
    """Outputs of a network in inference mode, as numpy arrays.

    Parameters
    ----------
    network
        A Keras model.
    inputs
        Array or list of arrays; the first axis is the batch.
    rows
        Largest batch; None puts all rows into one.
    compiled
        Whether the network becomes one graph first, at its first use. That takes as long as
        some tens of voxel grids (half a second), and halves the time of every grid; a small
        network gains nothing. XLA is left out: on a CPU it is several times slower than the
        graph without it.
    """
    values = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    n = len(values[0])
    if rows is not None and n > rows:
        parts = [slice(start, start + rows) for start in range(0, n, rows)]
        chunks = [run(network, [v[part] for v in values], compiled=compiled) for part in parts]
        return [np.concatenate(outputs) for outputs in zip(*chunks, strict=True)]
    fed = values if len(values) > 1 else values[0]
    if compiled:
        network.jit_compile = keras.backend.backend() == "jax"  # which has no other graph
        outputs = network.predict_on_batch(fed)
    else:
        outputs = network(fed, training=False)
    if not isinstance(outputs, list | tuple):
        outputs = [outputs]
    return [_as_array(output) for output in outputs]


def _as_array(output: Any) -> np.ndarray:
    """NumPy array of an output, without a copy if it is one already: a grid has 2 MB."""
    if isinstance(output, np.ndarray):
        return output
    return np.asarray(keras.ops.convert_to_numpy(output))


def backend_name() -> str:
    """Name and version of the backend, e.g. ``tensorflow 2.21.0``."""
    name = keras.backend.backend()
    version = getattr(sys.modules.get(name), "__version__", "")
    return f"{name} {version}".strip()
