"""Crystals of one formula against two hulls: the figure shows what the documents say."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_figures import caption
from judged_documents import REFERENCES, documents, offsets
from made_entries import crystal

from atomate2_vogen.errors import SchemeMismatchError
from atomate2_vogen.plotting import plot_formula
from atomate2_vogen.stability import MaterialsProjectHull


def of_vo2():
    """Judged VO2 with structures; every second one is unique and new."""
    found = [d for d in documents() if d.formula == "VO2"]
    return [
        d.model_copy(
            update={
                "structure": crystal(5.0 + 0.1 * index),
                "is_unique": True,
                "is_novel": index % 2 == 0,
                "energy_per_atom": -8.0 + (d.energy_above_hull or 0.0),
            }
        )
        for index, d in enumerate(found)
    ]


def test_crystals_and_hulls_are_those_of_the_documents(tmp_path, figures):
    docs = of_vo2()
    path = tmp_path / "vo2.png"
    plot_formula([*docs, *documents()[12:24]], REFERENCES, "VO2", path)
    assert path.read_bytes()[:4] == b"\x89PNG"
    left, middle, right = figures[0].axes
    ranked = [d for d in docs if d.state == "ranked"]
    drawn = np.sort(offsets(left)[:, 1])
    assert drawn == pytest.approx(np.sort([d.formation_energy_per_atom for d in ranked]))
    heights = np.sort(offsets(middle)[:, 1])
    assert heights == pytest.approx(np.sort([d.energy_above_hull for d in ranked]))
    # the Materials Project's hull is as far from the judge's as its energies say
    first = ranked[0]
    theirs = MaterialsProjectHull.bundled().height("VO2", first.energy_per_atom, first.scheme)
    levels = [line.get_ydata()[0] for line in middle.get_lines()]
    assert any(level == pytest.approx(first.energy_above_hull - theirs) for level in levels)
    lines = [line.get_label() for line in left.get_lines()]
    assert lines == ["judge's hull", "Materials Project's hull"]
    new = [d for d in ranked if d.is_novel]
    assert any(f"{len(new)} unique and new" in text.get_text() for text in middle.texts)
    lowest = min(new, key=lambda d: d.energy_above_hull)
    assert lowest.candidate_id in right.get_title(loc="left")
    assert "mp-21579" in caption(figures[0])


def test_another_scale_has_no_line_of_the_materials_project(tmp_path, figures):
    docs = [d.model_copy(update={"scheme": "J"}) for d in of_vo2()]
    references = [one.model_copy(update={"scheme": "J"}) for one in REFERENCES]
    plot_formula(docs, references, "VO2", tmp_path / "vo2.pdf")
    assert len(figures[0].axes[1].get_lines()) == 4
    with pytest.raises(SchemeMismatchError):
        plot_formula(docs, REFERENCES, "VO2", tmp_path / "x.png")


def test_nothing_to_draw(tmp_path, figures):
    plot_formula([], REFERENCES, "V2O5", tmp_path / "v2o5.svg")
    texts = [text.get_text() for axes in figures[0].axes for text in axes.texts]
    assert {"no ranked candidate", "no new crystal"} <= set(texts)
