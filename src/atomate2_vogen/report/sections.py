"""Bands and phonons on a candidate's page: facts, remarks and a picture."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from atomate2_vogen.errors import VogenError
from atomate2_vogen.plotting.electronic import plot_electronic
from atomate2_vogen.plotting.phonons import plot_phonons
from atomate2_vogen.report.numbers import Facts, formula_text, number
from atomate2_vogen.schemas import ElectronicDoc, PhononDoc, SpinChannel


def make_section(document: ElectronicDoc | PhononDoc) -> dict[str, Any]:
    """Bands or phonons: title, facts, remarks, and the picture where there is one."""
    draw: Callable[[Any, Path], Any]
    if isinstance(document, ElectronicDoc):
        draw = plot_electronic
        name, key = "Electrons", document.electronic_id
        facts, electrons = _electrons(document), document.electrons
        verdict = None if electrons is None else electrons.character.value
        remarks = [] if electrons is None else list(electrons.warnings)
    else:
        draw = plot_phonons
        name, key = "Phonons", document.phonon_id
        facts, phonons = _vibrations(document), document.phonons
        verdict = None if phonons is None else phonons.verdict.value
        remarks = [] if phonons is None else list(phonons.warnings)
        remarks += [document.known_weakness] if document.known_weakness else []
    picture = None
    if document.error:
        remarks.insert(0, f"failed: {document.error}")
    else:
        try:
            picture = _svg_address(draw, document)
        except (VogenError, ValueError) as error:  # matplotlib refuses some texts
            remarks.append(f"not drawn: {error}")
    facts += [("engine", document.engine), ("energy scale", document.scheme)]
    verdict = verdict or document.state.value
    return {
        "title": f"{name}: {verdict}",
        "verdict": verdict,
        "facts": [*facts, *document.engine_versions.items(), ("document", key)],
        "remarks": remarks,
        "picture": picture,
        "alt": f"{name} of {formula_text(document.formula)} by {document.scheme}",
    }


def _electrons(document: ElectronicDoc) -> Facts:
    electrons = document.electrons
    if electrons is None:
        return []
    facts = [("gap over both spins (eV)", number(electrons.gap, 2))]
    channels = [channel for channel in (electrons.up, electrons.down) if channel is not None]
    facts += [(f"gap, spin {channel.spin} (eV)", _gap(channel)) for channel in channels]
    if electrons.total_moment is not None:
        facts.append(("moment (μB/cell)", number(electrons.total_moment, 2)))
    if document.magnetism is not None and document.magnetism.order is not None:
        facts.append(("magnetic order", document.magnetism.order.value))
    tried = [start for start in document.magnetic_starts if start.energy_per_atom is not None]
    facts += [
        (f"energy from the start {start.name} (eV/atom)", number(start.energy_per_atom, 4))
        for start in tried
    ]
    if electrons.half_metallic_gap is not None:
        facts.append(("half-metallic gap (eV)", number(electrons.half_metallic_gap, 2)))
    return facts


def _gap(channel: SpinChannel) -> str:
    kind = {True: ", direct", False: ", indirect", None: ""}[channel.is_direct]
    return f"{number(channel.gap, 2)} ({channel.state.value}{kind})"


def _vibrations(document: PhononDoc) -> Facts:
    phonons = document.phonons
    facts = [("supercell", document.requested_supercell)]
    if phonons is None:
        return facts
    return [
        ("lowest frequency (THz), imaginary below 0", number(phonons.lowest_frequency, 2)),
        ("highest frequency (THz)", number(phonons.highest_frequency, 2)),
        ("imaginary share of the modes", f"{100 * phonons.imaginary_fraction:.1f} %"),
        *facts,
        ("atoms in the supercell", str(phonons.n_atoms_supercell)),
    ]


def _svg_address(draw: Callable[[Any, Path], Any], document: ElectronicDoc | PhononDoc) -> str:
    """A drawing as the address of an image: nothing of it can meet the page's own elements."""
    with tempfile.TemporaryDirectory(prefix="vogen-") as folder:
        path = Path(folder) / "figure.svg"
        draw(document, path)
        return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
