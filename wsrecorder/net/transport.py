"""The one seam between the recorder and a WebSocket library.

A link calls `Receiver.on_frame` for each message as it leaves the socket, so that it is stamped there, and
hands out the bytes of text frames undecoded, so that what is not UTF-8 is recorded too. There are two:
one over ``websockets``, one over ``picows`` (extra ``fast``), chosen when it is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from wsrecorder.core.event import Opcode
from wsrecorder.errors import UsageError

__all__ = [
    "PING_INTERVAL_S",
    "PING_TIMEOUT_S",
    "Closed",
    "FeedOptions",
    "Link",
    "Receiver",
    "choose_transport",
]

PING_INTERVAL_S = 20.0
PING_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How to reach a feed.

    Attributes:
        url: ``ws://`` or ``wss://``.
        headers: More headers for the handshake.
        origin: Value of the header Origin, or None.
        subprotocols: Subprotocols offered, the preferred one first.
        max_frame_bytes: Largest message accepted.
        open_timeout_s: How long connecting and the handshake may take.
        deflate: Whether to offer permessage-deflate.

    Raises:
        UsageError: The URL is not that of a WebSocket.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    origin: str | None = None
    subprotocols: tuple[str, ...] = ()
    max_frame_bytes: int = 64 << 20
    open_timeout_s: float = 10.0
    deflate: bool = True

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            found = f"scheme {parts.scheme!r}" if parts.scheme else "no scheme"
            raise UsageError(
                f"{self.url!r} is not a WebSocket URL: it has {found if parts.hostname else 'no host'},"
                " expected ws:// or wss:// and a host",
                hint="write it as ws://localhost:8000/ws/",
            )
        try:
            _ = parts.port
        except ValueError:
            raise UsageError(
                f"{self.url!r} has no valid port", hint="write it as ws://localhost:8000/ws/, ports go up to 65535"
            ) from None


@dataclass(frozen=True, slots=True)
class Closed:
    """How a connection ended.

    Attributes:
        code: Close code (RFC 6455, section 7.4); 1006 where no close frame came.
        reason: The reason that came with it.
        cause: Why, in words.
    """

    code: int
    reason: str
    cause: str

    @property
    def is_clean(self) -> bool:
        """Whether the server ended it on purpose, with nothing wrong."""
        return self.code in (1000, 1001)


class Receiver(Protocol):
    """What a link tells, from the event loop and in order."""

    def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
        """The handshake is done; frames follow.

        Args:
            subprotocol: The subprotocol that the server chose.
            is_deflated: Whether permessage-deflate was negotiated.
        """
        ...

    def on_frame(self, payload: bytes, opcode: int) -> None:
        """A message came.

        Args:
            payload: Its bytes; those of a text message are not decoded.
            opcode: 1 is text, 2 is binary.
        """
        ...


class Link(Protocol):
    """An open connection to a feed."""

    def pause(self) -> None:
        """Read no further, so that TCP holds the server back."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def send(self, payload: bytes, opcode: Opcode) -> None:
        """Send a message."""
        ...

    async def wait_closed(self) -> Closed:
        """Return how the connection ended, once it has."""
        ...

    async def close(self) -> None:
        """End the connection with code 1000; it is gone when the call returns."""
        ...

    def abort(self) -> None:
        """Cut the connection at once."""
        ...


def choose_transport(name: str = "auto") -> str:
    """Return which library carries the connection: ``picows`` or ``websockets``.

    Args:
        name: One of them, or ``auto`` for the faster one of those installed.

    Raises:
        UsageError: It is unknown, or not installed.
    """
    has_picows = importlib.util.find_spec("picows") is not None
    if name == "auto":
        return "picows" if has_picows else "websockets"
    if name == "websockets" or (name == "picows" and has_picows):
        return name
    if name == "picows":
        raise UsageError("transport picows is not installed", hint="pip install 'wsrecorder[fast]'")
    raise UsageError(f"transport {name!r} is unknown", hint="use auto, websockets or picows")
