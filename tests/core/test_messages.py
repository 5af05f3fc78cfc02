"""Typed messages: what each documented payload becomes."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import msgspec

from tests.core.envelopes import envelope
from wsrecorder.core.engine import Engine
from wsrecorder.core.envelope import read_envelope
from wsrecorder.core.messages import (
    DATA_TYPES,
    Heartbeat,
    ListedPosition,
    OrderMessage,
    Position,
    PositionUpdate,
)


def spelled(struct: Any) -> Any:
    """Return a Struct's fields as the feed spells them, null where they are None."""
    return msgspec.to_builtins(struct)


def test_every_message_of_the_engine_is_typed_and_whole() -> None:
    seen = set()
    for pushed in islice(Engine(seed=3).stream(1_790_000_000_000, 200.0), 20_000):
        found = read_envelope(pushed.payload, pushed.type)
        assert found is not None
        assert (found.type, found.ts) == (pushed.type, pushed.sent_ms)
        assert type(found.data) is DATA_TYPES[pushed.type]
        sent = json.loads(pushed.payload)["data"]
        assert {key: value for key, value in spelled(found.data).items() if key in sent} == sent, pushed.type
        seen.add(pushed.type)
    assert seen == set(DATA_TYPES)


def test_names_are_pythons() -> None:
    assert envelope("HEARTBEAT", {"latencyMs": 45}).data == Heartbeat(45.0)
    order = envelope("ORDER_PLACED", {"order": {"id": "1", "createdAt": "2026-11-23T19:15:00.000+00:00"}}).data
    assert isinstance(order, OrderMessage)
    assert order.order.created_at == "2026-11-23T19:15:00.000+00:00"
    assert order.order.filled_at is None


def test_both_forms_of_a_position_update_are_typed() -> None:
    listed = envelope("POSITION_UPDATE", {"positions": [{"id": "p", "qty": 2}], "timestamp": 1}).data
    assert listed == PositionUpdate(positions=[ListedPosition("p", qty=2.0)], timestamp=1)
    single = envelope("POSITION_UPDATE", {"position": {"id": "p", "pnlR": 1.5}}).data
    assert single == PositionUpdate(position=Position("p", pnl_r=1.5))
    assert envelope("POSITION_UPDATE", {"timestamp": 1}).data == {"timestamp": 1}
