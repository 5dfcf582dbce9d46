"""Calculation and judgement of single crystals, by the product's own Makers and functions."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.jobs import RefineMaker, known_structures
from atomate2_vogen.jobs.learning import frames_of_crystal
from atomate2_vogen.potential.frames import Frame
from atomate2_vogen.schemas import CalculationDoc, CandidateDoc, ReferenceDoc
from atomate2_vogen.stability import ReferenceHull, judge
from atomate2_vogen.stability.hull import Judged
from atomate2_vogen.stability.judging import SYMMETRY_PRECISION
from atomate2_vogen.structures.matching import GrowingStructures, KnownStructures, rmsd
from atomate2_vogen.structures.reduction import ReducedCrystal
from discovery.raw import Outcome

EXACT = 0.01
"""Å; symmetry that a sampler gave on purpose."""


@dataclass
class Judge:
    """An energy model with its hull and the known crystals.

    Parameters
    ----------
    engine
        Levels of theory of the relaxation and of the energies.
    references
        Relaxed reference phases of the engine's scheme.
    system
        Oxide system.
    refine
        Refinement after relaxation, as of `ScreeningFlowMaker`.
    """

    engine: Engine
    references: Sequence[ReferenceDoc]
    system: OxideSystem = VANADIUM
    refine: RefineMaker | Literal["default"] | None = "default"

    @cached_property
    def hull(self) -> ReferenceHull:
        """Hull of the reference phases."""
        return ReferenceHull(list(self.references), self.system)

    @cached_property
    def known(self) -> KnownStructures:
        """Crystals that decide on novelty, at the matcher's own tolerances."""
        return known_structures(self.system, self.references)

    def refused(self, formulas: Sequence[str], margin: float) -> KnownStructures:
        """The same crystals of some formulas, at tolerances for refusing what resembles them."""
        return known_structures(self.system, self.references, formulas, margin=margin)

    def load(self, formulas: Sequence[str]) -> None:
        """Do now what the first crystals of these formulas would have to wait for."""
        compounds = (one for one in self.references if len(one.structure.composition) > 1)
        reference = min(compounds, key=lambda one: len(one.structure))
        self.calculate(
            CandidateDoc.make(
                reference.structure,
                sampler="references",
                model_id="loading",
                formula=reference.formula,
                seed=0,
                index=0,
            )
        )
        prepare(self.known, formulas, reference.structure)

    @property
    def stages(self) -> list[str]:
        """Stages of the calculation of one crystal."""
        from atomate2_vogen.flows import ScreeningFlowMaker

        flow = ScreeningFlowMaker(engine=self.engine, refine=self.refine).make(
            [self.references[0].structure]
        )
        return sorted(str(job.metadata["stage"]) for job, _ in flow.iterflow())

    def calculate(self, candidate: CandidateDoc) -> CalculationDoc:
        """Relax a crystal; see `calculate_with_frames`."""
        return self.calculate_with_frames(candidate)[0]

    def calculate_with_frames(self, candidate: CandidateDoc) -> tuple[CalculationDoc, list[Frame]]:
        """Relax a crystal, by the flow that `DiscoveryFlowMaker` makes of it.

        It runs in this process, so that its CPU time is that of all that was done.

        Returns
        -------
        tuple
            The calculation, and energies, forces and stresses that it left, with the candidate id
            and the stage as their source.

        Raises
        ------
        RuntimeError
            If a job failed for a reason that is not the crystal's, such as a full disk.
        """
        from jobflow import JobStore, run_locally
        from jobflow.core.reference import find_and_resolve_references
        from maggma.stores import MemoryStore

        from atomate2_vogen.flows import ScreeningFlowMaker
        from atomate2_vogen.stores import parse

        flow = ScreeningFlowMaker(engine=self.engine, refine=self.refine).make([candidate])
        store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"jobflow\.")
            run_locally(flow, store=store, root_dir=folder, log=False, raise_immediately=True)
        (calculation,) = find_and_resolve_references(flow.output, store)
        document = parse(CalculationDoc, calculation)
        return document, frames_of_crystal(store, document.jobs, candidate.candidate_id)

    def outcome(self, calculation: CalculationDoc) -> tuple[Outcome, Judged]:
        """Judgement of a calculation, as a row and as a document."""
        judged = judge(calculation, self.hull, self.known)
        document = judged.document
        return (
            Outcome(
                state=document.state.value,
                reason=document.reason,
                above_hull=document.energy_above_hull,
                space_group=document.space_group_number,
                rmsd=calculation.rmsd_to_relaxed,
                is_bulk=document.is_bulk,
                is_novel=document.is_novel,
                known_as=document.known_as,
            ),
            judged,
        )


def before_refinement(calculation: CalculationDoc) -> CalculationDoc | None:
    """The calculation of a refined crystal as it was before; None if refinement changed nothing.

    What a version without refinement calculates was never refined.
    """
    structure = getattr(calculation, "unrefined_structure", None)
    energy = getattr(calculation, "unrefined_energy_per_atom", None)
    if structure is None or energy is None:
        return None
    return calculation.model_copy(
        update={
            "structure": structure,
            "energy_per_atom": energy,
            "rmsd_to_relaxed": rmsd(calculation.candidate.structure, structure),
            "unrefined_structure": None,
            "unrefined_energy_per_atom": None,
        }
    )


def refinement_seconds(calculation: CalculationDoc) -> float | None:
    """CPU seconds of all attempts to refine a crystal; None if there was none."""
    refinement = getattr(calculation, "refinement", None)
    if refinement is None:
        return None
    return float(sum(attempt.cpu_time or 0.0 for attempt in refinement.attempts))


class GrowingPool(GrowingStructures):
    """`GrowingStructures` that measures what its comparisons cost."""

    def __init__(self, known: KnownStructures) -> None:
        super().__init__(known)
        self.seconds = 0.0
        """CPU seconds of all comparisons so far."""

    def find(self, structure: Structure, reduced: ReducedCrystal | None = None) -> str | None:
        """Name of the first crystal that this one matches, or None."""
        begin = time.process_time()
        try:
            return super().find(structure, reduced)
        finally:
            self.seconds += time.process_time() - begin


def prepare(known: KnownStructures, formulas: Sequence[str], structure: Structure) -> None:
    """Reduce the known crystals of some formulas, as their first comparison would."""
    from pymatgen.core import Composition

    for formula in formulas:
        amounts = Composition(formula).get_el_amt_dict()
        species = [symbol for symbol, amount in amounts.items() for _ in range(int(amount))]
        points = [(i / len(species), 0.0, 0.0) for i in range(len(species))]
        known.find(Structure(structure.lattice, species, points))


def space_group(structure: Structure, precision: float = SYMMETRY_PRECISION) -> int | None:
    """International number within a precision in Å; None where spglib finds none."""
    try:
        return int(SpacegroupAnalyzer(structure, symprec=precision).get_space_group_number())
    except (SymmetryUndeterminedError, ValueError, RuntimeError):
        return None
