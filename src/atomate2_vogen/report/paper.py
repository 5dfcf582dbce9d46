"""The paper's tables as text, and its figures as files, from what a `PaperFlowMaker` left."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import VogenError, reason
from atomate2_vogen.models.shipped import load_shipped_training
from atomate2_vogen.plotting import (
    plot_electronic,
    plot_formation_energies,
    plot_formula,
    plot_generator_losses,
    plot_phonon_series,
    plot_phonons,
    plot_training,
    plot_workflow,
)
from atomate2_vogen.schemas import (
    DiscoveryDoc,
    ElectronicDoc,
    GanDoc,
    PaperDoc,
    PaperTable,
    PhononDoc,
    Proportion,
    ReferenceDoc,
    StabilityDoc,
    VogenDoc,
)
from atomate2_vogen.schemas.paper import TableCell
from atomate2_vogen.stability.paper_tables import HALF_METALLIC
from atomate2_vogen.stability.published import Published
from atomate2_vogen.stores import parse

if TYPE_CHECKING:
    from jobflow import JobStore

    from atomate2_vogen.plotting import Step

Doc = TypeVar("Doc", bound=VogenDoc)

FILE_KINDS = ("pdf", "png")
"""Vector for print, pixels for the screen."""


@dataclass(frozen=True)
class PaperFigures:
    """Which figures were drawn.

    Parameters
    ----------
    drawn
        Names of files, by name of the figure.
    left_out
        Reason, by name of a figure.

    Examples
    --------
    >>> from atomate2_vogen.report import PaperFigures
    >>> PaperFigures(left_out={"fig_05_generators": "no generator was trained"}).drawn
    {}
    """

    drawn: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def draw_paper(
    document: PaperDoc,
    store: JobStore,
    references: Sequence[ReferenceDoc],
    folder: str | Path,
    *,
    steps: Sequence[Step] = (),
    preset: str = "paper",
    system: OxideSystem = VANADIUM,
) -> PaperFigures:
    """Draw the paper's figures, each as PDF and PNG.

    Parameters
    ----------
    document
        Output of a `PaperFlowMaker`.
    store
        Job store that its flow ran with, connected.
    references
        Reference phases of the judge.
    folder
        For the files.
    steps
        Of the flow, as `flows.steps_of` gives them, for the diagram of Figs. 2 and 3.
    preset
        Of the networks.
    system
        Oxide system.

    Returns
    -------
    PaperFigures
        A figure whose stage did not run, or found nothing, is left out with the reason.

    Examples
    --------
    >>> from atomate2_vogen import VogenStores
    >>> from atomate2_vogen.report import draw_paper
    >>> from atomate2_vogen.schemas import PaperDoc
    >>> nothing = PaperDoc(requested={}, seed=1, samplers=[], scheme="CHGNet-0.3.0")
    >>> with VogenStores.memory() as stores:
    ...     figures = draw_paper(nothing, stores.job_store, [], "figures")
    >>> list(figures.drawn)
    ['fig_04_autoencoders']
    """
    parts = _Parts(document, store)
    target = Path(folder)
    drawn: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}

    def draw(name: str, plot: Callable[[list[Path]], Any], missing: str | None = None) -> None:
        if missing is not None:
            left_out[name] = missing
            return
        files = [f"{name}.{suffix}" for suffix in FILE_KINDS]
        try:
            plot([target / file for file in files])
        except VogenError as error:
            left_out[name] = reason(error)
        else:
            drawn[name] = files

    draw(
        "fig_02_03_workflow",
        lambda paths: plot_workflow(steps, paths, "Steps of the flow, drawn from its jobs."),
        None if steps else "no steps were given",
    )
    draw(
        "fig_04_autoencoders",
        lambda paths: plot_training(
            load_shipped_training(preset, system), paths, networks=("lattice", "sites")
        ),
    )
    generators = parts.generators()
    draw(
        "fig_05_generators",
        lambda paths: plot_generator_losses(generators, paths),
        None if generators else "no generator was trained (stage gan)",
    )
    judged = parts.discovery(document.samplers[0]) if document.samplers else None
    stability = [] if judged is None else judged.stability
    unjudged = None if stability else "no crystal was relaxed (stage relax)"
    draw(
        "fig_06_formation_energies",
        lambda paths: plot_formation_energies(stability, paths, system),
        unjudged,
    )
    formulas = list(Published.values().request)  # in the order of the paper's figures
    for number, formula in enumerate(formulas, start=7):
        asked = formula in document.requested
        draw(
            f"fig_{number:02d}_{formula}",
            lambda paths, formula=formula: plot_formula(  # type: ignore[misc]
                stability, references, formula, paths, system
            ),
            unjudged if asked else f"no {formula} was asked for",
        )
    phonons = parts.phonons()
    for number, formula in enumerate(formulas, start=10):
        found = [one for one in phonons if one.formula == formula and one.phonons is not None]
        draw(
            f"fig_{number}_phonons_{formula}",
            lambda paths, found=found: plot_phonons(_largest(found), paths),  # type: ignore[misc]
            None if found else f"no phonons of new {formula} (stage phonons)",
        )
    series = _series(phonons)
    draw(
        "fig_s1_s2_supercells",
        lambda paths: plot_phonon_series(series, paths),
        None if len(series) > 1 else "no crystal was calculated in several supercells",
    )
    electronic = parts.electronic()
    best: list[str] = []
    for number, formula in enumerate(formulas, start=13):
        bands = [one for one in electronic if one.formula == formula and one.electrons is not None]
        best += [one.electronic_id for one in bands[:1]]
        draw(
            f"fig_{number}_electronic_{formula}",
            lambda paths, bands=bands: plot_electronic(bands[0], paths),  # type: ignore[misc]
            None if bands else f"no bands of new {formula} (stage electronic)",
        )
    halves = [
        one
        for one in electronic
        if one.electrons is not None and one.electrons.character in HALF_METALLIC
    ]
    # prefer a crystal that no other figure shows
    halves.sort(key=lambda one: one.electronic_id in best)
    draw(
        "fig_half_metal",
        lambda paths: plot_electronic(halves[0], paths),
        None if halves else "no half metal or half semiconductor among the crystals calculated",
    )
    return PaperFigures(drawn, left_out)


def paper_stability(document: PaperDoc, store: JobStore) -> dict[str, list[StabilityDoc]]:
    """Judged crystals that the tables count, by sampler.

    Parameters
    ----------
    document
        Output of a `PaperFlowMaker`.
    store
        Job store that its flow ran with, connected.

    Examples
    --------
    >>> from atomate2_vogen import VogenStores
    >>> from atomate2_vogen.report import paper_stability
    >>> from atomate2_vogen.schemas import PaperDoc
    >>> nothing = PaperDoc(requested={}, seed=1, samplers=[], scheme="CHGNet-0.3.0")
    >>> with VogenStores.memory() as stores:
    ...     paper_stability(nothing, stores.job_store)
    {}
    """
    parts = _Parts(document, store)
    found = {name: parts.discovery(name) for name in document.samplers}
    return {name: made.stability for name, made in found.items() if made is not None}


@dataclass
class _Parts:
    """What the tables of a `PaperDoc` were made of, from the job store."""

    document: PaperDoc
    store: JobStore

    def _output(self, name: str) -> Any:
        link = self.document.jobs.get(name)
        if link is None:
            return None
        try:
            return self.store.get_output(link.uuid, which="last", load=True)
        except ValueError:  # jobflow's error for an output that never came
            return None

    def _list(self, name: str, kind: type[Doc]) -> list[Doc]:
        return [parse(kind, one) for one in self._output(name) or []]

    def discovery(self, sampler: str) -> DiscoveryDoc | None:
        found = self._output(f"discovery {sampler}")
        return None if found is None else parse(DiscoveryDoc, found)

    def generators(self) -> list[GanDoc]:
        found = [self._output(f"train {kind}") for kind in ("GAN", "WGAN")]
        return [parse(GanDoc, one) for one in found if one is not None]

    def phonons(self) -> list[PhononDoc]:
        return self._list("phonons", PhononDoc)

    def electronic(self) -> list[ElectronicDoc]:
        return self._list("electronic", ElectronicDoc)


def _largest(documents: Sequence[PhononDoc]) -> PhononDoc:
    """Of the first crystal, that in the largest supercell."""
    first = [one for one in documents if one.candidate_id == documents[0].candidate_id]
    return max(first, key=lambda one: 0 if one.phonons is None else one.phonons.n_atoms_supercell)


def _series(documents: Sequence[PhononDoc]) -> list[PhononDoc]:
    """Those of the first crystal that was calculated in several supercells."""
    for one in documents:
        same = [
            other
            for other in documents
            if other.candidate_id == one.candidate_id and other.phonons is not None
        ]
        if len(same) > 1:
            return same
    return []


def paper_markdown(tables: Sequence[PaperTable]) -> str:
    """Tables as Markdown, with their notes.

    Parameters
    ----------
    tables
        Of a `PaperDoc`.

    Examples
    --------
    >>> from atomate2_vogen.report import paper_markdown
    >>> from atomate2_vogen.schemas import PaperTable
    >>> table = PaperTable(name="a", title="A", columns=["x", "paper"], rows=[["n", 3]])
    >>> print(paper_markdown([table]))
    ## A
    <BLANKLINE>
    | x | paper |
    | --- | ---: |
    | n | 3 |
    <BLANKLINE>
    """
    parts = []
    for table in tables:
        rule = ["---", *("---:" for _ in table.columns[1:])]
        lines = [table.columns, rule, *([paper_cell(cell) for cell in row] for row in table.rows)]
        body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        notes = "".join(f"\n{note}\n" for note in table.notes)
        parts.append(f"## {table.title}\n\n{body}\n{notes}")
    return "\n".join(parts)


def paper_csv(table: PaperTable) -> str:
    r"""A table as CSV; a share as count, whole, and the ends of its interval.

    Parameters
    ----------
    table
        One of a `PaperDoc`.

    Examples
    --------
    >>> from atomate2_vogen.report import paper_csv
    >>> from atomate2_vogen.schemas import PaperTable
    >>> paper_csv(PaperTable(name="a", title="A", columns=["x", "paper"], rows=[["n", None]]))
    'x,paper\nn,\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow(
            [paper_cell(cell) if isinstance(cell, Proportion) else cell for cell in row]
        )
    return text.getvalue()


def paper_cell(cell: TableCell) -> str:
    """A cell as text: a share as per cent, count and 95 % interval.

    Examples
    --------
    >>> from atomate2_vogen.report.paper import paper_cell
    >>> from atomate2_vogen.stability import proportion
    >>> paper_cell(proportion(33, 152)), paper_cell(None)
    ('21.7 % (33/152; 15.9-28.9 %)', '–')
    """
    if cell is None:
        return "–"
    if isinstance(cell, Proportion):
        if cell.share is None or cell.low is None or cell.high is None:
            return f"– ({cell.count}/{cell.total})"
        interval = f"{100 * cell.low:.1f}-{100 * cell.high:.1f} %"
        return f"{100 * cell.share:.1f} % ({cell.count}/{cell.total}; {interval})"
    if isinstance(cell, float):
        return f"{cell:g}".replace("-", "−")
    return str(cell).replace("\n", " ").replace("|", "/")
