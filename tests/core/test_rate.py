from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.rate import RateLimit

SECOND = 1_000_000_000


def test_a_second_of_silence_allows_a_burst_and_no_more() -> None:
    limit = RateLimit(5, 0)
    assert [limit.allows(0) for _ in range(6)] == [True] * 5 + [False]
    assert [limit.allows(SECOND // 5) for _ in range(2)] == [True, False]


@given(st.integers(1, 50), st.lists(st.integers(0, SECOND), max_size=200))
def test_no_stretch_of_time_takes_more_than_its_share(per_s: int, waits: list[int]) -> None:
    limit, now_ns, times = RateLimit(per_s, 0), 0, []
    for wait in waits:
        now_ns += wait
        if limit.allows(now_ns):
            times.append(now_ns)
    for first in range(len(times)):
        within = [time for time in times[first:] if time <= times[first] + SECOND]
        assert len(within) <= 2 * per_s + 1
