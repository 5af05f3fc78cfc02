"""Words for a feed that cannot be had, the same for every transport."""

from __future__ import annotations

import asyncio
import socket
import ssl

from wsrecorder.core.credentials import hide
from wsrecorder.errors import FeedError
from wsrecorder.net.tls_trouble import tls_trouble
from wsrecorder.net.transport import FeedOptions

__all__ = ["refusal"]

_STATUS_HINTS = {
    401: "the feed wants credentials: add them with --header-env 'Authorization=NAME' or --header-file",
    403: "check the path (the engine serves exactly /ws/, with both slashes) and --origin",
    404: "check the path: the engine serves exactly /ws/, with both slashes",
    429: "the feed is limiting you: wait, or record fewer connections at once",
}

_CUT = "the connection was cut before the handshake was done"


def refusal(options: FeedOptions, exc: BaseException, status: int | None) -> FeedError:
    """Return the error for a connection that was not made.

    Args:
        options: How it was tried.
        exc: What the library said.
        status: HTTP status of the refused handshake, or None.
    """
    url = options.shown_url
    if status is not None and 300 <= status < 400:
        return FeedError(
            f"{url} sends elsewhere (HTTP {status})",
            hint="record the URL that it leads to: credentials are not carried to another server",
        )
    if status is not None:
        hint = _STATUS_HINTS.get(status, "check the URL; try again later" if status >= 500 else "check the URL")
        return FeedError(f"{url} refused the handshake with HTTP {status}, expected 101", hint=hint)
    if isinstance(exc, (asyncio.TimeoutError, TimeoutError)):
        return FeedError(
            f"{url} did not answer within {options.open_timeout_s:g} s",
            hint="check that the server is up and reachable",
        )
    if isinstance(exc, ssl.SSLError):
        what, hint = tls_trouble(exc)
        return FeedError(f"{url} cannot be trusted: {what}", hint=hint)
    if isinstance(exc, socket.gaierror):
        return FeedError(f"{url}: the host name is unknown", hint="check the spelling of the host")
    if isinstance(exc, OSError):
        return FeedError(
            f"{url} cannot be reached: {options.shown_text(exc.strerror or str(exc)) or _CUT}",
            hint="check host and port, and that the server is up",
        )
    said = options.shown_text(hide(str(exc), {options.url, *options.headers.values()}))
    return FeedError(
        f"{url} did not answer as a WebSocket server: {said}", hint="check that this is the WebSocket's URL"
    )
