"""``vogen build``: bring the stability documents of a store up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atomate2_vogen.cli import options
from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.cli.console import Voice


@click.command(short_help="Update the stability table of a folder or a database.")
@click.argument("folder", required=False, type=options.UserPath())
@click.option(
    "--store",
    "where",
    metavar="WHERE",
    help="Instead of an output folder: a mongodb:// URI, a YAML file that names a database, or the "
    "folder of a store.",
)
@click.option(
    "--remove-orphans",
    is_flag=True,
    help="Remove stability documents whose calculation is gone; by default they are kept.",
)
@options.system_option
@options.engine_option
@options.json_option
def build(
    folder: Path | None,
    *,
    where: str | None,
    remove_orphans: bool,
    system: OxideSystem | None,
    engine: str,
    as_json: bool,
) -> None:
    """Rebuild the stability table of an output folder or of a store.

    FOLDER is an output folder of vogen discover or vogen evaluate; its tables, CIFs and figures
    are written anew. Job outputs that your own flows left in its store/ are included. With --store
    only documents are written. Only new and changed calculations are placed on the hull; nothing
    is relaxed.

    \b
    Examples:
      vogen build vogen_output
      vogen build --store mongodb://localhost/vogen
      vogen build vogen_output --remove-orphans
      vogen build --store mongodb://localhost/vogen --system Ti-O
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.session import open_run
    from atomate2_vogen.engines import load_engine

    if (folder is None) == (where is None):
        raise InputError("give either an output folder or --store WHERE")
    if folder is not None and system is not None:
        raise InputError("--system: only with --store; an output folder says of which system it is")
    voice = Voice(quiet=as_json)
    if folder is None:
        _build_store(
            voice,
            where,
            engine,
            system or VANADIUM,
            remove_orphans=remove_orphans,
            as_json=as_json,
        )
        return
    with open_run(folder, "build", None, voice) as run:
        from atomate2_vogen.cli.generation import recorded_sample
        from atomate2_vogen.cli.report import print_build
        from atomate2_vogen.cli.results import export, measure, update_stability

        judged = update_stability(
            run, load_engine(engine, run.system), remove_orphans=remove_orphans
        )
        written = []
        if judged.stability or (run.folder / "stability.json").exists():
            metrics = measure(run, judged, recorded_sample(run))
            written = export(run, judged, metrics)
        print_build(voice, judged.stability, run.folder.path, written, as_json=as_json)


def _build_store(
    voice: Voice,
    where: str | None,
    engine: str,
    system: OxideSystem,
    *,
    remove_orphans: bool,
    as_json: bool,
) -> None:
    """Documents only; one line on what was written."""
    from atomate2_vogen.builders import build_stability
    from atomate2_vogen.engines import load_engine

    with options.open_where(where) as stores:
        judge = load_engine(engine, system)
        built = build_stability(stores, [system], remove_orphans=remove_orphans)
        count = stores.stability.count({"scheme": judge.scheme})
        written = built.written + built.ingested["stability"]
    if as_json:
        content = {"store": stores.where, "judge": judge.scheme, "ingested": built.ingested}
        counts = {"written": written, "removed": built.removed, "documents": count}
        click.echo(json.dumps(content | counts, indent=1))
        return
    removed = f"{built.removed} orphans removed, " if remove_orphans else ""
    voice.out.print(
        f"{written} stability documents written, {removed}{count} by {judge.scheme} in {stores.where}",
        soft_wrap=True,
    )
