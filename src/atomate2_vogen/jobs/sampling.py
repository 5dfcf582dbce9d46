"""Job that runs a sampler and returns its candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobflow import Maker, job

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.artefact import read_artefact
from atomate2_vogen.data.labels import JUDGE_SCHEME, EnergyFunction, chgnet_energies
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs.known import known_structures
from atomate2_vogen.jobs.rounds import EarlierLearnt, EarlierRounds, with_finds
from atomate2_vogen.samplers import SAMPLERS, load_sampler
from atomate2_vogen.samplers.base import check_counts, check_whole
from atomate2_vogen.samplers.loading import DEFAULT
from atomate2_vogen.schemas import Artefact, RelaxedDraws, SampleDoc, StabilityDoc, TrainingDoc
from atomate2_vogen.schemas.crystals import Crystal
from atomate2_vogen.structures.matching import KnownStructures

NEEDS_NOVEL_ONLY = (
    "finds of earlier rounds are refused together with known crystals; make the SampleMaker with "
    "novel_only=True"
)
NO_PARENTS = "parents: only for the sampler evolution; leave them out"
NO_POTENTIAL = "potential: only for the sampler search; leave it out"


@dataclass
class SampleMaker(Maker):
    """Run a sampler in a job.

    Parameters
    ----------
    name
        Name of the job.
    sampler
        ``search``, ``evolution``, ``wgan``, ``substitution`` or ``random``.
    options
        Further arguments of the sampler's constructor.
    system
        The two elements.
    preset
        Which shipped model ``wgan`` uses where `make` is given no training.
    judge_oversample
        Crystals drawn per crystal asked for; the lowest in energy by the judge's single points
        are kept (`FilteredSampler`). 1 keeps all and asks no judge.
    novel_only
        Whether crystals of the novelty pool (`jobs.known`) are left out as generated.
    novelty_margin
        With `novel_only`: factor on the tolerances of the comparison, from 1 to 3. Crystals that
        resemble a known one mostly relax into it; 2 leaves out most of them.
    judge
        Loads the function that gives the energies; any importable function.
    scheme
        Name of the judge's energy scale.

    Raises
    ------
    InputError
        If there is no such sampler, or a number is out of range.

    Examples
    --------
    >>> from atomate2_vogen.jobs import SampleMaker
    >>> SampleMaker(sampler="substitution").make({"VO2": 4}, seed=1).name
    'sample'
    """

    name: str = "sample"
    sampler: str = DEFAULT
    options: dict[str, Any] = field(default_factory=dict)
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    preset: str = "paper"
    judge_oversample: int = 1
    novel_only: bool = False
    novelty_margin: float = 1.0
    judge: Callable[[], EnergyFunction] = chgnet_energies
    scheme: str = JUDGE_SCHEME

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        if self.sampler not in SAMPLERS:
            raise InputError(f"unknown sampler {self.sampler!r}; take one of {', '.join(SAMPLERS)}")
        check_whole("judge_oversample", self.judge_oversample)
        KnownStructures({}, self.novelty_margin)

    @job(data=[["output", "candidates"]], output_schema=SampleDoc)
    def make(
        self,
        counts: dict[str, int],
        seed: int = 0,
        training: TrainingDoc | Artefact | EarlierLearnt | None = None,
        parents: Sequence[Crystal] | EarlierLearnt | None = None,
        *,
        finds: EarlierRounds | Sequence[StabilityDoc] | None = None,
        potential: Artefact | EarlierLearnt | None = None,
        relaxed: Sequence[RelaxedDraws] = (),
    ) -> SampleDoc:
        """Job whose output is a `SampleDoc`, its candidates in the ``data`` store.

        Parameters
        ----------
        counts
            Crystals wanted per formula.
        seed
            The same seed gives the same crystals.
        training
            Trained networks, as `TrainWGANMaker` gives them, or their file; for ``wgan`` only.
            Without, those that are shipped are taken.
        parents
            Crystals that others are made of, or a reference to them, as of `EvolutionSampler`; for
            ``evolution`` only. Without, those of the substitution pool are taken.
        finds
            Crystals of earlier rounds, which are refused as known crystals are, and with the same
            margin, in the forms before and after refinement. Only with `novel_only`.
        potential
            File of a learned potential, for ``search`` only. Without, the one that is shipped is
            taken.
        relaxed
            Draws that other jobs have relaxed (`relax_draws`), for ``search`` only.

        Networks, parents and potential may be those that an earlier round of a loop had learnt.

        Raises
        ------
        InputError
            If the model is of another system, an option is unknown, or an argument is given that
            the sampler does not take; also as the sampler's `sample`.
        MissingModelError
            If the sampler needs networks or a potential, is given none and none are shipped.
        ArtefactError
            If the model's file is damaged.
        """
        given: dict[str, Any] = {}
        if parents is not None:
            if not SAMPLERS[self.sampler].has_parents:
                raise InputError(NO_PARENTS)
            given["parents"] = parents.read() if isinstance(parents, EarlierLearnt) else parents
        if potential is not None or relaxed:
            if not SAMPLERS[self.sampler].has_potential:
                raise InputError(NO_POTENTIAL)
            given |= {"relaxed": relaxed}
        if potential is not None:
            given["potential"] = _read_potential(potential)
        known = self._known(list(check_counts(counts, self.system)), finds)
        sampler = load_sampler(
            self.sampler,
            system=self.system,
            model=None if training is None else _read_model(training),
            preset=self.preset,
            judge_oversample=self.judge_oversample,
            judge=self.judge,
            scheme=self.scheme,
            **self.options | given,
        )
        sample = sampler.sample(counts, seed, known=known)
        sample.wall_time += sum(part.wall_time for part in relaxed)
        if sample.cpu_time is not None:
            sample.cpu_time += sum(part.cpu_time for part in relaxed)
        return sample

    def n_parts(self, wanted: int) -> int:
        """Number of jobs that can relax the draws of one formula side by side; 1: not divided.

        Parameters
        ----------
        wanted
            Crystals of the formula.
        """
        if not SAMPLERS[self.sampler].has_potential:
            return 1
        from atomate2_vogen.samplers.search import SEARCH_DEFAULTS, n_parts

        draws = check_whole("draws", self.options.get("draws", SEARCH_DEFAULTS["draws"]))
        return n_parts(draws * wanted * self.judge_oversample)

    @job(data=["lattices", "coords", "species"], output_schema=RelaxedDraws)
    def relax_draws(
        self,
        formula: str,
        wanted: int,
        seed: int,
        part: int,
        parts: int,
        *,
        potential: Artefact | EarlierLearnt | None = None,
    ) -> RelaxedDraws:
        """Job that relaxes a part of the draws of one formula, for ``search``.

        Parameters
        ----------
        formula, wanted, seed, potential
            As of `make`.
        part, parts
            Number of the part, from 0, and of parts in all (`n_parts`).
        """
        from atomate2_vogen.samplers.search import SearchSampler

        given = {} if potential is None else {"potential": _read_potential(potential)}
        sampler = SearchSampler(system=self.system, **self.options | given)
        return sampler.relax_part(formula, wanted * self.judge_oversample, seed, part, parts)

    def _known(
        self, formulas: list[str], finds: EarlierRounds | Sequence[StabilityDoc] | None
    ) -> KnownStructures | None:
        """Crystals that are refused as generated."""
        if not self.novel_only:
            if finds is not None:
                raise InputError(NEEDS_NOVEL_ONLY)
            return None
        known = known_structures(self.system, formulas=formulas, margin=self.novelty_margin)
        if finds is None:
            return known
        return with_finds(known, finds.finds() if isinstance(finds, EarlierRounds) else finds)


def _read_potential(given: Artefact | EarlierLearnt) -> Any:
    from atomate2_vogen.potential import Potential

    artefact = given.read() if isinstance(given, EarlierLearnt) else given
    return Potential.from_bytes(read_artefact(artefact), artefact.filename)


def _read_model(given: TrainingDoc | Artefact | EarlierLearnt) -> Any:
    from atomate2_vogen.models.trained_model import TrainedModel

    training = given.read() if isinstance(given, EarlierLearnt) else given
    artefact = training.artefact if isinstance(training, TrainingDoc) else training
    return TrainedModel.from_bytes(read_artefact(artefact), artefact.filename)
