"""Rows of a session for a list that is scrolled: any page of millions at once, filtered or not.

Without a filter the row is the sequence number, so a page is read where it lies. What a filter keeps is found once, on
a thread, as sequence numbers; a list shows what was found so far. Of a session that is being recorded both grow when
they are refreshed. Marks are rows like messages. Memory: eight bytes for each match of each of the few filters that
were used last, and a few thousand rows that were read last.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.analysis.irregular import Irregular
from wsrecorder.analysis.matches import Filter, Matches
from wsrecorder.analysis.session import Session, State
from wsrecorder.store.picking import pick
from wsrecorder.store.schema import RecordBatch
from wsrecorder.store.selection import Selection

__all__ = ["MOST_ROWS", "PREVIEW_CHARS", "Listing", "Listings", "Row"]

PREVIEW_CHARS: Final = 300
"""Longest preview of a payload."""

MOST_ROWS: Final = 5_000
"""Longest page."""

_COLUMNS: Final = (
    "seq", "kind", "conn", "direction", "elapsed_ns", "received_ns", "type", "text", "binary", "detail",
)  # fmt: skip
_BLOCK_ROWS: Final = 256
_BLOCKS_KEPT: Final = 32
_LISTINGS_KEPT: Final = 4


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a list shows it.

    Attributes:
        seq: Its sequence number.
        row: Its place in the list, from 0 on.
        kind: ``message``, or that of a mark.
        conn: Which connection.
        direction: ``in`` or ``out``.
        elapsed_ns: When it was received, ns since the session began.
        received_ns: The same, UTC ns since the epoch.
        type: The envelope's type, or None.
        size: Bytes of payload; of a mark 0.
        preview: The first 300 characters of the payload; of a binary one in hexadecimal, of a mark its detail.
        after_gap: Whether it is the first message listed after a time in which some may have been missed.
        out_of_order: Whether it was sent before the message that came before it, by the sender's clock.
    """

    seq: int
    row: int
    kind: str
    conn: int
    direction: str
    elapsed_ns: int
    received_ns: int
    type: str | None
    size: int
    preview: str
    after_gap: bool
    out_of_order: bool


class Listing:
    """The events of a session that a filter keeps, by their place in a list; threads may share it.

    Attributes:
        filter: What is listed.

    Args:
        session: Sealed or still growing, in either form.
        types: Only messages of these types; None is all events, marks too.
        text: Only events whose payload holds this text, in upper or lower case.
        where: Only events for which this SQL expression is true, as in ``--where``.
        irregular: What is known of the session's irregular events, if another list of it knows already.

    Raises:
        UsageError: The SQL expression is none.
        SessionError: The session cannot be read.
    """

    def __init__(
        self, session: Session, types: Iterable[str] | None = None, text: str | None = None, where: str | None = None,
        *, irregular: Irregular | None = None,
    ) -> None:  # fmt: skip
        self.filter = Filter(None if types is None else frozenset(types), text or "", where)
        self._session = session
        self._store = session.store
        self._irregular = Irregular(self._store) if irregular is None else irregular
        self._matches = None if self.filter.keeps_all else Matches(self._store, self.filter)
        self._blocks: OrderedDict[int, list[Row]] = OrderedDict()
        self._reading = threading.Lock()
        self._refreshing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_cancelled = False
        self._is_final = False
        self._events = 0
        self.error: Exception | None = None
        self.refresh()

    @property
    def count(self) -> int:
        """How many rows there are, as far as they were found."""
        return self._events if self._matches is None else len(self._matches)

    @property
    def complete(self) -> bool:
        """Whether all rows were found that the session held at the last refresh."""
        return self._thread is None or not self._thread.is_alive()

    def refresh(self) -> None:
        """Look for what has come meanwhile; of a session that was sealed nothing has to be done."""
        with self._refreshing:
            if self._is_final or self._is_cancelled or not self.complete:
                return
            is_final = self._session.state is not State.RECORDING  # before it is read: it may be sealed meanwhile
            if self._matches is None:
                self._events = _count(self._session, self._events)
            self._thread = threading.Thread(target=self._look_on, args=(is_final,), name="wsrec-listing", daemon=True)
            self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is complete; return whether it is."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self.complete

    def cancel(self) -> None:
        """Look no further; what was found stays."""
        self._is_cancelled = True
        self._close()

    def page(self, first_row: int, rows: int) -> list[Row]:
        """Return rows from a place on; fewer at the end, and never more than `MOST_ROWS`.

        Raises:
            UsageError: The filter's SQL expression fails on an event.
            SessionError: The session cannot be read there.
        """
        if self.error is not None:
            raise self.error
        first_row = max(0, first_row)
        stop_row = min(self.count, first_row + min(rows, MOST_ROWS))
        found: list[Row] = []
        for block in range(first_row // _BLOCK_ROWS, -(-stop_row // _BLOCK_ROWS) if stop_row > first_row else 0):
            found += self._block(block, stop_row)
        return [row for row in found if first_row <= row.row < stop_row]

    def row_at(self, seq: int) -> int:
        """Return the first row at or after an event; `count` if none is."""
        if self._matches is not None:
            return self._matches.index(seq)
        return min(max(0, seq), self.count)

    def row_at_time(self, elapsed_ns: int) -> int:
        """Return the first row at or after a moment, ns since the session began; `count` if none is.

        Raises:
            SessionError: The session cannot be read there.
        """
        for batch in self._store.batches(Selection(columns=("seq",), start_ns=elapsed_ns)):
            return self.row_at(batch.column("seq")[0].as_py())
        return self.count

    def _look_on(self, is_final: bool) -> None:
        try:
            if self._matches is not None:
                self._matches.look_on(lambda: self._is_cancelled)
            self._irregular.look_on(is_cancelled=lambda: self._is_cancelled)
            self._is_final = is_final
        except Exception as exc:  # whoever asks for a page must hear of it
            self.error = exc
        finally:
            if self._is_final or self._is_cancelled or self.error is not None:
                self._close()

    def _close(self) -> None:
        if self._matches is not None:
            self._matches.close()

    def _block(self, block: int, stop_row: int) -> list[Row]:
        """Return the rows of a block, as far as there are; a whole one is kept."""
        first_row = block * _BLOCK_ROWS
        with self._reading:
            if block in self._blocks:
                self._blocks.move_to_end(block)
                return self._blocks[block]
            stop_row = min(first_row + _BLOCK_ROWS, max(stop_row, self.count))
            seqs: Sequence[int] = range(first_row, stop_row)
            if self._matches is not None:
                seqs = self._matches.seqs(first_row, stop_row)
            found = self._rows(seqs, first_row)
            if len(found) == _BLOCK_ROWS:
                self._blocks[block] = found
                if len(self._blocks) > _BLOCKS_KEPT:
                    self._blocks.popitem(last=False)
            return found

    def _rows(self, seqs: Sequence[int], first_row: int) -> list[Row]:
        if not seqs:
            return []
        self._irregular.look_on(seqs[-1])
        after_gap = {self.row_at(seq) for seq in self._irregular.after_gap(seqs[0], seqs[-1])}
        found = (fields for batch in pick(self._store, seqs, _COLUMNS) for fields in _fields(batch))
        return [
            Row(
                **fields, row=row, after_gap=row in after_gap,
                out_of_order=self._irregular.is_out_of_order(fields["seq"]),
            )
            for row, fields in enumerate(found, first_row)
        ]  # fmt: skip


class Listings:
    """The lists of a session that were used last.

    Args:
        session: Sealed or still growing.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._irregular = Irregular(session.store)
        self._listings: OrderedDict[Filter, Listing] = OrderedDict()
        self._choosing = threading.Lock()

    def listing(self, types: Iterable[str] | None = None, text: str | None = None, where: str | None = None) -> Listing:
        """Return a list, refreshed; the arguments and errors are those of `Listing`.

        One that was not used for long is cancelled and forgotten.
        """
        wanted = Filter(None if types is None else frozenset(types), text or "", where)
        with self._choosing:
            found = self._listings.get(wanted)
            if found is None or found.error is not None:
                found = Listing(self._session, types=wanted.types, text=text, where=where, irregular=self._irregular)
                self._listings[wanted] = found
            self._listings.move_to_end(wanted)
            while len(self._listings) > _LISTINGS_KEPT:
                self._listings.popitem(last=False)[1].cancel()
        found.refresh()
        return found

    def close(self) -> None:
        """Cancel all that is still looked for."""
        with self._choosing:
            for listing in self._listings.values():
                listing.cancel()
            self._listings.clear()


def _count(session: Session, known: int) -> int:
    """Return how many events there are; of one that is not sealed those after the known ones are counted."""
    if session.state is State.SEALED:
        return session.store.manifest().events
    for batch in session.store.batches(Selection(columns=("seq",), from_seq=known)):
        known = batch.column("seq")[-1].as_py() + 1
    return known


def _fields(batch: RecordBatch) -> list[dict[str, Any]]:
    """Return what a record batch of `_COLUMNS` says of its rows."""
    text, binary, detail = (batch.column(name) for name in ("text", "binary", "detail"))
    size = pc.fill_null(pc.coalesce(pc.binary_length(text), pc.binary_length(binary)), 0)
    shown = pc.utf8_slice_codeunits(pc.coalesce(text, detail), 0, PREVIEW_CHARS)
    if binary.null_count < len(binary):
        starts = pc.binary_slice(binary, 0, PREVIEW_CHARS // 2).to_pylist()
        shown = pc.coalesce(pa.array([None if start is None else start.hex() for start in starts], pa.string()), shown)
    names = [name for name in _COLUMNS if name not in ("text", "binary", "detail")]
    columns = [batch.column(name).to_pylist() for name in names]
    columns += [size.to_pylist(), pc.fill_null(shown, "").to_pylist()]
    return [dict(zip((*names, "size", "preview"), row, strict=True)) for row in zip(*columns, strict=True)]
