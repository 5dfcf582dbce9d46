"""What the page of each candidate shows, as plain values that JSON can hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from pymatgen.core import Element, Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import VogenError
from atomate2_vogen.report.documents import ReportDocuments
from atomate2_vogen.report.numbers import Facts, answer, finite, number
from atomate2_vogen.report.sections import FurtherDoc, make_section
from atomate2_vogen.schemas import (
    CalculationDoc,
    CandidateDoc,
    ConsensusDoc,
    StabilityDoc,
    StabilityState,
    Verdict,
)
from atomate2_vogen.structures.cif import candidate_cif, relaxed_cif
from atomate2_vogen.structures.dimensionality import BOND_MARGIN, PIECES
from atomate2_vogen.structures.geometry import minimum_distances


def make_pages(documents: ReportDocuments, listed: Sequence[StabilityDoc]) -> list[dict[str, Any]]:
    """One mapping per candidate, in the order given; the page's script turns it into elements."""
    by_kind = [
        _by_candidate(documents.consensus),
        _by_candidate(documents.dft),
        _by_candidate(documents.electronic),
        _by_candidate(documents.phonons),
    ]
    return [
        _page(
            document,
            documents,
            [d for kind in by_kind for d in kind.get(document.candidate_id, [])],
        )
        for document in listed
    ]


def make_palette(system: OxideSystem) -> dict[str, Any]:
    """Drawing of the atoms of a system: colours of Jmol, covalent radii (Å), longest bond."""
    radii = {symbol: float(covalent_radii[Element(symbol).Z]) for symbol in system.elements}
    return {
        "elements": {
            symbol: {
                "colour": [round(255 * float(c)) for c in jmol_colors[Element(symbol).Z]],
                "radius": radii[symbol],
                "anion": symbol == system.anion,
            }
            for symbol in system.elements
        },
        "bond": round(sum(radii.values()) + BOND_MARGIN, 2),
    }


def display_name(document: StabilityDoc, candidate: CandidateDoc | None) -> str:
    """The user's file where the candidate is from one, else its id."""
    file = None if candidate is None else candidate.details.get("file")
    return str(file) if file else document.candidate_id


def _page(
    document: StabilityDoc,
    documents: ReportDocuments,
    further: Sequence[FurtherDoc],
) -> dict[str, Any]:
    calculation = documents.calculation_of.get(document.candidate_id)
    candidate = None if calculation is None else calculation.candidate
    relaxed = document.structure
    if relaxed is None and calculation is not None:
        relaxed = calculation.structure
    crystals = {
        "relaxed": _crystal(relaxed),
        "generated": _crystal(None if candidate is None else candidate.structure),
    }
    ranked = document.state is StabilityState.RANKED
    return {
        "id": document.candidate_id,
        "name": display_name(document, candidate),
        "formula": document.formula,
        "state": document.state.value,
        "reason": None if ranked else _reason(document),
        "paper": None if document.paper_class is None else document.paper_class.value,
        "field": None if document.field_class is None else document.field_class.value,
        "unique": document.is_unique,
        "novel": document.is_novel,
        "confirmed": any(
            isinstance(one, ConsensusDoc) and one.verdict is Verdict.CONFIRMED for one in further
        ),
        "formation": _rankable(document, document.formation_energy_per_atom),
        "before": finite(document.initial_energy_above_hull),
        "above": _rankable(document, document.energy_above_hull),
        "rmsd": finite(document.rmsd_to_relaxed, 4),
        "natoms": document.natoms,
        "group": document.space_group_symbol,
        "groupNumber": document.space_group_number,
        "crystals": {name: crystal for name, crystal in crystals.items() if crystal},
        "energies": _energies(document, calculation),
        "geometry": _geometry(document, calculation),
        "novelty": _novelty(document),
        "provenance": _provenance(document, calculation),
        "sections": [make_section(d) for d in further],
        "cif": {
            name: text
            for name, text in (
                ("relaxed", relaxed_cif(document, candidate)),
                ("generated", None if candidate is None else candidate_cif(candidate)),
            )
            if text
        },
    }


def _reason(document: StabilityDoc) -> str:
    """Why it is not ranked, beginning with its state."""
    state, reason = document.state.value, document.reason or ""
    return reason if reason.startswith(state) else f"{state}: {reason}".removesuffix(": ")


def _rankable(document: StabilityDoc, value: float | None) -> float | None:
    """Energies of ranked ones only: those of a collapsed cell would be the lowest of all."""
    return finite(value) if document.state is StabilityState.RANKED else None


def _crystal(structure: Structure | None) -> dict[str, Any] | None:
    if structure is None:
        return None
    lattice = structure.lattice
    return {
        "lattice": [[round(float(v), 5) for v in row] for row in lattice.matrix],
        "species": [site.specie.symbol for site in structure],
        "frac": [[round(float(v) % 1.0, 5) for v in row] for row in structure.frac_coords],
        "cell": {
            "edges": [round(float(v), 4) for v in lattice.abc],
            "angles": [round(float(v), 3) for v in lattice.angles],
            "volume": round(float(lattice.volume), 3),
        },
    }


def _energies(document: StabilityDoc, calculation: CalculationDoc | None) -> Facts:
    def both(before: float | None, after: float | None) -> str:
        return f"{number(before)} → {number(after)}"

    facts = [
        (
            "above hull, as generated → relaxed (eV/atom)",
            both(document.initial_energy_above_hull, document.energy_above_hull),
        ),
        (
            "of formation, as generated → relaxed (eV/atom)",
            both(document.initial_formation_energy_per_atom, document.formation_energy_per_atom),
        ),
    ]
    if document.energy_above_joint_hull is not None:
        facts.append(
            (
                "above the hull of references and candidates (eV/atom)",
                number(document.energy_above_joint_hull),
            )
        )
    if calculation is not None:
        energies = both(calculation.initial_energy_per_atom, calculation.energy_per_atom)
        facts += [
            ("total, as generated → relaxed (eV/atom)", energies),
            ("largest force after relaxation (eV/Å)", number(calculation.max_force)),
            (
                "steps of relaxation",
                "–" if calculation.n_steps is None else str(calculation.n_steps),
            ),
        ]
        if calculation.refinement is not None and calculation.refinement.accepted:
            done = calculation.refinement
            groups = f"{done.space_group_before} → {done.space_group_after}"
            change = both(calculation.unrefined_energy_per_atom, calculation.energy_per_atom)
            facts.append(("refined: space group, total energy (eV/atom)", f"{groups}, {change}"))
    if document.decomposition:
        parts = [
            f"{number(phase.fraction, 2)} {phase.name}" if phase.fraction < 0.9999 else phase.name
            for phase in document.decomposition
        ]
        facts.append(("hull phases below it (share of atoms)", " + ".join(parts)))
    facts.append(("formation energy ≤ 0.5 eV/atom (iMatGen)", answer(document.imatgen_stable)))
    return facts


def _geometry(document: StabilityDoc, calculation: CalculationDoc | None) -> Facts:
    facts = []
    if document.space_group_symbol:
        facts.append(
            (
                "space group (0.1 Å)",
                f"{document.space_group_symbol} ({document.space_group_number})",
            )
        )
    if document.bonding_dimensionality is not None:
        dimensions = (
            f"{document.bonding_dimensionality} ({PIECES[document.bonding_dimensionality]})"
        )
        facts += [
            ("dimensions that bonds reach in", dimensions),
            ("empty gap beyond van der Waals contact (Å)", number(document.empty_gap, 2)),
        ]
    before = {} if calculation is None else _distances(calculation.candidate.structure)
    after = _distances(document.structure)
    facts += [
        (
            f"shortest {pair.replace('-', '–')}, as generated → relaxed (Å)",
            f"{number(before.get(pair), 2)} → {number(after.get(pair), 2)}",
        )
        for pair in sorted({*before, *after})
    ]
    rmsd = document.rmsd_to_relaxed
    facts.append(
        (
            "RMSD of the sites, generated to relaxed (Å)",
            number(rmsd) if rmsd is not None else "no longer the same crystal",
        )
    )
    return facts


def _distances(structure: Structure | None) -> dict[str, float]:
    """By pair; nothing where atoms lie on each other."""
    try:
        return {} if structure is None else minimum_distances(structure)
    except VogenError:
        return {}


def _novelty(document: StabilityDoc) -> Facts:
    facts = [("unique after relaxation", answer(document.is_unique))]
    if document.is_unique is False and document.duplicate_group:
        facts.append(("same as", document.duplicate_group))
    facts.append(("novel", answer(document.is_novel)))
    if document.known_as:
        facts.append(("known as", document.known_as))
    return facts


def _provenance(document: StabilityDoc, calculation: CalculationDoc | None) -> Facts:
    facts: Facts = []
    if calculation is not None:
        candidate = calculation.candidate
        facts += [
            ("sampler", candidate.sampler),
            ("model id", candidate.model_id),
            ("seed", str(candidate.seed)),
            ("attempt", str(candidate.index)),
            ("made by package version", candidate.package_version),
            *((name.replace("_", " "), _plain(v)) for name, v in candidate.details.items()),
        ]
    else:
        facts += [("sampler", document.sampler), ("model id", document.model_id)]
    facts += [
        ("candidate id", document.candidate_id),
        ("energy model", document.scheme),
        ("hull id", document.hull_id),
        ("stability id", document.stability_id),
    ]
    if calculation is not None:
        facts.append(("calculation", calculation.calculation_id))
        facts += [(name, version) for name, version in calculation.engine_versions.items()]
        if calculation.cpu_time is not None:
            facts.append(("CPU time of the energy model (s)", number(calculation.cpu_time, 1)))
    return facts


def _by_candidate(
    documents: Iterable[FurtherDoc],
) -> dict[str, list[FurtherDoc]]:
    found: dict[str, list[FurtherDoc]] = {}
    for document in documents:
        if document.candidate_id is not None:
            found.setdefault(document.candidate_id, []).append(document)
    return found


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "−")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return answer(value) if isinstance(value, bool) else str(value)
