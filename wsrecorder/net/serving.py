"""The listening server behind an endpoint: how the library is set up for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import WebSocketException
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from wsrecorder.net.admission import Admission
from wsrecorder.net.endpoint_options import EndpointOptions
from wsrecorder.net.listening import cannot_listen
from wsrecorder.net.tls import server_context

__all__ = ["begin_serving", "library_log", "log_mishap"]

_LOG: Final = logging.getLogger(__name__)

_ROOM_BYTES: Final = 1 << 20  # a buffer above this counts as a stall, and is what SlowClient.WAIT waits for
_WINDOW_BITS: Final = 12  # as websockets: hardly worse than 15 on messages of this size, and 1/8 of the memory


class _Overheard(logging.Handler):
    """Takes what the library catches and logs: of that, errors of our own making alone."""

    def __init__(self, on_mishap: Callable[[Exception], None]) -> None:
        super().__init__(logging.ERROR)
        self._on_mishap = on_mishap

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of an error that is neither the network's nor the client's."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, Exception) and not isinstance(error, (OSError, EOFError, WebSocketException)):
            self._on_mishap(error)


def library_log(on_mishap: Callable[[Exception], None]) -> logging.Logger:
    """Return what the library is to log to; nothing of it is written anywhere.

    It would log each port scan and failed keepalive with a traceback, and handshakes, tokens and all.
    """
    log = logging.Logger(f"{__name__}.websockets", logging.ERROR)
    log.addHandler(_Overheard(on_mishap))
    return log


async def begin_serving(
    options: EndpointOptions,
    attend: Callable[[ServerConnection], Awaitable[None]],
    admission: Admission,
    create_connection: Callable[..., ServerConnection],
    on_mishap: Callable[[Exception, str], None],
) -> Server:
    """Listen.

    Args:
        options: How the endpoint serves.
        attend: Sees to one client from its accept to its end.
        admission: Answers handshakes.
        create_connection: Makes the connection of whoever comes.
        on_mishap: Told of errors of our own making that the library catches, and what becomes of them.

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
            logger=library_log(lambda error: on_mishap(error, "one connection ends")),
            **tls,
        )
    except OSError as exc:
        raise cannot_listen(options.host, options.port, exc) from exc


def log_mishap(error: Exception, consequence: str) -> None:
    """Log an error of our own making, where nobody else is there to take it."""
    _LOG.error("unexpected %s; %s", type(error).__name__, consequence, exc_info=error)
