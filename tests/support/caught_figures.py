"""Figures are caught on their way to the file."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def figures(monkeypatch):
    """All figures written, as they are then."""
    caught = []
    save = Figure.savefig

    def spy(figure, *args, **kwargs):
        caught.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", spy)
    return caught
