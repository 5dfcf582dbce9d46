"""Put a LaunchPad in order after workers or the database died.

A worker that is killed may leave a Firework that runs for ever, one that is reserved for nobody, a
workflow that stays locked, a result that was never acted upon, or Fireworks that belong to no
workflow. FireWorks finds the first of these; all are found here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from atomate2_vogen.flows.launchpads import reaching

if TYPE_CHECKING:
    from fireworks import LaunchPad

LOST_AFTER = 4 * 3600.0
"""Seconds; FireWorks' own limit, four times the interval at which workers report."""

LOCKED_AFTER = 30.0
"""Seconds; a worker holds a lock for less than one, for thousands of jobs for a few."""

ATTEMPTS = 3
LOOKS = 5
EVER = 10 * 365 * 86400.0
FINISHED = ("COMPLETED", "ARCHIVED", "DEFUSED")


@dataclass(frozen=True)
class Recovery:
    """Fireworks by what was wrong with them, and so what was done.

    Parameters
    ----------
    unlocked
        First Firework of each workflow whose lock nobody held any more.
    orphans
        Belonged to no workflow, left by an interrupted addition; deleted.
    resumed
        Had ended, but what follows had not been started; it is now.
    reserved
        Reserved by a worker that never began; ready again.
    lost
        Their worker is gone; ready again.
    given_up
        The same, but after so many attempts that they are taken to kill their workers:
        fizzled, so that what can go on without them does.
    rerun
        Had failed; ready again, with all that came after them.
    fizzled
        Have failed and were left so.

    Examples
    --------
    >>> from atomate2_vogen.flows import Recovery
    >>> Recovery().resumed
    ()
    """

    unlocked: tuple[int, ...] = ()
    orphans: tuple[int, ...] = ()
    resumed: tuple[int, ...] = ()
    reserved: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()
    given_up: tuple[int, ...] = ()
    rerun: tuple[int, ...] = ()
    fizzled: tuple[int, ...] = ()


def recover(
    launchpad: LaunchPad,
    *,
    lost_after: float = LOST_AFTER,
    locked_after: float = LOCKED_AFTER,
    rerun_fizzled: bool = False,
    attempts: int = ATTEMPTS,
    dry_run: bool = False,
) -> Recovery:
    """Find what dead workers left behind, and put it right; it may be done while others work.

    A Firework runs its whole job again, which writes the same keys as before.

    Parameters
    ----------
    launchpad
        Open; see `open_launchpad`.
    lost_after
        Seconds without a sign of life after which a worker is taken for dead. Workers give one
        every hour (``PING_TIME_SECS`` of FireWorks' configuration), by their own clocks. 0 if all
        of them are known to be dead.
    locked_after
        Seconds for which a workflow must stay locked and unchanged.
    rerun_fizzled
        Whether to run failed Fireworks again that have had fewer than `attempts`.
    attempts
        Most times that a Firework is run.
    dry_run
        Whether to change nothing; what depends on other repairs is not foreseen then.

    Raises
    ------
    LaunchPadConnectionError
        If the database does not answer or refuses.
    """
    with reaching(launchpad):
        # none is alive: not one either whose clock is ahead of ours
        lost_after = lost_after or -EVER
        before = datetime.now(UTC) - timedelta(seconds=lost_after)
        unlocked = _unlock(launchpad, locked_after, dry_run=dry_run)
        orphans = _orphans(launchpad, before, dry_run=dry_run)
        resumed = _resume(launchpad, dry_run=dry_run)
        reserved = _reserved(launchpad, before, dry_run=dry_run)
        lost, given_up = _lost(launchpad, lost_after, attempts, dry_run=dry_run)
        rerun, fizzled = _fizzled(
            launchpad, attempts if rerun_fizzled else 0, set(given_up), dry_run=dry_run
        )
    return Recovery(unlocked, orphans, resumed, reserved, lost, given_up, rerun, fizzled)


def _unlock(launchpad: LaunchPad, seconds: float, *, dry_run: bool) -> tuple[int, ...]:
    """Take away locks of workflows that stay locked and the same all the time."""
    seen: dict[Any, Any] | None = None
    for look in range(LOOKS + 1):
        held = {
            found["_id"]: found
            for found in launchpad.workflows.find(
                {"locked": {"$exists": True}}, {"updated_on": 1, "fw_states": 1, "nodes": 1}
            )
        }
        seen = held if seen is None else {k: v for k, v in seen.items() if held.get(k) == v}
        if not seen:
            return ()
        if look < LOOKS:
            time.sleep(seconds / LOOKS)
    stale = seen or {}
    if not dry_run:
        for name, content in stale.items():
            launchpad.workflows.update_one(
                {"_id": name, "updated_on": content["updated_on"]}, {"$unset": {"locked": True}}
            )
    return tuple(sorted(min(content["nodes"]) for content in stale.values()))


def _orphans(launchpad: LaunchPad, before: datetime, *, dry_run: bool) -> tuple[int, ...]:
    """Delete Fireworks that belong to no workflow, but not those that are being added."""
    owned: set[int] = set()
    for workflow in launchpad.workflows.find({}, {"nodes": 1}):
        owned.update(workflow["nodes"])
    found = [
        firework["fw_id"]
        for firework in launchpad.fireworks.find({}, {"fw_id": 1, "created_on": 1})
        if firework["fw_id"] not in owned and _moment(firework.get("created_on")) < before
    ]
    # what was added in between has a workflow by now
    found = [n for n in found if launchpad.workflows.find_one({"nodes": n}, {"_id": 1}) is None]
    if found and not dry_run:
        launchpad.launches.delete_many({"fw_id": {"$in": found}})
        launchpad.fireworks.delete_many({"fw_id": {"$in": found}})
    return tuple(sorted(found))


def _resume(launchpad: LaunchPad, *, dry_run: bool) -> tuple[int, ...]:
    """Act upon launches that have ended where nobody has."""
    wanted = [
        number
        for workflow in launchpad.workflows.find({}, {"fw_states": 1, "state": 1})
        if workflow["state"] not in FINISHED
        for number in _disagreeing(launchpad, workflow["fw_states"])
    ]
    _, _, found = launchpad.detect_lostruns()
    ended = [number for number in found if _has_ended(launchpad, number)]
    if dry_run:
        return tuple(sorted({*wanted, *ended}))
    for number in wanted:
        _take_back(launchpad, number)
    for number in sorted({*wanted, *ended}):
        launchpad._refresh_wf(number)  # noqa: SLF001 - what lpad admin refresh calls
    return tuple(sorted({*wanted, *ended}))


def _has_ended(launchpad: LaunchPad, number: int) -> bool:
    """Whether no launch of a Firework is at work; those of earlier attempts do not count."""
    firework = launchpad.fireworks.find_one({"fw_id": number}, {"launches": 1})
    running = {
        "launch_id": {"$in": firework["launches"]},
        "state": {"$in": ["RESERVED", "RUNNING"]},
    }
    return launchpad.launches.count_documents(running) == 0


def _disagreeing(launchpad: LaunchPad, states: Mapping[str, str]) -> list[int]:
    """Fireworks whose own state is not the one that their workflow has."""
    numbers = [int(number) for number in states]
    found = launchpad.fireworks.find({"fw_id": {"$in": numbers}}, {"fw_id": 1, "state": 1})
    # a Firework is marked reserved without a word to the workflow, so that is no disagreement
    return [
        held["fw_id"]
        for held in found
        if held["state"] != states[str(held["fw_id"])]
        and held["state"] in {"COMPLETED", "FIZZLED", "WAITING", "READY"}
    ]


def _take_back(launchpad: LaunchPad, number: int) -> None:
    """Let a Firework run again in name, so that its end is noticed; nobody may be at it."""
    from fireworks.core.launchpad import WFLock

    with WFLock(launchpad, number):
        workflow = launchpad.workflows.find_one({"nodes": number}, {"fw_states": 1})
        if _disagreeing(launchpad, {str(number): workflow["fw_states"][str(number)]}):
            launchpad.fireworks.update_one(
                {"fw_id": number, "state": "COMPLETED"}, {"$set": {"state": "RUNNING"}}
            )


def _reserved(launchpad: LaunchPad, before: datetime, *, dry_run: bool) -> tuple[int, ...]:
    """Make Fireworks ready that were reserved without a launch, or whose launch is lost."""
    found = []
    fields = {"fw_id": 1, "updated_on": 1, "launches": 1}
    for firework in launchpad.fireworks.find({"state": "RESERVED"}, fields):
        waiting = launchpad.launches.count_documents(
            {"launch_id": {"$in": firework["launches"]}, "state": "RESERVED"}
        )
        if not waiting and _moment(firework.get("updated_on")) < before:
            found.append(firework["fw_id"])
    if not dry_run:
        for number in found:
            launchpad.rerun_fw(number)
    return tuple(sorted(found))


def _lost(
    launchpad: LaunchPad, seconds: float, attempts: int, *, dry_run: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Run lost Fireworks again, or give them up."""
    _, lost, _ = launchpad.detect_lostruns(seconds)
    tried = _attempts(launchpad, lost)
    given_up = [number for number in lost if tried[number] >= attempts]
    again = [number for number in lost if tried[number] < attempts]
    if not dry_run:
        launchpad.detect_lostruns(seconds, fizzle=True, query={"fw_id": {"$in": given_up}})
        # of all others: a launch that its Firework does not know is marked too
        launchpad.detect_lostruns(seconds, rerun=True)
    return tuple(sorted(again)), tuple(sorted(given_up))


def _fizzled(
    launchpad: LaunchPad, attempts: int, spared: set[int], *, dry_run: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Run failed Fireworks again that have had fewer attempts."""
    failed = [
        held["fw_id"] for held in launchpad.fireworks.find({"state": "FIZZLED"}, {"fw_id": 1})
    ]
    tried = _attempts(launchpad, failed)
    again = [number for number in failed if tried[number] < attempts and number not in spared]
    if not dry_run:
        for number in again:
            launchpad.rerun_fw(number)
    return tuple(sorted(again)), tuple(sorted({*failed} - {*again}))


def _attempts(launchpad: LaunchPad, numbers: Iterable[int]) -> dict[int, int]:
    """How often Fireworks were launched."""
    fields = {"fw_id": 1, "launches": 1, "archived_launches": 1}
    found = launchpad.fireworks.find({"fw_id": {"$in": list(numbers)}}, fields)
    return {
        held["fw_id"]: len({*held.get("launches", []), *held.get("archived_launches", [])})
        for held in found
    }


def _moment(value: Any) -> datetime:
    """A time of FireWorks, which keeps them as text or as MongoDB does; long ago where unknown."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        return datetime.fromtimestamp(0, UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
