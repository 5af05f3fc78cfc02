"""Calling the server behind a tap."""

from __future__ import annotations

import asyncio
import ssl

from wsrecorder.net.tap_options import TapOptions
from wsrecorder.net.tap_side import Side

__all__ = ["call"]


async def call(options: TapOptions, tls: ssl.SSLContext | None, server: Side) -> None:
    """Connect to the server; where that fails or is given up, the side counts as lost.

    Args:
        options: Where it is, and how long it may take.
        tls: How a server behind TLS is checked; None for a plain one.
        server: Becomes the socket.

    Raises:
        TimeoutError: It took too long.
        OSError: It is not there, or cannot be trusted.
    """
    is_connected = False
    try:
        async with asyncio.timeout(options.open_timeout_s):
            await asyncio.get_running_loop().create_connection(
                lambda: server,
                options.upstream_host,
                options.upstream_port,
                ssl=tls,
                server_hostname=options.upstream_host if tls else None,
            )
        is_connected = True
    finally:
        if not is_connected:
            # What was connected when the call was given up is closed by uvloop (0.23) without a word to its protocol.
            server.abort()
            server.is_lost = True
