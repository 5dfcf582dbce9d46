"""POSCAR files: as ASE reads them where ASE is right, and refused where anybody would guess."""

from __future__ import annotations

import io

import numpy as np
import pytest
from ase.io.vasp import read_vasp
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Poscar

from atomate2_vogen.errors import NonFiniteError, StructureFileError
from atomate2_vogen.structures.reading.poscar import parse_poscar

LINES = """rutile
1.0
4.5546 0 0
0 4.5546 0
0 0 2.8514
V O
2 4
Direct
0 0 0
0.5 0.5 0.5
0.3001 0.3001 0
0.6999 0.6999 0
0.1999 0.8001 0.5
0.8001 0.1999 0.5
""".splitlines()


def changed(lines: dict[int, str]) -> str:
    return "\n".join(lines.get(number, line) for number, line in enumerate(LINES)) + "\n"


def with_flags(flags: str) -> list[str]:
    return [*LINES[:7], "Selective dynamics", "Direct", *(f"{line} {flags}" for line in LINES[8:])]


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 10_000),
    scale=st.sampled_from(["one", "negative", "three"]),
    cartesian=st.booleans(),
    flags=st.sampled_from(["", "T T T", "t f t", ".TRUE. .FALSE. T", "F F F"]),
    comment=st.sampled_from(["", " ! a remark"]),
)
def test_same_crystal_as_ase(seed, scale, cartesian, flags, comment):
    rng = np.random.default_rng(seed)
    vectors = 4 * np.eye(3) + rng.uniform(-1, 1, (3, 3))
    coords = rng.uniform(-1, 2, (5, 3))
    factors = {
        "one": rng.uniform(0.5, 2, 1),
        "negative": -rng.uniform(20, 200, 1),
        "three": rng.uniform(0.5, 2, 3),
    }[scale]
    lines = ["any comment", " ".join(f"{f:.9f}" for f in factors) + comment]
    lines += [" ".join(f"{x:.9f}" for x in row) for row in vectors]
    lines += ["V O V", "1 3 1", *(["selective"] if flags else [])]
    lines += [("cartesian" if cartesian else "direct")]
    lines += [" ".join(f"{x:.9f}" for x in row) + f" {flags}" for row in coords]
    text = "\n".join(lines) + "\n"

    found = parse_poscar(text, 10)

    other = read_vasp(io.StringIO(text.replace(" ! a remark", "")))
    assert [s.symbol for s in found.species] == other.get_chemical_symbols()
    assert np.allclose(found.lattice.matrix, other.cell.array, atol=1e-7)
    assert np.allclose(found.cart_coords, other.positions, atol=1e-6)
    if scale == "negative":
        assert found.volume == pytest.approx(-factors[0], rel=1e-7)


def test_a_negative_scale_of_a_left_handed_cell():
    # ASE takes the root of a negative number here
    text = changed({1: "-59.15", 2: "0 4.5546 0", 3: "4.5546 0 0", 7: "Cartesian", 9: "1 1 1"})
    assert parse_poscar(text, 10).volume == pytest.approx(59.15)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_the_same_bits_as_pymatgen_for_what_pymatgen_writes(seed):
    rng = np.random.default_rng(seed)
    lattice = Lattice(4 * np.eye(3) + rng.uniform(-1, 1, (3, 3)))
    text = Poscar(Structure(lattice, ["V", "O", "O"], rng.uniform(-1, 2, (3, 3)))).get_str()
    ours, theirs = parse_poscar(text, 10), Poscar.from_str(text).structure
    assert np.array_equal(ours.lattice.matrix, theirs.lattice.matrix)
    assert np.array_equal(ours.frac_coords, theirs.frac_coords)
    assert ours.species == theirs.species


@pytest.mark.parametrize("flags", ["T T T", "t t f", "F F F", ".TRUE. .FALSE. .T.", "T F T ! x"])
def test_flags_are_no_elements(flags):
    right = parse_poscar(changed({}), 10)
    assert parse_poscar("\n".join(with_flags(flags)), 10) == right
    without_header = [*LINES[:8], *(f"{line} {flags}" for line in LINES[8:])]
    assert parse_poscar("\n".join(without_header), 10) == right


def test_symbols_behind_the_sites():
    right = parse_poscar(changed({}), 10)
    vasp4 = [
        *LINES[:5],
        *LINES[6:8],
        *(f"{line} {s}" for line, s in zip(LINES[8:], "VVOOOO", strict=True)),
    ]
    assert parse_poscar("\n".join(vasp4), 10) == right
    with pytest.raises(StructureFileError, match=r"site 2 is V .* O stands behind it"):
        parse_poscar(changed({9: "0.5 0.5 0.5 O"}), 10)


def test_groups_on_several_lines_and_potcar_names():
    lines = [*LINES[:5], "V_pv/47d65 O_s", "V O", "1 2", "1 2", *LINES[7:]]
    assert str(parse_poscar("\n".join(lines), 10).composition) == "V2 O4"


REFUSED = {
    "element": ({5: "Va O"}, "'Va' is no element"),
    "vasp4": ({5: "2 4", 6: "Direct"}, "should be|element symbols|begin with"),
    "counts": ({6: "2 4 1"}, "2 element symbols, but 3"),
    "few counts": ({6: "2"}, "should be the numbers of atoms"),
    "mode": ({7: "Reciprocal"}, "Direct or Cartesian"),
    "short": ({13: ""}, "ends too early"),
    "scale zero": ({1: "0.0"}, "no volume"),
    "scale two": ({1: "1.0 1.0"}, "should begin with 3 numbers"),
    "scale mixed": ({1: "1.0 -1.0 1.0"}, "must be positive"),
    "flat": ({4: "4.5546 0 0"}, "no volume"),
    "word": ({8: "0 zero 0"}, "should begin with 3 numbers"),
    "flags": ({7: "Selective\nDirect"}, "lacks its three flags"),
    "none": ({6: "0 0"}, "no atoms"),
    "large": ({6: "2 40000000000"}, "at most 10 per cell"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    lines, words = REFUSED[name]
    with pytest.raises(StructureFileError, match=words):
        parse_poscar(changed(lines), 10)


def test_numbers_that_are_not_finite():
    with pytest.raises(NonFiniteError):
        parse_poscar(changed({8: "nan 0 0"}), 10)
