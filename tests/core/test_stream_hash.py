"""The hash of a stream: equal for equal events in equal order, and for nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.stream_hash import StreamHash, stream_hash


def event(**fields: Any) -> Event:
    place = {"seq": 0, "kind": Kind.MESSAGE, "conn": 0, "direction": Direction.IN, "elapsed_ns": 0, "received_ns": 0}
    return Event(**{**place, **fields})


EVENTS = st.lists(
    st.builds(
        event,
        seq=st.integers(0, 3),
        kind=st.sampled_from(Kind),
        elapsed_ns=st.integers(0, 3),
        text=st.none() | st.text(max_size=2),
        binary=st.none() | st.binary(max_size=2),
        detail=st.none() | st.text(max_size=2),
    ),
    max_size=4,
)


def test_a_hash_stays_what_it_was() -> None:
    assert stream_hash([]) == "cae66941d9efbd404e4d88758ea67670"
    assert stream_hash([event(text="é"), event(binary=b"\xff", detail="{}")]) == stream_hash(
        [event(text="é"), event(binary=b"\xff", detail="{}")]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 1},
        {"kind": Kind.NOTE},
        {"conn": 1},
        {"direction": Direction.OUT},
        {"elapsed_ns": 1},
        {"received_ns": 1},
        {"text": "b"},
        {"text": ""},
        {"text": None},
        {"text": None, "binary": b"a"},
        {"binary": b""},
        {"detail": "a"},
    ],
)
def test_whatever_is_different_shows(change: dict[str, Any]) -> None:
    one = event(text="a")
    assert stream_hash([one]) != stream_hash([msgspec.structs.replace(one, **change)])


def test_what_is_read_from_a_payload_does_not_count_of_its_own() -> None:
    assert stream_hash([event(text="a", type="A", sent_at_us=1)]) == stream_hash([event(text="a")])


def test_half_a_surrogate_pair_is_no_error() -> None:
    assert stream_hash([event(text="\ud800")]) != stream_hash([event(text="\udc00")])


@given(EVENTS, EVENTS)
def test_two_streams_have_one_hash_only_if_they_are_equal(one: list[Event], other: list[Event]) -> None:
    assert (stream_hash(one) == stream_hash(other)) == (one == other)


@given(EVENTS)
def test_events_may_be_added_one_by_one(events: list[Event]) -> None:
    found = StreamHash()
    for one in events:
        found.add(one)
    assert found.hexdigest() == stream_hash(events)
