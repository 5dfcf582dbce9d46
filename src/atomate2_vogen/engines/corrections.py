"""Corrections that bring an engine's energies onto the Materials Project's scale.

MP2020 (Wang et al. 2021, DOI 10.1038/s41598-021-94550-5) shifts oxides for the error of PBE in
O2 and metals in oxides for the mixing of PBE with PBE+U. It is fitted to the Materials
Project's own settings, U included, and to nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from monty.json import MSONable
from pymatgen.core import Composition, Element, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.engines.energy_corrections import EnergyCorrections
from atomate2_vogen.errors import MissingReferenceError, NonFiniteError, SchemeMismatchError
from atomate2_vogen.schemas import ReferenceDoc

RUN_TYPES = {"PBE": "GGA", "PBE+U": "GGA+U"}
"""What emmet calls a run whose INCAR names GGA = PE, and what MP2020 calls it."""


def mp_hubbard_u(composition: Composition) -> dict[str, float]:
    """U in eV that the Materials Project applies to each element of a compound; {} for none."""
    from pymatgen.io.vasp.sets import MPRelaxSet

    electronegative = max(composition.elements, key=lambda element: element.X).symbol
    table = MPRelaxSet.CONFIG["INCAR"]["LDAUU"].get(electronegative, {})
    symbols = sorted(element.symbol for element in composition.elements)
    return {symbol: float(table[symbol]) for symbol in symbols if table.get(symbol)}


@dataclass(frozen=True)
class MP2020Corrections(EnergyCorrections, MSONable):
    """pymatgen's MaterialsProject2020Compatibility for one calculation.

    Parameters
    ----------
    check_potcar
        Whether the POTCARs of a VASP calculation must be the Materials Project's.

    Examples
    --------
    >>> from atomate2_vogen.engines import MP2020Corrections
    >>> MP2020Corrections().check_potcar
    True
    """

    check_potcar: bool = True

    def per_atom(self, document: Any) -> float:
        """Correction in eV/atom.

        Parameters
        ----------
        document
            Task document of VASP, whose own settings are checked; or one of a force field that
            was trained on the Materials Project's uncorrected energies.

        Raises
        ------
        SchemeMismatchError
            If the settings are not those that MP2020 is fitted for.
        NonFiniteError
            If the document holds no structure or energy.
        """
        structure, energy = document.structure, document.output.energy
        if structure is None or energy is None:
            raise NonFiniteError("the calculation holds no structure or energy to correct")
        # force fields have an entry too, but no run type
        run = getattr(getattr(document, "entry", None), "parameters", None) or {}
        from_vasp = "run_type" in run
        parameters = dict(run) if from_vasp else trained_on_mp(structure)
        parameters["run_type"] = RUN_TYPES.get(parameters["run_type"], parameters["run_type"])
        entry = ComputedStructureEntry(structure, float(energy), parameters=parameters)
        (corrected,) = corrected_entries([entry], check_potcar=self.check_potcar and from_vasp)
        return float(corrected.correction_per_atom)


def trained_on_mp(structure: Structure) -> dict[str, Any]:
    """Parameters of a calculation whose energy is comparable with the Materials Project's."""
    hubbards = mp_hubbard_u(structure.composition)
    return {
        "run_type": "GGA+U" if hubbards else "GGA",
        "is_hubbard": bool(hubbards),
        "hubbards": hubbards,
    }


def corrected_entries(
    entries: Iterable[ComputedStructureEntry], *, check_potcar: bool = True
) -> list[ComputedStructureEntry]:
    """Copies of entries with their MP2020 corrections, as many as went in.

    pymatgen drops an entry that it cannot correct; here that is an error.

    Raises
    ------
    SchemeMismatchError
        Naming the first entry that MP2020 is not fitted for, and why.

    Examples
    --------
    >>> from atomate2_vogen.engines import corrected_entries
    >>> from pymatgen.core import Lattice, Structure
    >>> from pymatgen.entries.computed_entries import ComputedStructureEntry
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.5), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> calculation = {"run_type": "GGA+U", "is_hubbard": True, "hubbards": {"V": 3.25, "O": 0}}
    >>> entry = ComputedStructureEntry(rock_salt, energy=-70.0, parameters=calculation)
    >>> (corrected,) = corrected_entries([entry], check_potcar=False)
    >>> sorted(adjustment.name for adjustment in corrected.energy_adjustments)
    ['MP2020 GGA/GGA+U mixing correction (V)', 'MP2020 anion correction (oxide)']
    """
    from pymatgen.entries.compatibility import (
        CompatibilityError,
        MaterialsProject2020Compatibility,
    )

    scheme = MaterialsProject2020Compatibility(check_potcar=check_potcar)
    done = []
    for entry in entries:
        try:
            with warnings.catch_warnings():
                # structures carry no oxidation states: pymatgen guesses them, and says so
                warnings.simplefilter("ignore")
                kept = scheme.process_entries([entry], inplace=False, on_error="raise")
        except (CompatibilityError, ValueError, KeyError) as error:
            raise SchemeMismatchError(
                f"MP2020 does not apply to {entry.reduced_formula}: {error}"
            ) from error
        if len(kept) != 1:
            raise SchemeMismatchError(f"MP2020 does not apply to {entry.reduced_formula}")
        done += kept
    return done


def references_from_entries(
    entries: Iterable[ComputedStructureEntry], scheme: str
) -> list[ReferenceDoc]:
    """Reference phases from entries of the Materials Project.

    Get them e.g. by ``MPRester().get_entries_in_chemsys(elements, compatible_only=False,
    additional_criteria={"thermo_types": ["GGA_GGA+U"]})``: raw energies are corrected here, so
    that candidates and references bear the same corrections.

    Parameters
    ----------
    entries
        With structure, raw energy and parameters.
    scheme
        That of the engine whose candidates are placed on the hull.

    Returns
    -------
    list of ReferenceDoc
        One per entry, sorted by id.

    Raises
    ------
    MissingReferenceError
        If there is no entry.
    SchemeMismatchError
        If one is not by the Materials Project's PBE or PBE+U settings.

    Examples
    --------
    >>> from atomate2_vogen.engines import references_from_entries
    >>> from pymatgen.core import Lattice, Structure
    >>> from pymatgen.entries.computed_entries import ComputedStructureEntry
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.5), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> calculation = {
    ...     "run_type": "GGA+U",
    ...     "is_hubbard": True,
    ...     "hubbards": {"V": 3.25, "O": 0},
    ...     "potcar_symbols": ["PBE V_pv", "PBE O"],
    ... }
    >>> entry = ComputedStructureEntry(
    ...     rock_salt, energy=-70.0, parameters=calculation, entry_id="mp-1"
    ... )
    >>> (reference,) = references_from_entries([entry], scheme="MP2020")
    >>> reference.formula, round(reference.energy_per_atom, 2)
    ('VO', -9.94)
    """
    corrected = corrected_entries(entries)
    if not corrected:
        raise MissingReferenceError("no entries were given: a hull needs at least the elements")
    references = []
    for entry in corrected:
        structure = entry.structure
        symbol = SpacegroupAnalyzer(structure, symprec=0.1).get_space_group_symbol()
        formula = structure.composition.reduced_formula
        source = str(entry.entry_id or "")
        references.append(
            ReferenceDoc(
                reference_id=f"{formula} {symbol} {source}|{scheme}",
                name=f"{formula} {symbol} {source}".strip(),
                scheme=scheme,
                formula=formula,
                structure=structure,
                energy_per_atom=float(entry.energy_per_atom),
                source=f"Materials Project {source}".strip(),
            )
        )
    return sorted(references, key=lambda reference: reference.reference_id)


def require_mp_u(values: dict[str, float], metal: str, anion: str) -> None:
    """Refuse a Hubbard U other than that which MP2020 is fitted for.

    Raises
    ------
    SchemeMismatchError
        Naming both values.
    """
    expected = mp_hubbard_u(Composition({Element(metal): 1, Element(anion): 1})).get(metal, 0.0)
    if values.get(metal, 0.0) != expected:
        raise SchemeMismatchError(
            f"MP2020 is fitted for U({metal}) = {expected:g} eV, not {values.get(metal, 0.0):g}; "
            "use the engine vasp with its own references"
        )
