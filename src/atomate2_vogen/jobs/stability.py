"""The job that places a fan-out's calculations on the hull."""

from __future__ import annotations

from jobflow import job

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.jobs.evaluation import judge_and_measure
from atomate2_vogen.schemas import (
    CalculationDoc,
    CalculationState,
    DiscoveryDoc,
    KnownDoc,
    ReferenceDoc,
    SampleDoc,
)

LISTS = [["output", name] for name in ("stability", "electronic", "phonons")]
"""Places in the document of a job with a `DiscoveryDoc` whose content goes to the ``data`` store:
what grows with the number of crystals."""


@job(data=LISTS, output_schema=DiscoveryDoc)
def summarise(
    samples: list[SampleDoc],
    calculations: list[list[CalculationDoc]],
    references: list[ReferenceDoc],
    scheme: str,
    system: OxideSystem,
    *,
    own: list[KnownDoc] | None = None,
) -> DiscoveryDoc:
    """Stability of what was sampled, best first.

    Parameters
    ----------
    samples
        Crystals of one or more formulas each.
    calculations
        Those of the crystals of each sample.
    references
        Relaxed reference phases of the same scheme.
    scheme
        Energy scale of the engine.
    system
        Oxide system.
    own
        Known crystals of the user: what matches them is not novel.

    Returns
    -------
    DiscoveryDoc
        Ranked candidates by energy above hull, then those that cannot be ranked; and the
        metrics of all.

    Raises
    ------
    SchemeMismatchError
        If a calculation is of another scheme than the references.

    Examples
    --------
    >>> from atomate2_vogen.chemistry import VANADIUM
    >>> from atomate2_vogen.engines import load_references
    >>> from atomate2_vogen.jobs import SampleMaker, summarise
    >>> sample = SampleMaker(sampler="substitution").make({"VO2": 2})
    >>> references = load_references("CHGNet-0.3.0")
    >>> summarise([sample.output], [[]], references, "CHGNet-0.3.0", VANADIUM).name
    'summarise'
    """
    sample = SampleDoc.merge(samples)
    done = [calculation for part in calculations for calculation in part]
    stability, metrics = judge_and_measure(sample, done, references, system, own=own or [])
    stability.sort(
        key=lambda document: (
            document.field_class is None,
            document.energy_above_hull if document.energy_above_hull is not None else 0.0,
            document.candidate_id,
        )
    )
    made = CalculationState.FAILED
    return DiscoveryDoc(
        scheme=scheme,
        sample={
            "sampler": sample.sampler,
            "model_id": sample.model_id,
            "seed": sample.seed,
            "requested": sample.requested,
            "attempts": sample.attempts,
            "rejected": sample.rejected,
            "yields": sample.yields,
            "missing": sample.missing,
            "wall_time": sample.wall_time,
        },
        n_candidates=len(sample.candidates),
        n_calculated=sum(calculation.state is not made for calculation in done),
        stability=stability,
        metrics=metrics,
    )
