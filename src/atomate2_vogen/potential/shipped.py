"""Potentials that are shipped with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from atomate2_vogen.data.labels import JUDGE_SCHEME
from atomate2_vogen.errors import ArtefactError, MissingModelError

if TYPE_CHECKING:
    from atomate2_vogen.chemistry import OxideSystem
    from atomate2_vogen.potential.potential import Potential


def potential_path(system: OxideSystem, scheme: str = JUDGE_SCHEME) -> Path:
    """Path of the shipped potential of a system and energy scale, whether it exists or not."""
    name = f"potential-{system.chemsys}-{scheme}.npz"
    return Path(str(files("atomate2_vogen.potential") / "files" / name))


def require_potential(system: OxideSystem, scheme: str = JUDGE_SCHEME) -> Path:
    """Path of the existing shipped potential of a system and energy scale.

    Raises
    ------
    MissingModelError
        If none is shipped.
    """
    path = potential_path(system, scheme)
    if not path.is_file():
        name = f"{system.metal}-{system.anion}"
        raise MissingModelError(
            f"no learned potential is shipped for {system.chemsys} and {scheme}; train one "
            f"(python tools/train_potential.py --system {name} --out potential_{name}, in the "
            "source repository) and give its file (--potential, or the argument potential), or "
            "take another sampler, such as evolution"
        )
    return path


def load_potential(system: OxideSystem | None = None, scheme: str = JUDGE_SCHEME) -> Potential:
    """Load the potential that is shipped for an oxide system and energy scale.

    Parameters
    ----------
    system
        Oxide system; None is vanadium and oxygen.
    scheme
        Energy scale.

    Raises
    ------
    MissingModelError
        If none is shipped.
    ArtefactError
        If the file is damaged or holds another potential than its name says.

    Examples
    --------
    >>> from atomate2_vogen.potential import load_potential
    >>> potential = load_potential()
    >>> potential.system.chemsys, potential.scheme
    ('O-V', 'CHGNet-0.3.0')
    """
    from atomate2_vogen.chemistry import VANADIUM
    from atomate2_vogen.potential.potential import Potential

    system = system or VANADIUM
    path = require_potential(system, scheme)
    potential = Potential.load(path)
    if (potential.system.chemsys, potential.scheme) != (system.chemsys, scheme):
        raise ArtefactError(
            f"{path.name} holds a potential of {potential.system.chemsys} and "
            f"{potential.scheme}; install the package anew"
        )
    return potential
