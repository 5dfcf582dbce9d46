"""The builder that keeps the stability documents up to date.

Unit of work is a pair of chemical system and scheme. Within a pair only calculations that are new
or have changed are judged and compared with the others (`atomate2_vogen.structures.duplicates`);
what documents say about one another, groups and the joint hull, is worked out again for the whole
pair, and those documents are written that say something else than before. The outcome is that of
`atomate2_vogen.stability.hull.assess` on everything, in any order of the calculations.

Killed while it writes, it leaves nothing half-written: documents that were there are amended first
and new ones come last, so that the pair is still seen to have changed; and each document holds a
digest of those that it was compared with, by which missing comparisons are found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from maggma.core import Builder
from pymatgen.core import Composition

from atomate2_vogen.builders.pairs import DAMAGED, Outcome, Pair, Source, build_pair
from atomate2_vogen.builders.records import BATCH, KEPT, amend, by_id, write
from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.errors import BuildError, MissingReferenceError, VogenError, reason
from atomate2_vogen.jobs.known import known_structures, pool_id
from atomate2_vogen.schemas import KnownDoc, ReferenceDoc, VogenDoc
from atomate2_vogen.stability.phases import ReferenceHull
from atomate2_vogen.stores import moment, parse, select
from atomate2_vogen.structures.reduction import ReducedCrystal

if TYPE_CHECKING:
    from maggma.core import Store

Doc = TypeVar("Doc", bound=VogenDoc)


class StabilityBuilder(Builder):
    """Calculations and references in, stability documents out.

    Documents of withdrawn calculations, which are kept for reuse only, are removed.
    Idempotent and incremental: a second run writes nothing. Runs in parallel under maggma's
    ``mrun``, one pair of system and scheme per process; several may run at once. A malformed
    document is skipped with a warning and named in `malformed`.

    Parameters
    ----------
    calculations, references
        Source stores of `CalculationDoc` and `ReferenceDoc`.
    stability
        Target store of `StabilityDoc`.
    systems
        Oxide systems; what belongs to none of them is not touched, what belongs to several
        (an element) is of the first.
    known
        Source store of `KnownDoc`, crystals that the user calls known; None: none.
    novelty
        Judge novelty against references and prototypes. Without it `is_novel` stays None.
    remove_orphans
        Remove documents whose calculation is gone. Otherwise they are left as they are, and
        others are judged without them.
    chunk_size
        Number of pairs that are held in memory at once.

    Examples
    --------
    >>> from atomate2_vogen import StabilityBuilder, VogenStores
    >>> with VogenStores.memory() as stores:
    ...     sources = stores.calculations, stores.references
    ...     StabilityBuilder(*sources, stores.stability).build()
    0
    """

    def __init__(
        self,
        calculations: Store,
        references: Store,
        stability: Store,
        systems: Sequence[OxideSystem] = (VANADIUM,),
        *,
        known: Store | None = None,
        novelty: bool = True,
        remove_orphans: bool = False,
        chunk_size: int = 1,
    ) -> None:
        self.calculations = calculations
        self.references = references
        self.stability = stability
        self.systems = list(systems)
        self.known = known
        self.novelty = novelty
        self.remove_orphans = remove_orphans
        self._begin()
        super().__init__(
            sources=[calculations, references, *([] if known is None else [known])],
            targets=[stability],
            chunk_size=chunk_size,
        )

    def _begin(self) -> None:
        self.n_written = self.n_removed = self.n_pairs = 0
        self.malformed: set[str] = set()
        self.unbuilt: dict[str, str] = {}
        self._under_way: set[str] = set()
        self._withdrawn: set[str] = set()
        self._n_calculations: Counter[str] = Counter()

    def get_items(self) -> Iterator[Pair]:
        """Changed pairs, with everything that judging them needs."""
        self._begin()
        sources = self._sources()
        for (_, scheme), found in sources.items():
            self._n_calculations[scheme] += len(found)
        for scheme in sorted({scheme for _, scheme in sources}):
            references = list(self._parsed(self.references, ReferenceDoc, {"scheme": scheme}))
            for system in self.systems:
                ours = sources.get((system.chemsys, scheme))
                if ours and (pair := self._pair(system, scheme, references, ours)) is not None:
                    self.n_pairs += 1
                    self._under_way.add(pair.name)
                    yield pair

    def process_item(self, item: Pair) -> Outcome:
        """Judge what changed in one pair."""
        try:
            known = None
            if self.novelty:
                known = known_structures(item.system, item.references, own=item.own)
            return build_pair(item, known)
        except DAMAGED as error:
            return Outcome(item.name, failure=reason(error))

    def update_targets(self, items: Sequence[Outcome]) -> None:
        """Amend what was there, then write what was judged: see the module for why."""
        for outcome in items:
            self._under_way.discard(outcome.name)
            if outcome.failure is not None:
                self._refuse(outcome.name, outcome.failure)
                continue
            for name, problem in outcome.malformed.items():
                self._skip(self.calculations, name, problem)
            self.n_written += amend(self.stability, outcome.amendments)
            self.n_written += write(self.stability, outcome.documents)

    def finalize(self) -> None:
        """Remove what is not to be shown, close the stores, complain of what failed.

        Raises
        ------
        MissingReferenceError
            If the references of some scheme make no hull, after all others were built.
        BuildError
            If a pair was lost with the process that judged it.
        """
        self._remove()
        super().finalize()
        self._complain()

    def build(self) -> int:
        """Run on stores that are connected and stay so; number of documents written.

        `run` closes the stores at the end, and a `MemoryStore` does not survive that.

        Raises
        ------
        MissingReferenceError, BuildError
            As `finalize`.
        """
        for item in self.get_items():
            self.update_targets([self.process_item(item)])
        self._remove()
        self._complain()
        return self.n_written

    def _sources(self) -> dict[tuple[str, str], dict[str, Source]]:
        """Calculations to be judged, by system and scheme; those that name neither are malformed."""
        found: dict[tuple[str, str], dict[str, Source]] = {}
        homes: dict[str, tuple[str, str] | None] = {}
        key = self.calculations.key
        wanted = [key, "scheme", "last_updated", "candidate.formula", "withdrawn"]
        for content in self.calculations.query({}, properties=wanted):
            name, scheme = content.get(key), content.get("scheme")
            if content.get("withdrawn") is True:
                self._withdrawn.add(str(name))
                continue
            candidate = content.get("candidate")
            formula = str(candidate.get("formula") if isinstance(candidate, dict) else None)
            if not (isinstance(name, str) and isinstance(scheme, str) and scheme):
                self._skip(self.calculations, name, "it has no scheme")
                continue
            try:
                if formula not in homes:
                    homes[formula] = self._home(Composition(formula))
                home = homes[formula]
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
                self._skip(self.calculations, name, f"its candidate's formula is {formula!r}")
                continue
            if home is not None:
                chemsys, reduced = home
                source = Source(reduced, moment(content))
                found.setdefault((chemsys, scheme), {})[name] = source
        return found

    def _home(self, composition: Composition) -> tuple[str, str] | None:
        """Chemical system, of those that are built, and reduced formula."""
        for system in self.systems:
            if _belongs(composition, system):
                return system.chemsys, composition.reduced_formula
        return None

    def _pair(
        self,
        system: OxideSystem,
        scheme: str,
        references: Sequence[ReferenceDoc],
        sources: dict[str, Source],
    ) -> Pair | None:
        """One pair, if there is anything to be done in it."""
        ours = [one for one in references if _belongs(one.structure.composition, system)]
        this = {"chemsys": system.chemsys, "scheme": scheme}
        built = {
            content["stability_id"]: content
            for content in select(self.stability, this, properties=list(KEPT))
            if isinstance(content.get("stability_id"), str)
        }
        own: list[KnownDoc] = []
        if self.known is not None:
            found = self._parsed(self.known, KnownDoc, {"chemsys": system.chemsys})
            own = [one for one in found if not one.withdrawn]
        pool = pool_id(system, ours, own) if self.novelty else None
        pair = Pair(system, scheme, ours, own, pool, sources, built)
        pair.find_changes()
        try:
            if pair.is_up_to_date():
                return None
            ReferenceHull(ours, system)
        except VogenError as error:
            self._refuse(pair.name, reason(error))
            return None
        self._load(pair)
        return pair

    def _load(self, pair: Pair) -> None:
        """Read the crystals that newcomers are compared with, and the newcomers."""
        formulas = pair.formulas
        near = {name for name, one in pair.kept.items() if one.comparable.formula in formulas}
        if near:
            these = {"formula": {"$in": sorted(formulas)}, "chemsys": pair.system.chemsys}
            these["scheme"] = pair.scheme
            wanted = ["stability_id", "structure", "unrefined_structure"]
            for content in select(self.stability, these, properties=wanted):
                if (name := content.get("stability_id")) in near:
                    one = pair.kept[name].comparable
                    refined, unrefined = content.get("structure"), content.get(wanted[2])
                    if not _is_crystal(refined):
                        continue
                    one.crystal = ReducedCrystal(refined, one.crystal.cell)
                    if one.unrefined is not None:
                        if not _is_crystal(unrefined):
                            continue
                        one.unrefined = ReducedCrystal(unrefined, one.unrefined.cell)
                    near.discard(name)
        for name in near:  # without their crystals they must be judged again
            pair.changed.add(name)
            del pair.kept[name]
        if len(pair.changed) > max(BATCH, self._n_calculations[pair.scheme] / 2):
            found = select(self.calculations, {"scheme": pair.scheme})
        else:
            found = by_id(self.calculations, sorted(pair.changed))
        key = self.calculations.key
        pair.contents = [content for content in found if content.get(key) in pair.changed]

    def _remove(self) -> None:
        """Remove documents of withdrawn calculations, and orphans if that was asked for."""
        if not (self.remove_orphans or self._withdrawn):
            return
        ours = {"chemsys": {"$in": [system.chemsys for system in self.systems]}}
        key = self.stability.key
        found = (content.get(key) for content in self.stability.query(ours, properties=[key]))
        built = [name for name in found if isinstance(name, str)]
        self._drop([name for name in built if name in self._withdrawn])
        if self.remove_orphans:
            # read last: a calculation that came meanwhile is there
            there = set(self.calculations.distinct(self.calculations.key))
            orphans = [name for name in built if name not in there]
            self._drop(orphans)
            self.n_removed = len(orphans)

    def _drop(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), BATCH):
            batch = list(names[start : start + BATCH])
            self.stability.remove_docs({self.stability.key: {"$in": batch}})

    def _complain(self) -> None:
        if self.unbuilt:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.unbuilt.items())
            raise MissingReferenceError(
                f"calculations were not judged, mend their references: {reasons}"
            )
        if self._under_way:
            raise BuildError(
                f"{', '.join(sorted(self._under_way))} was lost with the process that judged it; "
                "its log tells why, and another build takes it up"
            )

    def _parsed(
        self, store: Store, document_class: type[Doc], criteria: dict[str, Any]
    ) -> Iterator[Doc]:
        """Documents that fit their class; the others are warned of and counted."""
        for content in select(store, criteria):
            try:
                yield parse(document_class, content)
            except DAMAGED as error:
                self._skip(store, content.get(store.key), reason(error))

    def _skip(self, store: Store, name: object, reason: str) -> None:
        self.malformed.add(f"{store.name}: {name}")
        first = reason.splitlines()[0] if reason else ""
        self.logger.warning("%r in %s is malformed: %s; skipped", name, store.name, first)

    def _refuse(self, name: str, reason: str) -> None:
        self.unbuilt[name] = reason
        self.logger.error("%s skipped: %s", name, reason)


def _is_crystal(content: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(content, dict) and {"lattice", "sites"} <= set(content)


def _belongs(composition: Composition, system: OxideSystem) -> bool:
    return {element.symbol for element in composition.elements} <= set(system.elements)
