"""Clients that are hostile to an endpoint and to a tap, and a hostile server behind that tap: nobody else is disturbed.

Beside them, well-behaved clients hear a numbered stream all along: it has to come whole and in order.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from torture.hostile_answers import draw_answer, good_answer
from torture.hostile_frames import FATAL, LOOSE, MAX_FRAME_BYTES, Writer, draw_good, frame
from wsrecorder.analysis.session import Session
from wsrecorder.clock import SystemClock
from wsrecorder.core.event import Direction, Kind
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.tap import TapJob
from wsrecorder.jobs.tap_options import TapJobOptions, TapOptions
from wsrecorder.jobs.verify import verify
from wsrecorder.net.access import Access
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import Endpoint
from wsrecorder.net.endpoint_options import EndpointOptions
from wsrecorder.net.feed import connect_feed
from wsrecorder.net.framing import frame_each
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store.library import open_store

__all__ = ["Disturbed", "disturb_endpoint", "disturb_tap"]

_AT_ONCE: Final = 20
_GUESTS: Final = 3
_PATIENCE_S: Final = 20.0


@dataclass(slots=True)
class Disturbed:
    """What came of it.

    Attributes:
        cases: How many hostile connections there were.
        heard: How many messages the well-behaved clients heard.
        broken: What went wrong, in words.
    """

    cases: int = 0
    heard: int = 0
    broken: list[str] = field(default_factory=list)


class _Guest:
    """A well-behaved client, which hears the numbers 0, 1, 2 …."""

    def __init__(self, disturbed: Disturbed) -> None:
        self.next = 0
        self._disturbed = disturbed

    def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
        """Nothing to do."""

    def on_frame(self, payload: bytes, opcode: int) -> None:
        """Take a number."""
        if payload != b"%d" % self.next:
            self._disturbed.broken.append(f"a guest heard {payload[:50]!r} instead of {self.next}")
        self.next += 1
        self._disturbed.heard += 1


async def disturb_endpoint(seed: int, cases: int, disturbed: Disturbed) -> None:
    """Let hostile clients at an endpoint.

    Args:
        seed: What they are drawn from.
        cases: How many.
        disturbed: Takes what came of it.
    """
    clock = SystemClock()
    access = Access(handshake_timeout_s=1.0, max_inbound_bytes=MAX_FRAME_BYTES)
    options = EndpointOptions(port=0, heartbeat_s=1e6, close_timeout_s=0.5, access=access)
    async with Endpoint(options, now_ns=clock.now_ns, wall_ns=clock.wall_ns) as endpoint:
        endpoint.on_inbound = _ignore
        async with _guests(endpoint.url, disturbed) as guests:
            await endpoint.wait_for_clients(len(guests))
            there = set(endpoint.clients)
            stop = asyncio.Event()
            sending = asyncio.create_task(_count_to(endpoint, there, stop))
            await _all_cases(seed, cases, disturbed, lambda case: _assault(seed, case, endpoint.port))
            stop.set()
            sent = await sending
            await _wait(lambda: all(guest.next == sent for guest in guests), "the guests heard not all", disturbed)
            await _wait(lambda: set(endpoint.clients) == there, "hostile clients are still here", disturbed)


async def _count_to(endpoint: Endpoint, guests: set[Client], stop: asyncio.Event) -> int:
    """Send numbers until told to stop; return how many."""
    number = 0
    while not stop.is_set():
        batch = [b"%d" % (number + row) for row in range(5)]
        await endpoint.broadcast(frame_each(batch, [True] * len(batch)), 0, len(batch))
        number += len(batch)
        await asyncio.sleep(0.005)
    return number


async def disturb_tap(seed: int, cases: int, disturbed: Disturbed, folder: Path) -> None:
    """Let hostile clients at a tap, with a server behind it that is hostile to some.

    Args:
        seed: What they are drawn from.
        cases: How many.
        disturbed: Takes what came of it.
        folder: Where the tap records.
    """
    stop, is_over, started = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with await asyncio.start_server(lambda *ends: _serve(seed, is_over, *ends), "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/good/"
        record = RecordOptions(feed=FeedOptions(url), library=folder, name="tap", sync=False)
        tap = TapOptions(url, port=0, open_timeout_s=1.0, max_frame_bytes=MAX_FRAME_BYTES)
        job = TapJob(TapJobOptions(tap=tap, record=record), SystemClock())
        tapping = asyncio.create_task(job.run(stop, lambda _: started.set()))
        await started.wait()
        port = int(job.state.url.rpartition(":")[2].partition("/")[0])
        async with _guests(job.state.url, disturbed) as guests:
            await _all_cases(seed, cases, disturbed, lambda case: _assault(seed, case, port, is_through=True))
            is_over.set()
            await _wait(lambda: len(job.state.clients) == len(guests), "hostile clients are still here", disturbed)
        stop.set()
        outcome = (await tapping).outcome
    if outcome.path is None or outcome.error is not None:
        disturbed.broken.append(f"the tap recorded nothing: {outcome.error}")
        return
    store = open_store(outcome.path)
    disturbed.broken += [str(found) for found in verify(store).findings]
    _check_guests(store_events=Session(store), guests=guests, disturbed=disturbed)


def _check_guests(store_events: Session, guests: list[_Guest], disturbed: Disturbed) -> None:
    """See whether what the guests heard was recorded, whole and in order; theirs were the first connections."""
    numbers: dict[int, list[bytes]] = {}
    for event in store_events.events():
        if event.kind is Kind.MESSAGE and event.direction is Direction.IN and event.conn < len(guests):
            numbers.setdefault(event.conn, []).append(event.payload or b"")
    found = sorted(len(payloads) for payloads in numbers.values())
    if found != sorted(guest.next for guest in guests):
        disturbed.broken.append(f"the guests heard {[guest.next for guest in guests]}, recorded were {found}")
    for conn, payloads in numbers.items():
        if payloads != [b"%d" % number for number in range(len(payloads))]:
            disturbed.broken.append(f"what connection {conn} heard was recorded otherwise")


async def _serve(seed: int, is_over: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve numbers at ``/good/``, and at ``/case/N`` something hostile."""
    # RuntimeError: how uvloop says that a connection is closed.
    with suppress(ConnectionError, RuntimeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1]
        chance = random.Random(f"{seed} {path!r} upstream")
        is_good = path == b"/good/" or chance.random() < 0.5
        answer = good_answer(chance) if is_good else draw_answer(chance)
        key = next((line[19:] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")), b"")
        if path == b"/good/":
            answer.data = answer.data.replace(b"Sec-WebSocket-Extensions: permessage-deflate", b"X-Not: this")
        writer.write(answer.bytes_for(key))
        number = 0
        while path == b"/good/" and not is_over.is_set():
            writer.write(frame(1, b"%d" % number))
            await writer.drain()
            number += 1
            await asyncio.sleep(0.005)
        if path != b"/good/":
            wire = Writer(chance, answer.deflate)
            writer.write(wire.message(*draw_good(0, "through", chance)) + _hostile(wire, chance))
            async with asyncio.timeout(5):
                while await reader.read(65_536):
                    pass
        else:
            async with asyncio.timeout(_PATIENCE_S):
                while await reader.read(65_536):
                    pass
    writer.close()


@asynccontextmanager
async def _guests(url: str, disturbed: Disturbed) -> AsyncIterator[list[_Guest]]:
    """Connect well-behaved clients, for a while."""
    guests = [_Guest(disturbed) for _ in range(_GUESTS)]
    links = [await connect_feed(FeedOptions(url), guest, "websockets") for guest in guests]
    closes = [asyncio.create_task(link.wait_closed()) for link in links]
    try:
        yield guests
        disturbed.broken += [f"a guest was closed: {close.result()}" for close in closes if close.done()]
    finally:
        for link in links:
            await link.close()
        await asyncio.gather(*closes)


async def _all_cases(seed: int, cases: int, disturbed: Disturbed, run: Callable[[int], Awaitable[None]]) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(case: int) -> None:
        async with places:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await run(case)
            except TimeoutError:
                disturbed.broken.append(f"case {case}: took more than {_PATIENCE_S:g} s")

    await asyncio.gather(*(one(case) for case in range(cases)))
    disturbed.cases += cases


async def _wait(is_so: Callable[[], bool], otherwise: str, disturbed: Disturbed) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while not is_so():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
    except TimeoutError:
        disturbed.broken.append(otherwise)


async def _assault(seed: int, case: int, port: int, *, is_through: bool = False) -> None:
    """Connect, be hostile, and be gone."""
    chance = random.Random(f"{seed} {case} client")
    path = b"/case/%d" % case if is_through else b"/ws/"
    with suppress(ConnectionError, TimeoutError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(_request(path, chance))
            if chance.random() < 0.7:
                async with asyncio.timeout(0.05):
                    await reader.read(65_536)
            wire = Writer(chance, chance.choice([None, "keeps", "forgets"]))
            hostile = _hostile(wire, chance)
            writer.write(masked(hostile, chance) if chance.random() < 0.7 else hostile)
            await writer.drain()
            if chance.random() < 0.3:
                writer.write_eof()
            async with asyncio.timeout(chance.choice([0.0, 0.01, 0.2])):
                while await reader.read(65_536):
                    pass
        finally:
            if chance.random() < 0.5:
                connection: socket.socket | None = writer.get_extra_info("socket")
                if connection is not None:  # uvloop has none any more for one that the other side has cut
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


def _hostile(wire: Writer, chance: random.Random) -> bytes:
    return chance.choice([*FATAL.values(), *LOOSE.values()])(wire, chance)


def masked(data: bytes, chance: random.Random) -> bytes:
    """Return the first frame of some bytes as a client sends it; what is no frame stays as it is."""
    if len(data) < 2 or data[1] & 0x80:
        return data
    start = {126: 4, 127: 10}.get(data[1], 2)
    key = chance.randbytes(4)
    payload = int.from_bytes(data[start:], "big")
    size = len(data) - start
    stream = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return bytes([data[0], data[1] | 0x80]) + data[2:start] + key + (payload ^ stream).to_bytes(size, "big")


def _request(path: bytes, chance: random.Random) -> bytes:
    whole = (
        b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" % path
    )
    if chance.random() < 0.6:
        return whole
    return chance.choice(
        [
            whole[: chance.randint(0, len(whole))],
            whole.replace(b"13", b"99"),
            whole.replace(b"AAAA", b"!"),
            whole.replace(b"GET", b"POST"),
            whole.replace(b"HTTP/1.1", b"HTTP/9"),
            whole.replace(path, b"/" + b"x" * 100_000),
            whole.replace(path, b"\xff\x00/.."),
            whole.replace(b"\r\n\r\n", b"\r\nX: 1" * 5_000 + b"\r\n\r\n"),
            whole.replace(b"\r\n", b"\n"),
            chance.randbytes(chance.choice([1, 100, 10_000])),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(300),
            b"\r\n\r\n",
        ]
    )


def _ignore(client: Client, payload: bytes, opcode: int) -> None:
    """Take what a client sends."""
