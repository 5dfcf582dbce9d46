"""custodian's error handlers, fitted to crystals that nobody has relaxed before."""

from __future__ import annotations

from typing import Any

from custodian.custodian import ErrorHandler
from custodian.vasp.handlers import (
    FrozenJobErrorHandler,
    MeshSymmetryErrorHandler,
    NonConvergingErrorHandler,
    PositiveEnergyErrorHandler,
    PotimErrorHandler,
    StdErrHandler,
    UnconvergedErrorHandler,
    VaspErrorHandler,
)
from pymatgen.io.vasp import Incar


class PositiveEnergyAtEndHandler(PositiveEnergyErrorHandler):
    """A positive energy is an error only when VASP has ended.

    A generated crystal may well start above zero and relax downhill; custodian's own handler
    stops it while it runs. Nor does a static calculation get better by halving POTIM, which
    that handler tries until it may no more: here it fails at once.
    """

    is_monitor = False

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Halve POTIM of a relaxation; give up on a static calculation."""
        if Incar.from_file(f"{directory}/INCAR").get("NSW", 0) == 0:
            return {"errors": ["Positive energy"], "actions": None}
        return super().correct(directory)


def candidate_handlers() -> list[ErrorHandler]:
    """Fresh handlers for generated crystals.

    Those of atomate2, less the three that change the k-mesh or the smearing of some metals:
    energies of one scheme must come from the same settings. Symmetry: all of VASP's complaints about
    crystals that are nearly, but not quite, symmetric are mended (SYMPREC, ISYM, Gamma-centred
    meshes). POTIM: a step that raises the energy by more than 1 eV/atom halves it.
    """
    return [
        VaspErrorHandler(),
        MeshSymmetryErrorHandler(),
        UnconvergedErrorHandler(),
        NonConvergingErrorHandler(),
        PotimErrorHandler(dE_threshold=1),
        PositiveEnergyAtEndHandler(),
        FrozenJobErrorHandler(),
        StdErrHandler(),
    ]
