"""Density: the counts are those of the events, in any window, and what stands beside them is all there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docs.example import MONDAY, add_session, sink
from tests.analysis.truths import record_engine
from tests.store.sessions import IDENTITY, STEP_NS, duckdb_sink, events, fill, parquet_sink
from wsrecorder.analysis.density import Densities, Density, density
from wsrecorder.analysis.session import Session
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import UsageError
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Health
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.schema import from_rows
from wsrecorder.store.sink import Sink

COUNT = 500


def counts(found: Density) -> dict[str, list[int]]:
    return {each.type: each.counts for each in found.types}


@pytest.fixture(scope="module", params=["parquet", "duckdb"])
def densities(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Densities]:
    library = tmp_path_factory.mktemp("library")
    target: Sink = parquet_sink(library) if request.param == "parquet" else duckdb_sink(library)
    fill(target, COUNT)
    with Densities(Session(open_store(target.path))) as densities:
        yield densities


@given(start=st.integers(0, COUNT), length=st.integers(1, COUNT), off=st.integers(0, STEP_NS), bins=st.integers(1, 50))
@settings(max_examples=25)
def test_counts_are_those_of_the_events(densities: Densities, start: int, length: int, off: int, bins: int) -> None:
    start_ns, stop_ns = start * STEP_NS + off, (start + length) * STEP_NS + off
    found = densities.density(start_ns, stop_ns, bins)
    expected: dict[str, list[int]] = {}
    for each in events(COUNT):
        if each.kind is Kind.MESSAGE and start_ns <= each.elapsed_ns < stop_ns:
            row = expected.setdefault(each.type or "(none)", [0] * bins)
            row[(each.elapsed_ns - start_ns) // found.bin_ns] += 1
    assert counts(found) == expected
    assert found.bin_ns * bins >= stop_ns - start_ns


def test_types_beyond_the_most_frequent_are_counted_together(tmp_path: Path) -> None:
    target = sink(tmp_path, "types", MONDAY)
    names = [f"T{number:02}" for number in range(20) for _ in range(20 - number)] + ["other"]
    rows = [
        Event(seq, Kind.MESSAGE, 0, Direction.IN, seq, IDENTITY.started_ns + seq, name, None, "{}")
        for seq, name in enumerate(names)
    ]
    target.append(from_rows(rows))
    target.close(Health())
    session = Session(open_store(target.path))
    found = density(session, 0, 1_000, 1)
    assert list(counts(found)) == [*(f"T{number:02}" for number in range(12)), "other"]
    assert sum(counts(found)["other"]) == len(names) - sum(range(9, 21))
    zoomed = density(session, len(names) - 5, len(names), 1)
    assert counts(zoomed) == {"other": [5]}  # as in the whole, though these are all that there are
    assert found.names == zoomed.names == [*(f"T{number:02}" for number in range(20)), "other"]


def test_gaps_connections_and_notes_stand_beside_the_counts(tmp_path: Path) -> None:
    path = add_session(tmp_path, messages=600, lose_at=300)
    book = NoteBook(path)
    session = Session(open_store(path))
    with Densities(session) as densities:
        whole = densities.density(0, 10**12, 10)
        (gap,) = whole.gaps
        assert gap.to_ns - gap.from_ns == 5_000_000_000
        assert [each.kind for each in whole.connections] == ["open", "close", "open", "close"]
        within = densities.density(gap.from_ns + 1, gap.from_ns + 2, 1)
        assert (within.gaps, within.connections, within.types) == ([gap], [], [])
        after = densities.density(gap.to_ns + 1, 10**12, 1)
        assert (after.gaps, [each.kind for each in after.connections]) == ([], ["close"])
        book.add("here", elapsed_ns=gap.from_ns, received_ns=0, made_at_ns=0)
        assert [note.text for note in densities.density(0, 10**12, 10).notes] == ["here"]  # not the kept ones
        assert densities.density(gap.to_ns, 10**12, 10).notes == []


@pytest.mark.parametrize("into", [None, "x.duckdb"])
def test_a_session_that_grows_is_counted_anew(tmp_path: Path, into: str | None) -> None:
    target = sink(tmp_path, "growing", MONDAY, into=into)
    with Densities(Session(open_store(target.path))) as densities:
        for first_seq in (0, 50, 100):
            target.append(from_rows(events(50, first_seq)))
            found = densities.density(0, COUNT * STEP_NS, 1)
            messages = [each for each in events(first_seq + 50) if each.kind is Kind.MESSAGE]
            assert sum(sum(each.counts) for each in found.types) == len(messages)
        target.close(Health())
        assert sum(sum(each.counts) for each in densities.density(0, COUNT * STEP_NS, 1).types) == len(messages)


def test_a_window_that_was_counted_is_kept(densities: Densities, monkeypatch: pytest.MonkeyPatch) -> None:
    first = densities.density(0, 12_345, 7)

    def fail(*arguments: Any, **named: Any) -> Any:
        raise AssertionError("it was counted again")

    monkeypatch.setattr(densities, "_count", fail)
    assert densities.density(0, 12_345, 7) == first


def test_long_sessions_do_not_overflow(tmp_path: Path) -> None:
    target = sink(tmp_path, "long", MONDAY)
    year_ns = 366 * 86_400 * 10**9
    rows = [Event(seq, Kind.MESSAGE, 0, Direction.IN, seq * year_ns, 0, "A", None, "{}") for seq in range(100)]
    target.append(from_rows(rows))
    target.close(Health())
    found = density(Session(open_store(target.path)), 0, 100 * year_ns, 10_000)
    assert sum(counts(found)["A"]) == 100


@pytest.mark.parametrize("window", [(-1, 5, 5), (5, 5, 5), (6, 5, 5), (0, 5, 0), (0, 5, 10_001)])
def test_a_window_that_is_none_is_refused(densities: Densities, window: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        densities.density(*window)


def test_it_becomes_plain_values(tmp_path: Path) -> None:
    told = record_engine(tmp_path, cycles=200)
    found = density(Session(told.store), 0, 10**12, 4).to_dict()
    assert set(found) == {"from_ns", "to_ns", "bins", "bin_ns", "types", "names", "gaps", "connections", "notes"}
    assert sum(sum(each["counts"]) for each in found["types"]) == len(told.types)
