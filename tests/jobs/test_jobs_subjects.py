"""Crystals are made regular before a calculation, and nothing else of them changes."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import InputError
from atomate2_vogen.jobs.subjects import Subject, symmetrise_subject

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.554, 2.857), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)


def shaken(size):
    moved = RUTILE.copy(site_properties={"magmom": [1.0, -1.0, 0.0, 0.0, 0.0, 0.0]})
    return moved.perturb(size, seed=3)


def test_a_broken_symmetry_is_mended():
    subject = Subject("VO2-1", shaken(0.01))
    mended, details = symmetrise_subject(subject, VANADIUM, 0.05)
    assert mended.candidate_id == "VO2-1"
    assert mended.structure.get_space_group_info(symprec=1e-4)[0] == "P4_2/mnm"
    assert details["space_group_after"] == "P4_2/mnm"
    assert 0 < details["largest_displacement"] <= 0.05
    # moments are no part of the symmetry, and of no crystal's concern
    assert mended.structure.site_properties == subject.structure.site_properties
    apart = mended.structure.lattice.get_all_distances(
        mended.structure.frac_coords, subject.structure.frac_coords
    )
    assert np.diag(apart).max() < 0.05


def test_what_is_regular_or_far_from_it_stays_the_same():
    for structure in (RUTILE, shaken(0.2)):
        subject = Subject("VO2-1", structure)
        mended, details = symmetrise_subject(subject, VANADIUM, 0.05)
        assert mended is subject
        assert details is None


@pytest.mark.parametrize("symprec", [0.0, -1.0, float("nan")])
def test_a_tolerance_is_positive(symprec):
    with pytest.raises(InputError, match="symmetry tolerance"):
        symmetrise_subject(Subject("VO2-1", RUTILE), VANADIUM, symprec)
