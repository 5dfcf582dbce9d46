"""Distributions of several samplers on shared axes: energies above hull, cells, volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Structure
from pymatgen.util.string import latexify

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting.documents import (
    BySampler,
    count_ranked,
    energies_above_hull,
    one_scheme_of_all,
    ordered,
    ranked,
)
from atomate2_vogen.plotting.figures import (
    SERIES,
    Files,
    drawing,
    legend_entries,
    panel_title,
)
from atomate2_vogen.stability.judging import METASTABLE_LIMIT, NEAR_HULL_LIMIT, STABLE_LIMIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CUTS = (NEAR_HULL_LIMIT, STABLE_LIMIT, METASTABLE_LIMIT)


def plot_above_hull(
    judged: BySampler,
    requested: Mapping[str, Mapping[str, int]],
    path: Files,
    published: Mapping[str, Mapping[float, float]] | None = None,
    system: OxideSystem = VANADIUM,
) -> Figure:
    """Draw which share of the crystals asked for lies within an energy above hull.

    Panel by panel for each formula and for all: solid after relaxation (ranked crystals),
    dotted as generated. What was not delivered or not ranked lies nowhere, so a curve ends
    below one.

    Parameters
    ----------
    judged
        Judgements by sampler.
    requested
        Crystals asked for, by sampler and formula.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix.
    published
        Points to compare with: share by eV/atom above hull, by formula or ``all``.
    system
        The oxide.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If there is no sampler.
    SchemeMismatchError
        If the documents are of several schemes.
    """
    scheme = one_scheme_of_all(judged)
    star = " Stars: the paper's, by DFT on the hull of the Materials Project." * bool(published)
    caption = f"{count_ranked(judged, scheme)} Solid: after relaxation; dotted: as generated.{star}"
    formulas = ordered({formula for counts in requested.values() for formula in counts}, system)
    panels = [*formulas, None] if len(formulas) > 1 else list(formulas)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with drawing(path, caption, width=3.6 * columns, height=0.9 + 2.6 * rows) as page:
        grid = page.panels(len(panels), columns)
        for axes, formula in zip(grid, panels, strict=True):
            for (name, documents), colour in zip(judged.items(), SERIES, strict=False):
                counts = requested[name]
                wanted = sum(counts.values()) if formula is None else counts.get(formula, 0)
                chosen = [doc for doc in documents if formula in {None, doc.formula}]
                before = [d.initial_energy_above_hull for d in chosen]
                after = energies_above_hull(ranked(chosen))
                known = [energy for energy in before if energy is not None]
                _draw_steps(axes, after, wanted, colour=colour, style="-", label=name)
                _draw_steps(axes, known, wanted, colour=colour, style=":")
            for at, share in (published or {}).get(formula or "all", {}).items():
                axes.plot(at, share, "*", color="black", markersize=9, zorder=5, clip_on=False)
            for cut in _CUTS:
                axes.axvline(cut, color="0.85", linewidth=0.7, zorder=0)
            axes.set_xscale("symlog", linthresh=0.1, linscale=0.6)
            axes.set(
                xlim=(-0.05, 8),
                ylim=(0, 1.02),
                xticks=(0, *_CUTS, 1, 3),
                xticklabels=[f"{x:g}" for x in (0, *_CUTS, 1, 3)],
            )
            axes.minorticks_off()
            panel_title(axes, latexify(formula) if formula else "all")
        for axes in grid[::columns]:
            axes.set_ylabel("Share of those asked for")
        for axes in grid[len(panels) - columns : len(panels)]:
            axes.set_xlabel("Energy above hull (eV/atom)")
        page.legend(legend_entries(grid[:1]))
    return page.figure


def plot_cells(
    cells: Mapping[str, Sequence[tuple[Structure, Structure | None]]], path: Files
) -> Figure:
    """Draw edges and angles of the Niggli cells, and the volume per atom.

    Parameters
    ----------
    cells
        Crystals as generated and as relaxed, by sampler.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If there is no sampler.
    """
    if not cells:
        raise InputError("no sampler to draw")
    generated = {name: _cells([pair[0] for pair in pairs]) for name, pairs in cells.items()}
    relaxed = {
        name: _cells([pair[1] for pair in pairs if pair[1] is not None])
        for name, pairs in cells.items()
    }
    panels = (
        ("Cell edge (Å)", (2, 14), 0.5),
        ("Cell angle (°)", (53.75, 126.25), 2.5),
        ("Volume per atom (Å³)", (6, 26), 0.5),
    )
    counts = ", ".join(f"{len(pairs)} by {name}" for name, pairs in cells.items())
    caption = (
        f"Niggli cells of {counts}. Solid: after relaxation; dotted: as generated. What lies "
        "beyond a panel is counted in its last bin."
    )
    with drawing(path, caption, width=9.6, height=3.2) as page:
        for index, (axes, (label, (low, high), width)) in enumerate(
            zip(page.panels(3), panels, strict=True)
        ):
            bins = np.arange(low, high + width / 2, width)
            for (name, colour), (kind, style) in (
                (pair, line)
                for pair in zip(cells, SERIES, strict=False)
                for line in ((relaxed, "-"), (generated, ":"))
            ):
                values = kind[name][index]
                if len(values) == 0:
                    continue
                axes.hist(
                    np.clip(values, low, high),
                    bins=bins,
                    weights=np.full(len(values), 1 / len(values)),
                    histtype="step",
                    color=colour,
                    linestyle=style,
                    linewidth=1.2,
                    label=name if kind is relaxed else None,
                )
            axes.set(xlabel=label, xlim=(low, high))
            panel_title(axes, "abc"[index])
            axes.set_ylabel("Share" if index == 0 else "")
        page.legend(legend_entries(page.figure.axes))
    return page.figure


def _cells(structures: Sequence[Structure]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges (3n,), angles (3n,) and volumes per atom (n,) of Niggli cells."""
    lattices = [structure.lattice.get_niggli_reduced_lattice() for structure in structures]
    return (
        np.array([length for lattice in lattices for length in lattice.abc]),
        np.array([angle for lattice in lattices for angle in lattice.angles]),
        np.array([structure.volume / len(structure) for structure in structures]),
    )


def _draw_steps(
    axes: Axes,
    energies: Sequence[float] | np.ndarray,
    wanted: int,
    *,
    colour: str,
    style: str,
    label: str | None = None,
) -> None:
    """Share of `wanted` up to each energy."""
    ordered = np.sort(np.asarray(energies, dtype=float))
    x = np.concatenate([[-1.0], ordered, [100.0]])
    y = np.concatenate([np.arange(len(ordered) + 1), [len(ordered)]]) / max(1, wanted)
    axes.step(x, y, where="post", color=colour, linestyle=style, linewidth=1.3, label=label)
