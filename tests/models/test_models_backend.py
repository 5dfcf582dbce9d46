"""Networks run whole, by rows, and as one graph: the same numbers."""

from __future__ import annotations

import platform
import subprocess
import sys

import numpy as np
import pytest

from atomate2_vogen.models.networks.backend import keras, run


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    first, second = keras.Input((3,)), keras.Input((2,))
    both = keras.layers.Concatenate()([first, second])
    x = keras.layers.BatchNormalization()(keras.layers.Dropout(0.5)(both))
    return keras.Model([first, second], [keras.layers.Dense(4)(x), keras.layers.Dense(1)(x)])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("rows", [1, 4, 7, 100])
def test_rows_and_graph_change_nothing(network, rows, compiled):
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=(7, 3)).astype("f4"), rng.normal(size=(7, 2)).astype("f4")]
    whole = run(network, inputs)
    parts = run(network, inputs, rows=rows, compiled=compiled)
    assert [part.shape for part in parts] == [(7, 4), (7, 1)]
    for part, expected in zip(parts, whole, strict=True):
        assert part == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: (x,)])
def test_a_single_input_may_come_in_a_list(wrap):
    layer = keras.layers.Dense(2)
    inputs = keras.Input((3,))
    network = keras.Model(inputs, layer(inputs))
    x = np.random.default_rng(2).normal(size=(5, 3)).astype("f4")
    kernel, bias = layer.get_weights()
    for rows in (None, 2):
        (found,) = run(network, wrap(x), rows=rows)
        assert found == pytest.approx(x @ kernel + bias, abs=1e-6)


FAULTS = """
import resource
import numpy as np
import atomate2_vogen.models.networks.backend

for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(50_000_000, dtype="u1")
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_is_freed_is_kept():
    """A block of the size of a feature map is used again, and not mapped anew page by page."""
    run = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 10  # 12,000 pages, or 25 large ones, where it is mapped anew


def test_an_array_is_handed_on_as_it_is(monkeypatch):
    """Neither layer of the library's conversions copies a grid."""
    inputs = keras.Input((3,))
    network = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    array = np.zeros((5, 2), dtype="f4")
    monkeypatch.setattr(network, "predict_on_batch", lambda _: array)
    (found,) = run(network, np.zeros((5, 3), dtype="f4"), compiled=True)
    assert found is array
