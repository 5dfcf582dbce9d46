"""Crystals from a trained WGAN: noise and a composition to latents, grids, and structures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.models.projection import counts_read, project_boxes
from atomate2_vogen.samplers.base import (
    RefusedError,
    changed_options,
    check_number,
    check_whole,
    collect_sample,
    formula_rng,
)
from atomate2_vogen.samplers.decoding import read_box, wrong_composition
from atomate2_vogen.schemas import RejectionReason, SampleDoc
from atomate2_vogen.structures.matching import DistinctStructures, KnownStructures
from atomate2_vogen.structures.symmetry import symmetrise

if TYPE_CHECKING:
    from atomate2_vogen.models.energy_descent import EnergyDescent
    from atomate2_vogen.models.trained_model import TrainedModel

DECODING_DEFAULTS: dict[str, Any] = {
    "min_atoms": 7,
    "preselect": 16,
    "oversample": 1,
    "truncation": 1.0,
    "latent_noise": 0.8,
    "energy_steps": 0,
    "energy_step": 0.25,
    "projections": 1,
    "miscount": 2,
    "stop_when_read": False,
    "told_counts": False,
    "symmetry_tolerance": 0.0,
    "batch": 64,
}
"""Default values of the options that, with the seed, determine the crystals."""

DECODING_BATCH = 16
"""Number of latents decoded at once: small, so that few are wasted at the end."""


@dataclass(frozen=True)
class _Box:
    """One decoded latent."""

    sites: np.ndarray
    lattice: np.ndarray
    atoms: tuple[int, int]
    energy: float
    projections: int


class WGANSampler:
    """Draws from a trained generator and keeps what decodes to sane crystals as asked for.

    Every decoded latent is one attempt. It ends as a candidate or as a rejection with its
    reason: a grid that cannot be read, a composition other than the one asked for, a lattice
    that is no reduced cell, atoms too close, or a crystal that matches an earlier candidate.
    Nothing else ever fills a gap: what is short is in `SampleDoc.missing`. To keep only the
    lowest in energy of more crystals, wrap it in a `FilteredSampler`.

    Parameters
    ----------
    model
        Trained networks.
    max_attempts
        Most decoded latents per formula.
    min_atoms
        Fewest atoms of a cell. Smaller cells have few minima of the energy, and the data set
        holds nearly all of them: what is new as generated falls back into one. A formula whose
        largest cell is smaller gets that one.
    preselect
        Latents generated for each that goes on, the one that the acceptance network thinks
        likeliest to decode to atoms as asked for and apart (`models.networks.acceptance`). The
        sizes of cells are drawn before, so that they stay as they are. 1 takes every latent.
    oversample
        Latents that go on per latent decoded; those of the lowest predicted energy are decoded.
        1 decodes all.
    truncation
        Standard deviation of the generator's noise, up to 2; less than 1 stays closer to the
        typical crystal.
    latent_noise
        Standard deviation, in units of the standardised latent and up to 2, of normal noise
        that is added to what the generator makes. Without it most crystals that decode are
        known ones; the more of it, the more are new, and the fewer decode.
    energy_steps
        Steps that each latent takes down the predicted energy before it is decoded; 0 takes
        none (`models.energy_descent`).
    energy_step
        Length of the first step in units of the standardised latent, whose typical norm is the
        square root of its length (15 for 225).
    projections
        How often a decoded box is read with the composition given, voxelised afresh, encoded and
        decoded again (`TrainedModel.project`). Generated boxes are blurred; one projection
        makes their composition readable when it is not given.
    miscount
        Most atoms by which a decoded box, read without the composition, may differ from what was
        asked for if it is to be projected at all. Those further off hardly ever end as asked for,
        and a projection costs more than the reading.
    stop_when_read
        Whether `projections` is a maximum: a box that is read with the right composition anyway is
        projected no further.
    told_counts
        How the box is read in the end. False reads the composition from the grid and rejects
        any other than the one asked for. True (composition-aware reading) takes the highest
        peaks, as many as atoms were asked for, and rejects a box that lacks them. Each
        candidate's details state which it was, and the composition that the grid alone gives.
    symmetry_tolerance
        Å within which a symmetry that a crystal almost has is made exact; 0 leaves crystals as
        they are (`structures.symmetry.symmetrise`; 0.1 to 0.3 are sensible).
    batch
        Latents generated at once; part of what decides the outcome of a seed.
    progress
        Called with formula, candidates so far, candidates wanted.

    Raises
    ------
    InputError
        If an option is out of range.

    Examples
    --------
    >>> from atomate2_vogen.models import load_shipped
    >>> from atomate2_vogen.samplers import WGANSampler
    >>> sampler = WGANSampler(load_shipped(), symmetry_tolerance=0.1)
    >>> sampler.options["symmetry_tolerance"]
    0.1
    """

    name = "wgan"

    def __init__(
        self,
        model: TrainedModel,
        *,
        max_attempts: int = 16384,
        min_atoms: int = DECODING_DEFAULTS["min_atoms"],
        preselect: int = DECODING_DEFAULTS["preselect"],
        oversample: int = DECODING_DEFAULTS["oversample"],
        truncation: float = DECODING_DEFAULTS["truncation"],
        latent_noise: float = DECODING_DEFAULTS["latent_noise"],
        energy_steps: int = DECODING_DEFAULTS["energy_steps"],
        energy_step: float = DECODING_DEFAULTS["energy_step"],
        projections: int = DECODING_DEFAULTS["projections"],
        miscount: int = DECODING_DEFAULTS["miscount"],
        stop_when_read: bool = DECODING_DEFAULTS["stop_when_read"],
        told_counts: bool = DECODING_DEFAULTS["told_counts"],
        symmetry_tolerance: float = DECODING_DEFAULTS["symmetry_tolerance"],
        batch: int = DECODING_DEFAULTS["batch"],
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.model, self.model_id, self.system = model, model.model_id, model.system
        self.max_attempts = check_whole("max_attempts", max_attempts)
        self.min_atoms = check_whole("min_atoms", min_atoms)
        self.preselect = check_whole("preselect", preselect)
        self.oversample = check_whole("oversample", oversample)
        self.truncation = check_number("truncation", truncation, 2.0)
        self.latent_noise = check_number("latent_noise", latent_noise, 2.0, zero=True)
        self.energy_steps = check_whole("energy_steps", energy_steps, 0)
        self.energy_step = check_number("energy_step", energy_step)
        self.projections = check_whole("projections", projections, 0)
        self.miscount = check_whole("miscount", miscount, 0)
        self.stop_when_read, self.told_counts = bool(stop_when_read), bool(told_counts)
        self.symmetry_tolerance = check_number(
            "symmetry_tolerance", symmetry_tolerance, 1.0, zero=True
        )
        self.batch = check_whole("batch", batch)
        self.progress = progress

    @property
    def options(self) -> dict[str, Any]:
        """Options that are not at their defaults and decide what comes out of a seed."""
        return changed_options(self, DECODING_DEFAULTS)

    def sample(
        self,
        counts: Mapping[str, int],
        seed: int = 0,
        *,
        known: KnownStructures | None = None,
    ) -> SampleDoc:
        """Make crystals.

        Parameters
        ----------
        counts
            Number of crystals wanted per formula.
        seed
            The same seed, model and options give the same crystals of a formula, for any
            other formulas that are requested.
        known
            As `Sampler.sample`.

        Returns
        -------
        SampleDoc
            Candidates of exactly the requested compositions, and the count of every
            rejection by its reason. Fewer candidates than asked for after `max_attempts`
            are in `SampleDoc.missing`.

        Raises
        ------
        UnknownFormulaError, CountsError
            As `check_counts`.
        InputError
            If the seed is negative or not whole.
        """
        return collect_sample(
            self,
            self.system,
            counts,
            seed,
            self._outcomes,
            options=self.options,
            known=known,
            progress=self.progress,
        )

    def _outcomes(
        self, formula: str, wanted: int, seed: int
    ) -> Iterator[tuple[Structure, dict[str, Any]] | RefusedError]:
        """Results of the decoded latents, one after the other."""
        del wanted  # the number of attempts is what ends it
        distinct = DistinctStructures()
        for index, box in enumerate(self._boxes(formula, seed)):
            if isinstance(box, RefusedError):
                yield box
                continue
            try:
                structure, details = self._read(box)
            except RefusedError as refusal:
                yield refusal
                continue
            if twin := distinct.twin_or_add(str(index), structure):
                yield RefusedError(RejectionReason.DUPLICATE, f"matches attempt {twin}")
                continue
            yield structure, details

    def _boxes(self, formula: str, seed: int) -> Iterator[_Box | RefusedError]:
        """Decoded latents, at most `max_attempts`."""
        rng = formula_rng(seed, formula)
        unit = np.array(self.system.formula_unit(formula))
        units, chance = self._formula_units(formula)
        for tried in range(0, self.max_attempts, self.batch):
            n = self.batch * self.oversample
            counts = rng.choice(units, n, p=chance)[:, None] * unit
            latents = self._likeliest(counts, rng)
            energies = self.model.predict_energy(latents, counts)
            order = np.sort(np.argsort(energies, kind="stable")[: self.batch])
            counts, latents, energies = counts[order], latents[order], energies[order]
            if self.energy_steps:
                latents = self._descent.descend(
                    latents, counts, self.energy_steps, self.energy_step
                )
                energies = self.model.predict_energy(latents, counts)
            rows = min(self.batch, self.max_attempts - tried)
            for start in range(0, rows, DECODING_BATCH):
                part = slice(start, min(start + DECODING_BATCH, rows))
                yield from self._decoded(latents[part], counts[part], energies[part])

    def _decoded(
        self, latents: np.ndarray, counts: np.ndarray, energies: np.ndarray
    ) -> Iterator[_Box | RefusedError]:
        """Boxes; those that are too far off to be projected are refused as they are."""
        sites = self.model.decode_sites(latents)
        projected, read = project_boxes(
            self.model,
            latents,
            sites,
            counts,
            times=self.projections,
            miscount=self.miscount,
            stop_when_read=self.stop_when_read,
        )
        atoms = [(n_metal, n_anion) for n_metal, n_anion in counts.tolist()]
        refused = [
            wrong_composition(self.system, got, asked)
            if not (self.told_counts or times or got in (None, asked))
            else None
            for times, got, asked in zip(projected, read, atoms, strict=True)
        ]
        lattices = iter(self.model.decode_lattices(latents[[one is None for one in refused]]))
        for row, refusal in enumerate(refused):
            yield refusal or _Box(
                sites[row], next(lattices), atoms[row], float(energies[row]), int(projected[row])
            )

    def _likeliest(self, counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """For each row of counts the likeliest to be accepted of `preselect` latents."""
        repeated = np.repeat(counts, self.preselect, axis=0)
        latents = self.model.generate(repeated, rng, self.truncation, self.latent_noise)
        if self.preselect == 1:
            return latents
        odds = self.model.predict_acceptance(latents, repeated).reshape(len(counts), -1)
        return latents.reshape(*odds.shape, -1)[np.arange(len(counts)), odds.argmax(axis=1)]

    def _formula_units(self, formula: str) -> tuple[np.ndarray, np.ndarray]:
        """Formula units per cell to draw from, and the chance of each."""
        units, chance = self.model.formula_units(formula)
        atoms = units * sum(self.system.formula_unit(formula))
        large = atoms >= min(self.min_atoms, atoms.max())
        return units[large], chance[large] / chance[large].sum()

    def _read(self, box: _Box) -> tuple[Structure, dict[str, Any]]:
        """Crystal and details of a box, or `RefusedError`."""
        codec = self.model.codec
        structure = read_box(
            codec, box.sites, box.lattice, box.atoms, composition_given=self.told_counts
        )
        read = counts_read(codec, box.sites) if self.told_counts else box.atoms
        details: dict[str, Any] = {
            "predicted_energy_above_line": round(box.energy, 4),
            "counts_told": self.told_counts,
            "counts_read": None if read is None else list(read),
            "projections": box.projections,
        }
        if self.symmetry_tolerance:
            regular = symmetrise(structure, self.system, self.symmetry_tolerance)
            structure = regular.structure
            details |= regular.details()
        return structure, details

    @cached_property
    def _descent(self) -> EnergyDescent:
        from atomate2_vogen.models.energy_descent import EnergyDescent

        return EnergyDescent(self.model, self.batch)
