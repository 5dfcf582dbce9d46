"""Charts as SVG: axes, lines, bars and markers, drawn without a browser.

What is drawn bears classes, and the page's style sheet gives them colours for light, dark and
paper. Every element is built as a tree, so text can never become markup. Markers and lines keep
their data coordinates in ``data-x``, ``data-y`` and ``data-xy``, by which the page's script
zooms a chart that is marked as zoomable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

import numpy as np

from atomate2_vogen.report.numbers import number

MARKER_PATHS = {
    "circle": "M-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0-8.4 0Z",
    "triangle": "M0-5.2L4.8 3.6H-4.8Z",
    "cross": "M-4.4-2.8L-2.8-4.4L0-1.6L2.8-4.4L4.4-2.8L1.6 0L4.4 2.8L2.8 4.4L0 1.6L-2.8 4.4"
    "L-4.4 2.8L-1.6 0Z",
    "square": "M-3.4-3.4h6.8v6.8h-6.8z",
}
"""Outlines of markers, each around 0, 0."""


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Parameters
    ----------
    low, high
        Its ends in data units.
    label
        Quantity and unit.
    ticks
        Places and texts; found where left out.
    bend
        Rising function that the axis is linear in, e.g. `bent`; None for the value itself.
    """

    low: float
    high: float
    label: str = ""
    ticks: tuple[tuple[float, str], ...] | None = None
    bend: Callable[[float], float] | None = None

    def share(self, value: float) -> float:
        """Place of a value, 0 at the lower end and 1 at the upper."""
        bend = self.bend or float
        return (bend(value) - bend(self.low)) / (bend(self.high) - bend(self.low))

    def marks(self, number_of: int) -> tuple[tuple[float, str], ...]:
        """Ticks, about so many where they are not given."""
        if self.ticks is not None:
            return self.ticks
        from matplotlib.ticker import MaxNLocator

        step = MaxNLocator(nbins=number_of, steps=[1, 2, 5, 10])
        places = [
            v
            for v in step.tick_values(self.low, self.high)
            if self.low - 1e-9 <= v <= self.high + 1e-9
        ]
        gap = min(np.diff(places), default=1.0)
        digits = max(0, -math.floor(math.log10(gap) + 1e-9))
        return tuple((float(v), number(v, digits)) for v in places)


def bent(value: float) -> float:
    """Linear to about 0.1 and logarithmic beyond: room for small energies and large ones."""
    return math.asinh(value / 0.1)


@dataclass
class Chart:
    """One panel; draw into it, then take `svg`.

    Parameters
    ----------
    name
        Unique in the page.
    description
        What it shows, for those who cannot see it.
    x, y
        The axes.
    width, height
        Units of the drawing; the page scales it.
    zoomable
        Whether the page's script may change the axes.
    """

    name: str
    description: str
    x: Axis
    y: Axis
    width: float = 460
    height: float = 280
    margins: tuple[float, float, float, float] = (14, 14, 46, 54)
    """Top, right, bottom, left."""
    zoomable: bool = False
    root: ET.Element = field(init=False)
    marks: ET.Element = field(init=False)

    def __post_init__(self) -> None:
        """Draw frame and axes."""
        self.root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {self.width:g} {self.height:g}",
                "class": "chart",
                "id": f"chart-{self.name}",
                "role": "group",
                "aria-label": self.description,
            },
        )
        top, right, bottom, left = self.margins
        self.left, self.right = left, self.width - right
        self.top, self.bottom = top, self.height - bottom
        if self.zoomable:
            values = (self.left, self.right, self.top, self.bottom)
            self.root.set("data-frame", " ".join(f"{v:g}" for v in values))
            values = (self.x.low, self.x.high, self.y.low, self.y.high)
            self.root.set("data-domain", " ".join(f"{v:.6g}" for v in values))
        definitions = _child(self.root, "defs")
        clip = _child(definitions, "clipPath", id=f"clip-{self.name}")
        self._box(clip, 0)
        self._box(self.root, 0, **{"class": "frame"})
        self._axes()
        self.marks = _child(self.root, "g", **{"clip-path": f"url(#clip-{self.name})"})

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A point of the data in units of the drawing."""
        return (
            self.left + self.x.share(x) * (self.right - self.left),
            self.bottom - self.y.share(y) * (self.bottom - self.top),
        )

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        data = " ".join(f"{x:.5g},{y:.5g}" for x, y in points)
        _child(
            self.marks,
            "path",
            **{"d": self._outline(points), "class": f"line {kind}", "data-xy": data},
        )

    def area(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """The area between a line and the lower edge."""
        floor = self.y.low
        closed = [(points[0][0], floor), *points, (points[-1][0], floor)]
        _child(self.marks, "path", **{"d": f"{self._outline(closed)}Z", "class": f"area {kind}"})

    def level(self, value: float, kind: str, text: str = "", *, upright: bool = False) -> None:
        """A straight line across the chart, with a text at its end."""
        if upright:
            ends = [(value, self.y.low), (value, self.y.high)]
        else:
            ends = [(self.x.low, value), (self.x.high, value)]
        self.line(ends, kind)
        if text:
            x, y = self.place(*ends[1])
            if upright:
                self.text(x + 3, y + 10, text, "note")
            else:
                self.text(x - 3, y - 3, text, "note end")

    def marker(
        self,
        x: float,
        y: float,
        *,
        shape: str,
        kind: str,
        text: str,
        link: str | None = None,
        index: int | None = None,
        size: float = 1.0,
    ) -> None:
        """Marker that shows `text` when pointed at, and links to `link`."""
        px, py = self.place(x, y)
        attributes = {"class": "point", "data-x": f"{x:.6g}", "data-y": f"{y:.6g}"}
        if index is not None:
            attributes["data-i"] = str(index)
        if link is None:
            holder = _child(self.marks, "g", **attributes, role="img", **{"aria-label": text})
        else:
            holder = _child(self.marks, "a", href=link, **attributes, **{"aria-label": text})
        _child(
            holder,
            "path",
            d=MARKER_PATHS[shape],
            transform=f"translate({px:.1f} {py:.1f})" + (f" scale({size:g})" if size != 1 else ""),
            **{"class": f"mark {kind}"},
        )

    def text(self, x: float, y: float, content: str, kind: str, **attributes: str) -> None:
        """Text at a place in units of the drawing."""
        _text(self.root, x, y, content, kind, **attributes)

    def leader(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A thin line from a place to its name, in units of the drawing."""
        (x, y), (u, v) = start, end
        outline = f"M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}"
        _child(self.root, "path", **{"d": outline, "class": "leader vertex"})

    def svg(self) -> str:
        """The markup."""
        return ET.tostring(self.root, encoding="unicode", short_empty_elements=False)

    def _outline(self, points: Sequence[tuple[float, float]]) -> str:
        placed = [self.place(x, y) for x, y in points]
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)

    def _box(self, parent: ET.Element, pad: float, **attributes: str) -> None:
        _child(
            parent,
            "rect",
            x=f"{self.left - pad:g}",
            y=f"{self.top - pad:g}",
            width=f"{self.right - self.left + 2 * pad:g}",
            height=f"{self.bottom - self.top + 2 * pad:g}",
            **attributes,
        )

    def _axes(self) -> None:
        axes = _child(self.root, "g", **{"class": "axes"})
        wide = int((self.right - self.left) / 55)
        for value, text in self.x.marks(wide):
            x, _ = self.place(value, self.y.low)
            _child(axes, "path", d=f"M{x:.1f} {self.bottom:g}v4", **{"class": "tick"})
            for row, part in enumerate(text.split("\n")):
                _text(axes, x, self.bottom + 17 + 13 * row, part, "middle")
        for value, text in self.y.marks(5):
            _, y = self.place(self.x.low, value)
            _child(axes, "path", d=f"M{self.left:g} {y:.1f}h-4", **{"class": "tick"})
            _text(axes, self.left - 7, y + 4, text, "end")
        middle = (self.left + self.right) / 2
        _text(self.root, middle, self.height - 6, self.x.label, "middle label")
        upright = (self.top + self.bottom) / 2
        _text(self.root, 0, 0, self.y.label, "middle label",
              transform=f"translate(13 {upright:g}) rotate(-90)")  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A chart, with what stands above and below it."""

    title: str
    svg: str
    caption: str
    legend: tuple[tuple[str, str, str], ...] = ()
    """Shape of the marker or ``line``, its class, its meaning."""
    zoomable: bool = False


def _child(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, tag, attributes)


def _text(
    parent: ET.Element, x: float, y: float, content: str, kind: str, **attributes: str
) -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind}
    _child(parent, "text", **place, **attributes).text = content
