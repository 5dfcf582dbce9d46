"""Selection and order of stability documents in figures, and captions about the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pymatgen.core import Composition

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.schemas import StabilityDoc, StabilityState
from atomate2_vogen.stability.phases import anion_fraction

BySampler = Mapping[str, Sequence[StabilityDoc]]
"""Stability documents by sampler."""


def one_scheme(documents: Sequence[StabilityDoc], scheme: str | None = None) -> str:
    """Name the one scheme of all documents.

    Parameters
    ----------
    documents
        Stability documents.
    scheme
        What it has to be; that of the first document if not given.

    Returns
    -------
    str
        The scheme; a dash if there are no documents.

    Raises
    ------
    SchemeMismatchError
        If a document is of another one.
    """
    expected = scheme or (documents[0].scheme if documents else "-")
    if others := sorted({document.scheme for document in documents} - {expected}):
        raise SchemeMismatchError(f"{', '.join(others)} cannot be drawn on a hull of {expected}")
    return expected


def one_scheme_of_all(judged: BySampler, scheme: str | None = None) -> str:
    """Name the one scheme of all samplers' documents; see `one_scheme`.

    Raises
    ------
    InputError
        If there is no sampler.
    SchemeMismatchError
        If a document is of another scheme.
    """
    if not judged:
        raise InputError("no sampler to draw")
    return one_scheme([document for documents in judged.values() for document in documents], scheme)


def ranked(documents: Iterable[StabilityDoc]) -> list[StabilityDoc]:
    """Ranked documents in an order that does not depend on the caller's."""
    chosen = [document for document in documents if document.state is StabilityState.RANKED]
    return sorted(chosen, key=lambda document: document.stability_id)


def ranked_by_formula(
    documents: Iterable[StabilityDoc], system: OxideSystem
) -> dict[str, list[StabilityDoc]]:
    """Ranked documents by formula, by rising anion fraction."""
    groups: dict[str, list[StabilityDoc]] = {}
    for document in ranked(documents):
        groups.setdefault(document.formula, []).append(document)
    return {formula: groups[formula] for formula in ordered(groups, system)}


def ordered(formulas: Iterable[str], system: OxideSystem) -> list[str]:
    """Formulas by rising anion fraction."""
    return sorted(formulas, key=lambda formula: anion_fraction(Composition(formula), system))


def formation_energies(documents: Sequence[StabilityDoc]) -> np.ndarray:
    """Formation energies after relaxation, eV/atom, shape (n,)."""
    return np.array([d.formation_energy_per_atom for d in documents], dtype=float)


def energies_above_hull(documents: Sequence[StabilityDoc]) -> np.ndarray:
    """Energies above hull after relaxation, eV/atom, shape (n,)."""
    return np.array([d.energy_above_hull for d in documents], dtype=float)


def energies_of_hull(by_formula: Mapping[str, Sequence[StabilityDoc]]) -> dict[str, float]:
    """Formation energy of the hull at each formula, eV/atom, from ranked documents of it."""
    return {
        formula: float((formation_energies(documents) - energies_above_hull(documents)).mean())
        for formula, documents in by_formula.items()
    }


def count_states(documents: Sequence[StabilityDoc], scheme: str) -> str:
    """Caption: energy model, number of ranked candidates, and states of the others."""
    states = Counter(document.state for document in documents)
    number = states.pop(StabilityState.RANKED, 0)
    left_out = ", ".join(f"{states[s]} {s.value}" for s in StabilityState if states[s])
    return f"Energy model: {scheme}. {number} of {len(documents)} candidates ranked" + (
        f" ({left_out})." if left_out else "."
    )


def count_ranked(judged: BySampler, scheme: str) -> str:
    """Caption: energy model, and number of ranked candidates by sampler."""
    parts = [f"{name} {len(ranked(docs))} of {len(docs)}" for name, docs in judged.items()]
    return f"Energy model: {scheme}. Candidates ranked: {', '.join(parts)}."
