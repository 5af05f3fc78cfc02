"""How fast a playback really is."""

from __future__ import annotations

from wsrecorder.core.pace import Pace

SECOND_NS = 1_000_000_000


def run(pace: Pace, seconds: int, speed: int, began_s: int = 0) -> None:
    for second in range(seconds + 1):
        now_ns = (began_s + second) * SECOND_NS
        pace.note(now_ns, now_ns, second * speed * SECOND_NS, second * speed * SECOND_NS)


def test_nothing_played_has_no_speed() -> None:
    pace = Pace()
    assert (pace.overall, pace.lately) == (None, None)
    pace.note(5, 5, 10, 10)
    assert (pace.overall, pace.lately) == (None, None)


def test_the_speed_lately_forgets_what_was_more_than_five_seconds_ago() -> None:
    pace = Pace()
    run(pace, 20, 1)
    pace.interrupt()
    run(pace, 5, 10, 100)
    assert pace.lately == 10
    assert pace.overall == 70 / 25
    assert (pace.playing_ns, pace.session_ns) == (25 * SECOND_NS, 70 * SECOND_NS)


def test_it_follows_a_change_within_the_five_seconds() -> None:
    pace = Pace()
    run(pace, 10, 1)
    pace.interrupt()
    run(pace, 1, 11, 100)
    assert pace.lately == 3  # 4 s at 1 and 1 s at 11


def test_what_lies_between_two_stretches_is_not_counted() -> None:
    pace = Pace()
    pace.note(0, 10, 0, 20)
    pace.interrupt()
    pace.note(1_000, 1_010, 500, 520)
    assert (pace.playing_ns, pace.session_ns) == (20, 40)
    assert pace.overall == 2


def test_many_frames_a_second_leave_few_marks() -> None:
    pace = Pace()
    for now_ns in range(0, 20 * SECOND_NS, SECOND_NS // 1_000):
        pace.note(now_ns, now_ns, now_ns, now_ns)
    assert len(pace._marks) <= 52
    assert pace.lately == 1
