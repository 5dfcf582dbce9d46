"""Training, validation, test: whole prototype groups, so that no test crystal was seen."""

from __future__ import annotations

import hashlib

import numpy as np

SPLITS = ("train", "validation", "test", "parents")
FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def _draw(group: int) -> float:
    """Number in [0, 1) that depends on the group's id alone."""
    digest = hashlib.sha256(f"atomate2-vogen split|{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign_splits(groups: np.ndarray, is_parent: np.ndarray) -> np.ndarray:
    """Split of every crystal, the same for all members of a group.

    Groups that hold a known compound of the system are kept apart as ``"parents"``: they are
    the material that a generator is asked to find again.

    Parameters
    ----------
    groups
        Group id of each crystal, shape (n,).
    is_parent
        Whether the crystal's prototype is a compound of the system itself, shape (n,).

    Returns
    -------
    numpy.ndarray
        One of `SPLITS` per crystal, shape (n,), dtype ``<U10``.
    """
    held_out = set(groups[is_parent].tolist())
    first = FRACTIONS["train"]
    second = first + FRACTIONS["validation"]
    by_group = {}
    for group in np.unique(groups).tolist():
        draw = _draw(group)
        if group in held_out:
            by_group[group] = "parents"
        elif draw < first:
            by_group[group] = "train"
        else:
            by_group[group] = "validation" if draw < second else "test"
    return np.array([by_group[group] for group in groups.tolist()], dtype="<U10")
