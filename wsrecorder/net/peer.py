"""Words for who is at the other end of a connection."""

from __future__ import annotations

from typing import Any

__all__ = ["address_text"]


def address_text(address: Any) -> str:
    """Return host and port of a socket address: of two parts for IPv4, of four for IPv6."""
    match address:
        case (str() as host, int() as port, *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "somewhere"
