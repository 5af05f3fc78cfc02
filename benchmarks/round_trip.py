"""The law of the whole: record, replay, record gives equal payloads in equal order, apart from the clock.

A session is replayed on a free port and recorded again by the recorder as it is, both in this process and on
one event loop, so that neither the start of a program nor a second clock gets between the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median_low

from wsrecorder.analysis.session import Session
from wsrecorder.clock import SystemClock
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.recorder import Retry
from wsrecorder.jobs.record import record_feeds
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store.library import open_store
from wsrecorder.store.schema import NOT_UTF8
from wsrecorder.store.session import Store

__all__ = ["MAX", "Pacing", "Stream", "Trip", "frames_of", "quantile", "record_again", "replay_options", "stream_of"]

MAX = float("inf")
"""The speed of a replay that is as fast as possible."""

_TIMEOUT_S = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """How a session is replayed and recorded again.

    Attributes:
        speed: Session seconds per wall second, or `MAX`.
        window: First moment and first moment not wanted any more, as ``--from`` and ``--to`` take them.
        transport: What the recorder uses: ``websockets`` or ``picows``.
        deflate: Whether it offers permessage-deflate.
    """

    speed: float = MAX
    window: tuple[str, str] | None = None
    transport: str = "websockets"
    deflate: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """What a session's server sent.

    Attributes:
        frames: Whether each frame is text, and its payload.
        elapsed_ns: When each came, ns since the session began.
    """

    frames: list[tuple[bool, bytes]]
    elapsed_ns: list[int]


@dataclass(frozen=True, slots=True)
class Pacing:
    """How far the times of a recording are from those that they should be, at the speed of the replay.

    Attributes:
        gap_errors_ns: For each frame but the first, how much longer or shorter it came after the one before it,
            sorted.
        place_errors_ns: How far each frame was from its place, where half of them are too early and half too late,
            sorted.
        expected_ns: From the first frame to the last, as it should be.
        drift_ns: How much later after its place the last tenth of the frames came than the first tenth; medians,
            since any one frame may be late by chance.
    """

    gap_errors_ns: list[int]
    place_errors_ns: list[int]
    expected_ns: int
    drift_ns: int

    @classmethod
    def between(cls, recorded_ns: Sequence[int], again_ns: Sequence[int], speed: float) -> Pacing:
        """Compare the times of a stream with those of its replay.

        Args:
            recorded_ns: When each frame was recorded, at least ten.
            again_ns: When each was recorded again.
            speed: Of the replay, not `MAX`.
        """
        wanted = [round((time_ns - recorded_ns[0]) / speed) for time_ns in recorded_ns]
        late = [came_ns - due_ns for came_ns, due_ns in zip(again_ns, wanted, strict=True)]
        gap_errors = [abs(after_ns - before_ns) for before_ns, after_ns in pairwise(late)]
        usual_ns, tenth = median_low(late), len(late) // 10
        drift_ns = median_low(late[-tenth:]) - median_low(late[:tenth])
        return cls(sorted(gap_errors), sorted(abs(late_ns - usual_ns) for late_ns in late), wanted[-1], drift_ns)


def quantile(values: Sequence[int], share: float) -> int:
    """Return the value below which that share of sorted values lies; 0 where there are none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0


def stream_of(path: Path, window: tuple[str, str] | None = None) -> Stream:
    """Return what the server of a session sent, within a window."""
    start, end = window or (None, None)
    events = Session(open_store(path)).events(start=start, end=end, kinds=[Kind.MESSAGE])
    received = [event for event in events if event.direction is Direction.IN]
    return Stream(frames_of(received), [event.elapsed_ns for event in received])


def frames_of(events: Iterable[Event]) -> list[tuple[bool, bytes]]:
    """Return of each frame whether it is text, and its payload."""
    frames = []
    for event in events:
        if event.kind is Kind.MESSAGE:
            assert event.payload is not None, "a message has a payload"
            # A text frame that is not UTF-8 is kept as bytes, and says so.
            frames.append((event.text is not None or event.detail == NOT_UTF8, event.payload))
    return frames


def replay_options(trip: Trip) -> ReplayOptions:
    """Return how a trip is replayed: every recorded frame and nothing else, and then the connection is closed."""
    start, end = trip.window or (None, None)
    return ReplayOptions(
        port=0,
        speed=trip.speed,
        start=None if start is None else parse_moment(start),
        end=None if end is None else parse_moment(end),
        verbatim=True,
        at_end=AtEnd.CLOSE,
    )


async def record_again(
    stores: Sequence[Store], library: Path, trip: Trip, options: RecordOptions | None = None
) -> Path:
    """Replay sessions, record what comes, and return where the new session is.

    Args:
        stores: The sessions, merged by time.
        library: Where the new session goes.
        trip: How.
        options: More of how to record; what the trip says of it holds.
    """
    clock = SystemClock()
    async with asyncio.timeout(_TIMEOUT_S), Replay(stores, replay_options(trip), clock) as running:
        record = replace(
            options or RecordOptions(feed=FeedOptions(running.url), name="again"),
            feed=FeedOptions(running.url, deflate=trip.deflate),
            library=library,
            retry=Retry(first_s=0),
            transport=trip.transport,
        )
        [outcome] = await record_feeds([record], clock, asyncio.Event())
    for error in (running.error, outcome.error):
        if error is not None:
            raise error
    assert outcome.path is not None, "a recording without an error has a session"
    return outcome.path
