"""The playhead is arithmetic on one pinned pair of times."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.playhead import FASTEST, MAX_SPEED, SLOWEST, Playhead, check_speed, parse_speed
from wsrecorder.errors import UsageError

DAY_NS = 86_400_000_000_000

speeds = st.one_of(st.just(1.0), st.floats(0.01, 1000.0), st.floats(SLOWEST, FASTEST), st.just(0.0), st.just(MAX_SPEED))
timed_speeds = st.floats(0.001, 10_000.0)
session_times = st.integers(0, 30 * DAY_NS)
wall_times = st.integers(0, 400 * DAY_NS)
durations = st.integers(0, DAY_NS)
playheads = st.builds(Playhead, session_times, wall_times, speeds)
timed_playheads = st.builds(Playhead, session_times, wall_times, timed_speeds)


def test_position_grows_with_wall_time_times_speed() -> None:
    playhead = Playhead(session_ns=1_000, wall_ns=50, speed=10.0)
    assert playhead.position(50) == 1_000
    assert playhead.position(57) == 1_070
    assert playhead.position(43) == 930


def test_a_paused_playhead_stands_still() -> None:
    playhead = Playhead(1_000, 50).pause(60)
    assert not playhead.is_timed
    assert playhead.position(60) == playhead.position(9_999) == 1_010


def test_at_maximum_speed_only_sending_moves_the_playhead() -> None:
    playhead = Playhead(1_000, 50).at_speed(MAX_SPEED, 60)
    assert not playhead.is_timed
    assert playhead.position(60) == playhead.position(9_999) == 1_010


@given(playheads, speeds, durations)
def test_speed_change_never_moves_the_position(playhead: Playhead, speed: float, after_ns: int) -> None:
    wall_ns = playhead.wall_ns + after_ns
    assert playhead.at_speed(speed, wall_ns).position(wall_ns) == playhead.position(wall_ns)


@given(timed_playheads, durations, durations)
def test_a_pause_costs_no_session_time(playhead: Playhead, after_ns: int, paused_ns: int) -> None:
    at_ns = playhead.wall_ns + after_ns
    resumed = playhead.pause(at_ns).resume(playhead.speed, at_ns + paused_ns)
    assert resumed.position(at_ns + paused_ns) == playhead.position(at_ns)
    assert resumed.speed == playhead.speed


@given(playheads, session_times, durations)
def test_a_seek_lands_where_it_was_asked_to(playhead: Playhead, session_ns: int, after_ns: int) -> None:
    wall_ns = playhead.wall_ns + after_ns
    assert playhead.seek(session_ns, wall_ns) == Playhead(session_ns, wall_ns, playhead.speed)


@given(timed_playheads, session_times)
def test_an_event_is_due_at_its_deadline_and_no_earlier(playhead: Playhead, session_ns: int) -> None:
    deadline_ns = playhead.wall_at(session_ns)
    assert playhead.position(deadline_ns) >= session_ns
    # Rounding to whole session ns lets it be early by half of one, at most; float64 adds its last bit.
    distance = abs(session_ns - playhead.session_ns)
    slack = 1 + distance * 2**-50
    assert (deadline_ns - playhead.wall_ns - 1) * playhead.speed <= session_ns - playhead.session_ns + slack


@given(timed_playheads, durations, durations)
def test_position_never_falls(playhead: Playhead, earlier_ns: int, later_ns: int) -> None:
    first_ns, second_ns = sorted((playhead.wall_ns + earlier_ns, playhead.wall_ns + later_ns))
    assert playhead.position(first_ns) <= playhead.position(second_ns)


@pytest.mark.parametrize("speed", [SLOWEST, FASTEST])
def test_deadlines_hold_at_the_limits_of_speed(speed: float) -> None:
    playhead = Playhead(0, 0, speed)
    for session_ns in (1, 3, 2**53 + 1, 30 * DAY_NS):
        assert playhead.position(playhead.wall_at(session_ns)) >= session_ns


def test_a_deadline_that_rounding_would_miss_is_moved_on() -> None:
    # Here ceil(difference / speed) * speed rounds to one ns short; found by search.
    playhead = Playhead(0, 0, 0.9)
    missed = [t for t in range(2**60, 2**60 + 4_000) if playhead.position(math.ceil(t / 0.9)) < t]
    assert missed
    assert all(playhead.position(playhead.wall_at(t)) >= t for t in missed)


@given(timed_playheads, st.integers(-DAY_NS, DAY_NS), durations)
def test_time_held_does_not_count(playhead: Playhead, since_ns: int, by_ns: int) -> None:
    since_ns += playhead.wall_ns
    held = playhead.hold(since_ns, since_ns + by_ns)
    assert held.position(since_ns + by_ns) == playhead.position(max(since_ns, playhead.wall_ns))
    assert held.speed == playhead.speed


def test_a_control_during_a_hold_is_not_taken_back() -> None:
    sought = Playhead(0, 0).seek(500, 30)  # within the hold, which lasts from 10 to 50
    assert sought.hold(10, 50) == Playhead(500, 50)


@pytest.mark.parametrize("speed", [0.0, MAX_SPEED])
def test_no_deadline_without_time(speed: float) -> None:
    with pytest.raises(AssertionError):
        Playhead(0, 0, speed).wall_at(1)


@pytest.mark.parametrize(
    ("text", "speed"),
    [("1", 1.0), ("10", 10.0), ("0.5x", 0.5), (" 2X ", 2.0), ("max", MAX_SPEED), ("MAX", MAX_SPEED), ("1e3", 1000.0)],
)
def test_a_speed_is_read(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "x", "fast", "inf", "nan", "-inf", "1e400"])
def test_what_is_no_speed_is_named_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_speed(text)
    assert raised.value.message == f'"{text}" is not a speed'
    assert '"max"' in raised.value.hint


@pytest.mark.parametrize("text", ["0", "-1", "1e-9", "1e12"])
def test_an_impossible_speed_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_speed(text)
    assert f"{float(text):g} is not possible" in raised.value.message


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan, -math.inf])
def test_playback_cannot_run_at_what_is_not_above_zero(speed: float) -> None:
    with pytest.raises(UsageError):
        check_speed(speed)
