"""Refinement of a relaxed crystal: kicks, then symmetrisation at growing tolerances.

A relaxation stops where forces are small, some hundredths of an Å short of the minimum, and a
generated crystal that is nearly symmetric stays nearly symmetric. Here the relaxed crystal is made
symmetric within growing tolerances and relaxed again with the same engine; what is not higher in
energy is kept. A crystal in which no tolerance finds symmetry costs no calculation.
"""

from __future__ import annotations

import hashlib
import logging
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from jobflow import Flow, Job, JobConfig, Maker, OnMissing, Response, job
from pymatgen.core import Structure

from atomate2_vogen.engines.base import CATEGORY, FORCE_FIELD, Engine
from atomate2_vogen.engines.methods import check_method
from atomate2_vogen.errors import InputError, SchemeMismatchError, VogenError, reason, trace
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import NOT_THE_CRYSTALS_FAULT, GuardedMaker
from atomate2_vogen.jobs.links import job_links
from atomate2_vogen.jobs.magnetism import magnetic_state
from atomate2_vogen.jobs.outcomes import compare_with_candidate, require, total
from atomate2_vogen.jobs.placement import ANALYSIS, place, replacement
from atomate2_vogen.schemas import (
    AttemptKind,
    CalculationDoc,
    CalculationState,
    Refinement,
    RefinementAttempt,
)
from atomate2_vogen.structures.geometry import shortest_distance
from atomate2_vogen.structures.symmetry import (
    idealised,
    largest_displacement,
    n_operations,
    space_group,
    symmetrise,
)

logger = logging.getLogger(__name__)

REFINE_STAGE = "refine"
"""Value of ``metadata.stage`` of the jobs that decide; their output is a `CalculationDoc`."""

UNFINISHED = "the refinement left no result; see the log of its job"

CLOSEST = 0.75
"""Smallest shortest distance of a refined crystal, in units of that of the unrefined one."""

SAME_MOVE = 1e-3
"""Å; symmetrisations to one group that move the sites equally far are the same."""


@dataclass
class SymmetricMaker(GuardedMaker):
    """A `GuardedMaker` that makes the symmetry of a relaxed crystal exact first.

    A relaxation keeps symmetry within the noise of forces only, and files are to say it to the
    last decimal.

    Examples
    --------
    >>> from atomate2_vogen.engines import chgnet
    >>> from atomate2_vogen.jobs.refinement import SymmetricMaker
    >>> from pymatgen.core import Lattice, Structure
    >>> nearly = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5001]])
    >>> found = SymmetricMaker(chgnet().static_maker).structure_of(nearly)
    >>> bool(abs(found.get_distance(0, 1) / 2.6 - 3**0.5 / 2) < 1e-9)
    True
    """

    def structure_of(self, source: Any) -> Structure:
        """Structure of the calculation before, averaged over its symmetry operations."""
        return idealised(super().structure_of(source))


@dataclass
class RefineMaker(Maker):
    """Make a relaxed crystal symmetric at growing tolerances, and relax it again each time.

    First the crystal is kicked, if that is asked for: all atoms are displaced at random, and what
    relaxes to a lower energy is kept. Then symmetry is looked for within each tolerance in turn.
    Where there is more than the crystal has, the symmetrised crystal is relaxed; it is kept if the
    relaxation converged and its energy is not above that before by more than `energy_tolerance`,
    and the next tolerance is tried on it. Nothing that fails loses the unrefined crystal.

    Parameters
    ----------
    name
        Name of the job.
    tolerances
        spglib's ``symprec`` in Å, growing. Each costs one relaxation and one static calculation
        at most, and none where it finds no more symmetry than the one before.
    energy_tolerance
        Largest rise of the energy in eV/atom over the lowest so far, the unrefined crystal's
        included. Kicked crystals must be lower by more than this.
    kicks
        Number of random displacements.
    kick_size
        Standard deviation of the displacement of an atom in Å, over its three directions.
    engine
        Engine that relaxes; the default is that of the flow. One of another scheme is refused.

    Raises
    ------
    InputError
        If tolerances, energies or kicks are impossible.

    Examples
    --------
    >>> from atomate2_vogen.flows import ScreeningFlowMaker
    >>> from atomate2_vogen.jobs import RefineMaker
    >>> maker = ScreeningFlowMaker(refine=RefineMaker(kicks=2))
    >>> maker.refine.tolerances
    (0.01, 0.1, 0.2, 0.3, 0.5)
    """

    name: str = "refine"
    tolerances: tuple[float, ...] = (0.01, 0.1, 0.2, 0.3, 0.5)
    energy_tolerance: float = 0.001
    kicks: int = 0
    kick_size: float = 0.25
    engine: Engine | None = None

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        self.tolerances = tuple(self.tolerances)  # JSON knows no tuples
        before = 0.0
        for tolerance in self.tolerances:
            if not (math.isfinite(tolerance) and tolerance > before):
                raise InputError(
                    f"tolerances of {type(self).__name__} are {self.tolerances}; give positive "
                    "numbers in Å, each larger than the one before"
                )
            before = tolerance
        if not (math.isfinite(self.energy_tolerance) and self.energy_tolerance >= 0):
            raise InputError(
                f"energy_tolerance of {type(self).__name__} is {self.energy_tolerance}; give a "
                "number in eV/atom that is not negative"
            )
        if not isinstance(self.kicks, int) or self.kicks < 0:
            raise InputError(f"kicks of {type(self).__name__} is {self.kicks!r}; give 0 or more")
        if not (math.isfinite(self.kick_size) and self.kick_size > 0):
            raise InputError(
                f"kick_size of {type(self).__name__} is {self.kick_size}; give a positive number "
                "in Å"
            )

    def of(self, engine: Engine) -> RefineMaker:
        """The same with the engine of a flow, if it has none of its own.

        Raises
        ------
        SchemeMismatchError
            If it has one of another scheme.
        """
        if self.engine is None:
            return replace(self, engine=engine)
        if self.engine.scheme != engine.scheme:
            raise SchemeMismatchError(
                f"{type(self).__name__} refines in scheme {self.engine.scheme}, the flow is of "
                f"{engine.scheme}; give an engine of the same scheme, or none"
            )
        return self

    def make(self, calculation: Any) -> Job:
        """Job whose output is the calculation of the refined crystal.

        Parameters
        ----------
        calculation
            `CalculationDoc`, or the output of a job that gives one.

        Raises
        ------
        InputError
            If no engine was given.
        """
        if self.engine is None:
            raise InputError(
                f"{type(self).__name__} has no engine; give engine=, as of Engine.from_force_field"
            )
        made: Job = self.run(calculation)
        return self._placed(made)

    def _placed(self, made: Job) -> Job:
        made.name = self.name
        made.config = JobConfig(on_missing_references=OnMissing.NONE, expose_store=True)
        made.update_metadata({"stage": REFINE_STAGE}, dynamic=False)
        place(made, ANALYSIS, inherited=False)
        return made

    # no output_schema: a flow that replaces a job hands on a reference, which jobflow holds
    # against it
    @job
    def run(
        self,
        calculation: CalculationDoc,
        attempt: RefinementAttempt | None = None,
        relaxed: Any = None,
        static: Any = None,
        jobs: dict[str, str] | None = None,
    ) -> Response | CalculationDoc | None:
        """Decide on the last attempt, and replace itself by the next; called by jobflow.

        Parameters
        ----------
        calculation
            With the best crystal so far and all attempts.
        attempt
            What was tried last; None at the beginning.
        relaxed, static
            Task documents of it, or a `JobFailure`, or None where a job left nothing.
        jobs
            Identifiers of the jobs ``relax`` and ``static``.

        Returns
        -------
        Response or CalculationDoc
            The document when nothing is left to try; None for a calculation that never came.
        """
        if calculation is None:
            return None
        if calculation.refinement is not None and calculation.refinement.error == UNFINISHED:
            calculation = _changed(calculation, refinement=None)
        try:
            if attempt is not None:
                calculation = self._decided(calculation, attempt, relaxed, static, jobs or {})
            calculation, following, start = self._next(calculation)
        except NOT_THE_CRYSTALS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001 - the crystal as it was is a result
            logger.info("refinement of %s\n%s", calculation.calculation_id, trace(error))
            done = calculation.refinement or Refinement()
            done = _changed(done, error=f"{type(error).__name__}: {reason(error)}")
            calculation, following, start = _changed(calculation, refinement=done), None, None
        if following is None or start is None:
            # later than the document of the unrefined crystal, which has the same key
            return _changed(calculation, last_updated=datetime.now(UTC))
        return Response(replace=replacement(self._attempt(calculation, following, start)))

    def _attempt(
        self, calculation: CalculationDoc, attempt: RefinementAttempt, start: Structure
    ) -> Flow:
        """Flow that relaxes a changed crystal and decides on it."""
        engine = self._engine
        relax = GuardedMaker(engine.relax_maker).make(start)
        static = SymmetricMaker(engine.static_maker).make(relax.output)
        decided: Job = self._placed(
            self.run(
                calculation,
                attempt,
                relaxed=relax.output,
                static=static.output,
                jobs={"relax": relax.uuid, "static": static.uuid},
            )
        )
        for stage, made in (("relax", relax), ("static", static)):
            made.name = f"{REFINE_STAGE} {stage} {calculation.candidate_id}"
            made.update_metadata({"stage": f"{REFINE_STAGE} {stage}"})
            place(made, engine.manager_config)
        decided.name = f"{REFINE_STAGE} {calculation.candidate_id}"
        flow = Flow([relax, static, decided], output=decided.output, name=decided.name)
        flow.update_metadata(
            {"candidate_id": calculation.candidate_id, "scheme": calculation.scheme}
        )
        return flow

    @property
    def _engine(self) -> Engine:
        if self.engine is None:
            raise InputError(f"{type(self).__name__} has no engine")
        return self.engine

    def _next(
        self, calculation: CalculationDoc
    ) -> tuple[CalculationDoc, RefinementAttempt | None, Structure | None]:
        """What to try next and the crystal to relax, with the document as it is by then."""
        structure = calculation.structure
        done = calculation.refinement
        if calculation.state is not CalculationState.COMPLETED or structure is None:
            error = f"the calculation before it is {calculation.state.value}"
            return _changed(calculation, refinement=Refinement(error=error)), None, None
        if done is None:
            group = space_group(structure)[0]
            done = Refinement(space_group_before=group, space_group_after=group)
            calculation = _changed(calculation, refinement=done)
        kicked = sum(attempt.kind is AttemptKind.KICK for attempt in done.attempts)
        if kicked < self.kicks:
            return calculation, *self._kick(calculation.candidate_id, structure, kicked)
        tried = [one for one in done.attempts if one.kind is AttemptKind.SYMMETRY]
        upto = max((one.tolerance or 0.0 for one in tried), default=0.0)
        for tolerance in self.tolerances:
            if tolerance <= upto:
                continue
            found = symmetrise(structure, None, tolerance)
            again = any(
                one.space_group == found.after
                and not one.accepted
                and abs(one.displacement - found.displacement) < SAME_MOVE
                for one in tried
            )
            if found.changed and not again:
                attempt = RefinementAttempt(
                    kind=AttemptKind.SYMMETRY,
                    tolerance=tolerance,
                    displacement=found.displacement,
                    space_group=found.after,
                )
                return calculation, attempt, found.structure
        return calculation, None, None

    def _kick(
        self, candidate_id: str, structure: Structure, number: int
    ) -> tuple[RefinementAttempt, Structure]:
        digest = hashlib.sha256(f"{candidate_id} kick {number}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        kicked = structure.copy()
        moves = rng.normal(0.0, self.kick_size / math.sqrt(3), (len(kicked), 3))
        for index, move in enumerate(moves):
            kicked.translate_sites([index], move, frac_coords=False)
        attempt = RefinementAttempt(
            kind=AttemptKind.KICK,
            kick=number,
            displacement=largest_displacement(structure, kicked),
            space_group=space_group(kicked)[0],
        )
        return attempt, kicked

    def _decided(
        self,
        calculation: CalculationDoc,
        attempt: RefinementAttempt,
        relaxed: Any,
        static: Any,
        jobs: dict[str, str],
    ) -> CalculationDoc:
        """The document after an attempt, with its crystal if that was accepted."""
        engine = self._engine
        steps = (relaxed, static)
        attempt = _changed(
            attempt,
            wall_time=total([results.elapsed_time(step) for step in steps]),
            cpu_time=total([results.cpu_time(step) for step in steps]),
        )
        calculation = _changed(
            calculation,
            wall_time=total([calculation.wall_time, attempt.wall_time]),
            cpu_time=total([calculation.cpu_time, attempt.cpu_time]),
        )
        found: dict[str, Any] = {}
        try:
            require(relaxed, "relaxation")
            require(static, "static calculation")
            for stage, step in (("relax", relaxed), ("static", static)):
                check_method(step, (engine.methods or {}).get(stage), engine.engine_versions)
            found = {
                "structure": results.relaxed_structure(static),
                "energy_per_atom": results.energy_per_atom(static, engine.energy_corrections),
                "max_force": results.max_force(static),
                "magnetism": magnetic_state(static, first=relaxed),
            }
            attempt = _changed(
                attempt,
                energy_per_atom=found["energy_per_atom"],
                n_steps=results.n_steps(relaxed),
                space_group_relaxed=space_group(found["structure"])[0],
            )
            why_not = self._why_not(calculation, attempt, found["structure"], relaxed)
        except (VogenError, AttributeError) as error:
            why_not = reason(error)
        attempt = _changed(attempt, accepted=why_not is None, reason=why_not)
        done = calculation.refinement or Refinement()
        done = _changed(done, attempts=[*done.attempts, attempt])
        if why_not is not None:
            return _changed(calculation, refinement=done)
        return _refined(calculation, done, attempt, found, jobs)

    def _why_not(
        self,
        calculation: CalculationDoc,
        attempt: RefinementAttempt,
        structure: Structure,
        relaxed: Any,
    ) -> str | None:
        """Why the outcome of an attempt is not kept; None if it is."""
        if not results.is_converged(relaxed):
            return f"not converged after {attempt.n_steps} ionic steps"
        before, energy = calculation.structure, attempt.energy_per_atom
        if before is None or energy is None:
            return "no energy to compare"
        if structure.composition != before.composition:
            return f"it became {structure.composition.formula}"
        if shortest_distance(structure) < CLOSEST * shortest_distance(before):
            return f"two atoms came as close as {shortest_distance(structure):.2f} Å"
        # over the lowest, not the last: several small rises must not add up
        rise = energy - _reference_energy(calculation)
        if rise < -self.energy_tolerance:
            return None
        if attempt.kind is AttemptKind.KICK:
            return "not lower in energy"
        if rise > self.energy_tolerance:
            return f"higher in energy by {1000 * rise:.1f} meV/atom"
        if n_operations(structure) <= n_operations(before):
            return "the relaxation lost the symmetry"
        return None


def refine_maker(
    refine: RefineMaker | Literal["default"] | None, engine: Engine
) -> RefineMaker | None:
    """Maker that refines crystals of an engine; None where they are left as relaxed.

    Parameters
    ----------
    refine
        Field ``refine`` of a flow's Maker. ``default`` refines with force fields, whose jobs are
        of the category ``forcefield``: there it costs seconds.
    engine
        Engine of the flow.

    Raises
    ------
    InputError
        If it is neither.
    SchemeMismatchError
        If the Maker has an engine of another scheme.
    """
    if refine is None:
        return None
    if isinstance(refine, RefineMaker):
        return refine.of(engine)
    if refine != "default":
        raise InputError(
            f"refine is {refine!r}; give a RefineMaker, None for no refinement, or 'default'"
        )
    is_cheap = engine.manager_config.get(CATEGORY) == FORCE_FIELD
    return RefineMaker(engine=engine) if is_cheap else None


def _refined(
    calculation: CalculationDoc,
    done: Refinement,
    attempt: RefinementAttempt,
    found: dict[str, Any],
    jobs: dict[str, str],
) -> CalculationDoc:
    """The document with the crystal of an accepted attempt."""
    links = dict(calculation.jobs)
    for stage, link in job_links(jobs).items():
        if stage in links:
            links.setdefault(f"unrefined {stage}", links[stage])
        links[stage] = link
    first = calculation.unrefined_structure is None
    unrefined = {
        "unrefined_structure": calculation.structure,
        "unrefined_energy_per_atom": calculation.energy_per_atom,
    }
    done = _changed(
        done,
        space_group_after=attempt.space_group_relaxed,
        # a kick may have taken away what earlier tolerances found
        tolerance=attempt.tolerance,
    )
    changes = {**(unrefined if first else {}), **found, "jobs": links, "refinement": done}
    refined: CalculationDoc = _changed(calculation, **changes)
    compare_with_candidate(refined)
    return refined


def _reference_energy(calculation: CalculationDoc) -> float:
    """Lowest energy so far in eV/atom, of the unrefined crystal and of what was accepted."""
    done = calculation.refinement or Refinement()
    energies = [calculation.unrefined_energy_per_atom, calculation.energy_per_atom]
    energies += [one.energy_per_atom for one in done.attempts if one.accepted]
    known = [energy for energy in energies if energy is not None]
    if not known:
        raise InputError(f"calculation {calculation.calculation_id} has no energy")
    return min(known)


def _changed(document: Any, **changes: Any) -> Any:
    return document.model_copy(update=changes)
