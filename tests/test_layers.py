"""The house rules that no reader should have to enforce by eye."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import atomate2_vogen
from atomate2_vogen.chemistry import VANADIUM

SOURCE = Path(atomate2_vogen.__file__).parent
ROOT = SOURCE.parents[1]
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "chemistry.py")


def docstrings(tree):
    """The string nodes that are docstrings, of attributes too."""
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
    return {
        statement.value
        for body in bodies
        for statement in body
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    }


def species_literals(source):
    """String literals that name the metal of the default system or one of its oxides."""
    metal = VANADIUM.metal
    # the symbol as a word of a formula: V, VO2, V2O5, O2V, V-O, but not Vogen, VAE or eV
    pattern = re.compile(rf"(?<![A-Za-z])(O\d*)?{metal}(\d+|(?=O\b|O\d|-|$|\W))")
    tree = ast.parse(source)
    skipped = docstrings(tree)
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node not in skipped
        and pattern.search(node.value)
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_species_outside_chemistry(module):
    assert species_literals(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "literal", ["V", "VO2", "V2O3", "3 V atoms", "V-O", "O2V", "VO2:8", "the V 3d states"]
)
def test_the_search_finds_species(literal):
    assert species_literals(f"x = f({literal!r})") == [(1, literal)]


@pytest.mark.parametrize("text", ["VAE", "eV/atom", "Vogen", "VASP", "meV", "Verlet", "O", "TV"])
def test_the_search_lets_other_words_pass(text):
    assert species_literals(f"x = {text!r}") == []


def test_the_search_skips_docstrings_alone():
    assert species_literals('"""VO2."""\ndef f():\n    """V."""\nx = 1\n"""V2O3 of x."""') == []
    assert species_literals('def f():\n    "doc"\n    return f"{1} VO2"') == [(3, " VO2")]


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="not a source checkout")
def test_imports_only_point_down():
    # a process of its own: import-linter disables every logger that exists
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
