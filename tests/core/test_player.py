"""The player decides what is due; it is told the time and never waits."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wsrecorder.core.player import Player
from wsrecorder.core.playhead import MAX_SPEED
from wsrecorder.core.step import Finished, Idle, More, Reread, Send, Step, Wait
from wsrecorder.errors import UsageError


def playing(due_ns: list[int], *, wall_ns: int = 0, **options: object) -> Player:
    """Return a player of one batch that plays from wall time ``wall_ns`` on."""
    player = Player(**options)  # type: ignore[arg-type]
    assert isinstance(player.next_step(wall_ns), Reread)
    assert player.next_step(wall_ns) == More()
    assert player.feed(due_ns, wall_ns)
    player.resume(wall_ns)
    return player


# Passes


def test_a_new_player_asks_for_the_recording_from_its_start() -> None:
    player = Player(start_ns=70)
    assert player.passes == 0
    assert player.next_step(5) == Reread(70)
    assert player.next_step(5) == More()
    assert player.next_step(5) == More()
    assert player.passes == 1


def test_a_new_player_is_paused_but_reads_ahead() -> None:
    player = Player()
    player.next_step(0)
    assert player.is_paused
    assert player.next_step(0) == More()
    player.feed([0], 0)
    assert player.next_step(10**12) == Idle()


def test_rows_go_out_when_due_and_together_when_due_together() -> None:
    player = playing([10, 20, 20, 35])
    assert player.next_step(0) == Wait(10)
    assert player.next_step(9) == Wait(10)
    assert player.next_step(10) == Send(0, 1)
    assert player.next_step(10) == Wait(20)
    assert player.next_step(36) == Send(1, 4)
    assert player.next_step(36) == More()


def test_deadlines_are_absolute_so_lateness_does_not_add_up() -> None:
    due = list(range(0, 1_000, 10))
    player = playing(due)
    for row, due_ns in enumerate(due):
        assert player.next_step(due_ns + 7) == Send(row, row + 1)  # always 7 late
        if row + 1 < len(due):
            assert player.next_step(due_ns + 7) == Wait(due[row + 1])


def test_the_next_batch_goes_on_where_the_last_one_ended() -> None:
    player = playing([10])
    assert player.next_step(10) == Send(0, 1)
    assert player.next_step(10) == More()
    player.feed([], 11)
    assert player.next_step(11) == More()
    player.feed([15, 20], 12)
    assert player.next_step(12) == Wait(15)
    assert player.next_step(20) == Send(0, 2)


def test_the_end_finishes() -> None:
    player = playing([10])
    player.next_step(10)
    assert player.next_step(10) == More()
    assert player.end(10)
    assert player.next_step(10) == Finished()
    assert player.position(10) == player.position(99) == 10
    assert not player.is_stopped


def test_an_empty_recording_finishes_even_when_it_should_loop() -> None:
    player = Player(loop=True)
    assert player.next_step(0) == Reread(0)
    assert player.end(0)
    assert player.next_step(0) == Finished()


def test_a_loop_begins_again_at_the_start() -> None:
    player = playing([110], start_ns=100, loop=True)
    assert player.next_step(10) == Send(0, 1)
    player.end(10)
    assert player.next_step(10) == Reread(100)
    assert player.passes == 2
    assert player.next_step(10) == More()
    player.feed([110], 50)
    assert player.next_step(50) == Wait(60)


def test_a_seek_past_the_end_loops_too() -> None:
    player = playing([10], loop=True)
    player.seek(500, 0)
    assert player.next_step(0) == Reread(500)
    player.end(0)
    assert player.next_step(0) == Reread(0)


def test_slow_reading_at_the_beginning_of_a_pass_is_not_lateness() -> None:
    player = Player(start_ns=100)
    player.resume(0)
    player.next_step(0)
    player.feed([], 50)
    assert player.position(60) == 100
    player.feed([105], 1_000)
    assert player.next_step(1_000) == Wait(1_005)


# Controls


def test_speed_scales_the_distance_to_what_is_next() -> None:
    player = playing([100, 200], speed=10.0)
    assert player.next_step(0) == Wait(10)
    player.set_speed(2.0, 5)
    assert player.position(5) == 50
    assert player.speed == 2.0
    assert player.next_step(5) == Wait(30)
    assert player.next_step(30) == Send(0, 1)
    assert player.next_step(30) == Wait(80)


def test_at_maximum_speed_everything_goes_out_at_once_and_the_playhead_with_it() -> None:
    player = playing([100, 200, 300], speed=MAX_SPEED, max_rows=2)
    assert player.next_step(0) == Send(0, 2)
    assert player.position(0) == 200
    assert player.next_step(0) == Send(2, 3)
    assert player.position(50) == 300


def test_from_maximum_speed_back_the_next_is_due_after_the_last_sent() -> None:
    player = playing([100, 200, 300], speed=MAX_SPEED, max_rows=2)
    assert player.next_step(0) == Send(0, 2)
    player.set_speed(1.0, 1_000)
    assert player.next_step(1_000) == Wait(1_100)


def test_a_late_backlog_goes_out_in_bounded_sends() -> None:
    player = playing([1, 2, 3, 4, 5], max_rows=2)
    assert [player.next_step(99) for _ in range(4)] == [Send(0, 2), Send(2, 4), Send(4, 5), More()]


def test_a_long_step_goes_out_in_bounded_sends() -> None:
    player = playing([1, 2, 3, 4, 5], max_rows=2)
    player.step(3, 0)
    assert [player.next_step(0) for _ in range(3)] == [Send(0, 2), Send(2, 3), Idle()]


def test_a_pause_costs_no_session_time() -> None:
    player = playing([100])
    player.pause(30)
    assert player.is_paused
    assert player.next_step(10_000) == Idle()
    assert player.position(10_000) == 30
    player.resume(20_000)
    assert not player.is_paused
    assert player.next_step(20_000) == Wait(20_070)


def test_speed_set_while_paused_counts_from_resuming_on() -> None:
    player = playing([100])
    player.pause(0)
    player.set_speed(10.0, 5)
    assert player.next_step(50) == Idle()
    player.resume(60)
    assert player.next_step(60) == Wait(70)


def test_a_step_pauses_and_sends_so_many() -> None:
    player = playing([100, 200, 300])
    player.step(2, 10)
    assert player.is_paused
    assert player.next_step(10) == Send(0, 2)
    assert player.next_step(10) == Idle()
    assert player.position(99) == 200
    player.resume(1_000)
    assert player.next_step(1_000) == Wait(1_100)


def test_a_step_goes_over_the_end_of_a_batch_and_stops_at_the_end() -> None:
    player = playing([100])
    player.step(3, 0)
    assert player.next_step(0) == Send(0, 1)
    assert player.next_step(0) == More()
    player.feed([150], 0)
    assert player.next_step(0) == Send(0, 1)
    player.end(0)
    assert player.next_step(0) == Finished()
    player.seek(0, 0)
    player.next_step(0)
    player.feed([100, 150], 0)
    assert player.next_step(0) == Idle()  # what was left of the step is forgotten


def test_a_step_over_a_late_row_does_not_drag_the_playhead_back() -> None:
    player = playing([100, 500])
    player.step(1, 300)
    assert player.next_step(300) == Send(0, 1)
    assert player.position(300) == 300


@pytest.mark.parametrize("rows", [0, -1])
def test_a_step_back_is_refused_with_a_word_on_seeking(rows: int) -> None:
    with pytest.raises(UsageError, match="seek"):
        playing([1]).step(rows, 0)


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_an_impossible_speed_changes_nothing(speed: float) -> None:
    player = playing([100])
    with pytest.raises(UsageError):
        player.set_speed(speed, 0)
    assert player.speed == 1.0
    with pytest.raises(UsageError):
        Player(speed=speed)


def test_a_seek_reads_again_from_there_and_plays_on() -> None:
    player = playing([100, 200, 900])
    assert player.next_step(100) == Send(0, 1)
    player.seek(850, 110)
    assert player.position(500) == 850
    assert player.next_step(500) == Reread(850)
    assert player.next_step(500) == More()
    player.feed([900], 600)
    assert player.next_step(600) == Wait(650)


def test_a_seek_while_paused_stays_paused() -> None:
    player = playing([100])
    player.pause(0)
    player.seek(40, 0)
    assert player.next_step(0) == Reread(40)
    player.feed([100], 0)
    assert player.next_step(0) == Idle()
    assert player.position(0) == 40


def test_a_seek_before_the_start_goes_to_the_start() -> None:
    player = playing([100], start_ns=50)
    player.seek(3, 0)
    assert player.next_step(0) == Reread(50)


def test_a_restart_is_a_seek_to_the_start() -> None:
    player = playing([100, 200], start_ns=50)
    player.next_step(50)
    player.restart(60)
    assert player.next_step(60) == Reread(50)


def test_a_seek_leads_out_of_the_end() -> None:
    player = playing([100])
    player.next_step(100)
    player.end(100)
    assert player.next_step(100) == Finished()
    player.seek(0, 200)
    assert player.next_step(200) == Reread(0)


def test_rows_read_for_a_pass_that_was_given_up_are_refused() -> None:
    player = playing([100])
    player.next_step(100)
    assert player.next_step(100) == More()
    player.seek(50, 101)  # while the next batch was being read
    assert not player.feed([110, 120], 102)
    assert not player.end(102)
    assert player.next_step(102) == Reread(50)
    assert player.next_step(102) == More()


def test_a_batch_is_not_replaced_before_it_is_used_up() -> None:
    player = playing([100])
    with pytest.raises(AssertionError):
        player.feed([200], 0)


def test_stopping_is_for_good() -> None:
    player = playing([100])
    player.stop()
    player.seek(0, 0)
    assert player.is_stopped
    assert player.next_step(10**9) == Finished()


def test_holding_puts_off_what_is_to_come() -> None:
    player = playing([100])
    player.hold(30, 70)
    assert player.next_step(70) == Wait(140)


# Lateness


def test_lateness_is_counted_from_the_deadline_at_the_speed_of_then() -> None:
    player = playing([100, 200], speed=10.0)
    assert player.next_step(20) == Send(0, 2)
    player.seek(0, 21)  # what comes later does not change what was
    assert list(player.lateness(25)) == [(15, 1), (5, 1)]


def test_lateness_of_a_long_range_is_sampled() -> None:
    player = playing(list(range(1_000)))
    assert player.next_step(2_000) == Send(0, 1_000)
    samples = list(player.lateness(2_000))
    assert len(samples) == 16
    assert sum(weight for _, weight in samples) == 1_000
    assert all(1_000 < late_ns <= 2_000 for late_ns, _ in samples)


def test_what_had_no_deadline_was_not_late() -> None:
    player = playing([100, 200, 300])
    assert list(player.lateness(0)) == []
    player.step(1, 0)
    player.next_step(0)
    assert list(player.lateness(50)) == []
    player.set_speed(MAX_SPEED, 0)
    player.resume(0)
    player.next_step(0)
    assert list(player.lateness(50)) == []


@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=40).map(sorted),
    st.floats(0.01, 100.0),
    st.integers(0, 10**15),
)
def test_whoever_waits_as_told_is_never_early_and_never_late(due: list[int], speed: float, wall_ns: int) -> None:
    player = playing(due, wall_ns=wall_ns, speed=speed)
    now_ns, sent = wall_ns, 0
    for _ in range(2 * len(due)):
        match player.next_step(now_ns):
            case Send(start, stop):
                assert start == sent
                sent = stop
                for row in range(start, stop):
                    # Half a session ns of rounding either way, in wall time, and one for the ceiling.
                    assert abs((now_ns - wall_ns) - due[row] / speed) <= 1 + 0.5 / speed + 1e-3
            case Wait(until_ns):
                assert until_ns > now_ns
                now_ns = until_ns
            case step:
                assert step == More()
                break
    assert sent == len(due)


class AnyControls(RuleBasedStateMachine):
    """No series of controls sends a row twice within a pass, leaves one out, or changes the order."""

    @initialize(
        due=st.lists(st.integers(0, 500), max_size=40).map(sorted),
        speed=st.sampled_from([0.1, 1.0, 10.0, MAX_SPEED]),
        loop=st.booleans(),
        start=st.integers(0, 300),
        max_rows=st.integers(1, 5),
    )
    def begin(self, due: list[int], speed: float, loop: bool, start: int, max_rows: int) -> None:
        self.due = due
        self.start = start
        self.player = Player(start_ns=start, speed=speed, loop=loop, max_rows=max_rows)
        self.wall = 1_000
        self.batch: list[int] = []  # the recording's rows that the player was fed last
        self.read_to = 0  # the edge's place in the recording
        self.sent_to: int | None = None  # the row that must go out next, None before the first pass
        self.first_due_after = 0
        self.reading: int | None = None  # a read under way: rows asked for, not yet fed
        self.owed = 0

    def carry_out(self, step: Step) -> None:
        match step:
            case Reread(from_ns):
                assert from_ns >= self.start
                self.read_to = self.sent_to = bisect_left(self.due, from_ns)
                self.batch = []
            case Send(start, stop):
                assert 0 <= start < stop <= len(self.batch)
                assert self.batch[start:stop] == list(range(self.sent_to or 0, (self.sent_to or 0) + stop - start))
                assert self.sent_to is not None
                self.sent_to += stop - start
                if self.player.is_paused:
                    assert stop - start <= self.owed
                    self.owed -= stop - start
            case Finished():
                assert self.player.is_stopped or self.sent_to == len(self.due)
            case Wait(until_ns):
                assert until_ns > self.wall
                assert not self.player.is_paused
                assert self.player.speed != MAX_SPEED
            case Idle():
                assert self.player.is_paused
            case More():
                assert self.sent_to == self.read_to

    @precondition(lambda self: self.reading is None)
    @rule(rows=st.integers(0, 7))
    def ask(self, rows: int) -> None:
        step = self.player.next_step(self.wall)
        self.carry_out(step)
        if step == More():
            self.reading = rows

    @precondition(lambda self: self.reading is not None)
    @rule()
    def read(self) -> None:
        """A read comes to its end; controls may have come in between."""
        rows = list(range(self.read_to, min(len(self.due), self.read_to + (self.reading or 0))))
        self.reading = None
        if self.read_to == len(self.due):
            self.player.end(self.wall)
        elif self.player.feed([self.due[row] for row in rows], self.wall):
            self.batch = rows
            self.read_to += len(rows)

    @rule(times=st.integers(1, 30))
    def run(self, times: int) -> None:
        """Do as told for a while, waiting included."""
        for _ in range(times):
            if self.reading is not None:
                self.read()
            step = self.player.next_step(self.wall)
            self.carry_out(step)
            if isinstance(step, Wait):
                self.wall = step.until_ns
            elif step == More():
                self.reading = 3

    @rule(by=st.integers(0, 400))
    def time_passes(self, by: int) -> None:
        self.wall += by

    @rule()
    def pause(self) -> None:
        self.player.pause(self.wall)

    @rule()
    def resume(self) -> None:
        self.player.resume(self.wall)
        self.owed = 10**9  # what is still owed goes out first, unpaused

    @rule(speed=st.sampled_from([0.1, 0.5, 1.0, 7.3, 1000.0, MAX_SPEED]))
    def set_speed(self, speed: float) -> None:
        before = self.player.position(self.wall)
        self.player.set_speed(speed, self.wall)
        assert self.player.position(self.wall) == before

    @rule(to=st.integers(-10, 600))
    def seek(self, to: int) -> None:
        self.player.seek(to, self.wall)
        assert self.player.position(self.wall) == max(to, self.start)

    @rule()
    def restart(self) -> None:
        self.player.restart(self.wall)

    @rule(rows=st.integers(1, 9))
    def step(self, rows: int) -> None:
        self.player.step(rows, self.wall)
        self.owed += rows

    @rule(by=st.integers(0, 50))
    def hold(self, by: int) -> None:
        since = self.wall
        self.wall += by
        self.player.hold(since, self.wall)

    @rule(loop=st.booleans())
    def set_loop(self, loop: bool) -> None:
        self.player.loop = loop

    @precondition(lambda self: self.wall > 3_000)
    @rule()
    def stop(self) -> None:
        self.player.stop()

    @invariant()
    def position_is_never_before_the_start(self) -> None:
        if hasattr(self, "player") and not self.player.is_stopped:
            assert self.player.position(self.wall) >= self.start


TestAnyControls = AnyControls.TestCase
TestAnyControls.settings = settings(max_examples=200, stateful_step_count=60)
