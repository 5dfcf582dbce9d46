"""One name of a module means one thing in the whole package."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import atomate2_vogen

SOURCE = Path(atomate2_vogen.__file__).parent

SAME = {
    "BATCH": "documents or crystals that are handled at once",
    "Criteria": "query of a store",
    "DATA": "what goes to the data store of a job store",
    "DEFAULT_COUNT": "crystals per formula, for a command and its Maker",
    "DENSITY": "name of GPAW's file with the density, at both ends of the pipe",
    "DUPLICATE_KEY": "number of MongoDB's error",
    "Doc": "type variable of one document class",
    "FLOOR": "density below which a voxel is empty",
    "FORCE_TOLERANCE": "largest force in eV/Å, in each engine",
    "FORMAT": "version of a file format",
    "LEGEND": "explanation under a printed table",
    "MEND": "what to do about what is broken",
    "NO_RESULT": "reason of a failure of jobs before",
    "PHONON_FORCE_TOLERANCE": "largest force in eV/Å before displacements, in each engine",
    "PRESETS": "names of presets; the command line has its own to start quickly",
    "PROTOCOL_VERSION": "version of requests to GPAW, at both ends of the pipe",
    "Progress": "callback that is given the number of steps done",
    "SAMPLING": "stage of a run, and category of its jobs",
    "HOME": "package of the modules in a table of names",
    "SHOWN": "rows or lines that a command prints",
    "SYMPREC": "tolerance of spglib in Å",
    "TEXT": "encoding of pipes to GPAW",
    "WATCH": "first line of a request to GPAW, at both ends of the pipe",
    "evaluate": "command, and job",
    "layers": "the library's module",
    "logger": "messages of the module",
    "main": "what a script runs",
    "measure": "metrics of crystals",
    "ops": "the library's module",
    "reconstruct": "command, and function",
    "recover": "command, and function",
    "submit": "command, and function",
    "summary_table": "table that a command prints last",
    "train": "training of the networks",
    "versions": "versions of packages",
    "write": "writing of results",
}


def assigned(target):
    """Names that an assignment to a target makes."""
    elements = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
    return [element.id for element in elements if isinstance(element, ast.Name)]


def names(tree):
    """Names that a module makes at its top, private and special ones left out."""
    found = set()
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(name for target in node.targets for name in assigned(target))
        elif isinstance(node, ast.AnnAssign):
            found.update(assigned(node.target))
    return {name for name in found if not name.startswith("_")}


def shared():
    """Names that several modules make, with these modules."""
    modules = defaultdict(set)
    for path in sorted(SOURCE.rglob("*.py")):
        for name in names(ast.parse(path.read_text(encoding="utf-8"))):
            modules[name].add(path.relative_to(SOURCE).as_posix())
    return {name: sorted(where) for name, where in modules.items() if len(where) > 1}


def test_a_name_means_one_thing():
    """Rename one of the two, or write down in `SAME` which idea they share."""
    allowed = SAME.keys()
    assert {name: where for name, where in shared().items() if name not in allowed} == {}


def test_no_exception_is_left_over():
    assert sorted(SAME.keys() - shared().keys()) == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("A = 1", {"A"}),
        ("A, B = 1, 2", {"A", "B"}),
        ("A: int = 1", {"A"}),
        ("def f(): x = 1", {"f"}),
        ("class C: x = 1", {"C"}),
        ("_A = 1\n__all__ = []", set()),
        ("from a import b", set()),
    ],
)
def test_the_names_of_a_module(code, expected):
    assert names(ast.parse(code)) == expected
