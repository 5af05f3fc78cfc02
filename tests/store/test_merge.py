"""Merging by time: nothing lost, nothing twice, each source in its own order, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.store.merge import Source, merge_batches

TIMES = st.lists(st.integers(0, 20), max_size=12).map(sorted)


def source(name: str, times_ns: list[int], *, size: int = 3, shift_ns: int = 0) -> Source:
    return Source(batches(name, times_ns, size), shift_ns)


def batches(name: str, times_ns: list[int], size: int = 3) -> Iterator[pa.RecordBatch]:
    """Yield rows with a running number, of a dictionary-encoded type."""
    for start in range(0, len(times_ns), size):
        part = times_ns[start : start + size]
        yield pa.record_batch(
            {
                "elapsed_ns": pa.array(part, pa.int64()),
                "type": pa.array([name] * len(part), pa.string()).dictionary_encode(),
                "text": pa.array([f"{name}{start + row}" for row in range(len(part))], pa.string()),
            }
        )


def merged(*sources: Source) -> list[tuple[int, str]]:
    rows = []
    for batch in merge_batches(sources):
        assert len(batch), "an empty batch was yielded"
        columns = (batch.column(name).to_pylist() for name in ("elapsed_ns", "text", "type"))
        for time_ns, text, kind in zip(*columns, strict=True):
            assert text.startswith(kind), "columns were torn apart"
            rows.append((time_ns, text))
    return rows


def test_rows_come_by_time() -> None:
    assert merged(source("a", [1, 4, 6, 7]), source("b", [2, 3, 5, 9])) == [
        (1, "a0"), (2, "b0"), (3, "b1"), (4, "a1"), (5, "b2"), (6, "a2"), (7, "a3"), (9, "b3"),
    ]  # fmt: skip


def test_at_the_same_time_the_first_source_goes_first() -> None:
    assert merged(source("a", [1, 1]), source("b", [1, 1])) == [(1, "a0"), (1, "a1"), (1, "b0"), (1, "b1")]


def test_rows_tell_their_source_if_that_is_wanted() -> None:
    sources = (Source(batches(name, [0, 2, 2]), 0, number) for number, name in enumerate("ab"))
    rows = [row for batch in merge_batches(sources) for row in batch.select(["text", "source"]).to_pylist()]
    assert [row["source"] for row in rows] == ["ab".index(row["text"][0]) for row in rows]
    assert len(rows) == 6


def test_times_are_counted_from_the_beginning_of_the_merged_stream() -> None:
    assert merged(source("a", [0, 50]), source("b", [0, 1], shift_ns=49)) == [
        (0, "a0"), (49, "b0"), (50, "a1"), (50, "b1"),
    ]  # fmt: skip


def test_sources_without_rows_do_not_hinder() -> None:
    empty = pa.record_batch({"elapsed_ns": pa.array([], pa.int64())})
    assert merged(Source([], 0), source("a", [1]), Source([empty, empty], 0)) == [(1, "a0")]
    assert merged() == []


def test_no_more_than_a_batch_of_each_source_is_read_ahead() -> None:
    read: list[str] = []

    def noted(name: str, times_ns: list[int]) -> Iterator[pa.RecordBatch]:
        for batch in batches(name, times_ns, 1):
            read.append(name)
            yield batch

    rows = merge_batches([Source(noted("a", [0, 1, 2, 3]), 0), Source(noted("b", [10, 11]), 0)])
    next(rows)
    assert read == ["a", "b"]
    next(rows)
    assert read == ["a", "b", "a"]


@given(st.lists(st.tuples(TIMES, st.integers(1, 5), st.integers(1, 5)), max_size=3))
def test_how_sources_are_cut_into_batches_never_shows(parts: list[tuple[list[int], int, int]]) -> None:
    one, other = (
        merged(*(source("abc"[index], part[0], size=part[way]) for index, part in enumerate(parts))) for way in (1, 2)
    )
    assert one == other


@given(st.lists(st.tuples(TIMES, st.integers(1, 5), st.integers(0, 5)), max_size=4))
def test_merging_keeps_every_row_and_every_order(parts: list[tuple[list[int], int, int]]) -> None:
    names = "abcd"
    rows = merged(
        *(
            source(names[index], times, size=size, shift_ns=shift_ns)
            for index, (times, size, shift_ns) in enumerate(parts)
        )
    )
    assert all(before[0] <= after[0] for before, after in pairwise(rows))
    for index, (times, _, shift_ns) in enumerate(parts):
        own = [(time_ns, text) for time_ns, text in rows if text[0] == names[index]]
        assert own == [(time_ns + shift_ns, f"{names[index]}{row}") for row, time_ns in enumerate(times)]
