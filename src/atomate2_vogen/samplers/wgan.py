"""Crystals from a trained WGAN: noise and a composition to latents, grids, and structures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Structure

from atomate2_vogen.analysis.geometry import too_close
from atomate2_vogen.analysis.matching import KnownStructures
from atomate2_vogen.errors import GridError, InputError, VogenError
from atomate2_vogen.samplers.base import check_counts, check_seed, formula_rng
from atomate2_vogen.schemas import CandidateDoc, Rejection, RejectionReason, SampleDoc

if TYPE_CHECKING:
    from atomate2_vogen.models.artefact import TrainedModel


class WGANSampler:
    """Draws from a trained generator and keeps what decodes to sane crystals as asked for.

    Every decoded latent is one attempt. It ends as a candidate or as a rejection with its
    reason: a grid that cannot be read, a lattice that is no reduced cell, a composition other
    than the one asked for, atoms too close, or a crystal that matches an earlier candidate.
    Nothing else ever fills a gap: what is short is in `SampleDoc.missing`.

    Parameters
    ----------
    model
        Trained networks.
    max_attempts
        Most decoded latents per formula.
    oversample
        Latents generated per latent decoded; those of the lowest predicted energy are decoded.
        1 decodes all.
    truncation
        Standard deviation of the generator's noise.
    projections
        How often a decoded box is read with the counts told, voxelised afresh, encoded and
        decoded again (`TrainedModel.project`). Generated boxes are blurred; one projection
        makes their composition readable without being told.
    told_counts
        How the box is read in the end. False reads the composition from the grid and rejects
        any other than the one asked for. True (composition-aware reading) takes the highest
        peaks, as many as atoms were asked for, and rejects a box that lacks them. Each
        candidate's details tell which it was, and what the grid alone would have said.
    batch
        Latents decoded at once; part of what decides the outcome of a seed.
    progress
        Called with formula, candidates so far, candidates wanted.

    Raises
    ------
    InputError
        If an option is out of range.
    """

    name = "wgan"

    def __init__(
        self,
        model: TrainedModel,
        *,
        max_attempts: int = 4096,
        oversample: int = 4,
        truncation: float = 1.0,
        projections: int = 1,
        told_counts: bool = False,
        batch: int = 64,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        for option, value in (
            ("max_attempts", max_attempts),
            ("oversample", oversample),
            ("batch", batch),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{option} is {value!r}; give a positive whole number")
        if not 0 < truncation <= 2:
            raise InputError(f"truncation is {truncation!r}; give a number from 0 to 2")
        if isinstance(projections, bool) or not isinstance(projections, int) or projections < 0:
            raise InputError(f"projections is {projections!r}; give 0 or a positive whole number")
        self.model, self.projections = model, projections
        self.model_id = model.model_id
        self.system = model.system
        self.max_attempts, self.oversample, self.batch = max_attempts, oversample, batch
        self.truncation, self.told_counts, self.progress = truncation, told_counts, progress

    def sample(self, counts: Mapping[str, int], seed: int = 0) -> SampleDoc:
        """Make crystals.

        Parameters
        ----------
        counts
            Number of crystals wanted per formula.
        seed
            The same seed, model and options give the same crystals of a formula, whatever
            other formulas are asked for beside it.

        Returns
        -------
        SampleDoc
            Candidates of exactly the requested compositions, and the count of every
            rejection by its reason. Fewer candidates than asked for after `max_attempts`
            are told by `SampleDoc.missing`.

        Raises
        ------
        UnknownFormulaError, CountsError
            As `check_counts`.
        InputError
            If the seed is negative or not whole.
        """
        begin = time.perf_counter()
        requested = check_counts(counts, self.system)
        seed = check_seed(seed)
        candidates: list[CandidateDoc] = []
        rejections: list[Rejection] = []
        attempts = {}
        for formula, wanted in requested.items():
            found, refused = self._sample_formula(formula, wanted, seed)
            candidates.extend(found)
            rejections.extend(refused)
            attempts[formula] = len(found) + len(refused)
        return SampleDoc.make(
            sampler=self.name,
            model_id=self.model_id,
            seed=seed,
            requested=requested,
            attempts=attempts,
            candidates=candidates,
            rejections=rejections,
            wall_time=time.perf_counter() - begin,
        )

    def _sample_formula(
        self, formula: str, wanted: int, seed: int
    ) -> tuple[list[CandidateDoc], list[Rejection]]:
        found: list[CandidateDoc] = []
        refused: list[Rejection] = []
        known = KnownStructures({})
        for index, (sites, lattice, atoms, energy) in enumerate(self._grids(formula, seed)):
            try:
                structure = self._read(sites, lattice, atoms)
                _check_new(structure, known)
            except _RejectedError as error:
                refused.append(
                    Rejection(formula=formula, index=index, reason=error.reason, message=str(error))
                )
                continue
            known.add(str(index), structure)
            found.append(
                CandidateDoc.make(
                    structure,
                    sampler=self.name,
                    model_id=self.model_id,
                    formula=formula,
                    seed=seed,
                    index=index,
                    details={
                        "predicted_energy_above_line": round(energy, 4),
                        "counts_told": self.told_counts,
                        "counts_read": self._counts_read(sites),
                        "projections": self.projections,
                    },
                )
            )
            if self.progress:
                self.progress(formula, len(found), wanted)
            if len(found) == wanted:
                break
        return found, refused

    def _grids(
        self, formula: str, seed: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int], float]]:
        """Sites grid, lattice grid, atom counts asked for and predicted energy, per attempt."""
        rng = formula_rng(seed, formula)
        unit = np.array(self.system.formula_unit(formula))
        units, chance = self.model.formula_units(formula)
        tried = 0
        while tried < self.max_attempts:
            n = self.batch * self.oversample
            counts = rng.choice(units, n, p=chance)[:, None] * unit
            latents = self.model.generate(counts, rng, self.truncation)
            energies = self.model.predict_energy(latents, counts)
            order = np.sort(np.argsort(energies, kind="stable")[: self.batch])
            latents = latents[order]
            sites, lattices = self.model.decode(latents)
            for _ in range(self.projections):
                latents, moved = self.model.project(latents, sites, counts[order])
                if moved.any():
                    sites[moved] = self.model.decode(latents[moved])[0]
            for row, at in enumerate(order[: self.max_attempts - tried]):
                n_metal, n_anion = counts[at].tolist()
                yield sites[row], lattices[row], (n_metal, n_anion), float(energies[at])
            tried += self.batch

    def _read(self, sites: np.ndarray, lattice: np.ndarray, atoms: tuple[int, int]) -> Structure:
        """The crystal of two grids, if it is the one asked for and sane."""
        codec = self.model.codec
        try:
            cell = codec.decode_lattice(lattice)
        except GridError as error:
            raise _RejectedError(RejectionReason.IMPOSSIBLE_LATTICE, str(error)) from error
        try:
            coords, numbers, _ = codec.decode_sites(sites, atoms if self.told_counts else None)
        except GridError as error:
            # with the counts told, only missing peaks can be in the way
            reason = (
                RejectionReason.WRONG_COMPOSITION
                if self.told_counts
                else RejectionReason.UNREADABLE_GRID
            )
            raise _RejectedError(reason, str(error)) from error
        metal, anion = self.system.atomic_numbers
        got = (int((numbers == metal).sum()), int((numbers == anion).sum()))
        if got != atoms:
            raise _RejectedError(
                RejectionReason.WRONG_COMPOSITION,
                f"holds {got[0]} {self.system.metal} and {got[1]} {self.system.anion}, asked for "
                f"{atoms[0]} and {atoms[1]}",
            )
        symbols = [self.system.elements[int(z == anion)] for z in numbers]
        structure = Structure(cell, symbols, coords)
        try:
            message = too_close(structure, self.system)
        except VogenError as error:
            raise _RejectedError(RejectionReason.IMPOSSIBLE_LATTICE, str(error)) from error
        if message:
            raise _RejectedError(RejectionReason.ATOMS_TOO_CLOSE, message)
        return structure

    def _counts_read(self, sites: np.ndarray) -> list[int] | None:
        """Atoms of metal and anion that the grid alone holds; None if it cannot be read."""
        try:
            _, numbers, _ = self.model.codec.decode_sites(sites)
        except GridError:
            return None
        return [int((numbers == z).sum()) for z in self.system.atomic_numbers]


def _check_new(structure: Structure, known: KnownStructures) -> None:
    """Reject a crystal that matches an earlier candidate."""
    if twin := known.find(structure):
        raise _RejectedError(RejectionReason.DUPLICATE, f"matches attempt {twin}")


class _RejectedError(Exception):
    """An attempt that does not become a candidate."""

    def __init__(self, reason: RejectionReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
