"""Passwords are hidden wherever text is shown."""

from __future__ import annotations

import pytest

from atomate2_vogen.errors import InputError, MissingDependencyError, VogenError
from atomate2_vogen.masking import mask, printable, secrets_in

SECRET = "hunter2"
PLACES = [
    f"mongodb://user:{SECRET}@host/db",
    f"cannot reach mongodb://user:{SECRET}@host/db: it is down",
    f"mongodb+srv://user:{SECRET}@host",
    f"https://me:{SECRET}@host",
    f"mongodb://us er:{SECRET}@host",
    f"mongodb://user:{SECRET} '@host",
    f"mongodb://user:a@{SECRET}@host",
    f"user:{SECRET}@host:27017",
    f"host mongodb://h/db?authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}&w=1",
    f"mongodb://h/db?tlsCertificateKeyFilePassword={SECRET}",
    f"?password={SECRET}",
    f":{SECRET}@x@h st/../x?",
    f"/home/me/:{SECRET}@host",
]


@pytest.mark.parametrize("text", PLACES)
@pytest.mark.parametrize("kind", [VogenError, InputError, MissingDependencyError])
def test_no_error_bears_a_password(text, kind):
    assert SECRET not in mask(text)
    assert SECRET not in str(kind(text))
    assert SECRET not in repr(kind(text))
    assert SECRET not in repr(kind(text).args)


@pytest.mark.parametrize(
    "text",
    [
        "give a mongodb:// URI, or a folder",
        "VO2: no energy is given; write VO2=1 @ 300 K",
        "a.cif (block 2): V0 and O1 are 0.5 Å apart",
        "user, password and options: write %40 for @, %2F for /, %3F for ? and %25 for %",
        "/home/me/run@cluster/a.cif: the file is empty",
        "https://www.w3.org/TR/WCAG20/ says so",
        "2026-01-01T00:00:00+00:00",
    ],
)
def test_other_text_stays(text):
    assert mask(text) == text


@pytest.mark.parametrize(
    "unit", ["x", ":", "a:", "://", "a://b", "mongodb://", "password", "@", " @"]
)
def test_a_very_long_text_takes_no_time(unit):
    # a pattern that is tried anew from every letter to the end would take hours
    assert len(mask(unit * 200_000)) > 0
    assert SECRET not in mask(f"{unit * 200_000} mongodb://user:{SECRET}@host")


def test_known_secrets_in_every_encoding():
    secret = "p@ss/w:rd é"
    for form in ("p@ss/w:rd é", "p%40ss%2Fw%3Ard%20%C3%A9", "p%40ss%2Fw%3Ard+%C3%A9"):
        assert form not in mask(f"told {form} here", [secret])


def test_secrets_of_a_file():
    content = {
        "host": "mongodb://user:hunter2@there",
        "password": "hunter3",
        "mongoclient_kwargs": {"tlsCertificateKeyFilePassword": "hunter4", "w": 1},
        "tokens": ["hunter5"],
        "name": "fireworks",
        "list": [{"secret": 66666}],
    }
    found = secrets_in(content)
    assert {"hunter2", "hunter3", "hunter4", "hunter5", "66666"} <= set(found)
    assert "fireworks" not in found


def test_what_would_command_a_terminal_is_escaped():
    assert printable("a\x1b[31mb\0c\ud800") == "a\\x1b[31mb\\x00c\\ud800"
    assert printable("Å – 日本") == "Å – 日本"
