"""How fast a playback really is: session time played over wall time spent, all together and lately."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["Pace"]

_LATELY_NS: Final = 5_000_000_000
_APART_NS: Final = 100_000_000


class Pace:
    """Adds up stretches of playing without a pause or a jump in them.

    Attributes:
        playing_ns: Wall time spent playing, ns.
        session_ns: Session time played meanwhile, ns.
    """

    def __init__(self) -> None:
        self.playing_ns = 0
        self.session_ns = 0
        self._last: tuple[int, int] | None = None
        # What the sums were, not much more often than every 0.1 s of playing, and for 5 s and one more.
        self._marks: deque[tuple[int, int]] = deque([(0, 0)])

    def note(self, began_ns: int, now_ns: int, first_due_ns: int, last_due_ns: int) -> None:
        """Add what was played since the frames before these, or since these began.

        Args:
            began_ns: Monotonic time at which these frames began to go out, ns.
            now_ns: Monotonic time at which they had, ns.
            first_due_ns: When the first of them was due, played time, ns.
            last_due_ns: When the last was.
        """
        since_ns, due_ns = self._last or (began_ns, first_due_ns)
        self.playing_ns += now_ns - since_ns
        self.session_ns += last_due_ns - due_ns
        self._last = now_ns, last_due_ns
        if self.playing_ns - self._marks[-1][0] >= _APART_NS:
            self._marks.append((self.playing_ns, self.session_ns))
            while self.playing_ns - self._marks[1][0] >= _LATELY_NS:
                self._marks.popleft()

    def interrupt(self) -> None:
        """Begin a new stretch: what comes next does not follow on what was before."""
        self._last = None

    @property
    def overall(self) -> float | None:
        """Session seconds per wall second since the beginning; None if it took no time."""
        return self.session_ns / self.playing_ns if self.playing_ns else None

    @property
    def lately(self) -> float | None:
        """Session seconds per wall second over about the last 5 s of playing; None if it took no time."""
        playing_ns, session_ns = self._marks[0]
        spent_ns = self.playing_ns - playing_ns
        return (self.session_ns - session_ns) / spent_ns if spent_ns else None
