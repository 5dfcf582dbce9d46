"""The flow that judges crystals of any origin and measures them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from jobflow import Flow, Maker, OutputReference
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.flows.references import references_for
from atomate2_vogen.flows.screening import ScreeningFlowMaker
from atomate2_vogen.jobs.evaluation import checked_candidates, evaluate
from atomate2_vogen.jobs.known import known_jobs
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.refinement import RefineMaker, refine_maker
from atomate2_vogen.schemas import CandidateDoc, KnownDoc, ReferenceDoc, SampleDoc


@dataclass
class EvaluateMaker(Maker):
    """Relax crystals, place each on the hull, and measure them together.

    Parameters
    ----------
    name
        Name of the flow.
    engine
        Engine that judges; the default is CHGNet.
    system
        Oxide system.
    references
        Relaxed reference phases in the engine's scheme, by default those that are shipped; or
        a Maker that relaxes them first, such as `ReferencesFlowMaker`.
    refine
        Maker that makes relaxed crystals symmetric where that costs no energy, None or
        ``default``, as of `ScreeningFlowMaker`.
    known
        Further known crystals, of yours: what matches one of them is not novel. They go into
        the collection ``known`` of the stores.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> rutile = Structure.from_spacegroup(
    ...     "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    ... )
    >>> from atomate2_vogen.flows import EvaluateMaker
    >>> [step.name for step in EvaluateMaker().make([rutile]).jobs]
    ['screening', 'evaluate']
    """

    name: str = "evaluation"
    engine: Engine = field(default_factory=chgnet)
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    references: list[ReferenceDoc] | Maker | None = None
    refine: RefineMaker | Literal["default"] | None = "default"
    known: Sequence[Structure | KnownDoc] = ()

    def __post_init__(self) -> None:
        """Refuse what is no engine."""
        check_engine(self.engine, self)
        refine_maker(self.refine, self.engine)

    def make(
        self, crystals: SampleDoc | Sequence[Structure | CandidateDoc] | OutputReference
    ) -> Flow:
        """Flow whose output is an `EvaluationDoc`.

        Parameters
        ----------
        crystals
            A sample, whose request and attempts are counted too; or structures and candidates,
            each of which counts as asked for; or the output of a job that gives a sample or a
            list of candidates.

        Raises
        ------
        InputError
            If there is nothing to evaluate, a candidate is there twice, or a crystal is none
            of the system or has overlapping atoms.
        MissingReferenceError
            If no references are shipped for the engine's scheme and none are given.
        SchemeMismatchError
            If references, or the engine of their Maker, are of another scheme than the engine.
        ElementError
            If the Maker of the references is of another oxide.
        """
        before, references = references_for(self.references, self.engine, self.system)
        screening = ScreeningFlowMaker(engine=self.engine, refine=self.refine)
        delivered: SampleDoc | OutputReference | None = None
        if isinstance(crystals, OutputReference):
            delivered = crystals
            relaxing = screening.make(crystals)
        elif isinstance(crystals, SampleDoc):
            checked_candidates(crystals.candidates, self.system)
            # the job that measures takes the candidates from their calculations: a job's
            # arguments must not grow with their number
            delivered = crystals.model_copy(update={"candidates": []})
            relaxing = screening.make(crystals.candidates)
        else:
            relaxing = screening.make(checked_candidates(crystals, self.system))
        own, kept = known_jobs(self.known, self.system)
        document = evaluate(delivered, relaxing.output, references, self.system, own=own)
        document.update_metadata({"scheme": self.engine.scheme, "stage": "evaluation"})
        place(document, ANALYSIS)
        return Flow([*before, *kept, relaxing, document], output=document.output, name=self.name)
