"""The data set that networks are trained on: substituted crystals, splits and labels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from atomate2_vogen.chemistry import VANADIUM, OxideSystem
from atomate2_vogen.data.crystals import CrystalSet, substitute
from atomate2_vogen.data.labels import (
    JUDGE_SCHEME,
    EnergyFunction,
    Labelling,
    Progress,
    chgnet_energies,
    label_crystals,
    shipped_labels,
)


@lru_cache(maxsize=2)
def _shipped(system: OxideSystem) -> CrystalSet:
    crystals = substitute(system)
    energies = shipped_labels(system).of(crystals.keys().tolist())
    return dataclasses.replace(crystals, energies=energies)


def load_dataset(system: OxideSystem = VANADIUM) -> CrystalSet:
    """Substituted crystals of a system with their splits and the shipped CHGNet labels.

    Nothing is computed: where no label is shipped, or the energy model failed, the energy is
    not-a-number. `build_dataset` computes what is missing. The caller may change the arrays.

    Raises
    ------
    ArtefactError
        If a shipped file is damaged.

    Examples
    --------
    >>> from atomate2_vogen.data import load_dataset
    >>> crystals = load_dataset()
    >>> crystals.system.chemsys, len(crystals) > 10000
    ('O-V', True)
    """
    crystals = _shipped(system)
    return crystals.select(np.arange(len(crystals)))


def build_dataset(
    system: OxideSystem = VANADIUM,
    max_edge: float = 10.0,
    *,
    judge: Callable[[], EnergyFunction] = chgnet_energies,
    scheme: str = JUDGE_SCHEME,
    use_shipped_labels: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> tuple[CrystalSet, Labelling]:
    """Substitute, split and label.

    Parameters
    ----------
    system, max_edge
        As in `substitute`.
    judge, scheme, checkpoint, progress
        As in `label_crystals`.
    use_shipped_labels
        Whether to take labels from the package where it has them for exactly this crystal
        and scheme.

    Returns
    -------
    CrystalSet
        With energies in eV/atom, not-a-number where the energy model failed.
    Labelling
        What was reused and what failed.

    Raises
    ------
    InputError, ArtefactError
        As `substitute` and `label_crystals`.

    Examples
    --------
    >>> from atomate2_vogen.data import build_dataset
    >>> def volumes(structures):
    ...     # stand-in for an energy model: eV/atom of crystals
    ...     return [structure.volume / len(structure) for structure in structures]
    >>> crystals, labelling = build_dataset(max_edge=4.0, judge=lambda: volumes, scheme="volume")
    >>> len(crystals) == len(labelling.energies), labelling.n_reused
    (True, 0)
    """
    crystals = substitute(system, max_edge)
    labelling = label_crystals(
        crystals,
        judge,
        scheme=scheme,
        known=shipped_labels(system, scheme) if use_shipped_labels else None,
        checkpoint=checkpoint,
        progress=progress,
    )
    return dataclasses.replace(crystals, energies=labelling.energies), labelling


def label_statistics(energies: np.ndarray) -> dict[str, float]:
    """Minimum, quartiles, maximum, mean and spread of the labels in eV/atom.

    Parameters
    ----------
    energies
        Shape (n,); not-a-number is left out. Empty if nothing is left.

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.data import label_statistics
    >>> label_statistics(np.array([-8.0, -9.0, np.nan]))["median"]
    -8.5
    """
    known = energies[np.isfinite(energies)]
    if not len(known):
        return {}
    names = ("min", "quartile_1", "median", "quartile_3", "max")
    values = np.percentile(known, [0, 25, 50, 75, 100])
    statistics = dict(zip(names, values.tolist(), strict=True))
    return statistics | {"mean": float(known.mean()), "std": float(known.std())}
