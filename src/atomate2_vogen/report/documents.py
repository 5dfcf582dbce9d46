"""Documents that a report shows, all of one energy model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import InputError, SchemeMismatchError
from atomate2_vogen.schemas import (
    CalculationDoc,
    ConsensusDoc,
    DftDoc,
    ElectronicDoc,
    MetricsDoc,
    PhononDoc,
    ReferenceDoc,
    StabilityDoc,
    StabilityState,
)
from atomate2_vogen.stability.metrics import measure, metrics_id
from atomate2_vogen.stability.order import by_energy
from atomate2_vogen.stability.phases import ReferenceHull

if TYPE_CHECKING:
    from atomate2_vogen.stores import VogenStores


@dataclass(frozen=True)
class ReportDocuments:
    """Documents of one energy model and one hull.

    Parameters
    ----------
    stability
        One stability document per candidate.
    references
        Reference phases of the hull.
    calculations
        Of the same candidates: the crystals as generated, and what relaxing them took. A
        candidate without one is shown with the values of its stability document.
    metrics
        Of the same candidates; measured anew where it is missing or of other candidates, which
        then knows nothing of attempts.
    electronic, phonons
        With their bands and densities of states (``load=True``); of any engine.
    consensus
        Verdicts of several energy models on them.
    dft
        Their energies by a DFT code, above the lowest known phase.
    run
        What `run.json` of an output folder holds, or any mapping of that form.
    system
        The oxide.

    Raises
    ------
    InputError
        If there is no stability document, one comes twice, or the references do not make the
        hull that the documents name.
    SchemeMismatchError
        If documents are of several schemes or hulls.
    UnknownFormulaError
        If a ranked document is of no compound of the system.
    MissingReferenceError, ElementError, NonFiniteError
        As `ReferenceHull`.

    Examples
    --------
    >>> from atomate2_vogen import load_references
    >>> from atomate2_vogen.report import ReportDocuments
    >>> from atomate2_vogen.schemas import StabilityDoc
    >>> from atomate2_vogen.stability.hull import hull_id
    >>> references = load_references("CHGNet-0.3.0")
    >>> document = StabilityDoc(
    ...     stability_id="VO-1|CHGNet-0.3.0",
    ...     candidate_id="VO-1",
    ...     scheme="CHGNet-0.3.0",
    ...     hull_id=hull_id(references),
    ...     chemsys="O-V",
    ...     formula="VO",
    ...     natoms=2,
    ...     sampler="files",
    ...     model_id="none",
    ...     state="failed",
    ...     reason="out of memory",
    ...     is_converged=False,
    ... )
    >>> documents = ReportDocuments([document], references)
    >>> documents.scheme
    'CHGNet-0.3.0'
    """

    stability: Sequence[StabilityDoc]
    references: Sequence[ReferenceDoc]
    calculations: Sequence[CalculationDoc] = ()
    metrics: MetricsDoc | None = None
    electronic: Sequence[ElectronicDoc] = ()
    phonons: Sequence[PhononDoc] = ()
    consensus: Sequence[ConsensusDoc] = ()
    dft: Sequence[DftDoc] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
    system: OxideSystem = VANADIUM

    def __post_init__(self) -> None:
        """Raise if the candidates belong to another hull than the reference phases."""
        if not self.stability:
            raise InputError(
                "nothing to report: there is no stability document; make them first "
                "(vogen build FOLDER)"
            )
        for name in ("scheme", "hull_id"):
            if len(values := sorted({getattr(document, name) for document in self.stability})) > 1:
                raise SchemeMismatchError(
                    f"stability documents of {len(values)} values of {name}: "
                    f"{', '.join(values)}; report on each apart"
                )
        ids = [document.candidate_id for document in self.stability]
        if twice := sorted({key for key in ids if ids.count(key) > 1}):
            raise InputError(f"candidate {twice[0]} is there twice")
        for document in self.stability:
            if document.state is StabilityState.RANKED:
                self.system.reduced_formula(document.formula)
        if self.hull.scheme != self.scheme:
            raise SchemeMismatchError(
                f"references of {self.hull.scheme} for candidates of {self.scheme}"
            )
        if self.hull.hull_id != self.hull_id:
            raise InputError(
                f"the references make the hull {self.hull.hull_id}, but the candidates were "
                f"placed on {self.hull_id}; place them again (vogen build FOLDER)"
            )

    @classmethod
    def from_stores(
        cls,
        stores: VogenStores,
        *,
        scheme: str | None = None,
        candidate_ids: Collection[str] | None = None,
        metrics: MetricsDoc | None = None,
        run: Mapping[str, Any] | None = None,
        system: OxideSystem = VANADIUM,
    ) -> Self:
        """Read what stores hold about candidates; nothing is written there.

        Damaged documents are left out with a warning that names them and their fields.

        Parameters
        ----------
        stores
            Connected: embedded, in memory, or in MongoDB.
        scheme
            Energy scale; may be left out where the stores hold stability documents of one only.
        candidate_ids
            Ids of candidates; all with a stability document where left out.
        metrics, run, system
            As for the class.

        Raises
        ------
        InputError, SchemeMismatchError
            As the class.
        """
        wanted = None if candidate_ids is None else set(candidate_ids)
        stability = [
            document
            for document in stores.iterate(StabilityDoc, {"scheme": scheme} if scheme else None)
            if document.chemsys == system.chemsys
            and (wanted is None or document.candidate_id in wanted)
        ]
        schemes = sorted({document.scheme for document in stability})
        criteria = {"scheme": schemes[0]} if len(schemes) == 1 else None
        shown = {document.candidate_id for document in stability}

        def about(kind: Any, query: Mapping[str, Any] | None = None) -> list[Any]:
            return [d for d in stores.iterate(kind, query) if d.candidate_id in shown]

        return cls(
            stability=stability,
            references=[
                reference
                for reference in stores.iterate(ReferenceDoc, criteria)
                if {e.symbol for e in reference.structure.composition} <= set(system.elements)
            ],
            calculations=about(CalculationDoc, criteria),
            metrics=metrics,
            electronic=about(ElectronicDoc),
            phonons=about(PhononDoc),
            consensus=about(ConsensusDoc, criteria),
            dft=about(DftDoc),
            run=run or {},
            system=system,
        )

    @property
    def scheme(self) -> str:
        """Name of the energy scale."""
        return self.stability[0].scheme

    @property
    def hull_id(self) -> str:
        """Key of the hull."""
        return self.stability[0].hull_id

    @cached_property
    def hull(self) -> ReferenceHull:
        """The hull of the reference phases."""
        return ReferenceHull(self.references, self.system)

    @cached_property
    def candidates(self) -> list[StabilityDoc]:
        """Ranked ones by energy above hull, then the others by state and id."""
        return by_energy(self.stability)

    @cached_property
    def calculation_of(self) -> dict[str, CalculationDoc]:
        """Calculations by candidate id."""
        return {document.candidate_id: document for document in self.calculations}

    @cached_property
    def measured(self) -> MetricsDoc | None:
        """Metrics of exactly these candidates; None where they cannot be known."""
        ids = [document.candidate_id for document in self.stability]
        given = self.metrics
        if given is not None and given.metrics_id == metrics_id(ids, self.scheme, self.hull_id):
            return given
        if set(ids) != set(self.calculation_of):
            return None
        return measure(
            [document.candidate for document in self.calculations],
            self.calculations,
            self.stability,
            self.system,
        )

    def listed(self, top: int | None) -> list[StabilityDoc]:
        """Candidates that get a row and a page: all, or the lowest `top` of each formula.

        Those that are not ranked are listed in any case.
        """
        if top is None:
            return self.candidates
        taken: dict[str, int] = {}
        chosen = []
        for document in self.candidates:
            if document.state is StabilityState.RANKED:
                taken[document.formula] = taken.get(document.formula, 0) + 1
                if taken[document.formula] > top:
                    continue
            chosen.append(document)
        return chosen
