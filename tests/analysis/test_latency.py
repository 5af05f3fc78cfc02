"""The figures of a session's latency are those of the simulated engine's own truth."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from docs.example import add_crashed, add_session
from tests.analysis.truths import START_MS, record_engine, record_payloads
from wsrecorder.analysis.latency import LatencyFigures, Percentiles, measure_latency
from wsrecorder.analysis.session import Session
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.store.library import open_store
from wsrecorder.store.session import Store

FORMS = [(1, None, False), (2, "x.duckdb", False), (3, None, True), (4, "x.duckdb", True)]
HOUR_MS = 3_600_000


def measured(store: Store, **options: float) -> LatencyFigures:
    return measure_latency(Session(store), **options)  # type: ignore[arg-type]


def quantile(values: list[float], share: float) -> float:
    """Return a quantile between the two values that are next to it, as SQL's quantile_cont does."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


@pytest.mark.parametrize(("seed", "into", "live"), FORMS)
@pytest.mark.parametrize("off_ms", [0, 5 * HOUR_MS])
def test_percentiles_are_those_of_the_truth(
    tmp_path: Path, seed: int, into: str | None, live: bool, off_ms: int
) -> None:
    told = record_engine(tmp_path, seed, cycles=1_000, into=into, live=live, off_ms=off_ms)
    found = measured(told.store)
    fastest_us = min(told.latencies_ns) // 1_000
    expected: dict[str | None, list[float]] = {}
    for kind, latency_ns in zip(told.types, told.latencies_ns, strict=True):
        for name in (None, kind):
            expected.setdefault(name, []).append((latency_ns // 1_000 - fastest_us) / 1_000)
    assert [kind.type for kind in found.by_type] == sorted(
        set(told.types), key=lambda kind: (-told.types.count(kind), kind)
    )
    for figures in (found.overall, *found.by_type):
        values = expected[figures.type]
        assert figures.messages == figures.measured == len(values)
        spread = figures.latency_ms
        for share, value in ((0.5, spread.p50), (0.9, spread.p90), (0.99, spread.p99), (0.999, spread.p999)):
            assert value == pytest.approx(quantile(values, share), abs=0.002)
        assert spread.max == pytest.approx(max(values), abs=0.002)
        assert figures.raw_ms.max == pytest.approx(max(values) + fastest_us / 1_000 + off_ms, abs=0.002)
    assert found.clocks is not None
    assert found.clocks.offset_ms == pytest.approx(off_ms + fastest_us / 1_000, abs=0.002)
    assert found.clocks.backwards == 0


def test_intervals_and_jitter_are_those_of_the_truth(tmp_path: Path) -> None:
    told = record_engine(tmp_path, 5, cycles=600, off_ms=-HOUR_MS)
    found = measured(told.store)
    arrivals = [(event.elapsed_ns, event.sent_at_us) for event in Session(told.store).events()]
    intervals, jitter = [], []
    for (before_ns, before_us), (ns, us) in pairwise(arrivals):
        assert us is not None
        assert before_us is not None
        intervals.append((ns - before_ns) / 1e6)
        jitter.append(abs((ns - before_ns) / 1e6 - (us - before_us) / 1e3))
    assert found.overall.interval_ms.p90 == pytest.approx(quantile(intervals, 0.9), abs=0.002)
    assert found.overall.interval_ms.max == pytest.approx(max(intervals), abs=0.002)
    assert found.overall.jitter_ms == pytest.approx(sum(jitter) / len(jitter), abs=0.002)


def test_over_time_misses_no_slice(tmp_path: Path) -> None:
    told = record_engine(tmp_path, 6, cycles=1_200)
    for slice_s in (None, 1, 7):
        found = measured(told.store, **({} if slice_s is None else {"slice_s": slice_s}))
        assert [piece.from_s for piece in found.over_time] == [
            number * found.slice_s for number in range(len(found.over_time))
        ]
        assert sum(piece.messages for piece in found.over_time) == len(told.types)
        assert max(piece.latency_ms.max or 0 for piece in found.over_time) == found.overall.latency_ms.max
        assert len(found.over_time) <= 24 or slice_s == 1


def test_a_slice_without_messages_is_there(tmp_path: Path) -> None:
    payloads = [{"type": "A", "ts": START_MS + index * 10_000} for index in range(3)]
    found = measured(record_payloads(tmp_path, payloads, every_ms=10_000), slice_s=5)
    assert [piece.messages for piece in found.over_time] == [1, 0, 1, 0, 1]
    assert found.over_time[1].latency_ms == Percentiles()


def test_heartbeats_are_held_against_30_s(tmp_path: Path) -> None:
    times_ms = [0, 30_000, 60_400, 89_900, 180_000]
    payloads = [
        {"type": "HEARTBEAT" if index * 100 in times_ms else "A", "ts": START_MS + index * 100}
        for index in range(1_801)
    ]
    found = measured(record_payloads(tmp_path, payloads)).heartbeats
    assert found.heartbeats == 5
    assert found.interval_ms.max == pytest.approx(90_100)
    assert found.late_ms.max == pytest.approx(60_100)
    assert found.late_ms.p50 == pytest.approx(450)
    assert found.missed == 1


def test_stalls_are_silences_of_an_open_connection(tmp_path: Path) -> None:
    store = open_store(add_session(tmp_path, messages=3_000, lose_at=1_700))
    assert measured(store).stalls == 0, "a lost connection is a gap, not a stall"
    found = measured(store, stall_s=0.3)
    assert found.stalls >= len(found.longest_stalls) > 0
    assert found.longest_stalls == sorted(found.longest_stalls, key=lambda silence: -silence.lasted_ms)
    assert all(silence.lasted_ms >= 300 for silence in found.longest_stalls)
    assert found.longest_stalls[0].to_s - found.longest_stalls[0].from_s == pytest.approx(
        found.longest_stalls[0].lasted_ms / 1e3
    )
    quiet = record_payloads(tmp_path / "quiet", [{"type": "A"}] * 3, every_ms=60_000)
    assert measured(quiet).stalls == 2


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [{"type": "A", "ts": START_MS}],
        [{"type": "A"}],
        [[1], 7, "broken {", None],
        ['{"type": "A", "ts": NaN}'] * 3,
    ],
    ids=["empty", "one event", "no time stamp", "odd payloads", "NaN"],
)
def test_little_and_odd_sessions_are_answered(tmp_path: Path, payloads: list[object]) -> None:
    found = measured(record_payloads(tmp_path, payloads))
    assert found.overall.messages == len(payloads)
    stamped = payloads == [{"type": "A", "ts": START_MS}]
    assert (found.clocks is not None) == stamped
    assert found.overall.latency_ms.max == (0.0 if stamped else None)
    assert found.overall.jitter_ms is None
    assert found.to_dict()["by_type"] is not None


def test_a_clock_that_runs_backwards_is_told(tmp_path: Path) -> None:
    payloads = [{"type": "A", "ts": START_MS - index * 1_000} for index in range(20)]
    found = measured(record_payloads(tmp_path, payloads))
    assert found.clocks is not None
    assert found.clocks.backwards == 19
    assert found.clocks.most_backwards_ms == 1_000
    assert found.overall.latency_ms.max == pytest.approx(19 * 1_100)


def test_a_clock_that_is_set_shows_in_the_spread(tmp_path: Path) -> None:
    payloads = [{"type": "A", "ts": START_MS + index * 100 - (HOUR_MS if index > 50 else 0)} for index in range(100)]
    found = measured(record_payloads(tmp_path, payloads))
    assert found.clocks is not None
    assert found.clocks.spread_ms == HOUR_MS
    assert found.overall.latency_ms.p50 in (0.0, HOUR_MS)


def test_a_session_that_was_cut_is_measured(tmp_path: Path) -> None:
    found = measured(open_store(add_crashed(tmp_path)))
    assert found.overall.measured > 0
    assert found.longest_loop_stall_ms is None


def test_captures_are_measured(captures: Path, tmp_path: Path) -> None:
    for file in sorted(captures.glob("*.ws.*")):
        store = open_store(import_file(ImportOptions(file=file, library=tmp_path)).path)
        found = measured(store)
        assert found.overall.messages > 0
        assert found.overall.interval_ms.p50 is not None
        assert found.heartbeats.heartbeats == 0
