"""Reading what builders need of a collection, and writing what they change."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from atomate2_vogen.schemas import ReducedCell, StabilityState
from atomate2_vogen.stability.hull import Ranked
from atomate2_vogen.stores import upsert_many
from atomate2_vogen.structures.duplicates import Comparable
from atomate2_vogen.structures.reduction import ReducedCrystal

if TYPE_CHECKING:
    from maggma.core import Store

logger = logging.getLogger(__name__)

BATCH = 1000
"""Documents that are read by id, or written, in one step."""

RELATIONS = (
    "duplicate_group",
    "is_unique",
    "energy_above_joint_hull",
    "leader",
    "compared_with",
)
"""Fields that depend on other candidates."""

KEPT = (
    "stability_id",
    "candidate_id",
    "chemsys",
    "scheme",
    "formula",
    "state",
    "hull_id",
    "novelty_pool",
    "calculation_updated",
    "energy_per_atom",
    "formation_energy_per_atom",
    "reduced_cell",
    "unrefined_cell",
    "is_bulk",
    *RELATIONS,
)
"""What is read of documents that were built before."""


def by_id(
    store: Store, identifiers: Sequence[str], properties: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Documents with these keys."""
    wanted = list(properties) if properties else None
    for start in range(0, len(identifiers), BATCH):
        batch = list(identifiers[start : start + BATCH])
        yield from store.query({store.key: {"$in": batch}}, properties=wanted)


def write(store: Store, contents: Iterable[Mapping[str, Any]]) -> int:
    """Upsert documents in batches, in their order; number of documents written."""
    written, batch = 0, []
    for content in contents:
        batch.append(content)
        if len(batch) == BATCH:
            written += upsert_many(store, batch, store.key)
            batch = []
    return written + upsert_many(store, batch, store.key)


def amend(store: Store, changes: Mapping[str, Mapping[str, Any]]) -> int:
    """Set fields of documents that are there; number of documents written."""
    now = datetime.now(UTC)

    def amended() -> Iterator[dict[str, Any]]:
        for content in by_id(store, list(changes)):
            yield {**content, **changes[content[store.key]], "last_updated": now}

    return write(store, amended())


def ranked_record(content: Mapping[str, Any]) -> Ranked | None:
    """What others depend on, from a document that was built before; None if it is not ranked.

    Raises
    ------
    ValueError, TypeError, KeyError
        If the document is damaged.
    """
    if StabilityState(content["state"]) is not StabilityState.RANKED:
        return None
    cell = ReducedCell.model_validate(content["reduced_cell"])
    unrefined = content.get("unrefined_cell")
    return Ranked(
        str(content["candidate_id"]),
        _finite(content["energy_per_atom"]),
        Comparable(
            str(content["stability_id"]),
            str(content["formula"]),
            _finite(content["formation_energy_per_atom"]),
            ReducedCrystal({}, cell),
            str(content["leader"]),
            str(content["compared_with"]),
            unrefined=None
            if unrefined is None
            else ReducedCrystal({}, ReducedCell.model_validate(unrefined)),
        ),
    )


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("an energy is no finite number")
    return float(value)
