"""A feed in virtual time: the simulated engine behind a connection that is lost, goes silent and comes back.

It stands where the recorder connects, so that a day passes in a minute; all that is behind the connection is the
recorder's own. The connections themselves are `torture.soak_sockets`' business.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

from wsrecorder.clock import VirtualClock
from wsrecorder.core.engine import Engine
from wsrecorder.core.engine_schedule import Schedule
from wsrecorder.core.event import Opcode
from wsrecorder.errors import FeedError
from wsrecorder.net.transport import Closed, FeedOptions, Receiver

__all__ = ["Day"]

_SECOND_NS: Final = 1_000_000_000
_RATE: Final = 1.0
_FLOOD_RATE: Final = 1_000.0
_FLOOD_S: Final = 3
_BIG_SCAN_EVERY: Final = 400


class DayLink:
    """An open connection to the day's feed.

    Args:
        receiver: Told what comes.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._is_paused = False
        self._waiting: list[bytes] = []  # in the socket's buffers
        self._closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return not self._closed.done()

    def push(self, payload: bytes) -> None:
        """Let a text message come."""
        self._waiting.append(payload)
        self._deliver()

    def lose(self, closed: Closed) -> None:
        """End it."""
        self._waiting.clear()
        if self.is_open:
            self._closed.set_result(closed)

    def _deliver(self) -> None:
        while self._waiting and not self._is_paused and self.is_open:
            self._receiver.on_frame(self._waiting.pop(0), Opcode.TEXT)

    def pause(self) -> None:
        """Read no further."""
        self._is_paused = True

    def resume(self) -> None:
        """Read on."""
        self._is_paused = False
        self._deliver()

    def send(self, payload: bytes, opcode: Opcode) -> None:
        """The feed never reads."""

    async def wait_closed(self) -> Closed:
        """Return how it ended."""
        return await asyncio.shield(self._closed)

    async def close(self) -> None:
        """End it."""
        self.lose(Closed(1000, "", "closed"))

    def abort(self) -> None:
        """Cut it."""
        self.lose(Closed(1006, "", "cut"))


class Day:
    """The feed, from when it is first connected to.

    Attributes:
        counts: How often what happened: ``losses``, ``closes``, ``stalls``, ``floods``, ``refusals``.
        delivered: Messages that the recorder was given.
        checksum: CRC-32 of their payloads, one after the other.

    Args:
        clock: The time.
        seed: Decides all that happens.
        trouble_s: Something goes wrong about so often.
    """

    def __init__(self, clock: VirtualClock, seed: int, trouble_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self.delivered = 0
        self.checksum = 0
        self._clock = clock
        self._chance = Random(seed)
        self._trouble_s = trouble_s
        self._engine = Engine(seed, nan=0.01, big_scan_every=_BIG_SCAN_EVERY)
        self._link: DayLink | None = None
        self._refusals = 0
        self._silent_until_ns = 0
        self._connected = asyncio.Event()

    async def connect(self, options: FeedOptions, receiver: Receiver, transport: str) -> DayLink:
        """Connect: what stands in for `wsrecorder.net.feed.connect_feed`."""
        await self._clock.sleep_until(self._clock.now_ns() + _SECOND_NS // 50)
        if self._refusals:
            self._refusals -= 1
            raise FeedError("the feed is away", hint="it comes back")
        receiver.on_open(None, False)
        self._link = DayLink(self._counted(receiver))
        self._connected.set()
        return self._link

    def _counted(self, receiver: Receiver) -> Receiver:
        day = self

        class Counted:
            """Counts what the recorder is given."""

            on_open = receiver.on_open

            def on_frame(self, payload: bytes, opcode: int) -> None:
                day.delivered += 1
                day.checksum = zlib.crc32(payload, day.checksum)
                receiver.on_frame(payload, opcode)

        return Counted()

    async def run(self, until_ns: int, at_rest: Callable[[], bool], on_minute: Callable[[], None]) -> None:
        """Let the feed do what it does until that time.

        Args:
            until_ns: Monotonic time of the end.
            at_rest: Whether the recorder's threads have caught up; time does not go on before.
            on_minute: Called each minute.
        """
        clock = self._clock
        schedule = Schedule(self._engine, rate=_RATE, burst=20, heartbeat_ns=30 * _SECOND_NS)
        await self._connected.wait()
        await self._rest(at_rest)
        for pushed in schedule.start(clock.now_ns(), clock.wall_ns() // 1_000_000):
            self._push(pushed.payload)
        trouble_ns, minute_ns = self._next_trouble_ns(), clock.now_ns()
        while clock.now_ns() < until_ns:
            await clock.sleep_until(min(schedule.due_ns, trouble_ns, minute_ns, until_ns))
            await self._rest(at_rest)
            for pushed in schedule.take(clock.now_ns(), clock.wall_ns() // 1_000_000):
                self._push(pushed.payload)
            if clock.now_ns() >= minute_ns:
                minute_ns += 60 * _SECOND_NS
                on_minute()
            if clock.now_ns() >= trouble_ns:
                await self._make_trouble(at_rest)
                trouble_ns = self._next_trouble_ns()

    async def _rest(self, at_rest: Callable[[], bool]) -> None:
        with self._clock.held():
            while not at_rest():  # noqa: ASYNC110 - threads tell nobody
                await asyncio.sleep(0.0005)

    def _next_trouble_ns(self) -> int:
        return self._clock.now_ns() + round(self._chance.expovariate(1 / self._trouble_s) * _SECOND_NS)

    def _push(self, payload: str) -> None:
        if self._link is not None and self._link.is_open and self._clock.now_ns() >= self._silent_until_ns:
            self._link.push(payload.encode())

    async def _make_trouble(self, at_rest: Callable[[], bool]) -> None:
        link = self._link
        if link is None or not link.is_open:
            return
        kind = self._chance.choice((*("losses", "closes", "stalls", "refusals") * 3, "floods"))
        self.counts[kind] += 1
        match kind:
            case "losses":
                link.lose(Closed(1006, "", "connection lost"))
            case "closes":
                link.lose(Closed(1012, "service restart", "closed by the feed"))
            case "stalls":
                self._silent_until_ns = self._clock.now_ns() + 60 * _SECOND_NS
            case "refusals":
                self._refusals = self._chance.randint(1, 4)
                link.lose(Closed(1006, "", "connection lost"))
            case "floods":
                await self._flood(at_rest)

    async def _flood(self, at_rest: Callable[[], bool]) -> None:
        clock = self._clock
        schedule = Schedule(self._engine, rate=_FLOOD_RATE, burst=0, heartbeat_ns=1 << 60)
        schedule.start(clock.now_ns(), clock.wall_ns() // 1_000_000)
        until_ns = clock.now_ns() + _FLOOD_S * _SECOND_NS
        while clock.now_ns() < until_ns:
            await clock.sleep_until(clock.now_ns() + _SECOND_NS // 20)
            await self._rest(at_rest)
            while schedule.due_ns <= clock.now_ns():
                for pushed in schedule.take(clock.now_ns(), clock.wall_ns() // 1_000_000):
                    self._push(pushed.payload)
