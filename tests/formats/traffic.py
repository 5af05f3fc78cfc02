"""Events to write in a format and read back, and the ways to do so."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any, BinaryIO

import pyarrow as pa
from hypothesis import strategies as st

from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.formats.lines import Lines
from wsrecorder.formats.registry import Reader
from wsrecorder.store.manifest import Identity
from wsrecorder.store.schema import NOT_UTF8, SCHEMA, from_rows

STARTED_NS = 1_795_500_000_123_456_789
FEED = "ws://feed.example/ws/"
SCHEMA_OF_SESSION = SCHEMA.with_metadata(Identity(id="x", name="x", feed=FEED, started_ns=STARTED_NS).to_metadata())

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        "",
        "\x00",
        "b'",
        "\r\n",
        "\r\n",
        "🎲",
        '"}]',
        "\\",
        '{"type": "A", "ts": 1}',
        '{"type":"SIGNAL","ts":1795500000000}',
    ]
)
TEXT_FRAMES = st.builds(lambda text: (text, None, None), TEXT)
BINARY_FRAMES = st.builds(lambda data: (None, data, None), st.binary(max_size=40))
BROKEN_FRAMES = st.builds(lambda data: (None, b"\xff" + data, NOT_UTF8), st.binary(max_size=10))


def traffic(frames: Iterable[tuple[Direction, int, tuple[str | None, bytes | None, str | None]]]) -> list[Event]:
    """One connection, opened and closed, with frames of a direction, a distance in ns and a payload."""
    frames = list(frames)
    places = list(accumulate((ns for _, ns, _ in frames), initial=0))
    read = EnvelopeReader(ENGINE).read
    events = [Event(0, Kind.OPEN, 0, Direction.IN, 0, STARTED_NS, detail='{"url": "ws://feed.example/ws/"}')]
    for seq, ((direction, _, (text, binary, detail)), ns) in enumerate(zip(frames, places[1:], strict=True), 1):
        type_, sent_us = read(text.encode() if text is not None else binary or b"")
        events.append(Event(seq, Kind.MESSAGE, 0, direction, ns, STARTED_NS + ns, type_, sent_us, text, binary, detail))
    detail = '{"code": 1000, "reason": "", "cause": "done"}'
    end = Event(len(events), Kind.CLOSE, 0, Direction.IN, places[-1], STARTED_NS + places[-1], detail=detail)
    return [*events, end]


def any_traffic(*payloads: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Event]]:
    """Traffic of any such payloads."""
    frame = st.tuples(st.sampled_from(Direction), st.integers(0, 10**12), st.one_of(payloads))
    return st.lists(frame, max_size=12).map(traffic)


def written(
    events: list[Event], write: Callable[[Iterable[pa.RecordBatch], BinaryIO, pa.Schema], list[str]], rows: int = 5
) -> tuple[bytes, list[str]]:
    """What a format makes of events, and what it says; in batches of so many rows."""
    out = io.BytesIO()
    batches = (from_rows(events[start : start + rows]) for start in range(0, len(events), rows))
    notes = write(batches, out, SCHEMA_OF_SESSION)
    return out.getvalue(), notes


def read(content: bytes, make: Callable[..., Reader]) -> tuple[list[Event], Reader]:
    """The events of a file, and its reader for what that says."""
    reader = make(Lines(io.BytesIO(content), "file"))
    return [event for batch in reader.batches() for event in batch], reader
