"""A black box keeps what its limits say, and a snapshot holds exactly its window of that, in order, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsrecorder.core.black_box import BlackBox, BoxLimits, Cause, RingFill, Trigger, Window
from wsrecorder.errors import UsageError

MIN_SEGMENT = 65_536


def asked(at_ns: int, cause: Cause = Cause.SIGNAL) -> Trigger:
    return Trigger(cause, at_ns)


@dataclass
class Ring:
    """What the store does for a black box, with events that are only a number and a time.

    Attributes:
        log: Every event ever, as (number, time).
        segments: Those that are on disk, by segment.
        sizes: The size of each.
        snapshots: Windows handed out, with the events in them.
    """

    box: BlackBox
    log: list[tuple[int, int]] = field(default_factory=list)
    segments: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    snapshots: list[tuple[Window, list[tuple[int, int]]]] = field(default_factory=list)
    is_slow: bool = False

    def append(self, times_ns: list[int], size_bytes: int = 1) -> None:
        number = self.box.open_number
        events = [(len(self.log) + index, at_ns) for index, at_ns in enumerate(times_ns)]
        self.log += events
        self.segments.setdefault(number, []).extend(events)
        self.sizes[number] = self.sizes.get(number, 0) + size_bytes
        if self.box.grew(times_ns[0], times_ns[-1], self.sizes[number]):
            self.box.rotated()

    def reach(self, reached_ns: int) -> None:
        self.take(self.box.reach(reached_ns))
        if self.box.must_wait:
            self.box.written()
            self.take(self.box.reach(reached_ns))
        for number in self.box.evict():
            del self.segments[number]

    def take(self, window: Window | None) -> None:
        if window is None:
            return
        self.box.rotated()
        held = [event for number in window.numbers for event in self.segments[number]]
        self.snapshots.append((window, [event for event in held if window.from_ns <= event[1] <= window.to_ns]))
        if not self.is_slow:
            self.box.written()

    def comes(self, at_ns: int, size_bytes: int = 1) -> None:
        self.append([at_ns], size_bytes)
        self.reach(at_ns - 1)

    @property
    def times(self) -> list[list[int]]:
        return [[at_ns for _, at_ns in events] for _, events in self.snapshots]


def ring(**limits: int) -> Ring:
    return Ring(BlackBox(BoxLimits(**limits)))


def test_a_snapshot_holds_what_came_around_its_trigger() -> None:
    here = ring(age_ns=100, pre_ns=10, post_ns=5)
    for at_ns in range(0, 50, 2):
        here.comes(at_ns)
    assert here.box.trigger(asked(48))
    assert here.box.is_pending
    for at_ns in range(50, 60, 2):
        here.comes(at_ns)
    assert here.times == [[38, 40, 42, 44, 46, 48, 50, 52]]
    assert here.snapshots[0][0].triggers == 1
    assert not here.box.is_pending


def test_a_window_ends_by_time_alone_when_nothing_comes() -> None:
    here = ring(age_ns=100, pre_ns=10, post_ns=5)
    here.comes(7)
    here.box.trigger(asked(9))
    here.reach(13)
    assert here.snapshots == []
    here.reach(14)
    assert here.times == [[7]]


def test_while_nothing_comes_a_trigger_finds_all_that_came_last_unless_it_asks_for_less() -> None:
    by_default, asked_for = ring(age_ns=10, post_ns=5), ring(age_ns=10, pre_ns=10, post_ns=5)
    for here in (by_default, asked_for):
        for at_ns in range(0, 50, 2):
            here.comes(at_ns)
        here.reach(5_000)
        here.box.trigger(asked(5_000))
        here.reach(5_005)
    assert (by_default.times, asked_for.times) == ([list(range(38, 50, 2))], [[]])


def test_after_a_silence_longer_than_its_time_a_ring_by_time_begins_anew_and_one_by_size_does_not() -> None:
    by_time, by_size = ring(age_ns=100, post_ns=0), ring(size_bytes=MIN_SEGMENT * 20, post_ns=0)
    for here in (by_time, by_size):
        for at_ns in (1, 2, 3, 500):
            here.comes(at_ns)
            here.box.rotated()  # as it does by size
        here.box.trigger(asked(500))
        here.comes(501)
    assert (by_time.times, by_size.times) == ([[500]], [[1, 2, 3, 500]])


def test_a_trigger_at_the_loss_keeps_what_preceded_it_however_long_the_silence() -> None:
    here = ring(age_ns=100, post_ns=30)
    for at_ns in (1, 2, 3):
        here.comes(at_ns)
    here.box.trigger(asked(3))
    here.comes(500)
    assert here.times == [[1, 2, 3]]


def test_all_events_of_the_last_moment_belong_to_the_window() -> None:
    here = ring(age_ns=100, post_ns=0)
    here.comes(5)
    here.box.trigger(asked(5))
    here.comes(5)
    assert here.snapshots == [], "more may come of that moment"
    here.comes(6)
    assert here.times == [[5, 5]]


def test_triggers_within_a_window_make_it_longer() -> None:
    here = ring(age_ns=100, pre_ns=4, post_ns=5)
    here.comes(10)
    assert here.box.trigger(asked(10))
    here.comes(14)
    assert not here.box.trigger(asked(14))
    assert not here.box.trigger(asked(9)), "found later than one that came after it"
    for at_ns in (18, 20, 21):
        here.comes(at_ns)
    assert here.times == [[10, 14, 18]]
    window = here.snapshots[0][0]
    assert (window.from_ns, window.to_ns, window.triggers, window.trigger.at_ns) == (6 + 4, 19, 3, 10)
    assert window.further == (asked(14), asked(9))


def test_of_triggers_without_end_the_first_are_named_and_all_counted() -> None:
    here = ring(age_ns=1_000, post_ns=0)
    here.comes(5)
    for _ in range(1 + 50 + 7):
        here.box.trigger(asked(5))
    here.comes(6)
    [(window, _)] = here.snapshots
    assert (window.triggers, len(window.further)) == (58, 50)


def test_a_trigger_after_the_window_makes_one_of_its_own_that_is_whole_by_itself() -> None:
    here = ring(age_ns=100, pre_ns=10, post_ns=2)
    for at_ns in range(30):
        here.comes(at_ns)
        if at_ns in (15, 20):
            here.box.trigger(asked(at_ns))
    assert here.times == [list(range(5, 18)), list(range(10, 23))]


def test_what_triggers_while_a_snapshot_is_written_goes_into_one() -> None:
    here = ring(age_ns=100, pre_ns=0, post_ns=0)
    here.is_slow = True
    here.comes(1)
    here.box.trigger(asked(1))
    here.comes(2)
    for at_ns in (3, 5, 7):
        here.comes(at_ns)
        here.box.trigger(asked(at_ns))
    here.comes(8)
    assert here.times == [[1]]
    here.box.written()
    here.comes(9)
    assert here.times == [[1], [3, 5, 7]]


def test_the_oldest_segments_go_when_the_newer_ones_hold_what_must_be_kept() -> None:
    here = ring(age_ns=160)  # segments of 10 ns
    for at_ns in range(0, 400, 5):
        here.comes(at_ns)
    oldest_ns = min(at_ns for events in here.segments.values() for _, at_ns in events)
    assert 395 - 160 - 10 <= oldest_ns <= 395 - 160
    assert here.box.fill.span_ns == 395 - oldest_ns


def test_a_ring_by_size_exceeds_it_by_less_than_a_segment() -> None:
    here = ring(size_bytes=16 * MIN_SEGMENT)
    for at_ns in range(100):
        here.comes(at_ns, MIN_SEGMENT // 2)
    held = sum(here.sizes[number] for number in here.segments)
    assert 16 * MIN_SEGMENT <= held < 17 * MIN_SEGMENT
    assert here.box.fill.size_bytes == held


def test_without_pre_a_snapshot_holds_all_there_is() -> None:
    here = ring(size_bytes=2 * MIN_SEGMENT)
    for at_ns in range(10):
        here.comes(at_ns, MIN_SEGMENT)
    here.box.trigger(asked(9))
    here.comes(10)
    assert here.times == [[8, 9]]


def test_what_a_window_wants_is_held_however_much_comes_after() -> None:
    here = ring(size_bytes=8 * MIN_SEGMENT, pre_ns=3, post_ns=6)
    for at_ns in range(20):
        here.comes(at_ns, MIN_SEGMENT)
    here.box.trigger(asked(19))
    for at_ns in range(20, 30):
        here.comes(at_ns, MIN_SEGMENT)
    assert here.times == [list(range(16, 26))]
    assert here.box.fill.size_bytes == 8 * MIN_SEGMENT, "what is held is not of the ring"


def test_triggers_that_do_not_cease_make_parts_that_follow_on_each_other() -> None:
    here = ring(age_ns=20, pre_ns=5, post_ns=10)
    for at_ns in range(100):
        here.comes(at_ns)
        here.box.trigger(asked(at_ns))
    assert [window.part for window, _ in here.snapshots] == [1, 2, 3, 4]
    seen = [at_ns for part in here.times for at_ns in part]
    assert seen == list(range(len(seen)))


def test_a_window_by_size_is_divided_by_size() -> None:
    here = ring(size_bytes=4 * MIN_SEGMENT, post_ns=1_000)
    here.comes(0)
    here.box.trigger(asked(0))
    for at_ns in range(1, 40):
        here.comes(at_ns, MIN_SEGMENT)
    assert len(here.snapshots) > 4
    assert all(len(events) <= 7 for _, events in here.snapshots)
    seen = [at_ns for part in here.times for at_ns in part]
    assert seen == list(range(len(seen)))


def test_a_window_that_has_not_begun_is_not_divided() -> None:
    here = ring(size_bytes=MIN_SEGMENT, pre_ns=0, post_ns=50)
    here.comes(0)
    here.box.trigger(asked(100))
    here.comes(1, 3 * MIN_SEGMENT)
    assert here.snapshots == []


def test_who_cannot_write_as_fast_as_triggers_come_must_wait() -> None:
    here = ring(age_ns=10, post_ns=10)
    here.is_slow = True
    here.comes(0)
    here.box.trigger(asked(0))
    here.comes(12)
    for at_ns in range(13, 23):
        here.box.trigger(asked(at_ns - 1))
        here.append([at_ns])
    assert not here.box.must_wait
    here.append([23])
    assert here.box.must_wait
    here.reach(22)
    assert here.times[-1] == list(range(12, 23))


def test_the_end_cuts_a_window_short() -> None:
    here = ring(age_ns=100, post_ns=30)
    assert here.box.end() is None
    here.comes(5)
    here.box.trigger(asked(6))
    here.comes(10)
    here.take(here.box.end())
    assert here.times == [[5, 10]]
    assert here.snapshots[0][0].missing_ns == 26
    assert here.box.end() is None


def test_a_black_box_that_has_nothing_has_nothing_to_tell() -> None:
    here = ring(age_ns=100, post_ns=0)
    assert here.box.fill == RingFill()
    assert here.box.evict() == []
    here.box.rotated()
    assert here.box.open_number == 0
    here.box.trigger(asked(3))
    assert not here.box.must_wait
    here.take(here.box.end())
    assert here.times == [[]]
    here.box.trigger(asked(4))
    here.reach(9)
    assert here.times == [[], []]


def test_limits_that_make_no_sense_are_refused() -> None:
    for limits, said in (
        ({}, "nothing says"),
        ({"age_ns": 0}, "would keep nothing"),
        ({"size_bytes": 0}, "would keep nothing"),
        ({"age_ns": 1_000_000_000, "pre_ns": 2_000_000_000}, "--pre 2s is more than --snapshot 1s keeps"),
    ):
        with pytest.raises(UsageError, match=said):
            BoxLimits(**limits)
    assert BoxLimits(size_bytes=5, pre_ns=10).segment_ns is None
    assert BoxLimits(age_ns=5).segment_bytes is None


STEPS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 12), min_size=1, max_size=4),  # a batch: how long after the event before each came
        st.integers(1, 2 * MIN_SEGMENT),
        st.none() | st.integers(0, 3),  # a trigger, so long before the newest event
        st.booleans(),  # whether a snapshot that is being written is done
    ),
    max_size=60,
)


@given(
    st.one_of(
        st.builds(BoxLimits, age_ns=st.integers(1, 120), post_ns=st.integers(0, 60)),
        st.builds(
            BoxLimits,
            size_bytes=st.integers(1, 40 * MIN_SEGMENT),
            pre_ns=st.none() | st.integers(0, 150),
            post_ns=st.integers(0, 60),
        ),
        st.builds(
            BoxLimits,
            age_ns=st.integers(60, 200),
            size_bytes=st.integers(1, 40 * MIN_SEGMENT),
            pre_ns=st.integers(0, 60),
            post_ns=st.integers(0, 60),
        ),
    ),
    STEPS,
)
@example(BoxLimits(size_bytes=1), [([0], MIN_SEGMENT, None, False), ([0], 1, None, False), ([0], 1, 0, False)])
def test_a_snapshot_holds_exactly_its_window_of_what_the_ring_had_once(limits: BoxLimits, steps: list[Any]) -> None:
    here = Ring(BlackBox(limits), is_slow=True)
    now_ns = 0
    opened: list[tuple[Trigger, int]] = []  # what opened a window, and the first event that the ring had then
    for waits_ns, size_bytes, trigger, is_done in steps:
        if is_done:
            here.box.written()
        times_ns = []
        for wait_ns in waits_ns:
            now_ns += wait_ns
            times_ns.append(now_ns)
        here.append(times_ns, size_bytes)
        if trigger is not None:
            asked_for = asked(now_ns - trigger)
            fill = here.box.fill
            oldest_ns = now_ns - fill.span_ns
            if here.box.trigger(asked_for):
                opened.append((asked_for, oldest_ns))
        here.reach(now_ns - 1)
        assert_ring_is_bounded(here)
    here.box.written()
    here.take(here.box.end())
    assert_snapshots_are_exact(here, limits, opened)


def assert_ring_is_bounded(here: Ring) -> None:
    """What is not held for a snapshot exceeds the limits by less than a segment, and is all that they allow."""
    limits, fill = here.box.limits, here.box.fill
    newest_ns = here.log[-1][1]
    # By size: of segments that share a moment with the ring's first some may only be held for a snapshot.
    kept: list[int] = []
    while sum(here.sizes[number] for number in kept) < fill.size_bytes:
        kept.insert(0, sorted(here.segments)[-1 - len(kept)])
    oldest = kept[0]
    assert sum(here.sizes[number] for number in kept) == fill.size_bytes
    assert here.segments[oldest][0][1] == newest_ns - fill.span_ns
    if limits.size_bytes is not None:
        assert fill.size_bytes - here.sizes[oldest] < limits.size_bytes or len(kept) == 1
    if limits.age_ns is not None:
        assert here.segments[oldest][-1][1] >= newest_ns - limits.age_ns
    gone = [event for event in here.log if event[0] < here.segments[oldest][0][0]]
    for event in gone[-1:]:
        by_age = limits.age_ns is not None and event[1] < newest_ns - limits.age_ns
        assert by_age or (limits.size_bytes is not None and fill.size_bytes >= limits.size_bytes)


def assert_snapshots_are_exact(here: Ring, limits: BoxLimits, opened: list[tuple[Trigger, int]]) -> None:
    firsts = [(window, events) for window, events in here.snapshots if window.part == 1]
    assert [window.trigger for window, _ in firsts] == [trigger for trigger, _ in opened]
    pre_ns = limits.age_ns if limits.pre_ns is None else limits.pre_ns
    for (window, _), (trigger, oldest_ns) in zip(firsts, opened, strict=True):
        wanted_ns = oldest_ns if pre_ns is None else max(oldest_ns, trigger.at_ns - pre_ns)
        assert window.from_ns <= wanted_ns, "all that the ring had of it is within"
        assert pre_ns is None or window.from_ns >= min(oldest_ns, wanted_ns - 3), "and not more than was asked for"
    for window, events in here.snapshots:
        wanted = [event for event in here.log if window.from_ns <= event[1] <= window.to_ns]
        gone = wanted[: len(wanted) - len(events)]
        assert events == wanted[len(gone) :]
        if gone:  # the ring's first moment may have begun in a segment that it had let go of
            assert {at_ns for _, at_ns in gone} == {window.from_ns} <= {oldest_ns for _, oldest_ns in opened}
            assert window.part == 1
    for (before, _), (window, _) in zip(here.snapshots, here.snapshots[1:], strict=False):
        if window.part > 1:
            assert (window.part, window.from_ns) == (before.part + 1, before.to_ns + 1)
