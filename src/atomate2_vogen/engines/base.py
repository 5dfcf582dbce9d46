"""An engine: the Makers of one level of theory, and the name of its energy scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from jobflow import Maker
from monty.json import MSONable

from atomate2_vogen.engines.energy_corrections import EnergyCorrections
from atomate2_vogen.engines.methods import Method, declared_methods
from atomate2_vogen.errors import InputError

CATEGORY = "_category"
"""Key of FireWorks for the category of a job."""

FORCE_FIELD, DFT = "forcefield", "dft"
"""Categories of the jobs of an engine."""

FORCE_TOLERANCE = 0.05
"""Largest force of a relaxed crystal in eV/Å: the paper's criterion (section 2.2)."""


@dataclass(frozen=True)
class Engine(MSONable):
    """Makers, energy scale and settings of one level of theory.

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
        Configuration of the workflow manager for the jobs of this engine, such as FireWorks'
        ``_category`` or ``_fworker``.
    methods
        What computes the energies of each stage (`engines.methods.STAGES`), e.g. ``static``;
        every task document is checked against it. Derived from the Makers where these declare
        it: atomate2's Makers of force fields and of VASP, and those of GPAW here. State it for
        Makers of another class whose task documents name what computed them.
    functional
        Density functional of its energies, or of those that its model was trained on, e.g.
        ``PBE(+U)`` or ``r2SCAN``; empty where it is not known.
    training_data
        Data sets that its model was trained on; empty for DFT, and where they are not known.

    Raises
    ------
    InputError
        If name or scheme is empty, or a Maker is none.
    SchemeMismatchError
        If a Maker's method is not that of the scheme.

    Examples
    --------
    An engine in one line, of a force field that atomate2 knows:

    >>> from atomate2_vogen.engines import Engine
    >>> Engine.from_force_field("CHGNet").scheme
    'CHGNet-0.3.0'

    of an ASE calculator of your own, by its import path:

    >>> engine = Engine.from_force_field("ase.calculators.emt.EMT", scheme="EMT-ASE")
    >>> engine.name, engine.static_maker.name
    ('emt', 'EMT static')

    and of any relax Maker of atomate2:

    >>> from atomate2.vasp.jobs.core import RelaxMaker
    >>> engine = Engine.from_maker(RelaxMaker(), scheme="VASP-PBEsol-atomate2")
    >>> engine.static_maker.name
    'static'
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
    functional: str = ""
    training_data: tuple[str, ...] = ()

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
        object.__setattr__(self, "training_data", tuple(self.training_data))  # JSON has lists

    def method(self, stage: str) -> Method | None:
        """Method of a stage of `engines.methods.STAGES`; None where no Maker declares it."""
        return (self.methods or {}).get(stage)

    @classmethod
    def from_force_field(
        cls,
        force_field: str | Mapping[str, str] | Any,
        scheme: str | None = None,
        *,
        calculator_kwargs: Mapping[str, Any] | None = None,
        energy_corrections: EnergyCorrections | Literal["known"] | None = "known",
        fmax: float = FORCE_TOLERANCE,
        steps: int = 500,
        phonon_min_length: float = 9.0,
        phonon_displacement: float | None = None,
        **options: Any,
    ) -> Self:
        """Engine of a force field: relaxation, static calculation and phonons.

        Parameters
        ----------
        force_field
            Name or member of atomate2's ``MLFF``, e.g. ``SevenNet``; or an ASE calculator by its
            import path, e.g. ``my_module.my_calculator``, which every worker must be able to
            import.
        scheme
            Name of the energy scale. Derived where the scale is known
            (`engines.known_models.KNOWN_MODELS`); required for other models, other weights and
            own calculators.
        calculator_kwargs
            Arguments of the calculator, beside atomate2's.
        energy_corrections
            Added to the energies before they are recorded. ``known``: what the model is known to
            need; nothing, with a warning in the log, where that is not known. None: nothing.
        fmax
            Force criterion in eV/Å, on atoms and on the cell (ASE's Fréchet cell filter).
        steps
            Largest number of ionic steps of a relaxation; a crystal that is not converged by then
            is recorded as unconverged.
        phonon_min_length
            Shortest edge of the phonon supercell in Å.
        phonon_displacement
            Displacement of an atom for force constants in Å; by default 0.01, or what the model
            is known to need.
        options
            Other fields of the engine, e.g. ``name`` or ``known_weakness``.

        Raises
        ------
        InputError
            If the force field is unknown, or its scheme cannot be derived and is not given.
        MissingDependencyError
            If the package of the force field is not installed.
        SchemeMismatchError
            If the scheme is that of shipped references or of another model.
        """
        from atomate2_vogen.engines.force_field_engine import force_field_settings

        settings = force_field_settings(
            force_field,
            scheme,
            calculator_kwargs=calculator_kwargs,
            energy_corrections=energy_corrections,
            fmax=fmax,
            steps=steps,
            phonon_min_length=phonon_min_length,
            phonon_displacement=phonon_displacement,
        )
        return cls(**(settings | options))

    @classmethod
    def from_maker(
        cls,
        relax_maker: Maker,
        *,
        scheme: str,
        static_maker: Maker | None = None,
        **options: Any,
    ) -> Self:
        """Engine of a relax Maker: of atomate2 (VASP, force fields, ASE), or your own.

        Parameters
        ----------
        relax_maker
            Maker whose ``make(structure)`` relaxes positions and cell.
        scheme
            Name of the energy scale.
        static_maker
            Maker of static calculations of the same method. By default that of `relax_maker`
            without ionic steps; required for a Maker that is not derived from atomate2's.
        options
            Other fields of the engine: ``phonon_maker``, ``band_structure_maker``,
            ``energy_corrections`` and so on. The name is by default that of the scheme. State
            ``methods`` for Makers of your own whose task documents name what computed them.

        Raises
        ------
        InputError
            If a Maker is none, or no static Maker follows from `relax_maker`.
        MissingDependencyError
            If the package of a force field is not installed.
        SchemeMismatchError
            If the scheme is named after another model or program.
        """
        from atomate2_vogen.engines import maker_engine

        if not isinstance(relax_maker, Maker):
            raise InputError(
                f"the relax Maker is {type(relax_maker).__name__}, not a jobflow Maker; give for "
                "example atomate2's RelaxMaker()"
            )
        static = maker_engine.static_maker_of(relax_maker) if static_maker is None else static_maker
        settings = {
            "name": scheme,
            "engine_versions": maker_engine.versions_of(static),
            "manager_config": {CATEGORY: DFT if maker_engine.is_vasp(static) else FORCE_FIELD},
            "methods": maker_engine.stated_methods(relax=relax_maker, static=static) or None,
        }
        return cls(
            scheme=scheme, relax_maker=relax_maker, static_maker=static, **settings | options
        )
