"""Flows whose identifiers depend on what they are asked to do.

jobflow draws identifiers at random: a flow that is made anew, or made again by a job that runs
again, has others, and nothing of it would be found again. Here they are derived from content.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobflow import Flow, Job

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = "last_updated"


def settled(flow_text: str, maker: str = "") -> tuple[str, str]:
    """The same flow with identifiers that depend on its content alone.

    Parameters
    ----------
    flow_text
        Flow or job as JSON.
    maker
        Identifier of the job that makes it, if one does: two jobs that make the same flow make
        two flows.

    Returns
    -------
    text : str
        The same, its jobs and flows with other uuids. Those of jobs outside of it stay.
    digest : str
        Of the content: another structure or setting gives another one; the time at which
        documents in it were made does not.
    """
    own = set(_own(json.loads(flow_text)))
    found = [name for name in UUID.findall(flow_text) if name in own]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(found))}
    content = _renamed(flow_text, {name: f"#{number}" for name, number in numbers.items()})
    timeless = json.dumps(_timeless(json.loads(content)), sort_keys=True)
    digest = hashlib.sha256(f"{maker}{timeless}".encode()).hexdigest()
    names = {
        name: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{digest}{number}"))
        for name, number in numbers.items()
    }
    return _renamed(flow_text, names), digest


def settled_flow(flow: Flow | Job, maker: str = "") -> Flow | Job:
    """As `settled`."""
    from monty.json import MontyDecoder, MontyEncoder

    text, _ = settled(json.dumps(flow.as_dict(), cls=MontyEncoder), maker)
    made: Flow | Job = MontyDecoder().process_decoded(json.loads(text))
    return made


def _own(content: Any) -> Iterator[str]:
    """Identifiers of the jobs and flows that JSON holds."""
    if isinstance(content, Mapping):
        if content.get("@class") in {"Job", "Flow"} and "uuid" in content:
            yield content["uuid"]
        content = list(content.values())
    if isinstance(content, list):
        for value in content:
            yield from _own(value)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return UUID.sub(lambda found: names.get(found.group(), found.group()), text)


def _timeless(content: Any) -> Any:
    """The same without the times at which documents changed."""
    if isinstance(content, Mapping):
        return {key: _timeless(value) for key, value in content.items() if key != _TIME}
    if isinstance(content, list):
        return [_timeless(value) for value in content]
    return content
