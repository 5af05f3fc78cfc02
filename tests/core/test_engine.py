"""The model of the trading engine: determinism, payload shapes, and laws of life cycles."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsrecorder.core.engine import Engine
from wsrecorder.core.engine_book import MOVES, EngineState, GroundTruth
from wsrecorder.core.engine_payloads import Pushed

START_MS = 1_764_000_000_000
ORDER_KEYS = "id symbol side type qty price status createdAt updatedAt filledAt fees reason timestamp"
POSITION_KEYS = (
    "id symbol side entry sl tp size mode openedAt updatedAt closedAt pnlR pnlUsd unrealizedPnlR "
    "unrealizedPnlUsd reason action timestamp"
)

# What `data` holds, in this order; and for a list or object inside it, the same of its rows.
SHAPES = {
    "HEARTBEAT": ("latencyMs", {}),
    "ENGINE_UPDATE": ("state running timestamp", {}),
    "SCAN_RESULT": (
        "results timestamp",
        {"results": "symbol score rank filters metrics levels timestamp market_data"},
    ),
    "SIGNAL": (
        "signals timestamp",
        {
            "signals": "symbol side strategy reason entry level sl confidence timestamp status correlation_id "
            "timestamps tp1 tp2 meta"
        },
    ),
    "ORDER_PLACED": ("order timestamp", {"order": ORDER_KEYS}),
    "ORDER_UPDATED": ("order timestamp", {"order": ORDER_KEYS}),
    "ORDER_CANCELED": ("order timestamp", {"order": ORDER_KEYS}),
    "ORDER_UPDATE": (
        "orders timestamp",
        {
            "orders": "id position_id symbol side order_type qty price stop_price status filled_qty avg_fill_price "
            "fees_usd timestamps exchange_id metadata"
        },
    ),
    "POSITION_OPEN": ("position timestamp", {"position": POSITION_KEYS}),
    "POSITION_CLOSE": ("position timestamp", {"position": POSITION_KEYS}),
    "STOP_MOVED": ("position_id old_stop new_stop timestamp", {}),
    "TAKE_PROFIT": ("position_id price pnl timestamp", {}),
    "KILL_SWITCH": ("reason timestamp", {}),
    "FSM_TRANSITION": ("from_state to_state reason timestamp metadata", {}),
    "ERROR": ("error_type message details timestamp", {}),
}
POSITION_LIST = (
    "positions timestamp",
    {"positions": "id symbol side strategy qty entry sl tp status pnl_usd pnl_r fees_usd timestamps meta"},
)
POSITION_SINGLE = ("position timestamp", {"position": POSITION_KEYS})


def take(engine: Engine, count: int, rate: float = 1_000) -> list[Pushed]:
    return list(itertools.islice(engine.stream(START_MS, rate), count))


def data_of(pushed: Pushed) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(pushed.payload)["data"]
    return data


@pytest.fixture(scope="module")
def pushed() -> list[Pushed]:
    return take(Engine(7), 30_000)


def test_the_same_seed_gives_the_same_payloads() -> None:
    assert take(Engine(3), 5_000) == take(Engine(3), 5_000)


def test_another_seed_gives_others() -> None:
    assert take(Engine(3), 200) != take(Engine(4), 200)


def test_the_payloads_depend_on_the_clock_only_in_their_time_stamps() -> None:
    def timeless(events: list[Pushed]) -> list[str]:
        return [re.sub(r'\d{13}|"\d{4}-\d\d-\d\dT[^"]*"', "T", event.payload) for event in events]

    def walk(engine: Engine, times_ms: Iterable[int]) -> list[Pushed]:
        return [event for now_ms in times_ms for event in engine.step(START_MS + now_ms)]

    fast = walk(Engine(5), range(1_000))
    slow = walk(Engine(5), (cycle * 977 + cycle * cycle % 101 for cycle in range(1_000)))
    assert timeless(slow) == timeless(fast)
    assert slow != fast


def test_every_documented_and_observed_type_occurs(pushed: list[Pushed]) -> None:
    assert {event.type for event in pushed} == {*SHAPES, "POSITION_UPDATE"}


def test_every_payload_is_the_default_json_of_an_envelope_in_ascii(pushed: list[Pushed]) -> None:
    for event in pushed:
        envelope = json.loads(event.payload)
        assert list(envelope) == ["type", "ts", "data"]
        assert (envelope["type"], envelope["ts"]) == (event.type, event.sent_ms)
        assert json.dumps(envelope) == event.payload
        assert event.payload.isascii()
    assert any("\\u" in event.payload for event in pushed), "no ASCII escape occurs"


def test_every_type_has_its_keys_in_order(pushed: list[Pushed]) -> None:
    variants = set()
    for event in pushed:
        data = data_of(event)
        if event.type == "POSITION_UPDATE":
            keys, rows = POSITION_LIST if "positions" in data else POSITION_SINGLE
            variants.add(keys)
        else:
            keys, rows = SHAPES[event.type]
        assert " ".join(data) == keys, event.type
        for name, row_keys in rows.items():
            found = data[name] if isinstance(data[name], list) else [data[name]]
            assert all(" ".join(row) == row_keys for row in found), event.type
    assert len(variants) == 2, "both variants of POSITION_UPDATE must occur"


def test_times_are_ms_or_iso_and_come_from_the_clock(pushed: list[Pushed]) -> None:
    for event in pushed:
        data = data_of(event)
        assert data.get("timestamp", event.sent_ms) == event.sent_ms
        entity = data.get("order") or data.get("position")
        if entity and "createdAt" in entity:
            created = datetime.fromisoformat(entity["createdAt"])
            assert START_MS <= created.timestamp() * 1_000 <= event.sent_ms
        if event.type == "ORDER_PLACED":
            assert datetime.fromisoformat(entity["createdAt"]).timestamp() * 1_000 == pytest.approx(event.sent_ms)
            assert entity["updatedAt"] is entity["filledAt"] is None


def test_states_are_lower_case_and_only_move_as_the_table_allows(pushed: list[Pushed]) -> None:
    state = EngineState.IDLE
    for event in pushed:
        data = data_of(event)
        if event.type == "FSM_TRANSITION":
            assert data["from_state"] == state
            assert EngineState(data["to_state"]) in MOVES[state]
            state = EngineState(data["to_state"])
        elif event.type == "ENGINE_UPDATE":
            assert data["state"] == state == state.lower()
            assert data["running"] is (state not in ("idle", "error", "killed"))


def test_every_move_of_the_table_happens() -> None:
    seen = defaultdict(set)
    for event in take(Engine(1), 120_000):
        if event.type == "FSM_TRANSITION":
            data = data_of(event)
            seen[EngineState(data["from_state"])].add(EngineState(data["to_state"]))
    assert seen == MOVES


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_an_order_is_placed_then_ends_once_filled_or_canceled(seed: int) -> None:
    truth = GroundTruth()
    events = take(Engine(seed, truth=truth), 2_500)
    open_orders: dict[str, str] = {}
    ended: set[str] = set()
    for event in events:
        if not event.type.startswith("ORDER_") or event.type == "ORDER_UPDATE":
            continue
        order = data_of(event)["order"]
        if event.type == "ORDER_PLACED":
            assert order["id"] not in open_orders
            assert order["id"] not in ended
            assert (order["status"], order["qty"] > 0, order["price"] > 0) == ("open", True, True)
            open_orders[order["id"]] = order["symbol"]
            continue
        assert open_orders[order["id"]] == order["symbol"]
        assert (order["filledAt"] is not None) is (order["status"] == "filled")
        assert (event.type == "ORDER_CANCELED") is (order["status"] == "canceled")
        if order["status"] != "open":
            del open_orders[order["id"]]
            ended.add(order["id"])
    # The last cycle may have been cut off by the count, so the truth may know of more.
    assert open_orders.keys() | ended <= truth.orders.keys()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_position_opens_then_moves_then_closes_and_its_stop_only_gains(seed: int) -> None:
    held: dict[str, dict[str, Any]] = {}
    closed: set[str] = set()
    for event in take(Engine(seed), 2_500):
        data = data_of(event)
        match event.type:
            case "POSITION_OPEN":
                position = data["position"]
                assert position["id"] not in held.keys() | closed
                assert position["symbol"] not in {other["symbol"] for other in held.values()}
                held[position["id"]] = position | {"stop": position["sl"]}
            case "STOP_MOVED":
                position = held[data["position_id"]]
                assert data["old_stop"] == position["stop"]
                gained = data["new_stop"] - data["old_stop"]
                assert gained > 0 if position["side"] == "long" else gained < 0
                position["stop"] = data["new_stop"]
            case "TAKE_PROFIT":
                assert data["position_id"] in held
                assert data["pnl"] > 0
            case "POSITION_UPDATE":
                rows = data["positions"] if "positions" in data else [data["position"]]
                assert all(held[row["id"]]["stop"] == row["sl"] for row in rows)
            case "POSITION_CLOSE":
                position = data["position"]
                assert position["closedAt"] is not None
                assert held.pop(position["id"])["symbol"] == position["symbol"]
                closed.add(position["id"])
            case "KILL_SWITCH":
                killed = {*held}
            case "FSM_TRANSITION" if data["to_state"] == "killed":
                assert killed <= closed
                assert not held


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_truth_agrees_with_what_was_sent(seed: int) -> None:
    truth = GroundTruth()
    engine = Engine(seed, truth=truth)
    events = [event for cycle in range(1_500) for event in engine.step(START_MS + cycle * 10)]
    assert [(sent.sent_ms, sent.type, sent.size_bytes) for sent in truth.sent] == [
        (event.sent_ms, event.type, len(event.payload)) for event in events
    ]
    assert sum(truth.counts().values()) == len(events)
    placed = {data_of(event)["order"]["id"]: event.sent_ms for event in events if event.type == "ORDER_PLACED"}
    assert placed == {order.id: order.placed_ms for order in truth.orders.values()}
    canceled = {data_of(event)["order"]["id"]: event.sent_ms for event in events if event.type == "ORDER_CANCELED"}
    assert canceled == {order.id: order.canceled_ms for order in truth.orders.values() if order.canceled_ms}
    closed = {data_of(event)["position"]["id"]: event for event in events if event.type == "POSITION_CLOSE"}
    assert closed.keys() == {position.id for position in truth.positions.values() if position.closed_ms}
    for event in closed.values():
        shown = data_of(event)["position"]
        position = truth.positions[shown["id"]]
        assert (position.closed_ms, position.status, position.qty) == (event.sent_ms, "closed", 0)
        assert (shown["pnlUsd"], shown["pnlR"]) == (position.pnl_usd, position.pnl_r)


def test_the_profit_of_a_position_is_that_of_its_orders() -> None:
    truth = GroundTruth()
    take(Engine(11, truth=truth), 20_000)
    finished = [position for position in truth.positions.values() if position.status == "closed"]
    assert len(finished) > 100
    for position in finished:
        orders = [order for order in truth.orders.values() if order.position_id == position.id]
        assert orders[0].id == position.order_id
        assert sum(order.qty for order in orders[1:]) == pytest.approx(position.opened_qty)
        paid = sum(order.fees_usd for order in orders)
        cash = sum((order.qty * (order.fill_price or 0)) * (1 if order.side == "sell" else -1) for order in orders)
        assert position.fees_usd == pytest.approx(paid, abs=0.001)
        assert position.pnl_usd == pytest.approx(cash - paid, abs=0.05)
        assert position.opened_ms <= (position.closed_ms or 0)


def test_the_truth_can_be_dumped_as_json_lines() -> None:
    truth = GroundTruth()
    take(Engine(2, truth=truth), 3_000)
    rows = [json.loads(line) for line in truth.lines()]
    assert [row["what"] for row in rows] == (
        ["sent"] * len(truth.sent) + ["order"] * len(truth.orders) + ["position"] * len(truth.positions)
    )
    assert rows[0] == {"what": "sent", "sent_ms": START_MS, "type": "FSM_TRANSITION"} | {
        "size_bytes": truth.sent[0].size_bytes
    }
    last = rows[-1]
    assert last["pnl_usd"] == truth.positions[last["id"]].pnl_usd


def test_the_stream_begins_with_a_heartbeat_and_keeps_its_rate(pushed: list[Pushed]) -> None:
    events = take(Engine(7), 30_000, rate=100)
    assert events[0] == (
        "HEARTBEAT",
        START_MS,
        f'{{"type": "HEARTBEAT", "ts": {START_MS}, "data": {{"latencyMs": 45}}}}',
    )
    beats = [event.sent_ms for event in events if event.type == "HEARTBEAT"]
    assert len(beats) == 10
    assert all(29_500 <= later - earlier <= 30_500 for earlier, later in itertools.pairwise(beats))
    assert [event.sent_ms for event in events] == sorted(event.sent_ms for event in events)
    assert events[-1].sent_ms - START_MS == pytest.approx(300_000, rel=0.001)


def test_payloads_are_around_330_bytes() -> None:
    sizes = [len(event.payload) for seed in range(5) for event in take(Engine(seed), 10_000)]
    assert 300 <= sum(sizes) / len(sizes) <= 360


def test_nan_is_bare_and_changes_nothing_else() -> None:
    def refuse(constant: str) -> float:
        raise ValueError(constant)

    clean, broken = take(Engine(9), 10_000), take(Engine(9, nan=0.5), 10_000)
    changed = [event for before, event in zip(clean, broken, strict=True) if before != event]
    assert {event.type for event in changed} == {"SCAN_RESULT", "SIGNAL"}
    for event in changed:
        with pytest.raises(ValueError, match=r"NaN|Infinity"):
            json.loads(event.payload, parse_constant=refuse)
    assert any(": NaN" in event.payload for event in changed)
    assert any(": Infinity" in event.payload for event in changed)
    assert not any(token in event.payload for event in clean for token in ("NaN", "Infinity"))


def test_big_scans_are_over_one_mebibyte_and_change_nothing_else() -> None:
    plain, events = take(Engine(9), 3_000), take(Engine(9, big_scan_every=50), 3_000)
    scans = [event for event in events if event.type == "SCAN_RESULT"]
    big = [scan for scan in scans if len(scan.payload) > 1 << 20]
    assert len(big) == len(scans) // 50 > 0
    assert all(json.loads(scan.payload)["data"]["results"][0]["rank"] == 1 for scan in big)
    assert [event.type for event in plain] == [event.type for event in events]


def test_a_snapshot_shows_the_state_and_changes_nothing() -> None:
    plain, asked = Engine(6), Engine(6)
    for cycle in range(300):
        now_ms = START_MS + cycle
        asked.snapshot(now_ms)
        assert plain.step(now_ms) == asked.step(now_ms)
    types = [event.type for event in asked.snapshot(START_MS)]
    assert types == ["ENGINE_UPDATE", "ORDER_UPDATE", "POSITION_UPDATE"]
    assert all(event.sent_ms == START_MS for event in asked.snapshot(START_MS))


def test_prices_stay_near_where_they_began() -> None:
    truth = GroundTruth()
    take(Engine(1, truth=truth), 60_000)
    prices = [order.price for order in truth.orders.values() if order.symbol == "BTC/USDT"]
    assert all(math.isfinite(price) and 40_000 < price < 90_000 for price in prices)
    assert max(prices) - min(prices) > 300


def test_the_heartbeat_shows_the_latency_it_is_given() -> None:
    assert json.loads(Engine().heartbeat(START_MS, 12.5).payload)["data"] == {"latencyMs": 12.5}
