"""A session written from a log, in a folder and in object storage: what a crash leaves, and where it goes on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.core.test_log_message import message
from tests.store.buckets import new_library
from tests.store.gcs_stand_in import GcsStandIn
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.recorder import Limits
from wsrecorder.errors import Overtaken, SegmentDamaged, SessionError, StoreAway
from wsrecorder.store.archive import ArchivedSession
from wsrecorder.store.hive import session_place
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import MANIFEST_NAME, Health, Identity, Manifest
from wsrecorder.store.objects import Objects, open_objects
from wsrecorder.store.place import ObjectPath, Place
from wsrecorder.store.schema import from_rows, iter_events
from wsrecorder.store.segment import check_segment
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import EVENTS_FOLDER
from wsrecorder.store.sink import ParquetSink

_BUCKETS = count()

IDENTITY = Identity(id="20260101T000000Z-e", name="e", started_ns=10**18)


@pytest.fixture(params=["memory", "gs"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectPath]:
    """A library in object storage that holds nothing yet."""
    pytest.importorskip("obstore", reason="object storage is the extra s3")
    if request.param == "memory":
        yield new_library()
        return
    with GcsStandIn() as server:
        monkeypatch.setenv("GOOGLE_BASE_URL", server.url)
        monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "test")
        open_objects.cache_clear()
        # Of its own: the ends of segments are kept by their URL.
        yield ObjectPath(f"gs://desk-{next(_BUCKETS)}", "recordings")
    open_objects.cache_clear()


@pytest.fixture(params=["folder", "objects"])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A library that holds nothing yet, on a disk and in object storage."""
    if request.param == "folder":
        return tmp_path
    pytest.importorskip("obstore", reason="object storage is the extra s3")
    return new_library()


def archived(library: Place) -> ArchivedSession:
    return ArchivedSession(library, IDENTITY, "EVENTS")


def events(*seqs: int) -> list[Event]:
    return [message(seq) for seq in seqs]


def path_in(library: Place) -> Place:
    return session_place(library, IDENTITY) if isinstance(library, ObjectPath) else library / IDENTITY.id


def held(library: Place) -> list[Event]:
    store = open_store(path_in(library))
    return [event for rows in store.batches(Selection()) for event in iter_events(rows)]


def write_back(path: Place, content: bytes) -> None:
    if isinstance(path, ObjectPath):
        path.objects.put(path.key, content)
    else:
        path.write_bytes(content)


def test_what_is_committed_is_there_and_what_is_only_held_is_not(library: Place) -> None:
    session = archived(library)
    session.add(from_rows(events(0, 1)))
    assert session.held_bytes
    assert session.commit(7) == 2
    assert session.commit(7) == 0
    session.add(from_rows(events(2)))
    session.close()
    assert held(library) == events(0, 1)
    again = archived(library)
    assert again.next_seq == 2
    again.close()


def test_a_segment_that_the_manifest_does_not_know_yet_counts(library: Place) -> None:
    session = archived(library)
    before = (session.path / MANIFEST_NAME).read_bytes()
    session.add(from_rows(events(0, 1)))
    session.commit(7)
    session.close()
    write_back(session.path / MANIFEST_NAME, before)  # killed between the two
    again = archived(library)
    assert again.next_seq == 2
    again.add(from_rows(events(2)))
    again.commit(9)
    again.finish(Manifest(identity=IDENTITY, health=Health(reconnects=3)))
    again.close()
    manifest = open_store(again.path).manifest()
    assert (manifest.sealed, manifest.events, len(manifest.segments), manifest.health.reconnects) == (True, 3, 2, 3)
    assert manifest.types == {"A": 3}
    assert held(library) == events(0, 1, 2)


def test_what_the_log_has_dropped_is_a_gap(library: Place) -> None:
    session = archived(library)
    session.add(from_rows(events(5, 6)))
    session.commit(7)
    session.close()
    again = archived(library)
    assert again.next_seq == 7
    again.add(from_rows(events(7)))
    again.commit(8)
    again.close()
    found = held(library)
    assert [(event.seq, event.kind) for event in found] == [(0, Kind.GAP), *((seq, Kind.MESSAGE) for seq in (1, 2, 3))]
    assert found[0].detail == '{"cause":"the stream had dropped them","events":5}'
    assert [event.text for event in found[1:]] == [event.text for event in events(5, 6, 7)]


def test_a_session_from_elsewhere_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / IDENTITY.id
    (folder / EVENTS_FOLDER).mkdir(parents=True)
    sink = ParquetSink(folder, IDENTITY, Limits())
    sink.append(from_rows(events(0)))
    sink.close(Health())
    with pytest.raises(SessionError, match="was not archived from stream EVENTS"):
        archived(tmp_path)


def test_one_writes_at_a_time(tmp_path: Path) -> None:
    session = archived(tmp_path)
    with pytest.raises(SessionError, match="is being written"):
        archived(tmp_path)
    session.close()


def test_of_two_writers_the_second_is_told_and_goes_on_behind_the_first(bucket: ObjectPath) -> None:
    one, other = archived(bucket), archived(bucket)
    one.add(from_rows(events(0, 1)))
    other.add(from_rows(events(0, 1, 2)))
    assert one.commit(7) == 2
    with pytest.raises(Overtaken, match=r"000000\.parquet is there already"):
        other.commit(8)
    again = archived(bucket)
    assert again.next_seq == 2
    again.add(from_rows(events(2)))
    assert again.commit(8) == 1
    one.add(from_rows(events(2, 3)))
    with pytest.raises(Overtaken):
        one.commit(9)
    assert held(bucket) == events(0, 1, 2)


def test_a_manifest_takes_the_place_of_the_one_that_was_read_only(bucket: ObjectPath) -> None:
    one, other = archived(bucket), archived(bucket)
    one.add(from_rows(events(0)))
    one.commit(7)
    with pytest.raises(Overtaken, match="is written by somebody else too"):
        other.finish(Manifest(identity=IDENTITY))
    assert not open_store(one.path).manifest().sealed


def test_two_writers_do_not_begin_a_session_over_each_other(
    bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_new = Objects.put_new

    def later(objects: Objects, key: str, content: bytes) -> str:
        monkeypatch.undo()
        first = archived(bucket)
        first.add(from_rows(events(0)))
        first.commit(7)
        return put_new(objects, key, content)

    monkeypatch.setattr(Objects, "put_new", later)
    with pytest.raises(Overtaken):
        archived(bucket)
    assert open_store(path_in(bucket)).manifest().events == 1


@pytest.mark.parametrize("arrives", [False, True], ids=["lost on the way", "its answer lost"])
@pytest.mark.parametrize("fails_at", range(2))
def test_what_a_store_that_is_away_has_not_taken_is_committed_when_it_is_back(
    arrives: bool, fails_at: int, bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = archived(bucket)
    session.add(from_rows(events(0, 1)))
    put, calls = Objects._put, 0

    def away(objects: Objects, key: str, content: bytes, mode: object) -> str:
        nonlocal calls
        calls += 1
        if calls - 1 == fails_at:
            if arrives:
                put(objects, key, content, mode)
            raise StoreAway("it is away", hint="")
        return put(objects, key, content, mode)

    monkeypatch.setattr(Objects, "_put", away)
    with pytest.raises(StoreAway):
        session.commit(7)
    assert session.commit(7) == 2
    session.add(from_rows(events(2)))
    assert session.commit(8) == 1
    session.finish(Manifest(identity=IDENTITY))
    manifest = open_store(session.path).manifest()
    assert (manifest.events, len(manifest.segments), manifest.sealed) == (3, 2, True)
    assert held(bucket) == events(0, 1, 2)


def test_a_segment_that_is_there_and_damaged_is_not_gone_on_behind(bucket: ObjectPath) -> None:
    path = archived(bucket).path / EVENTS_FOLDER / "000000.parquet"
    write_back(path, b"half a segment")
    with pytest.raises(SegmentDamaged):
        archived(bucket)


@pytest.mark.parametrize("seed", range(20))
def test_writers_that_know_nothing_of_each_other_write_each_event_once(seed: int) -> None:
    pytest.importorskip("obstore", reason="object storage is the extra s3")
    bucket = new_library()
    chance = random.Random(seed)
    writers: list[ArchivedSession | None] = [None] * 3
    for _ in range(120):
        place = chance.randrange(3)
        if (writer := writers[place]) is None or chance.random() < 0.1:  # killed, and begun again
            writers[place] = archived(bucket)
            continue
        try:
            if chance.random() < 0.5:
                count = chance.randint(1, 5)
                writer.add(from_rows(events(*range(writer.next_seq, writer.next_seq + count))))
            else:
                writer.commit(writer.next_seq)
        except Overtaken:
            writers[place] = None
    last = archived(bucket)
    found: list[Event] = []
    for info in last.manifest.segments:  # every byte of it: a reader keeps the end of a segment that it has seen
        check_segment(last.path / EVENTS_FOLDER / info.name, lambda rows: found.extend(iter_events(rows)))
    assert found == events(*range(len(found)))
    assert len(found) == last.next_seq > 20
