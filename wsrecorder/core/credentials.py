"""Credentials in URLs and names, told by how they look, so that nothing that is kept or said shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

__all__ = ["HIDDEN", "hide", "is_secret_name", "redact_subprotocol", "redact_text", "redact_url"]

HIDDEN: Final = "***"
"""What stands where a credential was."""

_SECRET: Final = re.compile(
    r"key|token|secret|passw|passphrase|passcode|pwd|auth|sign|credential|jwt|session|sessid|bearer|cookie|hmac|saml"
    r"|assertion|csrf|xsrf",
    re.IGNORECASE,
)
"""Whatever has one of these in its name."""

_WORDS: Final = frozenset(
    ["pass", "pw", "psw", "pswd", "pin", "sid", "sig", "sas", "otp", "totp", "mfa", "cred", "creds", "ticket"]
)
"""Words that tell a secret where they stand alone in a name: ``user_pass``, ``connect.sid``, not ``bypass``."""

_ALONE: Final = frozenset({"code"})
"""Names that tell a secret as a whole, an authorization code say; ``currency_code`` is none."""

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_TOKEN: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A JSON Web Token (RFC 7519), which begins with an encoded ``{"``."""

_USER: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)?[^/?#]*@")
_URL: Final = re.compile(r"(?:wss?|https?)://[^\s\"<>]*[^\s\"<>'`.,;:!)\]]", re.IGNORECASE)
"""A URL in a text, without what ends a sentence or a quotation behind it."""

_WITHIN: Final = re.compile(r"(?:^|[?&;#])([^?&;#=]+)=")
"""Names in what is the value of a name itself: another URL, or pairs that are set apart by ``;``."""


def is_secret_name(name: str) -> bool:
    """Return whether a value by this name (of a query, of a header) is likely to be a secret."""
    if _SECRET.search(name) or name.lower() in _ALONE:
        return True
    return not _WORDS.isdisjoint(word.lower() for word in _WORD.findall(name))


def redact_url(url: str) -> str:
    """Return a URL without its credentials: user and password, and what looks secret in query and fragment."""
    url = _USER.sub(rf"\1{HIDDEN}@", url, count=1) if _USER.match(url) else url
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets in the wrong places
        return url.partition("?")[0]
    return urlunsplit(parts._replace(query=_redacted(parts.query), fragment=_redacted(parts.fragment)))


def redact_text(text: str) -> str:
    """Return a text that others wrote, such as a library's message or a close reason, with its URLs redacted."""
    if "://" in text:
        text = _URL.sub(lambda found: redact_url(found[0]), text)
    return _without_tokens(text)


def _redacted(query: str) -> str:
    pairs: list[tuple[str, Any]] = parse_qsl(query, keep_blank_values=True)
    shown = [(_without_tokens(key), _shown_value(key, value)) for key, value in pairs]
    return query if shown == pairs else urlencode(shown, safe="*", quote_via=quote)


def _shown_value(key: str, value: str) -> str:
    if is_secret_name(key) or any(map(is_secret_name, _WITHIN.findall(value))) or re.search("://[^/?#]*@", value):
        return HIDDEN
    return _without_tokens(value)


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
