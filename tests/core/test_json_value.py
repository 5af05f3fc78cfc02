"""What payloads say: strict JSON as it is, the rest as far as it can be read, and never an error."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.json_value import UNREADABLE, finite, is_shallow, read_value


@pytest.mark.parametrize("payload", ["null", b"null", "1", '{"a": [1.5, true, "\\u00e9"]}'])
def test_strict_json_is_read_as_it_is(payload: str | bytes) -> None:
    assert read_value(payload) == (json.loads(payload), True)


@pytest.mark.parametrize("payload", ["", "ping", "{", b"\xff\xfe", b"\x1f\x8b\x08", "[" * 100_000, "1" * 5_000])
def test_what_is_no_json_is_unreadable(payload: str | bytes) -> None:
    assert read_value(payload) == (UNREADABLE, False)


def test_nan_and_infinity_are_read_and_taken_out() -> None:
    value, is_strict = read_value('{"a": NaN, "b": [Infinity, -Infinity, 1.5, "NaN"], "c": 1e999}')
    assert not is_strict
    assert math.isnan(value["a"])
    assert finite(value) == {"a": None, "b": [None, None, 1.5, "NaN"], "c": None}


def test_half_a_surrogate_pair_is_replaced_in_keys_and_values() -> None:
    value, is_strict = read_value('{"\\ud800k": ["\\udc00", "\\ud83d\\ude00", "ü"]}')
    assert (value, is_strict) == ({"\ufffdk": ["\ufffd", "😀", "ü"]}, False)


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_nothing_fails_and_finite_values_can_be_written(payload: Any) -> None:
    value, _ = read_value(payload)
    if value is not UNREADABLE:
        json.dumps(finite(value), allow_nan=False).encode()


def test_what_is_nested_too_deeply_to_be_walked_is_null() -> None:
    value: list[Any] = []
    for _ in range(2_000):
        value = [value]
    assert finite(value) is None


def test_levels_are_counted() -> None:
    assert is_shallow(1, 0)
    assert is_shallow({"a": [1], "b": 2}, 2)
    assert not is_shallow({"a": [1], "b": 2}, 1)
    assert is_shallow([], 1)
    assert not is_shallow([], 0)
