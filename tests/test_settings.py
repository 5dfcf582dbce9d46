"""Settings come from a file and the environment, and what is misspelt is refused."""

from __future__ import annotations

import pytest

from atomate2_vogen.cli.options import default_workers, open_where, usable_cores
from atomate2_vogen.engines.gpaw_process import resolve_command
from atomate2_vogen.errors import SettingsError, StoreAddressError
from atomate2_vogen.settings import VogenSettings, settings


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, and settings that are read anew."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in VogenSettings.model_fields:
        monkeypatch.delenv(f"VOGEN_{name}", raising=False)
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_nothing_set():
    assert settings().STORE is None
    assert default_workers() == usable_cores()


def test_the_environment_comes_before_the_file(home, monkeypatch):
    (home / ".vogen.yaml").write_text("STORE: mongodb://here/a\nWORKERS: 3\n")
    assert settings().STORE == "mongodb://here/a"
    assert default_workers() == 3
    settings.cache_clear()
    monkeypatch.setenv("VOGEN_WORKERS", "5")
    assert (settings().STORE, settings().WORKERS) == ("mongodb://here/a", 5)


def test_another_file(home, monkeypatch):
    (home / "mine.yaml").write_text("THREADS: 2\n")
    monkeypatch.setenv("VOGEN_CONFIG_FILE", "~/mine.yaml")
    assert settings().THREADS == 2
    settings.cache_clear()
    monkeypatch.setenv("VOGEN_CONFIG_FILE", "~/none.yaml")
    with pytest.raises(SettingsError, match=r"none\.yaml: there is no such file"):
        settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("STOR: here", r"no setting is called 'STOR'; did you mean STORE\?"),
        ("threads: 2", r"no setting is called 'threads'; did you mean THREADS\?"),
        ("COLOUR: red", "there are GPAW_COMMAND, STORE, THREADS, WORKERS"),
        ("- STORE", "not a mapping"),
        ("STORE: [", "cannot be read"),
        ("WORKERS: many", "setting WORKERS: .* not 'many'"),
        ("WORKERS: 0", "setting WORKERS: .* not 0"),
    ],
)
def test_a_bad_file_is_refused(home, text, words):
    (home / ".vogen.yaml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        settings()


def test_a_misspelt_variable_is_refused_and_others_are_left_alone(monkeypatch):
    monkeypatch.setenv("VOGEN_MONGO_SECRET", "somebody else's")
    assert settings().STORE is None
    settings.cache_clear()
    monkeypatch.setenv("VOGEN_STORES", "mongodb://here/a")
    with pytest.raises(SettingsError, match=r"'VOGEN_STORES'; did you mean VOGEN_STORE\?"):
        settings()


def test_what_is_set_is_used(home, monkeypatch):
    program = home / "python"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (home / ".vogen.yaml").write_text(f"GPAW_COMMAND: {program}\nSTORE: {home}/nowhere\n")
    monkeypatch.delenv("GPAW_COMMAND", raising=False)
    assert resolve_command() == (str(program),)
    monkeypatch.setenv("GPAW_COMMAND", f"{program} -u")
    assert resolve_command() == (str(program), "-u")
    with pytest.raises(StoreAddressError, match="nowhere: no store in it"):
        open_where(None)


def test_an_address_is_never_told(home, monkeypatch):
    monkeypatch.setenv("VOGEN_STORE", "mongodb://me:hush@here/a")
    assert "hush" not in repr(settings())
    settings.cache_clear()
    monkeypatch.delenv("VOGEN_STORE")
    (home / ".vogen.yaml").write_text("STORE: [mongodb://me:hush@here/a]\n")
    with pytest.raises(SettingsError, match="setting STORE") as caught:
        settings()
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_broken_file_is_not_quoted(home, monkeypatch):
    monkeypatch.setenv("VOGEN_STORE", "mongodb://me:hush@there/a")
    (home / ".vogen.yaml").write_text("STORE: mongodb://me:hush@here/a: x\n")
    with pytest.raises(SettingsError, match="no YAML in line 1") as caught:
        settings()
    assert "hush" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert str(caught.value).startswith(f"settings cannot be read: {home}")
