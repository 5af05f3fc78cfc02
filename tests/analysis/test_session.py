"""A session as its user sees it, whichever form it is kept in."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.store.sessions import (
    IDENTITY,
    STARTED_NS,
    STEP_NS,
    batch,
    duckdb_sink,
    events,
    fill,
    layout,
    parquet_sink,
)
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.core.event import Event, Kind
from wsrecorder.errors import SessionNotFound, UsageError
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import COLUMNS


@pytest.fixture(params=["parquet", "duckdb"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Session:
    """A sealed session of 120 events."""
    sink = parquet_sink(tmp_path, segment_events=40) if request.param == "parquet" else duckdb_sink(tmp_path)
    fill(sink, 120)
    return Session(open_store(sink.path))


# Facts


def test_facts_are_those_of_the_events(session: Session) -> None:
    info = session.info
    kept = events(120)
    assert (info.id, info.name, info.feed) == (IDENTITY.id, "test", "ws://feed/ws/")
    assert (info.path, info.endpoint_path) == (str(session.path), "/ws/")
    assert info.start == "2025-11-24T16:00:00+00:00"
    assert info.end == "2025-11-24T16:00:00.119000+00:00"
    assert info.duration_s == pytest.approx(0.119)
    assert info.events == 120
    assert info.messages == sum(event.kind is Kind.MESSAGE for event in kept)
    assert info.bytes == sum(len(event.payload or b"") for event in kept)
    assert sum(info.types.values()) == sum(event.type is not None for event in kept)
    assert (info.connections, info.gaps, info.sealed, info.format_version) == (3, 0, True, 1)
    assert info.segments == (3 if session.path.is_dir() else 0)
    assert info.bytes_on_disk >= info.segments
    assert info.health == Health(longest_stall_ms=1.5)
    assert info.dialect["ts_unit"] == "ms"
    assert json.loads(json.dumps(info.to_dict()))["types"] == info.types


def test_bytes_on_disk_are_those_of_all_its_files(session: Session) -> None:
    if session.path.is_dir():
        expected = sum(path.stat().st_size for path in session.path.rglob("*") if path.is_file())
    else:
        expected = session.path.stat().st_size
    assert session.info.bytes_on_disk == expected


def test_a_session_shows_where_it_is(session: Session) -> None:
    assert repr(session) == f"Session({str(session.path)!r})"


def test_facts_of_a_growing_session_grow(tmp_path: Path) -> None:
    for sink in (parquet_sink(tmp_path), duckdb_sink(tmp_path)):
        session = Session(open_store(sink.path))
        for count in (20, 40):
            sink.append(batch(20, count - 20))
            info = session.info
            assert (info.events, info.sealed) == (count, False)
            assert info.bytes_on_disk > 0
            assert list(session.events()) == events(count)
        sink.close(Health())
        assert session.info.sealed


def test_an_empty_session_has_facts_too(tmp_path: Path) -> None:
    for sink in (parquet_sink(tmp_path), duckdb_sink(tmp_path)):
        sink.close(Health())
        session = Session(open_store(sink.path))
        info = session.info
        assert (info.events, info.types, info.duration_s, info.start) == (0, {}, 0, info.end)
        assert list(session.events()) == []
        assert session.table().num_rows == 0
        assert session.table().column_names == list(COLUMNS)
        assert session.lazy().collect().columns == list(COLUMNS)


# Events


def test_events_batches_and_tables_are_the_same(session: Session) -> None:
    assert list(session.events()) == events(120)
    assert sum(len(rows) for rows in session.batches()) == 120
    assert session.table().num_rows == 120
    assert session.table().column("seq").to_pylist() == list(range(120))


def test_columns_come_in_the_order_wanted(session: Session) -> None:
    assert session.table(columns=("type", "seq")).column_names == ["type", "seq"]
    assert session.table(columns=("text",), types=["nobody's"]).column_names == ["text"]


@pytest.mark.parametrize(
    ("wanted", "keep"),
    [
        ({"types": ["T3", "T5"]}, lambda event: event.type in ("T3", "T5")),
        ({"exclude": ["T3"]}, lambda event: event.type != "T3"),
        ({"types": "T4"}, lambda event: event.type == "T4"),
        ({"types": "T4,T2"}, lambda event: event.type in ("T4", "T2")),
        ({"kinds": [Kind.OPEN]}, lambda event: event.kind is Kind.OPEN),
        ({"from_seq": 77}, lambda event: event.seq >= 77),
        ({"start": "50ms"}, lambda event: event.elapsed_ns >= 50 * STEP_NS),
        ({"start": 0.05}, lambda event: event.elapsed_ns >= 50 * STEP_NS),
        ({"end": "50ms"}, lambda event: event.elapsed_ns < 50 * STEP_NS),
        ({"start": "-20ms"}, lambda event: event.elapsed_ns >= 99 * STEP_NS),
        ({"start": "2025-11-24T16:00:00.100Z"}, lambda event: event.elapsed_ns >= 100 * STEP_NS),
        (
            {"start": "10ms", "end": "0.06s", "types": ["T4"]},
            lambda event: 10 * STEP_NS <= event.elapsed_ns < 60 * STEP_NS and event.type == "T4",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_wanted_is_given(session: Session, wanted: dict[str, object], keep: object) -> None:
    expected = [event for event in events(120) if keep(event)]  # type: ignore[operator]
    found: list[Event] = list(session.events(**wanted))
    assert found == expected
    assert expected


@pytest.mark.parametrize("wanted", [{"start": "10m"}, {"start": "soon"}, {"columns": ["payload"]}])
def test_what_cannot_be_had_is_refused(session: Session, wanted: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        session.table(**wanted)


# Frames


def test_a_lazy_frame_holds_all_events(session: Session) -> None:
    frame = session.lazy().collect()
    assert frame.columns == list(COLUMNS)
    assert frame["seq"].to_list() == list(range(120))
    assert frame["text"].to_list() == [event.text for event in events(120)]
    assert frame["binary"].to_list() == [event.binary for event in events(120)]
    assert frame["received_ns"][5] == STARTED_NS + 5 * STEP_NS


def test_a_lazy_frame_can_be_asked(session: Session) -> None:
    counted = session.lazy().filter(pl.col("kind") == "message").group_by("type").len().collect()
    found = {row["type"]: row["len"] for row in counted.to_dicts() if row["type"] is not None}
    assert found == session.info.types


def test_a_lazy_frame_of_a_growing_session_holds_its_journal_too(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1, journals=2)
    assert Session(open_store(folder)).lazy().collect()["seq"].to_list() == list(range(120))


# Finding


def test_the_library_is_that_of_the_environment_unless_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(parquet_sink(tmp_path / "named"), 20)
    fill(parquet_sink(tmp_path / "recordings"), 10)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WSREC_LIBRARY", raising=False)
    assert open_session("latest").info.events == 10
    monkeypatch.setenv("WSREC_LIBRARY", "named")
    assert open_session("latest").info.events == 20
    assert open_session("latest", library="recordings").info.events == 10


def test_a_session_is_opened_by_name(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path)
    fill(sink, 20)
    assert open_session("test", library=tmp_path).info.events == 20
    assert open_session(sink.path).info.events == 20
    with pytest.raises(SessionNotFound):
        open_session("other", library=tmp_path)
