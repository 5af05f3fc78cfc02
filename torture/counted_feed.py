"""A feed that keeps the truth: every frame is known by its number, and when it was sent."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from websockets.frames import Frame, Opcode

__all__ = ["CountedFeed", "payload", "shake_hands"]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


def payload(number: int, pad_bytes: int = 0) -> bytes:
    """Return the frame of a number; its bytes tell whether another took its place, or a part of it.

    Args:
        number: From 0 on.
        pad_bytes: Length of the longest text that a frame ends with; each has its own part of that.
    """
    pad = b""
    if pad_bytes:
        words = b"x%d" % number
        pad = (words * (pad_bytes // len(words) + 1))[: number * 7919 % (pad_bytes + 1)]
    return b'{"type":"T%d","ts":%d,"n":%d,"pad":"%s"}' % (number % 7, 1_764_000_000_000 + number, number, pad)


class CountedFeed:
    """Serves numbered frames to its first client while its context is open; on threads, with bare sockets.

    Attributes:
        connected: Set when the client has its handshake.

    Args:
        block: Frames a send.
        pause_s: Rest between two sends.
        pad_bytes: See `payload`.
    """

    def __init__(self, *, block: int, pause_s: float, pad_bytes: int) -> None:
        self.connected = threading.Event()
        self._block = block
        self._pause_s = pause_s
        self._pad_bytes = pad_bytes
        self._begun_ns: list[int] = []
        self._done = 0
        self._leaving = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"ws://127.0.0.1:{self._server.getsockname()[1]}/ws/"

    @property
    def sent(self) -> int:
        """Frames handed to the kernel so far."""
        return self._done

    def sent_ns(self, number: int) -> int:
        """Return the monotonic time, ns, right before the frame of a number was handed to the kernel."""
        return self._begun_ns[number // self._block]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving.set()
        for end in (self._server, self._client):
            if end is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)  # closing alone would not wake the thread that waits on it
                end.close()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):  # the client was killed, or we are to end
            self._client, _ = self._server.accept()
            # One that is killed and comes again, or a second one, would begin at 0 and spoil the count.
            self._server.close()
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            shake_hands(self._client)
            self.connected.set()
            due_s = time.monotonic()
            while not self._leaving.is_set():
                self._send_block(self._client)
                # By a plan, not by rests: what a busy machine took away is made up for.
                due_s = max(due_s + self._pause_s, time.monotonic() - 0.05)
                self._leaving.wait(max(0.0, due_s - time.monotonic()))

    def _send_block(self, client: socket.socket) -> None:
        until = self._done + self._block
        data = b"".join(
            Frame(Opcode.TEXT, payload(number, self._pad_bytes)).serialize(mask=False)
            for number in range(self._done, until)
        )
        self._begun_ns.append(time.monotonic_ns())
        client.sendall(data)
        self._done = until


def shake_hands(connection: socket.socket) -> None:
    """Answer a client's opening handshake.

    Raises:
        ConnectionError: The client leaves before it is done.
    """
    request = b""
    while b"\r\n\r\n" not in request:
        data = connection.recv(4_096)
        if not data:
            raise ConnectionError("the client left before its handshake was done")
        request += data
    headers = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if b": " in line)
    key = next(value for name, value in headers.items() if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
