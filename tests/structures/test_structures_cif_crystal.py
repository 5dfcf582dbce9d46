"""CIFs that state their symmetry in many ways, contradict themselves, or leave things open."""

from __future__ import annotations

import numpy as np
import pytest
from ase.spacegroup import Spacegroup
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter

from atomate2_vogen.data.prototypes import load_prototypes
from atomate2_vogen.errors import DisorderError, ElementError, StructureFileError
from atomate2_vogen.structures.cif import as_in_cif, read_block
from atomate2_vogen.structures.reading.parsers import parse_structures

RUTILE_CELL = (4.5546, 4.5546, 2.8514, 90, 90, 90)
RUTILE = "V1 V 0 0 0 1\nO1 O 0.3001 0.3001 0 1"
WHOLE_RUTILE = """V1 V 0 0 0 1
V2 V 0.5 0.5 0.5 1
O1 O 0.3001 0.3001 0 1
O2 O 0.6999 0.6999 0 1
O3 O 0.1999 0.8001 0.5 1
O4 O 0.8001 0.1999 0.5 1"""
M1_CELL = (5.7517, 4.5378, 5.3825, 90, 122.646, 90)
M1 = "V1 V .23947 .97894 .02646 1\nO1 O .10616 .21185 .20859 1\nO2 O .40051 .70258 .29884 1"
V2O5_CELL = (11.512, 3.564, 4.368, 90, 90, 90)
V2O5 = """V1 V 0.10118 0.25 -0.1083 1
O1 O 0.1043 0.25 -0.469 1
O2 O -0.0689 0.25 0.003 1
O3 O 0.25 0.25 0.001 1"""
P42MNM = Spacegroup(136).get_symop()


def written(sites=RUTILE, cell=RUTILE_CELL, operations=(), **tags) -> str:
    names = [f"_cell_length_{axis}" for axis in "abc"]
    names += [f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma")]
    lines = ["data_x", *(f"{name} {value}" for name, value in zip(names, cell, strict=True))]
    lines += [f"{TAGS[name]} '{value}'" for name, value in tags.items()]
    if operations:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{text}'" for text in operations)]
    lines += ["loop_", "_atom_site_label", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{axis}" for axis in "xyz"]
    return "\n".join([*lines, "_atom_site_occupancy", sites]) + "\n"


TAGS = {
    "symbol": "_symmetry_space_group_name_H-M",
    "alt": "_space_group_name_H-M_alt",
    "number": "_symmetry_Int_Tables_number",
    "hall": "_symmetry_space_group_name_Hall",
    "code": "_space_group_IT_coordinate_system_code",
    "formula": "_chemical_formula_sum",
    "structural": "_chemical_formula_structural",
    "z": "_cell_formula_units_Z",
    "density": "_exptl_crystal_density_diffrn",
    "volume": "_cell_volume",
    "magnetic": "_space_group_magn.number_BNS",
    "modulated": "_cell_modulation_dimension",
}


def triplets(operations) -> list[str]:
    texts = []
    for rotation, shift in operations:
        rows = []
        for row, t in zip(rotation, shift, strict=True):
            text = "".join(f"{v:+d}{axis}" for v, axis in zip(row, "xyz", strict=True) if v)
            rows.append(f"{text.replace('1', '')}{'+1/2' if t else ''}")
        texts.append(", ".join(rows))
    return texts


OPERATIONS = triplets(P42MNM)


def read(text: str) -> Structure:
    (found,) = parse_structures("x.cif", text, 200)
    if isinstance(found, Exception):
        raise found
    return found


READ = {
    "operations": (written(operations=OPERATIONS), 6),
    "operations and all that agrees": (
        written(
            operations=OPERATIONS,
            symbol="P 42/m n m",
            number=136,
            hall="-P 4n 2n",
            formula="O2 V",
            z=2,
            density="4.66",
            volume="59.15(2)",
        ),
        6,
    ),
    "unknown symbol beside operations": (written(operations=OPERATIONS, symbol="my own"), 6),
    "symbol": (written(symbol="P 42/m n m"), 6),
    "SHELX's symbol": (written(symbol="P4(2)/mnm"), 6),
    "pymatgen's symbol": (written(symbol="P4_2/mnm"), 6),
    "full symbol": (written(symbol="P 42/m 21/n 2/m"), 6),
    "number": (written(number=136), 6),
    "whole cell": (written(WHOLE_RUTILE, symbol="P 1"), 6),
    "whole cell by Z": (written(WHOLE_RUTILE, formula="V O2", z=2), 6),
    "whole cell by number": (written(WHOLE_RUTILE, number=1), 6),
    "pymatgen's Z of the whole formula": (written(symbol="P 42/m n m", formula="V2 O4", z=2), 6),
    "origin by Z": (written(V2O5, V2O5_CELL, symbol="P m m n", formula="V2 O5", z=2), 14),
    "origin by ICSD's letter": (written(V2O5, V2O5_CELL, symbol="P m m n Z"), 14),
    "origin in words": (written(V2O5, V2O5_CELL, symbol="P m m n (origin choice 2)"), 14),
    "origin by the code": (written(V2O5, V2O5_CELL, symbol="P m m n", code=2), 14),
    "type's name with operations of another setting": (
        written(
            M1,
            M1_CELL,
            operations=["x,y,z", "-x,-y,-z", "1/2-x,1/2+y,1/2-z", "x+.5,1/2-y,z+.5"],
            symbol="P 21/c",
            number=14,
        ),
        12,
    ),
}


@pytest.mark.parametrize("name", READ)
def test_read(name):
    text, atoms = READ[name]
    assert len(read(text)) == atoms


REFUSED = {
    "nothing": (written(WHOLE_RUTILE), "says nothing about its symmetry"),
    "nothing but a part of the cell": (written(formula="V O2", z=2), "says nothing about"),
    "unknown symbol": (written(symbol="Q 42"), "_symmetry_space_group_name_H-M 'Q 42' is no"),
    "unknown number": (written(number=231), "_symmetry_Int_Tables_number '231' is no space group"),
    "unknown Hall symbol": (written(hall="-Q 4"), "_symmetry_space_group_name_Hall '-Q 4' is no"),
    "unknown code": (written(symbol="P m m n", code=7), "_coordinate_system_code '7' is no"),
    "symbol against number": (written(symbol="P 42/m n m", number=14), "contradict each other"),
    "symbol against symbol": (written(symbol="P 42/m n m", alt="P 4"), "contradict each other"),
    "Hall symbol against number": (written(hall="-P 4n 2n", number=14), "contradict each other"),
    "operations against number": (
        written(operations=OPERATIONS, number=14),
        "'14' and _symmetry_equiv_pos_as_xyz contradict each other",
    ),
    "operations against Hall symbol": (
        written(operations=OPERATIONS, hall="-P 2ybc"),
        "stands for other operations",
    ),
    "operations of one cell choice, symbol of another": (
        written(
            M1,
            M1_CELL,
            operations=["x,y,z", "-x,-y,-z", "-x,1/2+y,1/2-z", "x,1/2-y,z+.5"],
            symbol="P 21/n",
        ),
        "contradict each other",
    ),
    "whole symbol beside the identity": (
        written(operations=["x,y,z"], symbol="P 42/m n m"),
        "contradict each other",
    ),
    "no group": (written(operations=OPERATIONS[:-1]), "form no group"),
    "endless group": (written(operations=["x,y,z", "x+y,y,z"]), "form no group"),
    "singular": (written(operations=["x,y,z", "x,x,x"]), "form no group"),
    "no operation": (written(operations=["x,y,z", "x,y"]), "'x,y' is no symmetry operation"),
    "cell": (
        written(cell=(4.5546, 4.6, 2.8514, 90, 90, 90), operations=OPERATIONS),
        "the cell does not have the symmetry of _symmetry_equiv_pos_as_xyz",
    ),
    "cell against symbol": (
        written(cell=(4.5546, 4.5546, 2.8514, 90, 90, 91), symbol="P 42/m n m"),
        "the cell does not fit",
    ),
    "origin": (
        written("V1 V 0.1 0.2 0.3 1\nO1 O 0.4 0.4 0.8 1", V2O5_CELL, symbol="P m m n"),
        "'P m m n' can mean 2 settings",
    ),
    # O3 is next to an inversion centre of the other origin, so that the formula is the same
    "origin with the same formula": (
        written(V2O5, V2O5_CELL, symbol="P m m n", formula="V2 O5"),
        "'P m m n' can mean 2 settings",
    ),
    "unique axis": (
        written(M1, (5.7517, 4.5378, 5.3825, 90, 90, 90), symbol="P 21/c"),
        "'P 21/c' can mean 2 settings",
    ),
    "cell choice": (written(M1, M1_CELL, number=14, formula="O2 V", z=4), "can mean 3 settings"),
    "formula": (written(symbol="P 42/m n m", formula="V2 O5"), "the file's own formula 'V2 O5'"),
    "elements of the formula": (
        written(symbol="P 42/m n m", formula="V O2 H"),
        "the file's own formula",
    ),
    "structural formula": (written(symbol="P 42/m n m", structural="V2 O5"), "own formula"),
    "no formula": (written(symbol="P 42/m n m", formula="rust"), "'rust' is no formula"),
    "Z": (written(symbol="P 42/m n m", formula="V O2", z=4), "_cell_formula_units_Z 4"),
    "Z alone": (written(symbol="P 42/m n m", z=4), "_cell_formula_units_Z 4"),
    "density": (written(symbol="P 42/m n m", density="3.9"), "a density of 4.66"),
    "volume": (written(symbol="P 42/m n m", volume="118.3"), "edges and angles of the cell give"),
    "magnetic": (written(magnetic="136.1"), "magnetic or modulated structure"),
    "modulated": (written(modulated=1), "magnetic or modulated structure"),
    "few digits": (
        written("V1 V 0 0 0 1\nO1 O 0.30 0.33 0 1", symbol="P 42/m n m"),
        "lies less than 0.5 Å from its own image",
    ),
    "images listed": (written(WHOLE_RUTILE, symbol="P 42/m n m"), "several atoms lie on one site"),
    "cell without volume": (
        written(cell=(4, 4, 4, 150, 150, 150), symbol="P 1"),
        "enclose no volume",
    ),
    "columns apart": (
        written(symbol="P 42/m n m") + "loop_\n_atom_site_attached_hydrogens\n0\n0\n",
        "_atom_site_attached_hydrogens stands apart",
    ),
    "tag twice": (written(symbol="P 42/m n m") + "_cell_length_a 5\n", "_cell_length_a twice"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    text, words = REFUSED[name]
    with pytest.raises(StructureFileError) as caught:
        read(text)
    assert words in str(caught.value)


def test_what_is_no_whole_atom():
    with pytest.raises(DisorderError, match=r"O1 has an occupancy of 0\.5"):
        read(written("V1 V 0 0 0 ?\nO1 O 0.3001 0.3001 0 0.5(1)", symbol="P 42/m n m"))
    with pytest.raises(DisorderError, match="occupancy of 0;"):
        read(written("V1 V 0 0 0 0\nO1 O 0.3001 0.3001 0 .", symbol="P 42/m n m"))
    hydroxide = written(symbol="P 42/m n m").replace("occupancy", "attached_hydrogens")
    with pytest.raises(ElementError, match="hydrogen without coordinates at site V1"):
        read(hydroxide)


def test_tags_of_newer_dictionaries():
    text = written(operations=OPERATIONS)
    newer = text.replace("_symmetry_equiv_pos_as_xyz", "_space_group_symop.operation_xyz")
    for part in ("cell", "atom_site"):
        newer = newer.replace(f"_{part}_", f"_{part}.")
    assert read(newer.replace("_atom_site.fract_x", "_ATOM_SITE.Fract_x")) == read(text)


def test_block_names_comments_and_quotes():
    text = written(symbol="P 42/m n m", formula="V O2").replace("data_x", "DATA_x#y # data_z")
    text = text.replace("'V O2'", "\n;V\n O2\n;").replace("V1 V", '"V1" V')
    assert len(read("# data_before\n" + text)) == 6


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 6_369), st.integers(0, 2**32 - 1))
def test_own_files_are_read_to_the_last_bit_as_pymatgen_reads_them(index, seed):
    prototype = load_prototypes()[index]
    noise = np.random.default_rng(seed).normal(0, 1e-4, prototype.frac_coords.shape)
    species = ["V" if z == prototype.numbers[0] else "O" for z in prototype.numbers]
    made = Structure(prototype.lattice, species, prototype.frac_coords + (seed % 2) * noise)
    text = str(CifWriter(as_in_cif(made)))
    ours, (theirs, _) = read(text), read_block(text)
    assert np.array_equal(ours.lattice.matrix, theirs.lattice.matrix)
    assert np.array_equal(ours.frac_coords, theirs.frac_coords)
    assert ours.species == theirs.species


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 6_369))
def test_symmetry_that_pymatgen_writes_gives_the_crystal_back(index):
    prototype = load_prototypes()[index]
    species = ["V" if z == prototype.numbers[0] else "O" for z in prototype.numbers]
    made = Structure(prototype.lattice, species, prototype.frac_coords)
    text = str(CifWriter(made, symprec=0.01))
    ours, (theirs, _) = read(text), read_block(text)
    assert ours.composition == theirs.composition
    assert np.allclose(
        np.sort(ours.distance_matrix.ravel()), np.sort(theirs.distance_matrix.ravel()), atol=1e-3
    )
