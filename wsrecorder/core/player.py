"""The player: when to send which rows, told by integers alone.

Theory of operation. The player is asked ``next_step(wall_ns)`` and answers one step; whoever asks
carries it out and asks again. It is fed the due times of one batch after another and never
touches a payload: ``Send(start, stop)`` names rows of the batch it was fed last.

A *pass* is one run through the recording from some place on. Within it::

    (new) --Reread--> loading --first rows fed--> ready --no rows left, end()--> over
      ^                                             |                             |
      +------ seek, restart (from any state) -------+-------- loop ---------------+

- ``Reread(from_ns, skip)`` opens every pass, the first one too: read from that `Place` on, then
  feed. Until rows have come the playhead stands still, so slow reading is not lateness.
- ``More()``: the batch is used up, feed the next one, or call ``end``; also while paused. Rows read
  for a pass that a seek has since given up are refused by ``feed``.
- Ready, the player is playing (``Send``, ``Wait``), or paused (``Idle``); it is new paused.
- ``Finished()``: the pass is over or the player was stopped. A seek leads out of the former.

Rows that a step or burst is *owed* go out at once, whatever is due, and the playhead goes with them.

A loop A-B is a pair of recorded times. A pass that begins before B does not go on to a row at or
after B: when the playhead gets to B it begins another pass at A. It never moves the row pointer, so
taking it away goes on past B as if it had not been there. A pass that a seek begins at or after B is
left alone. Where a pass from A comes to B without a row, it rests there, rather than to turn for ever.

Invariants: answering ``Send`` moves the row pointer past it and nothing else ever moves it but
the start of a pass, so within a pass rows go out once, in order, none left out, whatever the
controls do. Controls move the playhead, a pinned pair of times: deadlines are computed from it,
never from one another, so lateness does not add up. Only where sending has fallen behind by more than a
second does a control pin it to what is next: else, after a speed that was too high, all that was not sent
in time would go out at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from wsrecorder.core.control_checks import check_loop, check_rows
from wsrecorder.core.distribution import sample_rows
from wsrecorder.core.play_pass import Pass
from wsrecorder.core.playhead import MAX_SPEED, Playhead, check_speed
from wsrecorder.core.step import Finished, Idle, More, Reread, Send, Step, Wait
from wsrecorder.core.target import Place

__all__ = ["Player"]

_BEHIND_NS: Final = 1_000_000_000


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
        self._ab: tuple[int, int] | None = None
        self._owed_rows = 0
        self._was_owed = False
        self._begin_pass(Place(start_ns), 0)

    def _begin_pass(self, place: Place, wall_ns: int) -> None:
        self._playhead = Playhead(place.session_ns, wall_ns, 0.0)
        self._reread: Place | None = place  # asked for, not yet answered
        self._pass = Pass(place)

    # What the edge asks and tells.

    def next_step(self, wall_ns: int) -> Step:
        """Return what to do at monotonic ``wall_ns``; never steps back in time."""
        if self._is_stopped:
            return Finished()
        if self._reread is not None:
            place, self._reread = self._reread, None
            self._passes += 1
            return Reread(place.session_ns, place.skip)
        if self._pass.is_used_up:
            return self._close_pass(wall_ns) if self._pass.has_ended else More()
        if not self._owed_rows and self._is_paused:
            return Idle()
        last_row = self._pass.last_row(self._loop_end_ns)
        if self._pass.next_row == last_row:
            return self._turn(wall_ns)
        if self._owed_rows:
            return self._send_at_once(self._owed_rows, last_row, wall_ns)
        if self._speed == MAX_SPEED:
            return self._send_at_once(self._max_rows, last_row, wall_ns)
        return self._send_due(last_row, wall_ns)

    def feed(self, due_ns: Sequence[int], wall_ns: int, elapsed_ns: Sequence[int] | None = None) -> bool:
        """Take the next batch, asked for by ``More``.

        Args:
            due_ns: When each row is due, played time, ns; never falls, also from batch to batch.
            wall_ns: Monotonic time now, ns.
            elapsed_ns: When each row was received, recorded time, ns; None where that is the same.

        Returns:
            Whether the batch was taken; not if a seek has meanwhile begun another pass.
        """
        if self._reread is not None:
            return False
        self._pass.feed(due_ns, due_ns if elapsed_ns is None else elapsed_ns)
        if len(due_ns):
            self._set_going(wall_ns)
        return True

    def end(self, wall_ns: int) -> bool:
        """Take note that this pass has no more batches.

        Returns:
            Whether it was taken; not if a seek has meanwhile begun another pass.
        """
        if self._reread is not None:
            return False
        self._pass.has_ended = True
        self._set_going(wall_ns)
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
        """Stand still; what is due or owed and not yet sent waits too."""
        self._is_paused = True
        self._owed_rows = 0
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

    def seek(self, session_ns: int, wall_ns: int, skip: int = 0) -> None:
        """Begin a pass at a `Place`, or at the start if that is later; paused or not as before."""
        self._owed_rows = 0
        place = Place(session_ns, skip) if session_ns >= self._start_ns else Place(self._start_ns)
        self._begin_pass(place, wall_ns)

    def restart(self, wall_ns: int) -> None:
        """Begin a pass at the start."""
        self.seek(self._start_ns, wall_ns)

    def step(self, rows: int, wall_ns: int) -> None:
        """Pause, and send the next ``rows`` rows at once; the playhead goes with them.

        Raises:
            UsageError: ``rows`` is less than 1.
        """
        check_rows(rows, "a step", "; to go back, seek")
        if not self._is_paused:  # what is owed while paused are steps, too
            self.pause(wall_ns)
        self._owed_rows += rows

    def burst(self, rows: int) -> None:
        """Send the next ``rows`` rows at once, and go on from there as before: playing, or paused.

        Raises:
            UsageError: ``rows`` is less than 1.
        """
        check_rows(rows, "a burst")
        self._owed_rows += rows

    def set_loop(self, a_ns: int, b_ns: int, wall_ns: int) -> bool:
        """Play from ``a_ns`` to ``b_ns`` again and again, recorded time; see the top of the module.

        Returns:
            Whether the playhead had to jump to ``a_ns``, since it was not between them.

        Raises:
            UsageError: ``b_ns`` is not after ``a_ns``, or not after the start.
        """
        a_ns = max(a_ns, self._start_ns)
        check_loop(a_ns, b_ns)
        self._ab = a_ns, b_ns
        is_inside = a_ns <= self.stands_ns(wall_ns) < b_ns
        if not is_inside:
            self.seek(a_ns, wall_ns)
        return not is_inside

    def clear_loop(self, wall_ns: int) -> None:
        """Go on past the loop's end."""
        self._ab = None
        self._run(wall_ns)

    def stop(self) -> None:
        """End for good."""
        self._is_stopped = True

    def hold(self, since_ns: int, wall_ns: int) -> None:
        """Put off all that is to come: a client was waited for from ``since_ns`` until now."""
        self._playhead = self._playhead.hold(since_ns, wall_ns)

    # What there is to see.

    def position(self, wall_ns: int) -> int:
        """Return where the playhead stands, played time, ns."""
        return self._playhead.position(wall_ns)

    def stands_ns(self, wall_ns: int) -> int:
        """Return where the playhead stands, recorded time, ns; what was not sent in time holds it back."""
        return self._pass.stands_ns(self.position(wall_ns))

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
        return self._reread is not None

    @property
    def ab(self) -> tuple[int, int] | None:
        """From where to where it loops, recorded time, ns; None where it does not."""
        return self._ab

    @property
    def was_owed(self) -> bool:
        """Whether the last ``Send`` was one that a step or burst was owed: it says nothing of speed."""
        return self._was_owed

    @property
    def passes(self) -> int:
        """How many passes have begun."""
        return self._passes

    def _run(self, wall_ns: int) -> None:
        """Let the playhead go at the speed that the state calls for; re-pins it here and now."""
        playhead, next_ns = self._playhead, self._pass.next_ns
        if playhead.is_timed and wall_ns - playhead.wall_at(next_ns) > _BEHIND_NS:
            playhead = playhead.seek(next_ns, wall_ns)
        stands = self._is_paused or self._pass.is_loading
        self._playhead = playhead.at_speed(0.0 if stands else self._speed, wall_ns)

    def _set_going(self, wall_ns: int) -> None:
        if self._pass.is_loading:
            self._pass.is_loading = False
            self._run(wall_ns)

    def _send_due(self, last_row: int, wall_ns: int) -> Send | Wait:
        due_ns, next_row = self._pass.due_ns, self._pass.next_row
        last_row = min(last_row, next_row + self._max_rows)
        if not self._playhead.is_timed:  # it rested in a loop without an event, which has been changed
            self._run(wall_ns)
        stop = bisect_right(due_ns, self._playhead.position(wall_ns), next_row, last_row)
        if stop == next_row:
            return Wait(self._playhead.wall_at(due_ns[stop]))
        send = self._pass.take(stop)
        self._sent = (due_ns, send, self._playhead)
        self._was_owed = False
        return send

    def _send_at_once(self, rows: int, last_row: int, wall_ns: int) -> Send:
        send = self._pass.take(min(last_row, self._pass.next_row + min(rows, self._max_rows)))
        self._sent = None
        self._was_owed = self._owed_rows > 0
        self._owed_rows = max(0, self._owed_rows - (send.stop - send.start))
        # The playhead is where sending has come to, but a late row does not drag it back.
        reached_ns = max(self._playhead.position(wall_ns), self._pass.due_ns[send.stop - 1])
        self._playhead = self._playhead.seek(reached_ns, wall_ns)
        return send

    def _close_pass(self, wall_ns: int) -> Step:
        if self._loop_end_ns is not None:
            return Idle() if self._is_paused and not self._owed_rows else self._turn(wall_ns)
        # A recording without a row from the start on would loop without end, sending nothing.
        if self.loop and (self._pass.has_sent or self._pass.place != Place(self._start_ns)):
            self.restart(wall_ns)
            return self.next_step(wall_ns)
        self._owed_rows = 0
        self._playhead = self._playhead.pause(wall_ns)
        return Finished()

    @property
    def _loop_end_ns(self) -> int | None:
        """Where this pass turns, recorded time, ns; None where it does not."""
        return self._ab[1] if self._ab is not None and self._pass.place.session_ns < self._ab[1] else None

    def _turn(self, wall_ns: int) -> Step:
        """Nothing is left before the loop's end: get there, and begin again."""
        assert self._ab is not None
        a_ns, b_ns = self._ab
        if not self._owed_rows and self._speed != MAX_SPEED:
            end_ns = self._pass.due_at(b_ns)
            if self._playhead.position(wall_ns) < end_ns:
                if not self._playhead.is_timed:  # the pass was over before there was a loop
                    self._run(wall_ns)
                return Wait(self._playhead.wall_at(end_ns))
        if self._pass.has_sent or self._pass.place != Place(a_ns):
            self._begin_pass(Place(a_ns), wall_ns)
        elif self._owed_rows:
            self._owed_rows = 0
        else:
            self._playhead = self._playhead.pause(wall_ns)
            return Idle()
        return self.next_step(wall_ns)
