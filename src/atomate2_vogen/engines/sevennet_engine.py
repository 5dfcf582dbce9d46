"""SevenNet (Park et al. 2024, DOI 10.1021/acs.jctc.4c00190) through atomate2's Makers.

Trained on the Materials Project's *raw* PBE and PBE+U energies, so its energies need the MP2020
corrections before oxides and elements meet on a hull.
"""

from __future__ import annotations

from atomate2_vogen.engines.base import FORCE_TOLERANCE, Engine


def sevennet(
    fmax: float = FORCE_TOLERANCE, steps: int = 500, phonon_min_length: float = 9.0
) -> Engine:
    """SevenNet-0 relaxation, static and phonons.

    Parameters
    ----------
    fmax, steps, phonon_min_length
        As of `Engine.from_force_field`.

    Returns
    -------
    Engine
        Scheme ``SevenNet-7net-0+MP2020``.

    Raises
    ------
    MissingDependencyError
        If sevenn is not installed.

    Examples
    --------
    >>> from atomate2_vogen.engines import sevennet
    >>> sevennet(fmax=0.02).scheme
    'SevenNet-7net-0+MP2020'
    """
    return Engine.from_force_field(
        "SevenNet", fmax=fmax, steps=steps, phonon_min_length=phonon_min_length
    )


def sevennet_l3i5(
    fmax: float = FORCE_TOLERANCE, steps: int = 500, phonon_min_length: float = 9.0
) -> Engine:
    """SevenNet-l3i5 relaxation, static and phonons: three times as slow as SevenNet-0, and better.

    Parameters
    ----------
    fmax, steps, phonon_min_length
        As of `Engine.from_force_field`.

    Returns
    -------
    Engine
        Scheme ``SevenNet-7net-l3i5+MP2020``.

    Raises
    ------
    MissingDependencyError
        If sevenn is not installed.

    Examples
    --------
    >>> from atomate2_vogen.engines import sevennet_l3i5
    >>> sevennet_l3i5().training_data
    ('MPtrj',)
    """
    return Engine.from_force_field(
        "SevenNet",
        calculator_kwargs={"model": "7net-l3i5"},
        fmax=fmax,
        steps=steps,
        phonon_min_length=phonon_min_length,
    )
