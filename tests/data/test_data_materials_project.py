"""Crystals of the Materials Project, from answers in the form that its API documents."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlparse

import pytest
from click.testing import CliRunner
from materials_project_server import ANSWER, KEY, RUTILE, materials_project
from pymatgen.core import SETTINGS, Structure

from atomate2_vogen.chemistry import VANADIUM
from atomate2_vogen.cli.main import cli
from atomate2_vogen.data.materials_project import download_known
from atomate2_vogen.errors import DatabaseError, InputError


def test_crystals_come_with_their_ids():
    with materials_project({"data": ANSWER}) as asked:
        found = download_known()
        low = download_known(max_hull=0.1)
    assert [(one.name, one.formula) for one in found] == [("mp-19094", "VO2"), ("mp-19184", "VO")]
    assert found[0].structure == RUTILE
    assert [one.name for one in low] == ["mp-19094"]
    path, key = asked[0]
    query = parse_qs(urlparse(path).query)
    assert urlparse(path).path == "/materials/summary/"
    assert query["chemsys"] == [VANADIUM.chemsys]
    assert key == KEY


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ({"detail": "no"}, 401, "status code 401"),
        ({"detail": "no"}, 400, "no"),
        ({"data": [{"material_id": "mp-1"}]}, 200, "another form"),
        ({"data": [{"material_id": "mp-1", "energy_above_hull": 0, "structure": 7}]}, 200, "form"),
    ],
)
def test_other_answers_are_errors_without_the_key(answer, status, said):
    with materials_project(answer, status), pytest.raises(DatabaseError, match=said) as caught:
        download_known()
    assert KEY not in str(caught.value)


def test_an_unreachable_server_is_named(monkeypatch):
    monkeypatch.setitem(SETTINGS, "PMG_MAPI_ENDPOINT", "http://127.0.0.1:1/")
    with pytest.raises(DatabaseError, match="gave no answer"):
        download_known(api_key=KEY)


def test_without_a_key_the_way_to_one_is_told(monkeypatch):
    monkeypatch.setitem(SETTINGS, "PMG_MAPI_KEY", "short")
    with pytest.raises(InputError, match="PMG_MAPI_KEY"):
        download_known()
    with pytest.raises(InputError, match="energy above hull"):
        download_known(api_key=KEY, max_hull=float("nan"))


def test_the_command_writes_files_that_known_takes(tmp_path):
    with materials_project({"data": ANSWER}):
        done = CliRunner().invoke(cli, ["known", "--from-mp", "--out", str(tmp_path / "mp")])
        told = CliRunner().invoke(
            cli, ["known", "--from-mp", "--json", "--out", str(tmp_path / "mp")]
        )
        none = CliRunner().invoke(
            cli, ["known", "--from-mp", "--max-hull", "0.001", "--out", str(tmp_path / "no")]
        )
    assert done.exit_code == 0, done.output
    assert "2 crystals of O-V" in done.stderr
    assert Structure.from_file(tmp_path / "mp/mp-19094.cif").matches(RUTILE)
    assert json.loads(told.stdout)["crystals"] == ["mp-19094", "mp-19184"]
    assert none.exit_code == 2
    assert "that low" in none.stderr
    assert CliRunner().invoke(cli, ["known", "--out", str(tmp_path)]).exit_code == 2
