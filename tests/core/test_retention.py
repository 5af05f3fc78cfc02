"""Which sessions go: the oldest first, no more than needed, and never one that is not whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.retention import Holding, Limit, Verdict, judge
from wsrecorder.errors import UsageError


def held(name: str, ended_ns: int | None, size_bytes: int = 10, spared: str | None = None) -> Holding:
    return Holding(name=name, ended_ns=ended_ns, size_bytes=size_bytes, spared=spared)


def gone(verdicts: list[Verdict]) -> list[str]:
    return [verdict.holding.name for verdict in verdicts if verdict.goes]


def test_what_ended_longer_ago_than_the_limit_goes() -> None:
    verdicts = judge([held("at the limit", 50), held("older", 49), held("new", 99)], Limit(age_ns=50), 100)
    assert gone(verdicts) == ["older"]
    assert [verdict.reason for verdict in verdicts] == ["older than 50ns", "within the limits", "within the limits"]


def test_the_oldest_go_until_the_rest_fits() -> None:
    found = judge([held("c", 3), held("a", 1), held("b", 2)], Limit(size_bytes=20), 100)
    assert [(verdict.holding.name, verdict.goes) for verdict in found] == [("a", True), ("b", False), ("c", False)]
    assert gone(judge([held("a", 1), held("b", 2)], Limit(size_bytes=20), 100)) == []
    assert gone(judge([held("a", 1), held("b", 2)], Limit(size_bytes=1), 100)) == ["a", "b"]


def test_what_goes_by_age_counts_no_more_towards_the_size() -> None:
    found = judge([held("a", 1), held("b", 90), held("c", 91)], Limit(age_ns=50, size_bytes=20), 100)
    assert gone(found) == ["a"]
    found = judge([held("a", 1), held("b", 90), held("c", 91)], Limit(age_ns=50, size_bytes=10), 100)
    assert gone(found) == ["a", "b"]


def test_what_is_spared_stays_and_counts() -> None:
    found = judge([held("a", 1, 30, "it is being recorded"), held("b", 2), held("x", None)], Limit(size_bytes=35), 99)
    assert gone(found) == ["b", "x"]
    assert found[0].reason == "it is being recorded"
    assert gone(judge([held("a", 1, spared="cut"), held("x", None)], Limit(age_ns=1), 99)) == []


def test_a_limit_is_given_and_leaves_something() -> None:
    for wrong in ({}, {"age_ns": 0}, {"size_bytes": 0}):
        with pytest.raises(UsageError):
            Limit(**wrong)


holdings = st.lists(
    st.builds(held, st.text("ab", max_size=3), st.none() | st.integers(0, 100), st.integers(0, 50),
              st.sampled_from([None, None, "cut"])), max_size=12,
)  # fmt: skip


@given(holdings, st.none() | st.integers(1, 120), st.integers(1, 300), st.integers(0, 120))
def test_no_more_goes_than_the_limits_ask_for(
    found: list[Holding], age_ns: int | None, size_bytes: int, now_ns: int
) -> None:
    verdicts = judge(found, Limit(age_ns=age_ns, size_bytes=size_bytes), now_ns)
    assert sorted(map(repr, found)) == sorted(repr(verdict.holding) for verdict in verdicts)
    assert all(verdict.holding.spared is None for verdict in verdicts if verdict.goes)
    left = [verdict.holding for verdict in verdicts if not verdict.goes]
    left_bytes = sum(holding.size_bytes for holding in left)
    assert left_bytes <= size_bytes or all(holding.spared is not None for holding in left)
    by_size = [verdict.holding for verdict in verdicts if verdict.goes and verdict.reason.startswith("the oldest")]
    if by_size:  # the last of them was still needed
        assert left_bytes + by_size[-1].size_bytes > size_bytes
