"""The estimate of the sender's clock: laws that hold for any delays, and clocks that are off on purpose."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.clock_offset import DOUBTED_US, Clocks, estimate, least_delays

HOUR_US = 3_600_000_000
delays = st.dictionaries(st.integers(0, 5_000), st.integers(-10_000_000, 10_000_000), min_size=1, max_size=60)
messages = st.lists(
    st.tuples(st.integers(0, 2_000_000_000_000), st.none() | st.integers(-(10**9), 10**9)), max_size=60
)  # fmt: skip


def stream(
    seconds: int, *, off_us: int = 0, skew_ppm: float = 0.0, delay_us: int = 2_000, jitter_us: float = 3_000,
    seed: int = 1,
) -> list[tuple[int, int]]:  # fmt: skip
    """Return ten messages a second as ns of arrival and µs of the stamp, in whole ms as the feed has it."""
    chance = Random(seed)
    found = []
    for index in range(seconds * 10):
        sent_us = index * 100_000
        came_us = sent_us + delay_us + int(chance.expovariate(1 / jitter_us))
        stamp_us = sent_us - off_us - int(sent_us * skew_ppm / 1e6)
        found.append((came_us * 1_000, stamp_us // 1_000 * 1_000))
    return found


def clocks(found: list[tuple[int, int]]) -> Clocks:
    estimated = estimate(least_delays(found))
    assert estimated is not None
    return estimated


@given(delays)
def test_no_second_that_counts_is_under_the_line(least_us: dict[int, int]) -> None:
    found = estimate(least_us)
    assert found is not None
    assert found.doubted == 0
    for second, raw_us in least_us.items():
        for elapsed_ns in (second * 10**9, second * 10**9 + 999_999_999):
            latency_us = raw_us - found.offset_us - found.skew_ppm * (elapsed_ns / 1e9)
            assert latency_us >= -1e-3


@given(messages)
def test_a_corrected_delay_is_never_negative(found: list[tuple[int, int | None]]) -> None:
    estimated = estimate(least_delays(found))
    if estimated is None:
        assert all(sent_us is None for _, sent_us in found)
        return
    for elapsed_ns, sent_us in found:
        if sent_us is not None:
            latency_us = estimated.latency_us(elapsed_ns, elapsed_ns // 1_000 - sent_us)
            assert latency_us is None or latency_us >= 0


@given(delays, st.integers(-100 * HOUR_US, 100 * HOUR_US))
def test_hours_off_change_the_offset_and_nothing_else(least_us: dict[int, int], by_us: int) -> None:
    found, moved = estimate(least_us), estimate({second: raw_us + by_us for second, raw_us in least_us.items()})
    assert found is not None
    assert moved is not None
    assert moved.offset_us - found.offset_us == pytest.approx(by_us, abs=1)
    assert moved.skew_ppm == pytest.approx(found.skew_ppm, abs=1e-4)
    assert (moved.seconds, moved.doubted) == (found.seconds, found.doubted)


@given(delays, st.integers(0, 10_000))
def test_what_comes_on_top_does_not_lower_the_line(least_us: dict[int, int], second: int) -> None:
    found = estimate(least_us)
    lifted = estimate(least_us | {second: max(least_us.values()) + 5_000_000})
    assert found is not None
    assert lifted is not None
    if found.skew_ppm == lifted.skew_ppm == 0 and second not in least_us:
        assert lifted.offset_us == found.offset_us


def test_order_does_not_matter() -> None:
    found = stream(100)
    assert clocks(found) == clocks(found[::-1])


def test_without_time_stamps_there_is_no_estimate() -> None:
    assert estimate(least_delays([])) is None
    assert estimate(least_delays([(0, None), (10**9, None)])) is None


def test_one_message_is_its_own_measure() -> None:
    assert clocks([(5_000_000_000, 1_000)]) == Clocks(4_999_000, 0.0, 1, 0, 0.0)


@pytest.mark.parametrize("off_us", [0, 7 * HOUR_US, -7 * HOUR_US])
def test_the_offset_is_found_to_the_fastest_message(off_us: int) -> None:
    found = clocks(stream(60, off_us=off_us))
    assert off_us + 2_000 <= found.offset_us < off_us + 2_000 + 1_000
    assert found.skew_ppm == 0.0


@pytest.mark.parametrize("skew_ppm", [-200.0, -20.0, 5.0, 50.0, 400.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_skew_is_found_in_a_long_session(skew_ppm: float, seed: int) -> None:
    found = clocks(stream(1_800, skew_ppm=skew_ppm, seed=seed))
    assert found.skew_ppm == pytest.approx(skew_ppm, abs=1.0)
    assert found.offset_us == pytest.approx(2_000, abs=1_500)
    assert found.spread_ms < 10


def test_a_short_session_has_no_skew() -> None:
    assert clocks(stream(590, skew_ppm=400.0)).skew_ppm == 0.0
    assert clocks(stream(610, skew_ppm=400.0)).skew_ppm == pytest.approx(400.0, abs=3)


def test_a_clock_that_is_set_is_no_skew_and_shows_in_the_spread() -> None:
    for step_us in (-HOUR_US, -30_000_000, 3_000_000, HOUR_US):
        first = stream(900)
        second = [(ns, us + step_us) for ns, us in stream(1_800)[9_000:]]
        found = clocks(first + second)
        assert found.skew_ppm == 0.0
        if found.doubted == 0:
            assert found.spread_ms == pytest.approx(abs(step_us) / 1e3, rel=0.05)


def test_a_dip_in_the_middle_is_no_skew() -> None:
    least_us = {second: 100_000 for second in range(0, 2_000, 16)} | {992: 0, 1_008: 400}
    found = estimate(least_us)
    assert found is not None
    assert found.skew_ppm == 0.0


def test_a_stamp_of_another_clock_is_left_out() -> None:
    sound = stream(60)
    found = clocks([*sound, (30 * 10**9, 10**15)])
    assert found.doubted == 1
    assert found.offset_us == clocks(sound).offset_us
    assert found.latency_us(30 * 10**9, 30_000_000 - 10**15) is None
    nearly = clocks([*sound, (70 * 10**9, 70_000_000 + DOUBTED_US - 10_000)])
    assert nearly.doubted == 0


def test_a_clock_that_runs_backwards_is_answered() -> None:
    backwards = [(index * 10**8, 10**9 - index * 100_000) for index in range(20_000)]
    found = clocks(backwards)
    assert found.skew_ppm == 0.0
    for elapsed_ns, sent_us in backwards:
        latency_us = found.latency_us(elapsed_ns, elapsed_ns // 1_000 - sent_us)
        assert latency_us is None or latency_us >= 0
