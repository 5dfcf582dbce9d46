"""CHGNet (Deng et al. 2023, DOI 10.1038/s42256-023-00716-3) through atomate2's Makers.

Its energies are on the Materials Project's *corrected* (MP2020) scale: no correction is added.
"""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec

from atomate2_vogen.engines.base import Engine
from atomate2_vogen.errors import MissingDependencyError

FORCE_TOLERANCE = 0.05
"""Largest force of a relaxed crystal in eV/Å: the paper's criterion (section 2.2)."""


PHONON_DISPLACEMENT = 0.05
"""Å. CHGNet's energy has kinks at straight bond angles: for rock-salt VO the force constants from
displacements of 0.01 Å contradict one another (a rigid shift has 2 THz) and call it unstable."""

PHONON_WEAKNESS = (
    "CHGNet underestimates the curvature of the energy and with it all frequencies, imaginary "
    "ones too (systematic softening, DOI 10.1038/s41524-024-01500-6): a soft verdict may hide "
    "an unstable crystal"
)


@cache
def model_version() -> str:
    """Version of the CHGNet weights that the calculator loads, e.g. ``0.3.0``.

    Raises
    ------
    MissingDependencyError
        If chgnet is not installed.
    """
    if find_spec("chgnet") is None:
        raise MissingDependencyError(
            "the engine chgnet needs the package chgnet (Python < 3.13); install it, or pass "
            "another Engine"
        )
    from chgnet.model.model import CHGNet

    return str(inspect.signature(CHGNet.load).parameters["model_name"].default)


def chgnet(
    fmax: float = FORCE_TOLERANCE,
    steps: int = 500,
    phonon_min_length: float = 9.0,
    phonon_displacement: float = PHONON_DISPLACEMENT,
) -> Engine:
    """The default engine: CHGNet relaxation, static and phonons.

    Parameters
    ----------
    fmax
        Force criterion in eV/Å, on atoms and on the cell (ASE's Fréchet cell filter).
    steps
        Most ionic steps of a relaxation. A crystal that is not converged by then is recorded
        as unconverged.
    phonon_min_length
        Shortest edge of the phonon supercell in Å.
    phonon_displacement
        By which an atom is moved for the force constants, in Å.

    Returns
    -------
    Engine
        Its scheme is derived from the installed weights, e.g. ``CHGNet-0.3.0``.

    Raises
    ------
    MissingDependencyError
        If chgnet is not installed.
    """
    scheme = f"CHGNet-{model_version()}"
    from atomate2_vogen.engines.forcefields import force_field_makers

    return Engine(
        name="chgnet",
        scheme=scheme,
        # an isolated atom has no energy in CHGNet, only a number: let it raise instead
        **force_field_makers(
            "CHGNet",
            {"on_isolated_atoms": "error"},
            fmax=fmax,
            steps=steps,
            phonon_min_length=phonon_min_length,
            phonon_displacement=phonon_displacement,
        ),
        engine_versions={
            "chgnet": version("chgnet"),
            "chgnet-model": model_version(),
            "atomate2": version("atomate2"),
        },
        known_weakness=PHONON_WEAKNESS,
    )
