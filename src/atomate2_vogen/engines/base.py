"""An engine: the Makers of one level of theory, and the name of its energy scale."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from jobflow import Maker
from monty.json import MSONable

from atomate2_vogen.engines.methods import Method, declared_methods
from atomate2_vogen.errors import InputError

CATEGORY = "_category"
"""Key of FireWorks for the category of a job."""

FORCE_FIELD, DFT = "forcefield", "dft"
"""Categories of the jobs of an engine."""


class EnergyCorrections(MSONable, ABC):
    """What is added to the energies of an engine before they reach a hull."""

    @abstractmethod
    def per_atom(self, document: Any) -> float:
        """Correction in eV/atom to the energy of a calculation's task document.

        Raises
        ------
        VogenError
            If the calculation is not one that the scheme of corrections is made for.
        """


@dataclass(frozen=True)
class Engine(MSONable):
    """Everything that is needed to judge a crystal at one level of theory.

    A plain value: any Maker of yours replaces one of ours with `dataclasses.replace`. Give the
    engine another `scheme` as soon as the replacement changes energies, for energies of one
    scheme are taken as comparable. A Maker of another method (model, program, or settings that
    move energies) under the same scheme is refused.

    Powerups of atomate2 and ``update_maker_kwargs`` reach the Makers inside, in every flow of
    this package, and in the jobs that such a flow makes when it runs. As everywhere in jobflow,
    what fits no Maker of a flow changes nothing.

    Parameters
    ----------
    name
        Short name, e.g. for a command line.
    scheme
        Name of the energy scale; energies of two schemes never meet on one hull.
    relax_maker
        Maker whose ``make(structure)`` relaxes positions and cell.
    static_maker
        Maker whose ``make(structure)`` gives energy and forces of a fixed structure. Every
        energy that reaches a hull comes from it.
    phonon_maker
        Maker whose ``make(structure)`` gives harmonic phonons, or None.
    band_structure_maker
        Maker of bands and density of states; None for an engine without electrons.
    known_weakness
        What its phonons are known to get wrong, for the documents that hold them.
    engine_versions
        Versions of what computes the energies, by package name. A job that finds another
        version of one of these packages at work refuses its result.
    energy_corrections
        Added to the energies of `static_maker` before they are recorded, or None. The scheme
        is that of the corrected energies.
    band_structure_scheme
        Name of the energy scale of `band_structure_maker` where it differs from `scheme`, e.g.
        with a Hubbard U: such energies never reach a hull.
    k_path
        Convention of the path of the bands, e.g. ``latimer_munro``; for the record.
    manager_config
        What a workflow manager is told about the jobs of this engine, such as FireWorks'
        ``_category`` or ``_fworker``.
    methods
        What computes the energies of each stage (`engines.methods.STAGES`), e.g. ``static``;
        every task document is checked against it. Derived from the Makers where these declare
        it: atomate2's Makers of force fields and of VASP, and those of GPAW here. State it for
        Makers of another class whose task documents name what computed them.

    Raises
    ------
    InputError
        If name or scheme is empty, or a Maker is none.
    SchemeMismatchError
        If a Maker's method is not that of the scheme.
    """

    name: str
    scheme: str
    relax_maker: Maker
    static_maker: Maker
    phonon_maker: Maker | None = None
    band_structure_maker: Maker | None = None
    known_weakness: str = ""
    engine_versions: dict[str, str] = field(default_factory=dict)
    energy_corrections: EnergyCorrections | None = None
    band_structure_scheme: str | None = None
    k_path: str | None = None
    manager_config: dict[str, Any] = field(default_factory=lambda: {CATEGORY: FORCE_FIELD})
    methods: dict[str, Method] | None = None

    def __post_init__(self) -> None:
        """Refuse what a flow could only fail on."""
        for label in ("name", "scheme"):
            if not getattr(self, label):
                raise InputError(f"an engine needs a {label}")
        for label in ("relax_maker", "static_maker", "phonon_maker", "band_structure_maker"):
            maker = getattr(self, label)
            optional = label in {"phonon_maker", "band_structure_maker"}
            if not (isinstance(maker, Maker) or (optional and maker is None)):
                raise InputError(
                    f"{label} of engine {self.name} is {type(maker).__name__}, not a jobflow Maker"
                )
        corrections = self.energy_corrections
        if not (corrections is None or isinstance(corrections, EnergyCorrections)):
            raise InputError(
                f"energy_corrections of engine {self.name} is {type(corrections).__name__}, not "
                "an EnergyCorrections"
            )
        object.__setattr__(self, "methods", declared_methods(self))

    def method(self, stage: str) -> Method | None:
        """Method of a stage of `engines.methods.STAGES`; None where no Maker declares it."""
        return (self.methods or {}).get(stage)
