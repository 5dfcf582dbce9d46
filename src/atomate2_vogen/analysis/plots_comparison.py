"""Figures of several samplers side by side: the counterparts of the paper's Figs. 6-9.

The paper shows, of its 451 crystals, the distribution of formation energies by composition
(Fig. 6) and, composition by composition, formation energies against the convex hull
(Figs. 7-9). Here every sampler has a column of its own, on axes shared by all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Composition
from pymatgen.util.string import latexify

from atomate2_vogen.analysis.phases import ReferenceHull, anion_fraction
from atomate2_vogen.analysis.plots import (
    _CLASSES,
    _RC,
    _above,
    _by_formula,
    _check_scheme,
    _draw_candidates,
    _draw_distances,
    _draw_hull,
    _figure,
    _formation,
    _ranked,
    _save,
)
from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas import ReferenceDoc, StabilityDoc

Judged = Mapping[str, Sequence[StabilityDoc]]
"""Judgements by sampler."""

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def plot_formation_comparison(
    judged: Judged, path: str | PathLike[str], system: OxideSystem = VANADIUM
) -> Path:
    """Draw formation energies after relaxation, formulas by samplers (paper, Fig. 6).

    Parameters
    ----------
    judged
        Judgements by sampler; only ranked ones are drawn.
    path
        PNG to write.
    system
        The oxide.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If there is no sampler.
    SchemeMismatchError
        If the documents are of several schemes.
    """
    from matplotlib import rc_context

    scheme = _scheme(judged)
    groups = {name: _by_formula(documents, system) for name, documents in judged.items()}
    formulas = _formulas(judged, system)
    ranked = [doc for documents in judged.values() for doc in _ranked(documents)]
    on_hull = {
        formula: float(np.mean([_formation([d])[0] - _above([d])[0] for d in documents]))
        for formula, documents in _by_formula(ranked, system).items()
    }
    bins = _bins([*_formation(ranked).tolist(), *on_hull.values()], 0.05)
    with rc_context(_RC):
        rows = max(1, len(formulas))
        figure = _figure(0.6 + 2.5 * len(judged), 0.9 + 1.5 * rows)
        grid = figure.subplots(rows, len(judged), sharex=True, sharey="row", squeeze=False)
        for column, (name, by_formula) in enumerate(groups.items()):
            if not by_formula:
                # ticks stay: the axes are shared with samplers that have something to show
                grid[0, column].text(
                    0.5,
                    0.5,
                    "no ranked candidate",
                    transform=grid[0, column].transAxes,
                    ha="center",
                    color="0.4",
                )
            for axes, formula in zip(grid[:, column], formulas, strict=False):
                documents = by_formula.get(formula, [])
                axes.hist(
                    np.minimum(_formation(documents), bins[-1]),
                    bins=bins,
                    color=_COLOURS[column % len(_COLOURS)],
                    edgecolor="white",
                    linewidth=0.3,
                )
                if formula in on_hull:
                    axes.axvline(
                        on_hull[formula], color="black", linestyle=(0, (4, 2)), linewidth=1.0
                    )
                axes.annotate(
                    f"{latexify(formula)}   n = {len(documents)}" + _median(documents),
                    (0.98, 0.96),
                    xycoords="axes fraction",
                    ha="right",
                    va="top",
                    fontsize=7.5,
                )
            grid[0, column].set_title(name, fontweight="bold")
        for axes in grid[:, 0]:
            axes.set_ylabel("Crystals")
            axes.set_ylim(0, 1.25 * max(1.0, axes.get_ylim()[1]))
            axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
        for axes in grid[-1]:
            axes.set_xlabel("Formation energy (eV/atom)")
        return _save(
            figure,
            f"{_counts(judged, scheme)} Bins of {bins[1] - bins[0]:.2g} eV/atom, the last one with "
            "all that lies above; dashed: the hull.",
            path,
        )


def plot_hull_comparison(
    judged: Judged,
    references: Sequence[ReferenceDoc],
    path: str | PathLike[str],
    system: OxideSystem = VANADIUM,
) -> Path:
    """Draw candidates on the hull, a column for each sampler (paper, Figs. 7-9).

    Above, formation energy over anion fraction; below, energy above hull by formula, where
    crystals of one composition can be told apart.

    Parameters
    ----------
    judged
        Judgements by sampler; only ranked ones are drawn.
    references
        The phases that they were judged against.
    path
        PNG to write.
    system
        The oxide.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If there is no sampler.
    SchemeMismatchError
        If documents and references are of different schemes.
    MissingReferenceError, ElementError, NonFiniteError
        As `ReferenceHull`.
    """
    from matplotlib import rc_context

    hull = ReferenceHull(references, system)
    scheme = _scheme(judged, hull.scheme)
    with rc_context(_RC):
        figure = _figure(0.6 + 3.3 * len(judged), 6.6)
        grid = figure.subplots(2, len(judged), squeeze=False, height_ratios=(1.0, 1.1))
        for column, (name, documents) in enumerate(judged.items()):
            above, below = grid[:, column]
            _draw_hull(above, hull)
            _draw_candidates(above, documents, system)
            _draw_distances(below, documents, system, size=8.0)
            for axes in (above, below):
                axes.set_title("", loc="left")
            above.set_title(name, fontweight="bold")
        for row in grid:
            limits = np.array([axes.get_ylim() for axes in row])
            for axes in row:
                axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
            for axes in row[1:]:
                axes.set_ylabel("")
        entries: dict[str, Any] = {}
        for axes in grid[0]:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                entries.setdefault(label.split(" (")[0], handle)
        figure.legend(
            entries.values(),
            entries.keys(),
            loc="outside upper center",
            ncols=4 if len(judged) > 1 else 2,
            frameon=False,
        )
        return _save(figure, f"{_counts(judged, scheme)} {_CLASSES}", path)


def _scheme(judged: Judged, scheme: str | None = None) -> str:
    """The one scheme of all documents; a dash if there is no document."""
    if not judged:
        raise InputError("no sampler to draw")
    everything = [doc for documents in judged.values() for doc in documents]
    found = scheme or (everything[0].scheme if everything else "-")
    _check_scheme(everything, found)
    return found


def _formulas(judged: Judged, system: OxideSystem) -> list[str]:
    return _ordered(
        {doc.formula for documents in judged.values() for doc in _ranked(documents)}, system
    )


def _ordered(formulas: set[str], system: OxideSystem) -> list[str]:
    """Formulas by rising anion fraction."""
    return sorted(formulas, key=lambda formula: anion_fraction(Composition(formula), system))


def _counts(judged: Judged, scheme: str) -> str:
    parts = [f"{name} {len(_ranked(docs))} of {len(docs)}" for name, docs in judged.items()]
    return f"Judge: {scheme}. Candidates ranked: {', '.join(parts)}."


def _bins(values: Sequence[float], width: float) -> np.ndarray:
    low, high = (min(values), float(np.percentile(values, 99))) if values else (-1.0, 0.0)
    width = max(width, round((high - low) / 60, 2))
    return np.arange(np.floor(low / width) - 1, np.ceil(high / width) + 2) * width


def _median(documents: Sequence[StabilityDoc]) -> str:
    if not documents:
        return ""
    return f", median {np.median(_formation(documents)):.2f}".replace("-", "−")
