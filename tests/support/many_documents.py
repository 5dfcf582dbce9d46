"""Many stability, electronic and phonon documents, made from a seed and written raw."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

METALS = ("V", "Ti", "Cr", "Mn", "Fe", "Co", "Ni", "Nb", "Mo", "W")
OXIDES = ("{}O2", "{}2O3", "{}2O5", "{}3O5", "{}O", "{}4O7", "{}6O13", "{}3O7", "{}5O9", "{}2O")
MODELS = 20
SAMPLERS = ("wgan", "substitution", "random", "files")
STATES = ("ranked", "collapsed", "unconverged", "failed", "not bulk")
CHARACTERS = ("insulator", "semiconductor", "half-semiconductor", "half-metal", "metal")
SCHEMES = ("CHGNet-0.3.0", "VASP-PBE-V_pv")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def _structure(rng: np.random.Generator, atoms: int) -> dict[str, Any]:
    symbols = ["V"] * (atoms // 3) + ["O"] * (atoms - atoms // 3)
    return Structure(
        Lattice.orthorhombic(*rng.uniform(4, 8, 3)), symbols, rng.random((atoms, 3))
    ).as_dict()


def _common(key: str, value: str, index: int) -> dict[str, Any]:
    return {
        "_id": value,
        key: value,
        "schema_version": 1,
        "package_version": "0.1.0",
        "last_updated": EPOCH + timedelta(seconds=index),
    }


def _paper_class(hull: float) -> str:
    return "stable" if hull <= 0 else "metastable" if hull <= 0.2 else "unstable"


def _field_class(hull: float) -> str:
    return "on hull" if hull <= 0 else "near hull" if hull <= 0.1 else "above hull"


def stability(n: int, seed: int = 0, atoms: int = 12) -> Iterator[dict[str, Any]]:
    """Documents as `StabilityBuilder` writes them.

    Ten chemical systems of ten formulas; one document in ten is not ranked, a sixth of the others
    lie within 0.1 eV/atom of the hull.
    """
    rng = np.random.default_rng(seed)
    structures = [_structure(rng, atoms) for _ in range(50)]
    for i in range(n):
        metal = METALS[int(rng.integers(len(METALS)))]
        formula = OXIDES[int(rng.integers(len(OXIDES)))].format(metal)
        candidate = f"{formula}-{i:012x}"
        state = STATES[0] if rng.random() < 0.9 else STATES[1 + int(rng.integers(4))]
        ranked = state == STATES[0]
        # a collapsed cell keeps an energy that looks better than any
        hull = round(float(rng.gamma(1.5, 0.3) - 0.02) if ranked else -5.0, 4)
        scheme = SCHEMES[int(rng.random() < 0.1)]
        yield {
            **_common("stability_id", f"{candidate}|{scheme}", i),
            "candidate_id": candidate,
            "scheme": scheme,
            "hull_id": "0123456789ab",
            "chemsys": "-".join(sorted(("O", metal))),
            "formula": formula,
            "natoms": atoms,
            "sampler": SAMPLERS[int(rng.integers(len(SAMPLERS)))],
            "model_id": f"model{int(rng.integers(MODELS))}",
            "state": state,
            "reason": None if ranked else state,
            "initial_energy_above_hull": hull + 0.3 if state != "failed" else None,
            "energy_above_hull": hull if state != "failed" else None,
            "formation_energy_per_atom": hull - 2.0 if state != "failed" else None,
            "paper_class": _paper_class(hull) if ranked else None,
            "field_class": _field_class(hull) if ranked else None,
            "is_converged": state != "unconverged",
            "minimum_distance": 1.7,
            "bonding_dimensionality": (3, 3, 3, 2, 3, 1, 3, 0)[i % 8]
            if state != "failed"
            else None,
            "empty_gap": 6.0 if state == "not bulk" else 0.0,
            "is_bulk": None if state == "failed" else state != "not bulk",
            "space_group_symbol": None,
            "space_group_number": int(rng.integers(1, 231)) if ranked else None,
            "is_unique": bool(rng.random() < 0.6) if ranked else None,
            "is_novel": bool(rng.random() < 0.5) if ranked else None,
            "structure": structures[int(rng.integers(len(structures)))],
        }


def electronic(documents: list[dict[str, Any]], seed: int = 1) -> Iterator[dict[str, Any]]:
    """One document for each of the given stability documents; one in twenty failed."""
    rng = np.random.default_rng(seed)
    for i, document in enumerate(documents):
        character = CHARACTERS[int(rng.integers(len(CHARACTERS)))]
        gapped = character not in {"half-metal", "metal"}
        gap = round(float(rng.gamma(2, 0.6)), 4) if gapped else 0.0
        failed = rng.random() < 0.05
        yield {
            **_common("electronic_id", f"{document['candidate_id']}|GPAW-PBE", i),
            "candidate_id": document["candidate_id"],
            "scheme": "GPAW-PBE",
            "engine": "gpaw",
            "state": "failed" if failed else "completed",
            "formula": document["formula"],
            "structure": document["structure"],
            "electrons": None
            if failed
            else {"character": character, "gap": gap, "is_spin_polarised": True},
        }


def phonons(documents: list[dict[str, Any]], seed: int = 2) -> Iterator[dict[str, Any]]:
    """One document for each of the given stability documents; one in twenty failed."""
    rng = np.random.default_rng(seed)
    verdicts = ("stable", "soft", "unstable")
    for i, document in enumerate(documents):
        verdict = verdicts[int(rng.integers(3))]
        failed = rng.random() < 0.05
        yield {
            **_common("phonon_id", f"{document['candidate_id']}|CHGNet-0.3.0|2x2x2", i),
            "candidate_id": document["candidate_id"],
            "scheme": "CHGNet-0.3.0",
            "engine": "chgnet",
            "requested_supercell": "2x2x2",
            "state": "failed" if failed else "completed",
            "formula": document["formula"],
            "structure": document["structure"],
            "phonons": None
            if failed
            else {"verdict": verdict, "lowest_frequency": 0.0 if verdict == "stable" else -1.5},
        }
