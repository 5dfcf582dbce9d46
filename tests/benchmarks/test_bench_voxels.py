"""Voxelising and reading back, one core.

Run with ``OMP_NUM_THREADS=1 pytest tests/benchmarks/test_bench_voxels.py --benchmark-only
--benchmark-json=voxels.json``. A round is 200 crystals of the data set, seeded; divide 200 by the
time to have crystals per second.
"""

from __future__ import annotations

import numpy as np
import pytest

from atomate2_vogen.data.crystals import substitute
from atomate2_vogen.voxels import VoxelCodec

N_CRYSTALS = 200


@pytest.fixture(scope="module")
def crystals():
    pool = substitute()
    return pool.select(np.random.default_rng(0).choice(len(pool), N_CRYSTALS, replace=False))


def arrays(crystals):
    for index in range(len(crystals)):
        span = slice(crystals.offsets[index], crystals.offsets[index + 1])
        yield crystals.lattices[index], crystals.frac_coords[span], crystals.numbers[span]


@pytest.fixture(params=[(64, 32), (32, 16)], ids=["64-32", "32-16"])
def codec(request):
    return VoxelCodec(n_sites=request.param[0], n_lattice=request.param[1])


def run(benchmark, function):
    benchmark.extra_info["crystals_per_round"] = N_CRYSTALS
    benchmark.pedantic(function, rounds=5, warmup_rounds=1)
    benchmark.extra_info["crystals_per_second"] = round(N_CRYSTALS / benchmark.stats.stats.min)


@pytest.mark.benchmark(group="voxels")
def test_write_and_read(benchmark, codec, crystals):
    """Both grids of canonical crystals, written and read."""
    canonical = [codec.canonical_arrays(*crystal) for crystal in arrays(crystals)]
    sites = np.empty(codec.sites_shape, np.float32)
    lattice = np.empty(codec.lattice_shape, np.float32)

    def round_trip():
        for cell, coords, numbers in canonical:
            codec.encode_sites(coords, numbers, out=sites)
            codec.encode_lattice(cell, out=lattice)
            codec.decode_sites(sites)
            codec.decode_lattice(lattice)

    run(benchmark, round_trip)


@pytest.mark.benchmark(group="voxels")
def test_structure_to_structure(benchmark, codec, crystals):
    """The same from pymatgen structure to pymatgen structure, made canonical on the way."""
    structures = crystals.structures()

    def round_trip():
        for structure in structures:
            codec.decode(*codec.encode(structure))

    run(benchmark, round_trip)


@pytest.mark.benchmark(group="voxels")
def test_write_only(benchmark, codec, crystals):
    """What training on the fly costs: canonical crystals into preallocated grids."""
    canonical = [codec.canonical_arrays(*crystal) for crystal in arrays(crystals)]
    sites = np.empty(codec.sites_shape, np.float32)
    lattice = np.empty(codec.lattice_shape, np.float32)

    def write():
        for cell, coords, numbers in canonical:
            codec.encode_sites(coords, numbers, out=sites)
            codec.encode_lattice(cell, out=lattice)

    run(benchmark, write)


@pytest.mark.benchmark(group="voxels")
def test_make_canonical(benchmark, crystals):
    """The canonical form alone."""
    codec = VoxelCodec()
    pool = list(arrays(crystals))
    run(benchmark, lambda: [codec.canonical_arrays(*crystal) for crystal in pool])
