"""DIEP (Tawfik et al. 2024), trained on MatPES r2SCAN, through atomate2's Makers."""

from __future__ import annotations

from atomate2_vogen.engines.base import FORCE_TOLERANCE, Engine
from atomate2_vogen.engines.known_models import DIEP


def diep(fmax: float = FORCE_TOLERANCE, steps: int = 500, phonon_min_length: float = 9.0) -> Engine:
    """DIEP relaxation, static and phonons: r2SCAN energies without a Hubbard U.

    Parameters
    ----------
    fmax, steps, phonon_min_length
        As of `Engine.from_force_field`.

    Returns
    -------
    Engine
        Scheme ``DIEP-fold1``.

    Raises
    ------
    MissingDependencyError
        If diep is not installed.

    Examples
    --------
    >>> from atomate2_vogen.engines import diep
    >>> diep().functional
    'r2SCAN'
    """
    return Engine.from_force_field(
        DIEP, fmax=fmax, steps=steps, phonon_min_length=phonon_min_length
    )
