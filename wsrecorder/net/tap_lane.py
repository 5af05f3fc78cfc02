"""One direction of a tapped connection: passes bytes on as they come, and reads along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from websockets.frames import Frame, Opcode

from wsrecorder.core.distribution import Distribution
from wsrecorder.core.event import Direction
from wsrecorder.net.frame_reader import FrameReader
from wsrecorder.net.inflater import Inflater
from wsrecorder.net.tap_receiver import TapReceiver
from wsrecorder.net.tap_side import Hold, Side

__all__ = ["TapLane"]

_FLOOD_BYTES: Final = 128 << 10


class TapLane:
    """One direction of a connection.

    What comes is written to the other side before anything is made of it, so that all the recording costs
    lies behind the last byte rather than before the first.

    Args:
        source: Where bytes come from.
        target: Where they go.
        conn: Number of the connection.
        direction: ``in`` is from the server to the client.
        receiver: Told of the messages.
        added: Takes the time from arrival to write of each message.
        now_ns: Monotonic time, ns.
        max_bytes: Largest message that is recorded.
        inflater: Of this direction, where permessage-deflate was negotiated.
        when_closed: Called when a close frame goes by.

    Attributes:
        source: Where bytes come from.
        messages: Messages that went by.
        size_bytes: Bytes that went by.
        close: Code and reason of the close frame that went by, or None.
    """

    def __init__(
        self,
        source: Side,
        target: Side,
        conn: int,
        direction: Direction,
        receiver: TapReceiver,
        added: Distribution,
        *,
        now_ns: Callable[[], int],
        max_bytes: int,
        inflater: Inflater | None,
        when_closed: Callable[[TapLane], None],
    ) -> None:
        self.source = source
        self._target = target
        self._conn = conn
        self._direction = direction
        self._receiver = receiver
        self._receive = receiver.on_message
        self._added = added
        self._now_ns = now_ns
        self._reader = FrameReader(self, max_bytes=max_bytes, inflater=inflater)
        self._arrival_ns = 0
        self._ending: tuple[int, str] | None = None
        self._is_ended = False
        self.messages = 0
        self.size_bytes = 0
        self.close: tuple[int, str] | None = None
        self._when_closed = when_closed

    def forward(self, data: bytes) -> None:
        """Pass bytes on, then read them."""
        arrival_ns = self._now_ns()
        if self._ending is not None:
            self._forward_ending(data, arrival_ns)
            return
        self._target.transport.write(data)
        written_ns = self._now_ns()
        messages = self.messages
        self.take(data, arrival_ns)
        if messages := self.messages - messages:
            self._added.record(written_ns - arrival_ns, messages)
        if len(data) >= _FLOOD_BYTES:
            self._let_others_run()

    def take(self, data: bytes, arrival_ns: int) -> None:
        """Read bytes that were passed on already."""
        self._arrival_ns = arrival_ns
        self.size_bytes += len(data)
        self._reader.feed(data)

    # What the reader tells.

    def on_message(self, payload: bytes, opcode: int) -> None:
        """Hand a message on."""
        if not self._is_ended:
            self.messages += 1
            self._receive(self._conn, self._direction, payload, opcode, self._arrival_ns)

    def on_dropped(self, size_bytes: int, cause: str) -> None:
        """Hand on that one is not known."""
        if not self._is_ended:
            self.messages += 1
            self._receiver.on_dropped(self._conn, self._direction, size_bytes, cause, self._arrival_ns)

    # Ending.

    def on_close(self, code: int, reason: str) -> None:
        """Take note of a close frame."""
        if self.close is None:
            self.close = code, reason
            self._when_closed(self)

    def end(self, code: int, reason: str) -> None:
        """Send the target a close frame as soon as no frame is under way, and pass nothing more on."""
        self._ending = code, reason
        if not self._reader.unfinished_bytes:
            self._write_close()

    def _forward_ending(self, data: bytes, arrival_ns: int) -> None:
        """Pass on the rest of the frame that is under way; what follows it is read, for it may be a close frame."""
        self.take(data, arrival_ns)
        if self._is_ended:
            return
        rest = self._reader.unfinished_bytes
        if rest >= len(data):
            self._target.write(data)
            return
        self._target.write(data[: len(data) - rest])
        self._write_close()

    def _write_close(self) -> None:
        assert self._ending is not None
        self._is_ended = True
        if self.close is None:
            code, reason = self._ending
            frame = Frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode())
            # Frames to the server are masked (RFC 6455, section 5.3).
            self._target.write(frame.serialize(mask=self._direction is Direction.OUT))

    def _let_others_run(self) -> None:
        """Read no more in this turn of the event loop: uvloop reads a socket up to 32 times in a row."""
        self.source.hold(Hold.OTHERS_WAIT)
        asyncio.get_running_loop().call_soon(self.source.release, Hold.OTHERS_WAIT)
