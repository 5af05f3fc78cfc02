"""Retention while recording: only sealed sessions of the names recorded, at once and every ten minutes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from docs.example import MONDAY, TUESDAY, add_crashed, add_session, sink
from wsrecorder.clock import VirtualClock
from wsrecorder.core.event import to_epoch_ns
from wsrecorder.core.retention import Limit
from wsrecorder.jobs import keeping as keeping_module
from wsrecorder.jobs.keeping import keep_within, prune_once
from wsrecorder.store.library import Library

LATER_NS = to_epoch_ns(TUESDAY + timedelta(days=10))
OLD = Limit(age_ns=86_400_000_000_000)


def test_only_sessions_of_those_names_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = add_session(tmp_path, "engine")
    snapshot = add_session(tmp_path, "engine-snapshot")
    other = add_session(tmp_path, "other")
    with caplog.at_level("INFO", "wsrecorder.record"):
        removed = prune_once(tmp_path, {"engine", "engine-snapshot"}, OLD, LATER_NS)
    assert sorted(removed) == sorted([old.name, snapshot.name])
    assert Library(tmp_path).paths() == [other]
    assert f"removed {old.name}" in caplog.text


def test_others_do_not_count_towards_the_size(tmp_path: Path) -> None:
    mine, other = add_session(tmp_path, "engine"), add_session(tmp_path, "other")
    size_bytes = sum(path.stat().st_size for path in mine.rglob("*") if path.is_file())
    assert prune_once(tmp_path, {"engine"}, Limit(size_bytes=size_bytes), LATER_NS) == []
    assert prune_once(tmp_path, {"engine"}, Limit(size_bytes=size_bytes - 1), LATER_NS) == [mine.name]
    assert Library(tmp_path).paths() == [other]


def test_what_is_being_recorded_or_was_never_sealed_stays(tmp_path: Path) -> None:
    cut = add_crashed(tmp_path, "engine")
    recording = sink(tmp_path, "engine", MONDAY)
    try:
        assert prune_once(tmp_path, {"engine"}, OLD, LATER_NS) == []
        assert Library(tmp_path).paths() == sorted([cut, recording.path])
    finally:
        recording.abandon()


def test_trouble_is_logged_and_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert prune_once(tmp_path / "file", {"engine"}, OLD, LATER_NS) == []
    assert "old sessions cannot be removed" in caplog.text
    add_session(tmp_path, "engine")
    (tmp_path / "link").symlink_to(tmp_path)
    assert len(prune_once(tmp_path, {"engine"}, OLD, LATER_NS)) == 1


async def test_it_is_done_at_once_and_every_ten_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VirtualClock()
    done: list[int] = []
    monkeypatch.setattr(keeping_module, "prune_once", lambda *arguments: done.append(arguments[3] - clock.wall_ns()))
    keeper = asyncio.create_task(keep_within(tmp_path, {"engine"}, OLD, clock))
    began_ns = clock.now_ns()
    while len(done) < 3:  # noqa: ASYNC110 -- each turn is done on a thread
        await asyncio.sleep(0)
    keeper.cancel()
    assert 2 * 600_000_000_000 <= clock.now_ns() - began_ns <= 3 * 600_000_000_000
