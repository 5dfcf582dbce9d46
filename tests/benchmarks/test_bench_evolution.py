"""Offspring per second, one core: attempts that become candidates, before any filter.

Run with ``OMP_NUM_THREADS=1 pytest tests/benchmarks/test_bench_evolution.py --benchmark-only
--benchmark-timer=time.process_time --benchmark-json=evolution.json``. A round is 60 crystals of
one formula from the substitution pool; comparisons among candidates are counted, reading of the
pool is not.
"""

from __future__ import annotations

from itertools import count

import pytest

from atomate2_vogen.samplers.evolution import EvolutionSampler

N_CRYSTALS = 60


@pytest.mark.benchmark(group="evolution")
@pytest.mark.parametrize("formula", ["VO2", "V2O3", "V2O5"])
def test_offspring(benchmark, formula):
    sampler, seeds = EvolutionSampler(), count(1)
    sampler.sample({formula: 1})

    def sample():
        assert not sampler.sample({formula: N_CRYSTALS}, seed=next(seeds)).missing

    benchmark.pedantic(sample, rounds=5)
    rate = N_CRYSTALS / benchmark.stats.stats.mean
    benchmark.extra_info["candidates_per_second_mean"] = round(rate, 1)
