"""Energy models against DFT: scipy's correlation of the same pairs, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from atomate2_vogen.plotting import plot_parity
from atomate2_vogen.schemas import DftDoc, ModelHeight
from atomate2_vogen.stability import model_agreements
from atomate2_vogen.stability.agreement import compared_heights


def document(name, height, models, **changes):
    content = {
        "dft_id": f"{name}|GPAW",
        "crystal": name,
        "is_known": name.startswith("known"),
        "formula": "VO2",
        "chemsys": "O-V",
        "scheme": "GPAW",
        "engine": "gpaw",
        "state": "completed",
        "energy_per_atom": None if height is None else -8 + height,
        "above_known_phase": height,
        "lowest_known_phase": "known 1",
        "by_models": [ModelHeight(engine=e, above_known_phase=h) for e, h in models.items()],
    }
    return DftDoc(**content | changes)


HEIGHTS = [
    ("known 1", 0.0, {"a": 0.01, "b": 0.0}),
    ("known 2", 0.02, {"a": 0.0, "b": 0.03}),
    ("find 1", 0.05, {"a": 0.04}),
    ("find 2", 0.03, {"a": 0.05, "b": 0.01}),
    ("find 3", 0.08, {"a": 0.06, "b": 0.02}),
]


def test_figures_are_those_of_the_pairs():
    by_engine = {one.engine: one for one in model_agreements([document(*row) for row in HEIGHTS])}
    pairs = np.array([(m["a"], h) for _, h, m in HEIGHTS[1:]])
    assert by_engine["a"].n == 4
    assert by_engine["a"].rank_correlation == pytest.approx(spearmanr(*pairs.T).statistic)
    assert by_engine["a"].mean_absolute_difference == pytest.approx(
        np.mean(np.abs(pairs[:, 0] - pairs[:, 1]))
    )
    assert by_engine["b"].n == 3


def test_what_has_no_energy_and_what_is_lowest_is_left_out():
    documents = [document(*row) for row in HEIGHTS]
    documents.append(document("find 4", None, {"a": 0.5}))
    assert "known 1|GPAW" not in compared_heights(documents)["a"]
    assert "find 4|GPAW" not in compared_heights(documents)["a"]


def test_few_or_equal_energies_have_no_rank():
    (one,) = model_agreements([document("find 1", 0.05, {"a": 0.04})])
    assert one.rank_correlation is None
    assert one.mean_absolute_difference == pytest.approx(0.01)
    equal = [document(f"find {n}", 0.01 * n, {"a": 0.02}) for n in range(1, 5)]
    assert model_agreements(equal)[0].rank_correlation is None
    assert model_agreements([]) == []


def test_parity_is_drawn_with_and_without_crystals(tmp_path):
    documents = [document(*row) for row in HEIGHTS]
    other = document("find 9", 0.04, {"a": 0.02}, formula="V2O5", dft_id="9")
    for number, found in enumerate(([*documents, other], documents[:1], [])):
        path = tmp_path / f"{number}.png"
        plot_parity(found, path)
        assert path.stat().st_size > 5000
