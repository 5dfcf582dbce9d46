"""The hull with the candidates on it: counterpart of the paper's Figs. 7-9."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.plotting.documents import count_states, one_scheme
from atomate2_vogen.plotting.figures import drawing, legend_above, legend_entries, panel_title
from atomate2_vogen.plotting.panels import (
    CLASSES,
    draw_candidates,
    draw_distances,
    draw_hull,
)
from atomate2_vogen.schemas import ReferenceDoc, StabilityDoc
from atomate2_vogen.stability.phases import ReferenceHull


def plot_hull(
    stability: Sequence[StabilityDoc],
    references: Sequence[ReferenceDoc],
    path: str | PathLike[str],
    system: OxideSystem = VANADIUM,
) -> Path:
    """Draw candidates on the reference hull, as in the paper's Figs. 7-9.

    Panel a: formation energy over anion fraction, with the hull and the names of its phases.
    Panel b: energy above hull by formula, where crystals of one composition can be distinguished
    apart; what lies above the frame is counted at its upper edge.

    Parameters
    ----------
    stability
        Judged candidates; only ranked ones are drawn, the others are counted in the caption.
    references
        Reference phases of the hull.
    path
        Picture to write: PNG, PDF or SVG by its suffix.
    system
        The oxide.

    Returns
    -------
    Path
        The file written.

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
    >>> plot_hull([], load_references("CHGNet-0.3.0"), "hull.png").name
    'hull.png'
    """
    hull = ReferenceHull(references, system)
    scheme = one_scheme(stability, hull.scheme)
    caption = f"{count_states(stability, scheme)} {CLASSES}"
    with drawing(path, caption, width=7.2, height=4.0) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
        draw_hull(left, hull)
        draw_candidates(left, stability, system)
        draw_distances(right, stability, system)
        panel_title(left, "a")
        panel_title(right, "b")
        legend_above(figure, legend_entries([left]))
    return Path(path)
