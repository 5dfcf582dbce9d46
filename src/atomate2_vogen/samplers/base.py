"""The one call that every sampler answers, and the checks that they share."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from atomate2_vogen.errors import CountsError, InputError
from atomate2_vogen.schemas import CandidateDoc, Rejection, RejectionReason, SampleDoc
from atomate2_vogen.structures.cif import as_in_cif
from atomate2_vogen.structures.matching import KnownStructures

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from atomate2_vogen.chemistry import OxideSystem


@runtime_checkable
class Sampler(Protocol):
    """Anything that makes crystals of a requested composition.

    Examples
    --------
    >>> from atomate2_vogen.samplers import Sampler, SubstitutionSampler
    >>> sampler: Sampler = SubstitutionSampler()
    >>> sampler.sample({"V2O3": 1}, seed=1).requested
    {'V2O3': 1}
    """

    @property
    def name(self) -> str:
        """``wgan``, ``substitution``, ``random``, ``evolution`` or one's own."""
        ...

    @property
    def model_id(self) -> str:
        """Identifies the model, or the pool that is drawn from."""
        ...

    def sample(
        self,
        counts: Mapping[str, int],
        seed: int = 0,
        *,
        known: KnownStructures | None = None,
    ) -> SampleDoc:
        """Make crystals.

        Parameters
        ----------
        counts
            Number of crystals wanted per formula, e.g. ``{"TiO2": 8}``.
        seed
            The same seed gives the same crystals.
        known
            Crystals that match one of these are refused, e.g. `jobs.known.known_structures`.
            What is new as generated may still relax into a known one.

        Returns
        -------
        SampleDoc
            Candidates of exactly the requested compositions; all other crystals are
            counted as rejected with their reasons.
        """
        ...


class RefusedError(Exception):
    """An attempt that does not become a candidate; raised and caught inside samplers.

    Examples
    --------
    >>> from atomate2_vogen.samplers import RefusedError
    >>> from atomate2_vogen.schemas import RejectionReason
    >>> error = RefusedError(RejectionReason.ATOMS_TOO_CLOSE, "V and O are 0.80 Å apart")
    >>> error.reason.value
    'atoms too close'
    """

    def __init__(self, reason: RejectionReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


Attempt = tuple["Structure", dict[str, Any]] | RefusedError
"""Result of an attempt: a crystal and its details, or the reason why there is none."""


def collect_sample(
    sampler: Sampler,
    system: OxideSystem,
    counts: Mapping[str, int],
    seed: int,
    outcomes: Callable[[str, int, int], Iterable[Attempt]],
    *,
    options: Mapping[str, Any] | None = None,
    known: KnownStructures | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    depends_on_count: bool = False,
) -> SampleDoc:
    """Turn attempts into a sample: the loop and the documents that all samplers share.

    Candidates are rounded as in a CIF (`as_in_cif`), so that what is computed on them can be
    computed again from the file.

    Parameters
    ----------
    sampler
        Sampler, for its name and model id.
    system
        Oxide system.
    counts, seed
        As `Sampler.sample`.
    outcomes
        Called with a reduced formula, the number wanted and the seed; yields the result of each
        attempt, one after the other, and ends when the sampler gives up.
    options
        Options that change the crystal of a seed and attempt; they become
        part of a candidate's id and are kept in the document.
    known
        As `Sampler.sample`; the document's options then hold ``novel_only`` and the margin.
    progress
        Called with formula, candidates so far, candidates wanted.
    depends_on_count
        Whether the attempts of a seed depend on the number wanted, which then becomes part of
        a candidate's id: the first of 2 and the first of 8 are different crystals.

    Raises
    ------
    UnknownFormulaError, CountsError
        As `check_counts`.
    InputError
        As `check_seed`.
    """
    begin, begin_cpu = time.perf_counter(), time.process_time()
    requested = check_counts(counts, system)
    seed = check_seed(seed)
    model_id = sampler.model_id
    attempts = dict.fromkeys(requested, 0)
    candidates: list[CandidateDoc] = []
    rejections: list[Rejection] = []
    for formula, wanted in requested.items():
        found = 0
        of_id = dict(options or {}) | ({"wanted": wanted} if depends_on_count else {})
        made = outcomes(formula, wanted, seed)
        for index, outcome in enumerate(made if known is None else _new(known, made)):
            attempts[formula] += 1
            if isinstance(outcome, RefusedError):
                rejections.append(
                    Rejection(
                        formula=formula, index=index, reason=outcome.reason, message=str(outcome)
                    )
                )
                continue
            structure, details = outcome
            candidates.append(
                CandidateDoc.make(
                    as_in_cif(structure),
                    sampler=sampler.name,
                    model_id=model_id,
                    formula=formula,
                    seed=seed,
                    index=index,
                    details=details,
                    options=of_id,
                )
            )
            found += 1
            if progress:
                progress(formula, found, wanted)
            if found == wanted:
                break
    return SampleDoc.make(
        sampler=sampler.name,
        model_id=model_id,
        seed=seed,
        requested=requested,
        attempts=attempts,
        candidates=candidates,
        rejections=rejections,
        wall_time=time.perf_counter() - begin,
        cpu_time=time.process_time() - begin_cpu,
        options=dict(options or {}) | _novelty(known),
    )


def _new(known: KnownStructures, outcomes: Iterable[Attempt]) -> Iterator[Attempt]:
    """Refuse known crystals."""
    for outcome in outcomes:
        if not isinstance(outcome, RefusedError) and (twin := known.find(outcome[0])):
            yield RefusedError(RejectionReason.KNOWN, f"matches {twin}")
        else:
            yield outcome


def _novelty(known: KnownStructures | None) -> dict[str, Any]:
    """Options of a sample that concern the rejection of known crystals."""
    if known is None:
        return {}
    return {"novel_only": True} | ({"novelty_margin": known.margin} if known.margin > 1 else {})


def changed_options(sampler: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a sampler that are not at their defaults, by name."""
    return {
        name: getattr(sampler, name)
        for name, default in defaults.items()
        if getattr(sampler, name) != default
    }


def check_whole(name: str, value: Any, least: int = 1) -> int:
    """An option that must be a whole number.

    Raises
    ------
    InputError
        If it is not, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        kind = "0 or a positive whole number" if least == 0 else "a positive whole number"
        raise InputError(f"{name} is {value!r}; give {kind}")
    return int(value)


def check_number(name: str, value: Any, most: float = math.inf, *, zero: bool = False) -> float:
    """An option that must be a finite positive number.

    Parameters
    ----------
    name, value
        The option.
    most
        Largest value that is let through.
    zero
        Whether 0 is let through as well.

    Raises
    ------
    InputError
        If it is none, or out of range.
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value > most or value < 0 or (value == 0 and not zero):
        kind = "0 or a positive number" if zero else "a positive number"
        limit = f" up to {most:g}" if math.isfinite(most) else ""
        raise InputError(f"{name} is {value!r}; give {kind}{limit}")
    return float(value)


def check_counts(counts: Mapping[str, int], system: OxideSystem) -> dict[str, int]:
    """Counts with reduced formulas as keys.

    Raises
    ------
    UnknownFormulaError
        If a formula is not a compound of the system.
    CountsError
        If nothing is asked for, a count is not a positive whole number, a formula is given
        twice, or one formula unit exceeds the largest cell.
    """
    if not counts:
        raise CountsError(f"no formula given; ask for example for {system.target_formulas[0]}")
    checked: dict[str, int] = {}
    for formula, count in counts.items():
        reduced = system.reduced_formula(formula)
        if isinstance(count, bool) or not isinstance(count, Integral) or count <= 0:
            raise CountsError(f"count for {formula} is {count!r}; give a positive whole number")
        if reduced in checked:
            raise CountsError(f"{formula} is given twice (as {reduced})")
        if system.max_formula_units(reduced) == 0:
            raise CountsError(f"{reduced} has more than {system.max_atoms} atoms per formula unit")
        checked[reduced] = int(count)
    return checked


def check_seed(seed: int) -> int:
    """Seed as a plain integer.

    Raises
    ------
    InputError
        If it is not a whole number or negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise InputError(f"seed is {seed!r}; give a whole number that is not negative")
    return int(seed)


def seed_of_round(seed: int, number: int) -> int:
    """Seed of one of several rounds of sampling.

    Examples
    --------
    >>> from atomate2_vogen.samplers.base import seed_of_round
    >>> seed_of_round(1, 1) == seed_of_round(1, 1), seed_of_round(1, 1) == seed_of_round(1, 2)
    (True, False)
    """
    digest = hashlib.sha256(f"{seed}|{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def formula_rng(seed: int, formula: str, *path: int) -> np.random.Generator:
    """Random stream of one formula, independent of what else is asked for in the same call.

    Parameters
    ----------
    seed
        Not negative.
    formula
        Reduced formula.
    path
        Further numbers, e.g. the attempt, each combination with a separate stream.

    Raises
    ------
    InputError
        As `check_seed`.
    """
    words = np.frombuffer(hashlib.sha256(formula.encode()).digest()[:16], dtype="<u4")
    return np.random.default_rng(
        np.random.SeedSequence(check_seed(seed), spawn_key=(*words.tolist(), *path))
    )
