from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store import sessions
from wsrecorder.analysis.session import Session
from wsrecorder.analysis.where import Where
from wsrecorder.errors import UsageError
from wsrecorder.store.schema import COLUMNS
from wsrecorder.store.session import ParquetStore


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    sink = sessions.parquet_sink(tmp_path_factory.mktemp("library"))
    sessions.fill(sink, 200)
    return Session(ParquetStore(sink.path))


def seqs(session: Session, expression: str) -> list[int]:
    return [event.seq for event in session.events(where=expression)]


@pytest.mark.parametrize(
    ("expression", "is_kept"),
    [
        ("type = 'T3'", lambda event: event.type == "T3"),
        ("kind = 'open' OR conn = 2", lambda event: event.kind == "open" or event.conn == 2),
        ("direction = 'out'", lambda event: event.direction == "out"),
        ("elapsed_ns BETWEEN 5000000 AND 9000000", lambda event: 5 <= event.seq <= 9),
        ("text = ''", lambda event: event.text == ""),
        ('octet_length("binary") = 3', lambda event: event.binary is not None and len(event.binary) == 3),
        ("detail LIKE '%UTF-8%'", lambda event: "UTF-8" in (event.detail or "")),
        ("sent_at IS NULL", lambda event: event.sent_at_us is None),
        ("events.seq % 2 = 0", lambda event: event.seq % 2 == 0),
        ("seq", lambda event: event.seq != 0),
        ("seq = 3 -- the third", lambda event: event.seq == 3),
        ("session = '20251124T160000Z-test'", lambda event: True),
        ("session <> '20251124T160000Z-test'", lambda event: False),
        ("NULL", lambda event: False),
    ],
)
def test_events_are_kept_for_which_it_is_true(session: Session, expression: str, is_kept: object) -> None:
    assert callable(is_kept)
    assert seqs(session, expression) == [event.seq for event in sessions.events(200) if is_kept(event)]


def test_a_path_into_the_payload_is_null_where_the_payload_is_no_json() -> None:
    condition = Where("payload->>'$.n' IS NULL")
    [found] = condition.apply([sessions.batch(40)], ["seq"], "")
    assert found.column("seq").to_pylist() == [event.seq for event in sessions.events(40) if event.type is None]


def test_a_path_into_the_payload_finds_what_is_there(fixture_session: Session) -> None:
    found = [event.type for event in fixture_session.events(where="payload->>'$.data.state' = 'idle'")]
    assert found
    assert set(found) == {"ENGINE_UPDATE"}


@pytest.fixture
def fixture_session() -> Session:
    return Session(ParquetStore(Path(__file__).parents[2] / "fixtures" / "20261124T060000Z-parquet-v1"))


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("typ = 'A'", 'column "typ" not found'),
        ("type =", "syntax error"),
        ("", "without selection list"),
        ("seq, 3", "single expression"),
        ("true) UNION SELECT (1", "syntax error"),
        ("true; DROP TABLE events", "modifiers"),
        ("count(*) > 1", "aggregates"),
        ("row_number() OVER () = 1", "window"),
        ("seq IN (SELECT max(seq) FROM batch)", "a query of its own"),
        ("seq > (SELECT 'unlikely'::INT)", "a query of its own"),
        ("read_text('/etc/hostname') IS NOT NULL", "table function"),
        ("seq = ?", "parameter"),
    ],
)
def test_what_is_no_condition_on_one_event_is_refused_before_anything_is_read(expression: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        Where(expression)
    assert said in refused.value.message
    assert refused.value.exit_code == 2


def test_a_batch_is_refused_on_which_it_fails(session: Session) -> None:
    with pytest.raises(UsageError, match="Could not convert") as refused:
        list(session.events(where="CAST(text AS INT) > 3", types=["T3"]))
    assert "try_cast" in refused.value.hint


def test_only_columns_that_it_names_are_read() -> None:
    assert Where("type = 'A' AND conn = 1").columns == ("conn", "type")
    assert Where("payload->>'$.a' = '1'").columns == ("text",)
    assert Where("COLUMNS(*) IS NOT NULL").columns == COLUMNS
    assert Where("true").columns == ("seq",)
    assert Where("type = 'A'").columns_read(["text"]) == ("type", "text")


def test_it_goes_with_every_other_filter(session: Session) -> None:
    table = session.table(columns=["seq"], types=["T3", "T4"], start="50ms", end="90ms", where="seq % 2 = 1")
    expected = [event.seq for event in sessions.events(90)[50:] if event.type in ("T3", "T4") and event.seq % 2]
    assert table.column("seq").to_pylist() == expected
    assert table.column_names == ["seq"]


def test_an_end_without_an_end_is_passed_on() -> None:
    rows = sessions.batch(20)
    found = list(Where("seq = 3").apply([rows, None, rows], ["seq"], ""))
    assert [None if batch is None else len(batch) for batch in found] == [1, None, 1]


@given(st.integers(1, 50), st.integers(1, 9))
def test_how_events_are_batched_makes_no_difference(size: int, modulus: int) -> None:
    condition = Where(f"seq % {modulus} = 0")
    found = condition.apply(sessions.batches(100, size), ["seq"], "")
    assert [seq for batch in found for seq in batch.column("seq").to_pylist()] == list(range(0, 100, modulus))
