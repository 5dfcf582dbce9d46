"""The model file: round trip, and every way in which a file can be bad."""

from __future__ import annotations

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

from atomate2_vogen.errors import ArtefactError, CountsError, InputError
from atomate2_vogen.models.archive import CONFIG
from atomate2_vogen.models.trained_model import TrainedModel


@pytest.fixture(scope="module")
def data(trained):
    return trained.model.to_bytes()


def rewrite(data, change):
    """The file with its members changed: `change` takes and gives a dict of bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members = change(members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def with_config(data, **changes):
    def change(members):
        config = json.loads(members[CONFIG])
        config.update(changes)
        return {**members, CONFIG: json.dumps(config).encode()}

    return rewrite(data, change)


def with_weights(data, edit, name="generator.weights.h5"):
    def change(members):
        buffer = io.BytesIO(members[name])
        with h5py.File(buffer, "r+") as file:
            found = []
            file.visititems(
                lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None
            )
            edit(file, next(item for item in found if item.ndim == 2))
        return {**members, name: buffer.getvalue()}

    return rewrite(data, change)


def test_round_trip_gives_identical_crystals(trained, data, tmp_path):
    path = tmp_path / "model.zip"
    trained.model.save(path)
    model = TrainedModel.load(path)
    assert model.model_id == trained.model.model_id
    assert model.config == trained.model.config
    counts = np.array([[2, 4], [4, 6]])
    latents = [m.generate(counts, np.random.default_rng(0)) for m in (model, trained.model)]
    np.testing.assert_array_equal(*latents)
    for first, second in zip(
        model.decode(latents[0]), trained.model.decode(latents[0]), strict=True
    ):
        np.testing.assert_array_equal(first, second)
        assert first.min() >= 0
        assert first.max() <= 1
    for method in ("predict_energy", "score"):
        np.testing.assert_array_equal(
            getattr(model, method)(latents[0], counts),
            getattr(trained.model, method)(latents[0], counts),
        )


def test_no_optimizer_in_the_file(trained, data):
    parameters = sum(n.count_params() for n in trained.model.networks.values())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        weights = sum(i.file_size for i in archive.infolist() if i.filename.endswith(".h5"))
        assert b"optimizer" not in archive.read("energy.weights.h5")
    assert weights < 4 * parameters + 7 * 100_000


@pytest.mark.parametrize("cut", [0, 10, 1000, -1, -500])
def test_truncated(data, cut):
    with pytest.raises(ArtefactError, match=r"stub\.zip"):
        TrainedModel.from_bytes(data[:cut], "stub.zip")


def test_flipped_bytes(data, trained):
    refused = 0
    for at in np.linspace(100, len(data) - 200, 4).astype(int):
        bad = bytearray(data)
        bad[at] ^= 0xFF
        try:
            model = TrainedModel.from_bytes(bytes(bad), "bad.zip")
        except ArtefactError:
            refused += 1
        else:
            # a byte that carries nothing, such as a date: the model is the one written
            assert model.model_id == trained.model.model_id
    assert refused >= 3


def test_not_a_file(tmp_path):
    with pytest.raises(ArtefactError, match="nothing"):
        TrainedModel.load(tmp_path / "nothing.zip")
    with pytest.raises(ArtefactError):
        TrainedModel.from_bytes(b"PK\x03\x04" + b"\0" * 100)


@pytest.mark.parametrize(
    "name", ["../../evil.weights.h5", "/tmp/evil", "extra.weights.h5", "code.pkl"]
)
def test_foreign_members(data, name):
    bad = rewrite(data, lambda members: {**members, name: b"x"})
    with pytest.raises(ArtefactError, match="foreign"):
        TrainedModel.from_bytes(bad)


@pytest.mark.parametrize("name", [CONFIG, "generator.weights.h5"])
def test_missing_member(data, name):
    bad = rewrite(data, lambda members: {k: v for k, v in members.items() if k != name})
    with pytest.raises(ArtefactError, match=name):
        TrainedModel.from_bytes(bad)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_member_twice(data):
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(CONFIG, archive.read(CONFIG))
    with pytest.raises(ArtefactError, match="twice"):
        TrainedModel.from_bytes(buffer.getvalue())


@pytest.mark.parametrize("name", [CONFIG, "critic.weights.h5"])
def test_zip_bomb(data, name):
    bomb = rewrite(data, lambda members: {**members, name: b"\0" * 200_000_000})
    assert len(bomb) < 3_000_000
    with pytest.raises(ArtefactError, match=f"{name}.*unpacks"):
        TrainedModel.from_bytes(bomb)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 99}, "format"),
        ({"preset": {}}, "fields"),
        ({"preset": None}, "mapping"),
        ({"system": {"metal": "V"}}, "config"),
        ({"mean": [0.0]}, "numbers"),
        ({"width": [0.0] * 30}, "positive"),
        ({"energy_scale": {"slope": 1}}, "config"),
        ({"cells": {"VO2": {"a": "b"}}}, "config"),
        ({"provenance": {"seed": 4}}, "id"),
        ({"model_id": "0" * 16}, "id"),
    ],
)
def test_bad_configuration(data, changes, message):
    with pytest.raises(ArtefactError, match=message):
        TrainedModel.from_bytes(with_config(data, **changes))


def test_configuration_that_asks_for_a_huge_network(data, trained):
    preset = trained.model.preset.as_dict()
    preset["sites"]["latent"] = 10**9
    with pytest.raises(ArtefactError, match="latent"):
        TrainedModel.from_bytes(with_config(data, preset=preset))


def test_configuration_that_is_no_json(data):
    bad = rewrite(data, lambda members: {**members, CONFIG: b"[" * 100_000})
    with pytest.raises(ArtefactError, match="JSON"):
        TrainedModel.from_bytes(bad)


def test_weights_of_the_wrong_shape(data):
    def widen(file, item):
        name, values = item.name, item[()]
        del file[name]
        file[name] = np.zeros((values.shape[0] + 1, values.shape[1]), "f4")

    with pytest.raises(ArtefactError, match=r"generator.*fit"):
        TrainedModel.from_bytes(with_weights(data, widen))


def test_weights_missing(data):
    def drop(file, item):
        del file[item.name]

    with pytest.raises(ArtefactError, match="generator"):
        TrainedModel.from_bytes(with_weights(data, drop))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_not_finite(data, value):
    def spoil(_, item):
        item[0, 0] = value

    with pytest.raises(ArtefactError, match=r"generator.*NaN"):
        TrainedModel.from_bytes(with_weights(data, spoil))


def test_weights_changed_by_hand(data):
    def nudge(_, item):
        item[0, 0] += 1e-3

    with pytest.raises(ArtefactError, match="id"):
        TrainedModel.from_bytes(with_weights(data, nudge))


def test_weights_that_link_to_another_file(data, tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.zeros(3)

    def link(file, item):
        name = item.name
        del file[name]
        file[name] = h5py.ExternalLink(str(secret), "/x")

    with pytest.raises(ArtefactError):
        TrainedModel.from_bytes(with_weights(data, link))


def test_latents_of_the_wrong_kind(trained):
    with pytest.raises(InputError, match=r"\(n, 30\)"):
        trained.model.decode(np.zeros((2, 29)))
    with pytest.raises(InputError, match="NaN"):
        trained.model.decode(np.full((1, 30), np.nan))


def test_formula_units(trained):
    units, chance = trained.model.formula_units("V9O11")
    assert units.tolist() == [1]
    assert chance.tolist() == [1.0]
    known = trained.model.cells["VO2"]
    units, chance = trained.model.formula_units("VO2")
    assert units.tolist() == sorted(known)
    assert chance.sum() == pytest.approx(1)
    with pytest.raises(CountsError, match="V15O22"):
        trained.model.formula_units("V15O22")
