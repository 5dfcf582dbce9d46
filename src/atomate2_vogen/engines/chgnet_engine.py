"""CHGNet (Deng et al. 2023, DOI 10.1038/s42256-023-00716-3) through atomate2's Makers.

The energies of its default weights are on the Materials Project's *corrected* (MP2020) scale: no
correction is added.
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


def chgnet_r2scan(
    fmax: float = FORCE_TOLERANCE, steps: int = 500, phonon_min_length: float = 9.0
) -> Engine:
    """CHGNet trained further on the Materials Project's r2SCAN energies.

    Parameters
    ----------
    fmax, steps, phonon_min_length
        As of `Engine.from_force_field`.

    Returns
    -------
    Engine
        Scheme ``CHGNet-r2scan``.

    Raises
    ------
    MissingDependencyError
        If chgnet is not installed.

    Examples
    --------
    >>> from atomate2_vogen.engines import chgnet_r2scan
    >>> chgnet_r2scan().scheme
    'CHGNet-r2scan'
    """
    return Engine.from_force_field(
        "CHGNet",
        calculator_kwargs={"model_name": "r2scan"},
        fmax=fmax,
        steps=steps,
        phonon_min_length=phonon_min_length,
    )
