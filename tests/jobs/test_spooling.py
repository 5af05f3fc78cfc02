"""How recordings into object storage begin, and what becomes of those that a crash has left."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytest.importorskip("obstore", reason="object storage is the extra s3")

from tests.store.buckets import bring, new_library
from tests.store.sessions import IDENTITY, batches, events, fill, parquet_sink, read
from wsrecorder.errors import StorageError, StoreAway
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.spooling import Leftovers, begin_spooled, bring_leftovers, predecessor_there, refuse_full_spool
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store.hive import session_place
from wsrecorder.store.manifest import MANIFEST_NAME, Health
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.remote import RemoteStore

NAMELESS = msgspec.structs.replace(IDENTITY, id="")


def options(spool: Path, **changes: Any) -> RecordOptions:
    return RecordOptions(feed=FeedOptions("ws://feed/ws/"), spool=spool, sync=False, **changes)


@pytest.fixture
def library() -> ObjectPath:
    return new_library()


def broken(monkeypatch: pytest.MonkeyPatch, library: ObjectPath, error: StorageError) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    for name in ("get", "put", "put_new", "head", "folders"):
        monkeypatch.setattr(library.objects, name, refuse)


def test_two_machines_that_begin_in_the_same_second_get_ids_of_their_own(tmp_path: Path, library: ObjectPath) -> None:
    sinks = [
        begin_spooled(options(tmp_path / name), library, msgspec.structs.replace(NAMELESS, host=name))
        for name in ("one", "other", "other")
    ]

    ids = [sink.manifest.identity.id for sink in sinks]
    assert ids == [IDENTITY.id, f"{IDENTITY.id}-2", f"{IDENTITY.id}-3"]
    for sink in sinks:
        for rows in batches(40):
            sink.append(rows)
        sink.close(Health())
        assert read(RemoteStore(sink.path)) == events(40)
    assert list((tmp_path / "other").iterdir()) == []


def test_a_store_that_is_away_keeps_nobody_from_recording(
    tmp_path: Path, library: ObjectPath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken(monkeypatch, library, StoreAway("the store is away", hint="wait"))
    assert predecessor_there(library, "test", "ws://feed/ws/") is None
    with caplog.at_level(logging.WARNING, "wsrecorder.record"):
        sink = begin_spooled(options(tmp_path), library, NAMELESS)
    monkeypatch.undo()
    sink.append(next(iter(batches(20))))
    sink.close(Health())

    assert "recording begins all the same" in caplog.text
    assert read(RemoteStore(sink.path)) == events(20)


def test_a_store_that_refuses_is_told_before_anything_is_recorded(
    tmp_path: Path, library: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, library, StorageError("may not be used", hint="look at the keys"))

    with pytest.raises(StorageError, match="may not be used"):
        begin_spooled(options(tmp_path), library, NAMELESS)

    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_brought_keeps_nothing_else_from_it(tmp_path: Path, library: ObjectPath) -> None:
    for number in range(2):
        sink = begin_spooled(options(tmp_path), library, NAMELESS)
        for rows in batches(20 + 20 * number):
            sink.append(rows)
        sink.abandon()
    first = session_place(library, IDENTITY)
    first.objects.put((first / MANIFEST_NAME).key, b"of somebody else")
    brought: list[str] = []

    errors = bring_leftovers(tmp_path, lambda recovery: brought.append(recovery.id))

    assert len(errors) == 1
    assert brought == [f"{IDENTITY.id}-2"]
    assert [folder.name for folder in tmp_path.iterdir()] == [IDENTITY.id]


def test_what_is_being_brought_when_the_recording_ends_waits_for_the_next_one(
    tmp_path: Path, library: ObjectPath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        sink = begin_spooled(options(tmp_path), library, NAMELESS)
        for rows in batches(20):
            sink.append(rows)
        sink.abandon()
    put_new, is_under_way, may_go_on = library.objects.put_new, threading.Event(), threading.Event()

    def slowly(key: str, content: bytes) -> str:
        is_under_way.set()
        assert may_go_on.wait(30)
        return put_new(key, content)

    monkeypatch.setattr(library.objects, "put_new", slowly)
    left = Leftovers(tmp_path)
    assert is_under_way.wait(30)
    ending = threading.Thread(target=left.end)
    ending.start()
    assert left._is_over.wait(30)
    assert ending.is_alive()  # the store's library is not left while it is at work for us
    may_go_on.set()
    ending.join(30)

    assert not ending.is_alive()
    assert not [thread for thread in threading.enumerate() if thread.name == "wsrec-leftovers"]
    assert [folder.name for folder in tmp_path.iterdir()] == [f"{IDENTITY.id}-2"]
    assert not caplog.records
    monkeypatch.undo()
    assert bring_leftovers(tmp_path) == []


def test_a_spool_that_is_full_is_told_before_anything_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "waits").write_bytes(bytes(1_000))

    assert refuse_full_spool(options(tmp_path, spool_max_bytes=1_001)) == tmp_path
    with pytest.raises(StorageError, match="--spool-max allows"):
        refuse_full_spool(options(tmp_path, spool_max_bytes=1_000))


def test_a_recording_goes_on_from_the_one_before_it(tmp_path: Path, library: ObjectPath) -> None:
    sink = parquet_sink(tmp_path)
    fill(sink, 40)
    bring(sink.path, library)

    assert predecessor_there(library, "test", "ws://feed/ws/") == IDENTITY.id
