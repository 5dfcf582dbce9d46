"""Rows of a query as a notebook shows them: a table with pictures of the crystals."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from atomate2_vogen.data.systems import load_system
from atomate2_vogen.errors import VogenError

if TYPE_CHECKING:
    from pymatgen.core import Structure


SHOWN, PICTURES = 20, 8
"""Most rows, and most of them with a picture: each takes a tenth of a second."""

COLUMNS = {
    "candidate_id": "crystal",
    "energy_above_hull": "above hull",
    "initial_energy_above_hull": "as generated",
    "space_group_symbol": "space group",
    "paper_class": "class",
    "is_novel": "novel",
    "verdict": "other models",
    "phonon_verdict": "phonons",
    "character": "electrons",
}
"""Fields that are shown; those that no row has are left out."""


def rows_as_html(shown: Sequence[Any], structures: Mapping[str, Structure], n_rows: int) -> str:
    """A table of rows; energies in eV/atom.

    Parameters
    ----------
    shown
        The first rows of a query.
    structures
        Relaxed structures by stability id, of those that get a picture.
    n_rows
        Number of all rows.
    """
    used = [name for name in COLUMNS if any(getattr(row, name) is not None for row in shown)]
    head = "".join(f"<th>{COLUMNS[name]}</th>" for name in ["candidate_id", *used[1:]])
    body = []
    for row in shown:
        structure = structures.get(row.stability_id)
        picture = "" if structure is None else _picture(structure, row)
        cells = "".join(f"<td>{_cell(getattr(row, name))}</td>" for name in used)
        body.append(f"<tr><td>{picture}</td>{cells}</tr>")
    rest = n_rows - len(shown)
    note = (
        f"<p>and {rest} more; energies in eV/atom</p>" if rest > 0 else "<p>Energies in eV/atom</p>"
    )
    if not shown:
        return "<p>no crystals</p>"
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{note}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:+.3f}".replace("-", "−") if isinstance(value, float) else str(value)
    return escape(text)


def _picture(structure: Structure, row: Any) -> str:
    """The crystal as coordination polyhedra, in the page itself."""
    from atomate2_vogen.plotting import draw_polyhedra
    from atomate2_vogen.plotting.figures import small_png

    try:
        system = load_system(row.chemsys)
        drawn = small_png(
            lambda axes: draw_polyhedra(axes, structure, system), width=1.3, height=1.1
        )
    except VogenError:
        return ""
    content = base64.b64encode(drawn).decode()
    label = escape(row.candidate_id, quote=True)
    return f'<img src="data:image/png;base64,{content}" alt="{label} as polyhedra"/>'
