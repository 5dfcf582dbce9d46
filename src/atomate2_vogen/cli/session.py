"""One run of a verb: its identity, its folder, its stores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from atomate2_vogen import __version__
from atomate2_vogen.cli.console import Voice
from atomate2_vogen.cli.output import OutputFolder
from atomate2_vogen.samplers.loading import SAMPLERS

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.cli.pipeline import Pipeline
    from atomate2_vogen.cli.sampling_options import SamplingOptions


def generation_identity(
    sampler: str,
    preset: str,
    counts: Mapping[str, int],
    seed: int,
    sampling: SamplingOptions | None = None,
) -> dict[str, Any]:
    """What decides which crystals are generated."""
    identity = {"version": __version__, "sampler": sampler, "counts": dict(counts), "seed": seed}
    # the baselines train nothing
    identity |= {"preset": preset} if SAMPLERS[sampler].has_networks else {}
    return identity | (sampling.identity() if sampling is not None else {})


def engine_identity(engine: str) -> dict[str, Any]:
    """What decides the energies of given crystals."""
    return {"version": __version__, "engine": engine}


def system_identity(system: OxideSystem | None) -> dict[str, Any]:
    """What of a system decides a run; nothing for the default one."""
    from atomate2_vogen.chemistry import VANADIUM

    if system is None or system == VANADIUM:
        return {}
    # as the record has it: JSON knows no tuples
    return {"system": json.loads(json.dumps(system.as_dict()))}


def recorded_system(record: Mapping[str, Any]) -> OxideSystem:
    """The system of a run by its record.

    Raises
    ------
    InputError
        If the record's system is impossible.
    """
    from atomate2_vogen.chemistry import VANADIUM, OxideSystem

    recorded = record.get("identity", {}).get("system")
    return VANADIUM if recorded is None else OxideSystem.from_fields(recorded)


@contextmanager
def open_run(
    out: Path,
    command: str,
    identity: Mapping[str, Any] | None,
    voice: Voice,
    system: OxideSystem | None = None,
) -> Iterator[Pipeline]:
    """Open an output folder and the stores in it.

    Parameters
    ----------
    out
        The folder.
    command
        The verb.
    identity
        Arguments that make two runs the same; None accepts the run that is there.
    voice
        Where to speak.
    system
        Oxide system; None takes that of the run that is there, else the default one.

    Raises
    ------
    OutputFolderError
        If the folder cannot be used for this run.
    StoreConnectionError
        If the stores in it cannot be opened.
    """
    if identity is not None:
        identity = {**identity, **system_identity(system)}
    with OutputFolder(out, command, identity) as folder:
        from atomate2_vogen.cli.pipeline import Pipeline
        from atomate2_vogen.stores import VogenStores
        from atomate2_vogen.stores.opening import RUN_STORE

        if folder.resumed and identity is not None:
            voice.say(
                f"[cyan]{escape(str(out))} holds this run already: what is finished is reused[/cyan]"
            )
        # an identity is that of a run that may begin here
        with VogenStores.open(folder / RUN_STORE, create=identity is not None) as stores:
            yield Pipeline(folder, stores, voice, system or recorded_system(folder.record))
