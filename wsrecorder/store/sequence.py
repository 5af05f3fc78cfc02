"""The rule that sequence numbers have no holes, held to while events are read."""

from __future__ import annotations

import pyarrow as pa

from wsrecorder.errors import SegmentDamaged
from wsrecorder.store.selection import Selection

__all__ = ["Sequence"]


class Sequence:
    """Checks that no event is missing between those that are read.

    Only what a selection leaves out at its beginning may be missing: after the first batch, each must go
    on where the one before it ended.

    Args:
        session: Name of the session, for the error.
        selection: What is read.
    """

    def __init__(self, session: str, selection: Selection) -> None:
        self._session = session
        self._next_seq: int | None = None
        self._reads_on = selection.end_ns is None
        # Without a moment to begin at, what must come first is known.
        self._first_wanted = selection.from_seq if selection.start_ns is None else None

    def check(self, batch: pa.RecordBatch) -> None:
        """Check that a batch goes on where the one before it ended.

        Args:
            batch: Not empty, with the column ``seq``, before anything was filtered out of it.

        Raises:
            SegmentDamaged: It does not.
        """
        first_seq, last_seq = batch.column("seq")[0].as_py(), batch.column("seq")[-1].as_py()
        wanted = self._next_seq
        if wanted is None and self._first_wanted is not None and first_seq > self._first_wanted:
            wanted = self._first_wanted
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
        if self._reads_on and self._next_seq is not None and self._next_seq < events:
            raise self._hole(self._next_seq, f"nothing follows, the manifest counts {events} events")

    def _hole(self, seq: int, instead: str) -> SegmentDamaged:
        return SegmentDamaged(
            f"session {self._session} has a hole at event {seq}: {instead}",
            hint='"wsrec verify" names all that is wrong; what comes before and after can be read by --from and --to',
        )
