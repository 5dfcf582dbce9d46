"""Calculations of crystals of which some match, and some only through others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import cheap_engine
import numpy as np
from pymatgen.core import Lattice, Structure

from atomate2_vogen.schemas import CalculationDoc, CalculationState, CandidateDoc

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def crystal(c: float) -> Structure:
    """Rutile VO2 stretched to this edge; those with edges within a fifth match."""
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.55, c), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    )


def calculation(
    index: int, c: float, energy: float, scheme: str = cheap_engine.SCHEME, version: int = 0
) -> CalculationDoc:
    """A finished relaxation that moved nothing; a version is a time of change."""
    structure = crystal(c)
    candidate = CandidateDoc(
        candidate_id=f"VO2-{index:03d}",
        sampler="test",
        model_id="stretched",
        formula="VO2",
        seed=0,
        index=index,
        structure=structure,
    )
    return CalculationDoc(
        calculation_id=f"{candidate.candidate_id}|{scheme}",
        candidate_id=candidate.candidate_id,
        scheme=scheme,
        state=CalculationState.COMPLETED,
        candidate=candidate,
        structure=structure,
        initial_energy_per_atom=energy + 1,
        energy_per_atom=energy,
        max_force=0.01,
        last_updated=EPOCH + timedelta(seconds=version),
    )


def calculations(n: int, seed: int = 0) -> list[CalculationDoc]:
    """Edges from 2.1 to 12 Å, the longest of them with layers in vacuum; energies at random."""
    rng = np.random.default_rng(seed)
    pairs = zip(np.exp(rng.uniform(0.75, 2.5, n)), rng.uniform(-7, -6, n), strict=True)
    return [calculation(i, round(c, 3), round(energy, 3)) for i, (c, energy) in enumerate(pairs)]
