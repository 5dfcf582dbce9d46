"""The flow that calculates finds and known phases by density functional theory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobflow import Flow, Job, Maker

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
        if self.engine.manager_config.get(CATEGORY) != DFT:
            raise EngineCapabilityError(
                f"engine {self.engine.name} is no DFT code; take one such as gpaw or vasp-mp"
            )
        found = list(finds)
        if not found:
            raise InputError("no finds to calculate")
        names = [find.candidate_id for find in found]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"candidate {twice} is given twice")
        crystals = [self._find(find) for find in found]
        flows: list[Flow] = []
        known: dict[str, list[Flow]] = {}
        for find, crystal in zip(found, crystals, strict=True):
            if crystal.formula not in known:
                phases = self._known(find, crystal.geometries)
                known[crystal.formula] = [self._flow(phase, []) for phase in phases]
                flows += known[crystal.formula]
        flows += [
            self._flow(crystal, [flow.output for flow in known[crystal.formula]])
            for crystal in crystals
        ]
        gathered: Job = collect_dft([flow.output for flow in flows])
        gathered.config = TOLERANT
        gathered.update_metadata({"scheme": self.engine.scheme, "stage": "collect dft"})
        place(gathered, ANALYSIS)
        return Flow([*flows, gathered], output=gathered.output, name=self.name)

    def _flow(self, crystal: DftCrystal, known: Sequence[object]) -> Flow:
        prepared = crystal.prepared(self.system, self.symprec)
        return dft_flow(self.engine, prepared, self.magnetic_starts, self.system, known)

    def _find(self, find: ConsensusDoc) -> DftCrystal:
        """The crystals of a find by the first models that have one."""
        if find.chemsys != self.system.chemsys:
            raise InputError(
                f"{find.candidate_id} is of {find.chemsys}, the flow is for {self.system.chemsys}"
            )
        usable = [one for one in find.opinions if _is_usable(one)][: self.geometries]
        if not usable:
            raise InputError(f"candidate {find.candidate_id} has no relaxed structure")
        structures = [one.structure for one in usable if one.structure is not None]
        for structure in structures:
            if (n_atoms := len(structure.get_primitive_structure())) > self.max_atoms:
                raise InputError(
                    f"candidate {find.candidate_id} has {n_atoms} atoms per primitive cell, more "
                    f"than max_atoms={self.max_atoms}; leave it out or raise the limit"
                )
        return DftCrystal(
            find.candidate_id,
            is_known=False,
            formula=find.formula,
            chemsys=find.chemsys,
            geometries=[one.model.scheme for one in usable],
            structures=structures,
            by_models=[
                ModelHeight(engine=one.model.engine, above_known_phase=one.above_known_phase)
                for one in find.opinions
                if one.above_known_phase is not None
            ],
        )

    def _known(self, find: ConsensusDoc, schemes: Sequence[str]) -> list[DftCrystal]:
        """Known phases of the formula of a find, by source, as the same models relaxed them."""
        engines = {one.model.scheme: one.model.engine for one in find.opinions}
        by_source: dict[str, DftCrystal] = {}
        for scheme in schemes:
            references = self.references.get(scheme)
            if references is None:
                references = load_references(scheme, self.system)
            phases = [one for one in references if one.formula == find.formula]
            lowest = min((one.energy_per_atom for one in phases), default=0.0)
            for phase in phases:
                if len(phase.structure.get_primitive_structure()) > self.max_atoms:
                    continue
                crystal = by_source.setdefault(
                    phase.source,
                    DftCrystal(
                        phase.name,
                        is_known=True,
                        formula=phase.formula,
                        chemsys=self.system.chemsys,
                    ),
                )
                crystal.geometries.append(scheme)
                crystal.structures.append(phase.structure)
                height = phase.energy_per_atom - lowest
                crystal.by_models.append(
                    ModelHeight(engine=engines[scheme], above_known_phase=height)
                )
        if not by_source:
            raise MissingReferenceError(
                f"no known phase of {find.formula} with at most {self.max_atoms} atoms per "
                "primitive cell is at hand; give references, or raise max_atoms"
            )
        names = [crystal.name for crystal in by_source.values()]
        return [
            # one model may have relaxed two sources into phases of one name
            replace(one, name=f"{one.name} {source}") if names.count(one.name) > 1 else one
            for source, one in by_source.items()
        ]


def _is_usable(opinion: Opinion) -> bool:
    is_same = opinion.state is StabilityState.RANKED and not opinion.left_basin
    return is_same and opinion.structure is not None
