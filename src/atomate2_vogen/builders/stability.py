"""The builder that keeps the stability documents up to date.

Unit of work is a pair of chemical system and scheme: one new calculation or reference can move
duplicates, joint hull and every energy above hull in it, so the whole pair is rebuilt, and only
pairs in which something changed are. The judging itself is `atomate2_vogen.analysis.hull.assess`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from maggma.core import Builder
from monty.json import jsanitize
from pymatgen.core import Composition

from atomate2_vogen.analysis.hull import ReferenceHull, assess, hull_id
from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import MissingReferenceError, VogenError
from atomate2_vogen.jobs.known import known_structures
from atomate2_vogen.schemas import CalculationDoc, ReferenceDoc, StabilityDoc, VogenDoc
from atomate2_vogen.stores import moment, parse, upsert

if TYPE_CHECKING:
    from maggma.core import Store

Doc = TypeVar("Doc", bound=VogenDoc)


class StabilityBuilder(Builder):
    """Calculations and references in, stability documents out.

    Idempotent and incremental: a second run writes nothing. A malformed document is skipped
    with a warning and named in `malformed`; documents of calculations that have been removed
    are left alone.

    Parameters
    ----------
    calculations, references
        Source stores of `CalculationDoc` and `ReferenceDoc`.
    stability
        Target store of `StabilityDoc`.
    system
        Oxide system; what belongs to another one is not touched.
    novelty
        Judge novelty against references and prototypes. Without it `is_novel` stays None.
    chunk_size
        Pairs that are held in memory at once.
    """

    def __init__(
        self,
        calculations: Store,
        references: Store,
        stability: Store,
        system: OxideSystem = VANADIUM,
        *,
        novelty: bool = True,
        chunk_size: int = 1,
    ) -> None:
        self.calculations = calculations
        self.references = references
        self.stability = stability
        self.system = system
        self.novelty = novelty
        self.n_written = 0
        self.n_pairs = 0
        self.malformed: set[str] = set()
        self.unbuilt: dict[str, str] = {}
        super().__init__(
            sources=[calculations, references], targets=[stability], chunk_size=chunk_size
        )

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Changed pairs, with everything that judging them needs."""
        self.n_written = self.n_pairs = 0
        self.malformed = set()
        self.unbuilt = {}
        for scheme in self._schemes():
            # stamped before reading: what is written meanwhile counts as newer next time
            read_at = datetime.now(UTC)
            references = [
                reference
                for reference in self._parsed(self.references, ReferenceDoc, {"scheme": scheme})
                if self._is_ours(reference.structure.composition)
            ]
            calculations = self._changed(scheme, references)
            if not calculations:
                continue
            try:
                ReferenceHull(references, self.system)
            except VogenError as error:
                self.unbuilt[scheme] = str(error)
                self.logger.error("%s of scheme %s skipped: %s", self.system.chemsys, scheme, error)  # noqa: TRY400
                continue
            self.n_pairs += 1
            yield {
                "scheme": scheme,
                "read_at": read_at,
                "references": references,
                "calculations": calculations,
            }

    def process_item(self, item: dict[str, Any]) -> list[StabilityDoc]:
        """Judge one pair."""
        known = None
        if self.novelty:
            known = known_structures(self.system, item["references"])
        documents = assess(item["calculations"], item["references"], self.system, known, joint=True)
        for document in documents:
            document.last_updated = item["read_at"]
        return documents

    def update_targets(self, items: list[list[StabilityDoc]]) -> None:
        """Upsert the documents by key."""
        for document in (document for documents in items for document in documents):
            content = jsanitize(document, strict=True, enum_values=True, allow_bson=True)
            upsert(self.stability, content, self.stability.key)
            self.n_written += 1

    def finalize(self) -> None:
        """Close the stores; complain about pairs that could not be built.

        Raises
        ------
        MissingReferenceError
            If the references of some scheme make no hull, after all others were built.
        """
        super().finalize()
        self._complain()

    def build(self) -> int:
        """Run on stores that are connected and stay so; number of documents written.

        `run` closes the stores at the end, and a `MemoryStore` does not survive that.

        Raises
        ------
        MissingReferenceError
            As `finalize`.
        """
        for item in self.get_items():
            self.update_targets([self.process_item(item)])
        self._complain()
        return self.n_written

    def _complain(self) -> None:
        if self.unbuilt:
            reasons = "; ".join(f"{scheme}: {reason}" for scheme, reason in self.unbuilt.items())
            raise MissingReferenceError(
                f"calculations of {self.system.chemsys} were not judged, mend their references: "
                f"{reasons}"
            )

    def _schemes(self) -> list[str]:
        """Schemes that occur among the calculations; those without one are malformed."""
        schemes = set()
        for content in self.calculations.query({}, properties=[self.calculations.key, "scheme"]):
            if isinstance(content.get("scheme"), str):
                schemes.add(content["scheme"])
            else:
                self._skip(self.calculations, content, "it has no scheme")
        return sorted(schemes)

    def _changed(self, scheme: str, references: list[ReferenceDoc]) -> list[CalculationDoc]:
        """All calculations of a pair if anything in it is not yet judged, else none."""
        pair = {"scheme": scheme, "chemsys": self.system.chemsys}
        built = {
            content.get("stability_id"): content
            for content in self.stability.query(
                pair, properties=["stability_id", "hull_id", "last_updated"]
            )
        }
        current = hull_id(references)
        suspects = []
        for content in self.calculations.query(
            {"scheme": scheme}, properties=[self.calculations.key, "last_updated"]
        ):
            identifier = content.get(self.calculations.key)
            judged = built.get(identifier)
            if (
                judged is None
                or moment(content) > moment(judged)
                or judged.get("hull_id") != current
            ):
                suspects.append(identifier)
        if not suspects:
            return []
        calculations = [
            calculation
            for calculation in self._parsed(self.calculations, CalculationDoc, {"scheme": scheme})
            if self._is_ours(calculation.candidate.structure.composition)
        ]
        # what is malformed or of another system is never judged, and thus no change
        ours = {calculation.calculation_id for calculation in calculations}
        return calculations if ours.intersection(suspects) else []

    def _parsed(
        self, store: Store, document_class: type[Doc], criteria: dict[str, Any]
    ) -> Iterator[Doc]:
        """Documents that fit their class; the others are warned of and counted."""
        for content in store.query(criteria):
            try:
                document = parse(document_class, content)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                self._skip(
                    store, content, str(error).splitlines()[0] if str(error) else repr(error)
                )
            else:
                yield document

    def _skip(self, store: Store, content: dict[str, Any], reason: str) -> None:
        identifier = str(content.get(store.key))
        self.malformed.add(f"{store.name}: {identifier}")
        self.logger.warning("%r in %s is malformed: %s; skipped", identifier, store.name, reason)

    def _is_ours(self, composition: Composition) -> bool:
        return {element.symbol for element in composition.elements} <= set(self.system.elements)
