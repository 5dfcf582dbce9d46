"""The hull with the candidates on it: counterpart of the paper's Figs. 7-9."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.plotting.documents import count_states, one_scheme
from atomate2_vogen.plotting.figures import (
    Files,
    Panels,
    drawing,
    legend_entries,
    panel_title,
)
from atomate2_vogen.plotting.panels import (
    CLASSES,
    draw_candidates,
    draw_compounds,
    draw_distances,
    draw_hull,
)
from atomate2_vogen.schemas import ReferenceDoc, StabilityDoc
from atomate2_vogen.stability.phases import ReferenceHull

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_hull(
    stability: Sequence[StabilityDoc],
    references: Sequence[ReferenceDoc],
    path: Files | None = None,
    system: OxideSystem = VANADIUM,
    *,
    ax: Panels | None = None,
) -> Figure:
    """Draw candidates on the reference hull, as in the paper's Figs. 7-9.

    Panel a: formation energy over anion fraction, with the hull. Panel b: the same between the
    compounds on the hull, with their names. Panel c: energy above hull by formula, crystals of
    one formula side by side; the number of those above the axis limit stands at the top.

    Parameters
    ----------
    stability
        Judged candidates; only ranked ones are drawn, the others are counted in the caption.
    references
        Reference phases of the hull.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    system
        The oxide.
    ax
        Axes to draw into, three; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    SchemeMismatchError
        If documents and references are of different schemes.
    MissingReferenceError, ElementError, NonFiniteError
        As `ReferenceHull`.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.plotting import plot_hull
    >>> figure = plot_hull([], load_references("CHGNet-0.3.0"), "hull.png")
    >>> figure.axes[0].get_ylabel()
    'Formation energy (eV/atom)'
    """
    hull = ReferenceHull(references, system)
    scheme = one_scheme(stability, hull.scheme)
    caption = f"{count_states(stability, scheme)} {CLASSES}"
    with drawing(path, caption, width=7.2, height=4.0, ax=ax) as page:
        whole, zoom, heights = page.panels(3, width_ratios=(0.8, 1.0, 1.0))
        draw_hull(whole, hull, names=False)
        draw_candidates(whole, stability, system)
        draw_candidates(zoom, stability, system)
        draw_compounds(zoom, hull)  # the frame is set last
        draw_distances(heights, stability, system, size=14.0)
        (x0, x1), (y0, y1) = zoom.get_xlim(), zoom.get_ylim()
        whole.set_ylim(bottom=min(whole.get_ylim()[0], 1.02 * y0))
        whole.indicate_inset((x0, y0, x1 - x0, y1 - y0), edgecolor="0.4", alpha=1.0)
        for axes, letter in ((whole, "a"), (zoom, "b"), (heights, "c")):
            panel_title(axes, letter)
        page.legend(legend_entries([whole]))
    return page.figure
