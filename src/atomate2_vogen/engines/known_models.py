"""What is known about force fields: packages, and of some weights the energy scale.

Of every force field that atomate2 has a name for, the package that it needs. Of the weights that
engines here use, what they were trained on, and whether their energies need a correction before
oxides and elements meet on a hull. Nothing here imports atomate2 or torch.
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
from atomate2_vogen.engines.methods import energy_arguments
from atomate2_vogen.errors import MissingDependencyError

DIEP = "diep.pretrained.make_calculator"
"""Import path of DIEP's calculator, for which atomate2 has no name."""

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
    DIEP: ("diep", "diep"),
}
"""Module and distribution of each force field.

By the name of its member in atomate2's ``MLFF``, or by the import path of its calculator.
"""

ADVICE = {
    "chgnet": "it has wheels for Python < 3.13",
    "diep": "pip install 'atomate2-vogen[diep]'",
    "sevenn": "pip install 'atomate2-vogen[sevennet]'",
}
"""What to do about a missing distribution; ``pip install`` with its name where nothing is said."""


@dataclass(frozen=True)
class KnownModel:
    """Weights of a force field, and their energy scale.

    Parameters
    ----------
    weights
        Gives the name of the weights, which is part of the scheme.
    arguments
        Arguments of the calculator that load them.
    name
        Name of the engine.
    label
        Name of the force field in schemes, where it is not atomate2's.
    functional
        Functional of the calculations that it was trained on last.
    training_data
        Names of the data sets that it was trained on.
    energy_corrections
        What its energies need before they reach a hull.
    phonon_displacement
        Displacement of an atom for force constants in Å.
    weakness
        What its phonons are known to get wrong.
    keeps_mirrors
        Whether a crystal and its mirror image have the same energy. Networks that are equivariant
        under rotations alone do not: forces in a symmetric crystal lack its mirrors and inversion,
        and force constants that are derived with these are wrong.
    """

    weights: Callable[[], str]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    label: str = ""
    functional: str = ""
    training_data: tuple[str, ...] = ()
    energy_corrections: EnergyCorrections | None = None
    phonon_displacement: float = 0.01
    weakness: str = ""
    keeps_mirrors: bool = True


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


PBE_U, R2SCAN = "PBE(+U)", "r2SCAN"
"""Functionals that force fields were trained on: PBE with U for the Materials Project's oxides of
some metals, vanadium among them, and r2SCAN."""

# CHGNet's energy has kinks at straight bond angles: for rock-salt VO the force constants from
# displacements of 0.01 Å contradict one another (a rigid shift has 2 THz)
CHGNET_DISPLACEMENT = 0.05
# an isolated atom has no energy in CHGNet, only a number: let it raise instead
CHGNET_ARGUMENTS = {"on_isolated_atoms": "error"}


def _sevennet(weights: str, name: str) -> KnownModel:
    # trained on the Materials Project's uncorrected energies, a mixture of PBE and PBE+U
    return KnownModel(
        weights=lambda: weights,
        arguments={"model": weights},
        name=name,
        functional=PBE_U,
        training_data=("MPtrj",),
        energy_corrections=MP2020Corrections(),
        # its checkpoints say is_parity: False; E of V2O4 and of its mirror image differ by 0.3 and
        # 0.4 meV/atom
        keeps_mirrors=False,
    )


KNOWN_MODELS: dict[str, tuple[KnownModel, ...]] = {
    "CHGNet": (
        # its energies are on the Materials Project's corrected (MP2020) scale: nothing is added
        KnownModel(
            weights=chgnet_version,
            arguments=CHGNET_ARGUMENTS,
            name="chgnet",
            functional=PBE_U,
            training_data=("MPtrj",),
            phonon_displacement=CHGNET_DISPLACEMENT,
            weakness=(
                "CHGNet underestimates the curvature of the energy and with it all frequencies, "
                "imaginary ones too (systematic softening, DOI 10.1038/s41524-024-01500-6): a soft "
                "verdict may hide an unstable crystal"
            ),
        ),
        KnownModel(
            weights=lambda: "r2scan",
            arguments={**CHGNET_ARGUMENTS, "model_name": "r2scan"},
            name="chgnet-r2scan",
            functional=R2SCAN,
            # the weights of CHGNet 0.3.0, trained further (Huang et al. 2025, "Cross-functional
            # transferability in foundation machine learning interatomic potentials")
            training_data=("MPtrj", "MP-r2SCAN"),
            phonon_displacement=CHGNET_DISPLACEMENT,
        ),
    ),
    "SevenNet": (_sevennet("7net-0", "sevennet"), _sevennet("7net-l3i5", "sevennet-l3i5")),
    DIEP: (
        KnownModel(
            weights=lambda: "fold1",
            name="diep",
            label="DIEP",
            functional=R2SCAN,
            training_data=("MatPES-r2SCAN",),
        ),
    ),
}
"""Known weights by the name of the member in atomate2's ``MLFF``, or by the import path of the
calculator; the first are those that are loaded where no arguments are given."""


def find_model(code: str, arguments: Mapping[str, Any]) -> KnownModel | None:
    """The known weights that a calculator loads with some arguments; None for any other.

    Parameters
    ----------
    code
        Name of a member of ``MLFF``, or import path of a calculator.
    arguments
        Arguments that are given to the calculator.
    """
    known = KNOWN_MODELS.get(code, ())
    loaded = energy_arguments({**known[0].arguments, **arguments}) if known else {}
    return next((one for one in known if energy_arguments(one.arguments) == loaded), None)


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
