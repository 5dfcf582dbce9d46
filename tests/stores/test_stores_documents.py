"""Documents come back from what a store, or jobflow, returns."""

from __future__ import annotations

import pytest

from atomate2_vogen.errors import ArtefactError
from atomate2_vogen.schemas import TrainingDoc, VogenDoc
from atomate2_vogen.stores import parse


class Told(VogenDoc):
    """A document of a job."""

    what: str


def test_contents_and_documents_are_documents():
    document = Told(what="gap")
    assert parse(Told, document.model_dump()).what == "gap"
    # jobflow decodes the output of a job that refers to those of others
    assert parse(Told, document) is document


def test_what_does_not_fit_is_refused():
    with pytest.raises(ArtefactError, match="no TrainingDoc: model_id: Field required"):
        parse(TrainingDoc, {"what": "gap"})
    with pytest.raises(ArtefactError, match="no TrainingDoc"):
        parse(TrainingDoc, Told(what="gap"))
