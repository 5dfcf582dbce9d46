"""Polyhedra of known crystals: how many there are, and what bounds them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon
from pymatgen.core import Lattice, Structure

from atomate2_vogen.chemistry import TITANIUM
from atomate2_vogen.plotting import draw_polyhedra
from atomate2_vogen.plotting.polyhedra import _faces

RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.55, 2.85), ["V", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
)


def drawn(structure, *system):
    axes = Figure().subplots()
    draw_polyhedra(axes, structure, *system)
    return [
        [patch for patch in axes.patches if isinstance(patch, kind)] for kind in (Circle, Polygon)
    ]


def test_rutile_has_octahedra_at_its_corners_and_in_the_middle():
    circles, faces = drawn(RUTILE)
    assert len(circles) == 9 * 6
    # of the eight triangles of an octahedron four face the viewer, where none is seen edge on
    assert len(faces) == 9 * 4


def test_the_cell_does_not_matter():
    primitive = RUTILE * (1, 1, 2)
    primitive.translate_sites(range(len(primitive)), [1.0, -2.0, 0.0], to_unit_cell=False)
    assert [len(some) for some in drawn(primitive)] == [len(some) for some in drawn(RUTILE)]


def test_a_cube_shows_one_face_or_three():
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    ((square, brightness),) = _faces(corners)
    assert len(square) == 4
    assert brightness == pytest.approx(1)
    angle = 0.4
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    tilt = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    seen = list(_faces(corners @ (tilt @ turn).T))
    assert [len(face) for face, _ in seen] == [4, 4, 4]
    assert sum(bright**2 for _, bright in seen) == pytest.approx(1)


def test_what_has_no_polyhedra_is_drawn_as_a_cell():
    lone = Structure(Lattice.cubic(9), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert drawn(lone) == [[], []]
    flat = Structure(
        Lattice.orthorhombic(3.8, 3.8, 9.0), ["V", "O", "O"], [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0]]
    )
    circles, faces = drawn(flat)
    assert circles
    assert faces == []


def test_another_oxide():
    titanium = RUTILE.copy().replace_species({"V": "Ti"})
    assert len(drawn(titanium, TITANIUM)[0]) == 54
    assert drawn(titanium) == [[], []]
