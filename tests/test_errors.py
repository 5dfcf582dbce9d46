"""Texts of errors have a length that a document and a terminal bear."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import cheap_engine
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jobflow import Maker, job, run_locally

from atomate2_vogen.cli.main import VogenGroup
from atomate2_vogen.errors import (
    LONGEST_REASON,
    LONGEST_TRACE,
    InputError,
    reason,
    shortened,
    trace,
)
from atomate2_vogen.jobs.guard import GuardedMaker, JobFailure
from atomate2_vogen.jobs.screening import record
from atomate2_vogen.jobs.tolerance import guard_flow
from atomate2_vogen.stores import VogenStores

HUGE = "x" * 21_000_000


@given(st.text(), st.integers(100, 3000))
def test_a_text_keeps_its_ends(text, longest):
    found = shortened(text, longest)
    assert len(found) <= longest
    assert found == text or len(text) > longest
    assert found[:20] == text[:20]
    assert found[-10:] == text[-10:]


@given(st.integers(2001, 10**6))
def test_what_is_left_out_is_said(length):
    assert str(length) in shortened("a" * length)


def test_an_error_without_words_has_a_name():
    assert reason(KeyError()) == "KeyError()"
    assert reason(InputError("no")) == "no"


def test_a_traceback_is_shortened_too():
    with pytest.raises(ValueError, match="xxx") as caught:
        Verbose.make.original(Verbose(), None)
    found = trace(caught.value)
    assert len(found) <= LONGEST_TRACE
    assert found.startswith("Traceback")


@dataclass
class Verbose(Maker):
    """Fails with many words."""

    name: str = "verbose"

    @job
    def make(self, structure):
        raise ValueError(HUGE)


def by_maker():
    return GuardedMaker(Verbose()).make(cheap_engine.crystal())


def by_flow():
    made = Verbose().make(cheap_engine.crystal())
    guard_flow(made)
    return made


@pytest.mark.parametrize("guarded", [by_maker, by_flow])
def test_no_job_leaves_a_document_of_millions_of_characters(guarded, caplog):
    caplog.set_level(logging.INFO)
    made = guarded()
    with VogenStores.memory() as stores:
        run_locally(made, store=stores.job_store, log=False)
        found = JobFailure.model_validate(stores.job_store.get_output(made.uuid))
    assert "ValueError: xxx" in found.error
    assert len(found.error) < LONGEST_REASON + 100
    assert all(len(message) < LONGEST_TRACE + 200 for message in caplog.messages)
    document = record.original(
        cheap_engine.candidate(), "s", {}, initial=found, relaxed=found, static=found
    )
    assert document.error.startswith("verbose: ValueError: xxx")
    assert len(document.error) <= LONGEST_REASON


def test_nor_does_a_command_print_them():
    group = VogenGroup()

    @group.command()
    def shout():
        raise InputError(HUGE)

    result = CliRunner().invoke(group, ["shout"])
    assert result.exit_code == 2
    assert len(result.output) < LONGEST_REASON + 100
