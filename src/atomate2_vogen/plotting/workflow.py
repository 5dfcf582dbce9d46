"""The diagram of a flow: counterpart of the paper's Figs. 2 and 3."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting.figures import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    Files,
    Panels,
    drawing,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "sampling": ORANGE,
    "training": PURPLE,
    "forcefield": SKY,
    "dft": GREEN,
    "analysis": "#BBBBBB",
}
"""Colour of a box by the category of its jobs."""

BOX_WIDTH, BOX_HEIGHT, BOX_GAP = 1.75, 0.5, 0.3
"""Of a box, and between boxes, inches."""


@dataclass(frozen=True)
class Step:
    """Jobs of a flow that do the same.

    Parameters
    ----------
    name
        What they do.
    category
        Key of `COLOURS`; another one is drawn as analysis.
    n_jobs
        How many there are; 0 for those that are made when the flow runs.
    inputs
        Names of the steps whose outputs they need.

    Examples
    --------
    >>> from atomate2_vogen.plotting import Step
    >>> Step("relax", "forcefield", 0, ("sample",)).inputs
    ('sample',)
    """

    name: str
    category: str
    n_jobs: int
    inputs: tuple[str, ...] = ()


def plot_workflow(
    steps: Sequence[Step],
    path: Files | None = None,
    caption: str = "",
    *,
    ax: Panels | None = None,
) -> Figure:
    """Draw the steps of a flow as boxes and their dependencies as arrows.

    Parameters
    ----------
    steps
        Of a flow, such as `flows.steps_of` gives them; inputs that are no step are left out.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    caption
        Text below the diagram.
    ax
        Axes to draw into, one; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If there is no step, two have one name, or steps need each other in a circle.

    Examples
    --------
    >>> from atomate2_vogen.plotting import Step, plot_workflow
    >>> steps = [Step("sample", "sampling", 3), Step("relax", "forcefield", 0, ("sample",))]
    >>> plot_workflow(steps, "workflow.png").axes[0].texts[0].get_text().split()
    ['sample', '3', 'jobs']
    """
    import networkx as nx

    graph = _graph(steps)
    # each as late as it can be, so that arrows are short
    rows = [*nx.topological_generations(graph.reverse())][::-1]
    columns = max(len(row) for row in rows)
    width = columns * (BOX_WIDTH + BOX_GAP) - BOX_GAP + 0.1
    height = len(rows) * (BOX_HEIGHT + BOX_GAP) - BOX_GAP + 0.1
    with drawing(path, caption, width=max(width, 4.5), height=height + 1.0, ax=ax) as page:
        (axes,) = page.panels(1)
        places = {
            name: (
                (x + (columns - len(row)) / 2) * (BOX_WIDTH + BOX_GAP),
                -y * (BOX_HEIGHT + BOX_GAP),
            )
            for y, row in enumerate(rows)
            for x, name in enumerate(row)
        }
        for step in steps:
            _draw_box(axes, step, places[step.name])
        # a dependency that follows from others gets no arrow
        for first, second in nx.transitive_reduction(graph).edges:
            _draw_arrow(axes, places[first], places[second])
        axes.set_xlim(-0.05, width - 0.05)
        axes.set_ylim(BOX_HEIGHT - height + 0.05, BOX_HEIGHT + 0.05)
        axes.set_aspect("equal")
        axes.set_axis_off()
        page.legend(_legend(steps), columns=5)
    return page.figure


def _graph(steps: Sequence[Step]) -> Any:
    """Steps as a graph without circles."""
    import networkx as nx

    names = [step.name for step in steps]
    if not names or len(set(names)) < len(names):
        raise InputError("a diagram needs steps with unique names")
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from(
        (name, step.name) for step in steps for name in step.inputs if name in names
    )
    if not nx.is_directed_acyclic_graph(graph):
        raise InputError("the steps need each other in a circle")
    return graph


def _draw_box(axes: Axes, step: Step, place: tuple[float, float]) -> None:
    from matplotlib.patches import FancyBboxPatch

    colour = COLOURS.get(step.category, COLOURS["analysis"])
    box = FancyBboxPatch(
        place,
        BOX_WIDTH,
        BOX_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=_pale(colour),
        edgecolor="black",
        linewidth=0.8,
    )
    axes.add_patch(box)
    number = "as found" if step.n_jobs == 0 else f"{step.n_jobs} job{'s' * (step.n_jobs != 1)}"
    text = textwrap.fill(step.name, width=27)
    middle = (place[0] + BOX_WIDTH / 2, place[1] + BOX_HEIGHT / 2)
    axes.annotate(f"{text}\n{number}", middle, ha="center", va="center", fontsize=7)


def _draw_arrow(axes: Axes, begin: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate(
        "",
        xy=(end[0] + BOX_WIDTH / 2, end[1] + BOX_HEIGHT),
        xytext=(begin[0] + BOX_WIDTH / 2, begin[1]),
        arrowprops={
            "arrowstyle": "-|>",
            "color": BLUE,
            "linewidth": 0.9,
            "shrinkA": 0,
            "shrinkB": 1,
        },
        zorder=0,
    )


def _legend(steps: Sequence[Step]) -> dict[str, Any]:
    """Coloured boxes by what they stand for."""
    from matplotlib.patches import Patch

    named = {
        "sampling": "generate",
        "training": "train",
        "forcefield": "energy model",
        "dft": "DFT",
        "analysis": "analysis",
    }
    used = {step.category for step in steps}
    return {
        name: Patch(facecolor=_pale(COLOURS[category]), edgecolor="black")
        for category, name in named.items()
        if category in used
    }


def _pale(colour: str) -> str:
    """The colour mixed with white: text on it can be read, and no arrow shines through."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (0.45 + 0.55 * part for part in to_rgb(colour))
    return to_hex((red, green, blue))
