"""What payloads say of signals, orders and positions: both spellings, and no failure on any other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_lenient import JSON
from wsrecorder.core.engine import Engine
from wsrecorder.core.entities import (
    ORDER_TYPES,
    POSITION_TYPES,
    orders_in,
    positions_in,
    signals_in,
)

PLACED_MS = 1_764_000_000_000


def test_both_spellings_of_an_order_say_the_same() -> None:
    single = {
        "id": "o1", "symbol": "BTC/USDT", "side": "buy", "type": "limit", "qty": 0.07, "price": 5.5,
        "status": "filled", "createdAt": "2025-11-24T16:00:00+00:00", "filledAt": None, "fees": 0.12,
    }  # fmt: skip
    listed = {
        "id": "o1", "symbol": "BTC/USDT", "side": "BUY", "order_type": "limit", "qty": 0.07, "price": 5.5,
        "status": "FILLED", "timestamps": {"created_at": PLACED_MS}, "fees_usd": 0.12,
    }  # fmt: skip
    [one], is_all = orders_in("ORDER_UPDATED", {"order": single})
    [other], is_all_too = orders_in("ORDER_UPDATE", {"orders": [listed]})
    assert one == other
    assert (is_all, is_all_too) == (False, True)
    assert one.placed_ms == PLACED_MS
    assert one.is_ended


def test_both_spellings_of_a_position_say_the_same() -> None:
    single = {
        "id": 7, "symbol": "X", "side": "long", "entry": 1, "sl": 0.5, "tp": 2, "size": 3,
        "openedAt": "2025-11-24T16:00:00Z", "closedAt": None, "unrealizedPnlR": 0.1, "unrealizedPnlUsd": 5,
    }  # fmt: skip
    listed = {
        "id": "7", "symbol": "X", "side": "long", "entry": 1, "sl": 0.5, "tp": 2, "qty": 3, "status": "open",
        "pnl_usd": 5, "pnl_r": 0.1, "timestamps": {"opened_at": PLACED_MS},
    }  # fmt: skip
    assert (
        positions_in("POSITION_UPDATE", {"position": single})[0]
        == positions_in("POSITION_UPDATE", {"positions": [listed]})[0]
    )


def test_profit_of_a_closed_position_is_realized() -> None:
    [listed], _ = positions_in("POSITION_UPDATE", {"positions": [{"id": "p", "status": "closed", "pnl_usd": 5}]})
    assert (listed.pnl_usd, listed.unrealized_usd, listed.is_ended) == (5.0, None, True)


@pytest.mark.parametrize(
    ("event_type", "data", "is_ended"),
    [
        ("POSITION_CLOSE", {"position": {"id": "p"}}, True),
        ("POSITION_UPDATE", {"position": {"id": "p", "closedAt": PLACED_MS}}, True),
        ("POSITION_UPDATE", {"position": {"id": "p"}}, False),
        ("STOP_MOVED", {"position_id": "p", "new_stop": 5}, False),
        ("TAKE_PROFIT", {"position_id": "p"}, False),
    ],
)
def test_how_a_position_ends(event_type: str, data: Any, is_ended: bool) -> None:
    [facts], is_all = positions_in(event_type, data)
    assert facts.id == "p"
    assert facts.is_ended is is_ended
    assert not is_all


def test_a_canceled_order_needs_no_status() -> None:
    [facts], _ = orders_in("ORDER_CANCELED", {"order": {"id": "o"}})
    assert facts.is_ended
    assert facts.status == "canceled"


def test_links_are_found_in_metadata() -> None:
    [order], _ = orders_in("ORDER_UPDATE", {"orders": [{"id": "o", "metadata": {"correlation_id": "s"}}]})
    assert order.correlation_id == "s"
    [position], _ = positions_in("POSITION_UPDATE", {"positions": [{"id": "p", "meta": {"order_id": "o"}}]})
    assert position.order_id == "o"


@pytest.mark.parametrize("entries", [[{"id": "o"}, 5], [{"id": "o"}, {"symbol": "X"}]])
def test_a_list_with_an_entry_that_says_nothing_is_not_taken_for_all(entries: list[Any]) -> None:
    found, is_all = orders_in("ORDER_UPDATE", {"orders": entries})
    assert [facts.id for facts in found] == ["o"]
    assert not is_all
    assert not positions_in("POSITION_UPDATE", {"positions": entries})[1]


def test_an_empty_list_says_that_there_are_none() -> None:
    assert orders_in("ORDER_UPDATE", {"orders": []}) == ([], True)
    assert positions_in("POSITION_UPDATE", {"positions": []}) == ([], True)


def test_signals_without_an_id_are_left_out() -> None:
    [signal] = signals_in({"signals": [{"symbol": "X"}, {"correlation_id": "s", "side": "LONG", "confidence": 0.5}]})
    assert (signal.id, signal.side, signal.confidence) == ("s", "long", 0.5)


def test_other_types_say_nothing() -> None:
    assert orders_in("SIGNAL", {"orders": [{"id": "o"}]}) == ([], False)
    assert positions_in(None, {"positions": [{"id": "o"}]}) == ([], False)


@given(st.sampled_from(sorted(ORDER_TYPES | POSITION_TYPES)), JSON, JSON, JSON)
def test_no_shape_fails(event_type: str, data: Any, inner: Any, field: Any) -> None:
    shapes = [data, *({key: inner} for key in ("order", "orders", "position", "positions", "signals", "position_id"))]
    names = ("id", "symbol", "qty", "status", "createdAt", "timestamps", "metadata", "meta", "openedAt", "closedAt")
    entry = {**dict.fromkeys(names, field), "id": "x"}
    shapes += [{"order": entry}, {"orders": [entry]}, {"position": entry}, {"positions": [entry, inner]}]
    for shape in shapes:
        orders_in(event_type, shape)
        positions_in(event_type, shape)
        signals_in(shape)


def test_everything_that_the_engine_says_is_understood() -> None:
    engine = Engine(3, nan=0.5)
    for step in range(400):
        for pushed in engine.step(PLACED_MS + step * 50):
            data = json.loads(pushed.payload)["data"]
            if pushed.type in ORDER_TYPES:
                found, _ = orders_in(pushed.type, data)
                assert found or data == {"orders": [], "timestamp": data["timestamp"]}
            if pushed.type in POSITION_TYPES:
                assert positions_in(pushed.type, data)[0] or data["positions"] == []
            if pushed.type == "SIGNAL":
                assert len(signals_in(data)) == 1
