"""What a tap tells of the connections that go through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wsrecorder.core.event import Direction
from wsrecorder.net.transport import Closed

__all__ = ["Opened", "TapReceiver"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection whose handshake is done.

    Attributes:
        target: Path and query that the client asked for.
        address: Host and port it came from.
        subprotocol: The subprotocol that the server chose, hidden where it is a token.
        is_deflated: Whether permessage-deflate was negotiated.
    """

    target: str
    address: str
    subprotocol: str | None
    is_deflated: bool


class TapReceiver(Protocol):
    """Told what goes by, from the event loop, in order of arrival over all connections."""

    def on_open(self, opened: Opened, arrival_ns: int) -> int:
        """A connection opened; return the number by which it goes from now on."""
        ...

    def on_message(self, conn: int, direction: Direction, payload: bytes, opcode: int, arrival_ns: int) -> None:
        """A message was passed on.

        Args:
            conn: Number of the connection.
            direction: ``in`` is from the server to the client.
            payload: Its bytes; those of a text message are not decoded.
            opcode: 1 is text, 2 is binary.
            arrival_ns: Monotonic time at which the last of it came, ns.
        """
        ...

    def on_dropped(self, conn: int, direction: Direction, size_bytes: int, cause: str, arrival_ns: int) -> None:
        """A message was passed on whose content is not known.

        Args:
            conn: Number of the connection.
            direction: ``in`` is from the server to the client.
            size_bytes: Its size on the wire.
            cause: Why, in words.
            arrival_ns: Monotonic time at which the last of it came, ns.
        """
        ...

    def on_close(self, conn: int, closed: Closed, arrival_ns: int) -> None:
        """A connection ended."""
        ...
