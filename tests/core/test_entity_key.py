"""Which entity a payload names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsrecorder.core.entity_key import entity_key


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"order": {"id": "o1", "symbol": "BTC"}, "symbol": "ETH"}, "o1"),
        ({"position": {"id": "p1"}}, "p1"),
        ({"position_id": "p2", "symbol": "ETH"}, "p2"),
        ({"signals": [{"symbol": "XRP"}, {"symbol": "BTC"}]}, "XRP"),
        ({"symbol": "ETH"}, "ETH"),
        ({"order": {"id": 7}}, "7"),
        ({"order": {"id": ""}, "symbol": "ETH"}, "ETH"),
        ({"order": {"id": None}}, ""),
        ({"order": "o1"}, ""),
        ({"orders": [{"id": "o1"}]}, ""),
        ({"signals": []}, ""),
        ({"signals": {"symbol": "x"}}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_the_first_name_counts(data: Any, key: str) -> None:
    assert entity_key(json.dumps({"type": "A", "data": data}).encode()) == key


@pytest.mark.parametrize(("payload", "key"), [(b'{"product_id": "BTC-USD"}', "BTC-USD"), (b'{"symbol": "B"}', "B")])
def test_it_may_stand_beside_the_type(payload: bytes, key: str) -> None:
    assert entity_key(payload) == key


@given(st.binary())
def test_no_payload_fails(payload: bytes) -> None:
    entity_key(payload)
