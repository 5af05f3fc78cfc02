"""Errors of our own making: each is held to the one feed, client or sink that it befell, logged once, and counted.

Theory of operation. Whoever begins something that others must not suffer from has it `contain`-ed, or tells `note` of
what it caught; what nobody catches, in a callback or a task that nobody waits for, the event loop tells
(`on_loop_error`). An error is counted once, however many of these see it. The log has it with its traceback the first
time that it comes from a place; the next thousand from there are counted and not told again. At the end the exit code
is 1.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from wsrecorder.errors import OwnMistake, WsrecError

__all__ = ["Mishaps"]

_LOG: Final = logging.getLogger("wsrecorder.mishaps")

_UNEXPECTED: Final = 1
_MOST_TOLD: Final = 100
"""Places that are logged; whatever fails in more than these fails in a way that the log does not explain."""


class Mishaps:
    """The errors of our own making in one job; may be told from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._told: set[tuple[str, str, str, int]] = set()

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self._counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many there were, by what they befell."""
        with self._lock:
            return dict(self._counts)

    def exit_code(self, otherwise: int = 0) -> int:
        """Return 1 if there were any, else what the exit code is without them."""
        return _UNEXPECTED if self.count else otherwise

    def note(self, place: str, error: BaseException, consequence: str = "") -> None:
        """Count an error, and log it if it is the first from there; one that was noted already is left alone.

        Args:
            place: What it befell, one of a few words: ``feed``, ``client``, ``writer`` …
            error: What was raised.
            consequence: What became of it: who suffered, and what goes on.
        """
        cause = _own_cause(error)
        where = _origin(cause)
        with self._lock:
            if getattr(cause, "_wsrec_noted", False):
                return
            cause._wsrec_noted = True  # type: ignore[attr-defined]  # every exception has room for it
            self._counts[place] += 1
            key = (place, type(cause).__name__, *where)
            if key in self._told or len(self._told) >= _MOST_TOLD:
                return
            self._told.add(key)
        _LOG.error(
            "%s: unexpected %s at %s:%d%s", place, type(cause).__name__, *where, consequence and f"; {consequence}",
            exc_info=cause, extra={"place": place},
        )  # fmt: skip

    def end_of_recording(self, place: str, error: BaseException, shown_url: str) -> OwnMistake:
        """Note an error that ends the recording of a feed, and return what is to be said of it."""
        self.note(place, error, f"the recording of {shown_url} ends, others go on")
        hint = "what was recorded until then is sealed; the log has a traceback, please report it"
        return OwnMistake(f"the recording of {shown_url} was ended", error, hint=hint)

    @contextmanager
    def contain(self, place: str, consequence: str = "") -> Iterator[None]:
        """Let an error of ours go no further than the block; what wsrec raises on purpose does."""
        try:
            yield
        except WsrecError:
            raise
        except Exception as exc:
            self.note(place, exc, consequence)

    def watch(self, task: asyncio.Task[Any], place: str, consequence: str = "") -> None:
        """Note the error of a task that nobody waits for."""

        def note_end(task: asyncio.Task[Any]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self.note(place, error, consequence)

        task.add_done_callback(note_end)

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what an event loop has to tell, as its exception handler.

        What the system refuses is no mistake of ours, and told as ever.
        """
        error = context.get("exception")
        if not isinstance(error, Exception) or isinstance(error, OSError):
            loop.default_exception_handler(context)
            return
        self.note("loop", error, str(context.get("message", "")))

    def summary(self) -> str:
        """Return a line that says how many there were, and what they befell."""
        places = ", ".join(f"{place} {count:,}" for place, count in sorted(self.counts.items()))
        return f"{self.count:,} unexpected error{'' if self.count == 1 else 's'} ({places}), held to where they arose"


def _own_cause(error: BaseException) -> BaseException:
    """Return what lies behind an error that only says on whose account something ended."""
    while isinstance(error, WsrecError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _origin(error: BaseException) -> tuple[str, int]:
    """Return the file and line that raised an error."""
    frame = next(iter(reversed(traceback.extract_tb(error.__traceback__))), None)
    return ("nowhere", 0) if frame is None else (frame.filename.rpartition("/")[2], frame.lineno or 0)
