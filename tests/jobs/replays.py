"""What tests of a replay need: sessions whose every time is known, somebody who listens, an endpoint's double."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from wsrecorder.clock import Clock, VirtualClock
from wsrecorder.core.dialect import ENGINE, Dialect
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.recorder import Limits
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.net.feed import connect_feed
from wsrecorder.net.framing import Frames
from wsrecorder.net.transport import Closed, FeedOptions, Link
from wsrecorder.store.duckdb_file import DuckDbStore
from wsrecorder.store.manifest import Health, Identity
from wsrecorder.store.schema import from_rows
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore, Store
from wsrecorder.store.sink import DuckDbSink, ParquetSink

STARTED_NS = 1_764_000_000_000_000_000
SECOND_NS = 1_000_000_000
SENT_BEFORE_NS = 5_000_000


def message(at_s: float, type: str = "A", *, started_ns: int = STARTED_NS, **changes: Any) -> Event:
    """Return a text message received at that second of a session, sent 5 ms before; ``n`` tells messages apart."""
    elapsed_ns = round(at_s * SECOND_NS)
    received_ns = started_ns + elapsed_ns
    sent_ms = (received_ns - SENT_BEFORE_NS) // 1_000_000
    fields = {
        "seq": 0,
        "kind": Kind.MESSAGE,
        "conn": 0,
        "direction": Direction.IN,
        "elapsed_ns": elapsed_ns,
        "received_ns": received_ns,
        "type": type,
        "sent_at_us": sent_ms * 1_000,
        "text": f'{{"type": "{type}", "ts": {sent_ms}, "data": {{"at": {at_s}}}}}',
    }
    return Event(**{**fields, **changes})  # type: ignore[arg-type]


def heartbeat(at_s: float) -> Event:
    event = message(at_s, "HEARTBEAT")
    text = f'{{"type": "HEARTBEAT", "ts": {(event.sent_at_us or 0) // 1_000}, "data": {{"latencyMs": 45}}}}'
    return message(at_s, "HEARTBEAT", text=text)


def identity(
    name: str = "test", started_ns: int = STARTED_NS, dialect: Dialect = ENGINE, path: str = "/ws/"
) -> Identity:
    return Identity(id=f"20251124T160000Z-{name}", name=name, started_ns=started_ns, dialect=dialect, path=path)


def sink_for(library: Path, who: Identity, *, segment_s: float = 1e6) -> ParquetSink:
    """Return a sink into a new session, whose journals are sealed when they span so much time."""
    folder = library / who.id
    (folder / EVENTS_FOLDER).mkdir(parents=True)
    return ParquetSink(folder, who, Limits(segment_ns=round(segment_s * SECOND_NS)), sync=False)


def numbered(events: Iterable[Event], first_seq: int = 0) -> list[Event]:
    """Return events with sequence numbers in the order given."""
    names = Event.__struct_fields__[1:]
    return [Event(seq, **{name: getattr(event, name) for name in names}) for seq, event in enumerate(events, first_seq)]


def session(
    library: Path, events: Sequence[Event], *, who: Identity | None = None, segment_s: float = 1e6, batch: int = 10_000
) -> Store:
    """Return a sealed session in Parquet, of batches of so many events."""
    sink = sink_for(library, who or identity(), segment_s=segment_s)
    rows = numbered(events)
    for start in range(0, len(rows), batch):
        sink.append(from_rows(rows[start : start + batch]))
    sink.close(Health())
    return ParquetStore(sink.path)


def duckdb_session(library: Path, events: Sequence[Event]) -> Store:
    sink = DuckDbSink(library / "test.duckdb", identity())
    sink.append(from_rows(numbered(events)))
    sink.close(Health())
    return DuckDbStore(sink.path)


def payloads(events: Iterable[Event]) -> list[bytes]:
    return [event.payload or b"" for event in events]


def ats(found: Iterable[bytes]) -> list[float]:
    """Return by when they were received which messages these are, heartbeats left out."""
    return [content["data"]["at"] for payload in found if "at" in (content := json.loads(payload))["data"]]


def types(found: Iterable[bytes]) -> list[str]:
    return [json.loads(payload)["type"] for payload in found]


class Listener:
    """A client that keeps what it hears.

    Attributes:
        frames: Payload and opcode of each frame, in order.
        heard: Set whenever there is more.
    """

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, int]] = []
        self.link: Link | None = None

    def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
        """Nothing to do."""

    def on_frame(self, payload: bytes, opcode: int) -> None:
        self.frames.append((payload, opcode))

    @property
    def payloads(self) -> list[bytes]:
        return [payload for payload, _ in self.frames]

    async def closed(self) -> Closed:
        """Return how the connection ended, when all was heard."""
        assert self.link is not None
        async with asyncio.timeout(30):
            return await self.link.wait_closed()

    async def has(self, count: int) -> None:
        """Return when so many frames were heard."""
        await until(lambda: len(self.frames) >= count)


async def listen(url: str) -> Listener:
    listener = Listener()
    listener.link = await connect_feed(FeedOptions(url), listener, "websockets")
    return listener


async def until(is_so: Callable[[], bool]) -> None:
    """Return when something has come about of which sockets and threads do not tell."""
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)


class FakeEndpoint:
    """Stands in for the endpoint: notes what is sent and when, and can be as slow as a slow client.

    Attributes:
        sent: Time in ns and payload of each frame.
        slowness_ns: How long it waits for its clients each time.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.sent: list[tuple[int, bytes]] = []
        self.slowness_ns = 0
        self._clock = clock

    async def broadcast(self, frames: Frames, start: int, stop: int, to: object = None) -> int:
        now_ns = self._clock.now_ns()
        self.sent += [(now_ns, payload) for payload in unframed(bytes(frames.wire(start, stop)))]
        if self.slowness_ns:
            await self._clock.sleep_until(now_ns + self.slowness_ns)
        return self.slowness_ns

    @property
    def times_s(self) -> list[float]:
        return [now_ns / SECOND_NS for now_ns, _ in self.sent]

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload in self.sent]


def unframed(wire: bytes) -> list[bytes]:
    """Return the payloads of a server's frames (RFC 6455, section 5.2)."""
    found = []
    while wire:
        length, header = wire[1], 2
        if length >= 126:
            header = 4 if length == 126 else 10
            length = int.from_bytes(wire[2:header], "big")
        found.append(wire[header : header + length])
        wire = wire[header + length :]
    return found


def playback(stores: Sequence[Store], endpoint: FakeEndpoint, clock: Clock, **options: Any) -> Playback:
    """Return a playback of the window that the options name, paused as it is when new."""
    asked = ReplayOptions(**options)
    programme = Programme(stores, asked)
    return Playback(
        programme,
        endpoint,  # type: ignore[arg-type]  # a double
        asked,
        clock,
        start_ns=programme.start_ns,
        stop_ns=programme.stop_ns,
        types=asked.types,
        speed=asked.speed,
    )


async def played(stores: Sequence[Store] | Store, clock: VirtualClock | None = None, **options: Any) -> FakeEndpoint:
    """Play to the end, from virtual time 0 on, and return what was sent."""
    clock = clock or VirtualClock()
    endpoint = FakeEndpoint(clock)
    playing = playback(stores if isinstance(stores, Sequence) else [stores], endpoint, clock, **options)
    playing.resume()
    async with asyncio.timeout(30):
        await playing.run()
    playing.close()
    return endpoint
