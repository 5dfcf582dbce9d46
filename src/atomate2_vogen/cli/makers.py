"""Makers from the options of the command line, the same for every manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from atomate2_vogen.cli.sampling_options import SamplingOptions

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import OutputReference

    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.engines import Engine
    from atomate2_vogen.flows import DiscoveryFlowMaker, LoopFlowMaker, ReferencesFlowMaker
    from atomate2_vogen.jobs import RefineMaker, SampleMaker
    from atomate2_vogen.stores import VogenStores


def sample_maker(
    system: OxideSystem, sampler: str, preset: str, sampling: SamplingOptions
) -> SampleMaker:
    """Maker of the jobs that generate crystals."""
    from atomate2_vogen.jobs import SampleMaker

    return SampleMaker(
        sampler=sampler,
        options=sampling.options,
        system=system,
        preset=preset,
        judge_oversample=sampling.judge_oversample,
        novel_only=sampling.novel_only,
        novelty_margin=sampling.novelty_margin,
    )


def kept_file(stores: VogenStores, file: Path) -> OutputReference:
    """Reference to a file of networks or of a potential, which is put into the job store."""
    from atomate2_vogen.data.artefact import make_artefact
    from atomate2_vogen.jobs.sharing import keep_artefact

    return keep_artefact(stores.job_store, make_artefact(file.name, file.read_bytes()))


def references_maker(engine: Engine, system: OxideSystem) -> ReferencesFlowMaker | None:
    """Maker that relaxes the reference phases of an engine; None where they are shipped."""
    from atomate2_vogen.engines import has_references
    from atomate2_vogen.flows import ReferencesFlowMaker

    if has_references(engine, system):
        return None
    return ReferencesFlowMaker(engine=engine, system=system)


def refinement(refine: bool | None) -> RefineMaker | Literal["default"] | None:
    """Value of the field ``refine`` of a flow's Maker."""
    from atomate2_vogen.jobs import RefineMaker

    if refine is None:
        return "default"
    return RefineMaker() if refine else None


def judge_and_references(
    name: str, system: OxideSystem
) -> tuple[Engine, ReferencesFlowMaker | None]:
    """The engine of a name, and the Maker of its reference phases where none are shipped.

    A system without starting structures of its phases is refused here, before anything is
    sampled or trained.
    """
    from atomate2_vogen.engines import load_engine, reference_structures

    judge = load_engine(name, system)
    references = references_maker(judge, system)
    if references is not None:
        reference_structures(system)
    return judge, references


def loop_maker(
    system: OxideSystem,
    sampler: str,
    preset: str,
    sampling: SamplingOptions,
    *,
    engine: str,
    rounds: int,
    cpu_hours: float | None,
    finds: int | None,
    threshold: float,
    learn: bool = True,
    refine: bool | None = None,
) -> LoopFlowMaker:
    """Maker of the flow of ``vogen loop``.

    Parameters
    ----------
    system, sampler, preset, sampling
        What is generated.
    engine
        Name of the engine that relaxes crystals and chooses the finds.
    rounds, cpu_hours, finds, threshold
        As of `LoopFlowMaker`.
    learn
        Whether the sampler learns from the finds.
    refine
        As of `discovery_maker`.

    Raises
    ------
    InputError
        If the sampler cannot learn, or networks of a file are given.
    MissingDependencyError, EngineSetupError, MissingReferenceError
        As `discovery_maker`.
    """
    from atomate2_vogen.errors import InputError
    from atomate2_vogen.flows import LoopFlowMaker

    if sampling.model is not None:
        raise InputError("--model: a loop takes the networks that are shipped; leave it out")
    judge, references = judge_and_references(engine, system)
    return LoopFlowMaker(
        sampler=sample_maker(system, sampler, preset, sampling),
        engine=judge,
        system=system,
        rounds=rounds,
        threshold=threshold,
        cpu_hours=cpu_hours,
        finds=finds,
        learn="default" if learn else None,
        references=references,
        refine=refinement(refine),
    )


def discovery_maker(
    system: OxideSystem,
    sampler: str,
    preset: str,
    sampling: SamplingOptions,
    *,
    engine: str,
    electronic: str | None,
    phonons: str | None,
    top: int,
    threshold: float,
    refine: bool | None = None,
) -> DiscoveryFlowMaker:
    """Maker of the flow of ``vogen discover`` and ``vogen submit``; networks are left to them.

    Parameters
    ----------
    system, sampler, preset, sampling
        What is generated.
    engine
        Name of the engine that relaxes crystals and places them on the hull.
    electronic, phonons
        Names of the engines of bands and phonons; None leaves the stage out.
    top, threshold
        As of `DiscoveryFlowMaker`.
    refine
        Whether relaxed crystals are refined; None leaves that to the engine.

    Raises
    ------
    EngineCapabilityError
        If an engine cannot do the stage that it is given for.
    MissingDependencyError, EngineSetupError
        If an engine lacks what it needs.
    MissingReferenceError
        If neither references nor their starting structures are shipped for the system.
    """
    from atomate2_vogen.engines import load_engine
    from atomate2_vogen.flows import DiscoveryFlowMaker, ElectronicFlowMaker, PhononFlowMaker
    from atomate2_vogen.flows.electronic import check_bands

    further: dict[str, Any] = {}
    if electronic is not None:
        bands = load_engine(electronic, system)
        check_bands(bands)
        further["electronic"] = ElectronicFlowMaker(engine=bands, system=system)
    if phonons is not None:
        further["phonons"] = PhononFlowMaker(engine=load_engine(phonons, system))
        further["phonons"].check()
    judge, references = judge_and_references(engine, system)
    return DiscoveryFlowMaker(
        sampler=sample_maker(system, sampler, preset, sampling),
        engine=judge,
        references=references,
        system=system,
        top=top,
        threshold=threshold,
        refine=refinement(refine),
        **further,
    )
