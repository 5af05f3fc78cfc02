"""The connections of an endpoint, from the moment that the socket is there: who of them gets no further."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from websockets.exceptions import InvalidStatus

from wsrecorder.net.access import Access
from wsrecorder.net.client import ClientConnection
from wsrecorder.net.turned_away import Cause, TurnedAway

__all__ = ["Arrivals"]

_EARLY: Final = 0.99  # the event loop's timers may be early by its resolution


class Arrivals:
    """Holds all connections, bounds how many shake hands at a time, and notes those that end before that is done.

    Args:
        access: What bounds them.
        turned_away: Takes note of them.
    """

    def __init__(self, access: Access, turned_away: TurnedAway) -> None:
        self._most = access.max_pending
        self._limit_s = access.handshake_timeout_s
        self._turned_away = turned_away
        self._since_s: dict[ClientConnection, float] = {}  # in the order in which they came
        self._is_closing = False

    def __iter__(self) -> Iterator[ClientConnection]:
        """Yield those that are here, in the order in which they came."""
        return iter(tuple(self._since_s))

    def close(self) -> None:
        """Note no more of them: whoever is not in yet is cut because we go."""
        self._is_closing = True

    def take_in(self, connection: ClientConnection) -> None:
        """Take a connection whose socket, and TLS, are there."""
        self._since_s[connection] = asyncio.get_running_loop().time()
        connection.connection_lost_waiter.add_done_callback(lambda _: self._let_go(connection))
        if self._most is None:
            return
        pending = [socket for socket in self._since_s if socket.request is None]
        for oldest in pending[: max(0, len(pending) - self._most)]:
            words = f"was cut: more than {self._most} were shaking hands, and it had been at it longest"
            self._turn_away(oldest, Cause.CROWDED, words)
            oldest.transport.abort()

    def _turn_away(self, connection: ClientConnection, cause: Cause, words: str) -> None:
        if not (connection.is_noted or self._is_closing):
            connection.is_noted = True
            self._turned_away.note(cause, connection.peer, words)

    def _let_go(self, connection: ClientConnection) -> None:
        took_s = asyncio.get_running_loop().time() - self._since_s.pop(connection)
        error = connection.protocol.handshake_exc
        if connection.response is not None:
            # A status of our own choice has been noted; what the library refuses by itself is an error of its own.
            if connection.response.status_code < 500 and not (error is None or isinstance(error, InvalidStatus)):
                words = f"was refused with {connection.response.status_code}: its handshake is none"
                self._turn_away(connection, Cause.INVALID, words)
        elif error is not None and not isinstance(error.__cause__, EOFError):
            self._turn_away(connection, Cause.INVALID, "was cut: its handshake is none")
        elif took_s >= self._limit_s * _EARLY:
            self._turn_away(connection, Cause.LATE, f"was cut: its handshake took more than {self._limit_s:g} s")
        else:
            self._turn_away(connection, Cause.GONE, "was gone before its handshake was done")
