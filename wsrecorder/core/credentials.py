"""Credentials in URLs and names, told by how they look, so that nothing that is kept or said shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

__all__ = ["HIDDEN", "hide", "is_secret_name", "redact_subprotocol", "redact_url"]

HIDDEN: Final = "***"
"""What stands where a credential was."""

_SECRET: Final = re.compile(
    r"key|token|secret|passw|pwd|auth|sign|credential|jwt|session|bearer|cookie|^sig$|^otp$", re.IGNORECASE
)
_TOKEN: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A JSON Web Token (RFC 7519), which begins with an encoded ``{"``."""

_USER: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)?[^/?#]*@")


def is_secret_name(name: str) -> bool:
    """Return whether a value by this name (of a query, of a header) is likely to be a secret."""
    return _SECRET.search(name) is not None


def redact_url(url: str) -> str:
    """Return a URL without its credentials: user and password, and what looks secret in query and fragment."""
    url = _USER.sub(rf"\1{HIDDEN}@", url, count=1) if _USER.match(url) else url
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets in the wrong places
        return url.partition("?")[0]
    return urlunsplit(parts._replace(query=_redacted(parts.query), fragment=_redacted(parts.fragment)))


def _redacted(query: str) -> str:
    if not (_SECRET.search(query) or _TOKEN.search(query) or re.search(r"(?:^|&)(?:sig|otp)=", query, re.I)):
        return query
    pairs: list[tuple[str, Any]] = parse_qsl(query, keep_blank_values=True)
    shown = [(_without_tokens(key), HIDDEN if is_secret_name(key) else _without_tokens(value)) for key, value in pairs]
    return urlencode(shown, safe="*", quote_via=quote)


def _without_tokens(text: str) -> str:
    return _TOKEN.sub(HIDDEN, text)


def redact_subprotocol(chosen: str | None, offered: Iterable[str] = ()) -> str | None:
    """Return a subprotocol as it can be shown.

    A browser cannot set headers, so tokens come as subprotocols, alone or behind a word such as ``bearer``.

    Args:
        chosen: The one that the server chose.
        offered: Those offered, in order.
    """
    if chosen is None:
        return None
    words = list(offered)
    behind = chosen in words[1:] and is_secret_name(words[words.index(chosen) - 1])
    return HIDDEN if behind or _TOKEN.search(chosen) else chosen


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text without certain secrets, also as they stand in URLs; the longest first."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(form, HIDDEN)
    return text
