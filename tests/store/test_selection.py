"""Filters over batches choose what a loop over events would choose."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.sessions import STEP_NS, batch, events
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import UsageError
from wsrecorder.store.schema import COLUMNS, conform, iter_events
from wsrecorder.store.segment import SegmentInfo
from wsrecorder.store.selection import Selection

TYPES = st.sets(st.sampled_from(["T3", "T4", "T5", "T6", "nobody's"])).map(frozenset)
MOMENTS = st.none() | st.builds(lambda steps, beside: steps * STEP_NS + beside, st.integers(-5, 125), st.integers(0, 1))
FILTERS = st.fixed_dictionaries(
    {
        "from_seq": st.integers(0, 130),
        "to_seq": st.none() | st.integers(0, 130),
        "start_ns": MOMENTS,
        "end_ns": MOMENTS,
        "types": st.none() | TYPES,
        "exclude": TYPES,
        "kinds": st.none() | st.sets(st.sampled_from(Kind)).map(frozenset),
        "direction": st.none() | st.sampled_from(Direction),
        "conn": st.none() | st.integers(0, 3),
    }
)


def is_wanted(found: Event, filters: dict[str, Any]) -> bool:
    """The plain meaning of a selection."""
    return (
        found.seq >= filters["from_seq"]
        and (filters["to_seq"] is None or found.seq < filters["to_seq"])
        and (filters["start_ns"] is None or found.elapsed_ns >= filters["start_ns"])
        and (filters["end_ns"] is None or found.elapsed_ns < filters["end_ns"])
        and (filters["types"] is None or found.type in filters["types"])
        and found.type not in filters["exclude"]
        and (filters["kinds"] is None or found.kind in filters["kinds"])
        and (filters["direction"] is None or found.direction == filters["direction"])
        and (filters["conn"] is None or found.conn == filters["conn"])
    )


@given(FILTERS, st.integers(0, 60))
@settings(max_examples=300)
def test_a_selection_equals_a_naive_filter(filters: dict[str, Any], first_seq: int) -> None:
    wanted = [found for found in events(60, first_seq) if is_wanted(found, filters)]
    assert list(iter_events(Selection(**filters).apply(batch(60, first_seq)))) == wanted


@given(FILTERS)
def test_words_need_not_be_in_a_dictionary(filters: dict[str, Any]) -> None:
    rows = batch(120)
    plain = rows.set_column(7, "type", rows.column("type").cast("string"))
    expected = Selection(**filters).apply(rows)
    assert list(iter_events(conform(Selection(**filters).apply(plain)))) == list(iter_events(expected))


@given(FILTERS, st.lists(st.sampled_from(COLUMNS), unique=True, min_size=1))
def test_only_what_is_read_is_needed(filters: dict[str, Any], columns: list[str]) -> None:
    selection = Selection(columns=tuple(columns), **filters)
    rows = batch(120)
    found = selection.apply(rows.select(selection.columns_read()))
    assert found.schema.names == columns
    assert found.equals(Selection(**filters).apply(rows).select(columns))


@given(FILTERS, st.integers(0, 100), st.integers(1, 60))
def test_a_segment_is_left_out_only_if_it_holds_nothing_wanted(
    filters: dict[str, Any], first_seq: int, count: int
) -> None:
    held = events(count, first_seq)
    info = SegmentInfo(
        name="000000.parquet",
        rows=count,
        size_bytes=1,
        first_seq=first_seq,
        first_elapsed_ns=held[0].elapsed_ns,
        last_elapsed_ns=held[-1].elapsed_ns,
        sha256="",
    )
    if any(is_wanted(found, filters) for found in held):
        assert Selection(**filters).may_hold(info)


def test_a_segment_is_wanted_for_its_very_first_and_last_event() -> None:
    info = SegmentInfo(
        name="", rows=40, size_bytes=1, first_seq=40, first_elapsed_ns=400, last_elapsed_ns=790, sha256=""
    )
    for filters in ({"from_seq": 79}, {"start_ns": 790}, {"end_ns": 401}):
        assert Selection(**filters).may_hold(info)  # type: ignore[arg-type]
    for filters in ({"from_seq": 80}, {"start_ns": 791}, {"end_ns": 400}):
        assert not Selection(**filters).may_hold(info)  # type: ignore[arg-type]


def test_everything_is_wanted_by_default() -> None:
    rows = batch(50)
    assert Selection().apply(rows) is rows
    assert Selection(columns=("text", "seq")).apply(rows).schema.names == ["text", "seq"]


def test_no_rows_stay_no_rows() -> None:
    assert len(Selection(from_seq=5, start_ns=1, types=frozenset()).apply(batch(0))) == 0


def test_an_unknown_column_is_named() -> None:
    with pytest.raises(UsageError, match="no column 'payload'") as caught:
        Selection(columns=("seq", "payload"))
    assert "text" in caught.value.hint
