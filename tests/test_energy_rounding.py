"""What prints as a limit meets it, and nothing else: compared with Python's own printing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atomate2_vogen.energy_rounding import (
    as_printed,
    at_most,
    largest_within,
    smallest_within,
)
from atomate2_vogen.schemas import FieldClass, PaperClass
from atomate2_vogen.stability.hull import field_class, paper_class

ENERGIES = st.floats(-2, 5, allow_nan=False)
LIMITS = st.integers(-2000, 5000).map(lambda meV: meV / 1000)
BORDERS = (0.0, 0.1, 0.3, 0.5)


def printed(value):
    return f"{value:.3f}".replace("-0.000", "0.000")


def near_borders(border):
    """Numbers within a bit of the places where the printed number changes."""
    edges = [border + shift for shift in (-0.0005, 0.0, 0.0005)]
    return [x for e in edges for x in (math.nextafter(e, -9), e, math.nextafter(e, 9))]


@given(ENERGIES, LIMITS)
@example(0.3005, 0.3)  # a bit below three tenths and a half: prints as 0.300
@example(0.1005, 0.1)  # a bit above: prints as 0.101
def test_an_energy_meets_a_limit_as_it_is_printed(energy, limit):
    assert at_most(energy, limit) is (float(printed(energy)) <= limit)
    assert (energy >= smallest_within(limit)) is (float(printed(energy)) >= limit)
    assert f"{as_printed(energy):.3f}" == printed(energy)


@given(LIMITS)
def test_bounds_are_the_last_numbers_that_print_so(limit):
    for bound, outwards in ((largest_within(limit), 9.0), (smallest_within(limit), -9.0)):
        assert printed(bound) == printed(limit)
        assert printed(math.nextafter(bound, outwards)) != printed(limit)


@given(ENERGIES, st.floats(-2, 5).filter(lambda x: round(x, 3) != x))
def test_finer_limits_are_exact(energy, limit):
    assert at_most(energy, limit) is (energy <= limit)
    assert smallest_within(limit) == limit


@pytest.mark.parametrize("limit", [math.inf, -math.inf])
def test_no_limit(limit):
    assert at_most(1.0, limit) is (limit > 0)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kind", [float, np.float64])
def test_classes_follow_the_printed_number(border, kind):
    for above in map(kind, near_borders(border)):
        text = float(printed(above))
        assert field_class(above) is (
            FieldClass.ON_HULL
            if text <= 0
            else FieldClass.NEAR_HULL
            if text <= 0.1
            else FieldClass.ABOVE_HULL
        )
        assert paper_class(-1.0, above) is (
            PaperClass.STABLE
            if text <= 0.3
            else PaperClass.METASTABLE
            if text <= 0.5
            else PaperClass.UNSTABLE
        )


@pytest.mark.parametrize(
    ("formation", "negative"), [(-0.0004, False), (-0.0006, True), (0.0, False), (0.0004, False)]
)
def test_formation_energies_are_negative_as_printed(formation, negative):
    assert (paper_class(formation, 0.0) is PaperClass.STABLE) is negative
