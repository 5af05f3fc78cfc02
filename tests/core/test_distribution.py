"""The histogram keeps its promises on error and memory."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.distribution import Distribution, sample_rows

durations = st.one_of(st.integers(-1_000, 1_000), st.integers(-(2**62), 2**62))


@given(st.lists(durations, min_size=1, max_size=50), st.floats(0, 100))
def test_a_percentile_is_within_one_percent_of_the_true_one(values: list[int], percent: float) -> None:
    distribution = Distribution(values)
    rank = max(1, math.ceil(percent / 100 * len(values)))
    true_ns = sorted(values)[rank - 1]
    found_ns = distribution.percentile_ns(percent)
    assert found_ns is not None
    assert abs(found_ns - true_ns) <= abs(true_ns) * 0.01


@given(durations)
def test_any_duration_is_told_to_within_one_percent(duration_ns: int) -> None:
    # Between two others: the ends are known exactly and would hide the error.
    found_ns = Distribution([-(2**63), duration_ns, 2**63]).percentile_ns(50)
    assert found_ns is not None
    assert abs(found_ns - duration_ns) <= abs(duration_ns) * 0.004


@given(st.lists(durations, min_size=1, max_size=50))
def test_count_mean_and_ends_are_exact(values: list[int]) -> None:
    distribution = Distribution(values)
    assert distribution.count == len(values)
    assert distribution.mean_ns == sum(values) / len(values)
    assert (distribution.min_ns, distribution.max_ns) == (min(values), max(values))
    assert distribution.percentile_ns(100) == max(values)


@given(st.lists(durations, max_size=30), st.lists(durations, max_size=30), st.floats(0, 100))
def test_merging_is_recording_both(left: list[int], right: list[int], percent: float) -> None:
    merged = Distribution(left)
    merged.merge(Distribution(right))
    both = Distribution([*left, *right])
    assert merged.percentile_ns(percent) == both.percentile_ns(percent)
    assert (merged.count, merged.total_ns, merged.min_ns, merged.max_ns) == (
        both.count,
        both.total_ns,
        both.min_ns,
        both.max_ns,
    )


@given(st.lists(st.tuples(durations, st.integers(1, 9)), min_size=1, max_size=20), st.floats(0, 100))
def test_a_weight_counts_as_often(pairs: list[tuple[int, int]], percent: float) -> None:
    weighted = Distribution()
    for duration_ns, weight in pairs:
        weighted.record(duration_ns, weight)
    repeated = Distribution(d for d, weight in pairs for _ in range(weight))
    assert weighted.percentile_ns(percent) == repeated.percentile_ns(percent)
    assert weighted.mean_ns == repeated.mean_ns


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_a_longer_duration_is_never_counted_as_a_shorter_one(a: int, b: int) -> None:
    short, long = sorted((a, b))
    both = Distribution([short, long])
    assert (both.percentile_ns(50) or 0) <= (both.percentile_ns(100) or 0)


def test_memory_is_bounded() -> None:
    distribution = Distribution()
    for exponent in range(63):
        for part in range(0, 1_000):
            distribution.record((1 << exponent) + ((1 << exponent) * part) // 1_000)
    assert len(distribution._counts) < 8_000


def test_an_empty_distribution_has_no_figures() -> None:
    empty = Distribution()
    assert empty.percentile_ns(50) is None
    assert empty.mean_ns is None
    assert empty.summary_ms() == {"p50": None, "p99": None, "max": None, "mean": None}
    empty.merge(Distribution())
    assert empty.count == 0


def test_a_summary_is_in_milliseconds() -> None:
    assert Distribution([1_000_000, 3_000_000]).summary_ms() == {
        "p50": pytest.approx(1.0, rel=0.01),
        "p99": pytest.approx(3.0, rel=0.01),
        "max": 3.0,
        "mean": 2.0,
    }


@given(st.integers(0, 1_000), st.integers(0, 10_000))
def test_samples_stand_for_the_whole_range(start: int, rows: int) -> None:
    samples = list(sample_rows(start, start + rows))
    assert len(samples) <= 16
    assert sum(weight for _, weight in samples) == rows
    assert [row for row, _ in samples] == sorted({row for row, _ in samples})
    assert all(start <= row < start + rows for row, _ in samples)
    weights = {weight for _, weight in samples}
    assert not weights or max(weights) - min(weights) <= 1


def test_a_short_range_is_sampled_whole() -> None:
    assert list(sample_rows(3, 6)) == [(3, 1), (4, 1), (5, 1)]
    assert len(list(sample_rows(0, 16))) == 16


@given(st.lists(durations, max_size=40), st.lists(durations, max_size=8, unique=True))
def test_cumulative_counts_are_those_up_to_each_bound(values: list[int], bounds: list[int]) -> None:
    bounds.sort()
    found = Distribution(values).cumulative(bounds)
    assert found == sorted(found)
    assert found[-1] == len(values)
    for bound_ns, count in zip(bounds, found, strict=False):
        margin_ns = abs(bound_ns) * 0.01
        assert sum(value < bound_ns - margin_ns for value in values) <= count
        assert count <= sum(value <= bound_ns + margin_ns for value in values)
