"""Reconstruction of crystals by both autoencoders: encoding, decoding, comparison.

The composition is not given to the decoder: it is read from the decoded grids, as are sites and
cell.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError
from scipy.optimize import linear_sum_assignment

from atomate2_vogen.errors import GridError, InputError, NonFiniteError
from atomate2_vogen.structures.geometry import check_structure
from atomate2_vogen.structures.matching import rmsd
from atomate2_vogen.structures.reduction import default_matcher

if TYPE_CHECKING:
    from atomate2_vogen.models.trained_model import TrainedModel

MATCH_SETTINGS: dict[str, Any] = {"ltol": 0.3, "stol": 0.5, "angle_tol": 10.0}
"""StructureMatcher tolerances of the field's reconstruction rate (CDVAE, arXiv:2110.06197)."""

SIZES = (8, 14)
"""Largest numbers of atoms per cell of the classes in a summary; the last class is open."""

PRIMITIVE_TOLERANCE = 0.01
"""Å; looser ones merge distinct sites of known phases."""

_CHUNK = 64


@dataclass(frozen=True)
class Reconstruction:
    """Comparison of one crystal with its reconstruction by both autoencoders.

    Parameters
    ----------
    name
        Name of the crystal.
    truth
        Primitive cell in canonical form, which was encoded.
    decoded
        Reconstructed crystal; None if a grid could not be read.
    error
        Reason why a grid could not be read; None if both were.
    exact
        Whether the number of atoms of each element is the same.
    match
        Whether the crystals also match with the tolerances `MATCH_SETTINGS`.
    default_match
        Whether they match with StructureMatcher's default tolerances.
    rmsd
        Root-mean-square distance of the sites in Å after the best rigid shift; None without a
        match with the tolerances 0.5 / 0.5 / 10°.
    displacement
        Median distance of the sites from their original positions in Å, without a rigid shift,
        in the cell of `truth`; None if the composition is not exact.
    length_error, angle_error
        Mean absolute error of the three cell lengths in Å and angles in degrees; None if the
        cell could not be read.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> vo = Structure(Lattice.cubic(2.9), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> blank = Reconstruction(
    ...     name="blank", truth=vo, decoded=None, error="the sites grid is empty", exact=False,
    ...     match=False, default_match=False, rmsd=None, displacement=None, length_error=None,
    ...     angle_error=None,
    ... )
    >>> blank.formula, blank.row()["error"]
    ('VO', 'the sites grid is empty')
    """

    name: str
    truth: Structure
    decoded: Structure | None
    error: str | None
    exact: bool
    match: bool
    default_match: bool
    rmsd: float | None
    displacement: float | None
    length_error: float | None
    angle_error: float | None

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return str(self.truth.composition.reduced_formula)

    @property
    def natoms(self) -> int:
        """Atoms in the primitive cell."""
        return len(self.truth)

    def row(self) -> dict[str, Any]:
        """Plain values for one row of a table, without the structures."""
        return {
            "name": self.name,
            "formula": self.formula,
            "natoms": self.natoms,
            "exact_composition": self.exact,
            "match": self.match,
            "default_match": self.default_match,
            "rmsd": self.rmsd,
            "median_displacement": self.displacement,
            "length_error": self.length_error,
            "angle_error": self.angle_error,
            "error": self.error,
        }


def prepare(model: TrainedModel, structure: Structure, name: str = "the crystal") -> Structure:
    """Primitive cell of a crystal in the canonical form of the training data.

    Parameters
    ----------
    model
        Trained model, for its oxide system and grids.
    structure
        Any crystal of the system, in any cell.
    name
        Name of the crystal for error messages.

    Raises
    ------
    ElementError, DisorderError, OverlapError, NonFiniteError
        As `check_structure`.
    GridError
        If the primitive cell has too many atoms, or does not fit the grids.
    """
    try:
        check_structure(structure, model.system)
        cell = _primitive(structure)
        if len(cell) > model.system.max_atoms:
            raise GridError(
                f"the primitive cell has {len(cell)} atoms; the networks know up to "
                f"{model.system.max_atoms}"
            )
        truth = model.codec.canonical(cell)
        model.codec.encode_lattice(truth.lattice.matrix)
        model.codec.encode_sites(truth.frac_coords, np.array(truth.atomic_numbers))
    except InputError as error:
        raise type(error)(f"{name}: {error}") from error
    return truth


def encode_grids(
    model: TrainedModel,
    sites: np.ndarray,
    lattices: np.ndarray,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """Standardised joint latents (n, L) of grids, whose shape and values are checked.

    Parameters
    ----------
    model
        Trained model.
    sites
        Sites grids, shape (n, N, N, N, 2).
    lattices
        Lattice grids, shape (n, M, M, M, 1).
    names
        Names of the n crystals for error messages.

    Raises
    ------
    GridError
        If a grid has another shape than the model's.
    NonFiniteError
        If a grid or a latent holds NaN or infinity.
    """
    sites, lattices = np.asarray(sites, np.float32), np.asarray(lattices, np.float32)
    for kind, grids, shape in (
        ("sites", sites, model.codec.sites_shape),
        ("lattice", lattices, model.codec.lattice_shape),
    ):
        if grids.ndim != 5 or grids.shape[1:] != shape:
            raise GridError(f"{kind} grids have shape {grids.shape}, not (n, {str(shape)[1:]}")
    if len(sites) != len(lattices):
        raise GridError(f"{len(sites)} sites grids but {len(lattices)} lattice grids")
    names = names if names is not None else [f"grid {i}" for i in range(len(sites))]
    for kind, values in (("sites grid", sites), ("lattice grid", lattices)):
        _check_finite(kind, values, names)
    latents = np.concatenate(
        [
            model.encode(sites[start : start + _CHUNK], lattices[start : start + _CHUNK])
            for start in range(0, len(sites), _CHUNK)
        ]
    )
    _check_finite("latent", latents, names)
    return latents


def reconstruct(model: TrainedModel, crystals: Mapping[str, Structure]) -> Iterator[Reconstruction]:
    """Encode and decode crystals.

    Parameters
    ----------
    model
        Trained model.
    crystals
        Crystals by name. All are checked before the first is encoded.

    Yields
    ------
    Reconstruction
        In the order of the input.

    Raises
    ------
    InputError
        As `prepare`, with the crystal's name.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from atomate2_vogen.models import load_shipped
    >>> vo = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(4.1), ["V", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> (found,) = reconstruct(load_shipped(), {"rock salt": vo})
    >>> found.formula, found.natoms, found.exact
    ('VO', 2, True)
    """
    truths = {name: prepare(model, crystal, name) for name, crystal in crystals.items()}
    codec, names = model.codec, list(truths)
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        sites = np.stack(
            [
                codec.encode_sites(truths[n].frac_coords, np.array(truths[n].atomic_numbers))
                for n in chunk
            ]
        )
        lattices = np.stack([codec.encode_lattice(truths[n].lattice.matrix) for n in chunk])
        boxes = model.decode(encode_grids(model, sites, lattices, chunk))
        for name, *box in zip(chunk, *boxes, strict=True):
            yield compare(model, name, truths[name], *box)


def compare(
    model: TrainedModel, name: str, truth: Structure, sites: np.ndarray, lattice: np.ndarray
) -> Reconstruction:
    """Compare two decoded grids with the canonical crystal that was encoded.

    Parameters
    ----------
    model
        Trained model, for its codec.
    name, truth
        As in `Reconstruction`.
    sites, lattice
        Decoded grids.
    """
    errors, atoms, cell = [], None, None
    try:
        atoms = model.codec.decode_sites(sites)[:2]
    except GridError as error:
        errors.append(str(error))
    try:
        cell = Lattice(model.codec.decode_lattice(lattice))
    except GridError as error:
        errors.append(str(error))
    exact = atoms is not None and sorted(atoms[1]) == sorted(truth.atomic_numbers)
    decoded = None
    if atoms is not None and cell is not None:
        symbols = dict(zip(model.system.atomic_numbers, model.system.elements, strict=True))
        decoded = Structure(cell, [symbols[int(z)] for z in atoms[1]], atoms[0])
    match = default_match = False
    move = None
    if exact and decoded is not None:
        match = bool(StructureMatcher(**MATCH_SETTINGS).fit(truth, decoded))
        default_match = bool(default_matcher().fit(truth, decoded))
        move = rmsd(decoded, truth)
    return Reconstruction(
        name=name,
        truth=truth,
        decoded=decoded,
        error="; ".join(errors) or None,
        exact=exact,
        match=match,
        default_match=default_match,
        rmsd=move,
        displacement=_displacement(truth, *atoms) if exact and atoms is not None else None,
        length_error=None if cell is None else _error(cell.abc, truth.lattice.abc),
        angle_error=None if cell is None else _error(cell.angles, truth.lattice.angles),
    )


def summarise_reconstruction(
    reconstructions: Sequence[Reconstruction],
) -> dict[str, dict[str, Any]]:
    """Reconstruction rates and errors by number of atoms, and over all crystals.

    Returns
    -------
    dict
        Class -> figures: ``n``; ``exact_composition``, ``match`` and ``default_match`` as
        fractions; medians of ``rmsd`` and ``median_displacement`` (Å); ``length_mae`` (Å) and
        ``angle_mae`` (degrees). None without any value. ``all`` is the
        class of all crystals; empty classes are left out.
    """
    edges = [0, *SIZES, None]
    classes = {
        f"{low + 1}-{high} atoms" if high else f"over {low} atoms": [
            r for r in reconstructions if low < r.natoms and (high is None or r.natoms <= high)
        ]
        for low, high in itertools.pairwise(edges)
        if low is not None
    }
    classes["all"] = list(reconstructions)
    return {name: _figures(members) for name, members in classes.items() if members}


def _figures(members: Sequence[Reconstruction]) -> dict[str, Any]:
    def of(values: list[float | None], statistic: Any) -> float | None:
        there = [value for value in values if value is not None]
        return float(statistic(there)) if there else None

    return {
        "n": len(members),
        "exact_composition": float(np.mean([r.exact for r in members])),
        "match": float(np.mean([r.match for r in members])),
        "default_match": float(np.mean([r.default_match for r in members])),
        "rmsd": of([r.rmsd for r in members], np.median),
        "median_displacement": of([r.displacement for r in members], np.median),
        "length_mae": of([r.length_error for r in members], np.mean),
        "angle_mae": of([r.angle_error for r in members], np.mean),
    }


def _primitive(structure: Structure) -> Structure:
    try:
        found = SpacegroupAnalyzer(structure, symprec=PRIMITIVE_TOLERANCE).find_primitive()
    except SymmetryUndeterminedError:
        found = None
    return structure if found is None else found


def _displacement(truth: Structure, coords: np.ndarray, numbers: np.ndarray) -> float:
    """Median distance of sites, paired within each element by least squares."""
    distances: list[float] = []
    known = np.array(truth.atomic_numbers)
    for number in np.unique(known):
        table = truth.lattice.get_all_distances(
            truth.frac_coords[known == number], coords[numbers == number]
        )
        distances.extend(table[linear_sum_assignment(table**2)])
    return float(np.median(distances))


def _error(values: Sequence[float], truth: Sequence[float]) -> float:
    return float(np.abs(np.subtract(values, truth)).mean())


def _check_finite(kind: str, values: np.ndarray, names: Sequence[str]) -> None:
    bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
    if len(bad):
        raise NonFiniteError(f"{names[bad[0]]}: its {kind} holds NaN or infinity")
