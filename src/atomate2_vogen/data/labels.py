"""Energy labels: one single-point energy per crystal from one energy model, in one scheme.

Labels are kept apart from crystals and found by the crystal's content hash (see
`CrystalSet.keys`), so that they are reused only for exactly the crystal and the scheme they
were computed for. The file form is one compressed npz with the arrays ``format``, ``scheme``,
``keys`` (uint64), ``energies`` (float64, eV/atom, not-a-number where the energy model failed) and
``reasons`` (text, empty where it did not); nothing in it is pickled.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Self

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.chemistry import OxideSystem
from atomate2_vogen.data.crystals import CrystalSet
from atomate2_vogen.data.npz import npz_arrays
from atomate2_vogen.errors import (
    ArtefactError,
    InputError,
    MissingDependencyError,
    VogenError,
    reason,
)
from atomate2_vogen.files import write_atomically
from atomate2_vogen.structures.geometry import check_structure

FORMAT = 1
JUDGE_SCHEME = "CHGNet-0.3.0"
CRYSTALS_PER_CHECKPOINT = (
    128  # crystals between two checkpoints; part of the result in its last float32 digit
)

EnergyFunction = Callable[[Sequence[Structure]], Sequence[float]]
"""Energies in eV/atom of a few structures; may raise if one of them cannot be computed."""

Progress = Callable[[int, int], None]
"""Called with the number of crystals done and the number there are."""


@dataclass
class Labels:
    """Energies by crystal hash, in one scheme.

    Parameters
    ----------
    scheme
        Energy scale, e.g. CHGNet-0.3.0.
    energies
        eV/atom by crystal hash; not-a-number where the energy model failed.
    reasons
        Why it failed, by crystal hash.

    Examples
    --------
    >>> from atomate2_vogen.data import Labels
    >>> labels = Labels("CHGNet-0.3.0", energies={1: -8.5, 2: -8.7})
    >>> labels.save("labels.npz")
    >>> Labels.load("labels.npz").energies == labels.energies
    True
    """

    scheme: str
    energies: dict[int, float] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    def adopt(self, other: Labels, keys: Iterable[int]) -> None:
        """Take over what another set of labels knows of these crystals."""
        for key in keys:
            if key in other.energies:
                self.energies[key] = other.energies[key]
                if key in other.reasons:
                    self.reasons[key] = other.reasons[key]

    def of(self, keys: Iterable[int]) -> np.ndarray:
        """Energies of some crystals in eV/atom, not-a-number where unknown or failed."""
        return np.array([self.energies.get(key, np.nan) for key in keys], dtype=float)

    def to_bytes(self) -> bytes:
        """The compressed npz file; equal labels give equal bytes."""
        keys = np.array(sorted(self.energies), dtype="<u8")
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            format=np.array(FORMAT),
            scheme=np.array(self.scheme),
            keys=keys,
            energies=np.array([self.energies[key] for key in keys.tolist()], dtype="<f8"),
            reasons=np.array([self.reasons.get(key, "") for key in keys.tolist()], dtype=str),
        )
        return buffer.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the compressed npz file, whole or not at all."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the file that `save` wrote.

        Raises
        ------
        ArtefactError
            If the file is missing, damaged or of another format.
        """
        with npz_arrays(
            path, FORMAT, f"label file {path} cannot be read", "delete it and label again"
        ) as arrays:
            keys, reasons = arrays["keys"].tolist(), arrays["reasons"].tolist()
            return cls(
                scheme=str(arrays["scheme"]),
                energies=dict(zip(keys, arrays["energies"].astype(float).tolist(), strict=True)),
                reasons={k: r for k, r in zip(keys, reasons, strict=True) if r},
            )


@dataclass(frozen=True)
class Labelling:
    """Result of `label_crystals`.

    Parameters
    ----------
    energies
        eV/atom in the order of the crystals, not-a-number where the energy model failed, shape
        (n,).
    labels
        The same by crystal hash, with the reasons of the failures.
    failures
        Reason by index of the crystal.
    n_reused
        Crystals whose label was known before.

    Examples
    --------
    >>> from atomate2_vogen.data import label_crystals, substitute
    >>> def volumes(structures):
    ...     # Stand-in for an energy model: eV/atom of crystals
    ...     return [structure.volume / len(structure) for structure in structures]
    >>> labelling = label_crystals(substitute(max_edge=4.0), lambda: volumes, scheme="volume")
    >>> next(iter(labelling.failures.values()))
    'atoms overlap: O (site 1) and O (site 2) are 1.09 Å apart, less than 1.10 Å'
    """

    energies: np.ndarray
    labels: Labels
    failures: dict[int, str]
    n_reused: int


def chgnet_energies() -> EnergyFunction:
    """CHGNet 0.3.0 as an energy model of single points, on one thread of the CPU.

    One thread because more are slower on a busy machine, and so that the sums are always in
    the same order.

    Raises
    ------
    MissingDependencyError
        If chgnet is not installed.

    Examples
    --------
    >>> from atomate2_vogen.data import chgnet_energies
    >>> from pymatgen.core import Lattice, Structure
    >>> rock_salt = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.06), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> energies = chgnet_energies()
    >>> round(energies([rock_salt])[0], 1)
    -8.5
    """
    try:
        import torch
        from chgnet.graph import CrystalGraphConverter
        from chgnet.model import CHGNet
    except ImportError as error:
        raise MissingDependencyError(
            "labels need chgnet, which has wheels for Python up to 3.12; install "
            "atomate2-vogen there or give another energy function"
        ) from error

    with contextlib.redirect_stdout(io.StringIO()):  # it announces itself even when not verbose
        model = CHGNet.load(model_name="0.3.0", use_device="cpu", verbose=False)
    convert = CrystalGraphConverter(
        atom_graph_cutoff=model.graph_converter.atom_graph_cutoff,
        bond_graph_cutoff=model.graph_converter.bond_graph_cutoff,
        on_isolated_atoms="error",
    )

    def energies(structures: Sequence[Structure]) -> list[float]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # tensors made from tensors
                graphs = [convert(structure) for structure in structures]
                predictions = model.predict_graph(graphs, task="e", batch_size=16)
        finally:
            torch.set_num_threads(threads)
        if isinstance(predictions, dict):  # one structure
            predictions = [predictions]
        return [float(prediction["e"]) for prediction in predictions]

    return energies


def shipped_labels(system: OxideSystem, scheme: str = JUDGE_SCHEME) -> Labels:
    """Labels that come with the package; empty where none are shipped for this system.

    Raises
    ------
    ArtefactError
        If the shipped file is damaged or of another scheme.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.data import shipped_labels
    >>> shipped_labels(VANADIUM).scheme
    'CHGNet-0.3.0'
    """
    path = shipped_labels_path(system, scheme)
    if not path.exists():
        return Labels(scheme)
    labels = Labels.load(path)
    if labels.scheme != scheme:
        raise ArtefactError(f"{path} holds labels of {labels.scheme}, not {scheme}")
    return labels


def shipped_labels_path(system: OxideSystem, scheme: str = JUDGE_SCHEME) -> Path:
    """File of the package with the labels of a system and scheme."""
    name = f"labels-{system.chemsys}-{scheme}.npz"
    return Path(str(files("atomate2_vogen.data") / "files" / name))


def single_points(
    structures: Sequence[Structure], judge: EnergyFunction, system: OxideSystem
) -> list[tuple[float, str]]:
    """Energy and reason of failure per structure; one failure does not touch the others.

    Parameters
    ----------
    structures
        Crystals as they are; those that `check_structure` refuses are not passed to the energy
        model.
    judge
        Function that computes energies in eV/atom.
    system
        Oxide system.

    Returns
    -------
    list of tuple
        Energy in eV/atom with an empty text, or not-a-number with the reason.

    Examples
    --------
    >>> from atomate2_vogen import VANADIUM
    >>> from atomate2_vogen.data import single_points
    >>> from pymatgen.core import Lattice, Structure
    >>> sound = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> overlapping = Structure(Lattice.cubic(2.6), ["V", "O"], [[0, 0, 0], [0.1, 0, 0]])
    >>> def energies(crystals):
    ...     # Stand-in for an energy model: eV/atom of crystals
    ...     return [-8.0] * len(crystals)
    >>> found = single_points([sound, overlapping], energies, VANADIUM)
    >>> [energy for energy, _ in found]
    [-8.0, nan]
    """
    results: list[tuple[float, str]] = [(np.nan, "")] * len(structures)
    sound = []
    for index, structure in enumerate(structures):
        try:
            check_structure(structure, system)
        except VogenError as error:
            results[index] = (np.nan, reason(error))
        else:
            sound.append(index)
    try:
        energies = list(judge([structures[index] for index in sound])) if sound else []
    except Exception:  # noqa: BLE001 - errors of the energy model are found below, one by one
        energies = []
        for index in sound:
            try:
                energies.extend(judge([structures[index]]))
            except Exception as error:  # noqa: BLE001
                energies.append(np.nan)
                results[index] = (np.nan, f"{type(error).__name__}: {error}")
    for index, energy in zip(sound, energies, strict=True):
        if np.isfinite(energy):
            results[index] = (round(float(energy), 6), "")
        elif not results[index][1]:
            results[index] = (np.nan, f"the energy model gives {energy}")
    return results


def label_crystals(
    crystals: CrystalSet,
    judge: Callable[[], EnergyFunction] = chgnet_energies,
    *,
    scheme: str = JUDGE_SCHEME,
    known: Labels | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Labelling:
    """Energy of every crystal; equal crystals are computed once.

    Parameters
    ----------
    crystals
        What to label.
    judge
        Loads the function that gives the energies; called only if something is to be computed.
    scheme
        Name of the energy model's scale.
    known
        Labels to reuse where the crystal is exactly the same.
    checkpoint
        File that is rewritten after every chunk; a run that was killed goes on from it and
        ends with the same labels.
    progress
        Called after every chunk.

    Raises
    ------
    InputError
        If CHGNet's energies would be called otherwise, another judge's would be called
        CHGNet's, or the known labels or the checkpoint are of another scheme.
    ArtefactError
        If the checkpoint is damaged.

    Examples
    --------
    >>> from atomate2_vogen.data import label_crystals, substitute
    >>> def volumes(structures):
    ...     # Stand-in for an energy model: eV/atom of crystals
    ...     return [structure.volume / len(structure) for structure in structures]
    >>> crystals = substitute(max_edge=4.0)
    >>> labelling = label_crystals(crystals, lambda: volumes, scheme="volume")
    >>> labelling.energies.shape == (len(crystals),)
    True
    """
    if (judge is chgnet_energies) != (scheme == JUDGE_SCHEME):
        name = getattr(judge, "__qualname__", repr(judge))
        raise InputError(
            f"{name} does not give energies in the scheme {scheme}; "
            f"{JUDGE_SCHEME} is that of {chgnet_energies.__qualname__} and of no other"
        )
    if known is not None and known.scheme != scheme:
        raise InputError(f"known labels are of {known.scheme}, not {scheme}")
    keys = crystals.keys().tolist()
    labels = Labels(scheme)
    if known is not None:
        labels.adopt(known, keys)
    n_reused = sum(key in labels.energies for key in keys)

    # the chunks are fixed before the checkpoint is read, so that a resumed run batches alike
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    pending = sorted(index for key, index in first.items() if key not in labels.energies)
    done = Labels(scheme)
    energies: EnergyFunction | None = None
    if checkpoint is not None and Path(checkpoint).exists():
        done = Labels.load(checkpoint)
        if done.scheme != scheme:
            raise InputError(
                f"checkpoint {checkpoint} holds labels of {done.scheme}, not {scheme}; "
                "delete it or choose another place"
            )
    for start in range(0, len(pending), CRYSTALS_PER_CHECKPOINT):
        chunk = pending[start : start + CRYSTALS_PER_CHECKPOINT]
        if any(keys[index] not in done.energies for index in chunk):
            energies = energies or judge()
            structures = [crystals.structure(index) for index in chunk]
            results = single_points(structures, energies, crystals.system)
            for index, (energy, reason) in zip(chunk, results, strict=True):
                done.energies[keys[index]] = energy
                if reason:
                    done.reasons[keys[index]] = reason
            if checkpoint is not None:
                done.save(checkpoint)
        labels.adopt(done, [keys[index] for index in chunk])
        if progress is not None:
            progress(min(start + CRYSTALS_PER_CHECKPOINT, len(pending)), len(pending))

    failures = {i: labels.reasons[key] for i, key in enumerate(keys) if key in labels.reasons}
    return Labelling(
        energies=labels.of(keys),
        labels=labels,
        failures=failures,
        n_reused=n_reused,
    )
