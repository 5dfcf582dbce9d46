"""CHGNet (Deng et al. 2023, DOI 10.1038/s42256-023-00716-3) through atomate2's Makers.

Its energies are on the Materials Project's *corrected* (MP2020) scale: no correction is added.
"""

from __future__ import annotations

from atomate2_vogen.engines.base import FORCE_TOLERANCE, Engine


def chgnet(
    fmax: float = FORCE_TOLERANCE,
    steps: int = 500,
    phonon_min_length: float = 9.0,
    phonon_displacement: float | None = None,
) -> Engine:
    """The default engine: CHGNet relaxation, static and phonons.

    Parameters
    ----------
    fmax, steps, phonon_min_length
        As of `Engine.from_force_field`.
    phonon_displacement
        Displacement of an atom for force constants in Å; by default 0.05.

    Returns
    -------
    Engine
        Its scheme is derived from the installed weights, e.g. ``CHGNet-0.3.0``.

    Raises
    ------
    MissingDependencyError
        If chgnet is not installed.

    Examples
    --------
    >>> from atomate2_vogen.engines import chgnet
    >>> chgnet(fmax=0.02).scheme
    'CHGNet-0.3.0'
    """
    return Engine.from_force_field(
        "CHGNet",
        fmax=fmax,
        steps=steps,
        phonon_min_length=phonon_min_length,
        phonon_displacement=phonon_displacement,
    )
