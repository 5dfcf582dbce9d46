"""How long the data set takes; nothing is asserted."""

from __future__ import annotations

import numpy as np

from atomate2_vogen.data.crystals import CrystalSet, substitute
from atomate2_vogen.data.labels import chgnet_energies
from atomate2_vogen.data.prototypes import load_prototypes


def test_read_prototypes(benchmark):
    benchmark(lambda: (load_prototypes.cache_clear(), load_prototypes()))


def test_substitute_all(benchmark):
    load_prototypes()
    benchmark(substitute)


def test_hash_all(benchmark):
    benchmark(substitute().keys)


def test_write_and_read_all(benchmark):
    crystals = substitute()
    benchmark(lambda: CrystalSet.from_bytes(crystals.to_bytes()))


def test_label_64(benchmark):
    crystals = substitute()
    structures = crystals.structures(np.random.default_rng(0).choice(len(crystals), 64))
    judge = chgnet_energies()
    benchmark.pedantic(judge, args=(structures,), rounds=2)
