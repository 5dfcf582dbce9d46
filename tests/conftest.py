"""Fixtures that several folders share; they are made once per session."""

from __future__ import annotations

from tiny_model import crystals, tiny, trained

__all__ = ["crystals", "tiny", "trained"]
