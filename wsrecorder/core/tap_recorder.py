"""Decides what becomes an event where several connections go by, in both directions.

A connection that ends leaves no gap: its client wanted no more, or the server did, and others may go on. All else
is as with one feed, see `wsrecorder.core.recorder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsrecorder.core.event import Direction, Kind
from wsrecorder.core.recorder import Limits, Recorder

__all__ = ["TapRecorder"]


class TapRecorder(Recorder):
    """Turns what several connections gave, in order of arrival, into batches of events.

    Args:
        limits: When a batch is due and when the recording is complete; frames of both directions count.
        started_ns: Monotonic time at which the session begins.
    """

    def __init__(self, limits: Limits, started_ns: int) -> None:
        super().__init__(limits, started_ns)
        self._here: dict[int, None] = {}
        self._conn = 0
        self._direction = Direction.IN

    def joined(self, now_ns: int, detail: Mapping[str, Any]) -> int:
        """Record that a connection is open; return its number."""
        conn = self.connections
        self.connections += 1
        self._here[conn] = None
        self._go_to(conn, Direction.IN)
        self._mark(Kind.OPEN, now_ns, detail)
        return conn

    def message(self, conn: int, direction: Direction, payload: bytes, opcode: int, now_ns: int) -> bool:
        """Record a frame; this is the hot path.

        Args:
            conn: The connection that it went over.
            direction: Which way.
            payload: Its bytes, verbatim.
            opcode: Text or binary.
            now_ns: Monotonic time at which it came.

        Returns:
            True when the batch is full and must be taken.
        """
        if conn != self._conn or direction is not self._direction:
            self._go_to(conn, direction)
        return self.frame(payload, opcode, now_ns)

    def dropped(self, conn: int, direction: Direction, now_ns: int, detail: Mapping[str, Any]) -> None:
        """Record that a frame went by whose content is not known."""
        self._go_to(conn, direction)
        self.overflowed(now_ns, detail)

    def left(self, conn: int, now_ns: int, *, code: int, reason: str, cause: str) -> None:
        """Record that a connection is gone.

        Args:
            conn: The connection.
            now_ns: Monotonic time.
            code: Close code (RFC 6455, section 7.4), 1006 where no close frame came.
            reason: Reason that came with it.
            cause: Why, in words.
        """
        self._here.pop(conn, None)
        self._go_to(conn, Direction.IN)
        self._mark(Kind.CLOSE, now_ns, {"code": code, "reason": reason, "cause": cause})

    def ended(self, now_ns: int) -> None:
        """Record that the session ends, and with it all connections that are still here."""
        for conn in tuple(self._here):
            self.left(conn, now_ns, code=1000, reason="", cause="the recording ended")

    def _go_to(self, conn: int, direction: Direction) -> None:
        self._conn, self._direction = conn, direction
        self._go_on(conn, direction)
