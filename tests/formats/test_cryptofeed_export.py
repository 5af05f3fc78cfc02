from __future__ import annotations

import ast

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.traffic import (
    BINARY_FRAMES,
    BROKEN_FRAMES,
    FEED,
    STARTED_NS,
    TEXT_FRAMES,
    any_traffic,
    read,
    traffic,
    written,
)
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.formats.cryptofeed import CryptofeedReader, is_capture
from wsrecorder.formats.cryptofeed_export import write_cryptofeed

LINES = st.builds(
    lambda text: (text, None, None),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=40).filter(
        lambda text: text[:2] not in ("b'", 'b"')
    ),
)


def test_the_lines_are_those_of_cryptofeed() -> None:
    events = traffic(
        [
            (Direction.OUT, 10, ('{"sub": 1}', None, None)),
            (Direction.IN, 20, ("a", None, None)),
            (Direction.IN, 20, (None, b"\x00'", None)),
        ]
    )
    content, notes = written(events, write_cryptofeed)
    assert content == (
        b"ws://feed.example/ws/ <-> 1795500000.123456789\n"
        b'ws://feed.example/ws/ <- 1795500000.123456799: {"sub": 1}\n'
        b"1795500000.123456819: a\n"
        b'1795500000.123456839: b"\\x00\'"\n'
    )
    assert is_capture(content)
    assert notes == ["1 events close were left out"]


@given(any_traffic(LINES, BINARY_FRAMES), st.integers(1, 5))
def test_what_a_line_can_hold_comes_back_but_for_the_end_of_the_connection(events: list[Event], rows: int) -> None:
    content, notes = written(events, write_cryptofeed, rows)
    again, reader = read(content, CryptofeedReader)
    assert again == events[:-1]
    assert notes == ["1 events close were left out"]
    assert (reader.notes, reader.feed) == ([], FEED)


@given(any_traffic(TEXT_FRAMES, BINARY_FRAMES, BROKEN_FRAMES))
def test_other_text_keeps_its_bytes_and_that_is_said(events: list[Event]) -> None:
    content, notes = written(events, write_cryptofeed)
    again = [event for event in read(content, CryptofeedReader)[0] if event.kind is Kind.MESSAGE]
    frames = [event for event in events if event.kind is Kind.MESSAGE]
    assert [event.payload for event in again] == [event.payload for event in frames]
    changed = sum(
        (one.text, one.detail) != (other.text, other.detail) for one, other in zip(frames, again, strict=True)
    )
    said = [note for note in notes if "a line cannot hold" in note]
    assert said == ([f"{changed:,} text frames that a line cannot hold were written as binary ones"] if changed else [])


@given(any_traffic(BINARY_FRAMES))
def test_a_binary_frame_is_a_literal_of_python(events: list[Event]) -> None:
    lines = written(events, write_cryptofeed)[0].decode("ascii").splitlines()[1:]
    assert [ast.literal_eval(line.split(": ", 1)[1]) for line in lines] == [event.binary for event in events[1:-1]]


def test_frames_of_another_connection_are_counted() -> None:
    first, frame, _ = traffic([(Direction.IN, 1, ("a", None, None))])
    other = msgspec.structs.replace(frame, seq=2, conn=1)
    notes = written([first, frame, other], write_cryptofeed)[1]
    assert notes == ["1 frames are not of the connection that was opened last: a capture cannot tell"]


def test_a_part_without_its_beginning_is_a_capture_too() -> None:
    frames = traffic([(Direction.IN, 1, ("a", None, None)), (Direction.OUT, 1, ("b", None, None))])[1:-1]
    content, notes = written(frames, write_cryptofeed)
    assert [event.payload for event in read(content, CryptofeedReader)[0]] == [b"a", b"b"]
    assert notes == []
    assert content.endswith(f"{FEED} <- 1795500000.123456791: b\n".encode())
    assert STARTED_NS % 10**9 == 123456789


def test_a_carriage_return_at_the_end_of_the_first_line_is_kept() -> None:
    first = Event(0, Kind.MESSAGE, 0, Direction.IN, 0, STARTED_NS, text="a\r")
    content, _ = written([first, msgspec.structs.replace(first, seq=1, text="b")], write_cryptofeed)
    assert [event.payload for event in read(content, CryptofeedReader)[0]] == [b"a\r", b"b"]


def test_a_time_before_1970_is_1970() -> None:
    event = Event(0, Kind.MESSAGE, 0, Direction.IN, 0, -5, text="a")
    assert written([event], write_cryptofeed)[0] == b"0.000000000: a\n"
