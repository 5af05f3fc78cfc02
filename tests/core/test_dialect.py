"""Dialects: type and time stamp of an envelope, read without ever failing; and restamping."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsrecorder.core.dialect import ENGINE, TS_UNITS, Dialect, EnvelopeReader, Restamper, top_level_digits
from wsrecorder.core.event import to_epoch_ns
from wsrecorder.errors import UsageError

TS_MS = 1_764_000_000_123
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def read(payload: bytes | str, **dialect: Any) -> tuple[str | None, int | None]:
    return EnvelopeReader(Dialect(**dialect)).read(payload if isinstance(payload, bytes) else payload.encode())


def envelope(*, kind: object = '"A"', ts: object = 1, more: str = "") -> str:
    """Return an envelope of JSON text put in as it is."""
    return f'{{"type": {kind}, "ts": {ts}{more}}}'


# Dialects


@pytest.mark.parametrize("unit", ["", "m", "MS", "seconds"])
def test_an_unknown_unit_is_refused_with_those_known(unit: str) -> None:
    with pytest.raises(UsageError) as caught:
        Dialect(ts_unit=unit)
    assert "ms" in caught.value.hint


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b"])
def test_a_path_with_an_empty_part_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="--type-path"):
        Dialect(type_path=path)
    with pytest.raises(UsageError, match="--ts-path"):
        Dialect(ts_path=path)


# Reading


def test_the_engine_says_type_and_ms_at_the_top() -> None:
    assert read(envelope(ts=TS_MS, more=', "data": {"type": "x", "ts": 1}')) == ("A", TS_MS * 1_000)


def test_many_are_read_row_by_row() -> None:
    payloads = [b'{"type": "A", "ts": 1}', b"nobody can parse this", b'{"type": "B", "ts": NaN}', b""]
    assert EnvelopeReader(ENGINE).read_many(payloads) == (["A", None, "B", None], [1_000, None, None, None])


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_only_python_reads_gets_type_and_time(value: str) -> None:
    assert read(envelope(ts=TS_MS, more=f', "data": {{"score": {value}}}')) == ("A", TS_MS * 1_000)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff\xfe", b"null", b"[]", b'"type"', b"{", b"42", b"[" * 100_000, b'{"a":' * 100_000, b'{"type": "\xff"}'],
    ids=lambda payload: repr(payload[:12]),
)
def test_what_nobody_can_parse_gets_nulls(payload: bytes) -> None:
    assert read(payload) == (None, None)


@pytest.mark.parametrize(
    ("value", "expected"), [("7", "7"), ("-1", "-1"), ("true", None), ("null", None), ("1.5", None), ('["A"]', None)]
)
def test_a_number_is_a_type_and_nothing_else_is(value: str, expected: str | None) -> None:
    assert read(envelope(kind=value))[0] == expected


@pytest.mark.parametrize("tail", ["", ', "x": NaN'])
def test_dotted_paths_lead_into_the_object(tail: str) -> None:
    payload = '{"stream": "s", "data": {"e": "trade", "E": 5, "q": {}}' + tail + "}"
    assert read(payload, type_path="data.e", ts_path="data.E") == ("trade", 5_000)
    assert read(payload, type_path="stream", ts_path="data.E") == ("s", 5_000)
    assert read(payload, type_path="data.q.deep", ts_path="nowhere.at.all") == (None, None)


def test_a_path_through_something_else_finds_nothing() -> None:
    assert read('{"data": [1], "ts": 3}', type_path="data.e") == (None, 3_000)
    assert read('{"data": null, "ts": 3}', type_path="data.e") == (None, 3_000)


@pytest.mark.parametrize(("type_path", "ts_path"), [("a", "a.b"), ("a.b", "a"), ("a.b", "a.b.c")])
def test_one_path_may_go_on_where_the_other_ends(type_path: str, ts_path: str) -> None:
    assert read('{"a": "A"}', type_path=type_path, ts_path=ts_path) == ("A" if type_path == "a" else None, None)
    assert read('{"a": {"b": 7}}', type_path="a.b", ts_path="a") == ("7", None)


def test_one_path_may_be_both() -> None:
    assert read('{"a": 7}', type_path="a", ts_path="a") == ("7", 7_000)


@given(st.text(min_size=1).filter(lambda key: "." not in key), st.integers(-(10**12), 10**12))
@example('"', 1)
@example("\\", 1)
@example("f_74", 1)
@example("class", 1)
def test_any_key_can_hold_the_time(key: str, ts_ms: int) -> None:
    assert read(json.dumps({key: ts_ms}), type_path="no type here", ts_path=key)[1] == ts_ms * 1_000


@given(JSON, JSON, JSON)
def test_reading_agrees_with_pythons_own_parser(kind: Any, stamp: Any, data: Any) -> None:
    payload = json.dumps({"type": kind, "ts": stamp, "data": data}).encode()
    found_type, found_us = EnvelopeReader(ENGINE).read(payload)
    if isinstance(kind, str):
        assert found_type == kind
    if type(stamp) is int and abs(stamp) < 10**13:
        assert found_us == stamp * 1_000


@given(st.binary())
def test_reading_never_fails(payload: bytes) -> None:
    EnvelopeReader(ENGINE).read(payload)


def test_a_lone_surrogate_is_no_text() -> None:
    assert read(r'{"type": "\ud800", "ts": 1}') == (None, 1_000)


# Time stamps


@pytest.mark.parametrize(
    ("unit", "stamp", "expected_us"),
    [
        ("s", "1764000000", 1_764_000_000_000_000),
        ("s", "1764000000.25", 1_764_000_000_250_000),
        ("ms", "1764000000123", 1_764_000_000_123_000),
        ("ms", "1764000000123.5", 1_764_000_000_123_500),
        ("us", "1764000000123456", 1_764_000_000_123_456),
        ("ns", "1764000000123456789", 1_764_000_000_123_456),
        ("ms", '"1764000000123"', 1_764_000_000_123_000),
        ("s", '"1764000000.25"', 1_764_000_000_250_000),
        ("ms", "-5", -5_000),
    ],
)
def test_units_are_counted_in_us(unit: str, stamp: str, expected_us: int) -> None:
    assert read(envelope(ts=stamp), ts_unit=unit) == ("A", expected_us)


@pytest.mark.parametrize("unit", TS_UNITS)
@pytest.mark.parametrize("stamp", ["true", "null", '"soon"', "[]", "{}", "1e400", '"inf"', "NaN", '""'])
def test_what_is_no_time_is_null(unit: str, stamp: str) -> None:
    assert read(envelope(ts=stamp), ts_unit=unit) == ("A", None)


@pytest.mark.parametrize("stamp", [10**30, -(10**30), 253_402_300_800_000, -62_135_596_800_001, 1e300, '"1e30"'])
def test_a_year_that_no_reader_follows_is_no_time(stamp: object) -> None:
    assert read(envelope(ts=stamp)) == ("A", None)


@pytest.mark.parametrize("digits", [30, 5_000])
def test_huge_numbers_do_no_harm(digits: int) -> None:
    assert read(envelope(ts="9" * digits))[1] is None
    assert read(envelope(ts='"' + "9" * digits + '"'))[1] is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T19:15:00.123456Z", datetime(2026, 11, 23, 19, 15, 0, 123456, tzinfo=UTC)),
        ("2026-11-23T20:15:00+01:00", datetime(2026, 11, 23, 19, 15, tzinfo=UTC)),
        ("2026-11-23T19:15:00", datetime(2026, 11, 23, 19, 15, tzinfo=UTC)),
    ],
)
def test_iso_times_are_utc_unless_they_say_otherwise(text: str, moment: datetime) -> None:
    assert read(json.dumps({"type": "A", "ts": text}), ts_unit="iso") == ("A", to_epoch_ns(moment) // 1_000)


@pytest.mark.parametrize("stamp", ['"yesterday"', "5", "5.5", '"0001-01-01T00:00:00+23:00"'])
def test_what_is_no_iso_time_is_null_or_in_range(stamp: str) -> None:
    found = read(envelope(ts=stamp), ts_unit="iso")[1]
    assert found is None


# Restamping


def test_only_the_digits_of_the_time_stamp_change() -> None:
    payload = b'{"type":  "A" ,"ts" : 1764000000123, "data": {"ts": 1764000000123, "x": NaN}}'
    shifted = Restamper(ENGINE).shift(payload, 1_500_000_000)
    assert shifted == b'{"type":  "A" ,"ts" : 1764000001623, "data": {"ts": 1764000000123, "x": NaN}}'
    assert Restamper(ENGINE).set(payload, 9_000_000_000_000_000) == payload.replace(
        b" : 1764000000123", b" : 9000000000"
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_shift_is_counted_in_the_stamps_unit(unit: str) -> None:
    restamper = Restamper(Dialect(ts_unit=unit))
    per_unit = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    assert restamper.shift(b'{"ts": 100}', 7 * per_unit) == b'{"ts": 107}'
    assert restamper.set(b'{"ts": 100}', 7 * per_unit) == b'{"ts": 7}'


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not JSON",
        b'["ts", 1]',
        b'{"ts": "1764000000123"}',
        b'{"ts": 1.5}',
        b'{"ts": null}',
        b'{"data": {"ts": 1}}',
        b'{"text": "\\"ts\\": 1"}',
        b'{"text": "{", "x": [{"ts": 1}]}',
        b'{"ts": 12345678901234567890}',
        b'{"ts": 1',
    ],
)
def test_where_there_is_no_integer_time_stamp_nothing_changes(payload: bytes) -> None:
    restamper = Restamper(ENGINE)
    assert restamper.shift(payload, 10**9) == payload
    assert restamper.set(payload, 10**18) == payload


def test_a_word_that_equals_the_key_is_not_the_key() -> None:
    assert Restamper(ENGINE).shift(b'{"a": "ts", "ts": 1000}', 10**9) == b'{"a": "ts", "ts": 2000}'
    assert Restamper(ENGINE).shift(b'{"a": {"b": "}"}, "ts": 1000}', 10**9) == b'{"a": {"b": "}"}, "ts": 2000}'


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4), st.integers(0, 10**13), st.integers(-(10**12), 10**12))
def test_restamped_payloads_parse_to_the_same_but_for_the_stamp(fields: dict[str, Any], ts_ms: int, by_ms: int) -> None:
    payload = json.dumps({**fields, "ts": ts_ms}).encode()
    restamped = json.loads(Restamper(ENGINE).shift(payload, by_ms * 1_000_000))
    assert restamped.pop("ts") == ts_ms + by_ms
    before = json.loads(payload)
    del before["ts"]
    assert repr(restamped) == repr(before)  # repr, for NaN is not equal to itself


@pytest.mark.parametrize("dialect", [Dialect(ts_path="data.E"), Dialect(ts_unit="iso")], ids=["deep", "text"])
def test_what_cannot_be_restamped_is_refused(dialect: Dialect) -> None:
    with pytest.raises(UsageError, match="cannot restamp"):
        Restamper(dialect)


def test_of_twins_the_last_counts_as_for_a_parser() -> None:
    payload = b'{"ts": 1, "ts": 22}'
    assert top_level_digits(payload, b'"ts"') == (16, 18)
    assert json.loads(payload)["ts"] == 22


def test_stamps_of_years_far_off_are_exact() -> None:
    for moment in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)):
        stamp_ms = to_epoch_ns(moment) // 1_000_000
        assert read(envelope(ts=stamp_ms)) == ("A", stamp_ms * 1_000)
