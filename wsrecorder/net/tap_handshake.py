"""What a tap changes in the client's request before it goes on, and what it reads in the server's answer."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from wsrecorder.core.credentials import redact_subprotocol
from wsrecorder.net.auth import BEARER, CHALLENGE, Refusal, without_token
from wsrecorder.net.http_head import END, HttpHead
from wsrecorder.net.inflater import Inflater
from wsrecorder.net.peer import address_text
from wsrecorder.net.tap_options import TapOptions
from wsrecorder.net.tap_receiver import Opened

__all__ = [
    "MOST_HEAD_BYTES",
    "BearerAnswer",
    "answer",
    "forwarded",
    "inflater",
    "opened_by",
    "refused",
    "without_tokens",
]

_DEFLATE: Final = "permessage-deflate"

MOST_HEAD_BYTES: Final = 64 << 10

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


def without_tokens(request: HttpHead, places: Collection[str]) -> HttpHead:
    """Return a client's request without the tokens that let it through the gate: they are ours, not the server's.

    Args:
        request: The request.
        places: Where good tokens were, see `wsrecorder.net.auth.Pass`.
    """
    changes: dict[str, str | None] = {}
    if "header" in places:
        changes["Authorization"] = None
    if "protocol" in places:
        offered = [word.strip() for word in (request.get("Sec-WebSocket-Protocol") or "").split(",")]
        at = offered.index(BEARER)
        changes["Sec-WebSocket-Protocol"] = ", ".join(offered[:at] + offered[at + 2 :]) or None
    head = request.with_headers(changes) if changes else request
    if "query" in places:
        method, target, version = head.start.split(" ", 2)
        head = HttpHead(f"{method} {without_token(target)} {version}", head.headers)
    return head


class BearerAnswer:
    """Passes a server's answer on, agreeing on the subprotocol ``bearer`` where the server agreed on none.

    A browser that has brought its token as a subprotocol hangs up unless one that it offered is agreed on.

    Args:
        write: Where the answer goes on; all at once, when its head is here.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._head: bytearray | None = bytearray()

    def take(self, data: bytes) -> None:
        """Take what the server sent."""
        if self._head is None:
            self._write(data)
            return
        self._head += data
        while (end := self._head.find(END)) >= 0:
            head, self._head = bytes(self._head[: end + len(END)]), self._head[end + len(END) :]
            status = head[:32].split(b" ")[1:2]
            if status != [b"101"] and status[:1] and status[0].startswith(b"1"):
                self._write(head)  # an interim answer
                continue
            if status == [b"101"] and b"\r\nsec-websocket-protocol:" not in head.lower():
                head = head.removesuffix(END) + b"\r\nSec-WebSocket-Protocol: " + BEARER.encode() + END
            self._write(head)
            self._flush()
            return
        if len(self._head) > MOST_HEAD_BYTES:
            self._flush()

    def _flush(self) -> None:
        rest, self._head = self._head, None
        if rest:
            self._write(bytes(rest))


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


def opened_by(request: HttpHead, response: HttpHead, peer: Any) -> Opened:
    """Return what a handshake opened.

    Args:
        request: What the client asked for.
        response: The server's answer.
        peer: Where the client is, as its socket says.
    """
    offered = [word.strip() for word in (request.get("Sec-WebSocket-Protocol") or "").split(",")]
    return Opened(
        target=request.target,
        address=address_text(peer),
        subprotocol=redact_subprotocol(response.get("Sec-WebSocket-Protocol"), offered),
        is_deflated=_DEFLATE in (response.get("Sec-WebSocket-Extensions") or "").lower(),
    )


def answer(status: int, phrase: str, text: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return a whole answer of our own, in plain text, after which the connection ends."""
    body = f"{text}\n".encode()
    head = HttpHead(
        f"HTTP/1.1 {status} {phrase}",
        (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *(headers or {}).items(),
        ),
    )
    return head.encode() + body


def refused(refusal: Refusal) -> bytes:
    """Return the whole answer to a client that is not let in."""
    phrase = {401: "Unauthorized", 403: "Forbidden"}.get(refusal.status, "Service Unavailable")
    challenge = {"WWW-Authenticate": CHALLENGE} if refusal.status == 401 else {}
    return answer(refusal.status, phrase, f"wsrec tap: {refusal.reason}", challenge)
