"""Clients that are not let in: each is counted, and told of in the log, a flood of them together.

A line names who it was and why. What a client sent, its query and its token never stand there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from enum import StrEnum
from typing import Any, Final

from wsrecorder.net.peer import address_text

__all__ = ["Cause", "TurnedAway"]

_SINGLY: Final = 5
_WINDOW_S: Final = 10.0


class Cause(StrEnum):
    """Why a client was not let in, as a metric has it."""

    TOKEN = "token"
    ORIGIN = "origin"
    PATH = "path"
    PLAIN = "plain"
    FULL = "full"
    FAULT = "fault"
    INVALID = "invalid"
    LATE = "late"
    CROWDED = "crowded"
    GONE = "gone"
    UPSTREAM = "upstream"

    @classmethod
    def of(cls, status: int) -> Cause:
        """Return why a gate refuses with an HTTP status."""
        return {401: cls.TOKEN, 403: cls.ORIGIN}.get(status, cls.FULL)


_WORDS: Final = {
    Cause.TOKEN: "without a token that is good",
    Cause.ORIGIN: "from pages of other origins",
    Cause.PATH: "on another path",
    Cause.PLAIN: "asked for no WebSocket",
    Cause.FULL: "as many as may be were here",
    Cause.FAULT: "as a fault wants it",
    Cause.INVALID: "their handshake was none",
    Cause.LATE: "too slow with their handshake",
    Cause.CROWDED: "too many were shaking hands",
    Cause.GONE: "gone before their handshake was done",
    Cause.UPSTREAM: "the server refused them or was away",
}

# A look at the port by a load balancer or a browser, and what was asked for, is no reason to warn of.
_EXPECTED: Final = frozenset({Cause.GONE, Cause.PLAIN, Cause.FAULT})


class TurnedAway:
    """Counts clients that are not let in, and logs them: of each cause five in 10 s singly, the rest together.

    Args:
        log: Where to.
        window_s: For how long the rest is collected, s.

    Attributes:
        counts: How many there were so far, by cause.
    """

    def __init__(self, log: logging.Logger, window_s: float = _WINDOW_S) -> None:
        self.counts: Counter[Cause] = Counter()
        self._log = log
        self._window_s = window_s
        self._windows: dict[Cause, asyncio.TimerHandle] = {}
        self._told: Counter[Cause] = Counter()  # in their windows

    @property
    def total(self) -> int:
        """How many there were so far."""
        return self.counts.total()

    def by_reason(self) -> dict[str, int]:
        """Return how many there were so far, by cause, the most common first."""
        return {cause.value: count for cause, count in self.counts.most_common()}

    def note(self, cause: Cause, address: Any, words: str) -> None:
        """Take note of one; called on the event loop.

        Args:
            cause: Why.
            address: Its socket address.
            words: Why, for this one: what follows on who it was.
        """
        self.counts[cause] += 1
        if cause not in self._windows:
            loop = asyncio.get_running_loop()
            self._windows[cause] = loop.call_later(self._window_s, self._end_window, cause)
        self._told[cause] += 1
        if self._told[cause] <= _SINGLY:
            fields = {"peer": address_text(address), "reason": cause.value}
            self._log.log(_level(cause), "%s %s", fields["peer"], words, extra=fields)

    def close(self) -> None:
        """Tell of those that were not told of yet."""
        for cause, window in [*self._windows.items()]:
            window.cancel()
            self._end_window(cause)

    def _end_window(self, cause: Cause) -> None:
        del self._windows[cause]
        if (untold := self._told.pop(cause) - _SINGLY) > 0:
            text = "and %d more clients were turned away in the last %g s: %s"
            fields = {"reason": cause.value, "count": untold}
            self._log.log(_level(cause), text, untold, self._window_s, _WORDS[cause], extra=fields)


def _level(cause: Cause) -> int:
    return logging.INFO if cause in _EXPECTED else logging.WARNING
