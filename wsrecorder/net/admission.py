"""Who is let in by the endpoint: one path, one subprotocol, whom the gate lets pass, and for a while perhaps nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from wsrecorder.net.access import Access
from wsrecorder.net.auth import BEARER, CHALLENGE, Gate, Refusal

__all__ = ["Admission"]


class Admission:
    """Answers handshakes as the live server does.

    Attributes:
        refused: How many connections were refused because of `refuse`.
        gate: Judges origins and tokens.

    Args:
        path: The only path that is served; a query string is allowed.
        subprotocol: What is agreed on with clients that offer it, or None.
        now_ns: Monotonic time, ns.
        access: Who may connect; by default everybody.
    """

    def __init__(
        self, path: str, subprotocol: str | None, now_ns: Callable[[], int], access: Access | None = None
    ) -> None:
        access = access or Access()
        self.refused = 0
        self.gate = Gate(access)
        self._most = access.max_clients
        self._asks_for_token = access.asks_for_token
        self._admitted: set[ServerConnection] = set()
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
        verdict = self.gate.judge(request.headers, request.path)
        if isinstance(verdict, Refusal):
            response = connection.respond(verdict.status, f"{verdict.reason}\n")
            if verdict.status == 401:
                response.headers["WWW-Authenticate"] = CHALLENGE
            return response
        if self._most is not None and len(self._admitted) >= self._most:
            return connection.respond(503, f"{self._most} clients are here already\n")
        self._admitted.add(connection)
        connection.connection_lost_waiter.add_done_callback(lambda _: self._admitted.discard(connection))
        return None

    def select_subprotocol(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """Return the subprotocol if it was offered; by default the library refuses who does not offer it.

        A browser that has brought its token as a subprotocol hangs up unless one that it offered is agreed on.
        """
        chosen = next((subprotocol for subprotocol in offered if subprotocol == self._subprotocol), None)
        if chosen is None and self._asks_for_token and BEARER in offered:
            return Subprotocol(BEARER)
        return chosen
