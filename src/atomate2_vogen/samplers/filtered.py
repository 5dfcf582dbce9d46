"""Over-generation: of many crystals from any sampler, keep the lowest in energy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.labels import (
    CRYSTALS_PER_CHECKPOINT,
    JUDGE_SCHEME,
    EnergyFunction,
    chgnet_energies,
    single_points,
)
from atomate2_vogen.samplers.base import Sampler, check_counts, check_seed, check_whole
from atomate2_vogen.schemas import CandidateDoc, Rejection, RejectionReason, SampleDoc
from atomate2_vogen.structures.matching import DistinctStructures, KnownStructures


class _OfSystem(Sampler, Protocol):
    """A sampler with a known oxide system."""

    @property
    def system(self) -> OxideSystem: ...


class FilteredSampler:
    """Sampler that draws more crystals than requested and keeps those of lowest energy.

    A single point takes about a hundredth of a relaxation, so crystals that a relaxation would
    hardly save are left out before it. Within one formula the energy per atom orders crystals
    as the energy above hull does, for any number of formula units, so no reference phase
    is needed. Of crystals that match each other the lowest in energy is kept.

    The candidates are those of the wrapped sampler, with its name, model id and candidate ids;
    their details hold the energy model, the energy and the rank. Drawing is deterministic and
    ranking is too, so the same seed gives the same crystals.

    Parameters
    ----------
    sampler
        Any sampler with an attribute `system`.
    judge
        Function that loads the energy model; called once, when energies are first needed.
    oversample
        Crystals drawn per crystal asked for.
    scheme
        Name of the energy model's scale.
    progress
        Callback with formula, number of crystals with an energy, and their total number.

    Raises
    ------
    InputError
        If `oversample` is no positive whole number.

    Examples
    --------
    >>> from atomate2_vogen.samplers import FilteredSampler, SubstitutionSampler
    >>> def volumes(structures):
    ...     # stand-in for an energy model: energies per atom of crystals
    ...     return [structure.volume / len(structure) for structure in structures]
    >>> sampler = FilteredSampler(
    ...     SubstitutionSampler(), lambda: volumes, oversample=2, scheme="volume"
    ... )
    >>> len(sampler.sample({"VO2": 2}, seed=0).candidates)
    2
    """

    def __init__(
        self,
        sampler: _OfSystem | Sampler,
        judge: Callable[[], EnergyFunction] = chgnet_energies,
        oversample: int = 4,
        *,
        scheme: str = JUDGE_SCHEME,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.sampler, self.scheme, self.progress = sampler, scheme, progress
        self.oversample = check_whole("oversample", oversample)
        self._load_judge = judge
        self._judge_cpu = 0.0

    @property
    def name(self) -> str:
        """That of the wrapped sampler."""
        return self.sampler.name

    @property
    def model_id(self) -> str:
        """That of the wrapped sampler."""
        return self.sampler.model_id

    @property
    def system(self) -> OxideSystem:
        """That of the wrapped sampler."""
        system: OxideSystem = self.sampler.system  # type: ignore[union-attr]
        return system

    def sample(
        self,
        counts: Mapping[str, int],
        seed: int = 0,
        *,
        known: KnownStructures | None = None,
    ) -> SampleDoc:
        """Make crystals; see `Sampler`.

        Returns
        -------
        SampleDoc
            Per formula the candidates in the order of their energy, lowest first. Attempts and
            rejections are those of the wrapped sampler, and one more rejection per crystal
            that was drawn and not kept: a duplicate, one whose energy is too high, or one for
            which there is no energy.

        Raises
        ------
        UnknownFormulaError, CountsError, InputError
            As the wrapped sampler.
        MissingDependencyError
            If the energy model is not installed.
        """
        begin, begin_cpu = time.perf_counter(), time.process_time()
        self._judge_cpu = 0.0
        requested = check_counts(counts, self.system)
        drawn = self.sampler.sample(
            {formula: wanted * self.oversample for formula, wanted in requested.items()},
            check_seed(seed),
            known=known,
        )
        candidates: list[CandidateDoc] = []
        rejections: list[Rejection] = []
        for formula, wanted in requested.items():
            of_formula = [c for c in drawn.candidates if c.formula == formula]
            kept, refused = self._best(formula, of_formula, wanted)
            candidates.extend(kept)
            rejections.extend(refused)
        sample = SampleDoc.make(
            sampler=drawn.sampler,
            model_id=drawn.model_id,
            seed=drawn.seed,
            requested=requested,
            attempts=drawn.attempts,
            candidates=candidates,
            rejections=rejections,
            wall_time=time.perf_counter() - begin,
            cpu_time=time.process_time() - begin_cpu,
            judge_cpu_time=self._judge_cpu,
            options=drawn.options | {"judge": self.scheme, "judge_oversample": self.oversample},
        )
        for formula, reasons in drawn.rejected.items():
            table = sample.rejected[formula]
            for reason, count in reasons.items():
                table[reason] = table.get(reason, 0) + count
        return sample

    def _best(
        self, formula: str, drawn: list[CandidateDoc], wanted: int
    ) -> tuple[list[CandidateDoc], list[Rejection]]:
        """The lowest in energy of some candidates, and what became of the others."""
        energies = self._energies(formula, drawn)
        own = DistinctStructures()
        kept: list[CandidateDoc] = []
        refused: list[Rejection] = []

        def refuse(candidate: CandidateDoc, reason: RejectionReason, message: str) -> None:
            refused.append(
                Rejection(formula=formula, index=candidate.index, reason=reason, message=message)
            )

        # not-a-number sorts last
        for at in np.argsort([energy for energy, _ in energies], kind="stable").tolist():
            candidate, (energy, failure) = drawn[at], energies[at]
            if failure:
                refuse(candidate, RejectionReason.NO_ENERGY, failure)
            elif len(kept) == wanted:
                refuse(
                    candidate,
                    RejectionReason.HIGH_ENERGY,
                    f"{energy:.3f} eV/atom by {self.scheme}; {wanted} others are lower",
                )
            elif twin := own.twin_or_add(str(candidate.index), candidate.structure):
                refuse(candidate, RejectionReason.DUPLICATE, f"matches attempt {twin}")
            else:
                details: dict[str, Any] = {
                    "judge": self.scheme,
                    "judged_energy_per_atom": energy,
                    "judged_rank": len(kept) + 1,
                    "judged_of": len(drawn),
                }
                kept.append(candidate.model_copy(update={"details": candidate.details | details}))
        return kept, refused

    def _energies(self, formula: str, drawn: list[CandidateDoc]) -> list[tuple[float, str]]:
        """Energy in eV/atom, or why there is none."""
        begin = time.process_time()
        energies: list[tuple[float, str]] = []
        for start in range(0, len(drawn), CRYSTALS_PER_CHECKPOINT):
            structures = [
                candidate.structure for candidate in drawn[start : start + CRYSTALS_PER_CHECKPOINT]
            ]
            energies += single_points(structures, self._judge, self.system)
            if self.progress:
                self.progress(formula, len(energies), len(drawn))
        self._judge_cpu += time.process_time() - begin
        return energies

    @cached_property
    def _judge(self) -> EnergyFunction:
        return self._load_judge()
