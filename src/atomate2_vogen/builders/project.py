"""Stability documents from the job outputs of flows, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atomate2_vogen.builders.stability import StabilityBuilder
from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines import has_references, load_references
from atomate2_vogen.stores import VogenStores


@dataclass(frozen=True)
class BuildSummary:
    """Counts of one build.

    Parameters
    ----------
    ingested
        Number of documents taken from the job store, by collection. Stability documents among them
        were made by flows.
    written
        Number of stability documents that the builder made or changed.
    removed
        Number of stability documents removed because their calculation is gone.
    malformed
        Documents that were skipped, as ``collection: key``.

    Examples
    --------
    >>> BuildSummary({"calculations": 2}, written=2, removed=0, malformed=frozenset()).written
    2
    """

    ingested: dict[str, int]
    written: int
    removed: int
    malformed: frozenset[str]


def build_stability(
    stores: VogenStores,
    systems: Sequence[OxideSystem] = (VANADIUM,),
    *,
    remove_orphans: bool = False,
) -> BuildSummary:
    """Place every calculation of the stores on the convex hull of its scheme.

    Reads what finished jobs left in the job store, adds the reference phases that the package
    ships for the schemes of the calculations, and runs `StabilityBuilder`. May be called at any
    time and again: only what is new or has changed is computed. A crystal that a flow has placed
    on the hull of the same references is not judged a second time.

    Parameters
    ----------
    stores
        Stores that are open.
    systems
        Oxide systems of the calculations.
    remove_orphans
        Remove stability documents whose calculation is gone.

    Returns
    -------
    BuildSummary
        Counts; the documents are in ``stores.stability``.

    Raises
    ------
    MissingReferenceError
        If some scheme has no reference phases that span a hull, neither shipped nor in the
        stores; after all others were built.

    Examples
    --------
    >>> from atomate2_vogen import VogenStores, build_stability
    >>> with VogenStores.memory() as stores:
    ...     build_stability(stores).written
    0
    """
    ingested = stores.ingest_jobs()
    for scheme in sorted(filter(None, stores.calculations.distinct("scheme"))):
        for system in systems:
            if has_references(scheme, system):
                stores.save(load_references(scheme, system))
    builder = StabilityBuilder(
        stores.calculations,
        stores.references,
        stores.stability,
        systems,
        known=stores.known,
        remove_orphans=remove_orphans,
    )
    written = builder.build()
    return BuildSummary(ingested, written, builder.n_removed, frozenset(builder.malformed))
