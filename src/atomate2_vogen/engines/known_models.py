"""What is known about the force fields that atomate2 has a name for.

Of all of them, the packages that they need; of some, also the energy scale: which weights
atomate2 loads, and whether their energies need a correction before oxides and elements meet on
a hull. Nothing here imports atomate2 or torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from atomate2_vogen.engines.corrections import MP2020Corrections
from atomate2_vogen.engines.energy_corrections import EnergyCorrections
from atomate2_vogen.errors import MissingDependencyError

PACKAGES: dict[str, tuple[str, str]] = {
    "Allegro": ("nequip", "nequip"),
    "CHGNet": ("chgnet", "chgnet"),
    "DeepMD": ("deepmd", "deepmd-kit"),
    "FAIRChem": ("fairchem", "fairchem-core"),
    "GAP": ("quippy", "quippy-ase"),
    "M3GNet": ("matgl", "matgl"),
    "MACE": ("mace", "mace-torch"),
    "MACE_MPA_0": ("mace", "mace-torch"),
    "MACE_MP_0": ("mace", "mace-torch"),
    "MACE_MP_0B3": ("mace", "mace-torch"),
    "MATPES_PBE": ("matgl", "matgl"),
    "MATPES_R2SCAN": ("matgl", "matgl"),
    "MatterSim": ("mattersim", "mattersim"),
    "NEP": ("calorine", "calorine"),
    "Nequip": ("nequip", "nequip"),
    "SevenNet": ("sevenn", "sevenn"),
    "UPET": ("upet", "upet"),
}
"""Module and distribution of each force field, by the name of its member in atomate2's ``MLFF``."""

ADVICE = {
    "chgnet": "it has wheels for Python < 3.13",
    "sevenn": "pip install 'atomate2-vogen[sevennet]'; its license is GPL-3",
}
"""What to do about a missing distribution; ``pip install`` with its name where nothing is said."""


@dataclass(frozen=True)
class KnownModel:
    """Energy scale of a force field with the weights that atomate2 loads by default.

    Parameters
    ----------
    weights
        Gives the name of the weights, which is part of the scheme.
    arguments
        Arguments of the calculator with which that is so.
    energy_corrections
        What its energies need before they reach a hull.
    phonon_displacement
        Displacement of an atom for force constants in Å.
    weakness
        What its phonons are known to get wrong.
    """

    weights: Callable[[], str]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    energy_corrections: EnergyCorrections | None = None
    phonon_displacement: float = 0.01
    weakness: str = ""


@cache
def chgnet_version() -> str:
    """Version of the CHGNet weights that the calculator loads, e.g. ``0.3.0``.

    Raises
    ------
    MissingDependencyError
        If chgnet is not installed.
    """
    require_package("CHGNet")
    from chgnet.model.model import CHGNet

    return str(inspect.signature(CHGNet.load).parameters["model_name"].default)


SEVENNET_WEIGHTS = "7net-0"
"""The weights that ship with the package sevenn."""

KNOWN_MODELS: dict[str, KnownModel] = {
    # its energies are on the Materials Project's corrected (MP2020) scale: nothing is added
    "CHGNet": KnownModel(
        weights=chgnet_version,
        # an isolated atom has no energy in CHGNet, only a number: let it raise instead
        arguments={"on_isolated_atoms": "error"},
        # CHGNet's energy has kinks at straight bond angles: for rock-salt VO the force constants
        # from displacements of 0.01 Å contradict one another (a rigid shift has 2 THz)
        phonon_displacement=0.05,
        weakness=(
            "CHGNet underestimates the curvature of the energy and with it all frequencies, "
            "imaginary ones too (systematic softening, DOI 10.1038/s41524-024-01500-6): a soft "
            "verdict may hide an unstable crystal"
        ),
    ),
    # trained on the Materials Project's uncorrected energies, a mixture of PBE and PBE+U
    "SevenNet": KnownModel(
        weights=lambda: SEVENNET_WEIGHTS,
        arguments={"model": SEVENNET_WEIGHTS},
        energy_corrections=MP2020Corrections(),
    ),
}
"""By the name of the member in atomate2's ``MLFF``."""


def require_package(force_field: str) -> str | None:
    """Version of the package of a force field; None for one that `PACKAGES` lacks.

    Raises
    ------
    MissingDependencyError
        If the package is not installed.
    """
    if force_field not in PACKAGES:
        return None
    module, distribution = PACKAGES[force_field]
    if find_spec(module) is None:
        advice = ADVICE.get(distribution, f"pip install {distribution}")
        raise MissingDependencyError(
            f"the force field {force_field} needs the package {distribution} ({advice}); install "
            "it, or choose another engine"
        )
    return version(distribution)
