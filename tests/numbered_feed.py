"""A feed of numbered frames, sent as fast as they are taken: what is missing, doubled or out of order shows."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from websockets.frames import Frame, Opcode

from torture.counted_feed import shake_hands

_BLOCK = 500


def payload(number: int) -> bytes:
    """Return the frame of that number."""
    return b'{"type": "T%d", "ts": %d, "n": %d}' % (number % 5, 1_764_000_000_000 + number, number)


def number_of(payload: bytes) -> int:
    """Return the number of a frame."""
    found: int = json.loads(payload)["n"]
    return found


class NumberedFeed:
    """Serves numbered frames while its context is open, from 0 on to each client; on threads, with bare sockets.

    Args:
        count: How many to send; then it keeps the connection open and sends no more. None goes on without end.
        first: Other payloads, text, to send before these.
        pause_s: How long to rest after each 500 frames.
    """

    def __init__(self, count: int | None = None, first: Iterable[bytes] = (), pause_s: float = 0.0) -> None:
        self._count = count
        self._pause_s = pause_s
        self._first = tuple(first)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"ws://127.0.0.1:{self._server.getsockname()[1]}/ws/"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for end in (self._server, *self._connections):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # closing alone would not wake the thread that waits on it
            end.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        leaving = threading.Event()
        with suppress(OSError):  # the client was killed, or we are to end
            shake_hands(connection)
            self._start(_wait_for_close, connection, leaving)
            connection.sendall(b"".join(map(_frame, self._first)))
            number = 0
            while not leaving.is_set() and number != self._count:
                until = number + _BLOCK if self._count is None else min(number + _BLOCK, self._count)
                connection.sendall(b"".join(_frame(payload(index)) for index in range(number, until)))
                number = until
                leaving.wait(self._pause_s)
            leaving.wait()
            connection.sendall(b"\x88\x02\x03\xe8")
            connection.shutdown(socket.SHUT_RDWR)


def _wait_for_close(connection: socket.socket, leaving: threading.Event) -> None:
    """Note when the client wants to leave, or has gone: beside that it sends pongs at most."""
    with suppress(OSError):
        while (data := connection.recv(65_536)) and data[0] != 0x88:
            pass
    leaving.set()


def _frame(content: bytes) -> bytes:
    if len(content) < 126:
        return b"\x81" + bytes((len(content),)) + content
    return Frame(Opcode.TEXT, content).serialize(mask=False)
