"""Documents of one sampler, made by hand: candidates, calculations, judgements, a sample."""

from __future__ import annotations

from pymatgen.core import Lattice, Structure

from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    CandidateDoc,
    SampleDoc,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.hull import field_class, paper_class

SCHEME, ON_HULL = "J", -2.4


def crystal(c: float) -> Structure:
    """A cell of six atoms; those that differ by a third in c are different crystals."""
    return Structure(
        Lattice.orthorhombic(3.4, 4.1, c),
        ["V", "V", "O", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.1], [0.5, 0, 0.6], [0.5, 0, 0.1], [0, 0.5, 0.7]],
    )


def made(number: int, sampler: str = "wgan", formula: str = "VO2") -> list[CandidateDoc]:
    """Candidates, each different."""
    return [
        CandidateDoc.make(
            crystal(5.0 * 1.35**index),
            sampler=sampler,
            model_id="m1",
            formula=formula,
            seed=7,
            index=index,
        )
        for index in range(number)
    ]


def sample(crystals: list[CandidateDoc], missing: int = 0, **changes) -> SampleDoc:
    """A sample that holds them, of one formula."""
    content = {
        "sampler": crystals[0].sampler if crystals else "wgan",
        "model_id": "m1",
        "seed": 7,
        "requested": {"VO2": len(crystals) + missing},
        "attempts": {"VO2": 2 * len(crystals) + missing},
        "candidates": crystals,
        "rejections": [],
        "wall_time": 10.0,
    }
    return SampleDoc.make(**(content | changes))


def calculation(candidate: CandidateDoc, **changes) -> CalculationDoc:
    """A relaxation that took 4 s of CPU in 7 s."""
    content = {
        "calculation_id": f"{candidate.candidate_id}|{SCHEME}",
        "candidate_id": candidate.candidate_id,
        "scheme": SCHEME,
        "state": CalculationState.COMPLETED,
        "candidate": candidate,
        "structure": candidate.structure,
        "initial_energy_per_atom": -7.0,
        "energy_per_atom": -8.0,
        "max_force": 0.03,
        "n_steps": 17,
        "wall_time": 7.0,
        "cpu_time": 4.0,
    }
    return CalculationDoc(**(content | changes))


def judgement(candidate: CandidateDoc, above: float | None, **changes) -> StabilityDoc:
    """Where it stands; a hull of `ON_HULL` eV/atom at every composition."""
    state = changes.get("state", StabilityState.RANKED)
    ranked = state == StabilityState.RANKED
    formation = None if above is None else ON_HULL + above
    content = {
        "stability_id": f"{candidate.candidate_id}|{SCHEME}",
        "candidate_id": candidate.candidate_id,
        "scheme": SCHEME,
        "hull_id": "h",
        "chemsys": "O-V",
        "formula": candidate.formula,
        "natoms": len(candidate.structure),
        "sampler": candidate.sampler,
        "model_id": candidate.model_id,
        "state": state,
        "is_converged": True,
        "formation_energy_per_atom": formation,
        "energy_above_hull": above,
        "initial_energy_above_hull": None if above is None else above + 1,
        "paper_class": paper_class(formation, above) if ranked else None,
        "field_class": field_class(above) if ranked else None,
        "imatgen_stable": formation <= 0.5 if ranked else None,
        "duplicate_group": candidate.candidate_id if ranked else None,
        "is_unique": True if ranked else None,
        "is_novel": True if ranked else None,
        "structure": candidate.structure if ranked else None,
    }
    return StabilityDoc(**(content | changes))
