"""Events are plain values: a payload and times, exact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.event import Batch, Direction, Event, Kind, Mark, Opcode, Run, from_epoch_ns, to_epoch_ns
from wsrecorder.core.messages import EngineUpdate

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def event(**fields: object) -> Event:
    place = {"seq": 0, "kind": Kind.MESSAGE, "conn": 0, "direction": Direction.IN, "elapsed_ns": 0, "received_ns": 0}
    return Event(**{**place, **fields})  # type: ignore[arg-type]


def test_payload_of_a_text_frame_is_its_bytes() -> None:
    assert event(text="größer").payload == "größer".encode()


def test_payload_of_an_empty_text_frame_is_empty_and_not_missing() -> None:
    assert event(text="").payload == b""


def test_payload_of_a_binary_frame_is_verbatim() -> None:
    assert event(binary=b"\xff\0").payload == b"\xff\0"


def test_a_mark_has_no_payload() -> None:
    assert event(kind=Kind.NOTE, detail='{"text": "hello"}').payload is None


def test_times_are_utc() -> None:
    found = event(received_ns=to_epoch_ns(NOON) + 1_999, sent_at_us=to_epoch_ns(NOON) // 1_000 - 5)
    assert found.received_at == NOON + timedelta(microseconds=1)
    assert found.sent_at == NOON - timedelta(microseconds=5)
    assert found.received_at.utcoffset() == timedelta(0)


def test_an_event_that_names_no_time_was_sent_at_none() -> None:
    assert event().sent_at is None


def test_events_do_not_change() -> None:
    with pytest.raises(AttributeError):
        event().seq = 1  # type: ignore[misc]


@given(st.datetimes(timezones=st.just(UTC)))
def test_epoch_ns_goes_back_and_forth_exactly(moment: datetime) -> None:
    assert from_epoch_ns(to_epoch_ns(moment)) == moment


def test_epoch_ns_of_another_zone_is_the_same_moment() -> None:
    assert to_epoch_ns(NOON.astimezone(timezone(timedelta(hours=-5)))) == to_epoch_ns(NOON)


@given(st.integers(-(10**18), 4 * 10**18))
def test_ns_are_cut_to_the_microsecond_never_rounded_up(epoch_ns: int) -> None:
    assert 0 <= epoch_ns - to_epoch_ns(from_epoch_ns(epoch_ns)) < 1_000


def test_a_batch_is_as_long_as_its_rows() -> None:
    batch = Batch(first_seq=7, wall_offset_ns=0)
    assert len(batch) == 0
    batch.payloads += [b"a", b""]
    assert len(batch) == 2
    assert batch.marks == batch.runs == []


def test_a_row_that_came_half_is_taken_back_with_its_mark() -> None:
    batch = Batch(first_seq=0, wall_offset_ns=0)
    batch.elapsed_ns.extend([1, 2])
    batch.opcodes.extend([1, 0])
    batch.payloads += [b"whole"]
    batch.marks += [Mark(0, Kind.NOTE, "{}"), Mark(1, Kind.GAP, "{}")]
    batch.drop_half_row()
    assert (len(batch), list(batch.elapsed_ns), list(batch.opcodes)) == (1, [1], [1])
    assert [mark.index for mark in batch.marks] == [0]


def test_words_are_those_of_the_format() -> None:
    assert [str(kind) for kind in Kind] == ["message", "open", "close", "gap", "note"]
    assert [str(direction) for direction in Direction] == ["in", "out"]
    assert (Opcode.TEXT, Opcode.BINARY) == (1, 2)
    assert Mark(3, Kind.GAP, "{}") == Mark(3, Kind.GAP, "{}")
    assert Run(0, 1, Direction.OUT) != Run(0, 1, Direction.IN)


def test_what_a_payload_says_is_decoded_once_and_typed() -> None:
    text = '{"type": "ENGINE_UPDATE", "ts": 3, "data": {"state": "idle"}}'
    found = event(type="ENGINE_UPDATE", text=text)
    assert found.data == EngineUpdate("idle")
    assert found.envelope is found.envelope
    assert found.envelope is not None
    assert (found.envelope.type, found.envelope.ts) == ("ENGINE_UPDATE", 3)
    assert found.json == {"type": "ENGINE_UPDATE", "ts": 3, "data": {"state": "idle"}}
    assert found == event(type="ENGINE_UPDATE", text=text)


def test_a_binary_frame_is_decoded_too() -> None:
    found = event(type="X", binary=b'{"type": "X", "data": [1]}')
    assert found.data == [1]
    assert found.json == {"type": "X", "data": [1]}


def test_a_mark_says_nothing() -> None:
    found = event(kind=Kind.GAP, detail='{"cause": "x"}')
    assert (found.envelope, found.data, found.json) == (None, None, None)


def test_what_it_offers_explains_itself() -> None:
    assert Event.envelope.__doc__  # type: ignore[union-attr]
