"""How the endpoint of a replay serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from wsrecorder.errors import UsageError
from wsrecorder.net.access import Access

__all__ = ["EndpointOptions", "Heartbeat", "SlowClient"]

Heartbeat = Callable[[float, int], bytes | None]
"""Makes a heartbeat's payload from the client's round trip, ms, and UTC, ns since the epoch; None: send none."""


class SlowClient(StrEnum):
    """What to do with a client that lags too far behind."""

    CLOSE = "close"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """How the endpoint serves.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        path: The only path that is served.
        subprotocol: The subprotocol that was recorded: agreed on with clients that offer it.
        slow_client: What to do with a client that lags too far behind.
        client_buffer_bytes: How far that is.
        compression: Whether to compress for clients that offer permessage-deflate.
        heartbeat_s: Time between heartbeats to a client, s.
        ping_s: Time between pings, and for how long to wait for the answer, s.
        close_timeout_s: For how long a client may take to answer a close, s.
        access: Who may connect, and how much one may do.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    path: str = "/ws/"
    subprotocol: str | None = None
    slow_client: SlowClient = SlowClient.CLOSE
    client_buffer_bytes: int = 16 << 20
    compression: bool = True
    heartbeat_s: float = 30.0
    ping_s: float = 20.0
    close_timeout_s: float = 5.0
    access: Access = field(default_factory=Access)

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65_536:
            raise UsageError(f"port {self.port} is not from 0 to 65535", hint="choose another with --port")
        if not self.path.startswith("/") or "?" in self.path:
            raise UsageError(
                f'path "{self.path}" must begin with / and have no query', hint="give it as in --path /ws/"
            )
