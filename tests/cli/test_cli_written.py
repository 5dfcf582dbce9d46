"""Files of earlier runs: those that this package wrote are removed, and no other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from atomate2_vogen.cli.output import OutputFolder
from atomate2_vogen.cli.written import WRITTEN_FILE, note_written, remove_stale


def write(folder, name, content):
    note_written(folder, name, content)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_what_the_last_run_did_not_write_goes(tmp_path: Path):
    files = {name: write(tmp_path, name, name.encode()) for name in ("cifs/a", "cifs/b", "t.csv")}
    other = write(tmp_path, "other/c", b"c")
    assert remove_stale(tmp_path, {"cifs/a"}, ["cifs/", "t.csv"]) == ["cifs/b", "t.csv"]
    assert [path.exists() for path in files.values()] == [True, False, False]
    assert other.exists()  # not looked at
    assert remove_stale(tmp_path, {"cifs/a"}, ["cifs/", "t.csv"]) == []
    assert remove_stale(tmp_path, (), ["cifs/", "other/"]) == ["cifs/a", "other/c"]


def test_files_of_the_user_stay(tmp_path: Path):
    (tmp_path / "cifs").mkdir()
    mine = tmp_path / "cifs" / "mine.cif"
    mine.write_text("mine")
    edited = write(tmp_path, "cifs/edited", b"as written")
    edited.write_bytes(b"as edited")
    target = write(tmp_path, "target", b"linked")
    link = tmp_path / "cifs" / "link"
    note_written(tmp_path, "cifs/link", b"linked")
    link.symlink_to(target)
    assert remove_stale(tmp_path, (), ["cifs/"]) == []
    assert mine.exists()
    assert edited.exists()
    assert link.is_symlink()
    assert target.exists()


def test_every_version_that_was_written_is_known(tmp_path: Path):
    write(tmp_path, "a", b"first")
    note_written(tmp_path, "a", b"second")  # killed before the file was replaced
    assert remove_stale(tmp_path, (), ["a"]) == ["a"]


@pytest.mark.parametrize(
    "name", ["../outside", "cifs/../../outside", "{top}/outside", "cifs/nul\0", "cifs", "", "cifs/"]
)
def test_a_damaged_list_leads_nowhere(tmp_path: Path, name):
    folder = tmp_path / "run"
    (folder / "cifs").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    name = name.format(top=tmp_path)
    lines = [digest, "rubbish", f"{digest}  {name}", digest[:9]]
    (folder / WRITTEN_FILE).write_text("\n".join(lines))
    # what comes after a line that was cut short is read
    kept = write(folder, "cifs/a", b"a")
    assert remove_stale(folder, (), ["cifs/", "../", f"{tmp_path}/", name]) == ["cifs/a"]
    assert outside.exists()
    assert not kept.exists()


def test_the_list_does_not_grow_with_every_run(tmp_path: Path):
    for _ in range(3):
        with OutputFolder(tmp_path, "evaluate", {"version": "0"}) as folder:
            folder.write("stability.csv", "x")
            folder.remove_stale({"stability.csv"}, ["stability.csv"])
    assert len((tmp_path / WRITTEN_FILE).read_text().split()) == 2
