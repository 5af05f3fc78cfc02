"""A proxy before a server: it counts the bytes that go by, and can be switched off as if the server were away."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress


class Proxy:
    """A TCP proxy on a free port of loopback.

    Attributes:
        port: Where it listens, whether it is on or off.
        bytes_down: How many bytes the server sent.
        bytes_up: How many bytes were sent to the server.
    """

    def __init__(self, target_port: int) -> None:
        self.bytes_down = self.bytes_up = 0
        self._target_port = target_port
        self._is_on = True
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended = True
        self._wake.send(b"x")
        self._thread.join()
        for end in (*self._pairs, self._listener, self._wake, self._woken):
            end.close()
        self._selector.close()

    def switch(self, *, is_on: bool) -> None:
        """Let go by what comes, or cut all connections and refuse new ones."""
        self._is_on = is_on
        self._wake.send(b"x")

    def _run(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select():
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                if ready is self._listener:
                    self._accept()
                elif ready in self._pairs:
                    self._pass_on(ready)
                else:
                    ready.recv(1)
            if not self._is_on:
                for end in list(self._pairs):
                    self._close(end)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if not self._is_on:
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self._target_port))
        self._clients.add(client)
        for end, other in ((client, server), (server, client)):
            self._pairs[end] = other
            self._selector.register(end, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        try:
            content = source.recv(1 << 18)
            if content:
                self._pairs[source].sendall(content)
        except OSError:
            content = b""
        if not content:
            self._close(source)
        elif source in self._clients:
            self.bytes_up += len(content)
        else:
            self.bytes_down += len(content)

    def _close(self, end: socket.socket) -> None:
        for each in (end, self._pairs.get(end)):
            if each is not None and self._pairs.pop(each, None) is not None:
                self._clients.discard(each)
                with suppress(KeyError):
                    self._selector.unregister(each)
                each.close()
