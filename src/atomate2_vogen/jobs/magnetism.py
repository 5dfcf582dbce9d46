"""Several magnetic starts of one crystal: one static calculation each, the lowest goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobflow import Flow, Job, Maker, job
from pydantic import BaseModel, Field
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines.methods import Method, check_method
from atomate2_vogen.errors import InputError, VogenError, reason
from atomate2_vogen.jobs import results
from atomate2_vogen.jobs.guard import JobFailure
from atomate2_vogen.jobs.tolerance import UNRESOLVED, read_outputs
from atomate2_vogen.schemas import MagneticStart, MagneticState
from atomate2_vogen.structures.magnetic_patterns import antiferromagnetic_signs, is_same_pattern
from atomate2_vogen.structures.magnetism import (
    MOMENT_NOISE,
    given_moments,
    magnetic_order,
    with_moments,
)

GIVEN, FM, AFM = "given", "FM", "AFM"

STARTS = (GIVEN, FM, AFM)
"""Patterns that a crystal can start from: the moments that its structure carries; all moments
parallel; close pairs of metal atoms antiparallel (`antiferromagnetic_signs`)."""


def magnetic_state(calculation: Any, first: Any = None) -> MagneticState | None:
    """Moments before and after a calculation; None of engines without moments.

    Parameters
    ----------
    calculation
        Task document, whose final moments are recorded.
    first
        Task document of the first calculation of a chain, whose initial moments are recorded; by
        default the same one.
    """
    initial = results.initial_moments(calculation if first is None else first)
    final = results.site_moments(calculation)
    if initial is None and final is None:
        return None
    structure = results.relaxed_structure(calculation)
    return MagneticState(
        initial_moments=initial,
        initial_order=magnetic_order(structure, initial),
        moments=final,
        order=magnetic_order(structure, final),
        total_moment=results.total_moment(calculation),
    )


def magnetic_starts(
    structure: Structure, starts: Sequence[str], system: OxideSystem
) -> dict[str, Structure]:
    """The crystal with the moments of each start; patterns that a symmetry relates come once.

    Parameters
    ----------
    structure
        Crystal, perhaps with moments.
    starts
        Of `STARTS`, the first of equal ones is kept.
    system
        Metal and initial moments.

    Returns
    -------
    dict
        Structures by name of the start, in the order of `starts`. ``given`` is left out where the
        structure carries no moment above `MOMENT_NOISE`, ``AFM`` where the cell has fewer than two
        metal atoms or the metal has no initial moment. Never empty: then ``FM`` is left.

    Raises
    ------
    InputError
        If a name is none of `STARTS`, or there is none.
    MagneticMomentError
        If the moments of the structure are incomplete, not finite or not collinear.
    """
    check_starts(starts)
    table = system.initial_moments
    parallel = [float(table.get(site.specie.symbol, 0.0)) for site in structure]
    signs = antiferromagnetic_signs(structure, system.metal)
    size = float(table.get(system.metal, 0.0))
    patterns = {
        GIVEN: given_moments(structure),
        FM: parallel,
        AFM: [size * sign for sign in signs] if signs and size >= MOMENT_NOISE else None,
    }
    metals = [i for i, site in enumerate(structure) if site.specie.symbol == system.metal]

    def of_metals(moments: Sequence[float]) -> list[float]:
        # a polarised anion makes no other pattern
        return [moments[i] if i in metals else 0.0 for i in range(len(structure))]

    found: dict[str, list[float]] = {}
    for name in starts:
        moments = patterns[name]
        if moments is None or (name == GIVEN and max(map(abs, moments)) < MOMENT_NOISE):
            continue
        if not any(
            is_same_pattern(structure, of_metals(moments), of_metals(other))
            for other in found.values()
        ):
            found[name] = moments
    # an engine's own start is parallel: its moments by element, no property of the sites
    return {
        name: with_moments(structure, None if name == FM else moments)
        for name, moments in (found or {FM: parallel}).items()
    }


def check_starts(starts: Sequence[str]) -> None:
    """Refuse starts that do not exist.

    Raises
    ------
    InputError
        If a name is none of `STARTS`, or there is none.
    """
    wrong = [name for name in starts if name not in STARTS]
    if isinstance(starts, str) or wrong or not starts:
        raise InputError(
            f"magnetic starts {starts!r}: give at least one of {', '.join(STARTS)} in a tuple"
        )


def missing_antiferromagnet(
    structure: Structure, starts: Sequence[str], system: OxideSystem
) -> str | None:
    """Why there is no antiferromagnetic start although one was asked for; None if there is."""
    if AFM not in starts:
        return None
    n_metals = sum(site.specie.symbol == system.metal for site in structure)
    if n_metals == 1:
        return (
            f"the cell has one {system.metal} atom, whose images are all parallel: an "
            "antiferromagnetic order needs a larger cell and was not calculated"
        )
    if n_metals > 1 and float(system.initial_moments.get(system.metal, 0.0)) < MOMENT_NOISE:
        return f"no antiferromagnetic start: {system.metal} has no initial moment in the system"
    return None


class ChosenOutput(BaseModel):
    """Results of the calculation that was chosen."""

    energy: float = Field(description="eV")
    total_moment: float | None = Field(None, description="μB of the cell")
    site_moments: list[float] | None = Field(None, description="μB by site")


class ChosenStart(BaseModel):
    """The static calculation of lowest energy, with the parts of its task document that are used.

    Bands go on from ``dir_name``.
    """

    structure: Structure = Field(description="with final moments")
    dir_name: str | None = Field(None, description="folder of the chosen calculation")
    state: str = "successful"
    output: ChosenOutput
    magnetism: MagneticState | None = None
    name: str = Field(description="name of the chosen start")
    starts: list[MagneticStart] = Field(description="all of them, the failed ones included")


@dataclass
class MagneticStartsMaker(Maker):
    """Static calculations of one crystal from several patterns of moments; the lowest is kept.

    It takes the place of the static Maker of a band structure Maker.

    Parameters
    ----------
    name
        Name of the flow.
    static_maker
        Static Maker of an engine, whose calculation leaves the density for bands.
    starts
        Names of patterns, of `STARTS`; those that a symmetry of the crystal relates to an earlier
        one are left out.
    system
        Oxide system: metal and initial moments.
    method, engine_versions
        What the static calculations must be computed by (`Engine.method`), as far as it is stated,
        and the versions; a start of another method counts as failed. Where no versions are given,
        nothing is compared.

    Examples
    --------
    >>> from atomate2_vogen.engines import GpawStaticMaker
    >>> from atomate2_vogen.jobs.magnetism import MagneticStartsMaker
    >>> from pymatgen.core import Lattice, Structure
    >>> crystal = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> flow = MagneticStartsMaker(static_maker=GpawStaticMaker()).make(crystal)
    >>> [job.name for job in flow.jobs]
    ['GPAW static FM', 'choose_start']
    """

    name: str = "magnetic starts"
    static_maker: Maker = field(kw_only=True)
    starts: tuple[str, ...] = STARTS
    system: OxideSystem = VANADIUM
    method: Method | None = None
    engine_versions: dict[str, str] | None = None

    @property
    def keep_density(self) -> bool:
        """Whether the static calculations leave their density."""
        return bool(getattr(self.static_maker, "keep_density", True))

    def make(self, structure: Structure, prev_dir: Any = None) -> Flow:
        """Flow whose output is a `ChosenStart`.

        Parameters
        ----------
        structure
            Crystal, perhaps with moments.
        prev_dir
            Handed to the static calculations.

        Raises
        ------
        InputError, MagneticMomentError
            As `magnetic_starts`.
        """
        jobs: list[Job | Flow] = []
        outputs: dict[str, Any] = {}
        maker: Any = self.static_maker
        for name, started in magnetic_starts(structure, self.starts, self.system).items():
            static = maker.make(started, prev_dir=prev_dir)
            static.append_name(f" {name}")
            jobs.append(static)
            outputs[name] = static.output
        lowest: Job = choose_start(outputs, self.method, self.engine_versions)
        lowest.config = UNRESOLVED
        return Flow([*jobs, lowest], output=lowest.output, name=self.name)


@job
def choose_start(
    outputs: dict[str, Any],
    method: Method | None = None,
    engine_versions: dict[str, str] | None = None,
) -> ChosenStart | JobFailure:
    """The converged static calculation of lowest energy per atom; to be configured `UNRESOLVED`.

    Parameters
    ----------
    outputs
        Task documents by name of the start.
    method, engine_versions
        As of `MagneticStartsMaker`.

    Returns
    -------
    ChosenStart or JobFailure
        The latter where all have failed or did not converge.
    """
    starts, done = [], {}
    for name, calculation in read_outputs(outputs).items():
        start = MagneticStart(name=name)
        try:
            if isinstance(calculation, JobFailure):
                raise InputError(calculation.error)
            if engine_versions is not None:
                check_method(calculation, method, engine_versions)
            state = magnetic_state(calculation) or MagneticState()
            start = MagneticStart(
                name=name, cpu_time=results.cpu_time(calculation), **state.model_dump()
            )
            energy = results.energy_per_atom(calculation)
            if not results.is_converged(calculation):
                raise InputError("the static calculation did not converge")
        except (VogenError, AttributeError, KeyError, TypeError, ValueError) as error:
            start.error = reason(error)
        else:
            start.energy_per_atom = energy
            done[name] = (energy, calculation)
        starts.append(start)
    if not done:
        return JobFailure(error="; ".join(f"start {start.name}: {start.error}" for start in starts))
    # of equal energies the first start
    name = min(done, key=lambda name: round(done[name][0], 6))
    calculation = done[name][1]
    return ChosenStart(
        structure=results.relaxed_structure(calculation),
        dir_name=getattr(calculation, "dir_name", None),
        output=ChosenOutput(
            energy=float(calculation.output.energy),
            total_moment=results.total_moment(calculation),
            site_moments=results.site_moments(calculation),
        ),
        magnetism=magnetic_state(calculation),
        name=name,
        starts=starts,
    )
