"""SevenNet-0 (Park et al. 2024, DOI 10.1021/acs.jctc.4c00190) through atomate2's Makers.

Trained on the Materials Project's *raw* PBE and PBE+U energies, so its energies need the MP2020
corrections before oxides and elements meet on a hull.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

from atomate2_vogen.engines.base import Engine
from atomate2_vogen.engines.chgnet import FORCE_TOLERANCE
from atomate2_vogen.errors import MissingDependencyError

MODEL = "7net-0"
"""The weights that ship with the package sevenn."""


def sevennet(
    fmax: float = FORCE_TOLERANCE, steps: int = 500, phonon_min_length: float = 9.0
) -> Engine:
    """SevenNet-0 relaxation, static and phonons.

    Parameters
    ----------
    fmax
        Force criterion in eV/Å, on atoms and on the cell.
    steps
        Most ionic steps of a relaxation.
    phonon_min_length
        Shortest edge of the phonon supercell in Å.

    Returns
    -------
    Engine
        Scheme ``SevenNet-7net-0+MP2020``; relax references with `ReferencesFlowMaker`.

    Raises
    ------
    MissingDependencyError
        If sevenn is not installed.
    """
    if find_spec("sevenn") is None:
        raise MissingDependencyError(
            "the engine sevennet needs the package sevenn (GPL-3): pip install "
            "'atomate2-vogen[sevennet]', or choose another engine"
        )
    from atomate2_vogen.engines.corrections import MP2020Corrections
    from atomate2_vogen.engines.forcefields import force_field_makers

    return Engine(
        name="sevennet",
        scheme=f"SevenNet-{MODEL}+MP2020",
        **force_field_makers(
            "SevenNet",
            {"model": MODEL},
            fmax=fmax,
            steps=steps,
            phonon_min_length=phonon_min_length,
        ),
        engine_versions={
            "sevennet": version("sevenn"),
            "sevennet-model": MODEL,
            "atomate2": version("atomate2"),
        },
        energy_corrections=MP2020Corrections(),
    )
