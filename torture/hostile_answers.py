"""Draws how a hostile server answers a handshake, and which of its answers open a WebSocket."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["ANSWERS", "Answer", "draw_answer", "good_answer"]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


@dataclass(slots=True)
class Answer:
    """What a handshake gets.

    Attributes:
        kind: What is wrong with it.
        data: Its bytes; ``{accept}`` in them stands for the accept key.
        opens: Whether a WebSocket is open then: ``yes``, ``no``, or ``maybe`` where clients may differ.
        pieces: How many pieces it is sent in; 0 is one for each byte.
        deflate: What was agreed on: None, ``keeps`` or ``forgets`` the context.
        is_endless: More and more of the body follows, for as long as anybody takes it.
        end: ``fin``, ``rst`` or ``stay``: what the server does next when nothing is open.
    """

    kind: str
    data: bytes = b""
    opens: str = "no"
    pieces: int = 1
    deflate: str | None = None
    is_endless: bool = False
    end: str = "fin"

    def bytes_for(self, key: bytes) -> bytes:
        """Return the bytes for a client's ``Sec-WebSocket-Key``."""
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        return self.data.replace(b"{accept}", accept)


_FIRST: Final = b"HTTP/1.1 101 Switching Protocols\r\n"
_UPGRADE: Final = b"Upgrade: websocket\r\n"
_CONNECTION: Final = b"Connection: Upgrade\r\n"
_ACCEPT: Final = b"Sec-WebSocket-Accept: {accept}\r\n"
_DEFLATE: Final = b"Sec-WebSocket-Extensions: permessage-deflate"


def _switch(*more: bytes) -> bytes:
    return b"".join([_FIRST, _UPGRADE, _CONNECTION, _ACCEPT, *more, b"\r\n"])


def good_answer(chance: random.Random) -> Answer:
    """Return an answer that opens a WebSocket, with permessage-deflate agreed on or not."""
    deflate = chance.choice([None, None, "keeps", "forgets"])
    if deflate is None:
        return Answer("good", _switch(), "yes")
    how = b"; server_no_context_takeover" if deflate == "forgets" else b""
    return Answer("good", _switch(_DEFLATE + how + b"\r\n"), "yes", deflate=deflate)


def _slow(chance: random.Random) -> Answer:
    answer = good_answer(chance)
    answer.kind, answer.pieces, answer.opens = "slow", 0, "maybe"  # it may take longer than it has
    return answer


def _mute(chance: random.Random) -> Answer:
    whole = _switch()
    return Answer("mute", whole[: chance.randint(0, 100)], end="stay")


def _wrong_accept(chance: random.Random) -> Answer:
    accept = chance.choice(
        [b"Sec-WebSocket-Accept: c29tZXRoaW5nIGVsc2UgYWx0b2c=\r\n", b"Sec-WebSocket-Accept: \r\n", b""]
    )
    return Answer("wrong accept key", b"".join([_FIRST, _UPGRADE, _CONNECTION, accept, b"\r\n"]))


def _missing_header(chance: random.Random) -> Answer:
    headers = [_UPGRADE, _CONNECTION, _ACCEPT]
    del headers[chance.randrange(3)]
    return Answer("missing header", b"".join([_FIRST, *headers, b"\r\n"]))


def _wrong_upgrade(chance: random.Random) -> Answer:
    upgrade = chance.choice([b"Upgrade: h2c\r\n", b"Upgrade: \r\n", b"Upgrade: websocketx\r\n"])
    return Answer("another protocol", b"".join([_FIRST, upgrade, _CONNECTION, _ACCEPT, b"\r\n"]))


def _extension(chance: random.Random) -> Answer:
    header = chance.choice([b"x-unasked", b"permessage-deflate; nonsense=1", b"permessage-deflate, permessage-deflate"])
    return Answer("extension that was not offered", _switch(b"Sec-WebSocket-Extensions: " + header + b"\r\n"))


def _subprotocol(chance: random.Random) -> Answer:
    return Answer("subprotocol that was not offered", _switch(b"Sec-WebSocket-Protocol: v9.example\r\n"))


def _refusal(chance: random.Random) -> Answer:
    status = chance.choice([200, 204, 400, 401, 403, 404, 426, 429, 500, 502, 503, 504, 599])
    return Answer("refusal", b"HTTP/1.1 %d No\r\nContent-Length: 5\r\n\r\nsorry" % status)


def _long_body(chance: random.Random) -> Answer:
    head = b"HTTP/1.1 %d No\r\n" % chance.choice([200, 403, 404, 500, 503])
    how = chance.choice(
        [
            b"Content-Length: 1099511627776\r\n\r\n",
            b"\r\n",
            b"Content-Length: -5\r\n\r\n",
            b"Content-Length: abc\r\n\r\n",
        ]
    )
    return Answer("endless body", head + how, is_endless=True)


def _chunked(chance: random.Random) -> Answer:
    head = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = chance.choice([b"5\r\nsorry\r\n0\r\n\r\n", b"FFFFFFFFFFFF\r\nx", b"zz\r\n", b"-1\r\nx\r\n"])
    return Answer("chunked body", head + chunk, is_endless=chance.random() < 0.5)


def _redirect(chance: random.Random) -> Answer:
    status = chance.choice([301, 302, 303, 307, 308])
    where = chance.choice(
        [
            b"/hop/1",
            b"/hop/1",
            b"ftp://127.0.0.1/",
            b"http://127.0.0.1:1/",
            b"wss://127.0.0.1:{port}/hop/1",
            b"::::",
            b"",
            b"//[",
            b"ws://127.0.0.1:99999/",
            b"ws://127.0.0.1:1/ws/",
            b"ws://user:secret@/",
            b"\xff\xfe",
            b"javascript:alert(1)",
        ]
    )
    return Answer("redirect", b"HTTP/1.1 %d Go\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, where))


def _no_location(chance: random.Random) -> Answer:
    return Answer("redirect to nowhere", b"HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n")


def _not_http(chance: random.Random) -> Answer:
    data = chance.choice(
        [
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\x15\x03\x01\x00\x02\x02\x28",
            b"\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 1010 Switching\r\n\r\n",
            b"HTTP/1.1 -1 No\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x81\x05hello",
            b"\xff" * 9_000,
            b"HTTP/1.1 101 Switching\r\n\x00\xff\xfe: \xff\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\nno colon here\r\n\r\n",
            b"HTTP/1.1 \xb2\xb2\xb2 No\r\n\r\n",
        ]
    )
    return Answer("no HTTP", data)


def _noise(chance: random.Random) -> Answer:
    return Answer("noise", chance.randbytes(chance.choice([1, 10, 200, 20_000])))


def _enormous_head(chance: random.Random) -> Answer:
    header = chance.choice([b"X: " + b"x" * 200_000 + b"\r\n", b"X: 1\r\n" * 20_000, b"X: " + b" " * 20_000 + b"\r\n"])
    return Answer("enormous head", _FIRST + header, is_endless=chance.random() < 0.5, end=chance.choice(["fin", "rst"]))


def _half(chance: random.Random) -> Answer:
    whole = _switch()
    return Answer("half an answer", whole[: chance.randint(0, len(whole) - 20)], end=chance.choice(["fin", "rst"]))


def _other_form(chance: random.Random) -> Answer:
    whole = _switch()
    data = chance.choice(
        [
            whole.replace(b"HTTP/1.1", b"HTTP/1.0", 1),
            whole.replace(b"HTTP/1.1", b"HTTP/2", 1),
            whole.replace(b"\r\n", b"\n"),
            whole.replace(b"Upgrade: websocket", b"UPGRADE:WebSocket"),
            b"HTTP/1.1 100 Continue\r\n\r\n" + whole,
            whole.replace(_UPGRADE, _UPGRADE * 2),
            whole.replace(_ACCEPT, _ACCEPT * 2),
            whole.replace(b"websocket", b"\r\n websocket"),
        ]
    )
    return Answer("another form", data, "maybe")


ANSWERS: Final[dict[str, Callable[[random.Random], Answer]]] = {
    "slow": _slow,
    "mute": _mute,
    "wrong accept key": _wrong_accept,
    "missing header": _missing_header,
    "another protocol": _wrong_upgrade,
    "extension that was not offered": _extension,
    "subprotocol that was not offered": _subprotocol,
    "refusal": _refusal,
    "endless body": _long_body,
    "chunked body": _chunked,
    "redirect": _redirect,
    "redirect to nowhere": _no_location,
    "no HTTP": _not_http,
    "noise": _noise,
    "enormous head": _enormous_head,
    "half an answer": _half,
    "another form": _other_form,
}


def draw_answer(chance: random.Random) -> Answer:
    """Return a hostile answer."""
    return ANSWERS[chance.choice(list(ANSWERS))](chance)
