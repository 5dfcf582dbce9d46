"""``vogen build``: bring the stability documents of a store up to date."""

from __future__ import annotations

from pathlib import Path

import click

from atomate2_vogen.cli import options


@click.command(short_help="Bring the stability table of a folder up to date.")
@click.argument("folder", type=click.Path(path_type=Path))
@options.engine_option
@options.json_option
def build(folder: Path, engine: str, as_json: bool) -> None:
    """Rebuild the stability table of an output folder.

    FOLDER is one that vogen discover or vogen evaluate has written, or into whose store/ your
    own flows have written. Only what has changed since the last build is judged again: nothing
    is relaxed here.

    \b
    Example:
      vogen build vogen_output
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.cli.console import Voice
    from atomate2_vogen.cli.session import open_run
    from atomate2_vogen.engines import load_engine

    voice = Voice(quiet=as_json)
    with open_run(folder, "build", None, voice, VANADIUM) as run:
        from atomate2_vogen.cli.report import print_build

        judge = load_engine(engine)
        candidates = run.stored_candidates()
        stability, references = run.build(judge, candidates)
        written = run.export(stability, candidates, references)
        print_build(voice, stability, run.folder.path, written, as_json=as_json)
