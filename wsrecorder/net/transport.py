"""The one seam between the recorder and a WebSocket library.

A link calls `Receiver.on_frame` for each message as it leaves the socket, so that it is stamped there, and
hands out the bytes of text frames undecoded, so that what is not UTF-8 is recorded too. There are two:
one over ``websockets``, one over ``picows`` (extra ``fast``), chosen when it is installed.
"""

from __future__ import annotations

import importlib.util
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from wsrecorder.core.credentials import HIDDEN, hide, redact_subprotocol, redact_text, redact_url
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
        tls: How a server behind ``wss://`` is checked, and what it is shown; None checks by the system's authorities.
        secrets: What is hidden wherever the URL or a subprotocol is shown or kept, beside what looks secret in them.

    Raises:
        UsageError: The URL is not that of a WebSocket.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    origin: str | None = None
    subprotocols: tuple[str, ...] = field(default=(), repr=False)
    max_frame_bytes: int = 64 << 20
    open_timeout_s: float = 10.0
    deflate: bool = True
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def __post_init__(self) -> None:
        hint = "write it as ws://localhost:8000/ws/"
        try:
            parts = urlsplit(self.url)
            host = parts.hostname
        except ValueError:  # brackets in the wrong places
            raise UsageError(f"{self._shown_whatever!r} is no URL", hint=hint) from None
        if "#" in self.url:  # RFC 6455, section 3; what follows may be the rest of a password
            raise UsageError(
                f"'{self._shown_whatever.partition('#')[0]}#{HIDDEN}' has a fragment, which no WebSocket URL may have",
                hint="leave out the # and what follows; one that belongs to a value is written %23",
            )
        if parts.scheme not in ("ws", "wss") or not host:
            found = f"scheme {redact_url(parts.scheme)!r}" if parts.scheme else "no scheme"
            raise UsageError(
                f"{self._shown_whatever!r} is not a WebSocket URL: it has {found if host else 'no host'},"
                " expected ws:// or wss:// and a host",
                hint=hint,
            )
        try:
            _ = parts.port
        except ValueError:
            raise UsageError(
                f"{self._shown_whatever!r} has no valid port", hint=f"{hint}, ports go up to 65535"
            ) from None

    @property
    def is_secure(self) -> bool:
        """Whether the feed is reached over TLS."""
        return urlsplit(self.url).scheme == "wss"

    @property
    def shown_url(self) -> str:
        """The URL without credentials: what is kept, logged and shown."""
        return hide(redact_url(self.url), self.secrets)

    def shown_text(self, text: str) -> str:
        """Return what others wrote, such as a close reason or a library's message, without credentials."""
        return redact_text(hide(text, self.secrets))

    def shown_subprotocol(self, chosen: str | None) -> str | None:
        """Return the subprotocol that the server chose, unless it is a token."""
        shown = redact_subprotocol(chosen, self.subprotocols)
        return None if shown is None else hide(shown, self.secrets)

    @property
    def _shown_whatever(self) -> str:
        """The same of what is no URL: a password may hold what else ends the host, so all before the last @ goes."""
        before, at, _ = self.url.rpartition("@")
        if not at:
            return self.shown_url
        scheme, slashes, _ = before.partition("://")
        return hide(
            redact_url(f"{scheme + slashes if slashes else ''}{HIDDEN}@{self.url[len(before) + 1 :]}"), self.secrets
        )


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
