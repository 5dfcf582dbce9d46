"""What the paper reports, as numbers, to stand beside those of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

ALL = "all"
"""Key of the row for all formulas together."""


@dataclass(frozen=True)
class Published:
    """Values that the paper states.

    Parameters
    ----------
    source, method
        Paper, and how its energies were calculated.
    parameters
        Table 1, by parameter.
    counts
        Table 2: number of crystals by formula (or ``all``) and column.
    below_hull
        Crystals below the hull of the Materials Project, by formula (section 3.4, Figs. 7-9).
    generator_steps
        Training steps of GAN and WGAN in Fig. 5.
    headline_formula
        Formula of the crystals below the hull that the abstract speaks of.
    series_formula
        Formula of the crystal whose phonons are calculated in several supercells (Figs. S1, S2).
    supercells
        Of the phonons in Figs. 10-12, cells along each axis, by formula.
    phonons, electronic
        Findings of Figs. 10-12 and 13-15 in words, by formula.
    half_metals
        Number of crystals with half-metallic behaviour.

    Examples
    --------
    >>> from atomate2_vogen.stability import Published
    >>> paper = Published.values()
    >>> paper.counts["V2O3"]["stable"], paper.below_hull["V2O3"]
    (33, 2)
    """

    source: str
    method: str
    parameters: dict[str, str]
    counts: dict[str, dict[str, int]]
    below_hull: dict[str, int]
    generator_steps: int
    headline_formula: str
    series_formula: str
    supercells: dict[str, tuple[int, int, int]]
    phonons: dict[str, str]
    electronic: dict[str, str]
    half_metals: int

    @classmethod
    def values(cls) -> Published:
        """The paper's values."""
        return _read()

    @property
    def request(self) -> dict[str, int]:
        """Number of crystals that the paper generated, by formula."""
        return {f: row["total"] for f, row in self.counts.items() if f != ALL}


@cache
def _read() -> Published:
    text = (files("atomate2_vogen.stability") / "published.json").read_text(encoding="utf-8")
    content = json.loads(text)
    supercells = {formula: tuple(cells) for formula, cells in content["supercells"].items()}
    return Published(**{**content, "supercells": supercells})
