"""The file format of weights: against NumPy's own, and every way in which a file can be bad."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from atomate2_vogen.errors import ArtefactError
from atomate2_vogen.models.archive import CONFIG, MAX_HEADER_BYTES, RECORD, Archive, named
from atomate2_vogen.models.training.checkpoint import Checkpoint

numeric = arrays_of.arrays(
    st.sampled_from(["f2", "<f4", ">f4", "f8", "i8", "u1", "?"]),
    arrays_of.array_shapes(min_dims=0, min_side=0, max_side=4),
)


def zip_of(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.fixture
def members():
    """Members of a good archive of arrays."""
    return members_of(Archive({"a": 1}, {"x": np.arange(6.0).reshape(2, 3)}).to_bytes())


@given(st.dictionaries(st.sampled_from(["x", "best/0001", "mean"]), numeric))
def test_numpy_reads_what_is_written(values):
    content = Archive({"a": [1, None]}, values).to_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        assert json.loads(found["record"].tobytes()) == {"a": [1, None]}
        assert set(found.files) == {"record", *values}
        for key, array in values.items():
            np.testing.assert_array_equal(found[key], array)
            assert found[key].dtype == array.dtype
    assert Archive({"a": [1, None]}, values).to_bytes() == content


@given(st.dictionaries(st.sampled_from(["x", "best/0001", "mean"]), numeric))
def test_what_numpy_writes_is_read(values):
    """Files of version 0.1.0 were written by `numpy.savez`."""
    buffer = io.BytesIO()
    text = np.frombuffer(b'{"epoch": 2}', dtype=np.uint8)
    np.savez(buffer, allow_pickle=False, record=text, **values)
    found = Archive.from_bytes(buffer.getvalue(), "x.npz")
    assert found.header == {"epoch": 2}
    assert set(found.arrays) == set(values)
    for key, array in values.items():
        np.testing.assert_array_equal(found.arrays[key], array)
        assert found.arrays[key].dtype == array.dtype


def test_weight_files_round_trip():
    files = {"a.weights.h5": b"abc" * 1000, "b.weights.h5": b""}
    content = Archive({"n": 3}, files=files).to_bytes()
    assert set(members_of(content)) == {CONFIG, *files}

    def limits(header):
        return {"a.weights.h5": (0, 1000 * header["n"]), "b.weights.h5": (0, 0)}

    found = Archive.from_bytes(content, "m.zip", limits=limits)
    assert (found.header, found.files) == ({"n": 3}, files)


@pytest.mark.parametrize("size", [(0, 2999), (3001, 10**9)])
def test_weight_files_of_another_size_are_not_unpacked(size, monkeypatch):
    content = Archive({}, files={"a.weights.h5": b"abc" * 1000}).to_bytes()
    read = zipfile.ZipFile.open

    def refuse(self, member, *arguments):
        assert member.filename == CONFIG, "unpacked"
        return read(self, member, *arguments)

    monkeypatch.setattr(zipfile.ZipFile, "open", refuse)
    with pytest.raises(ArtefactError, match=r"m\.zip: a\.weights\.h5 unpacks to 3000 bytes"):
        Archive.from_bytes(content, "m.zip", limits=lambda _: {"a.weights.h5": size})


@pytest.mark.parametrize(
    ("member", "content", "words"),
    [
        (RECORD, None, "lacks record"),
        (RECORD, b"{}", r"record\.npy is not an npy array"),
        ("x.npy", b"\x93NUMPY\x01\x00", r"x\.npy is not an npy array"),
        ("x.txt", b"abc", r"foreign member: x\.txt"),
        ("../evil.h5", b"abc", r"foreign member: \.\./evil\.h5"),
    ],
)
def test_bad_members_are_named(members, member, content, words):
    members[member] = content
    bad = zip_of({key: value for key, value in members.items() if value is not None})
    with pytest.raises(ArtefactError, match=rf"^some\.npz: .*{words}.*; train again$"):
        Archive.from_bytes(bad, "some.npz")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array(["text"]), "is not numeric"),
        (np.zeros(2, dtype=[("a", "f4")]), "is not numeric"),
        (np.zeros(2, dtype="c8"), "is not numeric"),
    ],
)
def test_arrays_that_are_no_numbers_are_named(members, array, words):
    buffer = io.BytesIO()
    np.save(buffer, array)
    with pytest.raises(ArtefactError, match=rf"x\.npy {words}"):
        Archive.from_bytes(zip_of({**members, "x.npy": buffer.getvalue()}), "some.npz")


def test_objects_are_never_unpickled(members):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ArtefactError, match=r"x\.npy is not numeric"):
        Archive.from_bytes(zip_of({**members, "x.npy": buffer.getvalue()}), "some.npz")


def test_an_array_larger_than_its_bytes_takes_no_memory(members, monkeypatch):
    """Its shape asks for 240 GB, of which 48 bytes are there."""
    content = members["x.npy"]
    huge = content.replace(b"(2, 3), }" + b" " * 10, b"(2, 15000000000), }")
    assert len(huge) == len(content)
    assert huge != content

    def read_array(stream, **kwargs):
        raise AssertionError("memory is taken")

    bad = zip_of({"x.npy": huge, RECORD: members[RECORD]})
    monkeypatch.setattr(np.lib.format, "read_array", read_array)
    with pytest.raises(ArtefactError, match=r"x\.npy holds another number of bytes than its shape"):
        Archive.from_bytes(bad, "some.npz")


def test_compressed_arrays_are_refused(members):
    """A compressed member of a kilobyte could unpack to a gigabyte."""
    with pytest.raises(ArtefactError, match="is compressed"):
        Archive.from_bytes(zip_of(members, zipfile.ZIP_DEFLATED), "some.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(members):
    buffer = io.BytesIO(zip_of(members))
    with zipfile.ZipFile(buffer, "a") as opened:
        opened.writestr("x.npy", members["x.npy"])
    with pytest.raises(ArtefactError, match="twice"):
        Archive.from_bytes(buffer.getvalue(), "some.npz")


@pytest.mark.parametrize("text", [b"[1]", b"{", b"[" * 10**5, b'{"a": 1, "a": 2}', b"\xff"])
def test_headers_that_are_no_mapping(members, text):
    buffer = io.BytesIO()
    np.save(buffer, np.frombuffer(text, np.uint8))
    with pytest.raises(ArtefactError, match=r"some\.npz: record\.npy"):
        Archive.from_bytes(zip_of({**members, RECORD: buffer.getvalue()}), "some.npz")


def test_headers_that_are_too_long(members):
    buffer = io.BytesIO()
    np.save(buffer, np.full(MAX_HEADER_BYTES + 1, ord(" "), np.uint8))
    with pytest.raises(ArtefactError, match=r"record\.npy has more than"):
        Archive.from_bytes(zip_of({**members, RECORD: buffer.getvalue()}), "some.npz")


def test_any_flipped_bit_is_noticed_or_of_no_consequence():
    """Also in the zip file's directory, which no checksum covers."""
    good = Archive({"a": 1}, {"x": np.arange(6.0).reshape(2, 3), "y": np.ones(1)})
    content = good.to_bytes()
    survivors = []
    for at in range(len(content)):
        for bit in range(8):
            bad = bytearray(content)
            bad[at] ^= 1 << bit
            # any other error ends the test
            with contextlib.suppress(ArtefactError):
                survivors.append(Archive.from_bytes(bytes(bad), "bad.npz"))
    assert 0 < len(survivors) < 0.25 * 8 * len(content)  # dates and the like
    values = [array.tolist() for array in good.arrays.values()]
    for found in survivors:
        assert found.header == good.header
        assert [array.tolist() for array in found.arrays.values()] == values


class Variable:
    def __init__(self, value):
        self.value, self.shape = value, value.shape

    def assign(self, value):
        self.value = value


def test_variables_survive_and_a_bad_set_changes_none():
    values = [np.full((2, i), float(i)) for i in range(12)]
    archive = Archive({}, named("w", values) | named("other", [np.zeros(1)]), name="some.npz")
    variables = [Variable(np.zeros_like(value)) for value in values]
    archive.assign("w", variables)
    for variable, value in zip(variables, values, strict=True):
        np.testing.assert_array_equal(variable.value, value)
    for bad, words in ((np.full((2, 11), np.nan), "NaN"), (np.zeros((2, 3)), "do not fit")):
        other = Archive({}, named("w", [*values[:-1], bad]), name="some.npz")
        variables = [Variable(np.zeros_like(value)) for value in values]
        with pytest.raises(ArtefactError, match=rf"some\.npz: .*{words}"):
            other.assign("w", variables)
        assert not any(variable.value.any() for variable in variables)


def test_a_checkpoint_without_its_cost(tmp_path):
    path = tmp_path / "stage.npz"
    identity = Checkpoint(path).identity
    path.write_bytes(Archive({"identity": identity}).to_bytes())
    with pytest.raises(ArtefactError, match=r"stage\.npz: damaged.*delete it"):
        Checkpoint(path).load()
