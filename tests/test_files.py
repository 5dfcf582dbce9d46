"""Files are there whole or not at all, where they belong and nowhere else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomate2_vogen.errors import InputError, StoreAddressError
from atomate2_vogen.files import as_name, check_name, path_inside, user_path, write_atomically


def test_files_are_whole_or_absent(tmp_path: Path, monkeypatch):
    path = tmp_path / "table.csv"
    write_atomically(path, "old")
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_permissions_stay(tmp_path):
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o600)
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_links_stay_links(tmp_path):
    target, link, second = tmp_path / "a" / "real", tmp_path / "link", tmp_path / "b" / "second"
    for file in (target, second):
        file.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    second.symlink_to("../link")
    write_atomically(second, "new")
    assert link.is_symlink()
    assert second.is_symlink()
    assert target.read_text() == "new"
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "a" / "made")
    write_atomically(dangling, "made")
    assert dangling.is_symlink()
    assert (tmp_path / "a" / "made").read_text() == "made"
    assert sorted(entry.name for entry in target.parent.iterdir()) == ["made", "real"]


def test_pipes_are_written_to(tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, "through")
    reader.join(10)
    assert found == [b"through"]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)


def test_devices_stay_devices(tmp_path):
    """One of our own, like the always-full one: a test must not gamble with the machine's."""
    device = tmp_path / "full"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        with device.open("wb"):
            pass
    except PermissionError:
        pytest.skip("only an administrator makes devices")
    with pytest.raises(OSError, match="No space"):
        write_atomically(device, "x" * 100_000)
    assert stat.S_ISCHR(device.lstat().st_mode)


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_standard_output_as_a_target(tmp_path, kind):
    code = (
        "from atomate2_vogen.files import write_atomically as write; import sys; "
        "print('before', flush=True); write('/dev/stdout', 'table\\n'); print('after')"
    )
    words = [sys.executable, "-c", code]
    if kind == "pipe":
        told = subprocess.run(words, capture_output=True, check=True).stdout
    else:
        path = tmp_path / "out"
        with path.open("wb") as file:
            subprocess.run(words, stdout=file, check=True)
        told = path.read_bytes()
    assert told == b"before\ntable\nafter\n"


HOSTILE = [
    "", ".", "..", "../x", "../../x", "/x", "a/b", "a\\b", "..\\x", "C:\\x", "nul\0nul", "new\nline",
    "\x1b[31m", "\x7f", "\u2028", "\ud800", "x" * 201, "é" * 101,
]  # fmt: skip
REAL = [
    "VO2-0123456789ab", "V2O3-1", "files", "V2(PO4)3-12", "mein Kristall.v2", "α-VO2", "~x", "-x",
    "VO2|CHGNet-0.3.0", "$HOME", "x" * 200, "...", ".hidden",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_refused(name):
    with pytest.raises(InputError, match=r"name of a file|separator|character|bytes"):
        check_name(name)
    with pytest.raises(InputError):
        path_inside(Path("folder"), name + "x" * 40 if len(name) > 100 else name)


@pytest.mark.parametrize("name", REAL)
def test_names_that_are_kept(name):
    assert check_name(name) == name


@given(st.text(st.characters(), max_size=300))
def test_no_name_leaves_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    try:
        path = path_inside(folder, name)
    except InputError:
        return
    assert os.path.dirname(os.path.normpath(path)) == str(folder)  # noqa: PTH120 - another way
    assert path.name == name


@given(st.text(st.characters(), max_size=300))
def test_any_text_makes_a_name(text):
    name = as_name(text)
    assert check_name(name) == name
    assert as_name(name) == name


def test_long_texts_keep_names_of_their_own():
    assert as_name("a" * 300) != as_name("a" * 299 + "b")


@pytest.mark.parametrize("text", ["nul\0nul", "~nobody-here/x", "x" * 300, "a/" * 3000, "\ud800\0"])
def test_paths_that_no_file_can_have(text):
    with pytest.raises(StoreAddressError) as caught:
        user_path(text, StoreAddressError)
    assert "\0" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_home_of_a_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x") == tmp_path / "x"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
