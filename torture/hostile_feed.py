"""A feed that plays hostile cases to one recorder, one after the other, over raw sockets.

Each case is an attempt that goes wrong, in its handshake or in its frames, and then one that goes well. The feed
decides by itself when the next one begins: when the recorder has left, or is known to have read all that matters.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from torture.hostile_answers import Answer, draw_answer, good_answer
from torture.hostile_frames import Script, Writer, draw_good, draw_script, frame
from wsrecorder.clock import SystemClock

__all__ = ["STALL_S", "Attempt", "HostileFeed", "LeapClock", "draw_case", "draw_first"]

STALL_S: Final = 90.0
"""The recorders' stall limit. Nobody waits for it: their clock leaps when the feed falls silent."""

_PATIENCE_S: Final = 12.0
"""How long a recorder may stay after it was shown something that it has to leave for. Its own waits are 2 s."""

_DEAF_S: Final = 0.1
"""What the recorder gets to find its way through bytes that may be a frame without an end."""

_MOST_BODY_BYTES: Final = 4 << 20
_PING_PAYLOAD: Final = b"have you read this?"
_CLOSE_1000: Final = frame(8, b"\x03\xe8")


class LeapClock(SystemClock):
    """The machine's clock, which can be made to leap ahead, for one recorder."""

    def __init__(self) -> None:
        self._ahead_ns = 0

    def now_ns(self) -> int:  # type: ignore[override]  # SystemClock has the function itself
        """Return monotonic time, with the leaps."""
        return SystemClock.now_ns() + self._ahead_ns

    def leap(self, by_ns: int) -> None:
        """Let so much time have passed."""
        self._ahead_ns += by_ns

    async def sleep_until(self, until_ns: int, wake: asyncio.Event | None = None) -> None:
        """Return at monotonic ``until_ns`` as things stand now, or as soon as ``wake`` is set."""
        await super().sleep_until(until_ns - self._ahead_ns, wake)


@dataclass(slots=True)
class Attempt:
    """One connection, and what must come of it.

    Attributes:
        case: Number of the case.
        answer: What its handshake gets.
        script: What is sent once it is open; None where nothing is.
        seed: What the order of writes is drawn from.
    """

    case: int
    answer: Answer
    script: Script | None
    seed: str

    def __str__(self) -> str:
        what = self.answer.kind if self.script is None else f"{self.script.kind}, {self.script.end}"
        return f"case {self.case} ({what})"


def draw_case(seed: int, number: int) -> tuple[Attempt, Attempt]:
    """Return the two attempts of a case: a hostile one, and a good one.

    Args:
        seed: What they are drawn from.
        number: The case.
    """
    chance = random.Random(f"{seed} {number}")
    if chance.random() < 0.4:
        answer = draw_answer(chance)
        script = None if answer.opens == "no" else _good_script(number, "held", chance, answer)
    else:
        answer = good_answer(chance)
        script = draw_script(number, chance, answer.deflate)
    after = good_answer(chance)
    again = _good_script(number, "again", chance, after)
    return Attempt(number, answer, script, f"{seed} {number}"), Attempt(number, after, again, f"{seed} {number} again")


def draw_first(seed: int, cases: Sequence[int]) -> Attempt:
    """Return what comes before some cases, and goes well: a recorder that cannot connect at all says so and ends."""
    return draw_case(seed, -1 - cases[0])[1]


def _attempts(seed: int, cases: Sequence[int]) -> Iterator[Attempt]:
    """Yield the attempts of cases; drawn when they are due, as some are large."""
    yield draw_first(seed, cases)
    for number in cases:
        yield from draw_case(seed, number)


def _good_script(number: int, place: str, chance: random.Random, answer: Answer) -> Script:
    writer = Writer(chance, answer.deflate)
    good = [draw_good(number, f"{place} {row}", chance) for row in range(chance.randint(1, 4))]
    wire = b"".join(writer.message(*message) for message in good)
    return Script("nothing", chance.choice(["close", "half-close"]), before=wire, required=good)


class HostileFeed:
    """A server that plays attempts, and says when a recorder stays away or does not leave.

    Args:
        seed: What the cases are drawn from.
        cases: Which are played.
        clock: The recorder's; leaps where the feed is silent.
        on_done: Called when all is played.

    Attributes:
        broken: What the recorder did that it must not: hang, for the most part.
    """

    def __init__(self, seed: int, cases: Sequence[int], clock: LeapClock, on_done: Callable[[], None]) -> None:
        self.broken: list[str] = []
        self._attempts = _attempts(seed, cases)
        self._attempt = next(self._attempts)
        self._upcoming: Attempt | None = self._attempt
        self._clock = clock
        self._on_done = on_done
        self._came = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> HostileFeed:
        self._server = await asyncio.start_server(self._attend, "127.0.0.1", 0)
        self._watch = asyncio.create_task(self._watch_for_hangs())
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self._watch.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port listened on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _watch_for_hangs(self) -> None:
        """End it all when the recorder does not come any more."""
        while self._upcoming is not None:
            self._came.clear()
            try:
                async with asyncio.timeout(3 * _PATIENCE_S):
                    await self._came.wait()
            except TimeoutError:
                self.broken.append(f"{self._attempt}: the recorder hangs")
                self._on_done()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # A recorder that leaves in the middle is what most attempts are about.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._play_to(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _play_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /hop/"):  # it followed a redirect; the attempt is the same
            attempt = self._attempt
        elif self._upcoming is None:
            return
        else:
            attempt = self._attempt = self._upcoming
            self._upcoming = next(self._attempts, None)
            self._came.set()
        key = next((line[19:] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")), b"")
        playing = _Playing(attempt, reader, writer, self._clock, self.broken)
        try:
            await playing.run(attempt.answer.bytes_for(key).replace(b"{port}", b"%d" % self.port))
        finally:
            if self._upcoming is None and attempt is self._attempt:
                self._on_done()


class _Playing:
    """One attempt over one connection."""

    def __init__(
        self,
        attempt: Attempt,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        clock: LeapClock,
        broken: list[str],
    ) -> None:
        self._attempt = attempt
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._broken = broken
        self._chance = random.Random(attempt.seed)
        self._is_left = False

    async def run(self, answer: bytes) -> None:
        try:
            await self._run(answer)
        finally:
            self._is_left = True

    async def _run(self, answer: bytes) -> None:
        script = self._attempt.script
        if script is not None and self._attempt.answer.pieces == 1 and self._chance.random() < 0.5:
            await self._write(answer + script.before, 1)  # the first frames come together with the answer
        else:
            await self._write(answer, self._attempt.answer.pieces)
            if script is not None:
                await self._write(script.before, 1)
        if script is None:
            await self._refuse()
        else:
            await self._go_through(script)

    async def _refuse(self) -> None:
        sent = 0
        while self._attempt.answer.is_endless and sent < _MOST_BODY_BYTES:
            await self._write(b"x" * 65_536, 1)
            sent += 65_536
        if self._attempt.answer.end == "rst":
            self._reset()
        elif self._attempt.answer.end == "fin":
            self._writer.write_eof()
        await self._until_left()

    async def _go_through(self, script: Script) -> None:
        self._writer.write(frame(9, _PING_PAYLOAD))
        await self._until_pong()
        await self._write(script.after, script.cuts)
        match script.end:
            case "rst":
                self._reset()
            case "fin":
                self._writer.close()
                return
            case "half-close":
                self._writer.write_eof()
            case "close":
                await self._write(_CLOSE_1000, 1)
            case "close-then-data":
                await self._write(_CLOSE_1000 + frame(1, b"behind the close frame"), 1)
            case "silence" if not script.is_fatal and not script.is_deaf:
                self._writer.write(frame(9, _PING_PAYLOAD))
                await self._until_pong()  # a recorder that has left sends none, and that ends it
                self._leap()
        if script.is_deaf:
            asyncio.get_running_loop().call_later(_DEAF_S, self._leap)
        await self._until_left(hangs_up=script.end != "silence")

    async def _write(self, data: bytes, pieces: int) -> None:
        size = max(1, len(data) // pieces) if pieces else 1
        for start in range(0, len(data), size):
            self._writer.write(data[start : start + size])
            await self._writer.drain()
            if pieces != 1:
                await asyncio.sleep(0)

    async def _until_pong(self) -> None:
        """Return when our ping is answered, so all before it was read; raise when the recorder leaves instead."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while (heard := await self._read_frame()) != (10, _PING_PAYLOAD):
                    if heard[0] == 8:
                        break
                else:
                    return
        except TimeoutError:
            self._broken.append(f"{self._attempt}: no pong within {_PATIENCE_S:g} s")
        await self._until_left()
        raise ConnectionAbortedError

    async def _read_frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of a frame of the recorder; those are all masked and short."""
        first, second, *mask = await self._reader.readexactly(6)
        masked = await self._reader.readexactly(second & 0x7F)
        return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))

    async def _until_left(self, *, hangs_up: bool = False) -> None:
        """Return when the recorder has closed the connection, which it has to do by itself.

        Args:
            hangs_up: Close it as soon as the recorder says that it wants to, as a server should.
        """
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while hangs_up and (await self._read_frame())[0] != 8:
                    pass
                while not hangs_up and await self._reader.read(65_536):
                    pass
        except TimeoutError:
            self._broken.append(f"{self._attempt}: still connected after {_PATIENCE_S:g} s")

    def _leap(self) -> None:
        if not self._is_left:
            self._clock.leap(round(STALL_S * 1e9))

    def _reset(self) -> None:
        connection: socket.socket | None = self._writer.get_extra_info("socket")
        if connection is not None:  # uvloop has none any more for one that the other side has cut
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
