"""Which events stand out in a list: the first after a gap, and those out of order by the sender's clock."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.event import Direction, Kind
from wsrecorder.store.columns import int64_view
from wsrecorder.store.schema import RecordBatch
from wsrecorder.store.selection import Selection, is_among
from wsrecorder.store.session import Store

__all__ = ["Irregular"]

_GLANCE_S: Final = 0.005
_COLUMNS: Final = ("seq", "kind", "conn", "direction", "sent_at")


class Irregular:
    """What stands out in a session, as far as it was looked through; safe to be asked while a thread looks on.

    Args:
        store: The session.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next_seq = 0
        self._is_after_gap = False
        self._last: tuple[int, int] | None = None  # connection and stamp of the last message that had one
        self._after_gap: array[int] = array("q")
        self._out_of_order: array[int] = array("q")
        self._batches: Iterator[RecordBatch] | None = None
        self._looking = threading.Lock()

    def look_on(self, until_seq: int | None = None, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Look through what was not looked at yet, a batch at a time, in turn with whoever else does.

        Args:
            until_seq: The last event that matters; None is all that the session holds now.
            is_cancelled: Asked before each batch.

        Raises:
            SessionError: The session cannot be read that far.
        """
        while not is_cancelled() and (until_seq is None or self._next_seq <= until_seq):
            # Whoever holds the lock may well get as far as is wanted here, and a lock is not handed over in turn.
            if not self._looking.acquire(timeout=_GLANCE_S):
                continue
            try:
                if not self._look_at_next():
                    return
            finally:
                self._looking.release()

    def _look_at_next(self) -> bool:
        """Look at the next batch; return whether there was one."""
        if self._batches is None:
            self._batches = iter(self._store.batches(Selection(columns=_COLUMNS, from_seq=self._next_seq)))
        try:
            batch = next(self._batches, None)
        except BaseException:
            self._batches = None
            raise
        if batch is None:
            self._batches = None
            return False
        self._look_at(batch)
        self._next_seq = batch.column("seq")[-1].as_py() + 1
        return True

    def after_gap(self, first_seq: int, last_seq: int) -> list[int]:
        """Return the first message after each gap, from the last such one before ``first_seq`` up to ``last_seq``."""
        start = bisect_left(self._after_gap, first_seq)
        return self._after_gap[max(0, start - 1) : bisect_right(self._after_gap, last_seq)].tolist()

    def is_out_of_order(self, seq: int) -> bool:
        """Return whether a message was sent before the one that came before it on its connection, by its stamp."""
        place = bisect_left(self._out_of_order, seq)
        return place < len(self._out_of_order) and self._out_of_order[place] == seq

    def _look_at(self, batch: RecordBatch) -> None:
        messages = batch.filter(is_among(batch.column("kind"), (Kind.MESSAGE,)))
        gaps = batch.column("seq").filter(is_among(batch.column("kind"), (Kind.GAP,))).to_pylist()
        if gaps or self._is_after_gap:
            seqs = messages.column("seq").to_pylist()
            marked = [seqs[0]] if self._is_after_gap and seqs else []
            marked += [seqs[place] for gap in gaps if (place := bisect_left(seqs, gap)) < len(seqs)]
            self._after_gap.extend(sorted(set(marked)))
            self._is_after_gap = bool(gaps and (not seqs or gaps[-1] > seqs[-1])) or (self._is_after_gap and not seqs)
        self._compare_stamps(messages)

    def _compare_stamps(self, messages: RecordBatch) -> None:
        """Note the messages whose stamp is before that of the one before, on the same connection."""
        came_in = is_among(messages.column("direction"), (Direction.IN,))
        stamped = messages.filter(pc.and_(came_in, pc.is_valid(messages.column("sent_at"))))
        if not len(stamped):
            return
        conns, stamps, seqs = stamped.column("conn"), stamped.column("sent_at").cast(pa.int64()), stamped.column("seq")
        if self._last is not None and self._last[0] == conns[0].as_py() and stamps[0].as_py() < self._last[1]:
            self._out_of_order.append(seqs[0].as_py())
        is_back = pc.less(stamps.slice(1), stamps.slice(0, len(stamps) - 1))
        is_same = pc.equal(conns.slice(1), conns.slice(0, len(conns) - 1))
        found = seqs.slice(1).filter(pc.and_(is_back, is_same))
        if len(found):
            self._out_of_order.frombytes(int64_view(found).cast("B"))
        self._last = conns[-1].as_py(), stamps[-1].as_py()
