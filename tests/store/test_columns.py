"""Columns as memory: the same integers, nothing copied."""

from __future__ import annotations

import pyarrow as pa

from wsrecorder.store.columns import int64_view, times_us


def test_a_column_is_seen_as_its_integers() -> None:
    column = pa.array([3, -1, 2**62], pa.int64())
    assert list(int64_view(column)) == [3, -1, 2**62]


def test_a_slice_is_seen_as_its_own_part() -> None:
    assert list(int64_view(pa.array(range(10), pa.int64()).slice(4, 3))) == [4, 5, 6]
    assert list(int64_view(pa.array([1], pa.int64()).slice(1))) == []


def test_the_memory_is_the_columns_own() -> None:
    column = pa.array(range(1_000), pa.int64())
    assert pa.py_buffer(int64_view(column)).address == column.buffers()[1].address


def test_an_empty_column_has_no_integers() -> None:
    assert list(int64_view(pa.array([], pa.int64()))) == []


def test_a_missing_time_is_the_value_that_stands_for_it() -> None:
    column = pa.array([5, None, 7], pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    assert list(times_us(column, -9)) == [5, -9, 7]
    assert list(times_us(column.slice(1, 1), -9)) == [-9]
