"""Lives of signals, orders and positions: the simulated engine's own truth, joins by id, and odd orders of events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_folds import event, order
from tests.core.test_lenient import JSON
from wsrecorder.core.engine import Engine
from wsrecorder.core.engine_book import GroundTruth
from wsrecorder.core.event import Event
from wsrecorder.core.lives import LIFE_TYPES, Life, Lives, What

START_MS = 1_764_000_000_000


def lives(*events: Event) -> Lives:
    found = Lives()
    for seq, each in enumerate(events):
        found.add(Event(seq, *(getattr(each, name) for name in Event.__struct_fields__[1:])))
    return found


def simulated(seed: int, *, snapshots: bool) -> tuple[Lives, GroundTruth]:
    truth = GroundTruth()
    engine = Engine(seed, nan=0.2, truth=truth)
    found = []
    for step in range(1_500):
        now_ms = START_MS + step * 50
        pushed = engine.step(now_ms) + (engine.snapshot(now_ms) if snapshots else [])
        found += [event(each.type, text=each.payload, sent_ms=each.sent_ms) for each in pushed]
    return lives(*(each for each in found if each.type in LIFE_TYPES)), truth


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_order_lived_as_it_truly_did(seed: int) -> None:
    found, truth = simulated(seed, snapshots=False)
    assert len(truth.orders) > 50
    assert list(found.orders) == list(truth.orders)
    for id, true in truth.orders.items():
        life = found.orders[id]
        facts = life.facts
        assert (facts.symbol, facts.side, facts.kind, facts.qty) == (true.symbol, true.side, true.type, true.qty)
        assert (facts.price, facts.status, facts.reason) == (true.price, true.status, true.reason)
        assert (life.began_ms, life.ended_ms) == (true.placed_ms, true.filled_ms or true.canceled_ms)
        assert facts.fees_usd == true.fees_usd
        assert life.is_ended == (true.status != "open")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_position_lived_as_it_truly_did(seed: int) -> None:
    found, truth = simulated(seed, snapshots=False)
    assert len(truth.positions) > 25
    assert list(found.positions) == list(truth.positions)
    for id, true in truth.positions.items():
        life = found.positions[id]
        facts = life.facts
        assert (facts.symbol, facts.side, facts.entry, facts.stop) == (true.symbol, true.side, true.entry, true.stop)
        assert (life.began_ms, life.ended_ms) == (true.opened_ms, true.closed_ms)
        assert (life.moves, life.profits_taken) == (true.stop_moves, true.profits_taken)
        assert life.opened_qty == true.opened_qty
        if true.status == "closed":
            assert (facts.pnl_usd, facts.pnl_r, facts.reason) == (true.pnl_usd, true.pnl_r, true.reason)
            assert life.lasted_ms == (true.closed_ms or 0) - true.opened_ms


def test_with_lists_every_life_is_joined_as_it_truly_was() -> None:
    found, truth = simulated(1, snapshots=True)
    joined = {id: life.facts.position_id for id, life in found.orders.items() if life.facts.position_id}
    assert len(joined) > 40
    assert {id: truth.orders[id].position_id for id in joined} == joined
    entries = found.entry_orders()
    assert len(entries) > 20
    assert {id: truth.positions[id].order_id for id in entries} == {id: life.id for id, life in entries.items()}
    for id, life in found.orders.items():
        assert life.facts.correlation_id in (None, truth.orders[id].correlation_id)


def test_a_chain_leads_from_signal_to_order_to_position() -> None:
    found = lives(
        event("SIGNAL", {"signals": [{"correlation_id": "s", "timestamp": 5}, {"correlation_id": "other"}]}),
        event("ORDER_UPDATE", {"orders": [{"id": "o", "position_id": "p", "metadata": {"correlation_id": "s"}}]}),
        event("ORDER_PLACED", order("alone")),
        event("POSITION_OPEN", {"position": {"id": "p"}}),
    )
    whole = [(What.SIGNAL, "s"), (What.ORDER, "o"), (What.POSITION, "p")]
    for id in ("s", "o", "p"):
        assert [(life.what, life.id) for life in found.chain(id)] == whole
    assert [life.id for life in found.chain("alone")] == ["alone"]
    assert found.chain("nobody") == []
    assert found.signals["s"].began_ms == 5
    assert not found.signals["s"].is_ended


def test_a_position_may_name_its_signal_and_order_itself() -> None:
    meta = {"correlation_id": "s", "order_id": "o"}
    found = lives(
        event("SIGNAL", {"signals": [{"correlation_id": "s"}]}),
        event("ORDER_PLACED", order("o")),
        event("POSITION_UPDATE", {"positions": [{"id": "p", "meta": meta}]}),
    )
    assert [life.id for life in found.chain("o")] == ["s", "o", "p"]
    assert found.entry_orders()["p"].id == "o"


def test_an_id_that_order_and_position_share_is_found_twice() -> None:
    found = lives(event("ORDER_PLACED", order("x")), event("POSITION_OPEN", {"position": {"id": "x"}}))
    assert [life.what for life in found.find("x")] == [What.ORDER, What.POSITION]


def test_an_order_updated_before_it_is_placed_ends_as_it_was_told() -> None:
    filled = event("ORDER_UPDATED", order("a", "filled", timestamp=9, price=5))
    late = event("ORDER_PLACED", order("a", "open", createdAt=START_MS - 50, price=4, qty=2))
    life = lives(filled, late).orders["a"]
    assert (life.facts.status, life.facts.price, life.facts.qty) == ("filled", 5, 2)
    assert life.began_ms == START_MS - 50
    assert life.moves == 0


def test_an_end_before_the_beginning_has_no_length() -> None:
    life = lives(event("ORDER_CANCELED", order("a", createdAt=START_MS + 50))).orders["a"]
    assert life.ended_ms == START_MS
    assert life.lasted_ms is None


def test_an_order_that_began_before_the_recording_has_no_length() -> None:
    life = lives(event("ORDER_UPDATED", order("a", "filled", filledAt=START_MS))).orders["a"]
    assert (life.began_ms, life.ended_ms, life.lasted_ms) == (None, START_MS, None)


def test_without_a_time_of_its_own_an_order_began_when_that_was_sent() -> None:
    placed, again = (event("ORDER_PLACED", order("a"), sent_ms=START_MS + ms) for ms in (5, 9))
    assert lives(placed, again).orders["a"].began_ms == START_MS + 5
    known = event("ORDER_UPDATED", order("a", createdAt=START_MS))
    assert lives(placed, known).orders["a"].began_ms == START_MS


def test_moves_are_counted_once() -> None:
    moved = event("STOP_MOVED", {"position_id": "p", "new_stop": 2})
    profit = event("TAKE_PROFIT", {"position_id": "p", "price": 3, "pnl": 1, "timestamp": 4})
    opened = event("POSITION_OPEN", {"position": {"id": "p", "sl": 1}})
    life = lives(opened, moved, moved, profit, profit).positions["p"]
    assert (life.moves, life.profits_taken) == (1, 1)
    assert lives(moved).positions["p"].moves == 0


def test_an_event_tells_what_it_changed() -> None:
    found = Lives()
    [told] = found.add(event("ORDER_PLACED", order("a", price=1)))
    assert told.changes == {"status": (None, "open"), "price": (None, 1.0)}
    [told] = found.add(event("ORDER_UPDATED", order("a", price=2)))
    assert told.changes == {"price": (1.0, 2.0)}
    [told] = found.add(event("ORDER_UPDATE", {"orders": [{"id": "a", "price": 2}]}))
    assert told.changes == {}
    assert told.is_listed
    [told] = found.add(event("TAKE_PROFIT", {"position_id": "p", "price": 3, "pnl": 1}, sent_ms=None))
    assert told.changes == {"profit_price": (None, 3.0), "profit_usd": (None, 1.0)}
    assert not told.is_listed


def test_a_signal_told_again_is_the_same_signal() -> None:
    pending, done = ({"signals": [{"correlation_id": "s", "status": status}]} for status in ("pending", "executed"))
    found = lives(event("SIGNAL", pending), event("SIGNAL", done))
    assert found.signals["s"].facts.status == "executed"
    assert found.signals["s"].events == 2


def comparable(life: Life) -> Any:
    return life.facts, life.ended_ms, life.moves, life.profits_taken, life.opened_qty


_ENTRY = st.fixed_dictionaries(
    {"id": st.sampled_from("ab")},
    optional={
        "status": st.sampled_from(["open", "filled", "canceled"]),
        "price": st.integers(0, 2),
        "qty": st.floats(),
    },
)
_EVENTS = st.one_of(
    st.builds(
        lambda type, entry: event(type, {"order": entry}),
        st.sampled_from(["ORDER_PLACED", "ORDER_UPDATED", "ORDER_CANCELED"]),
        _ENTRY,
    ),
    st.builds(lambda entry: event("POSITION_UPDATE", {"positions": [entry]}), _ENTRY),
    st.builds(
        lambda id, stop: event("STOP_MOVED", {"position_id": id, "new_stop": stop}), st.just("a"), st.integers(0, 2)
    ),
    st.builds(event, st.sampled_from(sorted(LIFE_TYPES)), JSON),
)


@given(st.lists(_EVENTS, max_size=12))
def test_an_event_that_comes_twice_tells_nothing_new(events: list[Event]) -> None:
    once, twice = lives(*events), lives(*(each for one in events for each in (one, one)))
    for kept, again in ((once.orders, twice.orders), (once.positions, twice.positions)):
        assert {id: comparable(life) for id, life in kept.items()} == {
            id: comparable(life) for id, life in again.items()
        }


@given(st.lists(_EVENTS, max_size=12))
def test_a_life_that_ended_stays_ended(events: list[Event]) -> None:
    found = Lives()
    ended: dict[tuple[What, str], tuple[int | None, Any]] = {}
    for each in events:
        found.add(each)
        for life in (*found.orders.values(), *found.positions.values()):
            key = life.what, life.id
            if key in ended:
                assert life.is_ended
                assert ended[key][0] == life.ended_ms
                assert ended[key][1] in (None, life.facts.status if life.what is What.ORDER else None)
            elif life.is_ended:
                ended[key] = life.ended_ms, life.facts.status if life.what is What.ORDER else None


@given(st.sampled_from(sorted(LIFE_TYPES)), JSON)
def test_other_shapes_tell_of_nobody(type: str, data: Any) -> None:
    found = Lives()
    assert found.add(event(type, [data])) == []
    assert found.add(event(type, text=json.dumps(data)[:-1] + "{")) == []
    assert not found.orders
