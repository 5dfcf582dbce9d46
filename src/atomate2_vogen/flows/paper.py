"""The paper's tables and figures as one flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import Any, cast

from jobflow import Flow, Job, Maker, OutputReference

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine
from atomate2_vogen.engines.chgnet_engine import chgnet
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.flows.confirmation import ConfirmFlowMaker
from atomate2_vogen.flows.discovery import DiscoveryFlowMaker
from atomate2_vogen.flows.electronic import ElectronicFlowMaker, check_bands
from atomate2_vogen.flows.phonons import PhononFlowMaker
from atomate2_vogen.flows.sampling import SamplingFlowMaker
from atomate2_vogen.jobs.gan import GENERATOR_LOSSES, TrainGanMaker
from atomate2_vogen.jobs.paper import fill_tables, phonons_of_best, select_new
from atomate2_vogen.jobs.placement import ANALYSIS, TRAINING, place
from atomate2_vogen.jobs.sampling import SampleMaker
from atomate2_vogen.jobs.screening import TOLERANT
from atomate2_vogen.samplers.base import check_counts, check_seed
from atomate2_vogen.samplers.loading import PAPER_SAMPLERS, SAMPLERS
from atomate2_vogen.schemas import ReferenceDoc
from atomate2_vogen.stability.judging import NEAR_HULL_LIMIT
from atomate2_vogen.stability.published import Published


def share_of_request(share: float) -> dict[str, int]:
    """Crystals by formula: a share of the paper's 184 VO2, 152 V2O3 and 115 V2O5, rounded up.

    Parameters
    ----------
    share
        Above 0, up to 1.

    Raises
    ------
    InputError
        If the share is out of range.

    Examples
    --------
    >>> from atomate2_vogen.flows.paper import share_of_request
    >>> share_of_request(0.02)
    {'VO2': 4, 'V2O3': 4, 'V2O5': 3}
    """
    if not (isfinite(share) and 0 < share <= 1):
        raise InputError(f"the share of the paper's crystals is {share}; give above 0, up to 1")
    return {f: ceil(round(share * n, 9)) for f, n in Published.values().request.items()}


def paper_sampler(name: str, system: OxideSystem = VANADIUM) -> SampleMaker:
    """Maker of a sampler's crystals as the paper's request asks for them.

    What resembles a known crystal is refused before it is relaxed, except from substitution, which
    makes known crystals only.

    Raises
    ------
    InputError
        If the name is unknown.
    """
    if name not in SAMPLERS:
        raise InputError(f"sampler {name!r} is none of {', '.join(SAMPLERS)}")
    if name == "substitution":
        return SampleMaker(sampler=name, system=system)
    margin = SAMPLERS[name].margin
    return SampleMaker(sampler=name, system=system, novel_only=True, novelty_margin=margin)


@dataclass
class PaperFlowMaker(Maker):
    """Make the tables of Ebrahimzadeh, Sharif and Banad anew, and what their figures are drawn from.

    Crystals are generated as often as in the paper, relaxed and placed on the hull; the lowest new
    ones of the paper's generator, a WGAN, go on to phonons, bands and other energy models. The
    other samplers are baselines. `report.draw_paper` draws the figures.

    Parameters
    ----------
    name
        Name of the flow.
    samplers
        Names of samplers, or Makers of samples by name, each once. The first one is the generator
        whose lowest new crystals are characterised.
    engine
        Engine that judges; the default is CHGNet.
    system
        Oxide system.
    references
        As of `DiscoveryFlowMaker`.
    relax
        Whether crystals are relaxed and judged; False only generates them.
    generator_steps
        Training steps of GAN and WGAN for Fig. 5, 5,000 in the paper; None leaves them out.
    confirm
        Flow that asks other energy models about the lowest new crystals of every sampler, of which
        `engine` is the first; None leaves it out.
    phonons
        Flow of the phonons of the generator's lowest new crystals; None leaves it out. The best of
        each formula gets the paper's supercells where they are no larger than its ``max_atoms``.
    electronic
        Flow of their bands and densities of states, with an engine that has electrons; None leaves
        it out.
    top
        Most crystals per formula that go on to phonons and bands.
    confirm_top
        Most crystals per formula and sampler that other models are asked about.
    threshold
        Largest energy above hull of all of these in eV/atom.
    max_atoms
        Largest cell of crystals that go on to phonons and bands: DFT of larger ones takes hours.
    preset
        Of the shipped networks.

    Raises
    ------
    InputError
        If a sampler is unknown or given twice, or none is given.
    SchemeMismatchError
        If the first engine of `confirm` is of another scheme than `engine`.

    Examples
    --------
    >>> from atomate2_vogen import PaperFlowMaker
    >>> maker = PaperFlowMaker(samplers=("wgan", "random"), generator_steps=None)
    >>> [step.name for step in maker.make({"VO2": 2}, seed=1).jobs]
    ['discovery', 'discovery', 'fill_tables']
    """

    name: str = "paper"
    samplers: Sequence[str] | Mapping[str, Maker] = PAPER_SAMPLERS
    engine: Engine = field(default_factory=chgnet)
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    references: list[ReferenceDoc] | Maker | None = None
    relax: bool = True
    generator_steps: int | None = field(default_factory=lambda: Published.values().generator_steps)
    confirm: ConfirmFlowMaker | None = None
    phonons: PhononFlowMaker | None = None
    electronic: ElectronicFlowMaker | None = None
    top: int = 1
    confirm_top: int = 3
    threshold: float = NEAR_HULL_LIMIT
    max_atoms: int = 14
    preset: str = "paper"

    def __post_init__(self) -> None:
        """Refuse samplers and engines that do not fit."""
        check_engine(self.engine, self)
        if not self.samplers:
            raise InputError("samplers: give at least one, for example ('wgan',)")
        if not isinstance(self.samplers, Mapping):
            names = [self.samplers] if isinstance(self.samplers, str) else list(self.samplers)
            if len(set(names)) < len(names):
                raise InputError(f"samplers: {', '.join(names)} names one twice")
            self.samplers = {name: paper_sampler(name, self.system) for name in names}
        if self.confirm is not None and self.confirm.engine.scheme != self.engine.scheme:
            raise SchemeMismatchError(
                f"the first engine of confirm is of {self.confirm.engine.scheme}, the judge of "
                f"{self.engine.scheme}; give the same"
            )
        stages = {
            "confirm": self.confirm,
            "phonons": self.phonons,
            "electronic": self.electronic,
        }
        if not self.relax and (given := [name for name, maker in stages.items() if maker]):
            raise InputError(f"{' and '.join(given)} need relaxed crystals; give relax=True")

    def make(self, counts: Mapping[str, int] | None = None, seed: int = 1) -> Flow:
        """Flow whose output is a `PaperDoc`.

        Parameters
        ----------
        counts
            Crystals asked for of each sampler, by formula; by default those of the paper.
            `share_of_request` gives a share of them.
        seed
            Random seed of all samplers and of GAN and WGAN.

        Raises
        ------
        UnknownFormulaError, CountsError, InputError
            If the counts or the seed cannot be asked for.
        MissingModelError, MissingReferenceError, SchemeMismatchError, ElementError
            As of `DiscoveryFlowMaker`.
        EngineCapabilityError, SupercellError
            If an engine cannot do the stage that it is given for.
        """
        seed = check_seed(seed)
        wanted = Published.values().request if counts is None else counts
        wanted = check_counts(wanted, self.system)
        if self.electronic is not None:
            check_bands(self.electronic.engine)
        if self.phonons is not None:
            self.phonons.check()
        gans = self._generators(seed)
        sources: dict[str, str] = {}
        for made in gans:
            sources[made.name] = made.uuid
        flows = [self._discovery(sampler, wanted, seed) for sampler in self._samplers().values()]
        discoveries: dict[str, Any] = {}
        later: list[Job | Flow] = []
        found: dict[str, Any] = {}
        if self.relax:
            discoveries = {
                name: flow.output for name, flow in zip(self.samplers, flows, strict=True)
            }
            sources |= {f"discovery {name}": ref.uuid for name, ref in discoveries.items()}
            later, found = self._characterisation(discoveries)
            names = {"opinions": "confirm", "phonons": "phonons", "electronic": "electronic"}
            sources |= {names[key]: reference.uuid for key, reference in found.items()}
        tables: Job = fill_tables(
            wanted,
            seed,
            self.engine.scheme,
            self.system,
            self.preset,
            discoveries=discoveries,
            gans=[made.output for made in gans],
            sources=sources,
            **found,
        )
        tables.config = TOLERANT
        tables.update_metadata({"scheme": self.engine.scheme, "stage": "tables"})
        place(tables, ANALYSIS)
        # no metadata of its own: in a folder its jobs are those of any other flow that makes them
        return Flow([*gans, *flows, *later, tables], output=tables.output, name=self.name)

    def _samplers(self) -> Mapping[str, Maker]:
        """Makers by name; names alone were replaced when this Maker was made."""
        return cast("Mapping[str, Maker]", self.samplers)

    def _generators(self, seed: int) -> list[Job]:
        """Training of a GAN and of a WGAN."""
        if self.generator_steps is None:
            return []
        jobs = []
        for kind in GENERATOR_LOSSES:
            maker = TrainGanMaker(
                name=f"train {kind}",
                kind=kind,  # type: ignore[arg-type]
                steps=self.generator_steps,
                preset=self.preset,
                system=self.system,
                show_progress=False,
            )
            made: Job = maker.make(seed=seed)
            made.update_metadata({"stage": "train generator"})
            place(made, TRAINING)
            jobs.append(made)
        return jobs

    def _discovery(self, sampler: Maker, counts: Mapping[str, int], seed: int) -> Flow:
        """Crystals of one sampler, relaxed and judged if they are to be."""
        if not self.relax:
            return SamplingFlowMaker(sampler=sampler, system=self.system).make(counts, seed)
        return DiscoveryFlowMaker(
            sampler=sampler, engine=self.engine, system=self.system, references=self.references
        ).make(counts, seed)

    def _characterisation(
        self, discoveries: Mapping[str, OutputReference]
    ) -> tuple[list[Job | Flow], dict[str, Any]]:
        """Jobs on the lowest new crystals, and what they give, by argument of `fill_tables`."""
        jobs: list[Job | Flow] = []
        found: dict[str, Any] = {}
        everyone = list(discoveries.values())
        if self.confirm is not None:
            asked = select_new(everyone, self.confirm_top, self.threshold)
            confirming = self.confirm.make(asked.output)
            jobs += [asked, confirming]
            found["opinions"] = confirming.output
        if self.phonons is None and self.electronic is None:
            return jobs, found
        best = select_new(everyone[:1], self.top, self.threshold, self.max_atoms)
        jobs.append(best)
        if self.phonons is not None:
            vibrating: Job = phonons_of_best(best.output, self.phonons)
            place(vibrating, ANALYSIS, inherited=False)
            jobs.append(vibrating)
            found["phonons"] = vibrating.output
        if self.electronic is not None:
            bands = self.electronic.make(best.output)
            jobs.append(bands)
            found["electronic"] = bands.output
        return jobs, found
