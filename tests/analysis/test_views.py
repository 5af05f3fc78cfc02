"""The views: what they say of the simulated engine is the truth, and no payload breaks one."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from docs.example import MONDAY, add_session, sink
from tests.analysis.truths import START_MS, Told, asked, record_engine, record_payloads
from wsrecorder.analysis.sql import connect
from wsrecorder.analysis.views import VIEWS, needed, view
from wsrecorder.core.clock_offset import estimate, least_delays
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Health
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.schema import from_rows
from wsrecorder.store.session import Store

DOMAIN = (
    "engine_states", "signals", "scans", "orders", "order_events", "positions", "position_events", "stop_moves",
    "alerts",
)  # fmt: skip
FORMS = [(1, None, False), (2, "x.duckdb", False), (3, None, True), (4, "x.duckdb", True), (5, None, False)]


def to_ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000)


@pytest.fixture(params=FORMS, ids=lambda form: f"seed {form[0]} {form[1]} {'live' if form[2] else 'sealed'}")
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Told:
    seed, into, live = request.param
    return record_engine(tmp_path, seed, into=into, live=live)


# ------------------------------------------------------------------------------------------------ the truth


def test_orders_are_those_of_the_engine(told: Told) -> None:
    found = {row["id"]: row for row in asked(told.store, "from orders")}
    assert set(found) == set(told.truth.orders)
    assert len(found) > 50
    for order in told.truth.orders.values():
        row = found[order.id]
        for name in ("symbol", "side", "status", "qty", "price", "reason", "fees_usd"):
            assert row[name] == getattr(order, name), name
        assert row["order_type"] == order.type
        times = [to_ms(row[name]) for name in ("placed_at", "updated_at", "filled_at", "canceled_at")]
        assert times == [order.placed_ms, order.updated_ms, order.filled_ms, order.canceled_ms]
        assert row["time_to_fill_ms"] == (None if order.filled_ms is None else order.filled_ms - order.placed_ms)
        if row["position_id"] is not None:
            assert row["position_id"] == order.position_id
        if row["correlation_id"] is not None:
            assert row["correlation_id"] == order.correlation_id


def test_positions_are_those_of_the_engine(told: Told) -> None:
    found = {row["id"]: row for row in asked(told.store, "from positions")}
    assert set(found) == set(told.truth.positions)
    for position in told.truth.positions.values():
        row, is_closed = found[position.id], position.closed_ms is not None
        for name in ("symbol", "side", "status", "entry", "stop", "stop_moves", "profits_taken", "reason"):
            assert row[name] == getattr(position, name), name
        assert row["qty"] == position.opened_qty
        assert [to_ms(row["opened_at"]), to_ms(row["closed_at"])] == [position.opened_ms, position.closed_ms]
        assert row["held_for_ms"] == (None if position.closed_ms is None else position.closed_ms - position.opened_ms)
        assert row["pnl_usd"] == (position.pnl_usd if is_closed else None)
        assert row["pnl_r"] == (position.pnl_r if is_closed else None)
        assert (row["unrealized_usd"] is None) == is_closed


def test_lists_and_single_rows_are_told_apart_and_both_there(told: Told) -> None:
    (row,) = asked(
        told.store,
        "select count(*) filter (type = 'ORDER_UPDATE') as listed, count(*) as all_of_them,"
        " count(*) filter (id is null) as nameless from order_events",
    )
    counts = told.truth.counts()
    single = sum(counts.get(f"ORDER_{word}", 0) for word in ("PLACED", "UPDATED", "CANCELED"))
    assert row["all_of_them"] == single + row["listed"]
    assert row["listed"] > 0
    assert row["nameless"] == 0


def test_each_row_of_the_rest_has_its_event(told: Told) -> None:
    counts = told.truth.counts()
    for name, types in (("stop_moves", ["STOP_MOVED"]), ("alerts", ["TAKE_PROFIT", "KILL_SWITCH", "ERROR"])):
        (row,) = asked(told.store, f"select count(*) as n from {name}")
        assert row["n"] == sum(counts.get(kind, 0) for kind in types), name
    (row,) = asked(told.store, "select count(*) as n, count(symbol) as named from signals")
    assert row == {"n": counts["SIGNAL"], "named": counts["SIGNAL"]}
    (row,) = asked(told.store, "select count(distinct seq) as scans, count(*) as n, count(price) as p from scans")
    assert row["scans"] == counts["SCAN_RESULT"]
    assert row["n"] == row["p"] > row["scans"]


def test_states_follow_each_other_without_a_hole(told: Told) -> None:
    rows = asked(told.store, "from engine_states order by seq")
    changes = [kind for kind in told.types if kind == "FSM_TRANSITION"]
    assert len(rows) in (len(changes), len(changes) + 1)
    for row, following in pairwise(rows):
        assert row["to_ns"] == following["from_ns"]
        assert following["from_state"] == row["state"] != following["state"]
        assert following["reason"]
        assert not row["is_last"]
    assert rows[-1]["is_last"]
    (end,) = asked(told.store, "select max(elapsed_ns) as end_ns from events")
    assert rows[-1]["to_ns"] == end["end_ns"]
    assert sum(row["lasted_ms"] for row in rows) == pytest.approx((end["end_ns"] - rows[0]["from_ns"]) / 1e6)


def test_rates_count_every_message_and_miss_no_second(told: Told) -> None:
    rows = asked(told.store, "from rates")
    assert sum(row["messages"] for row in rows) == len(told.types)
    assert sum(row["size_bytes"] for row in rows) == sum(sent.size_bytes for sent in told.truth.sent)
    last = max(row["second"] for row in rows)
    assert sorted((row["second"], row["type"]) for row in rows) == sorted(
        (second, kind) for second in range(last + 1) for kind in set(told.types)
    )


def test_sessions_are_known_while_they_grow(told: Told) -> None:
    (row,) = asked(told.store, "from sessions")
    manifest = told.store.manifest()
    assert row["session"] == manifest.identity.id
    assert (row["events"], row["sealed"]) == (len(told.types), manifest.sealed)
    assert json.loads(row["types"]) == manifest.types
    assert row["started_at"] == MONDAY


def test_several_sessions_are_kept_apart(tmp_path: Path) -> None:
    one = record_engine(tmp_path, 1, cycles=300)
    two = record_engine(tmp_path, 1, cycles=600, name="other", into="x.duckdb")
    for name in ("orders", "positions", "engine_states", "clocks"):
        together = asked([one.store, two.store], f"from {name} order by all")
        assert together == [
            *asked(one.store, f"from {name} order by all"),
            *asked(two.store, f"from {name} order by all"),
        ]


# ------------------------------------------------------------------------------------------------ connections


def test_connections_and_gaps_tell_of_a_loss(tmp_path: Path) -> None:
    store = open_store(add_session(tmp_path, messages=600, lose_at=300))
    first, second = asked(store, "from connections order by conn")
    assert [first["messages"], second["messages"]] == [300, 300]
    assert (first["code"], first["cause"], first["url"]) == (1006, "no close frame came", "ws://localhost:8000/ws/")
    assert first["last_seq"] < second["first_seq"]
    (gap,) = asked(store, "from gaps")
    assert gap["lasted_ms"] == pytest.approx(5_000)
    assert gap["cause"] == "no close frame came"
    assert first["closed_at"] < gap["ended_at"] == second["opened_at"]


def test_heartbeats_are_measured_on_their_connection(tmp_path: Path) -> None:
    store = open_store(add_session(tmp_path, messages=3_000, lose_at=1_700))
    rows = asked(store, "from heartbeats order by seq")
    assert [row["conn"] for row in rows] == [0, 0, 0, 1, 1, 1]
    assert [row["interval_ms"] is None for row in rows] == [True, False, False, True, False, False]
    assert all(abs(row["late_ms"]) < 200 for row in rows if row["late_ms"] is not None)
    assert {row["server_latency_ms"] for row in rows} == {45.0}


# ------------------------------------------------------------------------------------------------ what goes wrong

ODD = [
    [1, 2],
    7,
    "broken {",
    None,
    {"type": 5},
    *(
        {"type": kind, "ts": START_MS, "data": data}
        for kind in (
            "HEARTBEAT", "ENGINE_UPDATE", "SCAN_RESULT", "SIGNAL", "ORDER_PLACED", "ORDER_UPDATED", "ORDER_CANCELED",
            "ORDER_UPDATE", "POSITION_OPEN", "POSITION_CLOSE", "POSITION_UPDATE", "STOP_MOVED", "TAKE_PROFIT",
            "KILL_SWITCH", "FSM_TRANSITION", "ERROR", "NEVER_SEEN",
        )
        for data in (
            None, 7, "text", [], [1], {}, {"order": [1], "orders": {"id": 1}, "position": 7, "positions": "x"},
            {"orders": [1, None, []], "signals": [None, 3], "results": [[]], "positions": [1.5], "state": {"a": 1}},
            {"order": {"id": {"a": 1}, "qty": "many", "createdAt": 1e300, "filledAt": "yesterday"}},
            {"position": {"id": [1], "openedAt": True, "timestamps": [1]}, "timestamp": "never", "latencyMs": "soon"},
        )
    ),
    '{"type": "ORDER_PLACED", "ts": 1, "data": {"order": {"id": "x", "qty": 1e999, "price": NaN}}}',
    '{"type": "ORDER_PLACED", "ts": "\\ud800", "data": {"order": {"id": "\\ud800"}}}',
    '{"type": "ERROR", "ts": 1e18, "data": ',
    '{"type": "ERROR", "data": {"message": "no time"}}',
]  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_no_payload_breaks_a_view(tmp_path: Path, name: str) -> None:
    assert asked(record_payloads(tmp_path, ODD), f"select count(*) as n from (from {name})")[0]["n"] >= 0
    asked(record_payloads(tmp_path / "again", ODD), f"from {name}")


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("payloads", [[], [{"type": "SIGNAL", "ts": START_MS, "data": {}}]])
def test_an_empty_session_and_one_event_are_answered(tmp_path: Path, name: str, payloads: list[Any]) -> None:
    rows = asked(record_payloads(tmp_path, payloads), f"from {name}")
    if not payloads:
        assert len(rows) == (name == "sessions")
    if name == "events":
        assert len(rows) == len(payloads)


@pytest.mark.parametrize("name", VIEWS)
def test_no_session_is_no_row(name: str) -> None:
    assert asked([], f"from {name}") == []


def test_a_payload_of_another_shape_is_a_row_of_nulls(tmp_path: Path) -> None:
    types = ("ORDER_PLACED", "ORDER_UPDATE", "SIGNAL", "SCAN_RESULT")
    store = record_payloads(tmp_path, [{"type": kind, "ts": START_MS, "data": [1]} for kind in types])
    for name, count in (("order_events", 2), ("signals", 1), ("scans", 1)):
        rows = asked(store, f"select symbol from {name}")
        assert rows == [{"symbol": None}] * count, name
    assert asked(store, "from orders") == []


def test_an_empty_list_is_no_row(tmp_path: Path) -> None:
    store = record_payloads(
        tmp_path,
        [
            {"type": "ORDER_UPDATE", "ts": START_MS, "data": {"orders": []}},
            {"type": "POSITION_UPDATE", "ts": START_MS, "data": {"positions": []}},
        ],
    )
    assert asked(store, "from order_events") == asked(store, "from position_events") == []


def test_a_recording_that_began_midway_knows_what_later_payloads_say(tmp_path: Path) -> None:
    whole = record_engine(tmp_path / "whole", 6, cycles=800)
    texts = [row["text"] for row in asked(whole.store, "select text from events order by seq")]
    late = [text for text in texts if '"ORDER_PLACED"' not in text and '"POSITION_OPEN"' not in text]
    store = record_payloads(tmp_path / "late", late)
    found = {row["id"]: row for row in asked(store, "from orders")}
    for order in whole.truth.orders.values():
        if order.filled_ms is not None:
            assert to_ms(found[order.id]["placed_at"]) == order.placed_ms
            assert found[order.id]["time_to_fill_ms"] == order.filled_ms - order.placed_ms
    bare = {"type": "ORDER_UPDATED", "ts": START_MS, "data": {"order": {"id": "a", "status": "filled"}}}
    (row,) = asked(record_payloads(tmp_path / "bare", [bare]), "from orders")
    assert (row["placed_at"], row["time_to_fill_ms"], row["status"]) == (None, None, "filled")
    assert to_ms(row["filled_at"]) == START_MS


def test_what_is_recorded_twice_is_one_life(tmp_path: Path) -> None:
    whole = record_engine(tmp_path / "whole", 7, cycles=800)
    texts = [row["text"] for row in asked(whole.store, "select text from events order by seq")]
    store = record_payloads(tmp_path / "twice", [text for text in texts for _ in range(2)])
    for name in ("orders", "positions"):
        without = f"select * exclude (session, times_told, first_seq, last_seq) from {name} order by id"
        assert asked(store, without) == asked(whole.store, without)
    (once,), (twice,) = (asked(s, "select count(*) as n from engine_states") for s in (whole.store, store))
    assert once == twice


def test_a_life_that_ends_before_it_began_has_no_length(tmp_path: Path) -> None:
    order = {"id": "a", "createdAt": "2026-11-23T20:00:00+00:00", "filledAt": "2026-11-23T19:00:00+00:00"}
    position = {"id": "p", "openedAt": "2026-11-23T20:00:00Z", "closedAt": START_MS}
    store = record_payloads(
        tmp_path,
        [
            {"type": "ORDER_UPDATED", "ts": START_MS, "data": {"order": order}},
            {"type": "POSITION_CLOSE", "ts": START_MS, "data": {"position": position}},
        ],
    )
    assert asked(store, "select time_to_fill_ms as x from orders") == [{"x": None}]
    assert asked(store, "select held_for_ms as x from positions") == [{"x": None}]


def test_times_may_be_numbers_or_text(tmp_path: Path) -> None:
    payloads = [
        {"type": "ORDER_PLACED", "ts": START_MS, "data": {"order": {"id": str(index), "createdAt": told}}}
        for index, told in enumerate([START_MS, str(START_MS), MONDAY.isoformat(), "2026-11-23T19:15:00"])
    ]
    rows = asked(record_payloads(tmp_path, payloads), "select placed_at from orders")
    assert rows == [{"placed_at": MONDAY}] * 4


def test_nan_is_nan(tmp_path: Path) -> None:
    store = record_payloads(tmp_path, ['{"type": "SIGNAL", "data": {"signals": [{"confidence": NaN, "symbol": "x"}]}}'])
    (row,) = asked(store, "from signals")
    assert math.isnan(row["confidence"])
    assert row["symbol"] == "x"
    assert row["signaled_at"] is None


# ------------------------------------------------------------------------------------------------ another feed


@pytest.fixture(scope="module")
def foreign(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    library = tmp_path_factory.mktemp("captures")
    files = sorted(captures.glob("*.ws.*"))
    return [open_store(import_file(ImportOptions(file=file, library=library)).path) for file in files]


def test_a_feed_of_another_dialect_has_no_orders_but_rates_and_latency(foreign: list[Store]) -> None:
    for name in DOMAIN:
        assert asked(foreign, f"from {name}") == [], name
    for store in foreign:
        (count,) = asked(store, "select count(*) as n, count(sent_at) filter (direction = 'in') as sent from events")
        assert count["n"] > 0
        (row,) = asked(store, "select sum(messages) as n from rates")
        assert row["n"] == store.manifest().messages
        (row,) = asked(
            store, "select count(raw_ms) as raw, count(latency_ms) as n, min(latency_ms) as least from latency"
        )
        assert row["raw"] == count["sent"]
        assert row["n"] <= row["raw"]
        assert row["least"] is None or row["least"] >= 0
        asked(store, "from gaps")
        asked(store, "from connections")


# ------------------------------------------------------------------------------------------------ what they are


@pytest.mark.parametrize("name", VIEWS)
def test_the_head_of_a_view_lists_its_columns(tmp_path: Path, name: str) -> None:
    described = view(name)
    with connect([open_store(add_session(tmp_path, messages=50))]) as queries:
        answer = queries.query(f"from {name}")
        assert list(zip(answer.columns, answer.types, strict=True)) == [(c.name, c.type) for c in described.columns]
        assert queries.query(described.example).table().num_columns > 0
    assert described.summary.startswith("One row ")
    assert all(column.meaning for column in described.columns)


def test_a_view_is_a_file_each() -> None:
    folder = Path(__file__).parents[2] / "wsrecorder" / "analysis" / "views"
    assert {path.stem for path in folder.glob("*.sql")} == set(VIEWS)


def test_what_is_needed_comes_after_its_parts() -> None:
    assert needed(["positions"]) == ["events", "position_events", "positions"]
    assert needed(["nothing", "select"]) == []


def test_a_view_that_is_not_used_is_not_made(tmp_path: Path) -> None:
    with connect([open_store(add_session(tmp_path, messages=50))]) as queries:
        queries.query("select 1")
        assert queries._views == {"events"}
        queries.query('select count(*) from "Latency"')
        assert queries._views == {"events", "clocks", "latency"}
        queries.query("show tables")
        assert queries._views == set(VIEWS)


def test_every_view_is_listed(tmp_path: Path) -> None:
    for query in ("select name from (show tables)", "select table_name as name from information_schema.tables"):
        names = {row["name"] for row in asked(open_store(add_session(tmp_path / query[:11], messages=20)), query)}
        assert set(VIEWS) <= names


def test_only_events_of_its_types_are_parsed(tmp_path: Path) -> None:
    with connect([open_store(add_session(tmp_path, messages=300, segment_bytes=20_000))]) as queries:
        plan = queries.query("explain select count(*) from stop_moves where old_stop > 1").table()
    text = plan.column(1)[0].as_py()
    assert "STOP_MOVED" in text[text.index("READ_PARQUET") if "READ_PARQUET" in text else 0 :]


# ------------------------------------------------------------------------------------------------ clocks


@pytest.mark.parametrize(
    ("off_ms", "skew_ppm"), [(0, 0.0), (3 * 3_600_000, 0.0), (-3 * 3_600_000, 100.0), (50, -300.0)]
)
def test_latency_is_the_time_above_the_fastest_message(tmp_path: Path, off_ms: int, skew_ppm: float) -> None:
    told = record_engine(tmp_path, 8, cycles=1_000, step_ms=1_000, off_ms=off_ms, skew_ppm=skew_ppm)
    rows = asked(told.store, "select raw_ms, latency_ms from latency order by seq")
    fastest_ms = min(told.latencies_ns) / 1e6
    (clock,) = asked(told.store, "from clocks")
    assert clock["skew_ppm"] == pytest.approx(skew_ppm, abs=5)
    assert len(rows) == len(told.latencies_ns)
    for row, latency_ns in zip(rows, told.latencies_ns, strict=True):
        # Stamps are whole ms, and a second of skew is left under the line.
        assert row["latency_ms"] == pytest.approx(latency_ns / 1e6 - fastest_ms, abs=2.5)
        assert row["raw_ms"] == pytest.approx(latency_ns / 1e6 + off_ms, abs=1 + abs(skew_ppm))


@pytest.mark.parametrize("seed", range(6))
def test_the_view_and_the_core_estimate_the_same(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    texts, at_ms = [], 0
    every_ms, drift = [100, 900, 7_000][seed % 3], chance.choice([1e-4, 0]) if seed < 3 else -3e-4
    for _ in range(300):
        stamp_ms = START_MS + at_ms + chance.choice([0, 1, 2, 5, 1_000]) + int(at_ms * drift)
        if chance.random() < 0.02:
            stamp_ms += chance.choice([-5, 5, 10**6]) * 3_600_000
        texts.append({"type": "T", "ts": chance.choice([stamp_ms, stamp_ms, None]), "data": 1})
        at_ms += every_ms
    store = record_payloads(tmp_path, texts, every_ms=every_ms)
    rows = asked(store, "select elapsed_ns, epoch_us(sent_at) as sent_us, latency_ms from latency order by seq")
    expected = estimate(least_delays((row["elapsed_ns"], row["sent_us"]) for row in rows))
    assert expected is not None
    (found,) = asked(store, "select * exclude (session) from clocks")
    assert found == pytest.approx(asdict(expected), rel=1e-12)
    if seed == 5:
        assert found["skew_ppm"] == pytest.approx(300, rel=0.1), "one session must have a skew"
    for row in rows:
        latency_us = None
        if row["sent_us"] is not None:
            latency_us = expected.latency_us(row["elapsed_ns"], row["elapsed_ns"] // 1_000 - row["sent_us"])
        assert row["latency_ms"] == (None if latency_us is None else pytest.approx(latency_us / 1e3, abs=1e-3))


def test_a_message_without_time_stamp_has_no_latency(tmp_path: Path) -> None:
    store = record_payloads(tmp_path, [{"type": "A"}, {"type": "A", "ts": START_MS}])
    rows = asked(store, "select raw_ms, latency_ms from latency order by seq")
    assert rows == [{"raw_ms": None, "latency_ms": None}, {"raw_ms": 100.0, "latency_ms": 0.0}]
    none = record_payloads(tmp_path / "none", [{"type": "A"}, "x"])
    assert asked(none, "select raw_ms, latency_ms from latency") == [{"raw_ms": None, "latency_ms": None}] * 2


# ------------------------------------------------------------------------------------------------ notes


@pytest.mark.parametrize("into", [None, "x.duckdb"])
def test_notes_are_those_made_afterwards_and_those_recorded(tmp_path: Path, into: str | None) -> None:
    target = sink(tmp_path, "noted", MONDAY, into=into)
    start_ns = START_MS * 1_000_000
    noted = Event(0, Kind.NOTE, 0, Direction.IN, 5, start_ns + 5, detail='{"text": "recorded"}')
    target.append(from_rows([noted]))
    target.close(Health())
    NoteBook(target.path).add("it's late", elapsed_ns=3_000, received_ns=start_ns + 3_000, made_at_ns=start_ns + 10**9)
    store = open_store(target.path)
    first, second = asked(store, "from notes order by elapsed_ns")
    assert (first["text"], first["seq"], first["elapsed_ns"]) == ("recorded", 0, 5)
    assert (second["text"], second["seq"], second["session"]) == ("it's late", None, store.identity().id)
    assert to_ms(second["received_at"]) == START_MS
    assert to_ms(second["made_at"]) == START_MS + 1_000
