"""The flow that calculates finds and known phases by density functional theory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobflow import Flow, Job, Maker
from pymatgen.core import Structure

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import Engine, load_references
from atomate2_vogen.engines.base import CATEGORY, DFT
from atomate2_vogen.engines.validation import check_engine
from atomate2_vogen.errors import EngineCapabilityError, InputError, MissingReferenceError
from atomate2_vogen.jobs.dft import DftCrystal, collect_dft, dft_flow
from atomate2_vogen.jobs.magnetism import AFM, FM, check_starts
from atomate2_vogen.jobs.placement import ANALYSIS, place
from atomate2_vogen.jobs.screening import TOLERANT
from atomate2_vogen.schemas import (
    ConsensusDoc,
    ModelHeight,
    Opinion,
    ReferenceDoc,
    StabilityState,
)


@dataclass
class DftFlowMaker(Maker):
    """Energies of finds and of the known phases of their formulas, with the same settings.

    Each crystal is calculated as several energy models relaxed it, from a ferromagnetic and an
    antiferromagnetic start; the lowest counts. Differences are between crystals of one formula, so
    that neither hull nor correction enters.

    Parameters
    ----------
    name
        Name of the flow.
    engine
        Engine of a DFT code, such as ``gpaw`` or ``vasp-mp``.
    system
        Oxide system: metal, initial moments, minimum distances.
    geometries
        Number of energy models whose crystals are calculated, in the order of the opinions.
    max_atoms
        Largest primitive cell of a known phase; larger ones are left out, a find that is larger is
        refused.
    magnetic_starts
        Patterns of moments, as of `ElectronicFlowMaker`.
    symprec
        Tolerance in Å within which broken symmetry is made exact first; None leaves crystals as
        they are.
    references
        Relaxed reference phases by scheme; by default those that are shipped.

    Raises
    ------
    InputError
        If a number or a start is impossible.

    Examples
    --------
    >>> from atomate2_vogen.engines import gpaw
    >>> from atomate2_vogen.flows import DftFlowMaker
    >>> DftFlowMaker(engine=gpaw(check=False)).magnetic_starts
    ('FM', 'AFM')
    """

    name: str = "dft"
    engine: Engine = field(kw_only=True)
    system: OxideSystem = field(default_factory=lambda: VANADIUM)
    geometries: int = 2
    max_atoms: int = 14
    magnetic_starts: tuple[str, ...] = (FM, AFM)
    symprec: float | None = 0.02
    references: Mapping[str, list[ReferenceDoc]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what could only fail later."""
        check_engine(self.engine, self)
        self.magnetic_starts = tuple(self.magnetic_starts)
        check_starts(self.magnetic_starts)
        for name in ("geometries", "max_atoms"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is {value!r}; give a whole number of at least 1")

    def make(self, finds: Sequence[ConsensusDoc]) -> Flow:
        """Flow whose output is a list of `DftDoc`: the known phases, then the finds.

        Parameters
        ----------
        finds
            Documents of `ConfirmFlowMaker`, which hold the crystals of several models.

        Raises
        ------
        EngineCapabilityError
            If the engine is none of a DFT code.
        InputError
            If there is no find, one comes twice, is of another system, has no crystal or is
            larger than `max_atoms`.
        MissingReferenceError
            If there is no known phase of the formula of a find.
        """
        crystals = self.crystals(finds)
        flows: list[Flow] = []
        levels: dict[str, list[object]] = {}
        for crystal in crystals:
            known = levels.setdefault(crystal.formula, [])
            flow = dft_flow(
                self.engine,
                crystal,
                self.magnetic_starts,
                self.system,
                [] if crystal.is_known else known,
            )
            if crystal.is_known:
                known.append(flow.output)
            flows.append(flow)
        gathered: Job = collect_dft([flow.output for flow in flows])
        gathered.config = TOLERANT
        gathered.update_metadata({"scheme": self.engine.scheme, "stage": "collect dft"})
        place(gathered, ANALYSIS)
        return Flow([*flows, gathered], output=gathered.output, name=self.name)

    def crystals(self, finds: Sequence[ConsensusDoc]) -> list[DftCrystal]:
        """What is calculated, in the cells that are: the known phases, then the finds.

        Parameters
        ----------
        finds
            As of `make`.

        Raises
        ------
        EngineCapabilityError, InputError, MissingReferenceError
            As of `make`.
        """
        if self.engine.manager_config.get(CATEGORY) != DFT:
            raise EngineCapabilityError(
                f"engine {self.engine.name} is no DFT code; take one such as gpaw or vasp-mp"
            )
        if not finds:
            raise InputError("no finds to calculate")
        names = [find.candidate_id for find in finds]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"candidate {twice} is given twice")
        by_formula: dict[str, list[ConsensusDoc]] = {}
        for find in finds:
            self._check(find)
            by_formula.setdefault(find.formula, []).append(find)
        known, levels = [], {}
        for formula, same in by_formula.items():
            phases = self._known(formula, same)
            levels[formula] = {
                engine: min(phase.energies[engine] for phase in phases if engine in phase.energies)
                for engine in {engine for phase in phases for engine in phase.energies}
            }
            known += [self._crystal(phase, levels[formula]) for phase in phases]
        return known + [self._crystal(self._find(find), levels[find.formula]) for find in finds]

    def _crystal(self, crystal: _Relaxed, levels: Mapping[str, float]) -> DftCrystal:
        """A crystal for the job; `levels` are each model's energies of its lowest known phase."""
        described = DftCrystal(
            crystal.name,
            is_known=crystal.is_known,
            formula=crystal.formula,
            chemsys=self.system.chemsys,
            geometries=list(crystal.structures),
            structures=list(crystal.structures.values()),
            by_models=[
                ModelHeight(engine=engine, above_known_phase=energy - levels[engine])
                for engine, energy in crystal.energies.items()
                if engine in levels
            ],
        )
        return described.prepared(self.system, self.symprec)

    def _check(self, find: ConsensusDoc) -> None:
        """Refuse a find that cannot be calculated."""
        if find.chemsys != self.system.chemsys:
            raise InputError(
                f"{find.candidate_id} is of {find.chemsys}, the flow is for {self.system.chemsys}"
            )
        structures = self._find(find).structures.values()
        if not structures:
            raise InputError(f"candidate {find.candidate_id} has no relaxed structure")
        if (largest := max(map(n_primitive, structures))) > self.max_atoms:
            raise InputError(
                f"candidate {find.candidate_id} has {largest} atoms per primitive cell, more "
                f"than max_atoms={self.max_atoms}; leave it out or raise the limit"
            )

    def _find(self, find: ConsensusDoc) -> _Relaxed:
        """A find as the first models relaxed it that have it, and all models' energies."""
        usable = [one for one in find.opinions if _is_usable(one)]
        return _Relaxed(
            find.candidate_id,
            is_known=False,
            formula=find.formula,
            structures={
                one.model.scheme: one.structure
                for one in usable[: self.geometries]
                if one.structure is not None
            },
            energies={
                one.model.engine: one.energy_per_atom
                for one in usable
                if one.energy_per_atom is not None
            },
        )

    def _known(self, formula: str, finds: Sequence[ConsensusDoc]) -> list[_Relaxed]:
        """Known phases of a formula, as the models of its finds relaxed them."""
        engines = {one.model.scheme: one.model.engine for find in finds for one in find.opinions}
        needed = {scheme for find in finds for scheme in self._find(find).structures}
        by_source: dict[str, _Relaxed] = {}
        for scheme, engine in engines.items():
            references = self.references.get(scheme)
            if references is None:
                references = load_references(scheme, self.system)
            for phase in references:
                if phase.formula != formula or n_primitive(phase.structure) > self.max_atoms:
                    continue
                made = _Relaxed(phase.name, is_known=True, formula=formula)
                relaxed = by_source.setdefault(phase.source, made)
                relaxed.energies[engine] = phase.energy_per_atom
                if scheme in needed:
                    relaxed.structures[scheme] = phase.structure
        known = {source: one for source, one in by_source.items() if one.structures}
        if not known:
            raise MissingReferenceError(
                f"no known phase of {formula} with at most {self.max_atoms} atoms per primitive "
                "cell is at hand; give references, or raise max_atoms"
            )
        names = [one.name for one in known.values()]
        return [
            # one model may have relaxed two sources into phases of one name
            replace(one, name=f"{one.name} {source}") if names.count(one.name) > 1 else one
            for source, one in known.items()
        ]


@dataclass(frozen=True)
class _Relaxed:
    """A crystal: structures by scheme, and energies in eV/atom by engine."""

    name: str
    is_known: bool
    formula: str
    structures: dict[str, Structure] = field(default_factory=dict)
    energies: dict[str, float] = field(default_factory=dict)


def n_primitive(structure: Structure) -> int:
    """Number of atoms of the primitive cell."""
    return len(structure.get_primitive_structure())


def _is_usable(opinion: Opinion) -> bool:
    is_same = opinion.state is StabilityState.RANKED and not opinion.left_basin
    return is_same and opinion.structure is not None
