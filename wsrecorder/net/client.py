"""One client of the endpoint: its connection, what it was sent, how far it lags.

Bulk data does not go through ``connection.send``, which takes about 10 µs a frame: ready-made
frames are written to the transport, many at a time. That is sound as long as whole frames are
written: the library writes its own (ping, pong, close) the same way, so they fall in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import Event as ProtocolEvent
from websockets.protocol import State

from wsrecorder.core.rate import RateLimit
from wsrecorder.net.auth import without_token
from wsrecorder.net.client_stats import ClientStats
from wsrecorder.net.farewell import end_code, farewell
from wsrecorder.net.peer import address_text

__all__ = ["Client", "ClientConnection", "Inbound"]

_MOST_HELD_BYTES: Final = 1 << 20


class ClientConnection(ServerConnection):
    """A connection whose application frames are counted and never queued, and whose back-pressure is measured.

    Args:
        now_ns: Monotonic time, ns.
        *args: As `ServerConnection`.
        **options: As `ServerConnection`.

    Attributes:
        inbound_frames: Application frames received.
        limit: How many it may send; None is any number.
        on_connected: Called when its socket, and TLS, are there; the handshake is not done yet.
        on_message: Called with the payload and opcode of each message, fragments put together; None drops them.
        early: Messages that came before there was anybody to tell, see `keep_early`.
        is_noted: Whether it has been told that it was not let in.
        peer: Its socket address, which TLS forgets with the connection.
        has_room: Set while the transport's buffer is below its high-water mark, and once the client
            is closing or gone: nobody waits for a client that wants nothing more.
        stalls: How often the buffer rose above the mark.
    """

    def __init__(self, now_ns: Callable[[], int], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._now_ns = now_ns
        self._stalled_ns = 0
        self._stalled_since_ns: int | None = None
        self._fragments: list[bytes] = []
        self._opcode: Opcode | None = None  # of the message whose fragments these are
        self.inbound_frames = 0
        self.limit: RateLimit | None = None
        self.on_connected: Callable[[ClientConnection], None] | None = None
        self.on_message: Callable[[bytes, int], None] | None = None
        self.early: list[tuple[bytes, int]] = []
        self.is_noted = False
        self.peer: Any = None
        self.stalls = 0
        self.has_room = asyncio.Event()
        self.has_room.set()

    @property
    def stalled_ns(self) -> int:
        """How long the buffer was above its mark, all together, ns."""
        since_ns = self._stalled_since_ns
        return self._stalled_ns + (0 if since_ns is None else self._now_ns() - since_ns)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, and say so."""
        super().connection_made(transport)
        self.peer = transport.get_extra_info("peername")
        if self.on_connected is not None:
            self.on_connected(self)

    def process_event(self, event: ProtocolEvent) -> None:
        """Process one incoming event; an application frame is never queued, so no flood fills a queue."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            self.inbound_frames += 1
            if self.limit is not None and not self.limit.allows(self._now_ns()):
                self._turn_away()
                return
            if self.on_message is not None:
                self._hear(event, self.on_message)
            return
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
            self.has_room.set()

    def _turn_away(self) -> None:
        """Close a connection that sends too much, and take nothing more of it."""
        if self.protocol.state is State.OPEN:
            self.protocol.fail(CloseCode.POLICY_VIOLATION, "too many messages")
            self.send_data()

    def keep_early(self, payload: bytes, opcode: int) -> None:
        """Keep a message that comes on the heels of the handshake, until it is known whose it is."""
        self.early.append((payload, opcode))

    def _hear(self, frame: Frame, on_message: Callable[[bytes, int], None]) -> None:
        """Put the fragments of a message together (RFC 6455, section 5.4)."""
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        elif self._opcode is None:
            return  # it began before anybody listened
        self._fragments.append(bytes(frame.data))
        if frame.fin:
            opcode, self._opcode = self._opcode, None
            payload = b"".join(self._fragments)
            self._fragments.clear()
            on_message(payload, opcode)

    def eof_received(self) -> None:
        """Take note that the client sends no more."""
        super().eof_received()
        self.has_room.set()

    def pause_writing(self) -> None:
        """Note that the buffer is above its mark."""
        super().pause_writing()
        self.stalls += 1
        self._stalled_since_ns = self._now_ns()
        self.has_room.clear()

    def resume_writing(self) -> None:
        """Note that the buffer is below its mark again."""
        super().resume_writing()
        self._end_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of whoever waits for room."""
        super().connection_lost(exc)
        self._end_stall()

    def give_room(self) -> None:
        """Let go of whoever waits for room, if the transport's buffer has it."""
        if self._stalled_since_ns is None:
            self.has_room.set()

    def _end_stall(self) -> None:
        self._stalled_ns, self._stalled_since_ns = self.stalled_ns, None
        self.has_room.set()


class Client:
    """One client.

    Args:
        number: 1 is the first client of the endpoint.
        connection: Its connection, open.
        connected_ns: Monotonic time of its accept, ns.

    Attributes:
        number: 1 is the first client of the endpoint.
        query: The query string of its URL, without the question mark, and without a token.
        window_bits: Window of permessage-deflate that was agreed on; None without compression.
        is_apart: Whether it does not hear what is sent to all.
        joins_between: Whether it gets no part of a broadcast that was going on when it came.
    """

    def __init__(self, number: int, connection: ClientConnection, connected_ns: int) -> None:
        assert connection.request is not None, "the handshake is done"
        self.number = number
        self.query = without_token(connection.request.path).partition("?")[2]
        self.window_bits = _window_bits(connection)
        self._connection = connection
        self._connected_ns = connected_ns
        self._address = address_text(connection.peer)
        self._frames_sent = 0
        self._bytes_sent = 0
        self._primed = 0
        self._heartbeats_sent = 0
        self._held: deque[bytes | memoryview] | None = None
        self._held_bytes = 0
        self._is_leaving = False
        self.is_apart = False
        self.joins_between = False

    def __str__(self) -> str:
        return f"client {self.number} ({self._address})"

    def hear(self, on_message: Callable[[bytes, int], None]) -> None:
        """Have each message that it sends told, payload and opcode, and first those that were kept."""
        connection = self._connection
        connection.on_message = on_message
        for payload, opcode in connection.early:
            on_message(payload, opcode)
        connection.early.clear()

    @property
    def is_open(self) -> bool:
        """Whether it can be sent to: neither side has begun to close."""
        connection = self._connection
        return not self._is_leaving and connection.state is State.OPEN and not connection.transport.is_closing()

    @property
    def buffered_bytes(self) -> int:
        """Bytes written and not yet taken by the socket."""
        return self._connection.transport.get_write_buffer_size() + self._held_bytes

    @property
    def has_room(self) -> bool:
        """Whether its buffer is below the high-water mark."""
        return self._connection.has_room.is_set()

    @property
    def latency_ms(self) -> float:
        """Round trip of the last ping, ms; 0 before the first."""
        return self._connection.latency * 1e3

    def hold(self) -> None:
        """Keep back what is written from now on, heartbeats aside: something has to go before it.

        What is kept counts as lag, and a client that lags too far has no room, as if it read too slowly.
        """
        self.joins_between = True
        self._held = deque()

    def release(self, first: Iterable[tuple[bytes | memoryview, int]] = ()) -> None:
        """Send what goes before, primed frames with their number, and then what was kept back."""
        held, self._held, self._held_bytes = self._held or (), None, 0
        if self.is_open:
            for wire, frames in first:
                self.prime(wire, frames)
            for wire in held:
                self._connection.transport.write(wire)
        self._connection.give_room()

    def prime(self, wire: bytes | memoryview, frames: int) -> None:
        """Send whole frames that tell how things stand; the bytes must not change afterwards."""
        self._put(wire)
        self._primed += frames

    def write(self, wire: bytes | memoryview, frames: int) -> None:
        """Send whole frames of the stream; the bytes must not change afterwards."""
        self._put(wire)
        self._frames_sent += frames
        self._bytes_sent += len(wire)

    def _put(self, wire: bytes | memoryview) -> None:
        if self._held is None:
            self._connection.transport.write(wire)
            return
        self._held.append(wire)
        self._held_bytes += len(wire)
        if self._held_bytes > _MOST_HELD_BYTES:
            self._connection.has_room.clear()

    def write_heartbeat(self, wire: bytes) -> None:
        """Send a heartbeat, a whole frame."""
        self._connection.transport.write(wire)
        self._heartbeats_sent += 1

    async def wait_for_room(self, patience_s: float) -> bool:
        """Return when its buffer is below the high-water mark, or it is gone.

        Args:
            patience_s: How long it may take nothing at all, s.

        Returns:
            Whether it took something: False if in all that time it took not one byte.
        """
        has_room = self._connection.has_room
        while not has_room.is_set():
            before = self.buffered_bytes
            try:
                async with asyncio.timeout(patience_s):
                    await has_room.wait()
            except TimeoutError:
                if self.buffered_bytes >= before:
                    return False
        return True

    async def wait_closed(self) -> None:
        """Return when the connection is gone."""
        await self._connection.wait_closed()

    def leave(self) -> None:
        """Send it nothing more: it is about to be closed."""
        self._is_leaving = True

    async def close(self, code: int, reason: str, timeout_s: float) -> None:
        """Close the connection; one that does not answer in time is cut.

        Args:
            code: Close code.
            reason: Reason beside the code.
            timeout_s: For how long to wait for it to take what is buffered and to answer, s.
        """
        self.leave()
        try:
            # The library bounds the handshake, but not its wait for the client to take what is buffered.
            async with asyncio.timeout(timeout_s):
                await self._connection.close(code, reason)
        except TimeoutError:
            self.abort()
        await self._connection.wait_closed()

    def abort(self) -> None:
        """Cut the connection, without a word."""
        self._connection.transport.abort()

    @property
    def farewell(self) -> str:
        """With which code it ended, and why where it broke a rule."""
        return farewell(self._connection, is_known=self._is_leaving)

    def stats(self) -> ClientStats:
        """Return what there is to report of it."""
        connection = self._connection
        return ClientStats(
            number=self.number,
            address=self._address,
            query=self.query,
            connected_ns=self._connected_ns,
            frames_sent=self._frames_sent,
            bytes_sent=self._bytes_sent,
            primed=self._primed,
            heartbeats_sent=self._heartbeats_sent,
            inbound_frames=connection.inbound_frames,
            stalls=connection.stalls,
            stalled_ns=connection.stalled_ns,
            buffered_bytes=self.buffered_bytes,
            latency_ms=self.latency_ms,
            window_bits=self.window_bits,
            close_code=end_code(connection),
        )


def _window_bits(connection: ClientConnection) -> int | None:
    for extension in connection.protocol.extensions:
        if isinstance(extension, PerMessageDeflate):
            return extension.local_max_window_bits
    return None


Inbound = Callable[[Client, bytes, int], None]
"""Told which client sent which payload with which opcode: 1 is text, 2 is binary; fragments are put together."""
