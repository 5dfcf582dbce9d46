"""Energies of oxides brought closer to experiment by one number, fitted to measured enthalpies.

A functional, or a force field that learned from one, binds the oxides of a metal too strongly or
too weakly by about the same amount per oxygen atom (Wang, Maxisch & Ceder 2006,
DOI 10.1103/PhysRevB.73.195107): elements are described differently from compounds. The Materials
Project's MP2020 corrections are such numbers, fitted over many metals at once; here one is fitted
for the oxides of one metal, on top of an engine's energies.

It shifts every compound by the same energy per atom of the anion, so heights above the hull
between two compounds do not change at all; formation energies do, and so does where the hull ends
in an element.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Composition

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines.base import EnergyCorrections, Engine
from atomate2_vogen.errors import (
    InputError,
    MissingReferenceError,
    NonFiniteError,
    SchemeMismatchError,
)
from atomate2_vogen.schemas import ReferenceDoc
from atomate2_vogen.stability.phases import ReferenceHull

FEWEST = 3
"""Measured compounds below which nothing is fitted: each is also predicted from the others."""


@dataclass(frozen=True)
class AnionCorrection(EnergyCorrections):
    """The same energy for every anion of a compound, none for elements.

    Parameters
    ----------
    anion
        Symbol.
    shift
        eV per atom of the anion.

    Examples
    --------
    >>> from atomate2_vogen.engines import AnionCorrection
    >>> from pymatgen.core import Composition
    >>> AnionCorrection("O", shift=0.3).of(Composition("VO"))
    0.15
    """

    anion: str
    shift: float

    def of(self, composition: Composition) -> float:
        """Correction in eV/atom of a composition."""
        if len(composition.elements) < 2:
            return 0.0
        return self.shift * float(composition.get_atomic_fraction(self.anion))

    def per_atom(self, document: Any) -> float:
        """Correction in eV/atom.

        Raises
        ------
        NonFiniteError
            If the document holds no structure.
        """
        if document.structure is None:
            raise NonFiniteError("the calculation holds no structure to correct")
        return self.of(document.structure.composition)


@dataclass(frozen=True)
class FittedCompound:
    """A compound of the fit; formation energies in eV/atom.

    Parameters
    ----------
    formula
        Reduced.
    name
        Its lowest reference phase, which is the one compared.
    measured, uncertainty
        By experiment; the uncertainty is None where the source gives none.
    calculated
        By the engine.
    corrected
        With the correction.
    left_out
        With the correction that is fitted to all the other compounds.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.engines import fit_anion_correction
    >>> compound = fit_anion_correction(load_references("CHGNet-0.3.0")).compounds[0]
    >>> abs(compound.corrected - compound.measured) < 0.5
    True
    """

    formula: str
    name: str
    measured: float
    uncertainty: float | None
    calculated: float
    corrected: float
    left_out: float


@dataclass(frozen=True)
class AnionFit:
    """Result of the fit of an anion correction.

    Parameters
    ----------
    correction
        Fitted correction.
    compounds
        Compounds of the fit by rising share of the anion.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.engines import fit_anion_correction
    >>> fit = fit_anion_correction(load_references("CHGNet-0.3.0"))
    >>> [compound.formula for compound in fit.compounds]
    ['VO', 'V2O3', 'VO2', 'V2O5']
    """

    correction: AnionCorrection
    compounds: tuple[FittedCompound, ...]


@cache
def measured_formation_energies() -> Mapping[str, tuple[float, float]]:
    """Standard enthalpies of formation that pymatgen bundles for fitting corrections.

    Returns
    -------
    mapping of str to (float, float)
        Value and uncertainty (NaN where there is none) in eV/atom, by reduced formula.

    Examples
    --------
    >>> from atomate2_vogen.engines import measured_formation_energies
    >>> energy, uncertainty = measured_formation_energies()["V2O3"]
    >>> round(energy, 2)
    -2.53
    """
    from pymatgen.analysis import compatibility

    file = Path(str(compatibility.__file__)).parent / "exp_compounds.json.gz"
    found = {}
    for row in json.loads(gzip.decompress(file.read_bytes())):
        composition = Composition(row["formula"])
        n = composition.num_atoms
        found[composition.reduced_formula] = (row["exp energy"] / n, row["uncertainty"] / n)
    return found


def fit_anion_correction(
    references: Sequence[ReferenceDoc],
    system: OxideSystem = VANADIUM,
    measured: Mapping[str, tuple[float, float]] | None = None,
) -> AnionFit:
    """Least squares over the measured compounds of a system, all of equal weight.

    Parameters
    ----------
    references
        Relaxed phases of one scheme. Of each formula the lowest is taken.
    system
        Oxide system.
    measured
        Formation energy and its uncertainty in eV/atom by reduced formula; by default those of
        `measured_formation_energies`.

    Returns
    -------
    AnionFit
        The shift is rounded to 0.001 eV, as it is in the name of the scheme.

    Raises
    ------
    MissingReferenceError
        If fewer than `FEWEST` of the phases are measured.
    SchemeMismatchError, NonFiniteError, ElementError
        As `ReferenceHull`.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.engines import fit_anion_correction
    >>> fit = fit_anion_correction(load_references("CHGNet-0.3.0"))
    >>> fit.correction.anion, len(fit.compounds)
    ('O', 4)
    """
    table = measured_formation_energies() if measured is None else measured
    hull = ReferenceHull(references, system)
    lowest: dict[str, ReferenceDoc] = {}
    for reference in sorted(references, key=lambda reference: reference.energy_per_atom):
        composition = reference.structure.composition
        if len(composition.elements) > 1 and composition.reduced_formula in table:
            lowest.setdefault(composition.reduced_formula, reference)
    if len(lowest) < FEWEST:
        raise MissingReferenceError(
            f"{len(lowest)} of the reference phases of {system.chemsys} have a measured formation "
            f"energy ({', '.join(sorted(lowest)) or 'none'}); a correction needs {FEWEST}: pass "
            "others as measured"
        )
    rows = sorted(
        lowest.items(),
        key=lambda row: row[1].structure.composition.get_atomic_fraction(system.anion),
    )
    compositions = [reference.structure.composition for _, reference in rows]
    shares = np.array([c.get_atomic_fraction(system.anion) for c in compositions], float)
    calculated = np.array(
        [
            hull.position(composition, reference.energy_per_atom).formation_energy
            for composition, (_, reference) in zip(compositions, rows, strict=True)
        ]
    )
    wanted = np.array([table[formula][0] for formula, _ in rows])

    def fitted(chosen: np.ndarray) -> float:
        x, y = shares[chosen], (wanted - calculated)[chosen]
        return float(x @ y / (x @ x))

    everything = np.ones(len(rows), bool)
    correction = AnionCorrection(system.anion, round(fitted(everything), 3))
    compounds = []
    for i, (formula, reference) in enumerate(rows):
        others = everything.copy()
        others[i] = False
        uncertainty = table[formula][1]
        compounds.append(
            FittedCompound(
                formula=formula,
                name=reference.name,
                measured=float(wanted[i]),
                uncertainty=None if math.isnan(uncertainty) else uncertainty,
                calculated=float(calculated[i]),
                corrected=float(calculated[i] + correction.of(compositions[i])),
                left_out=float(calculated[i] + fitted(others) * shares[i]),
            )
        )
    return AnionFit(correction, tuple(compounds))


def with_correction(
    engine: Engine, references: Sequence[ReferenceDoc], correction: AnionCorrection
) -> tuple[Engine, list[ReferenceDoc]]:
    """An engine and its references with a correction, on a separate energy scale.

    Parameters
    ----------
    engine
        Engine without energy corrections.
    references
        Reference phases relaxed in the engine's scheme; they are not relaxed again.
    correction
        Correction to add, e.g. from `fit_anion_correction`.

    Returns
    -------
    engine : Engine
        Its scheme bears the shift, e.g. ``CHGNet-0.3.0+O(0.300)``.
    references : list of ReferenceDoc
        Of this scheme.

    Raises
    ------
    InputError
        If the engine corrects its energies already.
    SchemeMismatchError
        If a reference is of another scheme.

    Examples
    --------
    >>> from atomate2_vogen import load_engine, load_references
    >>> from atomate2_vogen.engines import AnionCorrection, with_correction
    >>> engine = load_engine("chgnet")
    >>> corrected, references = with_correction(
    ...     engine, load_references(engine), AnionCorrection("O", 0.3)
    ... )
    >>> corrected.scheme, references[0].scheme
    ('CHGNet-0.3.0+O(0.300)', 'CHGNet-0.3.0+O(0.300)')
    """
    if engine.energy_corrections is not None:
        raise InputError(
            f"engine {engine.name} corrects its energies already "
            f"({type(engine.energy_corrections).__name__}); two corrections would count twice"
        )
    scheme = f"{engine.scheme}+{correction.anion}({correction.shift:.3f})"
    corrected = []
    for reference in references:
        if reference.scheme != engine.scheme:
            raise SchemeMismatchError(
                f"{reference.name} is of scheme {reference.scheme}, not {engine.scheme}"
            )
        shift = correction.of(reference.structure.composition)
        corrected.append(
            reference.model_copy(
                update={
                    "scheme": scheme,
                    "reference_id": f"{reference.name}|{scheme}",
                    "energy_per_atom": reference.energy_per_atom + shift,
                },
                deep=True,
            )
        )
    return replace(engine, scheme=scheme, energy_corrections=correction), corrected
