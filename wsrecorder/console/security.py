"""Who may ask what: checks before a request is looked at, headers on whatever is answered.

A console listens where every page that a browser shows can send requests to. What keeps those out:

- ``Host`` must name us: a foreign name that was made to point here (DNS rebinding) does not pass;
- ``Origin``, and what else browsers say of where a request comes from, must be our own page;
- what changes something must come as JSON, which no form of another page can send unasked;
- on any other address than loopback, and beside an endpoint that asks for one, a token.

Tokens are judged by the gate of the endpoint. Pages that its ``--allow-origin`` names may use the console too, as CORS
has it; patterns that any page fits count only where a token is asked for. The cookie is our own page's alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from wsrecorder.net.access import Access
from wsrecorder.net.auth import BEARER, CHALLENGE, Gate, Refusal
from wsrecorder.net.hosts import Hosts
from wsrecorder.net.origins import Origins

__all__ = ["Guard"]

_LOG: Final = logging.getLogger("wsrecorder.console")

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_COOKIE: Final = "wsrec_token"
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""What goes into a cookie as it is, line ends do not (RFC 6750, section 2.1)."""
_ANY_PAGE: Final = ("*", "null")
_MOST_BODY_BYTES: Final = 64 << 10

# Plotly styles what it draws; nothing else may be inline, and nothing comes from elsewhere.
_POLICY: Final = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Guard:
    """Wraps an ASGI application.

    Args:
        app: The application.
        hosts: By which names it may be addressed.
        access: Which tokens are good, as ``Authorization: Bearer`` or as a cookie, which ``/?token=`` sets; and which
            pages may ask beside our own.
    """

    def __init__(self, app: _App, hosts: Hosts, access: Access) -> None:
        self._app = app
        self._hosts = hosts
        self._gate = Gate(access)
        self._asks_for_token = access.asks_for_token
        named = [each for each in access.allow_origins if self._asks_for_token or each not in _ANY_PAGE]
        self._others = Origins(named) if named else None
        # Browsers keep cookies by host and not by port: each console of a machine has its own.
        self._cookie = f"{_COOKIE}_{hosts.port}"

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        is_api = scope["path"].startswith("/api/")
        has_begun = False
        headers = _headers(scope)
        page = self._other_page(headers)
        shared = (
            () if page is None else ((b"access-control-allow-origin", page.encode("latin-1")), (b"vary", b"Origin"))
        )

        async def guarded(message: _Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                own = {name.lower() for name, _ in message.get("headers", ())}
                cache = (b"cache-control", b"no-store" if is_api else b"no-cache")
                added = [header for header in (*_HEADERS, cache, *shared) if header[0] not in own]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        try:
            answer = self._refusal(scope, headers, page) or self._entry(scope)
            if answer is not None:
                await answer.send(guarded)
            elif scope["method"] == "POST":
                await self._pass_on_post(scope, headers, receive, guarded)
            else:
                await self._app(scope, receive, guarded)
        except Exception:  # whatever it is: our own mistake, which must not end the replay beside us
            _LOG.exception("%s %s failed", scope["method"], scope["path"])
            if not has_begun:
                await _FAILED.send(guarded)

    def _other_page(self, headers: dict[str, str]) -> str | None:
        """Return the origin of another site's page that may use the console; None if it is none."""
        origin = headers.get("origin")
        if origin is None or self._others is None or self._is_ours(origin) or not self._others.include(origin):
            return None
        return origin

    def _refusal(self, scope: _Scope, headers: dict[str, str], page: str | None) -> _Answer | None:
        if not self._hosts.include(headers.get("host", "")):
            return _refused(
                403, f"this console is not at {headers.get('host', 'a host without a name')}", self._where()
            )
        origin = headers.get("origin")
        if origin is not None and page is None and not self._is_ours(origin):
            return _refused(403, f"a page of {origin} may not use this console", self._where())
        if page is not None and scope["method"] == "OPTIONS":
            return _PREFLIGHT  # it brings no token: it asks whether it may
        is_page = scope["method"] == "GET" and not scope["path"].startswith(
            "/api/"
        )  # a link from elsewhere may lead here
        is_elsewhere = page is None and headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if is_elsewhere and not is_page:
            return _refused(403, "another site's page may not use this console", self._where())
        verdict = self._gate.judge_tokens(self._offers(scope, headers, page))
        if isinstance(verdict, Refusal):
            return _refused(verdict.status, verdict.reason, _WITH_TOKEN, _CHALLENGE)
        return None

    def _where(self) -> str:
        return f"use {self._hosts.scheme}://localhost:{self._hosts.port} or the address that wsrec printed"

    def _is_ours(self, origin: str) -> bool:
        scheme, _, authority = origin.partition("://")
        return scheme == self._hosts.scheme and self._hosts.include(authority)

    def _offers(self, scope: _Scope, headers: dict[str, str], page: str | None) -> Iterator[tuple[str, str]]:
        """Yield what may be a token, each after where it was."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == BEARER and given.strip():
            yield "header", given.strip()
        if scope["path"] == "/":
            yield from (("query", token) for token in _query_tokens(scope))
        if page is None:
            yield from (("cookie", token) for token in _cookie(headers.get("cookie", ""), self._cookie))

    def _entry(self, scope: _Scope) -> _Answer | None:
        """Return what sets the cookie and takes the token out of the address bar, for who comes with one."""
        if not self._asks_for_token or scope["path"] != "/":
            return None
        for token in _query_tokens(scope):
            if not isinstance(self._gate.judge_tokens([("query", token)]), Refusal):
                secure = "; Secure" if self._hosts.scheme == "https" else ""
                cookie = f"{self._cookie}={token}; Path=/; HttpOnly; SameSite=Strict{secure}"
                return _Answer(303, b"", ((b"location", b"/"), (b"set-cookie", cookie.encode())))
        return None

    async def _pass_on_post(self, scope: _Scope, headers: dict[str, str], receive: _Receive, send: _Send) -> None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            await _refused(
                415, f"a control comes as application/json, not as {kind or 'nothing'}", "send a JSON object"
            ).send(send)
            return
        body = await _read(receive)
        if body is None:
            await _refused(413, f"the request holds more than {_MOST_BODY_BYTES:,} bytes", "send less at a time").send(
                send
            )
            return
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> _Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replay, send)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    async def send(self, send: _Send) -> None:
        length = (b"content-length", str(len(self.body)).encode())
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers, length]})
        await send({"type": "http.response.body", "body": self.body})


def _refused(status: int, message: str, hint: str, *headers: tuple[bytes, bytes]) -> _Answer:
    body = msgspec.json.encode({"message": message, "hint": hint})
    return _Answer(status, body, ((b"content-type", b"application/json"), *headers))


_WITH_TOKEN: Final = (
    "open the address that wsrec printed, or /?token=TOKEN, or send the header Authorization: Bearer TOKEN; "
    "a token of the endpoint's will do"
)
_CHALLENGE: Final = (b"www-authenticate", CHALLENGE.encode())
_PREFLIGHT: Final = _Answer(
    204,
    b"",
    (
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", b"authorization, content-type"),
    ),
)
_FAILED: Final = _refused(500, "the console failed at this", "the log says how; please report it")


async def _read(receive: _Receive) -> bytes | None:
    """Return the body of a request, or None if it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":  # gone
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > _MOST_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _headers(scope: _Scope) -> dict[str, str]:
    """Return the headers; of one that comes twice the values are joined, so that it matches nothing."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _cookie(header: str, name: str) -> list[str]:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return []
    return [] if found is None else [found.value]


def _query_tokens(scope: _Scope) -> list[str]:
    found = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
    return [token for token in found if _TOKEN.fullmatch(token)]
