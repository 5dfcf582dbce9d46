"""``vogen confirm``: ask further energy models about the finds of a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from atomate2_vogen.cli import options
from atomate2_vogen.cli.grouped import OUTPUT, GroupedCommand
from atomate2_vogen.engines.loading import CONFIRMING
from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.cli.pipeline import Pipeline
    from atomate2_vogen.flows import ConfirmFlowMaker
    from atomate2_vogen.schemas import StabilityDoc


CONFIRM_GROUPS = {
    "Finds": ("threshold", "top", "also_known"),
    "Energy models": ("engines",),
    "DFT": ("dft", "dft_top", "dft_max_atoms", "dft_geometries", "dft_cost"),
    "Output": OUTPUT,
}


@click.command(
    cls=GroupedCommand,
    groups=CONFIRM_GROUPS,
    short_help="Ask further energy models about the finds of a folder.",
)
@click.argument("folder", type=options.UserPath())
@click.option(
    "--engines",
    type=options.EngineList(),
    default=CONFIRMING,
    show_default=",".join(CONFIRMING),
    help="Further energy models, as of --engine of vogen discover.",
)
@click.option(
    "--threshold",
    type=float,
    default=0.1,
    show_default=True,
    help="Largest energy above hull of the crystals, by the energy model that found them, eV/atom.",
)
@click.option(
    "--top", type=click.IntRange(1), help="Largest number of crystals per formula.  [default: all]"
)
@click.option("--also-known", is_flag=True, help="Ask about crystals that match known ones, too.")
@click.option(
    "--dft",
    type=options.EngineType("bands"),
    help="DFT code for the lowest confirmed finds and the known phases of their formulas.",
)
@click.option(
    "--dft-top",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="With --dft: largest number of finds per formula.",
)
@click.option(
    "--dft-max-atoms",
    type=click.IntRange(1),
    default=14,
    show_default=True,
    help="With --dft: largest primitive cell of finds and of known phases.",
)
@click.option(
    "--dft-geometries",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="With --dft: number of energy models whose crystals are calculated; the lowest counts.",
)
@click.option("--dft-cost", is_flag=True, help="With --dft: only estimate its memory and time.")
@options.workers_option
@options.json_option
def confirm(
    folder: Path,
    *,
    engines: tuple[str, ...],
    threshold: float,
    top: int | None,
    also_known: bool,
    dft: str | None,
    dft_top: int,
    dft_max_atoms: int,
    dft_geometries: int,
    dft_cost: bool,
    workers: int,
    as_json: bool,
) -> None:
    """Relax the finds of a folder with further energy models, and compare the models.

    FOLDER is an output folder of vogen discover, vogen loop or vogen evaluate. Its finds are the
    crystals within --threshold above the hull that are unique and match no known crystal. Each
    further model relaxes them, starting from the crystals of the first, and places them on the
    hull of its own reference phases; these are relaxed first where none are shipped for a model.

    A crystal is confirmed if all models place it within 0.1 eV/atom (or 0.025), and at least two
    of them differ in functional and share no training data; it is refuted if a further model
    disagrees and none agrees, disputed if some agree, and undecided otherwise.

    With --dft the lowest confirmed finds and the known phases of their formulas are then
    calculated by a DFT code (gpaw, vasp-mp, vasp) with the same settings: single points at the
    crystals of the models, from a ferromagnetic and an antiferromagnetic start each. Memory and
    time of each are estimated first.

    Results go into the folder: consensus.csv, consensus.json and its store, of --dft dft.csv,
    dft.json and dft.png. The same command continues where it stopped; with more --engines, only
    these are calculated.

    \b
    Examples:
      vogen confirm vogen_output
      vogen confirm vogen_output --engines sevennet,diep --top 5
      vogen confirm vogen_output --dft gpaw --dft-cost
      vogen query vogen_output --confirmed
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.session import open_run

    if dft_cost and dft is None:
        raise click.UsageError("--dft-cost needs --dft")
    voice = Voice(quiet=as_json)
    with open_run(folder, "confirm", None, voice) as run:
        from atomate2_vogen.cli.dft import DftOptions, calculate_finds
        from atomate2_vogen.cli.exports import consensus_csv, plain
        from atomate2_vogen.cli.pipeline import plural
        from atomate2_vogen.cli.progress import CONFIRMATION
        from atomate2_vogen.cli.report import print_consensus

        maker = _maker(run, engines)
        finds = _finds(run, maker.engine.scheme, threshold, top, known=also_known)
        count = f"{len(finds)} {plural('find', len(finds))}"
        voice.say(f"{count} of {maker.engine.name}, asked: {', '.join(engines)}")
        opinions = len(finds) * len(maker.engines)
        ran = run.run(maker.make(finds), workers, {CONFIRMATION: opinions})
        documents: list[Any] = ran.output
        run.report(ran, CONFIRMATION, f"{opinions} {plural('opinion', opinions)}")
        run.folder.write("consensus.csv", consensus_csv(documents))
        listed = [plain(document) for document in documents]
        run.folder.write("consensus.json", json.dumps(listed, indent=1) + "\n")
        written = ["consensus.csv", "consensus.json", "store/"]
        calculated: list[Any] = []
        if dft is not None:
            asked = DftOptions(dft, dft_top, dft_max_atoms, dft_geometries)
            calculated = calculate_finds(run, documents, asked, workers, only_cost=dft_cost)
            written += ["dft.csv", "dft.json", "dft.png"] if calculated else []
        print_consensus(
            voice,
            documents,
            calculated,
            path=run.folder.path,
            written=written,
            as_json=as_json,
        )


def _maker(run: Pipeline, engines: Sequence[str]) -> ConfirmFlowMaker:
    """Maker whose first engine is that of the run in the folder."""
    from atomate2_vogen.cli.makers import judge_and_references
    from atomate2_vogen.flows import ConfirmFlowMaker

    name = run.folder.record.get("identity", {}).get("engine")
    if not name:
        raise InputError(
            f"{run.folder.path}: its run relaxed nothing; give the folder of vogen discover, "
            "vogen loop or vogen evaluate"
        )
    system: OxideSystem = run.system
    asked = {one: judge_and_references(one, system) for one in dict.fromkeys([name, *engines])}
    references = {engine.scheme: maker for engine, maker in asked.values() if maker is not None}
    first, _ = asked.pop(name)
    return ConfirmFlowMaker(
        engine=first,
        engines=[engine for engine, _ in asked.values()],
        system=system,
        references=references,
    )


def _finds(
    run: Pipeline, scheme: str, threshold: float, top: int | None, *, known: bool
) -> list[StabilityDoc]:
    """Crystals of the folder to ask about, lowest first within each formula.

    Raises
    ------
    InputError
        If there is none.
    """
    from atomate2_vogen.schemas import StabilityDoc
    from atomate2_vogen.stability.selection import best_per_formula

    ours = {"scheme": scheme, "chemsys": run.system.chemsys}
    judged = list(run.stores.iterate(StabilityDoc, ours))
    eligible = [doc for doc in judged if known or doc.is_novel]
    finds = best_per_formula(eligible, top or max(len(eligible), 1), threshold)
    if not finds:
        kind = "" if known else "novel "
        raise InputError(
            f"{escape(str(run.folder.path))} holds {len(judged)} crystals of {scheme}, and no "
            f"{kind}one within {threshold:g} eV/atom of the hull; give another --threshold"
            f"{'' if known else ' or --also-known'}"
        )
    return finds
