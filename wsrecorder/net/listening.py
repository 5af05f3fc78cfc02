"""Words for an address and port that cannot be listened on."""

from __future__ import annotations

import errno

from wsrecorder.errors import EndpointError

__all__ = ["cannot_listen"]


def cannot_listen(host: str, port: int, exc: OSError) -> EndpointError:
    """Return the error for an address and port that cannot be had."""
    where = f"{host}:{port}"
    match exc.errno:
        case errno.EADDRINUSE:
            return EndpointError(
                f"port {port} on {host} is in use",
                hint="stop what listens there, or choose another with --port (0 takes a free one)",
            )
        case errno.EACCES | errno.EPERM:
            return EndpointError(f"listening on {where} is not permitted", hint="choose a port above 1023 with --port")
    return EndpointError(
        f"cannot listen on {where}: {exc.strerror or exc}", hint="choose an address of this machine with --host"
    )
