"""Lists of events: every page is right, whatever the filter, the form, and while the session grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.sessions import IDENTITY, STEP_NS, duckdb_sink, event, events, fill, layout, parquet_sink
from wsrecorder.analysis.listing import MOST_ROWS, Listing, Listings, Row
from wsrecorder.analysis.session import Session
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import UsageError
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows
from wsrecorder.store.sink import DuckDbSink, Sink

COUNT = 1_000


def opened(sink: Sink) -> Session:
    return Session(open_store(sink.path))


@pytest.fixture(scope="module", params=["parquet", "duckdb"])
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    library = tmp_path_factory.mktemp("library")
    sink: Sink = parquet_sink(library, segment_events=90) if request.param == "parquet" else duckdb_sink(library)
    fill(sink, COUNT)
    return opened(sink)


def listed(session: Session, **wanted: Any) -> Listing:
    listing = Listing(session, **wanted)
    assert listing.wait(20)
    return listing


def seqs(rows: Sequence[Row]) -> list[int]:
    return [row.seq for row in rows]


# ------------------------------------------------------------------------------------------------ without a filter


def test_the_row_is_the_sequence_number_and_marks_are_rows(session: Session) -> None:
    listing = listed(session)
    assert listing.count == COUNT
    assert seqs(listing.page(0, COUNT)) == list(range(COUNT))
    assert [row.kind for row in listing.page(39, 3)] == ["message", "open", "message"]


@given(first_row=st.integers(-5, COUNT + 5), rows=st.integers(0, 300))
@settings(max_examples=30)
def test_any_page_holds_its_rows(session: Session, first_row: int, rows: int) -> None:
    found = Listing(session).page(first_row, rows)
    start = max(0, first_row)
    assert seqs(found) == list(range(start, min(COUNT, start + rows)))
    assert [row.row for row in found] == seqs(found)


def test_a_page_is_never_longer_than_it_may_be(session: Session) -> None:
    assert len(Listing(session).page(0, 10**9)) == min(COUNT, MOST_ROWS)


def test_a_row_tells_its_event(session: Session) -> None:
    for row in listed(session).page(0, 200):
        told = event(row.seq)
        payload = told.payload
        assert row.kind == told.kind
        assert (row.conn, row.direction, row.type) == (told.conn, told.direction, told.type)
        assert (row.elapsed_ns, row.received_ns) == (told.elapsed_ns, told.received_ns)
        assert row.size == len(payload or b"")
        if told.text is not None:
            assert row.preview == told.text
        elif told.binary is not None:
            assert row.preview == told.binary.hex()
        else:
            assert row.preview == told.detail


def test_places_are_found_by_event_and_by_time(session: Session) -> None:
    listing = listed(session)
    assert [listing.row_at(seq) for seq in (-1, 0, 500, COUNT, COUNT + 7)] == [0, 0, 500, COUNT, COUNT]
    times = (0, 500 * STEP_NS, 500 * STEP_NS + 1, COUNT * STEP_NS)
    assert [listing.row_at_time(ns) for ns in times] == [0, 500, 501, COUNT]


# ------------------------------------------------------------------------------------------------ with one


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({"types": ["T3"]}, lambda each: each.type == "T3"),
    ({"types": ["T3", "T4", "none"]}, lambda each: each.type in ("T3", "T4")),
    ({"types": ["none"]}, lambda each: False),
    ({"text": 'TYPE": "t5'}, lambda each: each.type == "T5"),
    ({"text": "ws://FEED"}, lambda each: each.kind == "open"),
    ({"text": ".*"}, lambda each: False),
    ({"where": "seq % 100 = 7"}, lambda each: each.seq % 100 == 7),
    ({"where": "kind = 'open' and session like '%test'"}, lambda each: each.kind == "open"),
    ({"where": "payload->>'$.n' = '3'"}, lambda each: each.seq == 3),
    (
        {"types": ["T3", "T5"], "text": '"n": 1', "where": "direction = 'in'"},
        lambda each: each.type in ("T3", "T5") and '"n": 1' in each.text and each.direction is Direction.IN,
    ),
]


@pytest.mark.parametrize(("wanted", "keeps"), FILTERS, ids=[str(wanted) for wanted, _ in FILTERS])
def test_a_filter_keeps_what_it_says(session: Session, wanted: dict[str, Any], keeps: Any) -> None:
    listing = listed(session, **wanted)
    expected = [each.seq for each in events(COUNT) if keeps(each)]
    assert listing.count == len(expected)
    assert seqs(listing.page(0, COUNT)) == expected
    middle = len(expected) // 2
    assert seqs(listing.page(middle, 10)) == expected[middle : middle + 10]
    assert [row.row for row in listing.page(middle, 10)] == list(range(middle, min(middle + 10, len(expected))))


def test_binary_payloads_are_looked_through(session: Session) -> None:
    listing = listed(session, text="\x00")  # bytes 0 and 255 are in every seventh payload
    assert {event(row.seq).binary is not None for row in listing.page(0, 50)} == {True}
    assert listing.count > 0


def test_places_in_a_filtered_list_are_those_of_the_next_match(session: Session) -> None:
    listing = listed(session, where="seq % 100 = 7")
    assert [listing.row_at(seq) for seq in (0, 7, 8, 907, 908)] == [0, 0, 1, 9, 10]
    assert listing.row_at_time(8 * STEP_NS) == 1
    assert listing.row_at_time(COUNT * STEP_NS) == listing.count


def test_matches_far_apart_are_read_where_they_lie(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsrecorder.store.picking._FAR", 50)
    assert seqs(listed(session, where="seq % 300 < 2").page(0, 100)) == [0, 1, 300, 301, 600, 601, 900, 901]


def test_what_is_no_expression_is_refused_at_once(session: Session) -> None:
    with pytest.raises(UsageError):
        Listing(session, where="nonsense(")


def test_an_expression_that_fails_on_an_event_is_told_to_whoever_asks_for_a_page(session: Session) -> None:
    listing = listed(session, where="cast(text as integer) = 1")
    with pytest.raises(UsageError):
        listing.page(0, 10)


# ------------------------------------------------------------------------------------------------ what stands out


def stand_out(library: Path) -> Session:
    """Return a session with a gap after message 3, and stamps that go back at messages 2 and 8."""
    kinds = [Kind.OPEN] + [Kind.MESSAGE] * 3 + [Kind.CLOSE, Kind.GAP, Kind.OPEN] + [Kind.MESSAGE] * 4
    stamps_us = {1: 50, 2: 40, 3: 45, 7: 10, 8: 5, 9: None, 10: 5}
    rows = [
        Event(
            seq, kind, int(seq > 5), Direction.IN, seq * STEP_NS, IDENTITY.started_ns + seq * STEP_NS,
            "T" + str(seq % 2) if kind is Kind.MESSAGE else None, stamps_us.get(seq),
            "{}" if kind is Kind.MESSAGE else None, None, None if kind is Kind.MESSAGE else "{}",
        )
        for seq, kind in enumerate(kinds)
    ]  # fmt: skip
    sink = parquet_sink(library)
    for start in range(0, len(rows), 2):  # each pair a batch: what stands out must be seen across them
        sink.append(from_rows(rows[start : start + 2]))
    sink.close(Health())
    return opened(sink)


@pytest.mark.parametrize(
    ("wanted", "after_gap"), [({}, [7]), ({"types": ["T0"]}, [8]), ({"types": ["T1"]}, [7]), ({"where": "seq < 4"}, [])]
)
def test_the_first_message_after_a_gap_is_marked(tmp_path: Path, wanted: dict[str, Any], after_gap: list[int]) -> None:
    rows = listed(stand_out(tmp_path), **wanted).page(0, 100)
    assert [row.seq for row in rows if row.after_gap] == after_gap


def test_messages_whose_stamps_go_back_are_marked(tmp_path: Path) -> None:
    rows = listed(stand_out(tmp_path)).page(0, 100)
    assert [row.seq for row in rows if row.out_of_order] == [2, 8]


def test_a_single_row_is_marked_as_within_its_page(tmp_path: Path) -> None:
    session = stand_out(tmp_path)
    whole = listed(session).page(0, 100)
    assert [row for seq in range(11) for row in listed(session).page(seq, 1)] == whole


# ------------------------------------------------------------------------------------------------ growing


@pytest.fixture(params=["parquet", "duckdb"])
def growing(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    return parquet_sink(tmp_path, segment_events=60) if request.param == "parquet" else duckdb_sink(tmp_path)


def test_a_list_grows_with_its_session_and_is_whole_when_that_is_sealed(growing: Sink) -> None:
    growing.append(from_rows(events(50)))
    session = opened(growing)
    lists = [listed(session), listed(session, types=["T3"])]
    before = [listing.count for listing in lists]
    assert before == [50, len([seq for seq in range(50) if event(seq).type == "T3"])]
    assert seqs(lists[0].page(0, 100)) == list(range(50))
    for first_seq in range(50, 450, 50):
        growing.append(from_rows(events(50, first_seq)))
        for listing in lists:
            listing.refresh()
            assert listing.wait(20)
        assert lists[0].count == first_seq + 50
    growing.close(Health())
    for listing in lists:
        listing.refresh()
        assert listing.wait(20)
    assert seqs(lists[0].page(0, 1_000)) == list(range(450))
    assert seqs(lists[1].page(0, 1_000)) == [seq for seq in range(450) if event(seq).type == "T3"]


def test_a_session_that_was_cut_is_listed_as_far_as_it_goes(tmp_path: Path) -> None:
    session = Session(open_store(layout(tmp_path, segments=2, journals=1)))
    assert seqs(listed(session).page(0, 1_000)) == list(range(120))


# ------------------------------------------------------------------------------------------------ several


def test_a_filter_is_asked_once_and_those_not_used_for_long_are_forgotten(session: Session) -> None:
    lists = Listings(session)
    first = lists.listing(types=["T3"])
    assert lists.listing(types=["T3"]) is first
    for number in range(4):
        lists.listing(where=f"seq > {number}")
    assert lists.listing(types=["T3"]) is not first
    lists.close()


def test_a_list_that_failed_is_begun_anew(session: Session) -> None:
    lists = Listings(session)
    failed = lists.listing(where="cast(text as integer) = 1")
    failed.wait(20)
    assert lists.listing(where="cast(text as integer) = 1") is not failed


def test_a_list_that_is_cancelled_keeps_what_it_found(tmp_path: Path) -> None:
    sink = DuckDbSink(tmp_path / "x.duckdb", IDENTITY)
    fill(sink, 100)
    listing = Listing(opened(sink), types=["T3"])
    listing.cancel()
    assert listing.wait(20)
    assert seqs(listing.page(0, 100)) == [seq for seq in range(100) if event(seq).type == "T3"][: listing.count]
