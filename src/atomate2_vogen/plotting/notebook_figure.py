"""The figure that plotting functions return. Importing this imports matplotlib."""

from matplotlib.figure import Figure

from atomate2_vogen.plotting.pictures import SCREEN_DPI, picture


class NotebookFigure(Figure):
    r"""A matplotlib Figure that a notebook shows where pyplot was not imported, too.

    Examples
    --------
    >>> from atomate2_vogen.plotting.notebook_figure import NotebookFigure
    >>> NotebookFigure(figsize=(1, 1))._repr_png_()[:4]
    b'\x89PNG'
    """

    def _repr_png_(self) -> bytes:
        """A PNG file, by which IPython shows it."""
        return picture(self, ".png", SCREEN_DPI)
