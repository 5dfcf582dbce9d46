"""What a figure shows, read from the figure itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def caption(figure: Figure) -> str:
    """Text below the panels, in one line."""
    return " ".join(figure.get_supxlabel().split())
