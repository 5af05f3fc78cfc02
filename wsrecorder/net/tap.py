"""The tap: listens for clients, and passes each on to the server behind it.

What goes by is passed on byte by byte as it comes, once the handshake is done, and is read beside that: fragments,
pings and their payloads, compression, close frames and whatever breaks the protocol reach the other end as they
were sent. Each client has a connection to the server of its own. Neither needs a WebSocket library.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from wsrecorder.core.distribution import Distribution
from wsrecorder.net.auth import Gate
from wsrecorder.net.listening import cannot_listen
from wsrecorder.net.tap_connection import TapConnection
from wsrecorder.net.tap_options import TapOptions
from wsrecorder.net.tap_receiver import TapReceiver
from wsrecorder.net.tap_side import Hold, Side
from wsrecorder.net.tls import client_context, server_context
from wsrecorder.net.turned_away import Cause, TurnedAway

__all__ = ["Tap"]

_LOG: Final = logging.getLogger("wsrecorder.tap")

_SERVICE_RESTART: Final = 1012


class Tap:
    """The tap, listening while its context is open.

    Args:
        options: How it listens and reaches the server.
        receiver: Told what goes by.
        now_ns: Monotonic time, ns.
        on_mishap: Told of an error of our own making, which ends one connection; None has it logged.

    Attributes:
        options: How it listens and reaches the server.
        added: From the arrival of a message to its write, of all messages.
        turned_away: Clients that did not get in, by our doing, the server's or their own.
        gate: Judges the origins and tokens of clients.

    Raises:
        UsageError: A certificate cannot be used.
        EndpointError: The address or port cannot be had (on entering the context).
    """

    def __init__(
        self,
        options: TapOptions,
        receiver: TapReceiver,
        now_ns: Callable[[], int],
        on_mishap: Callable[[Exception], None] | None = None,
    ) -> None:
        self.options = options
        self.added = Distribution()
        self.turned_away = TurnedAway(_LOG)
        self._receiver = receiver
        self._now_ns = now_ns
        self._on_mishap = on_mishap or _log_mishap
        self.gate = Gate(options.access)
        self._tls: ssl.SSLContext | None = None
        if options.is_secure:
            self._tls = client_context(options.authorities, options.client_certificate)
        self._own_tls = server_context(options.access.certificate)
        self._server: asyncio.Server | None = None
        self._connections: dict[TapConnection, None] = {}  # in the order in which they came
        self._port = 0
        self._is_held = False
        self._has_news = asyncio.Event()

    async def __aenter__(self) -> Self:
        options = self.options
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._accept,
                options.host,
                options.port,
                ssl=self._own_tls,
                ssl_handshake_timeout=options.access.handshake_timeout_s if self._own_tls else None,
            )
        except OSError as exc:
            raise cannot_listen(options.host, options.port, exc) from exc
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, code: int = _SERVICE_RESTART, reason: str = "") -> None:
        """Stop listening and close all connections, within the time allowed; does nothing the second time.

        Args:
            code: Close code for the clients: 1012, as a server that restarts would send.
            reason: Reason beside the code.
        """
        assert self._server is not None, "the tap's context is not open"
        self._server.close()
        self.read_on()  # what is held back could not answer
        for connection in self.connections:
            connection.end(code, reason)
        try:
            async with asyncio.timeout(self.options.close_timeout_s):
                await self._wait_until_empty()
        except TimeoutError:
            for connection in self.connections:
                connection.abort()
            await self._wait_until_empty()
        self.turned_away.close()

    async def _wait_until_empty(self) -> None:
        while self._connections:
            self._has_news.clear()
            await self._has_news.wait()

    @property
    def port(self) -> int:
        """The port listened on."""
        assert self._port, "the tap's context is not open"
        return self._port

    @property
    def url(self) -> str:
        """Where to connect instead of to the server."""
        host = self.options.host
        scheme = "ws" if self._own_tls is None else "wss"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{self.options.target}"

    @property
    def connections(self) -> Sequence[TapConnection]:
        """The connections that are here now, in the order in which they came."""
        return tuple(self._connections)

    def hold_back(self) -> None:
        """Read nothing from anyone, until `read_on`."""
        self._is_held = True
        for connection in self._connections:
            connection.client.hold(Hold.WRITER_IS_FULL)
            connection.server.hold(Hold.WRITER_IS_FULL)

    def read_on(self) -> None:
        """Read on."""
        self._is_held = False
        for connection in self._connections:
            connection.client.release(Hold.WRITER_IS_FULL)
            connection.server.release(Hold.WRITER_IS_FULL)

    def _accept(self) -> Side:
        connection = TapConnection(
            self.options,
            self._receiver,
            self.added,
            now_ns=self._now_ns,
            tls=self._tls,
            gate=self.gate,
            turned_away=self.turned_away,
            is_full=self._is_full,
            on_connected=self._take_in,  # not before: of one that fails over TLS we would never hear again
            on_gone=self._forget,
            on_mishap=self._on_mishap,
        )
        return connection.client

    def _take_in(self, connection: TapConnection) -> None:
        self._connections[connection] = None
        if self._is_held:
            connection.client.hold(Hold.WRITER_IS_FULL)
            connection.server.hold(Hold.WRITER_IS_FULL)
        most = self.options.access.max_pending
        if most is not None:
            pending = [entry for entry in self._connections if entry.is_pending]
            for oldest in pending[: max(0, len(pending) - most)]:
                oldest.turn_away(Cause.CROWDED, f"was cut: more than {most} were shaking hands")
                oldest.abort()

    def _is_full(self) -> bool:
        """Return whether another client would be one too many."""
        most = self.options.access.max_clients
        return most is not None and sum(connection.is_admitted for connection in self._connections) >= most

    def _forget(self, connection: TapConnection) -> None:
        if self._connections.pop(connection, 0) is None:
            self._has_news.set()


def _log_mishap(error: Exception) -> None:
    _LOG.error("unexpected %s; one connection is cut", type(error).__name__, exc_info=error)
