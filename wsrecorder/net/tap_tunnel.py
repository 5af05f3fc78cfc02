"""An open WebSocket that goes through a tap: both directions, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wsrecorder.core.distribution import Distribution
from wsrecorder.core.event import Direction
from wsrecorder.net.http_head import HttpHead
from wsrecorder.net.tap_handshake import inflater
from wsrecorder.net.tap_lane import TapLane
from wsrecorder.net.tap_receiver import Opened, TapReceiver
from wsrecorder.net.tap_side import Side
from wsrecorder.net.transport import Closed

__all__ = ["TapTunnel"]

_GOING_AWAY: Final = 1001
_ABNORMAL: Final = 1006


class TapTunnel:
    """Both directions of one connection.

    Args:
        client: The socket to the client.
        server: The socket to the server.
        opened: The connection.
        response: The answer that opened it.
        receiver: Told what goes by.
        added: Takes the time from arrival to write of each message.
        now_ns: Monotonic time, ns.
        max_bytes: Largest message that is recorded.
        arrival_ns: When the answer came, ns.

    Attributes:
        opened: The connection.
        conn: Its number.
        from_server: Direction ``in``.
        to_server: Direction ``out``.
    """

    def __init__(
        self,
        client: Side,
        server: Side,
        opened: Opened,
        response: HttpHead,
        receiver: TapReceiver,
        added: Distribution,
        *,
        now_ns: Callable[[], int],
        max_bytes: int,
        arrival_ns: int,
    ) -> None:
        self.opened = opened
        self.conn = receiver.on_open(opened, arrival_ns)
        self._client = client
        self._server = server
        self._receiver = receiver
        self._now_ns = now_ns
        self._first_close: TapLane | None = None
        self._ending: int | None = None
        self._is_told = False
        self._first_gone: Side | None = None

        def lane(source: Side, target: Side, direction: Direction) -> TapLane:
            return TapLane(
                source,
                target,
                self.conn,
                direction,
                receiver,
                added,
                now_ns=now_ns,
                max_bytes=max_bytes,
                inflater=inflater(response, from_server=direction is Direction.IN, max_bytes=max_bytes),
                when_closed=self._close_came,
            )

        self.from_server = lane(server, client, Direction.IN)
        self.to_server = lane(client, server, Direction.OUT)

    def _close_came(self, lane: TapLane) -> None:
        if self._first_close is None:
            self._first_close = lane
        if self._ending is not None:
            lane.source.end()  # it has answered the close frame of our own

    def end(self, code: int, reason: str) -> None:
        """Close towards both ends: to the client as a server that goes, to the server as a client that goes."""
        self._ending = code
        self.from_server.end(code, reason)
        self.to_server.end(_GOING_AWAY, "")
        for lane in (self.from_server, self.to_server):
            if lane.close is not None:
                lane.source.end()

    def ebbs(self, side: Side) -> None:
        """Take note that one side sends no more: it may be a while until it is gone."""
        self._first_gone = self._first_gone or side

    def lost(self, side: Side) -> None:
        """Tell how the connection ended, now that one side is gone; the second time does nothing."""
        if self._is_told:
            return
        self._is_told = True
        self.ebbs(side)
        if self._ending is not None:
            closed = Closed(self._ending, "", "the tap ended")
        elif self._first_close is not None and self._first_close.close is not None:
            who = "server" if self._first_close is self.from_server else "client"
            closed = Closed(*self._first_close.close, f"closed by the {who}")
        else:
            closed = Closed(
                _ABNORMAL, "", f"the {'server' if self._first_gone is self._server else 'client'} cut the connection"
            )
        self._receiver.on_close(self.conn, closed, self._now_ns())
