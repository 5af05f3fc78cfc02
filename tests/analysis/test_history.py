"""Histories of sessions: rows and steps, in every form, and honestly empty where there is nothing to tell."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from docs.example import add_session
from tests.jobs.replays import message, session
from wsrecorder.analysis.history import history_of, steps_of
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.core.entities import ORDER_TYPES
from wsrecorder.core.event import Event
from wsrecorder.core.lives import LIFE_TYPES
from wsrecorder.errors import UsageError

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return open_session(add_session(tmp_path_factory.mktemp("library"), messages=1_200))


def say(at_s: float, type: str, data: object) -> Event:
    return message(at_s, type, text=json.dumps({"type": type, "ts": 0, "data": data}))


def test_every_order_and_position_has_a_row(engine: Session) -> None:
    rows = history_of(engine)
    ids = {json.loads(event.text or "")["data"]["order"]["id"] for event in engine.events(types=["ORDER_PLACED"])}
    assert {row.id for row in rows if row.what == "order"} == ids
    opened = {json.loads(e.text or "")["data"]["position"]["id"] for e in engine.events(types=["POSITION_OPEN"])}
    assert {row.id for row in rows if row.what == "position"} == opened
    assert [row.first_seq for row in rows] == sorted(row.first_seq for row in rows)


def test_rows_say_what_the_views_say(engine: Session) -> None:
    rows = {row.id: row for row in history_of(engine)}
    orders = engine.sql("select id, status, epoch_ms(placed_at) as began, open_for_ms, position_id from orders")
    positions = engine.sql(
        "select id, status, epoch_ms(opened_at) as began, held_for_ms, stop_moves, profits_taken, pnl_usd"
        " from positions"
    )
    assert len(orders) + len(positions) == len(rows)
    for id, status, began_ms, lasted_ms, position_id in zip(*orders.to_pydict().values(), strict=True):
        row = rows[id]
        assert (row.status, row.began_ms, row.lasted_ms, row.position) == (status, began_ms, lasted_ms, position_id)
    for id, *told in zip(*positions.to_pydict().values(), strict=True):
        row = rows[id]
        shown = [row.status, row.began_ms, row.lasted_ms, row.moves, row.profits_taken, row.pnl_usd]
        assert shown == told


def test_rows_are_joined_both_ways(engine: Session) -> None:
    rows = {row.id: row for row in history_of(engine)}
    joined = [row for row in rows.values() if row.what == "position" and row.order]
    assert joined
    for row in joined:
        order = rows[row.order or ""]
        assert order.position == row.id
        assert order.signal == row.signal
        assert (order.symbol, order.ended_ms) == (row.symbol, row.began_ms)


def test_steps_tell_a_life_from_signal_to_close(engine: Session) -> None:
    row = next(row for row in history_of(engine) if row.what == "position" and row.signal and row.status == "closed")
    for id in (row.id, row.order, row.signal):
        steps = steps_of(engine, id or "")
        assert [step.seq for step in steps] == sorted(step.seq for step in steps)
        assert steps[0].type == "SIGNAL"
        assert "POSITION_CLOSE" in [step.type for step in steps]
        assert {step.what for step in steps} == {"signal", "order", "position"}


def test_a_list_that_is_no_news_is_no_step(engine: Session) -> None:
    for row in history_of(engine)[:20]:
        for step in steps_of(engine, row.id):
            assert step.changes or step.type not in ("ORDER_UPDATE", "POSITION_UPDATE")


def test_steps_add_up_to_the_row(engine: Session) -> None:
    for row in history_of(engine)[:20]:
        known = {}
        for step in steps_of(engine, row.id):
            if step.id == row.id:
                known.update({name: after for name, (_, after) in step.changes.items()})
        assert (known["symbol"], known["side"], known.get("reason")) == (row.symbol, row.side, row.reason)


def test_ids_that_json_spells_in_its_own_way_are_found(tmp_path: Path) -> None:
    store = session(tmp_path, [say(0, "ORDER_PLACED", {"order": {"id": 'é"1'}}), say(1, "ORDER_PLACED", {"order": {}})])
    assert [step.seq for step in steps_of(Session(store), 'é"1')] == [0]


def test_an_unknown_id_is_refused(engine: Session) -> None:
    with pytest.raises(UsageError, match="'nobody'"):
        steps_of(engine, "nobody")


@pytest.mark.parametrize("name", ["20261124T060000Z-parquet-v1", "duckdb-v1.duckdb", "20261124T060000Z-cut-v1"])
def test_fixtures_have_a_history(name: str) -> None:
    rows = history_of(open_session(FIXTURES / name))
    assert {row.what for row in rows} == {"order", "position"}
    json.dumps([msgspec.to_builtins(row) for row in rows], allow_nan=False)


def test_all_forms_of_a_session_have_the_same_history() -> None:
    forms = [open_session(FIXTURES / name) for name in ("20261124T060000Z-parquet-v1", "duckdb-v1.duckdb")]
    assert history_of(forms[0]) == history_of(forms[1])


@pytest.mark.parametrize("text", ["[1]", "5", "{", "", '{"data": {"order": 5}}', '{"data": {"orders": [[]]}}', "NaN"])
def test_odd_payloads_tell_of_nobody(tmp_path: Path, text: str) -> None:
    store = session(tmp_path, [message(0, name, text=text) for name in sorted(LIFE_TYPES)])
    assert history_of(Session(store)) == []


def test_a_recording_that_began_midway_says_what_it_knows(tmp_path: Path) -> None:
    filled = {"order": {"id": "o", "status": "filled", "filledAt": 1_000}}
    events = [say(0, "ORDER_UPDATED", filled), say(1, "STOP_MOVED", {"position_id": "p", "new_stop": 2})]
    order, position = history_of(Session(session(tmp_path, events)))
    assert (order.began_ms, order.ended_ms, order.lasted_ms, order.qty) == (None, 1_000, None, None)
    assert (position.status, position.price, position.began_ms) == ("open", None, None)


def test_types_that_tell_of_no_order_are_left_alone(tmp_path: Path) -> None:
    events = [message(n, name, text='{"data": {"order": {"id": "x"}}}') for n, name in enumerate(("A", "ERROR"))]
    assert history_of(Session(session(tmp_path, events))) == []
    assert "A" not in ORDER_TYPES
