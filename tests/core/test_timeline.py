"""Timeline transforms keep order and count."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.timeline import NO_TIME, Axis, GapCap, Placement, SentAxis, Timeline, Window, iter_gaps

MS = 1_000_000


@st.composite
def rising_times(draw: st.DrawFn) -> list[int]:
    """Times that never fall, with ties, short steps and long silences."""
    steps = draw(st.lists(st.one_of(st.just(0), st.integers(0, 50), st.integers(0, 10_000)), max_size=60))
    times, now = [], draw(st.integers(0, 1_000))
    for step in steps:
        now += step
        times.append(now)
    return times


def cut_into_batches(times: Sequence[int], cuts: list[int]) -> list[Sequence[int]]:
    edges = [0, *sorted(cut % (len(times) + 1) for cut in cuts), len(times)]
    return [memoryview(array("q", times))[a:b] for a, b in pairwise(edges)]


cuts = st.lists(st.integers(0, 60), max_size=5)
maybe_sent = st.lists(st.one_of(st.just(NO_TIME), st.integers(10**15, 10**15 + 5_000)), max_size=60)


# Window


@given(rising_times(), st.integers(0, 5_000), st.one_of(st.none(), st.integers(0, 20_000)))
def test_a_window_keeps_exactly_the_rows_inside(times: list[int], start_ns: int, stop_ns: int | None) -> None:
    start, stop = Window(start_ns, stop_ns).clip(times)
    inside = [t for t in times if start_ns <= t and (stop_ns is None or t < stop_ns)]
    assert times[start:stop] == inside


def test_a_window_says_when_nothing_more_can_be_in_it() -> None:
    assert Window(0, 10).is_past(10)
    assert not Window(0, 10).is_past(9)
    assert not Window(0).is_past(10**18)


# Gaps


@given(rising_times(), st.integers(0, 100))
def test_gaps_are_found_where_they_are(times: list[int], max_gap_ns: int) -> None:
    found = list(iter_gaps(times, max_gap_ns))
    assert found == [row for row in range(1, len(times)) if times[row] - times[row - 1] > max_gap_ns]


class CountedTimes(Sequence[int]):
    """Times that count how often they are looked at."""

    def __init__(self, times: Sequence[int]) -> None:
        self.times = times
        self.looks = 0

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        self.looks += 1
        return self.times[index]


def test_a_batch_without_gaps_costs_two_looks_and_no_copy() -> None:
    times = CountedTimes(range(100_000))
    assert list(iter_gaps(times, 100_000)) == []
    assert times.looks == 2
    assert GapCap(100_000)(times) is times


@given(rising_times(), st.integers(0, 2_000), st.integers(0, 1_000), cuts)
def test_a_gap_cap_never_lengthens_and_never_reorders(
    times: list[int], max_gap_ns: int, start_ns: int, at: list[int]
) -> None:
    start_ns = min(start_ns, times[0]) if times else start_ns
    cap = GapCap(max_gap_ns, start_ns)
    capped = [t for batch in cut_into_batches(times, at) for t in cap(batch)]
    assert len(capped) == len(times)
    for (before, after), (was_before, was_after) in zip(
        pairwise([start_ns, *capped]), pairwise([start_ns, *times]), strict=True
    ):
        assert after - before == min(was_after - was_before, max_gap_ns)


@given(rising_times(), st.integers(0, 2_000), cuts)
def test_a_gap_cap_does_not_see_where_batches_end(times: list[int], max_gap_ns: int, at: list[int]) -> None:
    cap = GapCap(max_gap_ns)
    in_batches = [t for batch in cut_into_batches(times, at) for t in cap(batch)]
    assert in_batches == list(GapCap(max_gap_ns)(times))


# Axis


@given(rising_times(), maybe_sent, cuts)
def test_the_sent_axis_keeps_count_and_order(elapsed: list[int], sent: list[int], at: list[int]) -> None:
    rows = min(len(elapsed), len(sent))
    elapsed, sent = [t * 1_000 for t in elapsed[:rows]], sent[:rows]
    axis = SentAxis()
    batches = zip(cut_into_batches(elapsed, at), cut_into_batches(sent, at), strict=True)
    due = [t for elapsed_batch, sent_batch in batches for t in axis(elapsed_batch, sent_batch)]
    assert len(due) == rows
    assert due == sorted(due)
    assert due == list(SentAxis()(elapsed, sent))


def test_the_sent_axis_takes_differences_from_the_sender_and_the_beginning_from_us() -> None:
    elapsed = [5 * MS, 6 * MS, 30 * MS, 31 * MS]
    sent_us = [1_700_000_000_000_000, 1_700_000_000_010_000, 1_700_000_000_010_000, 1_700_000_000_025_000]
    assert list(SentAxis()(elapsed, sent_us)) == [5 * MS, 15 * MS, 15 * MS, 30 * MS]


def test_an_event_without_a_time_stamp_is_due_with_the_one_before() -> None:
    axis = SentAxis()
    assert list(axis([1 * MS, 2 * MS, 3 * MS], [NO_TIME, 1_000_000, NO_TIME])) == [1 * MS, 2 * MS, 2 * MS]
    assert list(axis([9 * MS, 10 * MS], [NO_TIME, 1_004_000])) == [2 * MS, 6 * MS]


def test_an_event_sent_earlier_than_the_one_before_is_due_with_it() -> None:
    assert list(SentAxis()([0, 1, 2], [5_000, 3_000, 6_000])) == [0, 0, 1 * MS]


def test_a_stream_without_any_time_stamp_keeps_the_times_of_arrival() -> None:
    elapsed = [1, 2, 3]
    assert SentAxis()(elapsed, [NO_TIME] * 3) is elapsed
    assert SentAxis()([], []) == []


def test_an_empty_batch_changes_nothing() -> None:
    axis = SentAxis()
    axis([0], [1_000])
    assert list(axis([], [])) == []
    assert list(axis([7], [1_002])) == [2_000]
    assert GapCap(5)([]) == []


# Timeline


def test_a_plain_timeline_passes_the_times_on_as_they_are() -> None:
    elapsed = memoryview(array("q", [0, 5, 9]))
    placement = Timeline().place(elapsed)
    assert (placement.start, placement.stop, placement.is_last) == (0, 3, False)
    assert isinstance(placement.due_ns, memoryview)
    assert placement.due_ns.obj is elapsed.obj


def test_the_window_comes_first_and_the_silence_up_to_its_first_event_is_capped() -> None:
    timeline = Timeline(100, 500, max_gap_ns=20)
    assert not timeline.wants_sent
    placement = timeline.place([50, 150, 160, 400, 500, 501])
    assert (placement.start, placement.stop, placement.is_last) == (1, 4, True)
    assert list(placement.due_ns) == [120, 130, 150]
    assert list(placement.elapsed_ns) == [150, 160, 400]


def test_a_batch_that_ends_before_the_window_does_is_not_the_last() -> None:
    assert not Timeline(0, 500).place([1, 499]).is_last
    assert not Timeline(0, 500).place([]).is_last


def test_on_the_sent_axis_the_gap_cap_measures_the_senders_silences() -> None:
    timeline = Timeline(axis=Axis.SENT, max_gap_ns=10 * MS)
    assert timeline.wants_sent
    placement = timeline.place([0, 1 * MS, 2 * MS], [1_000, 2_000, 100_000])
    assert list(placement.due_ns) == [0, 1 * MS, 11 * MS]


@given(rising_times(), st.integers(0, 2_000), st.integers(0, 20_000))
def test_the_place_in_the_recording_follows_from_the_playhead(times: list[int], max_gap_ns: int, later: int) -> None:
    placement = Timeline(max_gap_ns=max_gap_ns).place(times)
    for due, elapsed in zip(placement.due_ns, placement.elapsed_ns, strict=True):
        last_of_ties = max(e for d, e in zip(placement.due_ns, placement.elapsed_ns, strict=True) if d == due)
        assert placement.recorded_ns(due) == last_of_ties >= elapsed
    if times:
        assert placement.recorded_ns(placement.due_ns[-1] + later) == times[-1] + later


@pytest.mark.parametrize(("played_ns", "recorded_ns"), [(90, 990), (100, 1_000), (103, 1_003), (110, 5_000)])
def test_within_a_cut_silence_the_place_waits_for_its_end(played_ns: int, recorded_ns: int) -> None:
    placement = Placement(0, 2, [100, 110], [1_000, 5_000], False)
    assert placement.recorded_ns(played_ns) == recorded_ns


def test_without_rows_the_place_is_the_playhead() -> None:
    assert Placement(0, 0, [], [], False).recorded_ns(42) == 42
    assert Placement(0, 2, [100, 150], [1_000, 1_010], False).recorded_ns(140) == 1_010


def test_the_next_row_is_the_first_that_is_due_later() -> None:
    placement = Placement(0, 3, [100, 100, 150], [1_000, 1_001, 1_010], False)
    assert [placement.next_ns(played_ns) for played_ns in (99, 100, 149)] == [1_000, 1_010, 1_010]
