"""The names by which a server may be addressed: a foreign one that was made to point here is not among them.

A page can have its own name point to this machine (DNS rebinding), and then counts as of the same origin as whatever
listens here. The ``Host`` that its browser sends is still that name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Hosts"]

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Hosts:
    """By which names what listens may be addressed.

    Attributes:
        names: Names and addresses, in lower case; IPv6 in brackets.
        port: Its port.
        is_any_address: Whether any IP address will do, because it listens on all of the machine's. A page that has
            made its own name point here still sends that name.
        scheme: ``http`` or ``https``.
    """

    names: frozenset[str]
    port: int
    is_any_address: bool = False
    scheme: str = "http"

    @classmethod
    def of(cls, host: str, port: int, own_names: Iterable[str] = (), scheme: str = "http") -> Hosts:
        """Return the names of what listens on a host, an address or a name.

        Args:
            host: What it listens on.
            port: Its port.
            own_names: What the machine calls itself; counts if it listens on all its addresses.
            scheme: ``http`` or ``https``.
        """
        bracketed = f"[{host}]" if ":" in host else host
        is_any = host in ("0.0.0.0", "::", "")
        names = {"127.0.0.1", "localhost", "[::1]", bracketed.lower(), *(own_names if is_any else ())}
        return cls(frozenset(names), port, is_any, scheme)

    def include(self, authority: str) -> bool:
        """Return whether ``host:port`` means us."""
        name, port = _split(authority.strip().lower(), _PORTS[self.scheme])
        if port != self.port:
            return False
        return name in self.names or (self.is_any_address and _is_address(name))


def _split(authority: str, default_port: int) -> tuple[str, int | None]:
    """Return name and port of ``name:port``; without one it is the scheme's."""
    name, colon, port = authority.rpartition(":")
    if not colon or "]" in port:  # no port, or the end of an IPv6 address
        return authority, default_port
    return name, int(port) if len(port) <= 5 and port.isascii() and port.isdigit() else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
