"""Names that people mistype."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """A message about a name that is not among the known ones, with the nearest that is."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    meant = f": did you mean {near[0]}?" if near else "."
    return f"unknown {kind} {name!r}{meant} Known: {', '.join(names)}"
