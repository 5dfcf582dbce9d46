"""Speed of the analysis: ``pytest tests/benchmarks --benchmark-only``."""

import numpy as np
import pytest

from atomate2_vogen.data.dataset import load_dataset
from atomate2_vogen.samplers.substitution import SubstitutionSampler
from atomate2_vogen.schemas import CalculationDoc, ReferenceDoc
from atomate2_vogen.stability.hull import assess
from atomate2_vogen.structures.geometry import minimum_distances
from atomate2_vogen.structures.matching import KnownStructures, duplicate_groups

FORMULA = "VO2"


@pytest.fixture(scope="module")
def crystals():
    return load_dataset()


@pytest.fixture(scope="module")
def sample():
    return SubstitutionSampler().sample({"VO2": 12, "V2O3": 12}, seed=0).candidates


def test_minimum_distances_of_20_atoms(benchmark, crystals):
    structure = crystals.structure(int(np.flatnonzero(crystals.n_atoms == 20)[0]))
    benchmark(minimum_distances, structure)


def test_find_in_500_crystals_of_one_formula(benchmark, crystals):
    """Twenty queries, rattled by 0.3 Å and strained; many match nothing or match late."""
    members = np.flatnonzero(crystals.formulas() == FORMULA)
    rng = np.random.default_rng(0)
    known = KnownStructures(
        {str(i): crystals.structure(int(i)) for i in rng.choice(members, 500, replace=False)}
    )
    queries = []
    for i in rng.choice(members, 20, replace=False):
        query = crystals.structure(int(i))
        query.apply_strain(rng.uniform(-0.1, 0.1, 3))
        query.translate_sites([0], rng.uniform(-0.8, 0.8, 3), frac_coords=False)
        queries.append(query)
    known.find(queries[0])  # the pool is reduced once
    benchmark.pedantic(lambda: [known.find(query) for query in queries], rounds=1)
    benchmark.extra_info["known"] = sum(known.find(query) is not None for query in queries)


def test_duplicate_groups_of_24(benchmark, sample):
    structures = [candidate.structure for candidate in sample]
    benchmark.pedantic(duplicate_groups, (structures, list(range(24))), rounds=2)


def test_assess_24(benchmark, sample, crystals):
    def reference(name, index, energy):
        structure = crystals.structure(index)
        return ReferenceDoc(
            reference_id=name,
            name=name,
            scheme="toy",
            formula=structure.composition.reduced_formula,
            structure=structure,
            energy_per_atom=energy,
        )

    metal, oxygen = (sample[0].structure.copy() for _ in range(2))
    metal.remove_species(["O"])
    oxygen.remove_species(["V"])
    references = [
        ReferenceDoc(
            reference_id=str(energy),
            name=str(energy),
            scheme="toy",
            formula=structure.composition.reduced_formula,
            structure=structure,
            energy_per_atom=energy,
        )
        for structure, energy in ((metal, -9.0), (oxygen, -5.0))
    ]
    references.append(
        reference("oxide", int(np.flatnonzero(crystals.formulas() == FORMULA)[0]), -8)
    )
    calculations = [
        CalculationDoc(
            calculation_id=candidate.candidate_id,
            candidate_id=candidate.candidate_id,
            scheme="toy",
            state="completed",
            candidate=candidate,
            structure=candidate.structure,
            initial_energy_per_atom=-7.0,
            energy_per_atom=-7.5 - 0.01 * index,
        )
        for index, candidate in enumerate(sample)
    ]
    benchmark.pedantic(assess, (calculations, references), rounds=2)
