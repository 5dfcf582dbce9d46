"""Figures as files: formats, and how many pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 300
"""Pixels per inch of files."""
SCREEN_DPI = 100
"""Pixels per inch on a screen."""

FORMATS: dict[str, tuple[str, ...]] = {
    ".png": ("Software",),
    ".pdf": ("CreationDate", "Creator", "Producer"),
    ".svg": ("Creator", "Date"),
}
"""Suffixes of pictures, and what is left out of each so that the same figure is the same file."""


def picture(figure: Figure, suffix: str, dpi: int) -> bytes:
    """Content of a file that shows a figure; the same figure is the same file.

    Parameters
    ----------
    figure
        The figure.
    suffix
        One of `FORMATS`.
    dpi
        Pixels per inch.
    """
    drawn = io.BytesIO()
    metadata = dict.fromkeys(FORMATS[suffix])
    figure.savefig(drawn, dpi=dpi, format=suffix[1:], metadata=metadata)
    return drawn.getvalue()
