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

PHONON_FORCE_TOLERANCE = 0.01
"""Largest force in eV/Å before displacements are made."""


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
    fmax: float = FORCE_TOLERANCE, steps: int = 500, phonon_min_length: float = 9.0
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
    from atomate2.forcefields.flows.phonons import PhononMaker

    from atomate2_vogen.engines.forcefields import SharedRelaxMaker, SharedStaticMaker

    # an isolated atom has no energy in CHGNet, only a number: let it raise instead
    calculator = {"on_isolated_atoms": "error"}
    quiet = {"final_atoms_object_file": None, "use_emmet_models": False}

    def relax(name: str, fmax: float) -> SharedRelaxMaker:
        return SharedRelaxMaker(
            name=name,
            force_field_name="CHGNet",
            steps=steps,
            relax_kwargs={"fmax": fmax, **quiet},
            # on ten substituted cells 26 s of CPU against 60 s with FIRE; minima within 12 meV/atom
            optimizer_kwargs={"optimizer": "BFGS"},
            calculator_kwargs=dict(calculator),
            ionic_step_data=("energy",),
        )

    def static(name: str) -> SharedStaticMaker:
        return SharedStaticMaker(
            name=name,
            force_field_name="CHGNet",
            relax_kwargs=dict(quiet),
            calculator_kwargs=dict(calculator),
            ionic_step_data=("energy",),
        )

    return Engine(
        name="chgnet",
        scheme=scheme,
        relax_maker=relax("CHGNet relax", fmax),
        static_maker=static("CHGNet static"),
        phonon_maker=PhononMaker(
            name="CHGNet phonon",
            min_length=phonon_min_length,
            bulk_relax_maker=relax("CHGNet tight relax", PHONON_FORCE_TOLERANCE),
            static_energy_maker=static("CHGNet static"),
            phonon_displacement_maker=static("CHGNet displacement"),
            born_maker=None,
            # THz; the default of 1e-5 takes the noise of the acoustic branches for instability
            generate_frequencies_eigenvectors_kwargs={"tol_imaginary_modes": 0.05},
        ),
        engine_versions={
            "chgnet": version("chgnet"),
            "chgnet-model": model_version(),
            "atomate2": version("atomate2"),
        },
        known_weakness=PHONON_WEAKNESS,
    )
