"""Files as text: encodings, line ends and compression, with limits."""

from __future__ import annotations

import bz2
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomate2_vogen.errors import StructureFileError
from atomate2_vogen.structures.reading.limits import MAX_BYTES
from atomate2_vogen.structures.reading.texts import decode, plain_name, read_text

PACK = {".gz": gzip.compress, ".bz2": bz2.compress}


@given(
    text=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"), min_size=1
    ),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
def test_text_comes_back_from_every_encoding_and_line_end(text, end, encoding):
    assert decode(text.replace("\n", end).encode(encoding)) == text


def test_half_of_a_character_of_utf16_is_refused():
    with pytest.raises(StructureFileError, match="UTF-16"):
        decode("data_x".encode("utf-16")[:-1])


def test_bytes_of_no_encoding_are_no_text():
    assert decode("Zoë".encode("latin-1")) == "Zo\ufffd"
    with pytest.raises(StructureFileError, match="not a text file"):
        decode(b"a\0b")


@pytest.mark.parametrize("suffix", PACK)
def test_compressed_file(tmp_path, suffix):
    path = tmp_path / f"x.cif{suffix}"
    path.write_bytes(PACK[suffix](b"data_x\r\n"))
    assert read_text(path) == "data_x\n"
    assert plain_name(path.name) == "x.cif"
    assert plain_name("POSCAR.GZ") == "POSCAR"
    assert plain_name("x.cif") == "x.cif"


@pytest.mark.parametrize("suffix", PACK)
def test_a_bomb_is_not_unpacked(tmp_path, suffix):
    path = tmp_path / f"x.cif{suffix}"
    path.write_bytes(PACK[suffix](bytes(MAX_BYTES + 1)))
    assert path.stat().st_size < MAX_BYTES / 100
    with pytest.raises(StructureFileError, match="decompressed, it has more than 10 MB"):
        read_text(path)


@pytest.mark.parametrize("suffix", PACK)
def test_a_damaged_archive_is_a_typed_error(tmp_path, suffix):
    path = tmp_path / f"x.cif{suffix}"
    packed = PACK[suffix](bytes(range(256)) * 50)
    for content in (packed[:-9], b"data_x", packed[:40] + b"\xff" * 20 + packed[60:]):
        path.write_bytes(content)
        with pytest.raises(StructureFileError, match="damaged or cut off"):
            read_text(path)


def test_empty_archive(tmp_path):
    path = tmp_path / "x.cif.gz"
    path.write_bytes(gzip.compress(b" \n"))
    with pytest.raises(StructureFileError, match="empty"):
        read_text(path)
