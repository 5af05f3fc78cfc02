"""The gate: whether a handshake may pass, by the page it comes from and the token it brings.

A token comes as ``Authorization: Bearer TOKEN``; or, since a browser's WebSocket can set no header, as a subprotocol,
``new WebSocket(url, ["bearer", TOKEN])``, of which ``bearer`` is agreed on; or in the query, ``?token=TOKEN``.
What was a token is told to nobody behind the gate.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import unquote_plus

from wsrecorder.net.access import Access
from wsrecorder.net.origins import Origins

__all__ = ["BEARER", "CHALLENGE", "Gate", "Pass", "Refusal", "without_token"]

BEARER: Final = "bearer"
CHALLENGE: Final = 'Bearer realm="wsrec"'
"""What ``WWW-Authenticate`` says beside 401 (RFC 6750, section 3)."""

_MOST_TOKEN_BYTES: Final = 8 << 10


class _Headers(Protocol):
    def get_all(self, name: str) -> list[str]:
        """Return the values of a header, one for each time it comes."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a handshake does not pass.

    Attributes:
        status: 401 or 403.
        reason: Why, for the client; no token is in it.
    """

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Pass:
    """A handshake passes.

    Attributes:
        places: Where good tokens were: ``header``, ``protocol``, ``query``.
    """

    places: frozenset[str] = frozenset()


class Gate:
    """Judges handshakes.

    Args:
        access: Who may connect.

    Attributes:
        refused: How many were refused.
    """

    def __init__(self, access: Access) -> None:
        self.refused = 0
        self._origins = Origins(access.allow_origins)
        self._is_open = not access.asks_for_token
        self._tokens = [token.encode() for token in access.tokens]
        self._jwt = access.jwt

    def judge(self, headers: _Headers, target: str) -> Pass | Refusal:
        """Return whether a handshake passes.

        Args:
            headers: Its headers.
            target: Path and query.
        """
        verdict = self._judge(headers, target)
        self.refused += isinstance(verdict, Refusal)
        return verdict

    def _judge(self, headers: _Headers, target: str) -> Pass | Refusal:
        origins = headers.get_all("Origin")
        if len(origins) > 1 or not all(map(self._origins.include, origins)):
            return Refusal(403, "pages of this origin may not connect")
        return self.judge_tokens(_offers(headers, target))

    def judge_tokens(self, offers: Iterable[tuple[str, str]]) -> Pass | Refusal:
        """Return whether somebody passes, whatever page it comes from.

        Args:
            offers: What may be a token, each after where it was.
        """
        if self._is_open:
            return Pass()
        offers = list(offers)
        if not offers:
            return Refusal(401, "a token is asked for")
        refusals = [(place, self._refusal_of(token)) for place, token in offers]
        places = frozenset(place for place, refusal in refusals if refusal is None)
        return Pass(places) if places else Refusal(401, f"the token was not accepted: {refusals[0][1]}")

    def _refusal_of(self, token: str) -> str | None:
        """Return why a token is not good, None if it is."""
        if len(token) > _MOST_TOKEN_BYTES:
            return "it is too long"
        if not token.isascii():
            return "it is not known"
        given = token.encode()
        # All are compared (a list, no generator), each in constant time: how long it takes tells nothing of a token.
        if any([hmac.compare_digest(given, known) for known in self._tokens]):
            return None
        return "it is not known" if self._jwt is None else self._jwt.refusal_of(token)


def _offers(headers: _Headers, target: str) -> Iterator[tuple[str, str]]:
    """Yield the tokens that a client brings, and where each was."""
    authorizations = headers.get_all("Authorization")
    scheme, _, token = authorizations[0].partition(" ") if len(authorizations) == 1 else ("", "", "")
    if scheme.lower() == BEARER and token.strip():
        yield "header", token.strip()
    protocols = [word.strip() for word in ",".join(headers.get_all("Sec-WebSocket-Protocol")).split(",")]
    if BEARER in protocols[:-1]:
        yield "protocol", protocols[protocols.index(BEARER) + 1]
    for pair in target.partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        if name == "token" and value:
            yield "query", unquote_plus(value)


def without_token(target: str) -> str:
    """Return path and query without ``token=``; all else stays as it was written."""
    path, mark, query = target.partition("?")
    kept = "&".join(pair for pair in query.split("&") if pair.partition("=")[0] != "token")
    return f"{path}{mark}{kept}" if kept else path
