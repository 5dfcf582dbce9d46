"""The steps of a flow, for a diagram of it."""

from __future__ import annotations

from typing import Any

from jobflow import Flow, Job, Maker

from atomate2_vogen.engines.base import CATEGORY, Engine
from atomate2_vogen.jobs.placement import ANALYSIS
from atomate2_vogen.plotting.workflow import Step

TITLES = {
    "draw": "draw crystals, relax them on a learned potential",
    "sample": "generate crystals",
    "screening": "relax, refine, judge energies",
    "summary": "place on the hull, match known crystals",
    "summarise": "place on the hull, match known crystals",
    "train generator": "train GAN and WGAN",
    "select new": "choose the lowest new crystals",
    "phonons_of_best": "phonons, the paper's supercells",
    "electronic": "magnetic order, bands, density of states",
    "confirm": "relax with other energy models",
    "reference levels": "reference phases of each model",
    "tables": "the paper's tables",
}
"""Words in the boxes, by stage or name of the jobs; others are called by these."""


def steps_of(flow: Flow) -> list[Step]:
    """Steps of a flow: jobs of one stage are one step, whichever crystal or formula they are for.

    Jobs that are made while the flow runs are not known before; the step that makes them stands
    for them.

    Parameters
    ----------
    flow
        Any flow.

    Returns
    -------
    list of Step
        In the order of the flow.

    Examples
    --------
    >>> from atomate2_vogen import PaperFlowMaker
    >>> from atomate2_vogen.flows import steps_of
    >>> flow = PaperFlowMaker(samplers=("wgan",), generator_steps=None).make({"VO2": 2})
    >>> [step.name for step in steps_of(flow)][:2]
    ['generate crystals', 'relax, refine, judge energies']
    """
    names: dict[str, str] = {}
    steps: dict[str, tuple[str, int, list[str]]] = {}
    for job, parents in flow.iterflow():
        stage = job.metadata.get("stage")
        name = TITLES.get(str(stage)) or TITLES.get(job.name) or str(stage or job.name)
        names[job.uuid] = name
        category, count, inputs = steps.setdefault(name, (_category(job), 0, []))
        inputs += [names[uuid] for uuid in parents if names.get(uuid, name) != name]
        steps[name] = category, count + 1, inputs
    return [
        Step(name, category, count, tuple(dict.fromkeys(inputs)))
        for name, (category, count, inputs) in steps.items()
    ]


def _category(job: Job) -> str:
    """Category of a job; of one that makes others with an engine, that of the engine."""
    given: list[Any] = [*job.function_args, *job.function_kwargs.values()]
    for maker in given:
        engine = getattr(maker, "engine", None) if isinstance(maker, Maker) else None
        if isinstance(engine, Engine):
            return str(engine.manager_config.get(CATEGORY, ANALYSIS))
    return str(job.config.manager_config.get(CATEGORY, ANALYSIS))
