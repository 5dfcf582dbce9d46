"""The WGAN sampler on a stand-in model whose grids are known, and on a trained tiny one."""

from __future__ import annotations

import numpy as np
import pytest
from bare_model import bare_model
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.errors import CountsError, InputError, UnknownFormulaError
from atomate2_vogen.samplers.base import Sampler
from atomate2_vogen.samplers.wgan import WGANSampler
from atomate2_vogen.schemas import RejectionReason
from atomate2_vogen.structures.geometry import too_close
from atomate2_vogen.structures.reduction import default_matcher
from atomate2_vogen.voxels.codec import VoxelCodec


class BookModel:
    """Decodes latent k to page k of a book of grids, in a circle."""

    model_id = "book"
    system = VANADIUM

    def __init__(self, pages):
        self.codec = VoxelCodec(VANADIUM, n_sites=32, n_lattice=16)
        self.pages = pages
        self.turned = 0

    def formula_units(self, formula):
        return np.array([2]), np.array([1.0])

    def generate(self, counts, rng, truncation, latent_noise):
        first = self.turned
        self.turned += len(counts)
        return np.arange(first, self.turned)[:, None].astype("f4")

    def predict_energy(self, latents, counts):
        return -latents[:, 0]

    def decode_sites(self, latents):
        return self.decode(latents)[0]

    def decode_lattices(self, latents):
        return self.decode(latents)[1]

    def decode(self, latents):
        chosen = [self.pages[int(k) % len(self.pages)] for k in latents[:, 0]]
        return np.array([c[0] for c in chosen]), np.array([c[1] for c in chosen])


def rutile(a=4.6, u=0.3):
    return Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(a, 2.9), ["V", "O"], [[0, 0, 0], [u, u, 0]]
    )


@pytest.fixture
def book():
    codec = VoxelCodec(VANADIUM, n_sites=32, n_lattice=16)
    good = codec.encode(rutile())
    other = Structure(
        Lattice.orthorhombic(3.4, 4.1, 7.0),
        ["V", "V", "O", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.1], [0.5, 0, 0.6], [0.5, 0, 0.1], [0, 0.5, 0.7]],
    )
    assert too_close(other, VANADIUM) is None
    fewer = rutile()
    fewer.remove_sites([5])
    squeezed = rutile(a=3.2)
    assert too_close(squeezed, VANADIUM)
    pages = {
        "good": good,
        "twin": codec.encode(rutile(a=4.62)),
        "other": codec.encode(other),
        "fewer": codec.encode(fewer),
        "squeezed": codec.encode(squeezed),
        "blank": (np.zeros_like(good[0]), good[1]),
        "no cell": (good[0], np.zeros_like(good[1])),
    }
    assert not default_matcher().fit(rutile(), other)
    return pages


def sampler(pages, **options):
    return WGANSampler(
        BookModel(pages),
        **{"preselect": 1, "oversample": 1, "batch": 4, "projections": 0, **options},
    )


def test_is_a_sampler(book):
    assert isinstance(sampler([book["good"]]), Sampler)


def test_every_attempt_ends_with_its_reason(book):
    names = ["blank", "fewer", "no cell", "squeezed", "good", "twin", "other"]
    untold = sampler([book[name] for name in names], told_counts=False)
    sample = untold.sample({"VO2": 2})
    assert sample.attempts == {"VO2": 7}
    assert sample.rejected["VO2"] == {
        RejectionReason.UNREADABLE_GRID: 1,
        RejectionReason.WRONG_COMPOSITION: 1,
        RejectionReason.IMPOSSIBLE_LATTICE: 1,
        RejectionReason.ATOMS_TOO_CLOSE: 1,
        RejectionReason.DUPLICATE: 1,
    }
    assert [c.index for c in sample.candidates] == [4, 6]
    assert sample.missing == {}
    for candidate in sample.candidates:
        assert candidate.structure.composition.formula == "V2 O4"
        assert too_close(candidate.structure, VANADIUM) is None
    assert default_matcher().fit(sample.candidates[0].structure, rutile())


def test_told_counts_refuse_a_box_with_too_few_peaks(book):
    sample = sampler([book["fewer"], book["good"]], told_counts=True).sample({"VO2": 1})
    assert sample.rejected["VO2"] == {RejectionReason.WRONG_COMPOSITION: 1}
    assert len(sample.candidates) == 1
    assert sample.candidates[0].details["counts_read"] == [2, 4]


def test_told_counts_take_the_highest_peaks(book):
    sites, lattice = book["good"]
    noisy = np.maximum(sites, 0.6 * np.roll(sites, (9, 5, 3), axis=(0, 1, 2)))
    assert (
        not sampler([(noisy, lattice)], told_counts=False, max_attempts=4)
        .sample({"VO2": 1})
        .candidates
    )
    (candidate,) = sampler([(noisy, lattice)], told_counts=True).sample({"VO2": 1}).candidates
    assert default_matcher().fit(candidate.structure, rutile())
    assert candidate.details["counts_read"] == [4, 8]


def test_what_is_short_is_said_and_not_filled(book):
    sample = sampler([book["good"], book["blank"]], max_attempts=10).sample({"VO2": 3})
    assert sample.missing == {"VO2": 2}
    assert sample.attempts == {"VO2": 10}
    assert sum(sample.rejected["VO2"].values()) + len(sample.candidates) == 10


def test_lowest_predicted_energies_are_decoded(book):
    # energy falls with the page number: of eight, only the last four are ever looked at
    pages = [book["good"]] * 4 + [book["other"]] * 4
    sample = sampler(pages, oversample=2).sample({"VO2": 1})
    assert default_matcher().fit(
        sample.candidates[0].structure,
        sampler([book["other"]]).sample({"VO2": 1}).candidates[0].structure,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"batch": 0},
        {"max_attempts": 1.5},
        {"oversample": True},
        {"truncation": 0},
        {"latent_noise": 2.1},
        {"projections": -1},
        {"miscount": -1},
        {"min_atoms": 0},
        {"truncation": float("nan")},
        {"energy_steps": -1},
        {"energy_step": 0},
        {"symmetry_tolerance": -0.1},
    ],
)
def test_bad_options(book, options):
    with pytest.raises(InputError, match=next(iter(options))):
        sampler([book["good"]], **options)


def test_bad_requests(book):
    bad = sampler([book["good"]])
    with pytest.raises(UnknownFormulaError):
        bad.sample({"TiO2": 1})
    with pytest.raises(CountsError):
        bad.sample({"VO2": 0})
    with pytest.raises(InputError, match="seed"):
        bad.sample({"VO2": 1}, seed=-1)


def test_trained_model_is_deterministic_and_adds_up(trained):
    options = {"max_attempts": 24, "batch": 8, "oversample": 2}
    both = WGANSampler(trained.model, **options).sample({"VO2": 2, "V2O3": 1}, seed=5)
    alone = WGANSampler(trained.model, **options).sample({"V2O3": 1}, seed=5)
    assert both.model_id == trained.model.model_id
    assert alone.attempts["V2O3"] == both.attempts["V2O3"]
    assert alone.rejected["V2O3"] == both.rejected["V2O3"]
    for formula in both.requested:
        made = sum(c.formula == formula for c in both.candidates)
        assert made + sum(both.rejected[formula].values()) == both.attempts[formula]
    for candidate in both.candidates:
        assert candidate.structure.composition.reduced_formula == candidate.formula


def test_options_away_from_their_defaults_are_told_and_make_other_ids(book):
    plain = WGANSampler(BookModel([book["good"]]), projections=0, preselect=1, batch=4)
    moved = WGANSampler(
        BookModel([book["good"]]), projections=0, preselect=1, batch=4, truncation=0.5
    )
    assert WGANSampler(BookModel([]), max_attempts=3).options == {}
    assert moved.options == plain.options | {"truncation": 0.5}
    first, second = (s.sample({"VO2": 1}) for s in (plain, moved))
    assert second.options == moved.options
    assert first.candidates[0].candidate_id != second.candidates[0].candidate_id


def test_near_symmetric_candidates_are_made_symmetric(book):
    crystal = rutile()
    crystal.perturb(0.02, seed=0)
    page = VoxelCodec(VANADIUM, n_sites=32, n_lattice=16).encode(crystal)
    (plain,) = sampler([page]).sample({"VO2": 1}).candidates
    (regular,) = sampler([page], symmetry_tolerance=0.2).sample({"VO2": 1}).candidates
    group = lambda c: SpacegroupAnalyzer(c.structure, 1e-3).get_space_group_symbol()  # noqa: E731
    assert group(plain) != "P4_2/mnm"
    assert group(regular) == "P4_2/mnm"
    assert regular.details["space_group_after"] == "P4_2/mnm"
    assert regular.details["space_group_before"] != "P4_2/mnm"
    assert 0 < regular.details["largest_displacement"] < 0.1
    assert "space_group_after" not in plain.details
    assert regular.structure.composition == plain.structure.composition


class ProjectingModel(BookModel):
    """Each projection turns to the next page of the book."""

    def project(self, latents, sites, counts):
        return latents + 1, np.ones(len(latents), dtype=bool)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # latent 0 starts at "fewer": one projection reads "good", the next spoils it again
        ({"projections": 2, "stop_when_read": False}, None),
        ({"projections": 1, "stop_when_read": False}, 1),
        ({"projections": 5, "stop_when_read": True}, 1),
        ({"projections": 0, "stop_when_read": True}, None),
        # "fewer" is one atom off
        ({"projections": 1, "stop_when_read": False, "miscount": 1}, 1),
        ({"projections": 1, "stop_when_read": False, "miscount": 0}, None),
    ],
)
def test_projections_stop_where_they_are_told(book, options, expected):
    model = ProjectingModel([book["fewer"], book["good"], book["blank"]])
    sample = WGANSampler(
        model, preselect=1, oversample=1, batch=1, max_attempts=1, **options
    ).sample({"VO2": 1})
    assert [c.details["projections"] for c in sample.candidates] == (
        [] if expected is None else [expected]
    )


class SizedModel(BookModel):
    """Notes the cells that it is asked for."""

    def formula_units(self, formula):
        return np.array([1, 2, 4]), np.array([0.5, 0.3, 0.2])

    def generate(self, counts, rng, truncation, latent_noise):
        self.asked = counts.sum(axis=1)
        return super().generate(counts, rng, truncation, latent_noise)


@pytest.mark.parametrize(
    ("min_atoms", "sizes"), [(1, {3, 6, 12}), (6, {6, 12}), (7, {12}), (99, {12})]
)
def test_cells_have_at_least_so_many_atoms(book, min_atoms, sizes):
    model = SizedModel([book["blank"]])
    options = {"preselect": 1, "batch": 64, "max_attempts": 64, "projections": 0}
    WGANSampler(model, min_atoms=min_atoms, **options).sample({"VO2": 1})
    assert set(model.asked.tolist()) == sizes
    if sizes == {6, 12}:  # 0.3 to 0.2, as before
        assert 0.4 < np.mean(model.asked == 6) < 0.8


def test_composition_is_judged_before_the_cell(book):
    both_wrong = (book["fewer"][0], book["no cell"][1])
    sample = sampler([both_wrong], max_attempts=4).sample({"VO2": 1})
    assert sample.rejected["VO2"] == {RejectionReason.WRONG_COMPOSITION: 4}


def test_energy_steps_lower_the_predicted_energy(tiny):
    """Every attempt of the same noise, decoded with and without steps."""
    options = {"max_attempts": 8, "batch": 8, "oversample": 1, "projections": 0}
    model = bare_model(tiny)
    still = WGANSampler(model, **options)
    moving = WGANSampler(model, energy_steps=3, energy_step=0.5, **options)
    before, after = ([b.energy for b in s._boxes("VO2", 1)] for s in (still, moving))
    assert len(before) == len(after) == 8
    assert all(b < a for a, b in zip(before, after, strict=True))


def test_likeliest_latents_are_decoded_and_sizes_stay(book):
    class Judging(SizedModel):
        """Likes late latents."""

        def predict_acceptance(self, latents, counts):
            self.judged = counts.sum(axis=1)
            return latents[:, 0]

    model = Judging([book["blank"]])
    one = WGANSampler(model, preselect=4, batch=64, max_attempts=64, min_atoms=1, projections=0)
    latents = one._likeliest(np.repeat([[1, 2], [2, 4]], 32, axis=0), np.random.default_rng(0))
    assert latents[:, 0].tolist() == list(range(3, 256, 4))
    assert model.judged.tolist() == [3] * 128 + [6] * 128
