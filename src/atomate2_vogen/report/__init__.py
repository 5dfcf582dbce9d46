"""Self-contained HTML report about a run.

>>> from atomate2_vogen.report import ReportDocuments, write_report
>>> with VogenStores.open("vogen_output") as stores:  # doctest: +SKIP
...     documents = ReportDocuments.from_stores(stores)
>>> write_report("report.html", documents)  # doctest: +SKIP
"""

from __future__ import annotations

from atomate2_vogen.report.documents import ReportDocuments
from atomate2_vogen.report.paper import (
    PaperFigures,
    draw_paper,
    paper_csv,
    paper_markdown,
    paper_stability,
)
from atomate2_vogen.report.writing import ReportSummary, render_report, write_report

__all__ = [
    "PaperFigures",
    "ReportDocuments",
    "ReportSummary",
    "draw_paper",
    "paper_csv",
    "paper_markdown",
    "paper_stability",
    "render_report",
    "write_report",
]
