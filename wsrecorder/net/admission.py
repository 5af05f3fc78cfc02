"""Who is let in by the endpoint: one path, one subprotocol, whom the gate lets pass, and for a while perhaps nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from wsrecorder.net.access import Access
from wsrecorder.net.auth import BEARER, CHALLENGE, Gate, Refusal
from wsrecorder.net.turned_away import Cause, TurnedAway

__all__ = ["Admission"]


class Admission:
    """Answers handshakes as the live server does.

    Attributes:
        gate: Judges origins and tokens.

    Args:
        path: The only path that is served; a query string is allowed.
        subprotocol: What is agreed on with clients that offer it, or None.
        now_ns: Monotonic time, ns.
        access: Who may connect.
        turned_away: Takes note of whom it refuses.
    """

    def __init__(
        self, path: str, subprotocol: str | None, now_ns: Callable[[], int], access: Access, turned_away: TurnedAway
    ) -> None:
        self.gate = Gate(access)
        self._most = access.max_clients
        self._asks_for_token = access.asks_for_token
        self._admitted: set[ServerConnection] = set()
        self._path = path
        self._subprotocol = subprotocol
        self._now_ns = now_ns
        self._refuse_until_ns = 0
        self._turned_away = turned_away

    @property
    def refused(self) -> int:
        """How many connections were refused because of `refuse`."""
        return self._turned_away.counts[Cause.FAULT]

    def refuse(self, length_ns: int) -> None:
        """Refuse all connections for a while, with 503, as what stands before a server that is away does.

        The port stays ours, and each attempt can be counted. Clients that are here stay.
        """
        self._refuse_until_ns = max(self._refuse_until_ns, self._now_ns() + length_ns)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return what a request is answered, None to let it in: what `serve` calls ``process_request``."""
        if self._now_ns() < self._refuse_until_ns:
            return self._refuse(connection, Cause.FAULT, 503, "Service Unavailable")
        upgrades = ",".join(request.headers.get_all("Upgrade"))
        if "websocket" not in upgrades.lower():
            return self._refuse(connection, Cause.PLAIN, 404, "Not Found")
        if request.path.partition("?")[0] != self._path:
            return self._refuse(connection, Cause.PATH, 403, f"This endpoint is at {self._path}")
        verdict = self.gate.judge(request.headers, request.path)
        if isinstance(verdict, Refusal):
            response = self._refuse(connection, Cause.of(verdict.status), verdict.status, verdict.reason)
            if verdict.status == 401:
                response.headers["WWW-Authenticate"] = CHALLENGE
            return response
        if self._most is not None and len(self._admitted) >= self._most:
            return self._refuse(connection, Cause.FULL, 503, f"{self._most} clients are here already")
        self._admitted.add(connection)
        connection.connection_lost_waiter.add_done_callback(lambda _: self._admitted.discard(connection))
        return None

    def _refuse(self, connection: ServerConnection, cause: Cause, status: int, words: str) -> Response:
        self._turned_away.note(cause, connection.remote_address, f"was refused with {status}: {words}")
        return connection.respond(status, f"{words}\n")

    def select_subprotocol(self, connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """Return the subprotocol if it was offered; by default the library refuses who does not offer it.

        A browser that has brought its token as a subprotocol hangs up unless one that it offered is agreed on.
        """
        chosen = next((subprotocol for subprotocol in offered if subprotocol == self._subprotocol), None)
        if chosen is None and self._asks_for_token and BEARER in offered:
            return Subprotocol(BEARER)
        return chosen
