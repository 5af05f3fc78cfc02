"""How the connection of a client ended: by whom, with which code, and why."""

from __future__ import annotations

from websockets.asyncio.server import ServerConnection

__all__ = ["end_code", "farewell"]


def end_code(connection: ServerConnection) -> int | None:
    """Return the code with which a connection ended, ours where we closed it first; None while it is open.

    The library's own ``close_code`` is the one received: 1006 where a client that broke a rule never answered.
    """
    own = connection.protocol.close_sent
    if connection.close_code is None or own is None or connection.protocol.close_rcvd_then_sent:
        return connection.close_code
    return own.code


def farewell(connection: ServerConnection, *, is_known: bool) -> str:
    """Return the code with which a connection ended, and why where we closed it.

    Args:
        connection: The connection.
        is_known: Whether who closed it has said why; that may quote a message, which is no log's business.
    """
    own = connection.protocol.close_sent
    if is_known or own is None or connection.protocol.close_rcvd_then_sent or not own.reason:
        return str(end_code(connection))
    return f"{own.code}, closed by us: {own.reason}"
