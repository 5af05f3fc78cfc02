"""One pass through a recording: the rows at hand, and how far they have gone out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from wsrecorder.core.step import Send
from wsrecorder.core.target import Place

__all__ = ["Pass"]

_NO_ROWS: Sequence[int] = ()


class Pass:
    """The rows fed last, and the pointer to the next one, which only `take` moves.

    Attributes:
        place: Where it begins.
        due_ns: When each row of the batch at hand is due, played time, ns.
        next_row: The row of it that goes out next.
        is_loading: No rows have come yet.
        has_ended: No more will come.
        has_sent: A row of this pass has gone out.

    Args:
        place: Where it begins.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.due_ns = _NO_ROWS
        self.next_row = 0
        self.is_loading = True
        self.has_ended = False
        self.has_sent = False
        self._elapsed_ns = _NO_ROWS
        # Of the last row sent, or of where the pass begins: when it was due, played time, and when received.
        self._passed_ns = place.session_ns, place.session_ns

    @property
    def is_used_up(self) -> bool:
        """Whether all rows at hand have gone out."""
        return self.next_row == len(self.due_ns)

    def feed(self, due_ns: Sequence[int], elapsed_ns: Sequence[int]) -> None:
        """Take the next batch; the one before it must be used up."""
        assert self.is_used_up, "the batch before this one is not used up"
        self.due_ns, self._elapsed_ns, self.next_row = due_ns, elapsed_ns, 0

    def take(self, stop: int) -> Send:
        """Let the rows up to ``stop`` go out."""
        send = Send(self.next_row, stop)
        self.next_row = stop
        self._passed_ns = self.due_ns[stop - 1], self._elapsed_ns[stop - 1]
        self.has_sent = True
        return send

    def last_row(self, end_ns: int | None) -> int:
        """Return the first row at hand that is at or after a recorded time, ns, or how many rows there are.

        There is a next row.
        """
        rows = len(self.due_ns)
        if end_ns is None or self._elapsed_ns[rows - 1] < end_ns:  # the usual batch costs no search
            return rows
        return bisect_left(self._elapsed_ns, end_ns, self.next_row)

    def due_at(self, elapsed_ns: int) -> int:
        """Return when a recorded time that no row reaches before the next one is due, played time, ns."""
        passed_due_ns, passed_ns = self._passed_ns
        due_ns = passed_due_ns + elapsed_ns - passed_ns
        return due_ns if self.is_used_up else min(due_ns, self.due_ns[self.next_row])  # a silence may have been cut

    @property
    def next_ns(self) -> int:
        """When the next row is due, played time, ns; at the earliest, where it is not at hand."""
        return self._passed_ns[0] if self.is_used_up else self.due_ns[self.next_row]

    def stands_ns(self, played_ns: int) -> int:
        """Return the recorded time of a played one, ns; a row that is late holds it back, and so does slow reading."""
        passed_due_ns, passed_ns = self._passed_ns
        if self.is_used_up and not self.has_ended:
            return passed_ns
        stands_ns = passed_ns + max(0, played_ns - passed_due_ns)
        return stands_ns if self.is_used_up else min(stands_ns, self._elapsed_ns[self.next_row])
