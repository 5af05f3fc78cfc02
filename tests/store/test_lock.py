"""One writer a session; a writer that died is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.sessions import parquet_sink
from wsrecorder.errors import SessionError, StorageError
from wsrecorder.store.lock import LOCK_NAME, SessionLock, is_locked

PROJECT = Path(__file__).parents[2]


def test_a_second_writer_is_told_who_holds_the_session(tmp_path: Path) -> None:
    with SessionLock(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(SessionError, match=f"is being written by process {os.getpid()}") as caught:
            SessionLock(tmp_path)
        assert "wait" in caught.value.hint
    assert not is_locked(tmp_path)


def test_a_released_lock_leaves_no_file_and_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(3):
        lock = SessionLock(tmp_path)
        lock.release()
        lock.release()
        assert list(tmp_path.iterdir()) == []


def test_a_file_left_by_a_killed_writer_locks_nothing(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from wsrecorder.store.lock import SessionLock; "
    code += "lock = SessionLock(Path(sys.argv[1])); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=PROJECT, check=True)
    assert (tmp_path / LOCK_NAME).exists()
    assert not is_locked(tmp_path)
    with SessionLock(tmp_path):
        assert is_locked(tmp_path)


def test_another_process_is_kept_out(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from wsrecorder.store.lock import SessionLock; "
    code += "SessionLock(Path(sys.argv[1]))"
    with SessionLock(tmp_path):
        ended = subprocess.run(
            [sys.executable, "-c", code, tmp_path], cwd=PROJECT, check=False, capture_output=True, text=True
        )
    assert ended.returncode != 0
    assert f"is being written by process {os.getpid()}" in ended.stderr


def test_a_file_that_was_removed_between_opening_and_locking_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open
    tries: list[int] = []

    def opening(path: Path, *flags: int) -> int:
        descriptor = opened(path, *flags)
        tries.append(descriptor)
        if len(tries) == 1:
            path.unlink()  # whoever held it ends just now
        return descriptor

    monkeypatch.setattr(os, "open", opening)
    with SessionLock(tmp_path):
        assert len(tries) == 2
        monkeypatch.undo()
        assert is_locked(tmp_path)


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        SessionLock(tmp_path / "nowhere")
    assert not is_locked(tmp_path / "nowhere")


def test_a_sink_holds_the_lock_until_it_is_closed(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path)
    assert is_locked(sink.path)
    sink.abandon()
    assert not is_locked(sink.path)
