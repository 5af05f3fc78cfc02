"""What a tap changes in the client's request before it goes on, and what it reads in the server's answer."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import unquote, urlsplit

from wsrecorder.net.http_head import HttpHead
from wsrecorder.net.inflater import Inflater
from wsrecorder.net.tap_options import TapOptions

__all__ = ["answer", "forwarded", "inflater"]

_DEFLATE: Final = "permessage-deflate"

_HANDSHAKE: Final = frozenset(
    {
        "host",
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
        "content-length",  # without these two a request with a body would be another one
        "transfer-encoding",
    }
)


def forwarded(request: HttpHead, options: TapOptions) -> HttpHead:
    """Return a client's request as the server gets it.

    Host names the server, headers are left out or set as the options say, and of the extensions only
    permessage-deflate is offered: what another one makes of a frame could not be recorded. A request that is no
    WebSocket handshake says that no other follows, for the next one could not be rewritten.
    """
    changes: dict[str, str | None] = {}
    if options.forward_headers is not None:
        kept = options.forward_headers | _HANDSHAKE
        changes |= {name: None for name, _ in request.headers if name.lower() not in kept}
    offers = [
        offer.strip()
        for offer in (request.get("Sec-WebSocket-Extensions") or "").split(",")
        if options.deflate and offer.partition(";")[0].strip().lower() == _DEFLATE
    ]
    changes["Host"] = options.authority
    if request.get("Sec-WebSocket-Extensions") is not None:
        changes["Sec-WebSocket-Extensions"] = ", ".join(offers) or None
    if not request.is_upgrade:
        changes["Connection"] = "close"
    user = urlsplit(options.upstream)
    if user.username is not None and request.get("Authorization") is None:
        pair = f"{unquote(user.username)}:{unquote(user.password or '')}"
        changes["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return request.with_headers(changes | dict(options.headers))


def inflater(response: HttpHead, *, from_server: bool, max_bytes: int) -> Inflater | None:
    """Return what inflates one direction, as the server's answer says; None where nothing is compressed.

    Args:
        response: The answer that opened the connection.
        from_server: Whether it is the direction from the server.
        max_bytes: Largest message.
    """
    agreed = (response.get("Sec-WebSocket-Extensions") or "").lower()
    if _DEFLATE not in agreed:
        return None
    side = "server" if from_server else "client"
    return Inflater(keeps_context=f"{side}_no_context_takeover" not in agreed, max_bytes=max_bytes)


def answer(status: int, phrase: str, text: str) -> bytes:
    """Return a whole answer of our own, in plain text, after which the connection ends."""
    body = f"{text}\n".encode()
    head = HttpHead(
        f"HTTP/1.1 {status} {phrase}",
        (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ),
    )
    return head.encode() + body
