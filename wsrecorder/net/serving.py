"""The listening server behind an endpoint: how the library is set up for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from wsrecorder.net.admission import Admission
from wsrecorder.net.endpoint_options import EndpointOptions
from wsrecorder.net.listening import cannot_listen
from wsrecorder.net.tls import server_context

__all__ = ["begin_serving"]

_ROOM_BYTES: Final = 1 << 20  # a buffer above this counts as a stall, and is what SlowClient.WAIT waits for
_WINDOW_BITS: Final = 12  # as websockets: hardly worse than 15 on messages of this size, and 1/8 of the memory

# The library logs each closed port scan and failed keepalive with a traceback; we say what matters ourselves.
_library_log = logging.getLogger(f"{__name__}.websockets")
_library_log.addHandler(logging.NullHandler())
_library_log.propagate = False
_library_log.setLevel(logging.CRITICAL)  # it would log handshakes, tokens and all


async def begin_serving(
    options: EndpointOptions,
    attend: Callable[[ServerConnection], Awaitable[None]],
    admission: Admission,
    create_connection: Callable[..., ServerConnection],
) -> Server:
    """Listen.

    Args:
        options: How the endpoint serves.
        attend: Sees to one client from its accept to its end.
        admission: Answers handshakes.
        create_connection: Makes the connection of whoever comes.

    Raises:
        EndpointError: The address or port cannot be had.
        UsageError: The certificate cannot be used.
    """
    # Without context takeover a message is compressed alone, hence alike for all clients.
    deflate = ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,
        server_max_window_bits=_WINDOW_BITS,
        client_max_window_bits=_WINDOW_BITS,
    )
    room_bytes = min(_ROOM_BYTES, options.client_buffer_bytes)
    context = server_context(options.access.certificate)
    tls: dict[str, Any] = (
        {} if context is None else {"ssl": context, "ssl_handshake_timeout": options.access.handshake_timeout_s}
    )
    try:
        return await serve(
            attend,
            options.host,
            options.port,
            process_request=admission.answer,
            select_subprotocol=admission.select_subprotocol,
            create_connection=create_connection,  # type: ignore[arg-type]  # a factory does: it is only called
            extensions=[deflate] if options.compression else None,
            compression=None,
            open_timeout=options.access.handshake_timeout_s,
            ping_interval=options.ping_s,
            ping_timeout=options.ping_s,
            close_timeout=options.close_timeout_s,
            max_size=options.access.max_inbound_bytes,  # by default no inbound frame is fatal
            write_limit=(room_bytes, room_bytes // 4),
            logger=_library_log,
            **tls,
        )
    except OSError as exc:
        raise cannot_listen(options.host, options.port, exc) from exc
