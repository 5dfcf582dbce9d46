"""GPAW as an engine: spin-polarised PBE+U with bands and density of states, free software.

One scheme for everything: +U acts in relaxations, energies and bands alike, in elements as in
oxides. A hull therefore needs references of the same scheme; those of another one never fit.

A self-consistent cycle ends in a solution, not always in the lowest: with the unnormalised form of
+U rutile-type dioxide ends in a half metal from 1 μB on each metal atom, and in an insulator that
is 22 meV/atom lower from the 5 μB of the system's initial moments. So every cycle starts from these
magnitudes, with the signs of the moments that the structure carries; an `ElectronicFlowMaker` tries
several patterns, and all moments are recorded in its document.

GPAW is GPL-3 and runs as a separate program (`atomate2_vogen.engines.gpaw_process`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.engines.base import CATEGORY, DFT, Engine
from atomate2_vogen.engines.gpaw_process import find_gpaw
from atomate2_vogen.engines.gpaw_settings import GpawSettings
from atomate2_vogen.engines.known_models import PBE_U

FORCE_TOLERANCE = 0.05
"""Largest force of a relaxed crystal in eV/Å: the paper's criterion (section 2.2)."""


def gpaw(
    system: OxideSystem = VANADIUM,
    *,
    normalised_u: bool | None = None,
    k_path: str | None = None,
    settings: GpawSettings | None = None,
    command: str = "",
    fmax: float = FORCE_TOLERANCE,
    steps: int = 100,
    check: bool = True,
) -> Engine:
    """Real PBE+U with bands; no phonons.

    Parameters
    ----------
    system
        Oxide system: +U, initial moments, minimum distances.
    normalised_u, k_path
        As in `GpawSettings`, for a choice without writing settings; they go before `settings`.
    settings
        Numerical choices.
    command
        Words that start GPAW's Python, e.g. ``mpiexec -n 2 gpaw python``. Empty: the
        environment variable ``GPAW_COMMAND``, else ``gpaw python``.
    fmax
        Force criterion in eV/Å.
    steps
        Most ionic steps of a relaxation.
    check
        Start GPAW once and ask its version. Switch it off where jobs are only sent off; then
        the engine states no versions.

    Returns
    -------
    Engine
        Its scheme names functional, U and its normalisation, cutoff, meshes and smearing.

    Raises
    ------
    MissingDependencyError
        If `check` is set and GPAW cannot be started; the message has the install lines.
    InputError
        If a setting makes no sense.

    Examples
    --------
    >>> from atomate2_vogen.engines import gpaw
    >>> gpaw(check=False).scheme
    'GPAW-PBE+U(V=3.25,normalised)-PW500-k0.5-kmetal0.33-FD0.05'
    """
    settings = settings or GpawSettings()
    if normalised_u is not None:
        settings = replace(settings, normalised_u=normalised_u)
    if k_path is not None:
        settings = replace(settings, k_path=k_path)
    versions = find_gpaw(command) if check else {}

    from atomate2_vogen.engines.gpaw_makers import (
        GpawBandStructureMaker,
        GpawNonSCFMaker,
        GpawRelaxMaker,
        GpawStaticMaker,
    )

    common: dict[str, Any] = {"settings": settings, "system": system, "command": command}
    return Engine(
        name="gpaw",
        scheme=settings.scheme(system),
        relax_maker=GpawRelaxMaker(**common, fmax=fmax, steps=steps),
        static_maker=GpawStaticMaker(**common, keep_density=False),
        band_structure_maker=GpawBandStructureMaker(
            static_maker=GpawStaticMaker(**common), bs_maker=GpawNonSCFMaker(**common)
        ),
        engine_versions=versions,
        manager_config={CATEGORY: DFT},
        functional=PBE_U if settings.setups(system) else settings.xc,
    )
