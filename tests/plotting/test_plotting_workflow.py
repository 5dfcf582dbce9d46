"""The diagram of a flow: every step a box, every need an arrow."""

from __future__ import annotations

import pytest
from matplotlib.patches import FancyBboxPatch

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting import Step, plot_workflow

STEPS = [
    Step("sample", "sampling", 3),
    Step("relax", "forcefield", 0, ("sample", "nowhere")),
    Step("judge", "analysis", 1, ("sample", "relax")),
    Step("train", "training", 2),
    Step("report", "other", 1, ("judge", "train")),
]


def arrows(axes):
    return [text for text in axes.texts if text.arrow_patch is not None]


def test_boxes_and_arrows(tmp_path, figures):
    path = tmp_path / "flow.svg"
    plot_workflow(STEPS, path, "what it is")
    assert path.read_text().startswith("<?xml")
    (axes,) = figures[0].axes
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len(STEPS)
    words = [text.get_text() for text in axes.texts if text.get_text()]
    assert set(words) == {
        "sample\n3 jobs", "relax\nas found", "judge\n1 job", "train\n2 jobs", "report\n1 job",
    }  # fmt: skip
    # sample to judge is by way of relax
    assert len(arrows(axes)) == 4
    for arrow in arrows(axes):
        assert arrow.xy[1] < arrow.xyann[1]  # downwards
    # no box on another
    places = sorted((round(b.get_x(), 6), round(b.get_y(), 6)) for b in boxes)
    assert len(set(places)) == len(STEPS)


def test_what_is_no_flow(tmp_path):
    with pytest.raises(InputError, match="a diagram needs steps with unique names"):
        plot_workflow([], tmp_path / "x.png")
    with pytest.raises(InputError, match="a diagram needs steps with unique names"):
        plot_workflow([STEPS[0], STEPS[0]], tmp_path / "x.png")
    circle = [Step("a", "dft", 1, ("b",)), Step("b", "dft", 1, ("a",))]
    with pytest.raises(InputError, match="circle"):
        plot_workflow(circle, tmp_path / "x.png")
