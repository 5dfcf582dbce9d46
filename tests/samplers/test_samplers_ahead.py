"""Items made one ahead: the same, in order, no more than asked for, and errors in their turn."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomate2_vogen.samplers.ahead import ahead


@given(st.lists(st.none() | st.integers()))
def test_the_same_items_in_order(items):
    assert list(ahead(iter(items))) == items


def test_the_next_item_is_made_while_the_last_is_used():
    made = threading.Event()

    def items():
        yield 0
        made.set()
        yield 1

    with closing(ahead(items())) as coming:
        assert next(coming) == 0
        assert made.wait(10)  # and nobody asked for it
        assert list(coming) == [1]


def test_no_more_than_one_further_than_asked_for():
    made = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    with closing(ahead(items())) as coming:
        assert [next(coming) for _ in range(3)] == [0, 1, 2]
    assert len(made) <= 4


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 0
        raise ValueError("of the maker")

    coming = ahead(items())
    assert next(coming) == 0
    with pytest.raises(ValueError, match="of the maker"):
        next(coming)
