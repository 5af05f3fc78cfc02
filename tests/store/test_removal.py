"""Removing a session: whole or not at all, whenever it is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.sessions import duckdb_sink, fill
from wsrecorder.store import disk
from wsrecorder.store.library import Library
from wsrecorder.store.notes import NoteBook, notes_path
from wsrecorder.store.removal import remove_session, sweep


def test_what_lies_beside_a_file_goes_when_its_removal_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 40)
    NoteBook(sink.path).add("here", elapsed_ns=0, received_ns=0, made_at_ns=0)
    other = NoteBook(tmp_path / "other.duckdb")  # of a file that was moved by hand, say
    other.add("there", elapsed_ns=0, received_ns=0, made_at_ns=0)
    publish = disk.publish

    def end_after_the_first(temporary: Path, path: Path) -> None:
        publish(temporary, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(disk, "publish", end_after_the_first)
        patch.setattr("shutil.rmtree", lambda path: None)
        with pytest.raises(KeyboardInterrupt):
            remove_session(sink.path)
    assert notes_path(sink.path).exists()
    sweep(tmp_path)
    assert Library(tmp_path).paths() == []
    assert list(tmp_path.iterdir()) == [other.path]


def test_the_hidden_folder_is_there_for_good_before_anything_is_moved_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 40)
    steps: list[str] = []
    sync_directory, publish = disk.sync_directory, disk.publish

    def syncing(path: Path) -> None:
        steps.append(f"sync {path.name}")
        sync_directory(path)

    def publishing(temporary: Path, path: Path) -> None:
        steps.append(f"move {temporary.name}")
        publish(temporary, path)

    monkeypatch.setattr(disk, "sync_directory", syncing)
    monkeypatch.setattr(disk, "publish", publishing)
    remove_session(sink.path)
    assert steps[:2] == [f"sync {tmp_path.name}", f"move {sink.path.name}"]
