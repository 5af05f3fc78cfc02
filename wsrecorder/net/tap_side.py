"""One socket of a tapped connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import IntFlag
from typing import Final, cast

__all__ = ["Hold", "Side"]

_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time at all: closing sends RST rather than FIN


class Hold(IntFlag):
    """Why a socket is not read for now."""

    OTHER_IS_FULL = 1
    WRITER_IS_FULL = 2
    OTHER_IS_AWAY = 4
    OTHERS_WAIT = 8


class Side(asyncio.Protocol):
    """The socket to the client, or the one to the server.

    Args:
        buffer_bytes: How much may wait to be written before the other side is held back.
        on_connected: Told that it is connected.
        on_data: Told what came.
        on_eof: Told that no more comes; returns whether it can still be written to.
        on_lost: Told that it is gone, and why if that is an error.
        on_mistake: Told what one of these has raised.

    Attributes:
        other: The other socket, once there is one.
        is_lost: Whether it is gone.
    """

    def __init__(
        self,
        buffer_bytes: int,
        *,
        on_connected: Callable[[], None],
        on_data: Callable[[bytes], None],
        on_eof: Callable[[], bool],
        on_lost: Callable[[Exception | None], None],
        on_mistake: Callable[[Exception], None],
    ) -> None:
        self._buffer_bytes = buffer_bytes
        self._on_connected = on_connected
        self.on_data = on_data
        self._on_eof = on_eof
        self._on_lost = on_lost
        self._on_mistake = on_mistake
        self._holds = Hold(0)
        self.other: Side | None = None
        self.is_lost = False
        self._has_sent_eof = False

    @property
    def transport(self) -> asyncio.Transport:
        """Its transport, once it is connected."""
        return self._transport

    @property
    def is_there(self) -> bool:
        """Whether it is connected."""
        return hasattr(self, "_transport") and not self.is_lost

    @property
    def is_writable(self) -> bool:
        """Whether it is connected and nobody has begun to close it."""
        return self.is_there and not self._has_sent_eof and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write, unless it is about to end; where every frame passes, the transport is written to at once."""
        if self.is_writable:
            self._transport.write(data)

    def send_eof(self) -> bool:
        """Tell the peer that no more comes; return whether that can be told without closing."""
        if not self.is_writable or not self._transport.can_write_eof():
            return False
        self._has_sent_eof = True
        self._transport.write_eof()
        return True

    @property
    def waiting_bytes(self) -> int:
        """Bytes that were written and that its socket has not taken yet."""
        return self._transport.get_write_buffer_size() if self.is_there else 0

    def hold(self, reason: Hold) -> None:
        """Read no further, so that TCP holds the peer back."""
        if not self._holds and self.is_there and not self._transport.is_closing():
            self._transport.pause_reading()
        self._holds |= reason

    def release(self, reason: Hold) -> None:
        """Read on, unless there is another reason not to."""
        was_held, self._holds = bool(self._holds), self._holds & ~reason
        if was_held and not self._holds and self.is_there and not self._transport.is_closing():
            self._transport.resume_reading()

    def end(self) -> None:
        """Close it, once all that waits is written."""
        if self.is_there:
            self._transport.close()

    def abort(self) -> None:
        """Cut it at once."""
        if self.is_there:
            self._transport.abort()

    def reset(self) -> None:
        """Cut it as its peer's peer was cut: with RST, unless something still waits to be written."""
        if not self.is_there or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size():
            self._transport.close()
            return
        # uvloop has no socket any more for one whose own end is on its way to us.
        with suppress(OSError):
            if (connection := self._transport.get_extra_info("socket")) is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's is no asyncio.Transport by inheritance, but has all of it.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(self._buffer_bytes, self._buffer_bytes // 4)
        if self._holds:
            self._transport.pause_reading()
        try:
            self._on_connected()
        except Exception as exc:
            self._on_mistake(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        try:
            self.on_data(data)
        except Exception as exc:
            self._on_mistake(exc)

    def eof_received(self) -> bool:
        """Take note that no more comes; return whether it stays open to be written to."""
        try:
            return self._on_eof()
        except Exception as exc:
            self._on_mistake(exc)
            return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that it is gone."""
        self.is_lost = True
        try:
            self._on_lost(exc)
        except Exception as mistake:
            self._on_mistake(mistake)

    def pause_writing(self) -> None:
        """Hold the other side back: this one takes less than comes."""
        if self.other is not None:
            self.other.hold(Hold.OTHER_IS_FULL)

    def resume_writing(self) -> None:
        """Let the other side go on."""
        if self.other is not None:
            self.other.release(Hold.OTHER_IS_FULL)
