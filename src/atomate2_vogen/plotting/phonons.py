"""Pictures of phonons: dispersion beside the density of states, and a series of supercells.

Counterparts of the paper's Figs. 10-12 and of its supplementary figures S1 and S2. Imaginary
frequencies are drawn below zero, on grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.util.string import latexify

from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.plotting.dispersion import DENSITY_WIDTH, draw_path, loaded, path_axis
from atomate2_vogen.plotting.figures import (
    BLUE,
    SERIES,
    VERMILION,
    Files,
    Panels,
    drawing,
    legend_entries,
    panel_title,
)
from atomate2_vogen.schemas import PhononDoc, PhononSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_phonons(
    document: PhononDoc, path: Files | None = None, *, ax: Panels | None = None
) -> Figure:
    """Draw the dispersion, and the density of states to its right.

    Parameters
    ----------
    document
        Completed, with dispersion and density of states loaded (``load=True``).
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    ax
        Axes to draw into, two: dispersion and density of states; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If the document has failed or lacks dispersion or density of states.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.phonons import phonon_bands, phonon_dos, summarise_phonons
    >>> from atomate2_vogen.plotting import plot_phonons
    >>> from atomate2_vogen.schemas import PhononDoc
    >>> from phonopy import Phonopy
    >>> from phonopy.structure.atoms import PhonopyAtoms
    >>> from pymatgen.io.phonopy import get_pmg_structure
    >>> cell = PhonopyAtoms(symbols=["O"], cell=np.eye(3) * 4.0, scaled_positions=[[0, 0, 0]])
    >>> phonon = Phonopy(cell, np.eye(3, dtype=int) * 2, primitive_matrix="P")
    >>> n = len(phonon.supercell)
    >>> springs = n * np.eye(n) - np.ones((n, n))  # every atom is tied to every other one
    >>> phonon.force_constants = springs[..., None, None] * np.eye(3)  # eV/Å²
    >>> bands = phonon_bands(phonon, points=5)
    >>> document = PhononDoc(
    ...     phonon_id="made by hand",
    ...     candidate_id="O-1",
    ...     scheme="springs",
    ...     engine="springs",
    ...     requested_supercell="2x2x2",
    ...     state="completed",
    ...     formula="O2",
    ...     structure=get_pmg_structure(cell),
    ...     phonons=summarise_phonons(phonon, bands, mesh_length=20.0),
    ...     phonon_bands=bands.as_dict(),
    ...     phonon_dos=phonon_dos(phonon, mesh_length=20.0).as_dict(),
    ... )
    >>> figure = plot_phonons(document, "phonons.pdf")
    >>> figure.axes[0].get_ylabel()
    'Frequency (THz), imaginary below 0'
    """
    from pymatgen.phonon.plotter import PhononBSPlotter

    phonons = _completed(document)
    bands = loaded(document.phonon_bands, "phonon dispersion")
    dos = loaded(document.phonon_dos, "phonon density of states")
    with drawing(path, _caption(document, phonons), width=6.4, height=4.2, ax=ax) as page:
        left, right = page.panels(2, sharey=True, width_ratios=(1.0, DENSITY_WIDTH))
        draw_path(left, bands, np.asarray(bands.bands), color=BLUE, linewidth=0.9)
        path_axis(left, PhononBSPlotter(bands).get_ticks())
        _mark_lowest(left, bands, phonons)
        frequencies, density = np.asarray(dos.frequencies), np.asarray(dos.densities)
        right.plot(density, frequencies, color=BLUE, linewidth=0.9)
        right.fill_betweenx(frequencies, 0, density, color=BLUE, alpha=0.18, linewidth=0)
        right.set_xlim(0, 1.06 * float(density.max()) or 1.0)
        right.set_xlabel("DOS (1/THz/cell)")
        _frequency_axis([left, right], [phonons])
        panel_title(left, "a")
        panel_title(right, "b")
    return page.figure


def plot_phonon_series(
    documents: Sequence[PhononDoc], path: Files | None = None, *, ax: Panels | None = None
) -> Figure:
    """Draw the dispersions of one crystal in several supercells over each other.

    Parameters
    ----------
    documents
        Of one candidate and scheme; failed ones are named in the caption.
    path
        File to write, or several of them: PNG, PDF or SVG by the suffix; by default none.
    ax
        Axes to draw into, one; by default a new figure with a caption is made.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    InputError
        If nothing is completed, or the documents are of several candidates.
    SchemeMismatchError
        If they are of several schemes.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.phonons import phonon_bands, summarise_phonons
    >>> from atomate2_vogen.plotting import plot_phonon_series
    >>> from atomate2_vogen.schemas import PhononDoc
    >>> from phonopy import Phonopy
    >>> from phonopy.structure.atoms import PhonopyAtoms
    >>> from pymatgen.io.phonopy import get_pmg_structure
    >>> def document(edge):
    ...     # Phonons of a cubic crystal in a supercell of edge³ cells
    ...     cell = PhonopyAtoms(symbols=["O"], cell=np.eye(3) * 4.0, scaled_positions=[[0, 0, 0]])
    ...     phonon = Phonopy(cell, np.eye(3, dtype=int) * edge, primitive_matrix="P")
    ...     n = len(phonon.supercell)
    ...     springs = n * np.eye(n) - np.ones((n, n))  # every atom is tied to every other one
    ...     phonon.force_constants = springs[..., None, None] * np.eye(3)  # eV/Å²
    ...     bands = phonon_bands(phonon, points=5)
    ...     return PhononDoc(
    ...         phonon_id=f"{edge}",
    ...         candidate_id="O-1",
    ...         scheme="springs",
    ...         engine="springs",
    ...         requested_supercell=f"{edge}x{edge}x{edge}",
    ...         state="completed",
    ...         formula="O2",
    ...         structure=get_pmg_structure(cell),
    ...         phonons=summarise_phonons(phonon, bands, mesh_length=20.0),
    ...         phonon_bands=bands.as_dict(),
    ...     )
    >>> figure = plot_phonon_series([document(2), document(3)], "series.pdf")
    >>> len(figure.axes)
    1
    """
    from pymatgen.phonon.plotter import PhononBSPlotter

    done = [document for document in documents if document.phonons is not None]
    if not done:
        raise InputError("no completed phonon document to draw")
    if len(candidates := sorted({document.candidate_id for document in documents})) > 1:
        raise InputError(f"{' and '.join(candidates)} are not one crystal")
    if len(schemes := sorted({document.scheme for document in documents})) > 1:
        raise SchemeMismatchError(f"{' and '.join(schemes)} cannot be drawn as one series")
    failed = [d.requested_supercell for d in documents if d.phonons is None]
    caption = f"{latexify(done[0].formula)}, {done[0].scheme}. " + "; ".join(
        f"{d.requested_supercell}: lowest {_signed(_completed(d).lowest_frequency)} THz, "
        f"{_completed(d).verdict.value}"
        for d in done
    )
    caption += f". Failed: {', '.join(failed)}." if failed else "."
    with drawing(path, caption, width=5.6, height=4.2, ax=ax) as page:
        (axes,) = page.panels(1)
        for i, document in enumerate(done):
            bands = loaded(document.phonon_bands, "phonon dispersion")
            draw_path(
                axes,
                bands,
                np.asarray(bands.bands),
                color=SERIES[i % len(SERIES)],
                linestyle=["-", (0, (4, 1.5)), (0, (1, 1))][i % 3],
                linewidth=0.9,
                label=document.requested_supercell,
            )
            if i == 0:
                path_axis(axes, PhononBSPlotter(bands).get_ticks())
        _frequency_axis([axes], [_completed(document) for document in done])
        page.legend(legend_entries([axes]))
    return page.figure


def _completed(document: PhononDoc) -> PhononSummary:
    if document.phonons is None:
        raise InputError(f"{document.candidate_id} has no phonons to draw: {document.error}")
    return document.phonons


def _frequency_axis(panels: Sequence[Axes], summaries: Sequence[PhononSummary]) -> None:
    """One range for all panels, zero marked, what is imaginary on grey."""
    top = max(summary.highest_frequency for summary in summaries)
    bottom = min(0.0, *(summary.lowest_frequency for summary in summaries))
    low, high = bottom - 0.05 * (top - bottom), top + 0.04 * (top - bottom)
    for axes in panels:
        axes.axhspan(low, 0, color="0.93", linewidth=0, zorder=-2)
        axes.axhline(0, color="0.4", linewidth=0.7, zorder=-1)
        axes.set_ylim(low, high)
    panels[0].set_ylabel("Frequency (THz), imaginary below 0")


def _mark_lowest(axes: Axes, bands: Any, phonons: PhononSummary) -> None:
    """A dot at the lowest frequency, if it is imaginary and on the path."""
    values = np.asarray(bands.bands).min(axis=0)
    index = int(values.argmin())
    noise = phonons.tolerances["noise_THz"]
    if values[index] < -noise and abs(values[index] - phonons.lowest_frequency) < 1e-2:
        axes.scatter(
            bands.distance[index],
            values[index],
            s=20,
            color=VERMILION,
            edgecolor="black",
            linewidth=0.5,
            zorder=5,
        )


def _signed(frequency: float) -> str:
    """A frequency with a true minus sign; what rounds to zero has none."""
    rounded = round(frequency, 2) or 0.0
    return f"{rounded:.2f}".replace("-", "−")


def _caption(document: PhononDoc, phonons: PhononSummary) -> str:
    label = phonons.lowest_label.replace("GAMMA", "Γ").replace("\\Gamma", "Γ")
    place = {"mesh": "off the path"}.get(label, f"at {label}")
    weakness = f" {document.known_weakness}." if document.known_weakness else ""
    return (
        f"{latexify(document.formula)}, {document.scheme}, supercell "
        f"{document.requested_supercell} ({phonons.n_atoms_supercell} atoms): "
        f"{phonons.verdict.value}; lowest frequency {_signed(phonons.lowest_frequency)} THz {place}, "
        f"{100 * phonons.imaginary_fraction:.1f} % of the modes imaginary.{weakness}"
    )
