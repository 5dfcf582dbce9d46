"""Distributions of several samplers on shared axes: energies above hull, cells, volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Structure
from pymatgen.util.string import latexify

from atomate2_vogen.analysis.hull import METASTABLE_LIMIT, NEAR_HULL_LIMIT, STABLE_LIMIT
from atomate2_vogen.analysis.plots import _RC, _above, _figure, _ranked, _save
from atomate2_vogen.analysis.plots_comparison import (
    _COLOURS,
    Judged,
    _counts,
    _ordered,
    _scheme,
)
from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CUTS = (NEAR_HULL_LIMIT, STABLE_LIMIT, METASTABLE_LIMIT)


def plot_above_hull(
    judged: Judged,
    requested: Mapping[str, Mapping[str, int]],
    path: str | PathLike[str],
    published: Mapping[str, Mapping[float, float]] | None = None,
    system: OxideSystem = VANADIUM,
) -> Path:
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
        PNG to write.
    published
        Points to compare with: share by eV/atom above hull, by formula or ``all``.
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
    formulas = _ordered({formula for counts in requested.values() for formula in counts}, system)
    with rc_context(_RC):
        panels = [*formulas, None] if len(formulas) > 1 else list(formulas)
        columns = min(2, len(panels))
        figure = _figure(3.6 * columns, 0.9 + 2.6 * -(-len(panels) // columns))
        grid = figure.subplots(-(-len(panels) // columns), columns, squeeze=False).ravel()
        for axes, formula in zip(grid, panels, strict=False):
            for (name, documents), colour in zip(judged.items(), _COLOURS, strict=False):
                counts = requested[name]
                wanted = sum(counts.values()) if formula is None else counts.get(formula, 0)
                chosen = [doc for doc in documents if formula in {None, doc.formula}]
                before = [d.initial_energy_above_hull for d in chosen]
                after = _above(_ranked(chosen))
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
            axes.set_title(latexify(formula) if formula else "all", loc="left", fontweight="bold")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[::columns]:
            axes.set_ylabel("Share of those asked for")
        for axes in grid[len(panels) - columns : len(panels)]:
            axes.set_xlabel("Energy above hull (eV/atom)")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
        star = " Stars: the paper's, by DFT on the hull of the Materials Project." * bool(published)
        return _save(
            figure,
            f"{_counts(judged, scheme)} Solid: after relaxation; dotted: as generated.{star}",
            path,
        )


def plot_cells(
    cells: Mapping[str, Sequence[tuple[Structure, Structure | None]]], path: str | PathLike[str]
) -> Path:
    """Draw edges and angles of the Niggli cells, and the volume per atom.

    Parameters
    ----------
    cells
        Crystals as generated and as relaxed, by sampler.
    path
        PNG to write.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If there is no sampler.
    """
    from matplotlib import rc_context

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
    with rc_context(_RC):
        figure = _figure(9.6, 3.2)
        for index, (axes, (label, (low, high), width)) in enumerate(
            zip(figure.subplots(1, 3), panels, strict=True)
        ):
            bins = np.arange(low, high + width / 2, width)
            for (name, colour), (kind, style) in (
                (pair, line)
                for pair in zip(cells, _COLOURS, strict=False)
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
            axes.set_title("abc"[index], loc="left", fontweight="bold")
            axes.set_ylabel("Share" if index == 0 else "")
        handles = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper center", ncols=4, frameon=False
        )
        counts = ", ".join(f"{len(pairs)} by {name}" for name, pairs in cells.items())
        return _save(
            figure,
            f"Niggli cells of {counts}. Solid: after relaxation; dotted: as generated. What lies "
            "beyond a panel is counted in its last bin.",
            path,
        )


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
