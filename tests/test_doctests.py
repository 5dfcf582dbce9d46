"""Examples of docstrings: each is run, and each public class and function has one."""

from __future__ import annotations

import ast
import doctest
import io
import itertools
import os
import re
from importlib import import_module
from pathlib import Path

import pytest
from missing_examples import MISSING

import atomate2_vogen
from atomate2_vogen.errors import MissingDependencyError

SOURCE = Path(atomate2_vogen.__file__).parent
PACKAGE = "atomate2_vogen"
OPTIONAL = {"gpaw", "keras", "sevenn", "tensorflow"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PARSER = doctest.DocTestParser()
DEFINITIONS = (ast.ClassDef, ast.FunctionDef)


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path):
    name = ".".join((PACKAGE, *path.relative_to(SOURCE).with_suffix("").parts))
    return name.removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


# --- every example is run


def examples(path):
    """Doctests of one module, from its text: a decorator hides no function."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.Module, *DEFINITIONS)) and (text := ast.get_docstring(node)):
            name = getattr(node, "name", "module")
            line = node.body[0].lineno - 1
            test = PARSER.get_doctest(text, {"__name__": "__main__"}, name, str(path), line)
            if test.examples:
                yield test


class Runner(doctest.DocTestRunner):
    """Skips an example whose optional package is not installed."""

    def report_unexpected_exception(self, out, test, example, exc_info):
        error = exc_info[1]
        if isinstance(error, ImportError) and (error.name or "").split(".")[0] in OPTIONAL:
            pytest.skip(f"{error.name} is not installed")
        if isinstance(error, MissingDependencyError):
            pytest.skip(str(error))
        super().report_unexpected_exception(out, test, example, exc_info)


def failures(test):
    """What the runner prints about the examples that are wrong."""
    out = io.StringIO()
    Runner(optionflags=FLAGS).run(test, out=out.write)
    return out.getvalue()


WITH_EXAMPLES = [name for name, path in MODULES.items() if any(examples(path))]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_are_true(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "COLUMNS", "80")
    known = vars(import_module(module))
    found = list(examples(MODULES[module]))
    for test in found:
        test.globs = {**known, **test.globs}  # as doctest does: names of the module are known
    assert "".join(map(failures, found)) == ""


# --- every public class and function has one


def definitions(module):
    """Classes and functions of one module by name, those that it imports from others included."""
    path = MODULES[module]
    stub = path.with_suffix(".pyi")
    tree = tree_of(stub if stub.exists() else path)
    found = {node.name: (module, node) for node in tree.body if isinstance(node, DEFINITIONS)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            # of a package: its own level is one less than that of a module
            base = module if path.stem == "__init__" else module.rpartition(".")[0]
            parts = base.split(".")
            start = parts[: len(parts) - node.level + 1] if node.level else []
            source = ".".join([*start, *filter(None, [node.module])])
            for alias in node.names:
                if source in MODULES:
                    found[alias.asname or alias.name] = (source, alias.name)
    return found


def definition(module, name):
    """Module and node of a class or function, where it is written; None for other values."""
    source, node = definitions(module).get(name, (module, None))
    return definition(source, node) if isinstance(node, str) else (source, node) if node else None


def public():
    """``module.name`` of what packages export, and of all Makers, by where it is written."""
    packages = [name for name, path in MODULES.items() if path.stem == "__init__"]
    exported = itertools.chain.from_iterable(
        (definition(package, name) for name in definitions(package) if name[0] != "_")
        for package in packages
        if package.count(".") < 2
    )
    found = {f"{where}.{node.name}": node for where, node in filter(None, exported)}
    for module, path in MODULES.items():
        if module.startswith((f"{PACKAGE}.flows.", f"{PACKAGE}.jobs.")):
            for node in tree_of(path).body:
                if isinstance(node, ast.ClassDef) and re.fullmatch(r"[A-Z]\w*Maker", node.name):
                    found[f"{module}.{node.name}"] = node
    return {name.removeprefix(f"{PACKAGE}."): node for name, node in sorted(found.items())}


def has_example(node):
    """Whether a docstring has the section ``Examples`` of numpy style, and what runs in it."""
    _, heading, section = (ast.get_docstring(node) or "").partition("\nExamples\n--------\n")
    run = [e for e in PARSER.get_examples(section) if not e.options.get(doctest.SKIP)]
    # an import alone shows no use
    return bool(heading) and any(not e.source.startswith(("import ", "from ")) for e in run)


PUBLIC = public()


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_an_example(name):
    if name in MISSING:
        assert not has_example(PUBLIC[name]), "it has an example now: take it out of MISSING"
    else:
        assert has_example(PUBLIC[name])


def test_what_is_missing_is_public():
    assert len(PUBLIC) > 150
    assert set(PUBLIC) >= MISSING


# --- the checks themselves


def made(tmp_path, body):
    path = tmp_path / "made.py"
    path.write_text(f'def f():\n    """Value.\n\n    {body}\n    """\n', encoding="utf-8")
    return path


def test_a_wrong_example_is_found(tmp_path):
    (test,) = examples(made(tmp_path, ">>> 1 + 1\n    3"))
    assert "Expected:\n    3\nGot:\n    2\n" in failures(test)


def test_an_example_of_a_missing_package(tmp_path):
    (test,) = examples(made(tmp_path, ">>> raise ModuleNotFoundError('no', name='gpaw.mpi')"))
    with pytest.raises(pytest.skip.Exception, match=r"gpaw\.mpi is not installed"):
        failures(test)
    (test,) = examples(made(tmp_path, ">>> import no_such_package_anywhere"))
    assert "ModuleNotFoundError" in failures(test)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Examples\n    --------\n    >>> f()\n    1", True),
        ("Examples\n    --------\n    >>> from a import f\n    >>> f()", True),
        ("Examples\n    --------\n    >>> from a import f", False),
        ("Examples\n    --------\n    >>> f()  # doctest: +SKIP", False),
        ("Examples\n    --------\n    Call it.", False),
        (">>> f()\n    1", False),
    ],
)
def test_what_an_example_is(tmp_path, body, expected):
    (node,) = tree_of(made(tmp_path, body)).body
    assert has_example(node) is expected


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("load_engine", "engines.loading"),
        ("Engine", "engines.base"),
        ("write_report", "report.writing"),
        ("VogenStores", "stores.project"),
    ],
)
def test_a_name_is_followed_to_where_it_is_written(name, where):
    module, node = definition(PACKAGE, name)
    assert (module, node.name) == (f"{PACKAGE}.{where}", name)
    assert f"{where}.{name}" in PUBLIC


def test_values_are_no_definitions():
    assert definition(PACKAGE, "VANADIUM") is None
    assert "jobs.dataset.BuildDatasetMaker" in PUBLIC
