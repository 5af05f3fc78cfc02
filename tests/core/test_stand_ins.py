"""Stand-ins: the same for the same value, and in the same shape if that is wanted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.redaction import Redactor
from wsrecorder.core.stand_ins import StandIns, redact_detail, redact_query
from wsrecorder.errors import UsageError

STAND_INS = StandIns(b"a secret of the tests")


def of(value: str) -> str:
    return STAND_INS.of(value)


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(UsageError, match="secret is empty"):
        StandIns(b"")


SHAPED = StandIns(b"a secret of the tests", keep_shape=True)


@given(st.text())
def test_a_shape_is_kept(text: str) -> None:
    shaped = SHAPED.of(text)
    assert len(shaped) == len(text)
    assert shaped == SHAPED.of(text)
    for before, after in zip(text, shaped, strict=True):
        if before.isdigit():
            assert after.isdigit()
        elif before.isascii() and not before.isalnum():
            assert after == before
        else:
            assert after.isascii()
            assert after.isupper() == before.isupper()


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_stays_a_number_of_its_shape(number: float) -> None:
    token = json.dumps(number).encode()
    shaped = SHAPED.of_token(token)
    assert type(json.loads(shaped)) is type(number)
    assert len(shaped) == len(token)


def test_a_shaped_stand_in_is_another_value() -> None:
    found = Redactor(["*"], SHAPED).redact(b'{"a":"AB-1234567890","b":1234567890,"c":true,"d":100}')
    values = json.loads(found)
    assert values["a"] != "AB-1234567890"
    assert values["b"] != 1_234_567_890
    assert values["c"].startswith("redacted-"), "a truth value has no shape to keep"
    assert 100 <= values["d"] <= 999


def test_no_number_begins_with_0() -> None:
    for number in range(10, 500):
        assert not SHAPED.of_token(b"%d" % number).startswith(b"0")
        assert not SHAPED.of_token(b"-%d.5" % number).startswith(b"-0")


def test_values_of_a_query_are_replaced_by_name() -> None:
    url = "wss://h:1/p?Key=a%20b&x=1&empty=#f"
    assert redact_query(url, ["key"], STAND_INS) == f"wss://h:1/p?Key={of('a b')}&x=1&empty=#f"
    assert redact_query(url, ["y"], STAND_INS) == url
    assert redact_query("wss://h/?key=***", ["key"], STAND_INS) == "wss://h/?key=***", "it is none any more"


def test_headers_and_queries_of_marks_are_replaced() -> None:
    def detail(value: Any) -> Any:
        return json.loads(redact_detail(json.dumps(value), ["authorization"], ["key"], STAND_INS))

    assert detail({"headers": {"Authorization": "t", "X": "t"}, "url": "ws://h/?key=t"}) == {
        "headers": {"Authorization": of("t"), "X": "t"}, "url": f"ws://h/?key={of('t')}",
    }  # fmt: skip
    assert detail({"headers": [["AUTHORIZATION", "t"], ["X", "t"], "odd"]}) == {
        "headers": [["AUTHORIZATION", of("t")], ["X", "t"], "odd"]
    }
    for plain in ('{"url":  7, "headers": 1}', "[1]", "no JSON", '{"url": "ws://h/"}'):
        assert redact_detail(plain, ["authorization"], ["key"], STAND_INS) == plain
