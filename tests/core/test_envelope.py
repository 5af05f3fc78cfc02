"""What a payload says, whatever it is: nothing of another shape ever fails."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.envelopes import JSON, envelope
from wsrecorder.core.envelope import Envelope, plain, read_envelope
from wsrecorder.core.messages import (
    DATA_TYPES,
    EngineUpdate,
    SignalMessage,
    StopMoved,
)


def test_nan_and_infinity_are_read() -> None:
    payload = '{"type": "SIGNAL", "ts": 5, "data": {"signals": [{"symbol": "A", "sl": NaN, "tp1": -Infinity}]}}'
    found = read_envelope(payload, "SIGNAL")
    assert found is not None
    assert isinstance(found.data, SignalMessage)
    assert math.isnan(found.data.signals[0].sl or 0)
    assert found.data.signals[0].tp1 == -math.inf
    assert read_envelope(payload.encode(), "SIGNAL").data.signals[0].tp1 == -math.inf  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("message_type", "data"),
    [
        ("ENGINE_UPDATE", ["idle"]),
        ("ENGINE_UPDATE", {"status": "idle"}),
        ("ENGINE_UPDATE", {"state": 5}),
        ("ENGINE_UPDATE", "idle"),
        ("SIGNAL", {"signals": [{"symbol": 3}]}),
        ("ORDER_PLACED", {"order": None}),
        ("STOP_MOVED", {"position_id": 17, "new_stop": float("inf")}),
        ("of another feed", {"p": "0.1", "q": [1, 2]}),
        ("of another feed", {"p": float("inf")}),
    ],
)
def test_another_shape_comes_as_it_is(message_type: str, data: Any) -> None:
    found = envelope(message_type, data)
    assert found.data == data
    assert found.ts == 1_790_000_000_000


def test_data_may_be_null_or_missing() -> None:
    assert envelope("ENGINE_UPDATE", None).data is None
    assert read_envelope('{"type": "SIGNAL"}', "SIGNAL") == Envelope("SIGNAL")


def test_a_time_stamp_that_is_none_is_left_as_it_is() -> None:
    found = read_envelope('{"type": "ENGINE_UPDATE", "ts": "noon", "data": {"state": "idle"}}', "ENGINE_UPDATE")
    assert found is not None
    assert (found.ts, found.data) == ("noon", EngineUpdate("idle"))


def test_fields_that_are_not_documented_are_passed_over() -> None:
    assert envelope("STOP_MOVED", {"position_id": "p", "colour": "red"}).data == StopMoved("p")


@pytest.mark.parametrize(
    "payload", ["", "no JSON", "[1, 2]", "7", "NaN", '{"type": ', '"text"', b"\xff\xfe", "[" * 100_000]
)
@pytest.mark.parametrize("message_type", [None, "SIGNAL"])
def test_what_is_no_object_is_no_envelope(payload: str | bytes, message_type: str | None) -> None:
    assert read_envelope(payload, message_type) is None


def test_plain_values_are_whatever_json_there_is() -> None:
    assert plain("[1, 2]") == [1, 2]
    assert plain(b'{"a": Infinity}') == {"a": math.inf}
    assert plain("no JSON") is None
    assert plain("[" * 100_000) is None


@given(st.sampled_from([*DATA_TYPES, "other"]), JSON)
def test_no_data_ever_fails(message_type: str, data: Any) -> None:
    read_envelope(json.dumps({"type": message_type, "ts": 1, "data": data}), message_type)


@given(st.sampled_from([None, *DATA_TYPES]), st.text() | st.binary())
def test_no_payload_ever_fails(message_type: str | None, payload: str | bytes) -> None:
    read_envelope(payload, message_type)
    plain(payload)
