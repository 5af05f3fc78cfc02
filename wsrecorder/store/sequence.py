"""The rule that sequence numbers have no holes, held to while events are read."""

from __future__ import annotations

import pyarrow as pa

from wsrecorder.errors import SegmentDamaged
from wsrecorder.store.selection import Selection

__all__ = ["Sequence"]


class Sequence:
    """Checks that no event is missing between those that are read.

    Only what a selection leaves out at its beginning may be missing: from the first batch on that may hold
    something wanted, each must go on where the one before it ended.

    Args:
        session: Name of the session, for the error.
        selection: What is read.
    """

    def __init__(self, session: str, selection: Selection) -> None:
        self._session = session
        self._selection = selection
        self._next_seq: int | None = None

    def check(self, batch: pa.RecordBatch) -> None:
        """Check that a batch goes on where the one before it ended.

        Args:
            batch: Not empty, with the columns ``seq`` and ``elapsed_ns``, before anything was filtered out of it.

        Raises:
            SegmentDamaged: It does not.
        """
        first_seq, last_seq = batch.column("seq")[0].as_py(), batch.column("seq")[-1].as_py()
        wanted = self._next_seq
        if wanted is None:
            if self._is_before(batch, last_seq):
                return
            # Without a moment to begin at, it is known what must come first.
            if self._selection.start_ns is None and first_seq > self._selection.from_seq:
                wanted = self._selection.from_seq
        if wanted is not None and first_seq != wanted:
            raise self._hole(wanted, f"event {first_seq} follows")
        if last_seq - first_seq != len(batch) - 1:
            # Damage alone comes here, so the slow way to find the place is good enough.
            pairs = enumerate(batch.column("seq").to_pylist(), first_seq)
            raise self._hole(*next((want, f"event {found} follows") for want, found in pairs if found != want))
        self._next_seq = last_seq + 1

    def check_end(self, events: int) -> None:
        """Check that all came that the manifest knows.

        Args:
            events: How many events the session holds at least.

        Raises:
            SegmentDamaged: Some did not.
        """
        is_open = self._selection.end_ns is None and self._selection.to_seq is None
        if is_open and self._next_seq is not None and self._next_seq < events:
            raise self._hole(self._next_seq, f"nothing follows, the manifest counts {events} events")

    def _is_before(self, batch: pa.RecordBatch, last_seq: int) -> bool:
        """Return whether all of a batch comes before what is wanted."""
        start_ns = self._selection.start_ns
        return last_seq < self._selection.from_seq or (
            start_ns is not None and batch.column("elapsed_ns")[-1].as_py() < start_ns
        )

    def _hole(self, seq: int, instead: str) -> SegmentDamaged:
        return SegmentDamaged(
            f"session {self._session} has a hole at event {seq}: {instead}",
            hint='"wsrec verify" names all that is wrong; what comes before and after can be read by --from and --to',
        )
