"""Which calculations of a store are judged: those of the crystals that a run was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from monty.json import jsanitize

from atomate2_vogen.builders.records import by_id, write
from atomate2_vogen.schemas import CandidateDoc

if TYPE_CHECKING:
    from maggma.core import Store


def set_inputs(calculations: Store, scheme: str, candidates: Sequence[CandidateDoc]) -> int:
    """Withdraw every calculation of a scheme except those of these candidates.

    A withdrawn calculation stays, so that it need not be done again; the builder passes it over
    and removes its stability document. Details of a candidate, such as the file that it was read
    from, become those given.

    Parameters
    ----------
    calculations
        Store of `CalculationDoc`.
    scheme
        Energy scale; calculations of others are not changed.
    candidates
        Inputs of the run.

    Returns
    -------
    int
        Number of documents that were changed.
    """
    details = {one.candidate_id: jsanitize(one.details, strict=True) for one in candidates}

    def is_current(content: Mapping[str, Any]) -> bool:
        identifier = content.get("candidate_id")
        if identifier not in details:
            return content.get("withdrawn") is True
        candidate = content.get("candidate") or {}
        return not content.get("withdrawn") and candidate.get("details") == details[identifier]

    wanted = [calculations.key, "candidate_id", "withdrawn", "candidate.details"]
    outdated = [
        content[calculations.key]
        for content in calculations.query({"scheme": scheme}, properties=wanted)
        if not is_current(content)
    ]
    now = datetime.now(UTC)

    def updated() -> Iterator[dict[str, Any]]:
        for content in by_id(calculations, outdated):
            identifier = content["candidate_id"]
            changes = {"withdrawn": identifier not in details, "last_updated": now}
            if identifier in details:
                changes["candidate"] = content["candidate"] | {"details": details[identifier]}
            yield content | changes

    return write(calculations, updated())
