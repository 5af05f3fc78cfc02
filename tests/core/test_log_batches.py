"""A session out of the messages of a log: whole batches, in order, each event once."""

from __future__ import annotations

from tests.core.test_log_message import message
from wsrecorder.core.event import Event
from wsrecorder.core.log_batches import LogBatches
from wsrecorder.core.log_message import LogMessage, messages_of, session_headers


def batch(first: int, count: int) -> tuple[list[Event], list[LogMessage]]:
    events = [message(seq, "AB"[seq % 2]) for seq in range(first, first + count)]
    return events, messages_of("s", "e", events, 1_000)


def add(batches: LogBatches, messages: list[LogMessage], position: int) -> list[Event]:
    return [event for at, one in enumerate(messages, position) for event in batches.add(one.headers, one.payload, at)]


def test_nothing_comes_of_a_batch_until_all_of_it_is_there() -> None:
    batches = LogBatches()
    events, (first, second) = batch(0, 4)
    assert add(batches, [first], 7) == []
    assert batches.safe_position == 6
    assert batches.next_seq is None
    assert add(batches, [second], 8) == events
    assert (batches.safe_position, batches.next_seq) == (8, 4)


def test_what_was_given_is_not_given_again() -> None:
    batches = LogBatches()
    events, messages = batch(0, 4)
    assert add(batches, messages, 1) == events
    assert add(batches, messages, 3) == []
    assert batches.safe_position == 4


def test_a_batch_that_was_begun_twice_is_given_once() -> None:
    batches = LogBatches(0)
    _, (begun, _) = batch(0, 6)
    events, messages = batch(0, 4)
    assert add(batches, [begun], 1) == []
    assert add(batches, messages, 2) == events
    assert batches.safe_position == 0  # the one that was begun goes on to 6
    more, messages = batch(4, 2)
    assert add(batches, messages, 4) == more
    assert batches.safe_position == 5


def test_events_before_the_first_wanted_are_left_out() -> None:
    batches = LogBatches(2)
    events, messages = batch(0, 4)
    assert add(batches, messages, 1) == events[2:]


def test_what_follows_a_hole_is_given_from_where_it_begins() -> None:
    batches = LogBatches(0)
    events, messages = batch(10, 2)
    assert add(batches, messages, 1) == events
    assert batches.next_seq == 12


def test_a_message_without_events_is_passed_by() -> None:
    batches = LogBatches()
    assert batches.add(session_headers("s", "session"), b"{}", 3) == []
    assert batches.safe_position == 3
