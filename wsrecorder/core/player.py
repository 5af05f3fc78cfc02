"""The player: when to send which rows, told by integers alone.

Theory of operation. The player is asked ``next_step(wall_ns)`` and answers one step; whoever asks
carries it out and asks again. It is fed the due times of one batch after another and never
touches a payload: ``Send(start, stop)`` names rows of the batch it was fed last.

A *pass* is one run through the recording from some place on. Within it::

    (new) --Reread--> loading --first rows fed--> ready --no rows left, end()--> over
      ^                                             |                             |
      +------ seek, restart (from any state) -------+-------- loop ---------------+

- ``Reread(from_ns)`` opens every pass, the first one too: read the recording from there, then
  feed. Until rows have come the playhead stands still, so slow reading is not lateness.
- ``More()``: the batch is used up, feed the next one, or call ``end``. This comes also while
  paused, so that what is next is at hand. Rows read for a pass that a seek has since given up
  are refused by ``feed``.
- Ready, the player is playing (``Send``, ``Wait``), or paused (``Idle``); it is new paused.
- ``Finished()``: the pass is over or the player was stopped. A seek leads out of the former.

Invariants: answering ``Send`` moves the row pointer past it and nothing else ever moves it but
the start of a pass, so within a pass rows go out once, in order, none left out, whatever the
controls do. Controls move the playhead, a pinned pair of times: deadlines are computed from it,
never from one another, so lateness does not add up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wsrecorder.core.distribution import sample_rows
from wsrecorder.core.playhead import MAX_SPEED, Playhead, check_speed
from wsrecorder.errors import UsageError

__all__ = ["Finished", "Idle", "More", "Player", "Reread", "Send", "Step", "Wait"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send the rows ``[start, stop)`` of the batch fed last, now."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due before monotonic ``until_ns``, unless a control changes that."""

    until_ns: int


@dataclass(frozen=True, slots=True)
class Idle:
    """Paused: only a control can move us on."""


@dataclass(frozen=True, slots=True)
class More:
    """Feed the next batch, or say that there is none."""


@dataclass(frozen=True, slots=True)
class Reread:
    """Begin a pass: read from session time ``from_ns`` on, then feed."""

    from_ns: int


@dataclass(frozen=True, slots=True)
class Finished:
    """There is nothing left to send."""


Step = Send | Wait | Idle | More | Reread | Finished

_NO_ROWS: Sequence[int] = ()


class Player:
    """Decides what is due; see the top of the module.

    Args:
        start_ns: Where the first pass begins and later ones return to, session time, ns.
        speed: Session seconds per wall second, above 0, or `MAX_SPEED`.
        loop: Whether the end of a pass begins another one at ``start_ns``.
        max_rows: The most rows of one ``Send``: bounds how long a control waits for one to go out.

    Raises:
        UsageError: The speed is not above 0.
    """

    def __init__(self, *, start_ns: int = 0, speed: float = 1.0, loop: bool = False, max_rows: int = 4096) -> None:
        self.loop = loop
        self._start_ns = start_ns
        self._speed = check_speed(speed)
        self._max_rows = max_rows
        self._is_paused = True
        self._is_stopped = False
        self._passes = 0
        # The last Send, as `lateness` needs it: the batch, its rows, the playhead that timed them.
        self._sent: tuple[Sequence[int], Send, Playhead] | None = None
        self._playhead = Playhead(start_ns, 0, 0.0)
        self._begin_pass(start_ns, 0)

    def _begin_pass(self, from_ns: int, wall_ns: int) -> None:
        self._playhead = Playhead(from_ns, wall_ns, 0.0)
        self._reread_ns: int | None = from_ns  # asked for, not yet answered
        self._pass_from_ns = from_ns
        self._due_ns = _NO_ROWS
        self._next_row = 0
        self._owed_rows = 0
        self._is_loading = True
        self._has_ended = False

    # What the edge asks and tells.

    def next_step(self, wall_ns: int) -> Step:
        """Return what to do at monotonic ``wall_ns``; never steps back in time."""
        if self._is_stopped:
            return Finished()
        if self._reread_ns is not None:
            from_ns, self._reread_ns = self._reread_ns, None
            self._passes += 1
            return Reread(from_ns)
        if self._next_row == len(self._due_ns):
            return self._close_pass(wall_ns) if self._has_ended else More()
        if self._owed_rows:
            return self._send_at_once(self._owed_rows, wall_ns)
        if self._is_paused:
            return Idle()
        if self._speed == MAX_SPEED:
            return self._send_at_once(self._max_rows, wall_ns)
        return self._send_due(wall_ns)

    def feed(self, due_ns: Sequence[int], wall_ns: int) -> bool:
        """Take the next batch, asked for by ``More``.

        Args:
            due_ns: When each row is due, played time, ns; never falls, also from batch to batch.
            wall_ns: Monotonic time now, ns.

        Returns:
            Whether the batch was taken; not if a seek has meanwhile begun another pass.
        """
        if self._reread_ns is not None:
            return False
        assert self._next_row == len(self._due_ns), "the batch before this one is not used up"
        self._due_ns, self._next_row = due_ns, 0
        if self._is_loading and len(due_ns):
            self._is_loading = False
            self._run(wall_ns)
        return True

    def end(self, wall_ns: int) -> bool:
        """Take note that this pass has no more batches.

        Returns:
            Whether it was taken; not if a seek has meanwhile begun another pass.
        """
        if self._reread_ns is not None:
            return False
        self._has_ended = True
        return True

    def lateness(self, wall_ns: int) -> Iterator[tuple[int, int]]:
        """Yield how late the last ``Send`` was if it went out at ``wall_ns``.

        A long range is sampled evenly. Rows that were stepped or sent at maximum speed had no
        deadline and yield nothing.

        Yields:
            Lateness in ns, at least 0, and how many rows it stands for.
        """
        if self._sent is None:
            return
        due_ns, send, playhead = self._sent
        for row, weight in sample_rows(send.start, send.stop):
            yield max(0, wall_ns - playhead.wall_at(due_ns[row])), weight

    # Controls.

    def pause(self, wall_ns: int) -> None:
        """Stand still; what is due and not yet sent waits too."""
        self._is_paused = True
        self._run(wall_ns)

    def resume(self, wall_ns: int) -> None:
        """Go on from where the playhead stands."""
        self._is_paused = False
        self._run(wall_ns)

    def set_speed(self, speed: float, wall_ns: int) -> None:
        """Go on at another speed, or once resumed if paused; the position does not jump.

        Raises:
            UsageError: The speed is not above 0.
        """
        self._speed = check_speed(speed)
        self._run(wall_ns)

    def seek(self, session_ns: int, wall_ns: int) -> None:
        """Begin a pass at recorded time ``session_ns``, or at the start if that is later."""
        self._begin_pass(max(session_ns, self._start_ns), wall_ns)

    def restart(self, wall_ns: int) -> None:
        """Begin a pass at the start."""
        self.seek(self._start_ns, wall_ns)

    def step(self, rows: int, wall_ns: int) -> None:
        """Pause, and send the next ``rows`` rows at once; the playhead goes with them.

        Raises:
            UsageError: ``rows`` is less than 1.
        """
        if rows < 1:
            raise UsageError(f"a step of {rows} events is not possible", hint="step 1 event or more; to go back, seek")
        self.pause(wall_ns)
        self._owed_rows += rows

    def stop(self) -> None:
        """End for good."""
        self._is_stopped = True

    def hold(self, since_ns: int, wall_ns: int) -> None:
        """Put off all that is to come: the playhead has waited for a client from ``since_ns`` until now."""
        self._playhead = self._playhead.hold(since_ns, wall_ns)

    # What there is to see.

    def position(self, wall_ns: int) -> int:
        """Return where the playhead stands, played time, ns."""
        return self._playhead.position(wall_ns)

    @property
    def speed(self) -> float:
        """Session seconds per wall second, also while paused."""
        return self._speed

    @property
    def is_paused(self) -> bool:
        """Whether a control has paused it, or nothing has yet resumed it."""
        return self._is_paused

    @property
    def is_stopped(self) -> bool:
        """Whether it has ended for good."""
        return self._is_stopped

    @property
    def is_rereading(self) -> bool:
        """Whether a control has asked for another pass, which has not begun yet."""
        return self._reread_ns is not None

    @property
    def passes(self) -> int:
        """How many passes have begun."""
        return self._passes

    def _run(self, wall_ns: int) -> None:
        """Let the playhead go at the speed that the state calls for; re-pins it here and now."""
        stands = self._is_paused or self._is_loading
        self._playhead = self._playhead.at_speed(0.0 if stands else self._speed, wall_ns)

    def _send_due(self, wall_ns: int) -> Send | Wait:
        last_row = min(len(self._due_ns), self._next_row + self._max_rows)
        stop = bisect_right(self._due_ns, self._playhead.position(wall_ns), self._next_row, last_row)
        if stop == self._next_row:
            return Wait(self._playhead.wall_at(self._due_ns[stop]))
        send = Send(self._next_row, stop)
        self._sent = (self._due_ns, send, self._playhead)
        self._next_row = stop
        return send

    def _send_at_once(self, rows: int, wall_ns: int) -> Send:
        send = Send(self._next_row, min(len(self._due_ns), self._next_row + min(rows, self._max_rows)))
        self._sent = None
        self._next_row = send.stop
        self._owed_rows = max(0, self._owed_rows - (send.stop - send.start))
        # The playhead is where sending has come to, but a late row does not drag it back.
        reached_ns = max(self._playhead.position(wall_ns), self._due_ns[send.stop - 1])
        self._playhead = self._playhead.seek(reached_ns, wall_ns)
        return send

    def _close_pass(self, wall_ns: int) -> Step:
        # A recording without a row from the start on would loop without end, sending nothing.
        if self.loop and not (self._is_loading and self._pass_from_ns == self._start_ns):
            self.restart(wall_ns)
            return self.next_step(wall_ns)
        self._playhead = self._playhead.pause(wall_ns)
        return Finished()
