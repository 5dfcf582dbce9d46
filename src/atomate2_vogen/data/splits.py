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

    Examples
    --------
    >>> import numpy as np
    >>> from atomate2_vogen.data import assign_splits
    >>> groups = np.array([4, 4, 7])
    >>> splits = assign_splits(groups, np.array([True, True, True]))
    >>> bool(splits[0] == splits[1])
    True
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


def split_groups(groups: np.ndarray) -> np.ndarray:
    """Split of every crystal of a small data set: the same shares, no split empty.

    Test and validation get one group each, and more while a tenth of all crystals holds them;
    groups larger than a share come last, else the order depends on the groups' ids alone.

    Parameters
    ----------
    groups
        Group id of each crystal, shape (n,), of three groups or more.

    Returns
    -------
    numpy.ndarray
        ``train``, ``validation`` or ``test`` per crystal, shape (n,), dtype ``<U10``.
    """
    names, sizes = (values.tolist() for values in np.unique(groups, return_counts=True))
    share = round(FRACTIONS["test"] * len(groups))
    size = dict(zip(names, sizes, strict=True))
    order = sorted(names, key=lambda name: (size[name] > share, _draw(name)))
    by_group = dict.fromkeys(names, "train")
    filled = {}
    for split in ("test", "validation"):
        first = order.pop(0)
        by_group[first], filled[split] = split, size[first]
    for name in order[:-1]:
        for split, held in filled.items():
            if held + size[name] <= share:
                by_group[name] = split
                filled[split] += size[name]
                break
    return np.array([by_group[group] for group in groups.tolist()], dtype="<U10")
