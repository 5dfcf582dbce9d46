"""atomate2's VASP Makers that look before they run, and mend skewed cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from atomate2.vasp.jobs.base import vasp_job
from atomate2.vasp.jobs.core import NonSCFMaker, RelaxMaker, StaticMaker
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.electrons.kpath import HINUMA, LATIMER_MUNRO
from atomate2_vogen.engines.cells import reduced, unskewed
from atomate2_vogen.engines.vasp_setup import check_setup, potcar_symbols
from atomate2_vogen.structures.magnetism import by_moment, collinear, given_moments, with_moments

SYMPREC = 0.01
"""Tolerance in Å, that of pymatgen's paths."""


def cell_for_path(structure: Structure, k_path: str) -> Structure:
    """The cell in whose basis a path is given.

    Hinuma's path, and Latimer and Munro's, are made for any reduced cell; that of Setyawan and
    Curtarolo for the standard primitive cell alone. Atoms of different moments are not
    equivalent, so that the standard cell of a magnetic crystal may be larger, and of a lower
    symmetry, than that of the chemical one.

    Raises
    ------
    GridError, NonFiniteError
        If the cell cannot be reduced.
    MagneticMomentError
        If moments are incomplete, not finite or not collinear.
    """
    if k_path in {HINUMA, LATIMER_MUNRO}:
        return reduced(structure)
    marked = by_moment(structure)
    analyzer = SpacegroupAnalyzer(marked, symprec=SYMPREC)
    standard = analyzer.get_primitive_standard_structure(international_monoclinic=False)
    return with_moments(standard, moments_of_species(standard, marked, given_moments(structure)))


def moments_of_species(
    cell: Structure, marked: Structure, moments: Sequence[float] | None
) -> list[float] | None:
    """Moments of another cell of a crystal: of each species the mean of its atoms, in μB.

    Parameters
    ----------
    cell
        Other cell, whose species are those of `marked`.
    marked
        Crystal whose species are distinguished by `by_moment`.
    moments
        By site of `marked`; None gives None.
    """
    if moments is None:
        return None
    found = defaultdict(list)
    for site, moment in zip(marked, moments, strict=True):
        found[site.specie].append(moment)
    return [float(np.mean(found[site.specie])) for site in cell]


class _Checked:
    """Mixin: refuse to run without VASP; reduce a skewed cell where nothing came before."""

    input_set_generator: Any
    run_vasp_kwargs: dict[str, Any]
    write_input_set_kwargs: dict[str, Any]

    @vasp_job
    def make(self, structure: Structure, prev_dir: Any = None) -> Any:
        """Job as atomate2's.

        Parameters
        ----------
        structure
            Crystal.
        prev_dir
            Folder of a previous calculation, whose cell is then kept.

        Raises
        ------
        EngineSetupError
            Inside the job, if VASP or its POTCARs are not there.
        GridError
            Inside the job, if the cell has no volume.
        MagneticMomentError
            Inside the job, if moments are incomplete, not finite or not collinear.
        """
        self._check(structure)
        structure = collinear(structure)
        if prev_dir is None:
            structure = self._prepared(structure)
        return super().make.original(self, structure, prev_dir)  # type: ignore[misc]

    def _prepared(self, structure: Structure) -> Structure:
        return unskewed(structure)

    def _check(self, structure: Structure) -> None:
        generator = self.input_set_generator
        elements = [element.symbol for element in structure.composition.elements]
        check_setup(
            potcar_symbols(generator._config_dict["POTCAR"], elements),  # noqa: SLF001
            generator.user_potcar_functional,
            self.run_vasp_kwargs.get("vasp_cmd"),
            potcar_spec=self.write_input_set_kwargs.get("potcar_spec", False),
        )


@dataclass
class CheckedRelaxMaker(_Checked, RelaxMaker):
    """`RelaxMaker` for crystals that a sampler made.

    A relaxation that used up its steps is returned as such instead of raising, so that a
    candidate is recorded as unconverged: give ``stop_children_kwargs`` to change it.
    """


@dataclass
class CheckedStaticMaker(_Checked, StaticMaker):
    """`StaticMaker` for crystals that a sampler made.

    Parameters
    ----------
    k_path
        Convention of a path that follows: the cell is then turned into the one that it needs.
    """

    k_path: str | None = None

    def _prepared(self, structure: Structure) -> Structure:
        return unskewed(structure) if self.k_path is None else cell_for_path(structure, self.k_path)


@dataclass
class DisplacementMaker(_Checked, StaticMaker):
    """`StaticMaker` of displaced supercells, whose cell must stay as it is."""

    name: str = "phonon static"

    def _prepared(self, structure: Structure) -> Structure:
        return structure


__all__ = ["CheckedRelaxMaker", "CheckedStaticMaker", "DisplacementMaker", "NonSCFMaker"]
