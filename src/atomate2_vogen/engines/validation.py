"""Refusal of what is given as an engine and is none."""

from __future__ import annotations

from typing import Any

from jobflow import Maker

from atomate2_vogen.engines.base import Engine
from atomate2_vogen.errors import InputError


def check_engine(engine: Any, owner: Any) -> None:
    """Refuse what is no `Engine`, where it is given.

    Parameters
    ----------
    engine
        Value of the field ``engine``.
    owner
        Maker that has the field, for the message.

    Raises
    ------
    InputError
        Telling how an engine is made of what was given.
    """
    if isinstance(engine, Engine):
        return
    found, advice = type(engine).__name__, "Engine.from_force_field(...) or Engine.from_maker(...)"
    if isinstance(engine, str):
        found = repr(engine)
        advice = f"load_engine({engine!r}) or Engine.from_force_field({engine!r})"
    elif isinstance(engine, Maker):
        advice = "Engine.from_maker(maker, scheme=...)"
    elif engine is None:
        found = "None"
    elif callable(engine):
        name = getattr(engine, "__name__", found)
        found, advice = (
            f"the function or class {name}",
            f"an engine; to make one, call it: {name}()",
        )
    raise InputError(f"engine of {type(owner).__name__} is {found}, not an Engine; give {advice}")
