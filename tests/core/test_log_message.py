"""Events as messages of a log: what a filter sees, and that every event comes back as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.event import NOT_UTF8, Direction, Event, Kind
from wsrecorder.core.log_batches import LogBatches
from wsrecorder.core.log_message import (
    MESSAGE_ID,
    BatchSpan,
    batch_of,
    cut,
    events_of,
    feed_subjects,
    lease_subject,
    matches,
    messages_of,
    part_of,
    presence_subject,
    session_headers,
    session_of,
    subject_of,
    token,
)
from wsrecorder.errors import SessionError


def message(seq: int, type: str | None = "A", **changes: Any) -> Event:
    fields: dict[str, Any] = {"conn": 0, "direction": Direction.IN, "elapsed_ns": seq * 10, "received_ns": 10**18 + seq}
    text = {} if "binary" in changes else {"text": f'{{"n": {seq}}}'}
    return Event(**{"seq": seq, "kind": Kind.MESSAGE, "type": type, "sent_at_us": seq, **fields, **text, **changes})


def mark(seq: int, kind: Kind = Kind.OPEN, detail: str = '{"cause": "a 100 % loss, ü"}') -> Event:
    return Event(seq, kind, 0, Direction.IN, seq * 10, 10**18 + seq, detail=detail)


def test_events_of_a_type_share_a_message() -> None:
    found = messages_of("20260101T000000Z-e", "e", [message(0), message(1, "B"), message(2)], 1_000)
    assert [one.subject for one in found] == ["wsrec.e.A", "wsrec.e.B"]
    assert found[0].headers["Wsrec-Seq"] == "0,2"
    assert found[0].headers["Wsrec-Sizes"] == "8,8"
    assert found[0].payload == b'{"n": 0}{"n": 2}'
    assert "Wsrec-Sizes" not in found[1].headers
    assert found[1].headers[MESSAGE_ID] == "20260101T000000Z-e-1@0+3"
    assert batch_of(found[1].headers) == BatchSpan(0, 3, 20)
    assert session_of(found[1].headers) == "20260101T000000Z-e"


def test_what_differs_in_more_than_the_type_stays_apart() -> None:
    different = [
        message(0), message(1, conn=1), message(2, direction=Direction.OUT), message(3, sent_at_us=None),
        message(4, binary=b"x"), message(5, binary=b"\xff", detail=NOT_UTF8), message(6, None), message(7, ""),
        mark(8), mark(9), mark(10, Kind.GAP),
    ]  # fmt: skip
    found = messages_of("s", "e", different, 1_000)
    assert len(found) == len(different)
    last = [one.subject.rpartition(".")[2] for one in found]
    assert last == ["A"] * 6 + ["@untyped", "@empty", "@open", "@open", "@gap"]
    assert [events_of(one.headers, one.payload)[0] for one in found] == different


def test_a_token_holds_nothing_that_a_subject_may_not() -> None:
    assert token("a.b*c>d e/~") == "a%2Eb%2Ac%3Ed%20e%2F%7E"
    assert feed_subjects("my.feed") == "wsrec.my%2Efeed.>"
    assert subject_of("e", "x" * 300) == "wsrec.e." + "x" * 200


def test_a_frame_that_is_too_large_comes_in_parts() -> None:
    large = message(0, text="0123456789")
    found = messages_of("s", "e", [large], 4)
    assert [part_of(one.headers) for one in found] == [(1, 3), (2, 3), (3, 3)]
    assert [one.headers[MESSAGE_ID] for one in found] == ["s-0@0+1.1", "s-0@0+1.2", "s-0@0+1.3"]
    batches = LogBatches()
    assert [batches.add(one.headers, one.payload, at) for at, one in enumerate(found, 1)] == [[], [], [large]]


def test_events_that_do_not_fit_one_message_get_one_each() -> None:
    found = messages_of("s", "e", [message(0), message(1)], 8)
    assert [one.headers[MESSAGE_ID] for one in found] == ["s-0@0+2", "s-1@0+2"]


def test_a_message_about_a_session_is_of_no_batch() -> None:
    headers = session_headers("s-ü", "end")
    assert batch_of(headers) is None
    assert session_of(headers) == "s-ü"
    assert headers[MESSAGE_ID] == "s-%C3%BC-end"


def test_a_foreign_message_is_told() -> None:
    with pytest.raises(SessionError, match="none that wsrec wrote"):
        events_of({}, b"x")
    (good,) = messages_of("s", "e", [message(0), message(1)], 1_000)
    with pytest.raises(SessionError, match="15 bytes, expected 16"):
        events_of(good.headers, good.payload[:-1])


def test_batches_are_cut_by_bytes_and_by_count() -> None:
    events = [message(0), message(1, text="ü" * 4), message(2, binary=b"12345678"), mark(3), message(4)]
    assert [[event.seq for event in batch] for batch in cut(events, 16, 3)] == [[0], [1], [2, 3, 4]]
    assert [[event.seq for event in batch] for batch in cut(events, 1_000, 2)] == [[0, 1], [2, 3], [4]]
    assert list(cut([], 1, 1)) == []


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
columns = st.tuples(
    st.sampled_from(["text", "binary", "mark"]),
    st.sampled_from([None, "", "A", "b.c", "ü \r\n*"]),
    st.booleans(),
    texts,
)


@given(st.lists(columns, min_size=1, max_size=30), st.integers(1, 60))
def test_every_event_comes_back_as_it_was(rows: list[tuple[str, str | None, bool, str]], most_bytes: int) -> None:
    events = []
    for seq, (form, type_, has_time, text) in enumerate(rows):
        if form == "mark":
            events.append(mark(seq, Kind.NOTE, text))
        else:
            payload: dict[str, Any] = {"text": text} if form == "text" else {"binary": text.encode("utf-16")}
            events.append(message(seq, type_, sent_at_us=seq if has_time else None, **payload))
    batches, found = LogBatches(0), []
    for position, one in enumerate(messages_of("s", "f.g", events, most_bytes), 1):
        assert one.subject.count(".") == 2
        assert all("\n" not in value and "\r" not in value and value.isascii() for value in one.headers.values())
        assert len(one.payload) <= most_bytes
        found += batches.add(one.headers, one.payload, position)
    assert found == events


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("wsrec.>", "wsrec.@lease.x", True),
        (">", "wsrec", True),
        ("wsrec.>", "wsrec", False),
        ("wsrec.@lease.*", "wsrec.@lease.x", True),
        ("wsrec.*", "wsrec.@lease.x", False),
        ("wsrec.*.*.*", "wsrec.@lease.x", False),
        ("wsrec.one.>", "wsrec.@lease.x", False),
        ("wsrec.one", "wsrec.one", True),
    ],
)
def test_a_filter_matches_token_by_token(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected


def test_a_lease_and_its_holders_have_subjects_of_one_name() -> None:
    assert lease_subject("a.b") == "wsrec.@lease.a%2Eb"
    assert matches("wsrec.@lease.*", lease_subject("a.b"))
    assert presence_subject("a.b", "holder") == "wsrec-pair.a%2Eb.holder"
