"""A listening TCP socket for a server that is not started yet."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from wsrecorder.errors import EndpointError

__all__ = ["PortTaken", "bound", "own_names"]


class PortTaken(EndpointError):
    """Somebody listens on that port already."""


def bound(host: str, port: int, *, host_option: str, port_option: str) -> socket.socket:
    """Return a socket that listens, non-blocking; connections wait in it until somebody accepts them.

    Args:
        host: Address to listen on, or a name, of which the first address is taken.
        port: Port to listen on; 0 takes a free one.
        host_option: The option that chooses the address, for messages.
        port_option: The option that chooses the port, for messages.

    Raises:
        PortTaken: Somebody listens there.
        EndpointError: The address or port cannot be had.
    """
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        if hasattr(socket, "SO_REUSEPORT"):  # Windows means something else by SO_REUSEADDR, and has no such port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(100)
    except (OSError, OverflowError, UnicodeError) as exc:
        if listener is not None:
            listener.close()
        raise _cannot_listen(host, port, host_option, port_option, exc) from exc
    listener.setblocking(False)
    return listener


def own_names() -> Iterator[str]:
    """Yield what this machine calls itself, in lower case."""
    yield socket.gethostname().lower()
    yield f"{socket.gethostname().lower()}.local"  # as others find it by multicast DNS


def _cannot_listen(host: str, port: int, host_option: str, port_option: str, exc: Exception) -> EndpointError:
    match getattr(exc, "errno", None):
        case errno.EADDRINUSE:
            return PortTaken(
                f"port {port} on {host} is in use",
                hint=f"stop what listens there, or choose another with {port_option} (0 takes a free one)",
            )
        case errno.EACCES | errno.EPERM:
            return EndpointError(
                f"listening on {host}:{port} is not permitted", hint=f"choose a port above 1023 with {port_option}"
            )
    said = getattr(exc, "strerror", None) or exc
    return EndpointError(
        f"cannot listen on {host}:{port}: {said}", hint=f"choose an address of this machine with {host_option}"
    )
