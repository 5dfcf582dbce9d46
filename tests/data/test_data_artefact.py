"""Files inside documents: what goes in comes out, and damage is noticed."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomate2_vogen.data.artefact import make_artefact, read_artefact
from atomate2_vogen.errors import ArtefactError
from atomate2_vogen.schemas import Artefact


@given(st.binary(max_size=500))
def test_round_trip(data):
    artefact = Artefact.model_validate_json(make_artefact("a.npz", data).model_dump_json())
    assert read_artefact(artefact) == data
    assert artefact.sha256 == hashlib.sha256(data).hexdigest()


def test_changed_content_is_refused_by_name():
    artefact = make_artefact("weights.keras", b"abc")
    other = artefact.model_copy(update={"content": base64.b64encode(b"xyz").decode()})
    with pytest.raises(ArtefactError, match=r"weights\.keras"):
        read_artefact(other)


@pytest.mark.parametrize("content", ["not base64!", "YWJ", "YWJj\nYWJj"])
def test_what_is_not_base64_is_refused(content):
    with pytest.raises(ArtefactError, match="base64"):
        read_artefact(Artefact(filename="x", sha256="0", content=content))
