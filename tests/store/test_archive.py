"""A session written from a log: what a crash leaves, and where it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.test_log_message import message
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.recorder import Limits
from wsrecorder.errors import SessionError
from wsrecorder.store.archive import ArchivedSession
from wsrecorder.store.manifest import Health, Identity, Manifest
from wsrecorder.store.schema import from_rows, iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.sink import ParquetSink

IDENTITY = Identity(id="20260101T000000Z-e", name="e", started_ns=10**18)


def archived(library: Path) -> ArchivedSession:
    return ArchivedSession(library, IDENTITY, "EVENTS")


def events(*seqs: int) -> list[Event]:
    return [message(seq) for seq in seqs]


def held(library: Path) -> list[Event]:
    store = ParquetStore(library / IDENTITY.id)
    return [event for rows in store.batches(Selection()) for event in iter_events(rows)]


def test_what_is_committed_is_there_and_what_is_only_held_is_not(tmp_path: Path) -> None:
    session = archived(tmp_path)
    session.add(from_rows(events(0, 1)))
    assert session.held_bytes
    assert session.commit(7) == 2
    assert session.commit(7) == 0
    session.add(from_rows(events(2)))
    session.close()
    assert held(tmp_path) == events(0, 1)
    again = archived(tmp_path)
    assert again.next_seq == 2
    again.close()


def test_a_segment_that_the_manifest_does_not_know_yet_counts(tmp_path: Path) -> None:
    session = archived(tmp_path)
    before = (session.path / "session.json").read_bytes()
    session.add(from_rows(events(0, 1)))
    session.commit(7)
    session.close()
    (session.path / "session.json").write_bytes(before)  # killed between the two
    again = archived(tmp_path)
    assert again.next_seq == 2
    again.add(from_rows(events(2)))
    again.commit(9)
    again.finish(Manifest(identity=IDENTITY, health=Health(reconnects=3)))
    again.close()
    manifest = ParquetStore(again.path).manifest()
    assert (manifest.sealed, manifest.events, len(manifest.segments), manifest.health.reconnects) == (True, 3, 2, 3)
    assert manifest.types == {"A": 3}
    assert held(tmp_path) == events(0, 1, 2)


def test_what_the_log_has_dropped_is_a_gap(tmp_path: Path) -> None:
    session = archived(tmp_path)
    session.add(from_rows(events(5, 6)))
    session.commit(7)
    session.close()
    again = archived(tmp_path)
    assert again.next_seq == 7
    again.add(from_rows(events(7)))
    again.commit(8)
    again.close()
    found = held(tmp_path)
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
