"""The whole job in one go: record a simulated feed, ask two questions in SQL, replay it, compare every byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, TypeVar

from wsrecorder.analysis.session import Session, SessionInfo
from wsrecorder.analysis.sql import connect
from wsrecorder.clock import Clock
from wsrecorder.core.event import Direction, Kind, Opcode
from wsrecorder.core.recorder import Limits, Retry
from wsrecorder.errors import WsrecError
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.record import record_feeds
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions, ReplayReport
from wsrecorder.net.feed import connect_feed
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions
from wsrecorder.net.transport import FeedOptions, choose_transport
from wsrecorder.store.library import open_store
from wsrecorder.store.place import Place
from wsrecorder.store.schema import text_opcodes
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["QUESTIONS", "Answered", "DemoOptions", "Recorded", "Recording", "Replayed", "Stage", "demo"]

_T = TypeVar("_T")

_Frame = tuple[bytes, int]

QUESTIONS: Final = {
    "How long did messages take, by type?": """\
select type, count(*) as messages, round(avg(strlen(text))) as mean_bytes,
       round(median(epoch_us(received_at) - epoch_us(sent_at)) / 1000, 2) as p50_ms,
       round(quantile_cont(epoch_us(received_at) - epoch_us(sent_at), 0.99) / 1000, 2) as p99_ms
from events where kind = 'message' and type is not null
group by type order by messages desc, type limit 6""",
    "What became of the orders?": """\
select payload->>'$.data.order.symbol' as symbol,
       count(*) filter (type = 'ORDER_PLACED') as placed,
       count(*) filter (payload->>'$.data.order.status' = 'filled') as filled,
       count(*) filter (type = 'ORDER_CANCELED') as canceled,
       round(sum((payload->>'$.data.order.fees')::double) filter (type = 'ORDER_UPDATED'), 2) as fees
from events where type in ('ORDER_PLACED', 'ORDER_UPDATED', 'ORDER_CANCELED')
group by symbol order by placed desc, symbol""",
}
"""The questions that are asked, with their SQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the demo does.

    Attributes:
        library: Folder of sessions, where the recording stays.
        duration_s: How long it records, seconds.
        rate: Events per second of the simulated feed, beside its bursts.
        seed: Of the simulated engine.
        speed: Session seconds per wall second of the replay.
        tool: Name and version of this program, for the manifest.
    """

    library: Place = Path("recordings")
    duration_s: float = 10.0
    rate: float = 200.0
    seed: int = 7
    speed: float = 10.0
    tool: str = "wsrecorder"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording has begun.

    Attributes:
        url: Of the simulated feed.
    """

    url: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """Something was recorded and sealed.

    Attributes:
        info: The facts of the session.
        latency_ms: Received minus sent, p50 and p99; None where nothing came.
    """

    info: SessionInfo
    latency_ms: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A question was answered.

    Attributes:
        question: In words.
        sql: In SQL.
        columns: Names of the columns.
        rows: A value a column.
    """

    question: str
    sql: str
    columns: list[str]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The recording was replayed, and what arrived is what was recorded.

    Attributes:
        url: Where.
        frames: How many frames were compared.
        size_bytes: How many bytes of payload.
        report: What the replay measured of itself.
    """

    url: str
    frames: int
    size_bytes: int
    report: ReplayReport


Stage = Recording | Recorded | Answered | Replayed


async def demo(
    options: DemoOptions,
    clock: Clock,
    stop: asyncio.Event,
    on_stage: Callable[[Stage], None],
    mishaps: Mishaps | None = None,
) -> bool:
    """Record, ask, replay and compare; all of it in this process, over real sockets.

    Args:
        options: How much.
        clock: Where the time comes from.
        stop: Set it to end after what is being done; a recording is sealed.
        on_stage: Told each stage as it is reached.
        mishaps: Takes the errors of our own making.

    Returns:
        Whether it came to its end; False when it was stopped.

    Raises:
        WsrecError: What arrived is not what was recorded, or a part of it failed.
    """
    mishaps = mishaps or Mishaps()
    store = await _record(options, clock, stop, on_stage, mishaps)
    if stop.is_set():
        return False
    for question, sql in QUESTIONS.items():
        on_stage(await asyncio.to_thread(_answer, store, question, sql))
    return await _replay(store, options, clock, stop, on_stage, mishaps)


async def _record(
    options: DemoOptions, clock: Clock, stop: asyncio.Event, on_stage: Callable[[Stage], None], mishaps: Mishaps
) -> Store:
    recorders: list[FeedRecorder] = []
    feed = SimulatorOptions(seed=options.seed, rate=options.rate, port=0, heartbeat_s=3.0)
    async with Simulator(feed, clock) as simulator:
        on_stage(Recording(simulator.url))
        recording = RecordOptions(
            feed=FeedOptions(simulator.url),
            library=options.library,
            name="demo",
            retry=Retry(first_s=0),
            limits=Limits(duration_ns=round(options.duration_s * 1e9)),
            transport=choose_transport(),
            tool=options.tool,
        )
        [outcome] = await record_feeds([recording], clock, stop, on_started=recorders.extend, mishaps=mishaps)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.path is not None, "a recording without an error has a session"
    store = open_store(outcome.path)
    on_stage(Recorded(Session(store).info, recorders[0].state.latency_ms))
    return store


def _answer(store: Store, question: str, sql: str) -> Answered:
    with connect([store]) as queries:
        answer = queries.query(sql)
        columns = [column.to_pylist() for column in answer.table().columns]
    return Answered(question, sql, answer.columns, list(zip(*columns, strict=True)))


async def _replay(
    store: Store, options: DemoOptions, clock: Clock, stop: asyncio.Event, on_stage: Callable[[Stage], None],
    mishaps: Mishaps,
) -> bool:  # fmt: skip
    # Verbatim: recorded heartbeats too and none of the endpoint's own, so that all of it can be compared.
    asked = ReplayOptions(port=0, speed=options.speed, verbatim=True, at_end=AtEnd.CLOSE)
    async with Replay([store], asked, clock, mishaps) as running:
        url = running.url
        client = _Client()
        link = await connect_feed(FeedOptions(url), client, choose_transport())
        if await _unless_stopped(link.wait_closed(), stop) is None:
            link.abort()
            return False
        if running.error is not None:
            raise running.error
        report = running.report()
    recorded = await asyncio.to_thread(_recorded_frames, store)
    _compare(recorded, client.frames)
    on_stage(Replayed(url, len(recorded), sum(len(payload) for payload, _ in recorded), report))
    return True


class _Client:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.frames: list[_Frame] = []

    def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
        """Nothing to do."""

    def on_frame(self, payload: bytes, opcode: int) -> None:
        """Keep a message."""
        self.frames.append((payload, opcode))


def _recorded_frames(store: Store) -> list[_Frame]:
    """Return what the session says was received, payloads and opcodes, in order."""
    frames: list[_Frame] = []
    wanted = Selection(columns=("text", "binary", "detail"), kinds=frozenset({Kind.MESSAGE}), direction=Direction.IN)
    for rows in store.batches(wanted):
        columns = (rows.column("text").to_pylist(), rows.column("binary").to_pylist(), text_opcodes(rows).to_pylist())
        for text, binary, is_text in zip(*columns, strict=True):
            frames.append((binary if text is None else text.encode(), Opcode.TEXT if is_text else Opcode.BINARY))
    return frames


def _compare(recorded: list[_Frame], arrived: list[_Frame]) -> None:
    """Raise unless both are the same, byte for byte and in order."""
    for number, (expected, found) in enumerate(zip_longest(recorded, arrived), 1):
        if expected != found:
            raise WsrecError(
                f"the replay differs at frame {number}: {_shown(expected)} was recorded, {_shown(found)} arrived "
                f"({len(recorded):,} frames were recorded, {len(arrived):,} arrived)",
                hint="this must not happen: please report it, with the session",
            )


def _shown(frame: _Frame | None) -> str:
    if frame is None:
        return "nothing"
    payload, opcode = frame
    return f"{Opcode(opcode).name.lower()} {payload[:60]!r}{'…' if len(payload) > 60 else ''}"


async def _unless_stopped(work: Coroutine[Any, Any, _T], stop: asyncio.Event) -> _T | None:
    """Return what the work returns, or None if ``stop`` is set first."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not doing.done():
        doing.cancel()
        return None
    return doing.result()
