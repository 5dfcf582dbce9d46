"""What pictures of electron bands and of phonons share: lines along a path, objects of stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from atomate2_vogen.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DENSITY_WIDTH = 0.42
"""Width of the panel with the density of states, that of the path being 1."""


def loaded(value: Any, what: str) -> Any:
    """An object that a document holds, decoded where a store gave it as a dictionary.

    Raises
    ------
    InputError
        If the document has none, or only the link to the ``data`` store.
    """
    if value is None:
        raise InputError(f"the document has no {what}: its calculation failed or made none")
    if isinstance(value, Mapping):
        if "blob_uuid" in value:
            raise InputError(
                f"the {what} is in the data store: read the document with load=True "
                "(get_output(uuid, load=True))"
            )
        from monty.json import MontyDecoder

        value = MontyDecoder().process_decoded(dict(value))
        if isinstance(value, Mapping):
            raise InputError(f"the {what} of the document is no pymatgen object")
    return value


def draw_path(axes: Axes, bands: Any, values: np.ndarray, **style: Any) -> None:
    """Draw bands branch by branch, for paths may jump.

    Parameters
    ----------
    axes
        The panel.
    bands
        pymatgen's bands along a path: their branches and distances are used.
    values
        Shape (bands, k points).
    style
        Of the lines; a label is given to one of them.
    """
    label = style.pop("label", None)
    distance = np.asarray(bands.distance)
    for branch in bands.branches:
        part = slice(branch["start_index"], branch["end_index"] + 1)
        lines = axes.plot(distance[part], values[:, part].T, **style)
        if label is not None:
            lines[0].set_label(label)
            label = None


def path_axis(axes: Axes, ticks: Mapping[str, Sequence[Any]]) -> None:
    """Names of the corners below the panel, and a thin line at each.

    Parameters
    ----------
    axes
        The panel.
    ticks
        ``distance`` and ``label``, as pymatgen's plotters give them.
    """
    # a corner between two branches comes twice
    names = {
        round(float(x), 6): _corner(str(label))
        for x, label in zip(ticks["distance"], ticks["label"], strict=True)
    }
    where = list(names)
    for x in where:
        axes.axvline(x, color="0.8", linewidth=0.6, zorder=0)
    axes.set_xticks(where, list(names.values()))
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(min(where), max(where))


def _corner(label: str) -> str:
    """Name of a corner as it is printed: Γ, and an index below the line."""
    parts = label.replace("$\\mid$", "|").replace("GAMMA", "Γ").split("|")
    return "|".join(f"${part}$" if "_" in part and "$" not in part else part for part in parts)
