"""Formatting of numbers and formulas."""

from __future__ import annotations

import math

from atomate2_vogen.schemas import Proportion

Facts = list[tuple[str, str]]
"""Names, with units, and values."""

DASH = "–"
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def formula_text(formula: str) -> str:
    """A formula with its counts as subscripts."""
    return formula.translate(_SUBSCRIPTS)


def number(value: float | None, digits: int = 3) -> str:
    """A number with a true minus sign; a dash where it is unknown or not finite."""
    if value is None or not math.isfinite(value):
        return DASH
    rounded = round(value, digits) or 0.0  # no minus before what rounds to zero
    return f"{rounded:.{digits}f}".replace("-", "−")


def answer(value: bool | None) -> str:
    """Yes, no, or unknown."""
    return DASH if value is None else "yes" if value else "no"


def finite(value: float | None, digits: int = 6) -> float | None:
    """A number that JSON can hold."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)


def percent(share: float) -> str:
    """A share in percent, whole numbers without a decimal."""
    text = f"{100 * share:.1f}"
    return f"{text.removesuffix('.0')} %"


def interval(part: Proportion | None) -> str:
    """A share with its 95 % interval, e.g. ``42 % (25 to 61)``."""
    if part is None or part.share is None or part.low is None or part.high is None:
        return DASH
    return f"{percent(part.share)} ({100 * part.low:.0f} to {100 * part.high:.0f})"
