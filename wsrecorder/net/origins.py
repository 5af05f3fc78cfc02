"""Which web pages may connect: patterns of the header Origin (RFC 6454, section 7)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from wsrecorder.errors import UsageError

__all__ = ["Origins"]

_PATTERN: Final = re.compile(r"(https?)://((?:\*\.)?(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\]))(?::(\d{1,5}|\*))?")
_LABELS: Final = r"[a-z0-9-]+(?:\.[a-z0-9-]+)*"


class Origins:
    """The pages that are let in; without a pattern every page is.

    Args:
        patterns: ``https://desk.example.com`` is that origin and no other; ``https://*.example.com`` is every host
            below it, not the host itself; ``http://localhost:*`` is every port; ``*`` is every page.

    Raises:
        UsageError: One is no pattern.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [_compiled(pattern) for pattern in patterns]

    def include(self, origin: str) -> bool:
        """Return whether a page of this origin is let in."""
        return not self._patterns or any(pattern.fullmatch(origin.lower()) for pattern in self._patterns)


def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern == "*":
        return re.compile(".*", re.DOTALL)
    if pattern == "null":  # what a page out of a file says of itself
        return re.compile("null")
    found = _PATTERN.fullmatch(pattern.lower())
    if found is None:
        raise UsageError(
            f"{pattern!r} is no origin of a web page",
            hint='write it as https://desk.example.com, "https://*.example.com" or "http://localhost:*"',
        )
    scheme, host, port = found.groups()
    any_label = host.startswith("*.")
    host_text = f"{_LABELS}\\.{re.escape(host[2:])}" if any_label else re.escape(host)
    is_default = port == {"http": "80", "https": "443"}[scheme]  # which browsers leave out
    port_text = r"(?::\d{1,5})?" if port == "*" else "" if port is None or is_default else f":{port}"
    return re.compile(f"{scheme}://{host_text}{port_text}")
