"""Identifiers of jobs that are derived from what the jobs do.

jobflow draws identifiers at random: a job of a flow that is made anew, or made again by a job that
runs again, has another one, and nothing of it would be found again. Here the identifier of a job is
a hash of its function and arguments, where references to other jobs of the flow count as the
hashes of those jobs. So a job is the same one also in a longer flow.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobflow import Flow, Job

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIMES = {"last_updated", "wall_time", "cpu_time"}
"""Keys of the time at which a document was made, and of those that it took, which are no content."""


def identify(flow_text: str, maker: str = "", seen: Counter[str] | None = None) -> tuple[str, str]:
    """Flow whose identifiers depend on content alone.

    Parameters
    ----------
    flow_text
        Flow or job as JSON.
    maker
        Identifier of the job that makes it, if the same flow made by another job is to be another
        flow.
    seen
        How often each job was met before, by hash; it is updated. Equal jobs are numbered.

    Returns
    -------
    text : str
        The same flow as JSON, with other identifiers. Those of jobs outside of it stay.
    digest : str
        Hash of the whole flow. Another structure or setting gives another one; the times of
        documents in it do not.
    """
    content = json.loads(flow_text)
    members = dict(_members(content))
    digests: dict[str, str] = {}

    def digest(name: str) -> str:
        if name not in digests:
            digests[name] = ""  # how a job names itself
            text = json.dumps(_hashed(members[name], inner=True), sort_keys=True)
            digests[name] = _hash(_renamed(text, digest_of))
        return digests[name]

    def digest_of(name: str) -> str:
        return digest(name) if name in members else name

    seen = Counter() if seen is None else seen
    names = {}
    for name in members:
        # flows in flows are numbered too, but nothing refers to them
        found = _hash(f"{maker}{digest(name)}")
        names[name] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{found}{seen[found]}"))
        seen[found] += 1
    whole = _hash(f"{maker}{digest(content['uuid'])}")
    return _renamed(flow_text, lambda name: names.get(name, name)), whole


def identified_flow(flow: Flow | Job, maker: str = "") -> Flow | Job:
    """Flow or job with the identifiers of `identify`."""
    from monty.json import MontyDecoder, MontyEncoder

    text, _ = identify(json.dumps(flow.as_dict(), cls=MontyEncoder), maker)
    made: Flow | Job = MontyDecoder().process_decoded(json.loads(text))
    return made


def _members(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Jobs and flows that JSON holds, with their identifiers."""
    if isinstance(content, dict):
        if content.get("@class") in {"Job", "Flow"} and "uuid" in content:
            yield content["uuid"], content
        content = list(content.values())
    if isinstance(content, list):
        for value in content:
            yield from _members(value)


def _hashed(content: Any, *, inner: bool = False) -> Any:
    """What is hashed of a job or flow; the members of a flow are replaced by their names."""
    if isinstance(content, Mapping):
        member = content.get("@class") in {"Job", "Flow"} and "uuid" in content
        if member and not inner:
            return content["uuid"]
        left_out = {"uuid", "hosts", *TIMES} if member else TIMES
        return {key: _hashed(value) for key, value in content.items() if key not in left_out}
    if isinstance(content, list):
        return [_hashed(value) for value in content]
    return content


def _renamed(text: str, name_of: Any) -> str:
    return UUID.sub(lambda found: name_of(found.group()), text)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
