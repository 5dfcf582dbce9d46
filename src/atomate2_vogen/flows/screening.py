"""The flow that relaxes many candidates with one engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from jobflow import Flow, Maker, OutputReference
from pymatgen.core import Structure

from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.jobs.evaluation import as_candidates
from atomate2_vogen.jobs.later import make_later
from atomate2_vogen.jobs.refinement import RefineMaker, refine_maker
from atomate2_vogen.jobs.screening import fan_out
from atomate2_vogen.schemas import CandidateDoc


@dataclass
class ScreeningFlowMaker(Maker):
    """Relax -> static -> refine for each candidate, then collect; no failure stops the rest.

    Parameters
    ----------
    name
        Name of the flow.
    engine
        Engine that judges; the default is CHGNet.
    refine
        Maker that makes relaxed crystals symmetric where that costs no energy; None leaves them
        as relaxed. ``default`` is a `RefineMaker` for force fields, None for other engines.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> rutile = Structure.from_spacegroup(
    ...     "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    ... )
    >>> from atomate2_vogen.flows import ScreeningFlowMaker
    >>> flow = ScreeningFlowMaker().make([rutile])
    >>> sorted(job.name.split()[0] for job, _ in flow.iterflow())
    ['collect', 'initial', 'record', 'refine', 'relax', 'static']
    """

    name: str = "screening"
    engine: Engine = field(default_factory=chgnet)
    refine: RefineMaker | Literal["default"] | None = "default"

    def __post_init__(self) -> None:
        """Refuse what is no engine, and what cannot refine with it."""
        check_engine(self.engine, self)
        refine_maker(self.refine, self.engine)

    def make(self, candidates: Sequence[Structure | CandidateDoc] | OutputReference) -> Flow:
        """Flow whose output is a list of `CalculationDoc`, one per crystal.

        The list lies in the ``data`` store: ``job_store.get_output(uuid, load=True)`` reads it.

        Parameters
        ----------
        candidates
            Candidates or structures, or the output of a job that gives a `SampleDoc` or a list
            of these: then the fan-out is made when that job has run.

        Raises
        ------
        InputError
            If the list is empty or holds a candidate twice.
        """
        if isinstance(candidates, OutputReference):
            return make_later(self, candidates)
        return fan_out(
            self.engine,
            as_candidates(candidates),
            name=self.name,
            refine=refine_maker(self.refine, self.engine),
        )
