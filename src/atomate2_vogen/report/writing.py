"""One HTML file from documents: template, style and scripts of the package, and the data.

The file fetches nothing. Its content security policy lets only the package's own script run,
known by its hash, and refuses every address but ``data:`` and ``blob:``: what a formula, a file
name or an id of a document says can never be run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from atomate2_vogen import __version__
from atomate2_vogen.errors import CountsError, OutputFolderError
from atomate2_vogen.files import write_atomically
from atomate2_vogen.report import overview
from atomate2_vogen.report.charts import MARKER_PATHS
from atomate2_vogen.report.documents import ReportDocuments
from atomate2_vogen.report.figures import make_figures, page_link
from atomate2_vogen.report.numbers import answer, formula_text, number
from atomate2_vogen.report.pages import make_pages, make_palette

SCRIPTS = ("charts.js", "viewer.js", "page.js", "table.js", "report.js")


@dataclass(frozen=True)
class ReportSummary:
    """Summary of a written report.

    Parameters
    ----------
    path
        The file.
    n_bytes
        Its size.
    n_candidates, n_listed
        Number of candidates, and number of those with a row and a page.
    scheme, hull_id
        Name of the energy scale.

    Examples
    --------
    >>> from pathlib import Path
    >>> from atomate2_vogen.report import ReportSummary
    >>> summary = ReportSummary(Path("report.html"), 812_000, 24, 24, "CHGNet-0.3.0", "8fbe19b3")
    >>> f"{summary.n_listed} of {summary.n_candidates} by {summary.scheme}"
    '24 of 24 by CHGNet-0.3.0'
    """

    path: Path
    n_bytes: int
    n_candidates: int
    n_listed: int
    scheme: str
    hull_id: str


def write_report(
    path: str | PathLike[str],
    documents: ReportDocuments,
    *,
    top: int | None = None,
    title: str | None = None,
) -> ReportSummary:
    """Write the report, whole or not at all.

    Parameters
    ----------
    path
        HTML file to write; folders that are missing are made.
    documents
        What it is about.
    top
        Most candidates per formula with a row and a page, the lowest above hull;
        all of them are in the numbers and in the figures. None lists every candidate.
    title
        Heading; made from the documents where left out.

    Returns
    -------
    ReportSummary
        Where it lies and what it holds.

    Raises
    ------
    CountsError
        If `top` is no whole number of at least 1.
    OutputFolderError
        If the file cannot be written.

    Examples
    --------
    >>> from atomate2_vogen import load_references, write_report
    >>> from atomate2_vogen.report import ReportDocuments
    >>> from atomate2_vogen.schemas import StabilityDoc
    >>> from atomate2_vogen.stability.hull import hull_id
    >>> references = load_references("CHGNet-0.3.0")
    >>> document = StabilityDoc(
    ...     stability_id="VO-1|CHGNet-0.3.0",
    ...     candidate_id="VO-1",
    ...     scheme="CHGNet-0.3.0",
    ...     hull_id=hull_id(references),
    ...     chemsys="O-V",
    ...     formula="VO",
    ...     natoms=2,
    ...     sampler="files",
    ...     model_id="none",
    ...     state="failed",
    ...     reason="out of memory",
    ...     is_converged=False,
    ... )
    >>> documents = ReportDocuments([document], references)
    >>> summary = write_report("report.html", documents)
    >>> summary.n_candidates, summary.path.name
    (1, 'report.html')
    """
    content = render_report(documents, top=top, title=title).encode()
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content)
    except OSError as error:
        raise OutputFolderError(f"{target}: cannot be written ({error.strerror})") from error
    return ReportSummary(
        path=target,
        n_bytes=len(content),
        n_candidates=len(documents.stability),
        n_listed=len(documents.listed(top)),
        scheme=documents.scheme,
        hull_id=documents.hull_id,
    )


def render_report(
    documents: ReportDocuments, *, top: int | None = None, title: str | None = None
) -> str:
    """The report as text; see `write_report`.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.report import ReportDocuments, render_report
    >>> from atomate2_vogen.schemas import StabilityDoc
    >>> from atomate2_vogen.stability.hull import hull_id
    >>> references = load_references("CHGNet-0.3.0")
    >>> document = StabilityDoc(
    ...     stability_id="VO-1|CHGNet-0.3.0",
    ...     candidate_id="VO-1",
    ...     scheme="CHGNet-0.3.0",
    ...     hull_id=hull_id(references),
    ...     chemsys="O-V",
    ...     formula="VO",
    ...     natoms=2,
    ...     sampler="files",
    ...     model_id="none",
    ...     state="failed",
    ...     reason="out of memory",
    ...     is_converged=False,
    ... )
    >>> documents = ReportDocuments([document], references)
    >>> "<html" in render_report(documents, title="One crystal")
    True
    """
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise CountsError(f"the best {top} of each formula are asked for; give 1 or more")
    listed = documents.listed(top)
    pages = make_pages(documents, listed)
    metrics = documents.measured
    script = "\n".join(_asset(name) for name in SCRIPTS)
    elements = "–".join(documents.system.elements)
    formulas = {}
    if metrics is not None and len(metrics.formulas) > 1:
        formulas = {
            formula_text(name): overview.metrics_rows(found, metrics.sun_threshold)
            for name, found in metrics.formulas.items()
        }
    return _template().render(
        title=title or f"{elements} crystals by {documents.scheme}",
        scheme=documents.scheme,
        tiles=overview.tiles(documents),
        limits=overview.limits(documents),
        figures=make_figures(documents, listed),
        shapes=MARKER_PATHS,
        pages=pages,
        n_all=len(documents.stability),
        left_out=len(documents.stability) - len(listed),
        top=top,
        attempts=overview.attempt_rows(metrics.overall) if metrics else [],
        rows=overview.metrics_rows(metrics.overall, metrics.sun_threshold) if metrics else [],
        formulas=formulas,
        run_facts=overview.run_facts(documents),
        versions=overview.versions(documents),
        stages=overview.stage_rows(documents.run),
        cost=overview.cost(documents),
        style=_asset("report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=_json({"palette": make_palette(documents.system), "pages": pages}),
        package_version=__version__,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        link=page_link,
        number=number,
        answer=answer,
        formula_text=formula_text,
    )


def _json(content: Any) -> str:
    """JSON that can stand inside an element: no character of it can end one."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@cache
def _template() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_asset),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


@cache
def _asset(name: str) -> str:
    return (files("atomate2_vogen.report") / "page" / name).read_text(encoding="utf-8")
