"""What a CIF says about its cell's content, and whether a crystal agrees with it.

Formula, formula units, density and volume are not needed to build a crystal; each of them shows
that the operations or the sites are wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pymatgen.core import Composition, Element

from atomate2_vogen.errors import NonFiniteError, StructureFileError
from atomate2_vogen.structures.reading.cif_blocks import CifBlock

FORMULA_TAGS = ("_chemical_formula_sum", "_chemical_formula_structural")
UNITS_TAG = "_cell_formula_units_z"
DENSITY_TAG = "_exptl_crystal_density_diffrn"
VOLUME_TAG = "_cell_volume"

FORMULA_TOLERANCE = 0.01
"""Relative difference of numbers of atoms that counts as the same formula."""

DENSITY_TOLERANCE = 0.02
"""Relative difference of densities that counts as none: they are given with few digits."""

VOLUME_TOLERANCE = 0.01
"""Relative difference of volumes that counts as none."""

_TO_G_PER_CM3 = 1.66053907  # of u/Å3
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(\d*\)?)?", re.ASCII)


def cif_number(text: str, tag: str) -> float:
    """A CIF's number, without the standard uncertainty in brackets.

    Raises
    ------
    NonFiniteError
        If it is NaN or infinite.
    StructureFileError
        If it is no number.
    """
    if match := _NUMBER.fullmatch(text):
        value = float(match[1])
        if math.isfinite(value):
            return value
    elif text.lower().lstrip("+-")[:3] not in {"nan", "inf"}:
        raise StructureFileError(
            f"the CIF file does not parse: {tag} is {text!r}, which is no number"
        )
    raise NonFiniteError(f"{tag} is {text}")


@dataclass(frozen=True)
class Content:
    """Statements of a data block about the content of its cell; None where there are none.

    Parameters
    ----------
    formula
        Atoms by element of the stated formula.
    text
        The formula as the file writes it.
    units
        Formula units in the cell.
    density
        In g/cm³.
    """

    formula: Mapping[str, float] | None
    text: str
    units: float | None
    density: float | None

    def disagreement(
        self, least: Mapping[str, int], most: Mapping[str, int], volume: float
    ) -> str | None:
        """Why a cell with so many atoms of each element is not the one that is described.

        Parameters
        ----------
        least, most
            Fewest and largest number of atoms by element; the same where it is certain.
        volume
            Of the cell, in Å³.

        Returns
        -------
        str or None
            A clause for an error; None if numbers in between agree with all that is stated.
        """
        found = " ".join(f"{symbol}{count}" for symbol, count in most.items())
        if not self._has_formula(least, most):
            return (
                f"the sites give {found}, which is not what the file's own formula "
                f"{self.text!r} says"
            )
        if not self._has_units(least, most):
            return (
                f"the sites give {found} in the cell, which is not what _cell_formula_units_Z "
                f"{self.units:g} says"
            )
        if self.density is not None:
            light, heavy = (_density(counts, volume) for counts in (least, most))
            if not _overlaps(light, heavy, self.density, DENSITY_TOLERANCE):
                return (
                    f"the sites give {found} and a density of {heavy:.2f} g/cm³, which is not "
                    f"the file's own of {self.density:g}"
                )
        return None

    def describes_whole_cell(self, counts: Mapping[str, int]) -> bool:
        """Whether formula and Z are stated and say that these are all atoms of the cell."""
        return (
            self.formula is not None
            and self.units is not None
            and set(counts) == set(self.formula)
            and all(
                math.isclose(counts[s], self.units * self.formula[s], rel_tol=1e-6) for s in counts
            )
        )

    def _has_formula(self, least: Mapping[str, int], most: Mapping[str, int]) -> bool:
        if self.formula is None:
            return True
        low, high = self._cells(least, most)
        return set(self.formula) == set(most) and low <= high

    def _has_units(self, least: Mapping[str, int], most: Mapping[str, int]) -> bool:
        if self.units is None:
            return True
        if self.formula is None:  # each unit has the same whole number of atoms
            return all(most[s] // self.units * self.units >= least[s] > 0 for s in most)
        low, high = self._cells(least, most)
        return any(low <= units <= high for units in self._allowed_units(self.formula))

    def _cells(self, least: Mapping[str, int], most: Mapping[str, int]) -> tuple[float, float]:
        """Least and largest number of stated formulas in the cell."""
        formula = self.formula or {}
        low = max(least.get(symbol, 0) / count for symbol, count in formula.items())
        high = min(most.get(symbol, 0) / count for symbol, count in formula.items())
        return low * (1 - FORMULA_TOLERANCE / 2), high * (1 + FORMULA_TOLERANCE / 2)

    def _allowed_units(self, formula: Mapping[str, float]) -> list[float]:
        """Numbers of stated formulas in the cell that agree with Z."""
        _, factor = Composition(formula).get_reduced_composition_and_factor()
        # pymatgen writes the whole cell as the formula, and Z for the reduced one
        return [float(self.units or 0), *([1.0] if factor == self.units else [])]


def read_content(block: CifBlock, volume: float) -> Content:
    """Read the statements of a data block about the content of its cell.

    Parameters
    ----------
    block
        Data block.
    volume
        Of its cell, in Å³; a stated volume is compared with it.

    Raises
    ------
    StructureFileError
        If a statement is illegible, or the stated volume is not that of the cell.
    """
    stated = _number_of(block, VOLUME_TAG)
    if stated is not None and not _overlaps(volume, volume, stated, VOLUME_TOLERANCE):
        raise StructureFileError(
            f"{block.spelled[VOLUME_TAG]} is {stated:g} Å³, but edges and angles of the cell give "
            f"{volume:.2f} Å³"
        )
    text, formula = _formula(block)
    return Content(
        formula=formula,
        text=text,
        units=_number_of(block, UNITS_TAG),
        density=_number_of(block, DENSITY_TAG),
    )


def _formula(block: CifBlock) -> tuple[str, dict[str, float] | None]:
    """The first formula that is stated, as written and as numbers of atoms."""
    for tag in FORMULA_TAGS:
        if (text := block.value(tag)) is None:
            continue
        try:
            counts = Composition(text).get_el_amt_dict()
        except Exception as error:
            raise StructureFileError(
                f"{block.spelled[tag]} {text!r} is no formula; correct or remove it"
            ) from error
        return text, {symbol: float(count) for symbol, count in counts.items() if count > 0}
    return "", None


def _number_of(block: CifBlock, tag: str) -> float | None:
    if (text := block.value(tag)) is None:
        return None
    value = cif_number(text, block.spelled[tag])
    if value <= 0:
        raise StructureFileError(f"{block.spelled[tag]} is {text}; correct or remove it")
    return value


def _density(counts: Mapping[str, int], volume: float) -> float:
    mass = sum(float(Element(symbol).atomic_mass) * n for symbol, n in counts.items())
    return mass / volume * _TO_G_PER_CM3


def _overlaps(low: float, high: float, stated: float, tolerance: float) -> bool:
    return low * (1 - tolerance) <= stated <= high * (1 + tolerance)
