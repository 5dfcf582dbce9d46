"""Picture of the electrons: spin-resolved bands beside the density of states.

Counterpart of the paper's Figs. 13-15. In the bands spin up is blue and solid, spin down vermilion
and dashed; both can be distinguished in grey. In the density of states spin up is drawn to the
right and spin down to the left, and colours show the valence shells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.util.string import latexify

from atomate2_vogen.errors import InputError
from atomate2_vogen.plotting.dispersion import DENSITY_WIDTH, draw_path, loaded, path_axis
from atomate2_vogen.plotting.figures import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Files,
    Panels,
    drawing,
    legend_entries,
    panel_title,
)
from atomate2_vogen.schemas import (
    BandEdge,
    ChannelState,
    ElectronicDoc,
    ElectronicStructure,
    SpinChannel,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW = (-6.0, 6.0)
"""eV around the Fermi level that is shown."""

_STYLE: dict[int, dict[str, Any]] = {
    1: {"color": BLUE, "linestyle": "-", "label": "spin up"},
    -1: {"color": VERMILION, "linestyle": (0, (4, 1.5)), "label": "spin down"},
}
_SHELLS = (GREEN, PURPLE, ORANGE, SKY)
_BOTH: dict[str, Any] = {"color": BLUE, "linestyle": "-", "label": "both spins"}


def plot_electronic(
    document: ElectronicDoc,
    path: Files | None = None,
    window: tuple[float, float] = WINDOW,
    *,
    ax: Panels | None = None,
) -> Figure:
    """Draw bands along lines of high symmetry, and the density of states to their right.

    Energies are measured from the Fermi level. Edges of a channel with a gap are marked where
    the line shows them; an edge that lies off the line is named in the caption alone.

    Parameters
    ----------
    document
        Completed, with its bands and density of states loaded (``load=True``).
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    window
        Lowest and highest energy shown, eV.
    ax
        Axes to draw into, two: bands and density of states; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If the document has failed, lacks bands along a line, or the window is empty.
    """
    from pymatgen.electronic_structure.plotter import BSPlotter

    if document.electrons is None:
        raise InputError(f"{document.candidate_id} has no bands to draw: {document.error}")
    if not window[0] < window[1]:
        raise InputError(f"the window from {window[0]} to {window[1]} eV is empty")
    bands = loaded(document.line_bands, "line bands")
    electrons = document.electrons
    dos = document.density_of_states
    dos = None if dos is None else loaded(dos, "density of states")
    with drawing(path, _caption(document, electrons), width=6.4, height=4.4, ax=ax) as page:
        left, right = page.panels(2, sharey=True, width_ratios=(1.0, DENSITY_WIDTH))
        for spin, values in sorted(bands.bands.items(), key=lambda item: -int(item[0])):
            style = _STYLE[int(spin)] if electrons.is_spin_polarised else _BOTH
            draw_path(left, bands, np.asarray(values) - electrons.fermi_level, linewidth=1, **style)
        path_axis(left, BSPlotter(bands).get_ticks())
        for channel in (electrons.up, electrons.down):
            if channel is not None:
                _mark_edges(left, bands, channel, electrons.fermi_level)
        if dos is None:
            right.text(0.5, 0.6, "no DOS", transform=right.transAxes, ha="center", color="0.4")
            right.set_xticks([])
        else:
            _draw_dos(right, dos, electrons, window)
        for axes, letter in ((left, "a"), (right, "b")):
            axes.axhline(0, color="0.4", linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
            panel_title(axes, letter)
        left.set_ylabel("Energy above the Fermi level (eV)")
        left.set_ylim(*window)
        page.legend(legend_entries([left, right]))
    return page.figure


def _draw_dos(
    axes: Axes, dos: Any, electrons: ElectronicStructure, window: tuple[float, float]
) -> None:
    """Up to the right of the axis, down to its left; the total, and the valence shells of it."""
    energies = np.asarray(dos.energies) - electrons.fermi_level
    shown = (energies >= window[0]) & (energies <= window[1])
    highest = 0.0
    shells = valence_shells(dos)
    for spin, density in sorted(dos.densities.items(), key=lambda item: -int(item[0])):
        values = int(spin) * np.asarray(density)
        if shells:
            axes.fill_betweenx(energies, 0, values, color="0.86", linewidth=0)
            axes.plot(values, energies, color="0.45", linewidth=0.7)
        else:
            style = dict(_STYLE[int(spin)] if electrons.is_spin_polarised else _BOTH)
            style.pop("label")
            axes.plot(values, energies, linewidth=1, **style)
            axes.fill_betweenx(energies, 0, values, color=style["color"], alpha=0.18, linewidth=0)
        highest = max(highest, float(np.abs(values[shown]).max(initial=0.0)))
    for number, (name, shell) in enumerate(shells.items()):
        for spin, density in shell.items():
            axes.plot(
                int(spin) * np.asarray(density),
                energies,
                color=_SHELLS[number % len(_SHELLS)],
                linewidth=1,
                linestyle=("-", (0, (4, 1.5)))[number % 2],
                label=name if int(spin) == 1 else None,
            )
    highest = 1.06 * highest or 1.0
    axes.axvline(0, color="black", linewidth=0.7)
    axes.set_xlim(-highest if electrons.is_spin_polarised else 0, highest)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set_xlabel("DOS (states/eV/cell)")


def valence_shells(dos: Any) -> dict[str, dict[Any, np.ndarray]]:
    """Density of states of each element's valence shell, by its name and by spin.

    The shell is d of a transition metal, p of other elements. Nothing where the density of states
    has no projections.

    Parameters
    ----------
    dos
        pymatgen's `CompleteDos`, or a plain `Dos`.

    Returns
    -------
    dict
        By name such as ``V 3d``: densities in states/eV/cell by `Spin`.
    """
    from pymatgen.electronic_structure.core import OrbitalType

    if not getattr(dos, "pdos", None):
        return {}
    found: dict[str, dict[Any, np.ndarray]] = {}
    for element in dos.structure.composition.elements:
        orbital = OrbitalType.d if element.is_transition_metal else OrbitalType.p
        shells = [n for n, kind, _ in element.full_electronic_structure if kind == orbital.name]
        projected = dos.get_element_spd_dos(element).get(orbital)
        if projected is not None and shells:
            found[f"{element.symbol} {shells[-1]}{orbital.name}"] = projected.densities
    return found


def _mark_edges(axes: Axes, bands: Any, channel: SpinChannel, fermi: float) -> None:
    """A dot on each edge of a gap, wherever the line passes it."""
    if channel.state is not ChannelState.GAPPED:
        return
    style = _STYLE[-1 if channel.spin == "down" else 1]
    for edge in (channel.vbm, channel.cbm):
        if edge is None:
            continue
        k_points = np.array([k.frac_coords for k in bands.kpoints])
        apart = k_points - np.array(edge.k_point)
        here = np.flatnonzero(np.abs(apart - np.round(apart)).max(axis=1) < 1e-3)
        axes.scatter(
            np.asarray(bands.distance)[here],
            np.full(len(here), edge.energy - fermi),
            s=16,
            color=style["color"],
            edgecolor="black",
            linewidth=0.5,
            zorder=5,
        )


def _channel_text(channel: SpinChannel) -> str:
    name = {"both": "gap", "up": "gap up", "down": "gap down"}[channel.spin]
    if channel.state is ChannelState.METALLIC:
        return f"{name}: none"
    kind = "direct" if channel.is_direct else "indirect"
    text = f"{name}: {channel.gap:.2f} eV ({kind}"
    if channel.vbm is not None and channel.cbm is not None:
        places = [_place(edge) for edge in (channel.vbm, channel.cbm)]
        text += f", {' to '.join(places)}" if places[0] != places[1] else f", at {places[0]}"
    return text + ")"


def _place(edge: BandEdge) -> str:
    """Label of a k point, or its fractional coordinates where it has none."""
    if edge.label:
        return edge.label.replace("\\Gamma", "Γ").replace("GAMMA", "Γ")
    # adding 0.0 takes the sign from a rounded zero
    return f"({', '.join(f'{round(c, 2) + 0.0:.2f}' for c in edge.k_point)})"


def _caption(document: ElectronicDoc, electrons: ElectronicStructure) -> str:
    channels = [c for c in (electrons.up, electrons.down) if c is not None]
    moment = (
        ""
        if electrons.total_moment is None or not electrons.is_spin_polarised
        else f" Moment {electrons.total_moment:.2f} μB/cell."
    )
    return (
        f"{latexify(document.formula)}, {document.scheme}: {electrons.character.value}; "
        f"{', '.join(_channel_text(channel) for channel in channels)}.{moment}"
    )
