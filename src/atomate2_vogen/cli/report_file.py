"""``vogen report``: one HTML file about what a folder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atomate2_vogen.cli import options
from atomate2_vogen.errors import OutputFolderError
from atomate2_vogen.masking import printable
from atomate2_vogen.structured import read_structured

if TYPE_CHECKING:
    from atomate2_vogen.report import ReportDocuments
    from atomate2_vogen.schemas import MetricsDoc

MEND = "delete the file, and it is made anew (vogen build) or done without"


@click.command(short_help="Write an HTML report on a finished run.")
@click.argument("folder", type=options.UserPath())
@click.option(
    "--out",
    "-o",
    type=options.UserPath(dir_okay=False),
    help="HTML file to write.  [default: report.html in FOLDER]",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    help="Largest number of crystals per formula, lowest above hull first, with a row and a page; "
    "numbers and figures are of all crystals.  [default: all]",
)
@click.option("--title", help="Heading of the report.")
@options.json_option
def report(
    folder: Path, *, out: Path | None, top: int | None, title: str | None, as_json: bool
) -> None:
    """Write a report on an output folder: one HTML file that works offline.

    FOLDER is an output folder of vogen discover or vogen evaluate. The report holds a table of the
    candidates to sort and filter, the hull, distributions, and a page for each candidate with a
    rotatable model of the crystal, energies, bands and phonons if computed, provenance, and CIF.
    Nothing is computed, and no other file of the folder changes.

    \b
    Examples:
      vogen report vogen_output
      vogen report vogen_output --top 5 --out talk.html --title "Vanadium oxides, run 12"
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from atomate2_vogen.cli.output import REPORT_FILE
    from atomate2_vogen.cli.written import note_written
    from atomate2_vogen.report import write_report

    target = out or folder / REPORT_FILE
    done = write_report(target, read_folder(folder), top=top, title=title)
    if target == folder / REPORT_FILE:  # a later run of the folder may remove it
        note_written(folder, REPORT_FILE, target.read_bytes())
    if as_json:
        content = {
            "report": str(done.path),
            "bytes": done.n_bytes,
            "candidates": done.n_candidates,
            "listed": done.n_listed,
            "judge": done.scheme,
            "hull_id": done.hull_id,
        }
        click.echo(json.dumps(content, indent=1))
    else:
        pages = f"{done.n_listed} of {done.n_candidates} candidates"
        click.echo(f"Written: {printable(str(done.path))} ({done.n_bytes / 1e6:.1f} MB, {pages})")


def read_folder(folder: Path) -> ReportDocuments:
    """Documents of the run that an output folder holds; the folder is only read.

    Raises
    ------
    OutputFolderError
        If it is no output folder of a run, or its record cannot be read.
    StoreConnectionError, ArtefactError
        If its store cannot be opened or read.
    """
    from atomate2_vogen.cli.record import read_record
    from atomate2_vogen.cli.session import recorded_system
    from atomate2_vogen.report import ReportDocuments
    from atomate2_vogen.stores import VogenStores
    from atomate2_vogen.structures.reading.folders import RUN_FILE

    if not (folder / RUN_FILE).is_file() or not (folder / "store").is_dir():
        raise OutputFolderError(
            f"{folder}: not the output folder of a run (no {RUN_FILE} or no store/); give one "
            "that vogen discover or vogen evaluate has written"
        )
    run = read_record(folder / RUN_FILE)
    listed = _candidate_ids(folder / "stability.json")
    metrics = _metrics(folder / "metrics.json")
    system = recorded_system(run)
    with VogenStores.open(folder / "store") as stores:
        return ReportDocuments.from_stores(
            stores,
            scheme=run.get("judge"),
            # a store may hold more than the last command asked for
            candidate_ids=listed,
            metrics=metrics,
            run=run,
            system=system,
        )


def _candidate_ids(path: Path) -> list[str] | None:
    """Of the documents that the last command has written; None where there are none."""
    if not path.is_file():
        return None
    content = read_structured(path, OutputFolderError)
    if not isinstance(content, list):
        raise OutputFolderError(f"{path}: no list of documents; {MEND}")
    ids = []
    for number, document in enumerate(content):
        found = document.get("candidate_id") if isinstance(document, dict) else None
        if not isinstance(found, str):
            raise OutputFolderError(f"{path}: document {number} has no candidate_id; {MEND}")
        ids.append(found)
    return ids


def _metrics(path: Path) -> MetricsDoc | None:
    """Metrics of the run; None where there are none."""
    from pydantic import ValidationError

    from atomate2_vogen.schemas import MetricsDoc
    from atomate2_vogen.schemas.base import wrong_fields

    if not path.is_file():
        return None
    content = read_structured(path, OutputFolderError)
    try:
        return MetricsDoc.model_validate(content)
    except ValidationError as error:
        raise OutputFolderError(f"{path}: {wrong_fields(error)}; {MEND}") from error
