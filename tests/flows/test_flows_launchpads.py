"""LaunchPad files that are wrong: typed errors, no password, no time lost."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner

from atomate2_vogen.cli.main import cli
from atomate2_vogen.errors import LaunchPadConnectionError, LaunchPadError
from atomate2_vogen.flows import launchpads
from atomate2_vogen.flows.launchpads import open_launchpad

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(launchpads, "OPEN_MS", 20)


@pytest.mark.parametrize(
    "fields",
    [
        {"host": f"mongodb://user:{SECRET}@127.0.0.1:1"},
        {"host": f"mongodb://user:{SECRET}@127.0.0.1:1/db", "uri_mode": True, "name": "x"},
        {"host": f"mongodb://us er:{SECRET}@127.0.0.1:1/db", "uri_mode": True, "name": "x"},
        {"host": f"mongodb://user:{SECRET}/x@127.0.0.1:1/db", "uri_mode": True, "name": "x"},
        {"host": f"user:{SECRET}@127.0.0.1", "port": 1},
        {"host": "127.0.0.1", "port": 1, "username": "u", "password": SECRET},
        {"host": "127.0.0.1", "port": 10**9, "username": "u", "password": SECRET},
        {"host": "127.0.0.1", "port": 1, "username": SECRET, "password": [SECRET]},
        {"host": "127.0.0.1", "port": 1, "mongoclient_kwargs": {"tls": SECRET, "password": SECRET}},
        {"host": [f"mongodb://user:{SECRET}@127.0.0.1:1"]},
        {"host": {"a": f"user:{SECRET}@x"}},
        {"host": "h" * 300 + f":{SECRET}@x", "port": 1},
        {"host": "127.0.0.1", "port": 1, "strm_lvl": f"mongodb://user:{SECRET}@x"},
        {"host": "127.0.0.1", "port": f"user:{SECRET}@x"},
        {"host": "127.0.0.1", "port": 1, "name": f"mongodb://user:{SECRET}@x"},
        {"host": "127.0.0.1", "port": 1, "mongoclient_kwargs": [SECRET]},
        {"host": "127.0.0.1", "port": 1, "uri_mode": SECRET},
    ],
)  # fmt: skip
def test_no_field_shows_a_password(tmp_path, fields):
    path = tmp_path / "my_launchpad.json"
    path.write_text(json.dumps(fields))
    with pytest.raises((LaunchPadError, LaunchPadConnectionError)) as caught:
        open_launchpad(path)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
    shown = CliRunner().invoke(cli, ["recover", "--dry-run", "-l", str(path)])
    assert shown.exit_code in {1, 2}
    assert SECRET not in shown.output


@pytest.mark.parametrize("name", ["~nobody-here/my_launchpad.yaml", "nul\0nul", "x" * 300])
def test_paths_that_no_file_can_have(name):
    with pytest.raises(LaunchPadError, match=r"no such user|no path"):
        open_launchpad(name)


def test_an_alias_bomb_is_refused_at_once(tmp_path):
    path = tmp_path / "my_launchpad.yaml"
    lines = ["m0: &m0 {a: 1}"]
    lines += [f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}" for i in range(1, 12)]
    path.write_text("\n".join(lines))
    began = time.process_time()
    with pytest.raises(LaunchPadError, match="references"):
        open_launchpad(path)
    assert time.process_time() - began < 5
