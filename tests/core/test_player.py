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
from wsrecorder.core.target import Place
from wsrecorder.core.timeline import Timeline
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
def test_less_than_one_is_refused_with_a_word_on_seeking(rows: int) -> None:
    with pytest.raises(UsageError, match=f"a step of {rows} events") as caught:
        playing([1]).step(rows, 0)
    assert "seek" in str(caught.value.hint)
    with pytest.raises(UsageError, match=f"a burst of {rows} events"):
        playing([1]).burst(rows)


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
    assert not player.is_rereading
    player.seek(50, 101)  # while the next batch was being read
    assert player.is_rereading
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


# Bursts


def test_a_burst_sends_so_many_at_once_and_plays_on_from_there() -> None:
    player = playing([100, 200, 300, 400])
    player.burst(2)
    assert player.next_step(10) == Send(0, 2)
    assert player.was_owed
    assert not player.is_paused
    assert player.position(10) == 200
    assert player.next_step(10) == Wait(110)
    assert player.next_step(110) == Send(2, 3)
    assert not player.was_owed


def test_a_burst_while_paused_stays_paused() -> None:
    player = playing([100, 200, 300])
    player.pause(0)
    player.burst(2)
    assert player.next_step(0) == Send(0, 2)
    assert player.next_step(0) == Idle()


def test_a_pause_gives_up_what_is_left_of_a_burst_and_skips_nothing() -> None:
    player = playing([1, 2, 3, 4, 5], max_rows=2)
    player.burst(4)
    assert player.next_step(0) == Send(0, 2)
    player.pause(0)
    assert player.next_step(0) == Idle()
    player.resume(0)
    assert player.next_step(10**9) == Send(2, 4)


def test_a_step_gives_up_what_is_left_of_a_burst_but_not_of_another_step() -> None:
    player = playing([1, 2, 3, 4, 5, 6], max_rows=1)
    player.burst(5)
    player.step(1, 0)
    player.step(1, 0)
    assert [player.next_step(0) for _ in range(3)] == [Send(0, 1), Send(1, 2), Idle()]


def test_a_burst_at_maximum_speed_is_part_of_it() -> None:
    player = playing([1, 2, 3], speed=MAX_SPEED)
    player.burst(2)
    assert player.next_step(0) == Send(0, 2)
    assert player.next_step(0) == Send(2, 3)


# Falling behind


def seconds(*times_s: float) -> list[int]:
    return [round(time_s * 1e9) for time_s in times_s]


def test_a_speed_that_was_too_high_leaves_no_backlog_behind() -> None:
    player = playing(seconds(1, 2, 3, 4, 5_000), speed=1_000.0, max_rows=2)
    assert player.next_step(3 * 10**9) == Send(0, 2)  # 3 s for what should have taken 5 ms
    assert player.stands_ns(3 * 10**9) == 3 * 10**9
    player.set_speed(1.0, 3 * 10**9)
    assert player.position(3 * 10**9) == 3 * 10**9
    assert player.next_step(3 * 10**9) == Send(2, 3)
    assert player.next_step(3 * 10**9) == Wait(4 * 10**9)


def test_a_pause_stands_where_sending_has_come_to() -> None:
    player = playing(seconds(1, 2), speed=1_000.0, max_rows=2)
    assert player.next_step(3 * 10**9) == Send(0, 2)
    player.pause(3 * 10**9)  # while the next batch is read
    assert player.position(3 * 10**9) == player.stands_ns(3 * 10**9) == 2 * 10**9


def test_being_a_little_late_is_caught_up_with() -> None:
    player = playing(seconds(1, 2))
    player.set_speed(2.0, 1_900_000_000)
    assert player.position(1_900_000_000) == 1_900_000_000


def test_where_the_playhead_stands_is_told_in_recorded_time() -> None:
    player = Player()
    player.next_step(0)
    player.feed([10, 15], 0, elapsed_ns=[1_000, 5_000])
    player.resume(0)
    assert player.stands_ns(7) == 7
    assert player.stands_ns(12) == 12  # the row that is due and not sent is further on
    assert player.next_step(12) == Send(0, 1)
    assert player.stands_ns(12) == 1_002
    assert player.next_step(15) == Send(1, 2)
    assert player.stands_ns(20) == 5_000  # what comes next is not known yet
    player.end(20)
    assert player.stands_ns(20) == 5_005


# Exact places


def test_a_seek_can_begin_between_rows_of_one_time() -> None:
    player = playing([100, 100, 100])
    player.seek(100, 7, skip=2)
    assert player.next_step(7) == Reread(100, 2)
    player.feed([100], 7)
    assert player.next_step(7) == Send(0, 1)


def test_nothing_is_left_out_where_a_seek_goes_before_the_start() -> None:
    player = playing([100], start_ns=50)
    player.seek(10, 0, skip=3)
    assert player.next_step(0) == Reread(50, 0)


# A loop from A to B


def looping(due_ns: list[int], a_ns: int, b_ns: int, **options: object) -> Player:
    player = playing(due_ns, **options)
    player.set_loop(a_ns, b_ns, 0)
    return player


def test_a_loop_turns_when_the_playhead_gets_to_its_end() -> None:
    player = looping([10, 20, 30, 100], 0, 35)
    assert player.ab == (0, 35)
    assert player.next_step(31) == Send(0, 3)
    assert player.next_step(31) == Wait(35)
    assert player.next_step(35) == Reread(0)
    assert player.position(35) == 0
    assert player.passes == 2


def test_a_loop_that_the_playhead_is_in_lets_it_go_on() -> None:
    player = playing([10, 20, 30])
    assert player.next_step(15) == Send(0, 1)
    assert not player.set_loop(12, 25, 15)
    assert player.next_step(20) == Send(1, 2)
    assert player.next_step(25) == Reread(12)


@pytest.mark.parametrize("ab", [(20, 30), (0, 10)])
def test_a_loop_that_the_playhead_is_not_in_is_jumped_to(ab: tuple[int, int]) -> None:
    player = playing([5, 100])
    assert player.next_step(15) == Send(0, 1)
    assert player.set_loop(*ab, 15)
    assert player.next_step(15) == Reread(ab[0])


def test_a_row_that_is_late_holds_the_playhead_before_a_loop() -> None:
    player = playing([10, 50])
    assert player.set_loop(20, 60, 30)  # the first row has not gone out yet
    assert player.next_step(30) == Reread(20)


def test_a_loop_taken_away_goes_on_past_its_end() -> None:
    player = looping([10, 20, 30], 0, 25)
    assert player.next_step(22) == Send(0, 2)
    player.clear_loop(23)
    assert player.ab is None
    assert player.next_step(23) == Wait(30)
    assert player.next_step(30) == Send(2, 3)


def test_a_loop_turns_at_once_at_maximum_speed() -> None:
    player = looping([10, 20, 30], 0, 25, speed=MAX_SPEED)
    assert player.next_step(0) == Send(0, 2)
    assert player.next_step(0) == Reread(0)


def test_a_loop_past_the_last_row_waits_for_its_end() -> None:
    player = looping([10], 0, 25)
    assert player.next_step(10) == Send(0, 1)
    player.end(12)
    assert player.next_step(12) == Wait(25)
    assert player.next_step(25) == Reread(0)


def test_a_loop_set_after_the_end_leads_out_of_it() -> None:
    player = playing([10])
    player.next_step(10)
    player.end(10)
    assert player.next_step(10) == Finished()
    assert not player.set_loop(5, 25, 100)
    assert player.next_step(100) == Wait(115)
    assert player.next_step(115) == Reread(5)


def test_a_loop_in_a_silence_that_was_cut_ends_with_it() -> None:
    player = Player()
    player.resume(0)
    player.next_step(0)
    player.feed([10, 15], 0, elapsed_ns=[10, 1_000])
    player.set_loop(0, 500, 0)
    assert player.next_step(10) == Send(0, 1)
    assert player.next_step(10) == Wait(15)
    assert player.next_step(15) == Reread(0)


def test_a_step_goes_round_a_loop() -> None:
    player = looping([10, 20, 30], 0, 25)
    player.step(3, 0)
    assert player.next_step(0) == Send(0, 2)
    assert player.next_step(0) == Reread(0)
    player.feed([10, 20, 30], 0)
    assert player.next_step(0) == Send(0, 1)
    assert player.next_step(0) == Idle()


def test_a_loop_does_not_turn_while_paused() -> None:
    player = looping([10, 20], 0, 15)
    player.step(1, 0)
    assert player.next_step(0) == Send(0, 1)
    assert player.next_step(10**6) == Idle()
    player = looping([10], 0, 15)
    player.step(1, 0)
    assert player.next_step(0) == Send(0, 1)
    player.end(0)
    assert player.next_step(10**6) == Idle()


@pytest.mark.parametrize("speed", [1.0, MAX_SPEED])
def test_a_loop_without_a_row_rests_at_its_end(speed: float) -> None:
    player = playing([10, 100], speed=speed)
    player.set_loop(20, 50, 0)
    assert player.next_step(0) == Reread(20)
    player.feed([100], 0)
    assert player.next_step(30) == Idle()
    assert player.position(10**6) <= 50
    player.clear_loop(10**6)
    player.resume(10**6)
    assert isinstance(player.next_step(10**9), Send)


def test_a_step_in_a_loop_without_a_row_does_nothing() -> None:
    player = playing([10, 100])
    player.set_loop(20, 50, 0)
    player.next_step(0)
    player.feed([100], 0)
    player.step(1, 0)
    assert player.next_step(0) == Idle()
    player.burst(2)
    player.resume(0)
    assert player.next_step(0) == Wait(30)  # what was owed is given up, the loop goes on


def test_a_pass_that_a_seek_begins_behind_a_loop_is_left_alone() -> None:
    player = looping([10, 20, 30, 40], 0, 25)
    player.seek(30, 0)
    player.next_step(0)
    player.feed([30, 40], 0)
    assert player.next_step(10) == Send(0, 2)
    player.end(10)
    assert player.next_step(10) == Finished()


def test_a_seek_before_a_loop_runs_into_it() -> None:
    player = looping([10, 20, 30, 40], 15, 35)
    player.seek(0, 0)
    player.next_step(0)
    player.feed([10, 20, 30, 40], 0)
    assert player.next_step(35) == Send(0, 3)
    assert player.next_step(35) == Reread(15)


@pytest.mark.parametrize("ab", [(20, 20), (30, 20), (0, 50)])
def test_a_loop_without_length_is_refused_and_changes_nothing(ab: tuple[int, int]) -> None:
    player = playing([100], start_ns=50)
    with pytest.raises(UsageError, match="no length"):
        player.set_loop(*ab, 0)
    assert player.ab is None


def test_a_loop_over_the_start_begins_at_it() -> None:
    player = playing([100], start_ns=50)
    player.set_loop(0, 80, 0)
    assert player.ab == (50, 80)


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


def test_a_loop_without_events_that_is_widened_plays_on() -> None:
    player = Player()
    assert player.next_step(0) == Reread(0, 0)
    player.resume(0)
    player.set_loop(0, 1, 0)
    assert player.feed([2], 0, [2])
    for wall_ns in range(4):  # it turns once, and rests at the loop's end
        if isinstance(player.next_step(wall_ns), Reread):
            player.feed([2], wall_ns, [2])
    player.set_loop(0, 3, 10)
    assert player.next_step(10) in (Wait(11), Wait(12), Send(0, 1), Reread(0, 0))


class AnyControls(RuleBasedStateMachine):
    """No series of controls sends a row twice within a pass, leaves one out, or changes the order.

    The rows of the recording are told apart by their numbers, as several are of one time.
    """

    @initialize(
        times=st.sampled_from([0, 10, 20]).flatmap(
            lambda least: st.lists(st.integers(0, 500) | st.sampled_from([100, 200]), min_size=least, max_size=40).map(
                sorted
            )
        ),
        is_playing=st.booleans(),
        speed=st.sampled_from([0.1, 1.0, 10.0, 1000.0, MAX_SPEED]),
        at_end_loop=st.booleans(),
        start=st.integers(0, 300),
        max_rows=st.integers(1, 5),
        max_gap=st.none() | st.integers(1, 50),
    )
    def begin(
        self,
        times: list[int],
        is_playing: bool,
        speed: float,
        at_end_loop: bool,
        start: int,
        max_rows: int,
        max_gap: int | None,
    ) -> None:
        self.times = times
        self.start = start
        self.max_gap = max_gap
        self.player = Player(start_ns=start, speed=speed, loop=at_end_loop, max_rows=max_rows)
        self.wall = 1_000
        self.timeline = Timeline(start)
        self.batch: list[int] = []  # the recording's rows that the player was fed last
        self.read_to = 0  # the edge's place in the recording
        self.next_row = bisect_left(times, start)  # the row that must go out next
        self.place = Place(start)  # the same, as the edge knows it
        self.pass_place = self.place
        self.asked: Place | None = self.place  # where a control has led, not yet begun
        self.has_sent = False
        self.reading: int | None = None  # a read under way: rows asked for, not yet fed
        self.owed = 0
        if is_playing:
            self.player.resume(self.wall)

    @property
    def loop(self) -> tuple[int, int] | None:
        """The loop that this pass is in."""
        ab = self.player.ab
        return None if ab is None or self.pass_place.session_ns >= ab[1] else ab

    @property
    def end_row(self) -> int:
        """The row that this pass does not get to."""
        return len(self.times) if self.loop is None else bisect_left(self.times, self.loop[1])

    def carry_out(self, step: Step) -> None:
        match step:
            case Reread(from_ns, skip):
                self.begin_pass(Place(from_ns, skip))
            case Send(start, stop):
                assert 0 <= start < stop <= len(self.batch)
                assert self.batch[start:stop] == list(range(self.next_row, self.next_row + stop - start))
                assert self.batch[stop - 1] < self.end_row
                if self.owed:
                    assert stop - start <= self.owed
                assert self.owed or not self.player.is_paused
                assert self.player.was_owed == (self.owed > 0)
                self.owed = max(0, self.owed - (stop - start))
                self.place = self.place.behind(
                    self.times[self.next_row : self.next_row + stop - start], stop - start - 1
                )
                self.next_row += stop - start
                self.has_sent = True
                assert self.place.row_in(self.times) == self.next_row
            case Finished():
                assert self.player.is_stopped or self.next_row == len(self.times)
                self.owed = 0
            case Wait(until_ns):
                assert until_ns > self.wall
                assert not self.player.is_paused
                assert self.player.speed != MAX_SPEED
                self.owed = 0 if self.is_resting else self.owed
                assert not self.owed
            case Idle():
                self.owed = 0 if self.is_resting else self.owed
                assert not self.owed
                assert self.player.is_paused or self.is_resting
            case More():
                assert self.next_row == self.read_to

    @property
    def is_resting(self) -> bool:
        """Whether this pass goes through a loop in which there is nothing."""
        ab = self.player.ab
        return (
            ab is not None and self.pass_place == Place(ab[0]) and not self.has_sent and self.next_row >= self.end_row
        )

    def begin_pass(self, place: Place) -> None:
        """A pass begins: because a control asked for it, or because a loop turns at its end."""
        assert place.session_ns >= self.start
        if self.asked is not None:
            assert place == self.asked
        else:
            assert self.next_row == self.end_row
            if self.loop is not None:
                assert place == Place(self.loop[0])
                assert self.owed or not self.player.is_paused
            else:
                assert place == Place(self.start)
                assert self.player.loop
                self.owed = 0
        self.asked = None
        self.read_to = self.next_row = place.row_in(self.times)
        self.pass_place = self.place = place
        self.timeline = Timeline(place.session_ns, max_gap_ns=self.max_gap)
        self.has_sent = False
        self.batch = []

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
        rows = list(range(self.read_to, min(len(self.times), self.read_to + (self.reading or 0))))
        self.reading = None
        if self.read_to == len(self.times):
            assert self.player.end(self.wall) == (self.asked is None)
            return
        placed = self.timeline.place([self.times[row] for row in rows])
        is_taken = self.player.feed(placed.due_ns, self.wall, placed.elapsed_ns)
        assert is_taken == (self.asked is None)
        if is_taken:
            self.batch = rows
            self.read_to += len(rows)

    @rule(times=st.integers(1, 12))
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

    @rule(times=st.integers(10, 40))
    def run_on(self, times: int) -> None:
        self.run(times)

    @rule(times=st.integers(10, 40))
    def play_on(self, times: int) -> None:
        self.resume()
        self.run(times)

    @rule(by=st.integers(0, 400))
    def time_passes(self, by: int) -> None:
        self.wall += by

    @rule()
    def pause(self) -> None:
        self.player.pause(self.wall)
        self.owed = 0

    @rule()
    def resume(self) -> None:
        self.player.resume(self.wall)

    @rule(speed=st.sampled_from([0.1, 0.5, 1.0, 7.3, 1000.0, MAX_SPEED]))
    def set_speed(self, speed: float) -> None:
        before = self.player.position(self.wall)
        self.player.set_speed(speed, self.wall)
        assert self.player.position(self.wall) == before

    def jump(self, place: Place) -> None:
        self.asked = place if place.session_ns >= self.start else Place(self.start)
        self.place = self.asked
        self.owed = 0
        assert self.player.position(self.wall) == self.asked.session_ns

    @rule(to=st.integers(-10, 600))
    def seek(self, to: int) -> None:
        self.player.seek(to, self.wall)
        self.jump(Place(to))

    @precondition(lambda self: self.times)
    @rule(data=st.data())
    def seek_row(self, data: st.DataObject) -> None:
        """After a seek to a row that row goes out next, whatever others are of its time."""
        row = data.draw(st.integers(0, len(self.times) - 1))
        place = Place(self.times[0]).before(self.times, row)
        assert place.row_in(self.times) == row
        self.player.seek(place.session_ns, self.wall, place.skip)
        self.jump(place)

    @rule(rows=st.integers(1, 5))
    def step_back(self, rows: int) -> None:
        """A step back leads exactly so many rows back, or to the start."""
        self.player.pause(self.wall)
        place = self.place.back(self.times, rows) or Place(self.start)
        row = max(self.place.row_in(self.times) - rows, bisect_left(self.times, self.start))
        self.player.seek(place.session_ns, self.wall, place.skip)
        self.jump(place)
        assert self.place.row_in(self.times) == row

    @rule()
    def restart(self) -> None:
        self.player.restart(self.wall)
        self.jump(Place(self.start))

    @rule(rows=st.integers(1, 9))
    def step(self, rows: int) -> None:
        self.owed = rows + (self.owed if self.player.is_paused else 0)
        self.player.step(rows, self.wall)

    @rule(rows=st.integers(1, 9))
    def burst(self, rows: int) -> None:
        self.player.burst(rows)
        self.owed += rows

    @rule(a=st.integers(0, 250), length=st.integers(1, 200))
    def set_loop(self, a: int, length: int) -> None:
        if a + length <= self.start:
            return
        if self.player.set_loop(a, a + length, self.wall):
            self.jump(Place(max(a, self.start)))

    @rule()
    def clear_loop(self) -> None:
        self.player.clear_loop(self.wall)

    @rule(by=st.integers(0, 50))
    def hold(self, by: int) -> None:
        since = self.wall
        self.wall += by
        self.player.hold(since, self.wall)

    @rule(loop=st.booleans())
    def loop_at_the_end(self, loop: bool) -> None:
        self.player.loop = loop

    @precondition(lambda self: self.wall > 10_000)
    @rule()
    def stop(self) -> None:
        self.player.stop()

    @invariant()
    def position_is_never_before_the_start(self) -> None:
        if hasattr(self, "player") and not self.player.is_stopped:
            assert self.player.position(self.wall) >= self.start


TestAnyControls = AnyControls.TestCase
TestAnyControls.settings = settings(max_examples=300, stateful_step_count=80)
