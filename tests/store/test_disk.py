"""The disk seam: what it does is whole or not there, and what goes wrong says what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from wsrecorder.errors import StorageError
from wsrecorder.store import disk


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    disk.replace_atomically(path, b"one")
    disk.replace_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["session.json"]


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "name a place that can be written"),
        (errno.EACCES, "the right to write"),
        (errno.EIO, "check the disk"),
    ],
)
def test_each_refusal_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str) -> None:
    def refuse(file: object) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "session.json"
    disk.replace_atomically(path, b"one")
    monkeypatch.setattr(disk, "sync", refuse)
    with pytest.raises(StorageError, match=os.strerror(number)) as caught:
        disk.replace_atomically(path, b"two")
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message
    # What was there is still there, and nothing half-written beside it.
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["session.json"]


def test_a_full_disk_is_told_by_the_system_itself(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    file = full.open("wb", buffering=0)
    with file, pytest.raises(StorageError, match="No space left"), disk.storage_errors(tmp_path):
        file.write(b"x")


def synced_folders(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list to which every folder that is synced from now on is added."""
    synced: list[Path] = []
    sync_directory = disk.sync_directory

    def syncing(path: Path) -> None:
        sync_directory(path)
        synced.append(path)

    monkeypatch.setattr(disk, "sync_directory", syncing)
    return synced


def test_a_new_folder_and_its_parents_outlive_a_power_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = synced_folders(monkeypatch)
    disk.make_directory(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    disk.make_directory(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]


def test_a_name_is_synced_when_it_is_another_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = synced_folders(monkeypatch)
    path = tmp_path / "x.wal"
    assert disk.sync_name(path) is None
    assert synced == []
    path.touch()
    inode = disk.sync_name(path, None)
    assert (inode, synced) == (path.stat().st_ino, [tmp_path])
    assert disk.sync_name(path, inode) == inode
    assert synced == [tmp_path]


def test_a_new_file_is_never_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with disk.create(path) as file:
        file.write(b"first")
    with pytest.raises(StorageError, match="exists"):
        disk.create(path)
    assert path.read_bytes() == b"first"


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    disk.make_directory(tmp_path / "a" / "b")
    disk.make_directory(tmp_path / "a" / "b")
    with pytest.raises(FileExistsError):
        disk.make_directory(tmp_path / "a", exist_ok=False)


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="is a file, expected a folder"):
        disk.make_directory(tmp_path / "file")
    with pytest.raises(StorageError, match="Not a directory") as caught:
        disk.make_directory(tmp_path / "file" / "folder")
    assert "a part of this path is a file" in caught.value.hint


def test_names_are_sorted_and_a_missing_folder_has_none(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name).write_text("")
    assert disk.list_names(tmp_path) == ["a", "b", "c"]
    assert disk.list_names(tmp_path / "nowhere") == []
    with pytest.raises(StorageError, match="Not a directory"):
        disk.list_names(tmp_path / "a")


def test_what_is_moved_aside_never_covers_what_was_before(tmp_path: Path) -> None:
    path = tmp_path / "000000.journal"
    for content in ("one", "two", "three"):
        path.write_text(content)
        disk.move_aside(path, ".cut")
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == {
        "000000.journal.cut": "one",
        "000000.journal.cut2": "two",
        "000000.journal.cut3": "three",
    }


def test_removing_what_is_not_there_is_done(tmp_path: Path) -> None:
    disk.remove(tmp_path / "nothing")
    disk.discard(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError):
        disk.remove(tmp_path / "folder")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_filesystem_that_cannot_sync_folders_is_put_up_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, "unsupported")

    monkeypatch.setattr(os, "fsync", refuse)
    disk.sync_directory(tmp_path)


def test_any_other_failure_to_sync_a_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="broken"):
        disk.sync_directory(tmp_path)
