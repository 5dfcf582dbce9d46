"""SevenNet-0 (Park et al. 2024, DOI 10.1021/acs.jctc.4c00190) through atomate2's Makers.

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
        Scheme ``SevenNet-7net-0+MP2020``; relax references with `ReferencesFlowMaker`.

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
