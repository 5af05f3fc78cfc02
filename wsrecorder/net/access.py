"""Who may connect to what listens, and how much one may do."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final

from wsrecorder.errors import UsageError
from wsrecorder.net.jwt_keys import JwtRules
from wsrecorder.net.origins import Origins
from wsrecorder.net.tls import Certificate

__all__ = ["Access", "is_loopback"]

_LEAST_PENDING: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may connect, and how much one may do; by default everybody, as much as they like.

    Attributes:
        allow_origins: Web pages that may connect, see `wsrecorder.net.origins.Origins`; none is all. Programs, which
            send no Origin, are not asked for one.
        tokens: A client must bring one of these, or a token that ``jwt`` takes.
        jwt: Which JSON Web Tokens are good; None is none.
        certificate: Shown over TLS; None serves without.
        max_clients: How many may be here at a time; None is any number. It bounds handshakes too, see `max_pending`.
        handshake_timeout_s: How long a client may take for its handshake, s.
        max_inbound_bytes: Largest message that a client may send; None is any.
        inbound_per_s: Messages per second that a client may send, as many at once; None is any number.

    Raises:
        UsageError: A limit is none, or an origin is no pattern.
    """

    allow_origins: tuple[str, ...] = ()
    tokens: tuple[str, ...] = field(default=(), repr=False)
    jwt: JwtRules | None = field(default=None, repr=False)
    certificate: Certificate | None = None
    max_clients: int | None = None
    handshake_timeout_s: float = 10.0
    max_inbound_bytes: int | None = None
    inbound_per_s: int | None = None

    def __post_init__(self) -> None:
        Origins(self.allow_origins)  # it looks at them
        for name, limit in (
            ("clients", self.max_clients),
            ("seconds for a handshake", self.handshake_timeout_s),
            ("bytes in a message", self.max_inbound_bytes),
            ("messages per second", self.inbound_per_s),
        ):
            if limit is not None and limit <= 0:
                raise UsageError(f"a limit of {limit:g} {name} lets nobody in", hint="give more than 0, or no limit")

    @property
    def max_pending(self) -> int | None:
        """How many may be shaking hands at a time; None is any number.

        One more, and the one that has been at it longest is cut: whoever means it is done within a moment. As many as
        clients may be here, so that nobody is cut who could have come in; and some more, for those who come together.
        """
        return None if self.max_clients is None else max(_LEAST_PENDING, self.max_clients)

    @property
    def asks_for_token(self) -> bool:
        """Whether a client must bring a token."""
        return bool(self.tokens) or self.jwt is not None

    def warnings(self, host: str) -> list[str]:
        """Return what is unsafe about listening on an address."""
        if is_loopback(host):
            return []
        if not self.asks_for_token:
            return [f"{host} can be reached from other machines, and no token is asked for: see --auth-token-file"]
        if self.certificate is None:
            return [f"tokens and messages go to {host} unencrypted: see --cert and --key"]
        return []


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
