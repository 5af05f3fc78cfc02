"""How a tap listens and reaches the server behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from wsrecorder.errors import UsageError
from wsrecorder.net.access import Access
from wsrecorder.net.tls import Certificate
from wsrecorder.net.transport import FeedOptions

__all__ = ["TapOptions"]


@dataclass(frozen=True, slots=True)
class TapOptions:
    """How a tap listens and reaches the server behind it.

    Attributes:
        upstream: ``ws://`` or ``wss://`` URL of the server. Its path is where clients are told to connect; what they
            ask for goes on unchanged.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        forward_headers: Headers of the client that go on, in lower case; None is all. Those of the handshake always do.
        headers: Headers that are set instead of the client's.
        deflate: Whether permessage-deflate may be negotiated between the two ends.
        max_frame_bytes: Largest message that is recorded; a larger one is passed on all the same.
        buffer_bytes: How much may wait for a slow end before the other is held back.
        open_timeout_s: How long connecting to the server may take, and a client's request.
        close_timeout_s: How long an end may take to answer a close frame when the tap ends.
        access: Who may connect. What a client may send is not limited: all of it belongs to the conversation.
        authorities: PEM file of those that are believed of the server's certificate instead of the system's, or None.
        client_certificate: What the server is shown, or None.

    Raises:
        UsageError: The URL is not that of a WebSocket, or there is no such port.
    """

    upstream: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8001
    forward_headers: frozenset[str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    deflate: bool = True
    max_frame_bytes: int = 64 << 20
    buffer_bytes: int = 1 << 20
    open_timeout_s: float = 10.0
    close_timeout_s: float = 2.0
    access: Access = field(default_factory=Access)
    authorities: Path | None = None
    client_certificate: Certificate | None = None

    def __post_init__(self) -> None:
        FeedOptions(self.upstream)  # it looks at the URL
        if not 0 <= self.port < 65_536:
            raise UsageError(f"port {self.port} is not from 0 to 65535", hint="choose another with --port")

    @property
    def is_secure(self) -> bool:
        """Whether the server is reached over TLS."""
        return urlsplit(self.upstream).scheme == "wss"

    @property
    def upstream_host(self) -> str:
        """Name or address of the server."""
        return urlsplit(self.upstream).hostname or ""

    @property
    def upstream_port(self) -> int:
        """Port of the server."""
        return urlsplit(self.upstream).port or (443 if self.is_secure else 80)

    @property
    def authority(self) -> str:
        """What the header Host says to the server."""
        return urlsplit(self.upstream).netloc.rpartition("@")[2]

    @property
    def target(self) -> str:
        """Path and query of the server's URL."""
        parts = urlsplit(self.upstream)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
