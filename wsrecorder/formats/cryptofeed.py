"""Raw captures of cryptofeed: one line a frame, the time and the payload.

Lines are written by ``cryptofeed/raw_data_collection.py`` (github.com/bmoscon/cryptofeed), times by
Python's ``time.time()``, UTC seconds::

    URL <-> TIME              a connection was opened
    URL <- TIME: PAYLOAD      the client sent PAYLOAD
    TIME: PAYLOAD             the server sent PAYLOAD; a binary frame is a Python bytes literal

Beside these stand empty lines, a first line ``configuration: …``, and ``URL -> TIME: BODY`` for what was
fetched over HTTP; none of them is a frame.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from typing import Final

from wsrecorder.core.dialect import ENGINE, Dialect, EnvelopeReader
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.formats.builder import EventBuilder
from wsrecorder.formats.lines import Lines, Tail, excerpt, is_closed_json

__all__ = ["CryptofeedReader", "is_capture"]

_RECEIVED: Final = re.compile(rb"([0-9]{1,10})(?:\.([0-9]+))?: ")
_SENT: Final = re.compile(rb"(\S+) <- ([0-9]{1,10})(?:\.([0-9]+))?: ")
_OPENED: Final = re.compile(rb"(\S+) <-> ([0-9]{1,10})(?:\.([0-9]+))?\s*")
_FETCHED: Final = re.compile(rb"\S+ -> [0-9]")
_HEADER: Final = b"configuration: "

# All that Python's repr of bytes can be (and no octal escapes), so that nothing else ever reaches the parser.
_ESCAPE: Final = rb"\\(?:[\\'\"abfnrtv]|x[0-9a-fA-F]{2})"
# Possessive: what matched is never tried another way, so a frame of megabytes costs no stack of alternatives.
_LITERAL: Final = re.compile(
    rb"b(?:'(?:[ -&(-\[\]-~]++|" + _ESCAPE + rb")*+'|\"(?:[ !#-\[\]-~]++|" + _ESCAPE + rb")*+\")\s*"
)

_LATEST_NS: Final = 2**63 - 1
_HINT: Final = 'a capture holds "URL <-> TIME", "URL <- TIME: PAYLOAD" and "TIME: PAYLOAD"; see docs/formats.md'


def is_capture(head: bytes) -> bool:
    """Return whether a file that begins with these bytes looks like a capture."""
    return any(pattern.match(head) for pattern in (_OPENED, _SENT, _RECEIVED)) or head.startswith(_HEADER)


class CryptofeedReader:
    """Reads a capture.

    Attributes:
        feed: URL of the feed; empty until a line has named it.
        notes: What should be said of the file, complete once all of it was read.

    Args:
        lines: Of the capture.
        dialect: Of the feed; None is the engine's.
        clean_url: Takes the credentials out of a URL before it becomes part of an event.
    """

    def __init__(
        self, lines: Lines, dialect: Dialect | None = None, clean_url: Callable[[str], str] = lambda url: url
    ) -> None:
        self.feed = ""
        self.notes: list[str] = []
        self._lines = lines
        self._clean_url = clean_url
        self._events = EventBuilder(EnvelopeReader(dialect or ENGINE))
        self._fetched = 0

    def batches(self) -> Iterator[list[Event]]:
        """Yield the capture's events in the order of its lines.

        Raises:
            SessionError: A line that is not the last cannot be read; the message names it.
        """
        tail = Tail()
        for number, line, is_ended in self._lines.numbered():
            if not line.strip():
                continue
            tail.follow()
            try:
                self._read(number, line, is_ended)
            except SessionError as exc:
                tail.hold(exc, number, line)
            if self._events.is_full:
                yield self._events.take()
        if self._events.received_ns is None:
            tail.follow()  # nothing but a line that cannot be read is not a capture
        self.notes += [*([tail.cut] if tail.cut else []), *self._events.notes()]
        if self._fetched:
            self.notes.append(f"{self._fetched:,} answers to HTTP requests were left out: they are not frames")
        yield self._events.take()

    def _read(self, number: int, line: bytes, is_ended: bool) -> None:
        """Add what a line holds.

        Raises:
            SessionError: It cannot be read.
        """
        if found := _RECEIVED.match(line):
            time_ns = self._epoch_ns(number, found[1], found[2])
            self._frame(number, line[found.end() :], time_ns, Direction.IN, is_ended)
        elif found := _SENT.match(line):
            time_ns = self._epoch_ns(number, found[2], found[3])
            self._frame(number, line[found.end() :], time_ns, Direction.OUT, is_ended)
        elif (found := _OPENED.fullmatch(line)) and is_ended:
            self._opened(found[1].decode("ascii", "replace"), self._epoch_ns(number, found[2], found[3]))
        elif _FETCHED.match(line):
            self._fetched += 1
        elif not (number == 1 and line.startswith(_HEADER)):
            raise self._lines.damaged(number, f"not a line of a cryptofeed capture: {excerpt(line)}", hint=_HINT)

    def _frame(self, number: int, payload: bytes, time_ns: int, direction: Direction, is_ended: bool) -> None:
        if payload[:2] in (b"b'", b'b"'):
            if not _LITERAL.fullmatch(payload):
                raise self._lines.damaged(number, f"not a whole bytes literal: {excerpt(payload)}", hint=_HINT)
            self._events.binary(ast.literal_eval(payload.decode("ascii").rstrip()), time_ns, direction)
            return
        try:
            text = payload.decode()
        except UnicodeDecodeError as exc:
            raise self._lines.damaged(
                number, f"not UTF-8 at byte {exc.start} of the payload", hint="write the file as UTF-8"
            ) from None
        if not is_ended and not is_closed_json(text):
            raise self._lines.damaged(number, f"cut short: {excerpt(payload)}", hint=_HINT)
        self._events.text(text, payload, time_ns, direction)

    def _opened(self, url: str, time_ns: int) -> None:
        """Add that a connection is open; if one was open before, it was lost in between."""
        events = self._events
        if events.received_ns is not None:
            lost_ns = events.elapsed_ns
            found_ns = events.elapsed_at(time_ns)
            cause = "the capture shows the next connection and not the end of this one"
            # The time of a loss is not in a capture: what is known for sure ends with the last frame.
            events.mark(Kind.CLOSE, json.dumps({"code": 1006, "reason": "", "cause": cause}), events.received_ns)
            gap = {"cause": cause, "from_ns": lost_ns, "to_ns": found_ns}
            gap["duration_s"] = round((found_ns - lost_ns) / 1e9, 6)
            events.mark(Kind.GAP, json.dumps(gap), time_ns)
            events.conn += 1
        url = self._clean_url(url)
        self.feed = self.feed or url
        events.mark(Kind.OPEN, json.dumps({"url": url}), time_ns)

    def _epoch_ns(self, number: int, seconds: bytes, fraction: bytes | None) -> int:
        """Return a time of the file in ns; by its digits, as float64 is good to about 240 ns here."""
        time_ns = int(seconds) * 1_000_000_000 + int((fraction or b"0")[:9].ljust(9, b"0"))
        if time_ns > _LATEST_NS:
            raise self._lines.damaged(number, f"time {seconds.decode()} is after the year 2262", hint=_HINT)
        return time_ns
