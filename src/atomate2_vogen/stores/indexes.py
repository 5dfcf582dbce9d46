"""Indexes: unique keys, times of change, and what people ask for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import OperationFailure

from atomate2_vogen.errors import StoreConnectionError

logger = logging.getLogger(__name__)

UNAUTHORISED = 13

_BY_ENERGY = ("state", "energy_above_hull", "stability_id")
# what is asked for, then the order of the answer: nothing is sorted in memory

INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "candidates": (("formula",), ("sampler", "model_id")),
    "calculations": (("candidate_id",), ("scheme",)),
    "references": (("scheme",),),
    "known": (("chemsys",),),
    "stability": (
        ("candidate_id",),
        ("formula", *_BY_ENERGY),
        ("space_group_number", *_BY_ENERGY),
        ("model_id", *_BY_ENERGY),
        ("sampler", *_BY_ENERGY),
        ("chemsys", *_BY_ENERGY),
        _BY_ENERGY,
        ("energy_above_hull", "stability_id"),
        ("chemsys", "scheme"),
    ),
    "consensus": (
        ("candidate_id",),
        ("formula", "verdict", "largest_above_hull"),
        ("verdict", "largest_above_hull"),
        ("verdict_25mev", "largest_above_hull"),
    ),
    "dft": (("formula", "above_known_phase"), ("crystal",), ("candidate_id",)),
    "electronic": (
        ("candidate_id",),
        ("formula", "electrons.character", "electrons.gap"),
        ("electrons.character", "electrons.gap"),
        ("electrons.gap",),
        ("scheme",),
    ),
    "phonons": (
        ("candidate_id",),
        ("formula", "phonons.verdict"),
        ("phonons.verdict",),
        ("scheme",),
    ),
    "soft_modes": (("candidate_id",),),
    "training": (),
    "jobs": (("uuid", "index"), ("output.@class",)),
    "data.files": (("metadata.blob_uuid",), ("metadata.job_uuid",)),
}
"""Fields of each index, by collection, beside those on the key and on ``last_updated``.

The ones that leave fewest documents come first: queries take the first that fits.
"""


def ensure_indexes(
    collection: Any, fields: Sequence[Sequence[str]], unique: str | None = None
) -> None:
    """Create the indexes that a collection of MongoDB lacks.

    Parameters
    ----------
    collection
        Of pymongo.
    fields
        Of each index, in their order.
    unique
        Field of which no two documents may have the same value.

    Raises
    ------
    StoreConnectionError
        If two documents share a key.
    """
    wanted = {"_".join(f"{name}_1" for name in names): tuple(names) for names in fields}
    models = {
        name: IndexModel([(field, ASCENDING) for field in names], name=name)
        for name, names in wanted.items()
    }
    if unique is not None:
        models[f"{unique}_1"] = IndexModel([(unique, ASCENDING)], name=f"{unique}_1", unique=True)
    held = collection.index_information()
    missing = [model for name, model in models.items() if name not in held]
    if not missing:
        return
    try:
        collection.create_indexes(missing)
    except OperationFailure as error:
        if error.code == UNAUTHORISED:
            logger.warning(
                "%s: this user may not create indexes; queries will be slow until a user who "
                "may has opened the stores once",
                collection.full_name,
            )
            return
        raise StoreConnectionError(
            f"{collection.full_name} cannot be indexed by its key {unique}: {error.details}; "
            "give another database or collection prefix, or remove the documents that share a key"
        ) from error
