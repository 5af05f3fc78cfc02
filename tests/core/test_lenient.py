"""Values out of payloads: what is there is read, what is not is None, nothing fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.lenient import entries_of, moment_ms, number, read_data, read_json, word

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (b'{"type": "A", "data": {"x": 1}}', {"x": 1}),
        (b'{"data": [1, 2]}', [1, 2]),
        (b'{"type": "A"}', None),
        (b'{"data": Infinity}', float("inf")),
        (b"[1, 2]", None),
        (b"5", None),
        (b'"data"', None),
        (b'{"data": {"x": 1', None),
        (b"NaN", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b"", None),
        (None, None),
    ],
)
def test_data_is_read_from_envelopes_and_nothing_else(payload: bytes | None, data: Any) -> None:
    assert read_data(payload) == data


def test_a_payload_with_nan_is_read_all_the_same() -> None:
    data = read_data(b'{"data": {"a": NaN, "b": 2}}')
    assert data["a"] != data["a"]
    assert data["b"] == 2


def test_broken_json_is_nothing() -> None:
    assert read_json(b"{") is None
    assert read_json(b'{"a": 1}') == {"a": 1}


@given(JSON)
def test_readers_take_any_value(value: Any) -> None:
    number(value)
    moment_ms(value)
    text = word(value)
    assert text is None or text.encode()
    entries, _ = entries_of(value, "one", "many")
    assert all(isinstance(entry, dict) for entry in entries)
    payload = json.dumps({"data": value}).encode()
    assert json.dumps(read_data(payload)) == json.dumps(json.loads(payload)["data"])


@pytest.mark.parametrize("value", [None, True, "1", float("nan"), float("inf"), [], {}, 10**400])
def test_what_is_no_finite_number_is_none(value: Any) -> None:
    assert number(value) is None


def test_numbers_are_floats() -> None:
    assert number(2) == 2.0
    assert isinstance(number(2), float)
    assert number(0.5) == 0.5


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1_764_000_000_000, 1_764_000_000_000),
        (1_764_000_000_000.9, 1_764_000_000_000),
        ("2025-11-24T16:00:00+00:00", 1_764_000_000_000),
        ("2025-11-24T17:00:00.250+01:00", 1_764_000_000_250),
        ("2025-11-24T16:00:00", 1_764_000_000_000),
        ("yesterday", None),
        (10**18, None),
        (True, None),
        (None, None),
    ],
)
def test_moments_are_ms_or_iso(value: Any, ms: int | None) -> None:
    assert moment_ms(value) == ms


def test_words_can_be_written() -> None:
    assert word("é") == "é"
    assert word("\ud800") == "\\ud800"
    assert word("") is None
    assert word(5) is None


def test_entries_come_alone_or_as_a_list() -> None:
    assert entries_of({"order": {"id": 1}}, "order", "orders") == ([{"id": 1}], False)
    assert entries_of({"orders": [{"id": 1}, 2]}, "order", "orders") == ([{"id": 1}], True)
    assert entries_of({"orders": {"id": 1}}, "order", "orders") == ([], False)
    assert entries_of([{"id": 1}], "order", "orders") == ([], False)
