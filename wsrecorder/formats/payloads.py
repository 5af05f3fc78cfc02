"""Bare payloads, one a line, as a script of one's own or ``wsrec cat --payload`` writes them.

Such a file does not say when a frame was received, so the sender's own time stamps are taken instead. A
line without one is placed with the line before it, and what stands before the first one, with the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wsrecorder.core.dialect import ENGINE, Dialect, EnvelopeReader
from wsrecorder.core.event import Event
from wsrecorder.errors import SessionError
from wsrecorder.formats.builder import EventBuilder
from wsrecorder.formats.lines import Lines, cut_short, is_closed_json

__all__ = ["PayloadReader"]

_MOST_WAITING: Final = 4_096
"""Lines that may stand before the first time stamp."""


class PayloadReader:
    """Reads a file of payloads, all of them text frames from the server.

    Attributes:
        feed: Always empty: the file does not name it.
        notes: What should be said of the file, complete once all of it was read.

    Args:
        lines: Of the file.
        dialect: Where the time stamp is in a payload; None is the engine's.
    """

    def __init__(self, lines: Lines, dialect: Dialect | None = None) -> None:
        self.feed = ""
        self.notes: list[str] = []
        self._lines = lines
        self._dialect = dialect or ENGINE
        self._envelopes = EnvelopeReader(self._dialect)
        self._waiting: list[tuple[str, bytes]] = []

    def batches(self) -> Iterator[list[Event]]:
        """Yield the payloads as events.

        Raises:
            SessionError: A line is not UTF-8, or none of the first has a time stamp.
        """
        events = EventBuilder(self._envelopes)
        number = 0
        for number, line, is_ended in self._lines.numbered():
            if not line.strip():
                continue
            self._add(events, number, line, is_ended)
            if events.is_full:
                yield events.take()
        if self._waiting:
            raise self._no_time(number)
        self.notes.append("the file holds no times of receipt: the sender's time stamps were taken for them")
        self.notes += events.notes()
        yield events.take()

    def _add(self, events: EventBuilder, number: int, line: bytes, is_ended: bool) -> None:
        try:
            text = line.decode()
        except UnicodeDecodeError as exc:
            raise self._lines.damaged(
                number, f"not UTF-8 at byte {exc.start}", hint="write the file as UTF-8"
            ) from None
        if not is_ended and not is_closed_json(text):
            self.notes.append(cut_short(number, line))
            return
        stamp_us = self._envelopes.read(line)[1]
        time_ns = events.received_ns if stamp_us is None else stamp_us * 1_000
        if time_ns is None:
            self._waiting.append((text, line))
            if len(self._waiting) >= _MOST_WAITING:
                raise self._no_time(number)
            return
        if not -(2**63) <= time_ns < 2**63:
            raise self._lines.damaged(
                number, "its time stamp is outside of the years 1678 to 2262", hint="check the unit with --ts-unit"
            )
        for earlier, payload in self._waiting:
            events.text(earlier, payload, time_ns)
        self._waiting.clear()
        events.text(text, line, time_ns)

    def _no_time(self, number: int) -> SessionError:
        return self._lines.damaged(
            number,
            f"no payload up to here has a time stamp at {self._dialect.ts_path!r} in {self._dialect.ts_unit}",
            hint="say where the time stamp is with --ts-path and --ts-unit",
        )
