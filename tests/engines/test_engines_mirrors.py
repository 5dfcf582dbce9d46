"""Which force fields give a crystal and its mirror image the same energy, and what follows."""

from __future__ import annotations

import pytest
from mirror_images import ENGINES, NOISE, changes_of_energy

from atomate2_vogen.engines import load_engine

PACKAGES = {"diep": "diep", "sevennet": "sevenn", "sevennet-l3i5": "sevenn"}


@pytest.mark.parametrize("name", ENGINES)
def test_symmetry_saves_displacements_only_where_forces_have_it(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    changes = changes_of_energy(name)
    assert changes["rotation"] == pytest.approx(0, abs=NOISE)
    keeps = abs(changes["mirror image"]) < NOISE
    assert load_engine(name).phonon_maker.sym_reduce == keeps
