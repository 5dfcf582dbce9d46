"""Fixtures that several folders share; they are made once per session."""

from __future__ import annotations

import logging

import pytest
from tiny_model import crystals, tiny, trained

__all__ = ["crystals", "root_logger", "tiny", "trained"]


@pytest.fixture(autouse=True)
def root_logger():
    """Put the root logger back: maggma's `Builder.run` leaves it verbose, with one more handler."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield root
    root.setLevel(level)
    root.handlers[:] = handlers
