"""Sections of a candidate's page after the first: energy models, DFT, bands, phonons."""

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
from atomate2_vogen.schemas import (
    ConsensusDoc,
    DftDoc,
    ElectronicDoc,
    Opinion,
    PhononDoc,
    SpinChannel,
    StabilityState,
)

FurtherDoc = ConsensusDoc | DftDoc | ElectronicDoc | PhononDoc
"""What is known of a crystal beside its place on the hull."""


def make_section(document: FurtherDoc) -> dict[str, Any]:
    """Title, verdict, facts, remarks, and the picture where there is one."""
    if isinstance(document, ConsensusDoc):
        return _models_section(document)
    if isinstance(document, DftDoc):
        return _dft_section(document)
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


def _models_section(document: ConsensusDoc) -> dict[str, Any]:
    verdict = "no verdict" if document.verdict is None else document.verdict.value
    tight = "no verdict" if document.verdict_25mev is None else document.verdict_25mev.value
    facts: Facts = [
        ("within 0.1 eV/atom above hull", verdict),
        ("within 0.025 eV/atom above hull", tight),
        ("spread of the models (eV/atom)", number(document.spread)),
    ]
    for opinion in document.opinions:
        origin = ", ".join(filter(None, [opinion.model.functional, *opinion.model.training_data]))
        name = f"{opinion.model.engine} ({origin or 'origin not known'})"
        facts.append((name, _opinion(opinion)))
    remarks = [
        f"{' and '.join(group)} learned from common data: their agreement is weaker evidence"
        for group in document.shared_training_data
    ]
    remarks += [
        f"{opinion.model.engine}: {opinion.reason}"
        for opinion in document.opinions
        if opinion.reason
    ]
    return {
        "title": f"Energy models: {verdict}",
        "verdict": verdict,
        "facts": [*facts, ("document", document.consensus_id)],
        "remarks": remarks,
        "picture": None,
        "alt": "",
    }


def _dft_section(document: DftDoc) -> dict[str, Any]:
    height = document.above_known_phase
    verdict = document.state.value
    if height is not None:
        verdict = f"{number(height)} eV/atom above {document.lowest_known_phase}"
    facts: Facts = [("energy above the lowest known phase (eV/atom)", number(height))]
    facts += [
        (f"the same by {one.engine} (eV/atom)", number(one.above_known_phase))
        for one in document.by_models
    ]
    for energy in document.energies:
        at = f"energy at the crystal of {energy.geometry}"
        if not energy.magnetic_starts:
            facts.append((f"{at} (eV/atom)", number(energy.energy_per_atom, 4)))
        facts += [
            (f"{at}, start {start.name} (eV/atom)", number(start.energy_per_atom, 4))
            for start in energy.magnetic_starts
        ]
    chosen = next((one for one in document.energies if one.geometry == document.geometry), None)
    if chosen is not None and (state := chosen.magnetism) is not None and state.order is not None:
        facts.append(("magnetic order of the lowest", state.order.value))
        facts.append(("moment (μB/cell)", number(state.total_moment, 2)))
    facts += [("engine", document.engine), ("energy scale", document.scheme)]
    return {
        "title": f"DFT: {verdict}",
        "verdict": f"DFT {number(height)}" if height is not None else f"DFT {verdict}",
        "facts": [*facts, *document.engine_versions.items(), ("document", document.dft_id)],
        "remarks": [
            f"crystal of {energy.geometry}: {told}"
            for energy in document.energies
            for told in (energy.error, energy.magnetic_note)
            if told
        ],
        "picture": None,
        "alt": "",
    }


def _opinion(opinion: Opinion) -> str:
    """Energies in eV/atom, space group at 0.1 Å and distance from the first model's crystal."""
    if opinion.state is not StabilityState.RANKED:
        return opinion.state.value
    parts = [f"{number(opinion.energy_above_hull)} eV/atom above its hull"]
    if opinion.known_phase is not None:
        parts.append(f"{number(opinion.above_known_phase)} above {opinion.known_phase}")
    if opinion.space_group_symbol:
        parts.append(opinion.space_group_symbol)
    if opinion.left_basin:
        parts.append("another crystal than the first model's")
    elif opinion.rmsd:
        parts.append(f"sites moved by {number(opinion.rmsd, 2)} Å")
    return ", ".join(parts)


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
