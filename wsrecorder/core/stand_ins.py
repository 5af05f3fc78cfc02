"""What takes the place of values that must not be seen: in payloads, headers and queries.

The same value gets the same stand-in wherever it stands, so that a stream can still be followed; without the secret
nobody can tell it from the stand-in, nor try values until one fits (HMAC, RFC 2104, with SHA-256).
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from wsrecorder.core.credentials import HIDDEN
from wsrecorder.errors import UsageError

__all__ = ["NUMBER", "StandIns", "redact_detail", "redact_query"]

NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
"""A number in JSON; leading zeros are let through."""

_HEX_DIGITS: Final = 12


class StandIns:
    """Makes stand-ins.

    Args:
        secret: Whoever has it can tell whether a stand-in is that of a certain value; not empty.
        keep_shape: Letters become letters and digits digits, and a number stays one; else it is
            ``redacted-`` and 12 hexadecimal digits.

    Raises:
        UsageError: The secret is empty.
    """

    def __init__(self, secret: bytes, *, keep_shape: bool = False) -> None:
        if not secret:
            raise UsageError(
                "the secret is empty: anybody could tell the values from their stand-ins",
                hint='make one with "openssl rand -hex 32" and keep it',
            )
        self._secret = secret
        self._keep_shape = keep_shape

    def of(self, text: str) -> str:
        """Return the stand-in of a text."""
        if self._keep_shape:
            return self._shaped(text)
        return f"redacted-{self._digest(text, b'').hex()[:_HEX_DIGITS]}"

    def of_token(self, token: bytes) -> bytes:
        """Return the stand-in of a JSON value as JSON; null stays null, other words, objects and arrays get a text."""
        if token == b"null":
            return token
        if token.startswith(b'"'):
            # A control character in a string is no JSON, and no reason to let the string through.
            text = json.loads(token.decode(errors="surrogateescape"), strict=False)
            return json.dumps(self.of(text)).encode()
        if self._keep_shape and NUMBER.fullmatch(token):
            digits, mark, exponent = re.split(rb"([eE]|$)", token, maxsplit=1)
            return self._shaped_number(digits.decode()).encode() + mark + exponent
        text = token.decode(errors="surrogateescape")
        return json.dumps(f"redacted-{self._digest(text, b'').hex()[:_HEX_DIGITS]}").encode()

    def _digest(self, text: str, salt: bytes) -> bytes:
        return hmac.digest(self._secret, salt + text.encode(errors="surrogatepass"), "sha256")

    def _noise(self, text: str) -> bytes:
        noise = bytearray()
        while len(noise) < len(text):
            noise += self._digest(text, b"shape %d " % len(noise))
        return bytes(noise)

    def _shaped(self, text: str) -> str:
        return "".join(map(_like, text, self._noise(text)))

    def _shaped_number(self, text: str) -> str:
        shaped = self._shaped(text)
        first = text.startswith("-")
        whole = text[first:].partition(".")[0]
        if len(whole) > 1 and shaped[first] == "0":  # JSON has no number that begins with 0
            shaped = shaped[:first] + "1" + shaped[first + 1 :]
        return shaped


def _like(letter: str, noise: int) -> str:
    if letter.isascii() and not letter.isalnum():
        return letter
    if letter.isdigit():
        return str(noise % 10)
    found = chr(ord("a") + noise % 26)
    return found.upper() if letter.isupper() else found


def redact_query(url: str, names: Iterable[str], stand_ins: StandIns) -> str:
    """Return a URL with stand-ins for the values of some names of its query; all else stays as it is."""
    wanted = {name.lower() for name in names}
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if not any(name.lower() in wanted and value != HIDDEN for name, value in pairs):
        return url
    pairs = [
        (name, stand_ins.of(value) if name.lower() in wanted and value != HIDDEN else value) for name, value in pairs
    ]
    return urlunsplit(parts._replace(query=urlencode(pairs, safe="*", quote_via=quote)))


def redact_detail(detail: str, headers: Iterable[str], queries: Iterable[str], stand_ins: StandIns) -> str:
    """Return the detail of a mark with stand-ins for values of its headers and of its URL's query.

    Args:
        detail: JSON, as it is kept.
        headers: Names of headers, in any case; they stand under a key ``headers``, as an object or as pairs.
        queries: Names in the query of ``url``.
        stand_ins: What takes their place.
    """
    try:
        found = json.loads(detail)
    except ValueError:
        return detail
    if not isinstance(found, dict):
        return detail
    wanted = {name.lower() for name in headers}

    def value_of(name: Any, value: Any) -> Any:
        return stand_ins.of(str(value)) if str(name).lower() in wanted else value

    after = dict(found)
    match after.get("headers"):
        case Mapping() as named:
            after["headers"] = {name: value_of(name, value) for name, value in named.items()}
        case [*pairs]:
            after["headers"] = [
                [pair[0], value_of(*pair)] if isinstance(pair, list) and len(pair) == 2 else pair for pair in pairs
            ]
    if isinstance(after.get("url"), str):
        after["url"] = redact_query(after["url"], queries, stand_ins)
    return detail if after == found else json.dumps(after)
