"""The hull of the Materials Project, from the entries that come with pymatgen.

No key and no network: pymatgen ships the entries that its MP2020 corrections were fitted to, one
per compound, with PBE(+U) energies. For V-O these are V, VO, V2O3, VO2, V2O5 and O2; phases between
VO2 and V2O3, such as V3O5, are not among them, so that this hull lies above the full one there.
"""

from __future__ import annotations

import gzip
import json
import re
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Composition

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import MissingReferenceError, SchemeMismatchError

COMPOUNDS = "calc_compounds.json.gz"
CORRECTED = re.compile(r"\+MP2020$|^VASP-MP2020-")
"""Schemes whose energies bear the MP2020 corrections."""
TRAINED_ON_CORRECTED = ("CHGNet-0.3.0",)
"""Schemes of models that were fitted to energies with the MP2020 corrections in them."""


@dataclass(frozen=True)
class MaterialsProjectHull:
    """Hull of the Materials Project's entries in pymatgen.

    Parameters
    ----------
    diagram
        Phase diagram of the entries, MP2020 corrections applied.
    vintage
        Where the entries are from, for captions.

    Examples
    --------
    >>> from atomate2_vogen.stability import MaterialsProjectHull
    >>> hull = MaterialsProjectHull.bundled()
    >>> round(hull.formation_energies()["V2O3"], 3)
    -2.535
    """

    diagram: Any
    vintage: str

    @classmethod
    def bundled(cls, system: OxideSystem = VANADIUM) -> MaterialsProjectHull:
        """The hull of a system from pymatgen's entries.

        Raises
        ------
        MissingReferenceError
            If pymatgen has no entry of one of the elements, or no compound of both.
        """
        return _bundled(system)

    def formation_energies(self) -> dict[str, float]:
        """Formation energy of each entry by reduced formula, eV/atom."""
        return {
            entry.composition.reduced_formula: float(self.diagram.get_form_energy_per_atom(entry))
            for entry in self.diagram.all_entries
        }

    def line(self, system: OxideSystem = VANADIUM) -> list[tuple[float, float]]:
        """Corners of the hull by rising anion fraction: fraction, formation energy in eV/atom."""
        return sorted(
            (
                float(entry.composition.get_atomic_fraction(system.anion)),
                float(self.diagram.get_form_energy_per_atom(entry)),
            )
            for entry in self.diagram.stable_entries
        )

    def height(self, formula: str, energy_per_atom: float, scheme: str) -> float:
        """Energy above this hull, eV/atom, negative below.

        Parameters
        ----------
        formula
            Of the crystal.
        energy_per_atom
            Its total energy in eV/atom.
        scheme
            Energy scale of that energy.

        Raises
        ------
        SchemeMismatchError
            If energies of the scheme are not on the Materials Project's scale.
        """
        if not is_on_scale(scheme):
            raise SchemeMismatchError(
                f"energies of {scheme} are not on the Materials Project's scale (PBE+U with MP2020 "
                "corrections) and cannot be placed on its hull"
            )
        composition = Composition(formula)
        return energy_per_atom - float(self.diagram.get_hull_energy_per_atom(composition))


def is_on_scale(scheme: str) -> bool:
    """Whether energies of a scheme are PBE(+U) with the MP2020 corrections.

    Examples
    --------
    >>> from atomate2_vogen.stability.materials_project import is_on_scale
    >>> is_on_scale("CHGNet-0.3.0"), is_on_scale("DIEP-fold1")
    (True, False)
    """
    return bool(CORRECTED.search(scheme)) or scheme in TRAINED_ON_CORRECTED


@cache
def _bundled(system: OxideSystem) -> MaterialsProjectHull:
    from monty.json import MontyDecoder
    from pymatgen.entries.compatibility import MaterialsProject2020Compatibility

    raw = (files("pymatgen.analysis.compatibility") / COMPOUNDS).read_bytes()
    wanted = {system.metal, system.anion}
    chosen = [
        c for c in json.loads(gzip.decompress(raw)).values() if set(c["composition"]) <= wanted
    ]
    covered = [set(content["composition"]) for content in chosen]
    if missing := [
        found for found in ({system.metal}, {system.anion}, wanted) if found not in covered
    ]:
        raise MissingReferenceError(
            f"pymatgen has no entry of the Materials Project with {' and '.join(sorted(missing[0]))}"
        )
    entries = [MontyDecoder().process_decoded(content) for content in chosen]
    with warnings.catch_warnings():
        # the entries have no hashes of their POTCARs, which is all that is warned of
        warnings.simplefilter("ignore")
        corrected = MaterialsProject2020Compatibility(check_potcar=False).process_entries(entries)
    vintage = (
        f"Materials Project: entries in pymatgen-core {version('pymatgen-core')} "
        f"({', '.join(sorted(str(entry.entry_id) for entry in corrected))}), MP2020 corrections"
    )
    return MaterialsProjectHull(PhaseDiagram(corrected), vintage)
