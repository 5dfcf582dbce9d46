"""``vogen paper``: the paper's tables and figures, made anew."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from atomate2_vogen.cli import options
from atomate2_vogen.cli.grouped import GroupedCommand
from atomate2_vogen.cli.progress import ELECTRONIC, PHONONS, RELAXATION, SAMPLING, TRAINED
from atomate2_vogen.engines.loading import CONFIRMING
from atomate2_vogen.errors import InputError
from atomate2_vogen.samplers.loading import PAPER_SAMPLERS, SAMPLERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomate2_vogen.cli.pipeline import FlowOutput, Pipeline
    from atomate2_vogen.flows import PaperFlowMaker
    from atomate2_vogen.report import PaperFigures
    from atomate2_vogen.schemas import PaperDoc

SAMPLE, RELAX, GENERATORS, CONFIRM = "sample", "relax", "gan", "confirm"
TABLES, FIGURES = "tables", "figures"

PAPER_STAGES: dict[str, tuple[str, ...]] = {
    SAMPLE: (),
    RELAX: (SAMPLE,),
    GENERATORS: (),
    CONFIRM: (SAMPLE, RELAX),
    PHONONS: (SAMPLE, RELAX),
    ELECTRONIC: (SAMPLE, RELAX),
    TABLES: (),
    FIGURES: (),
}
"""Stages in their order, and those that each needs."""

EVERYTHING = "all"
DEFAULT_STAGES = (SAMPLE, RELAX, GENERATORS, PHONONS, TABLES, FIGURES)
"""Stages that need nothing that is not installed with the package."""

CALCULATED = "paper_stages"
"""Entry of the record of a run: stages whose jobs were run."""


class StageList(options.NameList):
    """Names of stages in the order of `PAPER_STAGES`; ``all`` stands for every one."""

    def __init__(self) -> None:
        super().__init__("STAGE", [*PAPER_STAGES, EVERYTHING])

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names in their order, each once."""
        names = super().convert(value, param, ctx)
        return tuple(name for name in PAPER_STAGES if name in names or EVERYTHING in names)


@dataclass(frozen=True)
class PaperOptions:
    """What decides the numbers of a run.

    Parameters
    ----------
    counts
        Crystals asked for of each sampler, by formula.
    seed
        Random seed.
    samplers, engine, engines, phonons, electronic
        Names of samplers and energy models.
    generator_steps, top, max_atoms
        As of `PaperFlowMaker`.
    max_supercell
        Largest supercell of the phonons, atoms.
    """

    counts: dict[str, int]
    seed: int
    samplers: tuple[str, ...]
    engine: str
    engines: tuple[str, ...]
    phonons: str
    electronic: str
    generator_steps: int
    top: int
    max_atoms: int
    max_supercell: int

    def identity(self) -> dict[str, Any]:
        """Plain values for the record of the run."""
        from atomate2_vogen import __version__

        return {"version": __version__, **vars(self)}


@click.command(cls=GroupedCommand, short_help="Make the paper's tables and figures anew.")
@click.option(
    "--share",
    type=float,
    default=1.0,
    show_default=True,
    help="Share of the paper's 451 crystals, rounded up for each formula.",
)
@click.option(
    "--stages",
    type=StageList(),
    default=DEFAULT_STAGES,
    show_default=",".join(DEFAULT_STAGES),
    help=f"Stages to run, of {', '.join(PAPER_STAGES)}; all for all of them. What a stage needs is run "
    "first.",
)
@click.option(
    "--samplers",
    type=options.NameList("SAMPLER", SAMPLERS),
    default=PAPER_SAMPLERS,
    show_default=",".join(PAPER_SAMPLERS),
    help="Samplers. Phonons and bands are of the new crystals of the first one.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True)
@options.engine_option
@click.option(
    "--engines",
    type=options.EngineList(),
    default=CONFIRMING,
    show_default=",".join(CONFIRMING),
    help="Stage confirm: further energy models.",
)
@click.option(
    "--phonons",
    type=options.EngineType("phonons"),
    default="chgnet",
    show_default=True,
    help="Stage phonons: energy model.",
)
@click.option(
    "--electronic",
    type=options.EngineType("bands"),
    default="gpaw",
    show_default=True,
    help="Stage electronic: DFT code.",
)
@click.option(
    "--generator-steps",
    type=click.IntRange(1),
    default=5000,
    show_default=True,
    help="Stage gan: training steps of GAN and WGAN.",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Stages phonons and electronic: largest number of crystals per formula.",
)
@click.option(
    "--max-atoms",
    type=click.IntRange(1),
    default=14,
    show_default=True,
    help="Stages phonons and electronic: largest cell.",
)
@click.option(
    "--max-supercell",
    type=click.IntRange(1),
    default=1000,  # as of PhononFlowMaker, which takes a second to import
    show_default=True,
    help="Stage phonons: largest number of atoms in a supercell; larger ones of the paper's are left "
    "out.",
)
@options.workers_option
@options.json_option
@options.out_option("vogen_paper")
@click.pass_context
def paper(
    ctx: click.Context,
    *,
    share: float,
    stages: tuple[str, ...],
    samplers: tuple[str, ...],
    seed: int,
    engine: str,
    engines: tuple[str, ...],
    phonons: str,
    electronic: str,
    generator_steps: int,
    top: int,
    max_atoms: int,
    max_supercell: int,
    workers: int,
    as_json: bool,
    out: Path,
) -> None:
    """Make the tables and figures of Ebrahimzadeh, Sharif and Banad anew.

    Every sampler generates as many crystals as the paper; they are relaxed and placed on the hull.
    The lowest new crystals of the first sampler go on to phonons, in the paper's supercells where
    these are not too large, and to bands. GAN and WGAN are trained alike. Each table has the
    published values beside those of the run.

    The folder holds tables.md, tables.json and tables/ (CSV), crystals/ (a CSV file of the judged
    crystals of each sampler), figures/ (PDF and PNG), a record of the run (run.json) and all documents (store/). The same command goes on where it stopped; with
    other --stages, only what is missing is calculated.

    \b
    Stages:
      sample      generate crystals
      relax       relax them, place them on the hull
      gan         train GAN and WGAN (Fig. 5)
      confirm     ask further energy models about the lowest new crystals
      phonons     phonons of the lowest new crystals
      electronic  their bands and densities of states
      tables      write the tables of what is calculated
      figures     draw the figures of what is calculated

    \b
    Examples:
      vogen paper --share 0.02 --stages sample,relax,tables,figures
      vogen paper --stages all --workers 2
      vogen paper --stages figures
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.session import open_run
    from atomate2_vogen.flows.paper import share_of_request

    begin = time.perf_counter()
    voice = Voice(quiet=as_json)
    asked = PaperOptions(
        counts=share_of_request(share),
        seed=seed,
        samplers=samplers,
        engine=engine,
        engines=engines,
        phonons=phonons,
        electronic=electronic,
        generator_steps=generator_steps,
        top=top,
        max_atoms=max_atoms,
        max_supercell=max_supercell,
    )
    with open_run(out, "paper", asked.identity(), voice) as run:
        calculated = _stages_to_run(run, stages)
        maker = _maker(run, asked, calculated)
        flow = maker.make(asked.counts, asked.seed)
        ran = run.run(flow, workers, _expected(asked, calculated))
        run.folder.note(**{CALCULATED: calculated})
        document: PaperDoc = ran.output
        _report(run, ran)
        written: list[str] = []
        figures: PaperFigures | None = None
        if TABLES in stages:
            written += _write_tables(run, document)
        if FIGURES in stages:
            from atomate2_vogen.cli.exports import folder_of
            from atomate2_vogen.flows import steps_of

            figures = _draw(run, document, maker, steps_of(flow))
            written.append(folder_of("figures", sum(map(len, figures.drawn.values()))))
        run.folder.note(workers=workers, seconds=round(time.perf_counter() - begin, 1))
        _print(run, document, figures, written, as_json=as_json)
        if document.tables[1:] == [] and calculated != [SAMPLE]:
            voice.warn("no stage gave anything; see jobs/ and logs/")
            ctx.exit(1)


def _stages_to_run(run: Pipeline, stages: Sequence[str]) -> list[str]:
    """Stages asked for and calculated before, with what they need.

    Raises
    ------
    InputError
        If there is none: tables and figures are made of others.
    """
    before = run.folder.record.get(CALCULATED, [])
    wanted = {name for name in [*before, *stages] if name in PAPER_STAGES} - {TABLES, FIGURES}
    wanted |= {needed for name in wanted for needed in PAPER_STAGES[name]}
    if not wanted:
        raise InputError(
            f"--stages {','.join(stages)}: nothing is calculated in {escape(str(run.folder.path))} "
            f"yet; add {SAMPLE},{RELAX}"
        )
    return [name for name in PAPER_STAGES if name in wanted]


def _maker(run: Pipeline, asked: PaperOptions, stages: Sequence[str]) -> PaperFlowMaker:
    """Maker of the flow of these stages."""
    from atomate2_vogen.cli.makers import judge_and_references
    from atomate2_vogen.engines import load_engine
    from atomate2_vogen.flows import (
        ConfirmFlowMaker,
        ElectronicFlowMaker,
        PaperFlowMaker,
        PhononFlowMaker,
    )

    judge, references = judge_and_references(asked.engine, run.system)
    confirm = None
    if CONFIRM in stages:
        further = [judge_and_references(name, run.system) for name in asked.engines]
        confirm = ConfirmFlowMaker(
            engine=judge,
            engines=[model for model, _ in further],
            system=run.system,
            references={
                model.scheme: maker
                for model, maker in [(judge, references), *further]
                if maker is not None
            },
        )
    phonons = electronic = None
    if PHONONS in stages:
        model = load_engine(asked.phonons, run.system)
        phonons = PhononFlowMaker(engine=model, max_atoms=asked.max_supercell)
    if ELECTRONIC in stages:
        code = load_engine(asked.electronic, run.system)
        electronic = ElectronicFlowMaker(engine=code, system=run.system)
    return PaperFlowMaker(
        samplers=asked.samplers,
        engine=judge,
        system=run.system,
        references=references,
        relax=RELAX in stages,
        generator_steps=asked.generator_steps if GENERATORS in stages else None,
        confirm=confirm,
        phonons=phonons,
        electronic=electronic,
        top=asked.top,
        max_atoms=asked.max_atoms,
    )


def _expected(asked: PaperOptions, stages: Sequence[str]) -> dict[str, int]:
    """Number of crystals or jobs of each stage, for the progress bars."""
    n_samplers = len(asked.samplers)
    expected = {SAMPLING: n_samplers * len(asked.counts)}
    if RELAX in stages:
        expected[RELAXATION] = n_samplers * sum(asked.counts.values())
    if GENERATORS in stages:
        expected[TRAINED] = 2
    return expected


def _report(run: Pipeline, ran: FlowOutput) -> None:
    """One line per stage: what it did, and how long it took."""
    from atomate2_vogen.cli.pipeline import plural

    for title, stage in ran.stages.items():
        run.report(ran, title, f"{stage.done} {plural('result', stage.done)}", results=stage.done)


def _write_tables(run: Pipeline, document: PaperDoc) -> list[str]:
    """Files of the tables."""
    from atomate2_vogen.cli.exports import folder_of, stability_csv
    from atomate2_vogen.report import paper_csv, paper_markdown, paper_stability

    content = [table.model_dump(mode="json") for table in document.tables]
    run.folder.write("tables.json", json.dumps(content, indent=1) + "\n")
    run.folder.write("tables.md", paper_markdown(document.tables))
    names = [f"{table.name}.csv" for table in document.tables]
    for name, table in zip(names, document.tables, strict=True):
        run.folder.write(name, paper_csv(table), "tables")
    judged = paper_stability(document, run.stores.job_store)
    for sampler, stability in judged.items():
        run.folder.write(f"{sampler}.csv", stability_csv(stability), "crystals")
    current = {f"tables/{name}" for name in names} | {f"crystals/{name}.csv" for name in judged}
    run.folder.remove_stale(current, ["tables/", "crystals/"])
    folders = [folder_of("tables", len(names)), folder_of("crystals", len(judged))]
    return ["tables.md", "tables.json", *folders]


def _draw(
    run: Pipeline, document: PaperDoc, maker: PaperFlowMaker, steps: Sequence[Any]
) -> PaperFigures:
    """Files of the figures."""
    import tempfile

    from atomate2_vogen.engines import has_references, load_references
    from atomate2_vogen.report import draw_paper
    from atomate2_vogen.schemas import ReferenceDoc

    if has_references(maker.engine, run.system):
        references = load_references(maker.engine, run.system)
    else:
        ours = {"scheme": maker.engine.scheme}
        references = list(run.stores.iterate(ReferenceDoc, ours))
    with tempfile.TemporaryDirectory(prefix="vogen-") as scratch:
        figures = draw_paper(
            document, run.stores.job_store, references, scratch, steps=steps, system=run.system
        )
        files = [file for drawn in figures.drawn.values() for file in drawn]
        for file in files:
            run.folder.write(file, (Path(scratch) / file).read_bytes(), "figures")
    run.folder.remove_stale({f"figures/{file}" for file in files}, ["figures/"])
    return figures


def _print(
    run: Pipeline,
    document: PaperDoc,
    figures: PaperFigures | None,
    written: Sequence[str],
    *,
    as_json: bool,
) -> None:
    from atomate2_vogen.cli.report import print_written
    from atomate2_vogen.cli.tables import paper_table

    voice = run.voice
    if as_json:
        content = {
            "out": str(run.folder.path),
            "tables": [table.model_dump(mode="json") for table in document.tables],
            "figures": None if figures is None else figures.drawn,
            "left_out": None if figures is None else figures.left_out,
        }
        click.echo(json.dumps(content, indent=1))
        return
    for table in document.tables:
        if table.name == "claims":
            voice.out.print(paper_table(table))
    for name, why in ({} if figures is None else figures.left_out).items():
        voice.out.print(f"[dim]{name} left out: {escape(why)}[/dim]", soft_wrap=True)
    print_written(voice, run.folder.path, [*written, "run.json", "store/"])
