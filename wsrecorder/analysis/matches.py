"""Which events of a session a filter keeps: their sequence numbers, found once."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

from wsrecorder.analysis.condition import condition
from wsrecorder.store.columns import int64_view
from wsrecorder.store.schema import RecordBatch
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

if TYPE_CHECKING:
    from wsrecorder.analysis.where import Where

__all__ = ["Filter", "Matches"]

_TEXTS: Final = ("text", "binary", "detail")


@dataclass(frozen=True, slots=True)
class Filter:
    """What is listed.

    Attributes:
        types: Only messages of these types; None is all events, marks too.
        text: Only events whose payload holds this text, in upper or lower case; of marks their detail. Empty is all.
        where: Only events for which this SQL expression is true, as in ``--where``; None is all.
    """

    types: frozenset[str] | None = None
    text: str = ""
    where: str | None = None

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is left out."""
        return self == Filter()


class Matches:
    """The events that a filter keeps, as far as they were found; safe to be asked while a thread looks on.

    Args:
        store: The session.
        wanted: The filter.

    Raises:
        UsageError: The filter's SQL expression is none.
    """

    def __init__(self, store: Store, wanted: Filter) -> None:
        self.next_seq = 0
        """The first event that was not looked at yet."""
        self._store = store
        self._wanted = wanted
        self._condition: Where | None = None
        if wanted.where is not None:
            self._condition = condition(wanted.where)
        self._seqs: array[int] = array("q")
        self._looking = threading.Lock()
        self._growing = threading.Lock()

    def __len__(self) -> int:
        return len(self._seqs)

    def seqs(self, start: int, stop: int) -> list[int]:
        """Return the sequence numbers of the matches ``[start, stop)``, as far as they were found."""
        with self._growing:
            return self._seqs[start:stop].tolist()

    def index(self, seq: int) -> int:
        """Return which match is the first at or after an event; their number if none is."""
        with self._growing:
            return bisect_left(self._seqs, seq)

    def close(self) -> None:
        """Look through nothing any more; what was found stays."""
        if self._condition is not None:
            self._condition.close()

    def look_on(self, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Look through what was not looked at yet, to the end that the session has now.

        Raises:
            UsageError: The SQL expression fails on an event.
            SessionError: The session cannot be read that far.
        """
        with self._looking:
            columns = {
                "seq",
                *(_TEXTS if self._wanted.text else ()),
                *(self._condition.columns if self._condition else ()),
            }
            selection = Selection(columns=tuple(columns), from_seq=self.next_seq, types=self._wanted.types)
            reading = _Reading(self._store.batches(selection), is_cancelled)
            kept: Iterable[RecordBatch | None] = _holding(reading, self._wanted.text)
            if self._condition is not None:
                session = self._store.identity().id if self._condition.names_session else ""
                kept = self._condition.apply(kept, ("seq",), session)
            for batch in kept:
                if batch is not None:
                    with self._growing:
                        self._seqs.frombytes(int64_view(batch.column("seq")).cast("B"))
                self.next_seq = reading.next_seq
            if not reading.was_cancelled:
                self.next_seq = max(self.next_seq, reading.next_seq)


class _Reading:
    """Passes batches on until it is cancelled, and knows how far it has come."""

    def __init__(self, batches: Iterator[RecordBatch], is_cancelled: Callable[[], bool]) -> None:
        self.next_seq = 0
        self.was_cancelled = False
        self._batches = batches
        self._is_cancelled = is_cancelled

    def __iter__(self) -> Iterator[RecordBatch]:
        for batch in self._batches:
            if self._is_cancelled():
                self.was_cancelled = True
                return
            self.next_seq = batch.column("seq")[-1].as_py() + 1
            yield batch


def _holding(batches: Iterable[RecordBatch], text: str) -> Iterator[RecordBatch]:
    """Yield of each batch the rows that hold a text."""
    for batch in batches:
        if not text:
            yield batch
            continue
        found = pc.match_substring(batch.column("text"), text, ignore_case=True)
        for name in ("detail", "binary"):
            column = batch.column(name)
            if column.null_count < len(column):
                more = pc.match_substring(column, text, ignore_case=True)
                found = pc.or_kleene(pc.fill_null(found, False), pc.fill_null(more, False))
        kept = batch.filter(found)
        if len(kept):
            yield kept
