"""A recording into object storage while the store is there, away, or away for good; an hour is no time here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("obstore", reason="object storage is the extra s3")

from tests.store.buckets import new_library
from tests.store.sessions import IDENTITY, STEP_NS, batches, events, read
from wsrecorder.core.recorder import Limits
from wsrecorder.errors import StorageError, StoreAway
from wsrecorder.jobs.recover import recover
from wsrecorder.store.hive import session_place
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Health, Manifest
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.remote import RemoteStore
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.spool import destination_of, leftovers, new_spooled, spooled_bytes
from wsrecorder.store.spooled import SpooledSink
from wsrecorder.store.upload import ManifestThere


class Outage:
    """A store that is away until so much virtual time has been waited; waiting takes no time.

    Attributes:
        waited_s: How long was waited.
        requests: How many requests found it away.
    """

    def __init__(self, objects: Any, monkeypatch: pytest.MonkeyPatch, back_after_s: float = 1e18) -> None:
        self.waited_s = 0.0
        self.requests = 0
        self.back_after_s = back_after_s
        for name in ("get", "get_with_etag", "head", "put", "put_new"):
            monkeypatch.setattr(objects, name, self._unless_away(getattr(objects, name)))

    def _unless_away(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*arguments: Any, **options: Any) -> Any:
            if self.waited_s < self.back_after_s:
                self.requests += 1
                raise StoreAway("the store is away", hint="wait")
            return ask(*arguments, **options)

        return answer

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if event.is_set():
            return True
        self.waited_s += timeout_s
        return False


def wait_never(event: threading.Event, timeout_s: float) -> bool:
    raise AssertionError("there is nothing to wait for")


def sink_into(
    spool: Path, place: ObjectPath, *, wait: Any = wait_never, is_there: bool = True, **options: Any
) -> SpooledSink:
    there = ManifestThere(place)
    if is_there:
        there.claim(Manifest(identity=IDENTITY))
    folder = new_spooled(spool, IDENTITY.id, place)
    limits = Limits(segment_ns=59 * STEP_NS)
    return SpooledSink(folder, place, IDENTITY, limits, there=there, sync=False, wait=wait, **options)


@pytest.fixture
def place() -> ObjectPath:
    return session_place(new_library(), IDENTITY)


def test_what_was_recorded_is_there_and_nothing_is_left_here(tmp_path: Path, place: ObjectPath) -> None:
    sink = sink_into(tmp_path, place)
    assert RemoteStore(place).manifest().events == 0
    for rows in batches(250):
        sink.append(rows)
    manifest = sink.close(Health())

    assert manifest == RemoteStore(place).manifest()
    assert manifest.sealed
    assert len(manifest.segments) == 5
    assert read(RemoteStore(place)) == events(250)
    assert list(tmp_path.iterdir()) == []


def test_an_hour_without_the_store_loses_nothing(
    tmp_path: Path, place: ObjectPath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage(place.objects, monkeypatch, back_after_s=3_600)
    with caplog.at_level(logging.INFO, "wsrecorder.record"):
        sink = sink_into(tmp_path, place, wait=outage.wait, is_there=False, patience_s=7_200)
        for rows in batches(250):
            sink.append(rows)
        sink.close(Health())

    assert read(RemoteStore(place)) == events(250)
    assert list(tmp_path.iterdir()) == []
    assert outage.waited_s >= 3_600
    said = [record.getMessage() for record in caplog.records]
    assert sum("segments wait in" in each for each in said) < outage.requests / 5
    assert sum("all that waited is there" in each for each in said) == 1


def test_a_store_that_stays_away_leaves_all_in_the_spool(
    tmp_path: Path, place: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage(place.objects, monkeypatch)
    sink = sink_into(tmp_path, place, wait=outage.wait, is_there=False)
    for rows in batches(250):
        sink.append(rows)
    with pytest.raises(StorageError, match="is not whole yet: the store is away") as told:
        sink.close(Health())

    assert f"wsrec recover {sink.on_disk}" in told.value.hint
    assert ParquetStore(sink.on_disk).manifest().sealed
    assert leftovers(tmp_path) == [sink.on_disk]
    monkeypatch.undo()

    recovery = recover(open_store(sink.on_disk))

    assert (recovery.path, recovery.events, recovery.exit_code) == (str(place), 250, 0)
    assert read(RemoteStore(place)) == events(250)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [10, 130, 250])
def test_a_recorder_that_died_leaves_what_a_recovery_brings_there(
    tmp_path: Path, place: ObjectPath, count: int
) -> None:
    sink = sink_into(tmp_path, place)
    for rows in batches(count):
        sink.append(rows)
    sink.abandon()  # as a kill does: the journal stays as it is
    assert destination_of(sink.on_disk) == place

    recovery = recover(open_store(sink.on_disk))

    assert (recovery.events, recovery.lost, recovery.cut) == (count, [], [])
    assert read(RemoteStore(place)) == events(count)
    assert RemoteStore(place).manifest().sealed
    assert list(tmp_path.iterdir()) == []


def test_a_recovery_that_is_interrupted_is_done_again(
    tmp_path: Path, place: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = sink_into(tmp_path, place)
    for rows in batches(250):
        sink.append(rows)
    sink.abandon()
    outage = Outage(place.objects, monkeypatch)
    with pytest.raises(StorageError):
        recover(open_store(sink.on_disk))
    outage.back_after_s = 0

    assert recover(open_store(sink.on_disk)).events == 250
    assert read(RemoteStore(place)) == events(250)


def test_a_spool_whose_manifest_is_damaged_goes_by_the_one_that_is_published(tmp_path: Path, place: ObjectPath) -> None:
    sink = sink_into(tmp_path, place)
    for rows in batches(130):
        sink.append(rows)
    sink.abandon()
    (sink.on_disk / "session.json").write_bytes(b"{")

    assert recover(open_store(sink.on_disk)).events == 130
    assert read(RemoteStore(place)) == events(130)


def test_a_cut_journal_is_kept_beside_what_could_be_read(tmp_path: Path, place: ObjectPath) -> None:
    sink = sink_into(tmp_path, place)
    for rows in batches(130):
        sink.append(rows)
    sink.abandon()
    [journal] = (sink.on_disk / EVENTS_FOLDER).glob("*.journal")
    journal.write_bytes(journal.read_bytes()[:-10])

    recovery = recover(open_store(sink.on_disk))

    assert recovery.exit_code == 6
    [kept] = tmp_path.iterdir()
    assert recovery.cut[0].kept_as == kept.name
    assert leftovers(tmp_path) == []
    assert read(RemoteStore(place)) == events(recovery.events)


def test_a_full_spool_takes_nothing_more_until_something_has_left(tmp_path: Path, place: ObjectPath) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "waits").write_bytes(bytes(100_000))
    sink = sink_into(tmp_path, place, max_bytes=100_000)
    first, second = batches(40)

    for _ in range(2):
        with pytest.raises(StorageError, match=r"holds 0\.00 GB, and --spool-max allows 0\.00"):
            sink.append(first)
    (other / "waits").unlink()
    sink.append(first)
    sink.append(second)
    sink.close(Health())

    assert read(RemoteStore(place)) == events(40)


def test_a_spool_that_fills_is_told(tmp_path: Path, place: ObjectPath, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "waits").write_bytes(bytes(60_000))
    sink = sink_into(tmp_path, place, max_bytes=100_000)
    with caplog.at_level(logging.WARNING, "wsrecorder.record"):
        sink.append(next(iter(batches(20))))
    sink.close(Health())

    assert "that are not in object storage yet" in caplog.text
    assert spooled_bytes(tmp_path) == 60_000
