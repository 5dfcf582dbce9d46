"""What users import: short paths that resolve, are told about, and cost nothing until used."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import atomate2_vogen

SOURCE = Path(atomate2_vogen.__file__).parent
PACKAGES = (
    "atomate2_vogen",
    *(
        f"atomate2_vogen.{path.parent.name}"
        for path in sorted(SOURCE.glob("*/__init__.py"))
        if path.parent.name != "cli"
    ),
)
NAMES = [(package, name) for package in PACKAGES for name in import_module(package).__all__]
HEAVY = ("tensorflow", "keras", "torch", "pymatgen.core", "atomate2", "jobflow", "matplotlib")
LAZY = [package for package in PACKAGES if (SOURCE / package[15:] / "__init__.pyi").exists()]


def in_a_fresh_process(code):
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(run.stdout)


def told_about(thing):
    """Its own docstring, not what a dataclass or a base class would give it."""
    text = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    made = f"{thing.__name__}(" if dataclasses.is_dataclass(thing) else None
    return bool(text) and not (made and text.startswith(made))


def test_there_is_a_front_door():
    assert {"flows", "jobs", "engines", "stores"} <= {p.rpartition(".")[2] for p in PACKAGES}
    assert len(NAMES) > 150
    assert len(LAZY) == 15


@pytest.mark.parametrize(("package", "name"), NAMES, ids=".".join)
def test_public_names_resolve_and_are_told_about(package, name):
    thing = getattr(import_module(package), name)
    assert name in dir(import_module(package))
    if inspect.isclass(thing) or inspect.isroutine(thing):
        assert told_about(thing)
        assert thing.__name__ == name


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_is_no_submodule(package):
    """Else what `package.name` is would depend on who has imported what before."""
    module = import_module(package)
    submodules = {path.stem for path in Path(module.__path__[0]).glob("*.py")}
    assert submodules & set(module.__all__) == set()


def test_the_check_of_docstrings_finds_made_ones():
    @dataclasses.dataclass
    class Untold:
        a: int = 0

    class Inherited(atomate2_vogen.VogenError):
        pass

    assert not told_about(Untold)
    assert not told_about(Inherited)
    assert told_about(atomate2_vogen.VogenError)


def test_front_door_and_package_hand_out_the_same():
    from atomate2_vogen.flows import discovery

    assert atomate2_vogen.DiscoveryFlowMaker is discovery.DiscoveryFlowMaker
    assert atomate2_vogen.flows.DiscoveryFlowMaker is discovery.DiscoveryFlowMaker
    with pytest.raises(AttributeError, match="nonsense"):
        atomate2_vogen.flows.nonsense  # noqa: B018


def test_importing_is_cheap():
    found = in_a_fresh_process(
        "import json, sys, time\n"
        "before = time.perf_counter()\n"
        f"import {', '.join(LAZY)}\n"
        "took = time.perf_counter() - before\n"
        f"heavy = [name for name in {HEAVY} if name in sys.modules]\n"
        "from atomate2_vogen.flows import DiscoveryFlowMaker\n"
        "print(json.dumps([took, heavy, 'jobflow' in sys.modules]))"
    )
    took, heavy, afterwards = found
    assert heavy == []
    assert took < 0.5  # seconds; without jobflow's
    assert afterwards  # the search finds what is imported


def from_the_front_door(tree):
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module, node.level) == ("atomate2_vogen", 0)
        for alias in node.names
    }


def test_the_package_does_not_use_its_own_front_door():
    """Import-linter does not see what a name behind it imports."""
    assert from_the_front_door(ast.parse("from atomate2_vogen import submit")) == {"submit"}
    for path in SOURCE.rglob("*.py"):
        used = from_the_front_door(ast.parse(path.read_text(encoding="utf-8")))
        assert used <= {"__version__"}, path
