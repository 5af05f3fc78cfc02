"""The simulated engine as a live feed: `wsrecorder.core.engine` behind the feed's own endpoint.

What the real server does, and so this one: it takes exactly ``/ws/`` (a query is allowed; other
paths are refused with 403, plain requests get 404); a HEARTBEAT comes at once after accept; then,
once a heartbeat cycle, a HEARTBEAT and a burst that shares one ``ts``; between bursts, events as
they happen. It pings every 20 s, compresses for those who offer it, and closes with 1012. It never
reads: one application frame from a client makes it deaf to that client's pongs, so that the
keepalive ends the connection about 40 s later.

There is one schedule (`wsrecorder.core.engine_schedule`) for all clients; a heartbeat on accept is extra.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.frames import DATA_OPCODES, CloseCode, Frame
from websockets.http11 import Request, Response
from websockets.protocol import Event as ProtocolEvent

from wsrecorder.core.engine import Engine
from wsrecorder.core.engine_book import GroundTruth
from wsrecorder.core.engine_payloads import Pushed
from wsrecorder.core.engine_schedule import Schedule
from wsrecorder.errors import EndpointError
from wsrecorder.net.serving import library_log
from wsrecorder.net.simulator_options import SimulatorOptions

__all__ = ["Simulator", "SimulatorOptions", "Timepiece"]

_PATH = "/ws/"
_EVENTS_A_TURN = 500  # then the event loop gets its turn, however far behind we are
_CLIENT_BUFFER_BYTES = 64 << 20


class Timepiece(Protocol):
    """What the simulator needs to know of time, all in ns; a `wsrecorder.clock.Clock` is one."""

    def now_ns(self) -> int:
        """Return monotonic time."""
        ...

    def wall_ns(self) -> int:
        """Return UTC since the epoch."""
        ...

    async def sleep_until(self, until_ns: int, wake: asyncio.Event | None = None) -> None:
        """Return at monotonic ``until_ns``, or as soon as ``wake`` is set."""
        ...


class _Connection(ServerConnection):
    """A connection that notes what the client sends, and then reads no more (unless told to).

    Attributes:
        note: Called with each frame from the client.
        reads: Whether to go on reading.
    """

    note: Callable[[bytes], None]
    reads: bool
    is_deaf = False

    def process_event(self, event: ProtocolEvent) -> None:
        """Process one incoming event; application frames are noted, never queued."""
        if not (isinstance(event, Frame) and event.opcode in DATA_OPCODES):
            super().process_event(event)
            return
        self.note(bytes(event.data))
        if not self.reads and not self.is_deaf and self.close_code is None:
            self.is_deaf = True
            self.transport.pause_reading()

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Perform the closing handshake; for that, a deaf connection reads again."""
        if self.is_deaf:
            self.reads = True
            self.is_deaf = False
            self.transport.resume_reading()
        await super().close(code, reason)


class Simulator:
    """The simulated feed, serving while its context is open.

    ::

        async with Simulator(SimulatorOptions(port=0), clock) as simulator:
            ...  # connect to simulator.url

    Args:
        options: How the feed behaves.
        clock: The time; a `wsrecorder.clock.Clock`.
        truth: Filled with what really happens, if given.
        keep_sent: Keep every event that was pushed in `sent`; it grows with the stream.

    Attributes:
        types_sent: How many events of each type were pushed so far, whether or not a client was
            there; heartbeats not counted.
        sent: With ``keep_sent``, the events pushed so far, in order, heartbeats left out.
        clients_served: Connections accepted so far.
        inbound: Application frames that clients sent.
        finished: Set when ``max_events`` is reached.
        broken: Set when nothing more is pushed, by a mistake of ours.
        on_mishap: Told of an error of our own making; it costs one client its connection, or ends the pushing.

    Raises:
        EndpointError: The address or port cannot be had (on entering the context).
    """

    def __init__(
        self,
        options: SimulatorOptions,
        clock: Timepiece,
        *,
        truth: GroundTruth | None = None,
        keep_sent: bool = False,
    ) -> None:
        self._options = options
        self._clock = clock
        self._engine = Engine(options.seed, nan=options.nan, big_scan_every=options.big_scan_every, truth=truth)
        self._schedule = Schedule(
            self._engine,
            rate=options.rate,
            burst=options.burst,
            heartbeat_ns=round(options.heartbeat_s * 1e9),
            max_events=options.max_events,
        )
        self._keep_sent = keep_sent
        self._server: Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: set[ServerConnection] = set()
        self._quorum = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._stalled = asyncio.Event()  # the reverse of it, to wake a sleeper
        self._news = asyncio.Event()
        self._refusal: int | None = None
        self.types_sent: Counter[str] = Counter()
        self.sent: list[Pushed] = []
        self.clients_served = 0
        self.inbound: list[bytes] = []
        self.finished = asyncio.Event()
        self.broken = asyncio.Event()
        self.on_mishap: Callable[[Exception], None] | None = None

    async def __aenter__(self) -> Self:
        options = self._options
        try:
            self._server = await serve(
                self._greet,
                options.host,
                options.port,
                process_request=self._answer_request,
                create_connection=_Connection,
                compression="deflate" if options.deflate else None,
                ping_interval=options.ping_s,
                ping_timeout=options.ping_s,
                open_timeout=5,
                close_timeout=options.close_timeout_s,
                logger=library_log(self.on_mishap) if self.on_mishap else None,
            )
        except OSError as exc:
            raise EndpointError(
                f"cannot listen on {options.host}:{options.port}: {exc.strerror or exc}",
                hint="stop what listens there, or choose another port; port 0 takes a free one",
            ) from exc
        if options.wait_for == 0:
            self._quorum.set()
        self._tasks.append(asyncio.create_task(self._play_on()))
        if options.drop_every_s is not None:
            self._tasks.append(asyncio.create_task(self._drop_every(round(options.drop_every_s * 1e9))))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        for task in self._tasks:
            task.cancel()
        self._server.close(code=CloseCode.SERVICE_RESTART, reason="service restart")
        try:
            async with asyncio.timeout(self._options.close_timeout_s):
                await self._server.wait_closed()
        except TimeoutError:
            # A close frame waits behind what a client does not read, without a limit: cut it.
            for connection in list(self._clients):
                connection.transport.abort()
            await self._server.wait_closed()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task  # raises what went wrong in it

    @property
    def port(self) -> int:
        """The port listened on."""
        assert self._server is not None, "the simulator's context is not open"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where to connect, such as ``ws://127.0.0.1:8000/ws/``."""
        host = self._options.host
        return f"ws://{f'[{host}]' if ':' in host else host}:{self.port}{_PATH}"

    @property
    def events_sent(self) -> int:
        """Events pushed so far, whether or not a client was there; heartbeats not counted."""
        return self._schedule.events_taken

    @property
    def clients(self) -> int:
        """How many clients are connected now."""
        return len(self._clients)

    async def drop_clients(self, code: int | None = None, reason: str = "") -> int:
        """End every connection and return how many there were.

        Args:
            code: Close code to send; None cuts the connection without a close frame.
            reason: Reason beside the code.
        """
        dropped = list(self._clients)
        if code is not None and dropped:
            closing = [asyncio.create_task(connection.close(code, reason)) for connection in dropped]
            await asyncio.wait(closing, timeout=self._options.close_timeout_s)
        for connection in dropped:
            connection.transport.abort()  # does nothing to one that is closed
        for connection in dropped:
            await connection.wait_closed()
        return len(dropped)

    def stall(self) -> None:
        """Send nothing more, not even heartbeats, and keep the connections open (pings go on)."""
        self._flowing.clear()
        self._stalled.set()

    def resume(self) -> None:
        """Go on after a stall: with a heartbeat and a burst, and without what was missed."""
        self._stalled.clear()
        self._flowing.set()

    def refuse(self, status: int | None) -> None:
        """Refuse handshakes with an HTTP status from now on; None accepts them again."""
        self._refusal = status

    async def wait_until(self, is_so: Callable[[Self], bool]) -> None:
        """Return when ``is_so`` holds; it is asked after each push, inbound frame, coming and going."""
        while not is_so(self):
            await self._news.wait()

    def _answer_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if "websocket" not in request.headers.get("Upgrade", "").lower():
            return connection.respond(404, '{"detail":"Not Found"}')
        if self._refusal is not None:
            return connection.respond(self._refusal, "refused as asked\n")
        if request.path.partition("?")[0] != _PATH:
            return connection.respond(403, "")
        # Before any frame: the client has no answer to its handshake yet.
        assert isinstance(connection, _Connection)
        connection.note = self._note_inbound
        connection.reads = self._options.reads
        return None

    async def _greet(self, connection: ServerConnection) -> None:
        self.clients_served += 1
        self._clients.add(connection)
        try:
            # Not send(): it may wait, and what is pushed meanwhile would overtake the heartbeat.
            if self._flowing.is_set():
                broadcast([connection], self._engine.heartbeat(self._wall_ms()).payload)
            if len(self._clients) >= self._options.wait_for:
                self._quorum.set()
            self._tell()
            await connection.wait_closed()
        finally:
            self._clients.discard(connection)
            self._tell()

    async def _play_on(self) -> None:
        try:
            await self._play()
        except Exception as exc:
            if self.on_mishap is None:
                raise
            self.on_mishap(exc)
            self.broken.set()

    async def _play(self) -> None:
        await self._quorum.wait()
        schedule, clock = self._schedule, self._clock
        if self._flowing.is_set():
            self._push(schedule.start(clock.now_ns(), self._wall_ms()))
        pushed_in_turn = 0
        while True:
            if schedule.due_ns > clock.now_ns() or pushed_in_turn >= _EVENTS_A_TURN:
                await clock.sleep_until(schedule.due_ns, self._stalled)
                pushed_in_turn = 0
            if not self._flowing.is_set():
                await self._flowing.wait()
                schedule.resume(clock.now_ns())
            events = schedule.take(clock.now_ns(), self._wall_ms())
            self._push(events)
            pushed_in_turn += len(events)

    async def _drop_every(self, interval_ns: int) -> None:
        await self._quorum.wait()
        due_ns = self._clock.now_ns()
        while True:
            due_ns += interval_ns
            await self._clock.sleep_until(due_ns)
            await self.drop_clients()

    def _push(self, events: list[Pushed]) -> None:
        for event in events:
            # One that has just died still counts as open for a moment; writing to it fills the log.
            alive = [connection for connection in self._clients if not connection.transport.is_closing()]
            broadcast(alive, event.payload)
        for connection in self._clients:
            # The real server would wait for such a client. Its keepalive ends it at last; memory may end sooner.
            if connection.transport.get_write_buffer_size() > _CLIENT_BUFFER_BYTES:
                connection.transport.abort()
        events = [event for event in events if event.type != "HEARTBEAT"]
        self.types_sent.update(event.type for event in events)
        if self._keep_sent:
            self.sent += events
        if self._schedule.is_finished:
            self.finished.set()
        self._tell()

    def _note_inbound(self, payload: bytes) -> None:
        self.inbound.append(payload)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _wall_ms(self) -> int:
        return self._clock.wall_ns() // 1_000_000
