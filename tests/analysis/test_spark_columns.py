"""Which columns are read for a query. That Spark then finds the same rows: tests/scale/test_tables_on_objects.py."""

from __future__ import annotations

import pytest

from wsrecorder.analysis.spark_columns import columns_asked, columns_of_view
from wsrecorder.analysis.views import VIEWS, view
from wsrecorder.store.schema import COLUMNS


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("select type, count(*) as n from events group by all", ("type",)),
        ("select count(*) from events", ("seq",)),
        ("select count(*) filter (kind = 'gap') from events", ("kind",)),
        ("SELECT e.Type FROM events AS e WHERE e.ELAPSED_NS > 5", ("elapsed_ns", "type")),
        ('select octet_length("binary") from events', ("binary",)),
        ("select payload ->> '$.data.price' from events", ("text",)),
        ("select * from orders", ("seq",)),
        ("select o.* from orders as o join latency using (session)", ("seq",)),
        ("with t as (select seq, type from events) select max(seq) from t group by type", ("seq", "type")),
    ],
)
def test_what_a_query_names_is_read_and_nothing_else(query: str, columns: tuple[str, ...]) -> None:
    assert columns_asked(query) == columns


@pytest.mark.parametrize(
    "query",
    [
        "select * from events",
        "from events",
        "select e.* from events as e",
        "select * exclude (text) from events",
        "select distinct * from (select * from events)",
        "select count(distinct columns('t.*')) from events",
        "select to_json(events) from events",
        "select struct(e) from events as e",
        "select a from events as e(a)",
        "select seq from events natural join gaps",
        "select seq from recorded where exists (from events)",
        "pivot events on type using count(*)",
        "select seq from events where seq in (select max(seq) from (from events) group by all)",
    ],
)
def test_what_stands_for_all_columns_reads_all(query: str) -> None:
    assert columns_asked(query) == COLUMNS


@pytest.mark.parametrize("name", [name for name in VIEWS if name != "events"])
def test_a_view_reads_what_its_definition_names(name: str) -> None:
    columns = columns_of_view(name)
    assert {column.name for column in view(name).columns} & {*COLUMNS} <= {*columns, *_of_parts(name)}
    assert "binary" not in columns or name == "rates"


def _of_parts(name: str) -> set[str]:
    return {column for part in view(name).parts if part != "events" for column in columns_of_view(part)}


def test_events_themselves_are_whole() -> None:
    assert columns_of_view("events") == COLUMNS


def test_latency_reads_no_payload() -> None:
    assert not {"text", "binary", "detail"} & {*columns_of_view("latency"), *columns_of_view("clocks")}
