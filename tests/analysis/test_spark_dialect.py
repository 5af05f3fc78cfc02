"""DuckDB's SQL in Spark's: what differs is rewritten. What Spark makes of it: tests/scale/test_spark.py."""

from __future__ import annotations

import pytest

from wsrecorder.analysis.spark_dialect import to_spark
from wsrecorder.analysis.views import VIEWS, view
from wsrecorder.errors import UsageError


@pytest.mark.parametrize("name", VIEWS)
def test_nothing_of_duckdb_is_left_in_a_view(name: str) -> None:
    translated = to_spark(view(name).query).lower()
    for word in ("json_transform", "moment(", "make_timestamptz", "epoch_us", "strlen", "materialized", "unnest", "::"):
        assert word not in translated


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("epoch_us(sent_at)", "UNIX_MICROS(sent_at)"),
        ("elapsed_ns // 1000", "elapsed_ns DIV 1000"),
        ("any_value(a) FILTER (b)", "FIRST(a, TRUE) FILTER(WHERE b)"),
        ("arg_max(a, b)", "MAX_BY(a, CASE WHEN NOT a IS NULL THEN b END)"),
        ("quantile_cont(a, 0.5)", "PERCENTILE(a, 0.5)"),
        ("try_cast(a AS JSON) ->> '$.b'", "GET_JSON_OBJECT(a, '$.b')"),
        ("make_timestamptz((a * 1_000)::BIGINT)", "TIMESTAMP_MICROS(CAST(ROUND((a * 1000)) AS BIGINT))"),
        ('"binary"', "`binary`"),
    ],
)
def test_an_expression_is_said_as_spark_says_it(written: str, expected: str) -> None:
    assert to_spark(f"SELECT {written} FROM events") == f"SELECT {expected} FROM events"


def test_a_macro_is_written_out_where_it_is_used() -> None:
    translated = to_spark("SELECT moment(coalesce(a, b)) FROM events")
    assert "TRY_CAST(COALESCE(a, b) AS TIMESTAMP)" in translated
    assert "TIMESTAMP_MICROS" in translated


def test_a_payload_is_read_as_text_and_cast_field_by_field() -> None:
    translated = to_spark(
        """SELECT json_transform(text, '{"data": [{"price": "DOUBLE", "meta": "JSON"}]}') FROM events"""
    )
    assert "'STRUCT<`data`: ARRAY<STRUCT<`price`: STRING, `meta`: STRING>>>'" in translated
    assert "AS STRUCT<`data`: ARRAY<STRUCT<`price`: DOUBLE, `meta`: STRING>>>)" in translated
    assert translated.startswith("SELECT TRY_CAST(FROM_JSON(REGEXP_REPLACE(text,")


@pytest.mark.parametrize("statement", ["COPY events TO 'x'", "INSERT INTO events VALUES (1)", "DROP TABLE events"])
def test_what_is_no_query_is_refused(statement: str) -> None:
    with pytest.raises(UsageError, match="no query"):
        to_spark(statement)


def test_what_cannot_be_read_is_told_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="cannot be translated") as caught:
        to_spark("SELECT (")
    assert "--engine spark" in caught.value.hint
