"""Energy models against density functional theory on the same crystals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pymatgen.util.string import latexify

from atomate2_vogen.plotting.figures import (
    SERIES,
    Files,
    Panels,
    drawing,
    legend_entries,
)
from atomate2_vogen.schemas import DftDoc, ModelAgreement
from atomate2_vogen.stability.agreement import compared_heights, model_agreements

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Of formulas, in order."""

MEV = 1000


def plot_parity(
    documents: Sequence[DftDoc], path: Files | None = None, *, ax: Panels | None = None
) -> Figure:
    """Draw energies above the lowest known phase: each energy model against DFT.

    One panel per model, on shared axes; one colour and marker per formula, filled for finds and
    open for known phases. Points on the dashed line are those on which both agree.

    Parameters
    ----------
    documents
        Known phases and finds of one DFT scheme.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    ax
        Axes to draw into, one per energy model; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Examples
    --------
    >>> from atomate2_vogen.plotting import plot_parity
    >>> from atomate2_vogen.schemas import DftDoc, ModelHeight
    >>> document = DftDoc(
    ...     dft_id="VO2-1|GPAW-PBE",
    ...     crystal="VO2-1",
    ...     is_known=False,
    ...     formula="VO2",
    ...     chemsys="O-V",
    ...     scheme="GPAW-PBE",
    ...     engine="gpaw",
    ...     state="completed",
    ...     lowest_known_phase="VO2 P4_2/mnm",
    ...     above_known_phase=0.03,
    ...     by_models=[ModelHeight(engine="diep", above_known_phase=0.02)],
    ... )
    >>> plot_parity([document], "parity.png").axes[0].get_xlabel()
    'DFT (meV/atom)'
    """
    heights = compared_heights(documents)
    by_id = {one.dft_id: one for one in documents}
    formulas = list(dict.fromkeys(one.formula for one in documents))
    schemes = ", ".join(sorted({one.scheme for one in documents}))
    failed = sum(one.energy_per_atom is None for one in documents)
    caption = (
        f"Energy above the lowest known phase of the formula, DFT {schemes}. Filled: finds; open: "
        "known phases, the one that DFT places lowest left out."
        + (f" Without energy: {failed}." if failed else "")
    )
    agreements = {one.engine: one for one in model_agreements(documents)}
    width = 1.2 + 2.4 * max(1, len(heights))
    height = 3.2 if len(heights) > 1 else 4.2
    with drawing(path, caption, width=width, height=height, ax=ax) as page:
        panels = page.panels(max(1, len(heights)), sharex=True, sharey=True)
        for axes, (engine, found) in zip(panels, heights.items(), strict=False):
            for name, (model, dft) in found.items():
                one = by_id[name]
                number = formulas.index(one.formula)
                colour = SERIES[number % len(SERIES)]
                axes.plot(
                    dft * MEV,
                    model * MEV,
                    linestyle="none",
                    marker=MARKERS[number % len(MARKERS)],
                    markersize=5.5,
                    color=colour,
                    markerfacecolor="white" if one.is_known else colour,
                )
            axes.set_title(_title(agreements[engine]), fontsize=8.5, loc="left")
        for number, formula in enumerate(formulas):
            panels[0].plot(
                [],
                linestyle="none",
                marker=MARKERS[number % len(MARKERS)],
                color=SERIES[number % len(SERIES)],
                label=latexify(formula),
            )
        values = [
            value * MEV for found in heights.values() for pair in found.values() for value in pair
        ]
        low, high = min([0.0, *values]), max([10.0, *values])
        room = 0.06 * (high - low)
        for axes in panels:
            axes.axline((0, 0), slope=1, color="0.5", linestyle=(0, (4, 2)), linewidth=0.9)
            axes.set(xlim=(low - room, high + room), ylim=(low - room, high + room))
            axes.set_box_aspect(1)
        panels[0].set_ylabel("Energy model (meV/atom)")
        for axes in panels:
            axes.set_xlabel("DFT (meV/atom)")
        page.legend(legend_entries(panels))
    return page.figure


def _title(agreement: ModelAgreement) -> str:
    rank = agreement.rank_correlation
    told = "" if rank is None else f", rank correlation {rank:.2f}".replace("-", "−")
    return f"{agreement.engine}: n = {agreement.n}{told}"
