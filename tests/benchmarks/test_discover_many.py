"""The committed run of 20,000 crystals through one discovery flow on MongoDB."""

from __future__ import annotations

import json
from pathlib import Path

ROWS = json.loads((Path(__file__).parents[2] / "results/speed/discover_many.json").read_text())[
    "rows"
]
LARGEST = 16 * 1024 * 1024
"""Bytes that a document of MongoDB holds at most."""


def test_no_document_grew_with_the_number_of_crystals():
    small, *_, large = ROWS
    assert large["crystals"] == large["n_stability"] == large["n_distinct_ids"] == 20_000
    assert large["ingested"] == {"candidates": 20_000, "calculations": 20_000}
    assert large["collections"]["jobs"]["largest"] == small["collections"]["jobs"]["largest"]
    for row in ROWS:
        sizes = [one["largest"] for one in row["collections"].values()]
        assert max(*sizes, row["largest_firework"], row["largest_action"]) < LARGEST / 10
