from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.formats import builder as builder_module
from wsrecorder.formats.builder import EventBuilder


def built() -> EventBuilder:
    return EventBuilder(EnvelopeReader(ENGINE))


def test_session_begins_with_its_first_event() -> None:
    events = built()
    events.mark(Kind.OPEN, "{}", 500)
    events.text('{"type":"A","ts":7}', b'{"type":"A","ts":7}', 700)
    events.binary(b"\x00", 900, Direction.OUT)
    assert events.take() == [
        Event(0, Kind.OPEN, 0, Direction.IN, 0, 500, detail="{}"),
        Event(1, Kind.MESSAGE, 0, Direction.IN, 200, 700, "A", 7_000, '{"type":"A","ts":7}'),
        Event(2, Kind.MESSAGE, 0, Direction.OUT, 400, 900, binary=b"\x00"),
    ]


@given(st.lists(st.integers(0, 1_000), max_size=30), st.integers(1, 5))
def test_places_never_go_back_and_numbers_have_no_holes(times_ns: list[int], every: int) -> None:
    events = built()
    found: list[Event] = []
    for index, time_ns in enumerate(times_ns):
        events.text("", b"", time_ns)
        if index % every == 0:
            found += events.take()
    found += events.take()
    assert [event.received_ns for event in found] == times_ns
    assert [event.seq for event in found] == list(range(len(times_ns)))
    places = [event.elapsed_ns for event in found]
    assert places == sorted(places)
    assert all(event.elapsed_ns >= event.received_ns - times_ns[0] for event in found)


def test_steps_back_are_counted_and_said() -> None:
    events = built()
    for time_ns in (5, 9, 7, 8, 10):
        events.text("", b"", time_ns)
    assert [event.elapsed_ns for event in events.take()] == [0, 4, 4, 4, 5]
    assert events.stepped_back == 1
    assert events.notes() == ["1 events are earlier than the one before them; the order of the file was kept"]


def test_full_by_events_or_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_module, "BATCH_EVENTS", 2)
    monkeypatch.setattr(builder_module, "BATCH_BYTES", 10)
    events = built()
    events.text("", b"", 0)
    assert not events.is_full
    events.text("", b"", 0)
    assert events.is_full
    events.take()
    events.binary(bytes(10), 0)
    assert events.is_full
