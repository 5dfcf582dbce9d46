"""Which fields of a document a query returns, as MongoDB's projections say it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.errors import OperationFailure

Tree = dict[str, Any]
"""Names of fields; the value is True for the whole field, or the tree below it."""


@dataclass(frozen=True)
class Projection:
    """Fields to return.

    Parameters
    ----------
    apply
        Makes the answer from a document, which is not used again.
    paths
        Fields that it reads; None for all.
    """

    apply: Callable[[dict[str, Any]], dict[str, Any]]
    paths: tuple[tuple[str, ...], ...] | None


def projection(properties: Mapping[str, Any] | Iterable[str] | None) -> Projection:
    """Projection for the ``properties`` of a maggma query.

    Parameters
    ----------
    properties
        Names of fields to return, or a mapping of names to 1 (return these alone) or 0 (return
        all others). ``_id`` is returned unless the mapping says ``{"_id": 0}``.

    Raises
    ------
    pymongo.errors.OperationFailure
        If the mapping asks for both kinds, or for anything else than 1 and 0.
    """
    wanted = dict.fromkeys(properties or (), 1)
    if isinstance(properties, Mapping):
        wanted = {name: _flag(name, value) for name, value in properties.items()}
    with_id = wanted.pop("_id", None)
    if not wanted:
        if with_id is None:
            return Projection(lambda document: document, None)
        wanted, with_id = {"_id": with_id}, None
    if len({*wanted.values()}) > 1:
        raise OperationFailure(f"properties both include and exclude fields: {properties}")
    tree = _tree(wanted)
    if not next(iter(wanted.values())):
        if with_id == 0:
            tree["_id"] = True
        return Projection(lambda document: _exclude(document, tree), None)
    if with_id != 0:
        tree.setdefault("_id", True)
    paths = tuple(tuple(name.split(".")) for name in wanted)
    return Projection(lambda document: _include(document, tree), paths)


def _flag(name: str, value: Any) -> int:
    if not isinstance(value, int | float):
        raise OperationFailure(f"property {name}: {value!r} is not supported; use 1 or 0")
    return int(bool(value))


def _tree(names: Iterable[str]) -> Tree:
    made: Tree = {}
    for name in names:
        *above, last = name.split(".")
        node = made
        for step in above:
            below = node.setdefault(step, {})
            if below is True:  # the whole field is wanted already
                break
            node = below
        else:
            node[last] = True
    return made


def _include(document: dict[str, Any], tree: Tree) -> dict[str, Any]:
    made = {}
    for name, value in document.items():
        below = tree.get(name)
        if below is True:
            made[name] = value
        elif below is not None and isinstance(value, dict | list):
            made[name] = _below(value, below, _include)
    return made


def _exclude(document: dict[str, Any], tree: Tree) -> dict[str, Any]:
    made = {}
    for name, value in document.items():
        below = tree.get(name)
        if below is None:
            made[name] = value
        elif below is not True:
            made[name] = _below(value, below, _exclude)
    return made


def _below(value: Any, tree: Tree, apply: Callable[[dict[str, Any], Tree], dict[str, Any]]) -> Any:
    """The same in a nested document, or in each one of an array."""
    if isinstance(value, dict):
        return apply(value, tree)
    if isinstance(value, list):
        kept = [v for v in value if apply is _exclude or isinstance(v, dict | list)]
        return [_below(item, tree, apply) for item in kept]
    return value
