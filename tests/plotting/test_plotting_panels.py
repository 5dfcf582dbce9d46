"""Marks and labels that would overlap are set apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomate2_vogen.plotting.panels import spread, swarm


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_labels_are_spread_without_changing_order_or_centre(positions):
    positions = np.sort(positions)
    apart = spread(positions, 0.06)
    assert (np.diff(apart) >= 0.06 - 1e-9).all()
    assert apart.mean() == pytest.approx(positions.mean())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_points_near_each_other_are_set_apart(heights):
    heights = np.sort(heights)
    x = swarm(heights, 0.02, 0.075)
    assert (np.abs(x) <= 0.42).all()
    for i in range(len(heights)):
        crowd = np.abs(heights - heights[i]) < 0.02
        if crowd.sum() <= 6:
            assert (np.abs(x[crowd] - x[i]) < 0.07).sum() == 1
