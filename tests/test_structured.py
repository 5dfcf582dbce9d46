"""YAML and JSON of strangers: within limits, quickly, with errors that quote nothing."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomate2_vogen.errors import InputError, SettingsError
from atomate2_vogen.structured import MAX_DEPTH, parse_json, read_structured

SECRET = "hunter2"
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 25)
)
MERGES = "m0: &m0 {a: 1}\n" + "".join(
    f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}\n" for i in range(1, 9)
)
SMALL_BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 10)
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4
    ),
    max_leaves=20,
)  # fmt: skip


@given(plain)
def test_what_is_plain_comes_back(content):
    assert parse_json(json.dumps(content), "x", InputError) == content
    assert parse_json(json.dumps(content).encode(), "x", InputError) == content


def test_both_kinds_of_file(tmp_path):
    content = {"host": "localhost", "port": 27017, "more": [1, 2.5, None, True, {"a": "b"}]}
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(content))
    (tmp_path / "a.yaml").write_text(
        "\ufeffhost: localhost\nport: 27017\nmore: &m [1, 2.5, null, true, {a: b}]\nagain: *m\n"
    )
    assert read_structured(tmp_path / "a.json", InputError) == content
    again = {**content, "again": content["more"]}
    assert read_structured(tmp_path / "a.yaml", InputError) == again


@pytest.mark.parametrize(
    ("suffix", "text", "words"),
    [
        (".yaml", BOMB, "references"),
        (".yaml", MERGES, "references"),
        (".yaml", SMALL_BOMB, None),
        (".yaml", "&a\nx: *a\n", "deep"),
        (".yaml", "[" * 50_000, "deep"),
        (".yaml", "- " * 40_000, "deep"),
        (".json", "[" * 50_000, "deep"),
        (".json", '{"a":' * 900 + "1" + "}" * 900, "deep"),
        (".json", "[" * 70 + "]" * 70, "deep"),
        (".yaml", "[" * 70 + "]" * 70, "deep"),
        (".yaml", f"x: {'9' * 5000}", "YAML"),
        (".json", f'{{"x": {"9" * 5000}}}', "digits"),
        (".json", f'{{"x": {"9" * 100}}}', "bits"),
        (".yaml", f"x: 0x{'f' * 5000}", "bits"),
        (".yaml", "1: x", "key"),
        (".yaml", "? [a]\n: x", "key"),
        (".yaml", "null: x", "key"),
        (".yaml", "x: 2020-01-01", "quotes"),
        (".yaml", "x: 2020-99-99", "YAML"),
        (".yaml", "x: !!binary '////'", "quotes"),
        (".yaml", "x: !!python/object/apply:os.system ['true']", "YAML"),
        (".yaml", "x: !!int y", "YAML"),
        (".json", '{"x": "\\u0000"}', "NUL"),
        (".json", '{"x": "\\ud800"}', "surrogate"),
        (".json", '{"a\\u0000": 1}', "NUL"),
        (".json", '{"a": 1, "a": 2}', "twice"),
        (".yaml", "a: b\n" * 30_000, "larger"),
        (".yaml", "a\x00b", "YAML"),
        (".json", "{", "line 1"),
        (".json", "", "line 1"),
    ],
)  # fmt: skip
def test_what_is_refused_soon(tmp_path, suffix, text, words):
    path = tmp_path / f"file{suffix}"
    path.write_text(f"# {SECRET}\n{text}" if suffix == ".yaml" else text)
    began = time.process_time()
    if words is None:
        read_structured(path, SettingsError)
    else:
        with pytest.raises(SettingsError, match=words) as caught:
            read_structured(path, SettingsError)
        assert str(caught.value).startswith(f"{path}: ")
        assert caught.value.__context__ is None
        assert SECRET not in str(caught.value)
        assert len(str(caught.value)) < 400
    assert time.process_time() - began < 10


@pytest.mark.parametrize("content", [b"\xff\xfea", b"\x80", "é".encode("latin-1")])
@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_what_is_no_text(tmp_path, content, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a text file"):
        read_structured(path, InputError)


def test_what_is_no_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_structured(tmp_path / "none.yaml", InputError)
    with pytest.raises(InputError, match="directory"):
        read_structured(tmp_path, InputError)
    with pytest.raises(InputError, match="no name of a file"):
        read_structured(tmp_path / "nul\0nul.json", InputError)


def test_a_file_without_end(tmp_path):
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="larger"):
        read_structured(tmp_path / "zero.yaml", InputError)


@pytest.mark.parametrize(
    "text",
    [
        f"password: {SECRET}\npassword: {SECRET}\n",
        f"password: *{SECRET}\n",
        f"password: !{SECRET} x\n",
        f"password: !!int {SECRET}\n",
        f"password: !!float {SECRET}\n",
        f"password: !!timestamp {SECRET}\n",
        f"password: &{SECRET} {SECRET} {SECRET}: x\n",
        f"'{SECRET}\n",
        f"!<{SECRET}\n",
    ],
)
def test_no_error_repeats_the_file(tmp_path, text):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_structured(path, InputError)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_as_deep_as_allowed():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_json(text, "x", InputError) is not None
