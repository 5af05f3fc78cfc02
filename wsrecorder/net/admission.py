"""Who is let in by the endpoint: one path, one subprotocol, and for a while perhaps nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

__all__ = ["Admission"]


class Admission:
    """Answers handshakes as the live server does.

    Attributes:
        refused: How many connections were refused because of `refuse`.

    Args:
        path: The only path that is served; a query string is allowed.
        subprotocol: What is agreed on with clients that offer it, or None.
        now_ns: Monotonic time, ns.
    """

    def __init__(self, path: str, subprotocol: str | None, now_ns: Callable[[], int]) -> None:
        self.refused = 0
        self._path = path
        self._subprotocol = subprotocol
        self._now_ns = now_ns
        self._refuse_until_ns = 0

    def refuse(self, length_ns: int) -> None:
        """Refuse all connections for a while, with 503, as what stands before a server that is away does.

        The port stays ours, and each attempt can be counted. Clients that are here stay.
        """
        self._refuse_until_ns = max(self._refuse_until_ns, self._now_ns() + length_ns)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return what a request is answered, None to let it in: what `serve` calls ``process_request``."""
        if self._now_ns() < self._refuse_until_ns:
            self.refused += 1
            return connection.respond(503, "Service Unavailable\n")
        upgrades = ",".join(request.headers.get_all("Upgrade"))
        if "websocket" not in upgrades.lower():
            return connection.respond(404, "Not Found\n")
        if request.path.partition("?")[0] != self._path:
            return connection.respond(403, f"This endpoint is at {self._path}\n")
        return None

    def select_subprotocol(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """Return the subprotocol if it was offered; by default the library refuses who does not offer it."""
        return next((subprotocol for subprotocol in offered if subprotocol == self._subprotocol), None)
