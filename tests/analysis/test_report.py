"""The figures of a report: checked against the simulated engine's own truth, bounded, honest where there is nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from docs.example import MONDAY, add_session, engine_batches, sink
from tests.store.sessions import STARTED_NS, duckdb_sink, fill, parquet_sink
from wsrecorder.analysis import report as report_module
from wsrecorder.analysis.report import MOST_BARS, MOST_BINS, MOST_TYPES, make_report
from wsrecorder.analysis.report_figures import Bars, Report
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.core.engine import Engine
from wsrecorder.core.engine_book import GroundTruth
from wsrecorder.core.event import Direction, Event, Kind, to_epoch_ns
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows

MESSAGES = 3_000


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Three thousand messages of the engine, with a gap of 5 s."""
    return open_session(add_session(tmp_path_factory.mktemp("library"), messages=MESSAGES, lose_at=1_700))


@pytest.fixture(scope="module")
def report(session: Session) -> Report:
    return make_report(session)


@pytest.fixture(scope="module")
def truth() -> GroundTruth:
    """What the engine really did until the last message that was recorded in a session without a gap."""
    found = GroundTruth()
    stream = Engine(7, nan=0.05, truth=found).stream(to_epoch_ns(MONDAY) // 1_000_000, 20.0)
    for _ in range(1_000):
        next(stream)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report of the first thousand messages, without a gap."""
    return make_report(open_session(add_session(tmp_path_factory.mktemp("library"), messages=1_000)))


def made_of(library: Path, events: list[Event]) -> Report:
    target = parquet_sink(library)
    if events:
        target.append(from_rows(events))
    target.close(Health())
    return make_report(open_session(target.path))


def message(seq: int, text: str, type_: str | None = None, *, elapsed_ns: int, sent_at_us: int | None = None) -> Event:
    return Event(
        seq=seq, kind=Kind.MESSAGE, conn=0, direction=Direction.IN, elapsed_ns=elapsed_ns, type=type_,
        received_ns=STARTED_NS + elapsed_ns, sent_at_us=sent_at_us, text=text,
    )  # fmt: skip


def test_density_counts_every_message_of_every_type(report: Report, session: Session) -> None:
    counted = [round(sum(found.per_s) * report.bin_s) for found in report.density.types]
    assert counted == [found.messages for found in report.density.types]
    assert sum(counted) == MESSAGES
    named = {found.type: found.messages for found in report.density.types if found.type is not None}
    assert named.items() <= session.info.types.items()
    assert len(named) == MOST_TYPES - 1
    assert report.density.types[-1].folded == len(session.info.types) - len(named)


def test_bins_cover_the_session_without_a_hole(report: Report) -> None:
    at_s = report.density.at_s
    assert at_s[0] == 0
    assert at_s[-1] <= report.span_s < at_s[-1] + report.bin_s
    assert {round(b - a, 9) for a, b in pairwise(at_s)} == {report.bin_s}
    assert len(at_s) <= MOST_BINS


def test_nothing_is_counted_in_a_gap(report: Report) -> None:
    assert report.gaps.count == 1
    [gap] = report.gaps.longest
    assert gap.to_s - gap.from_s == pytest.approx(5.0)
    assert report.gaps.total_s == pytest.approx(5.0)
    assert gap.cause == "no close frame came"
    inside = [i for i, at_s in enumerate(report.density.at_s) if gap.from_s < at_s and at_s + report.bin_s < gap.to_s]
    assert inside
    assert sum(found.per_s[i] for found in report.density.types for i in inside) == 0


def test_connections_end_where_the_gap_begins(report: Report) -> None:
    first, second = report.connections
    [gap] = report.gaps.longest
    assert (first.from_s, first.to_s) == (0.0, pytest.approx(gap.from_s))
    assert (second.from_s, second.to_s) == (pytest.approx(gap.to_s), pytest.approx(report.span_s))
    assert (first.code, first.why) == (1006, "no close frame came")
    assert first.messages + second.messages == MESSAGES


def test_latency_is_that_of_the_rows(report: Report, session: Session) -> None:
    rows = session.sql("select latency_ms from latency where latency_ms is not null order by 1")
    values = rows.column("latency_ms").to_pylist()
    found = report.latency
    assert found is not None
    assert found.messages == len(values) == MESSAGES
    assert found.p50_ms == pytest.approx((values[MESSAGES // 2 - 1] + values[MESSAGES // 2]) / 2)
    assert found.max_ms == values[-1] == max(found.over_time.max_ms)
    assert sum(found.spread.messages) + found.spread.beyond == MESSAGES
    assert found.spread.beyond == sum(value >= found.spread.to_ms for value in values)
    assert sum(each.messages for each in found.types) == MESSAGES


def test_states_share_each_bin_and_last_as_long_as_the_session(whole: Report) -> None:
    assert whole.engine is not None
    total_s = sum(state.total_s for state in whole.engine.states)
    assert total_s == pytest.approx(whole.span_s, abs=1.0)
    for shares in list(zip(*(state.share for state in whole.engine.states), strict=True))[1:-1]:
        assert sum(shares) == pytest.approx(1.0, abs=1e-4)


def test_orders_are_those_that_the_engine_placed(whole: Report, truth: GroundTruth) -> None:
    assert whole.orders is not None
    placed = truth.orders
    drawn = {bar.id: bar for bar in whole.orders.longest}
    assert drawn.keys() == placed.keys()
    assert whole.orders.outcomes == Counter(order.status for order in placed.values())
    start_ms = to_epoch_ns(MONDAY) / 1e6
    for order_id, order in placed.items():
        bar = drawn[order_id]
        ended_ms = order.filled_ms or order.canceled_ms
        # By our clock, which is later than the engine's by the delay of the fastest message.
        assert bar.from_s == pytest.approx((order.placed_ms - start_ms) / 1e3, abs=0.002)
        assert bar.to_s == (pytest.approx((ended_ms - start_ms) / 1e3, abs=0.002) if ended_ms else whole.span_s)
        assert (bar.symbol, bar.side, bar.outcome) == (order.symbol, order.side, order.status)


def test_positions_are_those_that_the_engine_held(whole: Report, truth: GroundTruth) -> None:
    assert whole.positions is not None
    drawn = {bar.id: bar for bar in whole.positions.longest}
    assert drawn.keys() == truth.positions.keys()
    for position_id, position in truth.positions.items():
        bar = drawn[position_id]
        if position.closed_ms is None:
            assert (bar.outcome, bar.to_s) == ("open", whole.span_s)
        else:
            assert bar.outcome == ("won" if position.pnl_usd > 0 else "lost" if position.pnl_usd < 0 else "closed")
            assert bar.pnl_usd == pytest.approx(position.pnl_usd, abs=0.01)


def test_open_at_once_is_the_most_of_each_bin(whole: Report) -> None:
    for found in (whole.orders, whole.positions):
        assert found is not None
        for at_s, most in zip(found.at_s, found.open, strict=True):
            assert most == most_open(found, at_s, at_s + whole.bin_s, whole.span_s)


def most_open(found: Bars, from_s: float, to_s: float, span_s: float) -> int:
    """Count, at each moment at which something begins, what is open: it is open until its end, and not at it."""
    moments = [from_s, *(bar.from_s for bar in found.longest if from_s <= bar.from_s < to_s)]
    return max(
        sum(bar.from_s <= moment and (moment < bar.to_s or bar.outcome == "open") for bar in found.longest)
        for moment in moments
        if moment <= span_s
    )


def test_both_forms_of_a_session_give_the_same_report(tmp_path: Path) -> None:
    (tmp_path / "parquet").mkdir()
    fill(parquet_sink(tmp_path / "parquet"), 200)
    fill(duckdb_sink(tmp_path), 200)
    folder = make_report(open_session("latest", library=tmp_path / "parquet"))
    file = make_report(open_session(tmp_path / "test.duckdb"))
    assert folder.to_dict() | {"session": None} == file.to_dict() | {"session": None}


def test_session_without_events_has_a_report(tmp_path: Path) -> None:
    found = made_of(tmp_path, [])
    assert (found.span_s, found.density.types, found.connections, found.gaps.count) == (0, [], [], 0)
    assert (found.latency, found.engine, found.orders, found.positions) == (None, None, None, None)
    json.dumps(found.to_dict(), allow_nan=False)


def test_session_of_one_event_has_a_report(tmp_path: Path) -> None:
    found = made_of(tmp_path, [message(0, "{}", elapsed_ns=0)])
    assert [(each.type, each.messages) for each in found.density.types] == [(None, 1)]
    assert len(found.density.at_s) == 1


@pytest.mark.parametrize(
    "text",
    ["[1, 2]", "7", "null", '{"type"', '{"data": {"order": 5}}',
     '{"data": {"order": {"id": "1", "createdAt": "soon"}}}',
     '{"data": {"order": {"id": "1", "createdAt": "9999-12-31T23:59:59Z", "status": "filled"}}}'],
)  # fmt: skip
def test_payloads_of_another_shape_break_nothing(tmp_path: Path, text: str) -> None:
    types = ["ORDER_PLACED", "ORDER_UPDATED", "POSITION_OPEN", "POSITION_UPDATE", "ENGINE_UPDATE", "FSM_TRANSITION"]
    sent_at_us = STARTED_NS // 1_000
    found = made_of(
        tmp_path,
        [message(i, text, name, elapsed_ns=i * 10**9, sent_at_us=sent_at_us) for i, name in enumerate(types)],
    )
    json.dumps(found.to_dict(), allow_nan=False)
    for bars in (found.orders, found.positions):
        assert all(0 <= bar.from_s <= bar.to_s <= found.span_s for bar in (bars.longest if bars else []))


def test_sender_whose_clock_is_hours_off_changes_no_bar(tmp_path: Path) -> None:
    def told(off_us: int, folder: Path) -> Report:
        folder.mkdir()
        sent_at_us = STARTED_NS // 1_000 + off_us
        order = {"order": {"id": "a", "status": "open"}, "timestamp": sent_at_us // 1_000 + 1_000}
        placed = json.dumps({"type": "ORDER_PLACED", "ts": 0, "data": order})
        events = [
            message(0, "{}", "X", elapsed_ns=0, sent_at_us=sent_at_us),
            message(1, placed, "ORDER_PLACED", elapsed_ns=1_000_000_000, sent_at_us=sent_at_us + 1_000_000),
            message(2, "{}", "X", elapsed_ns=3_000_000_000, sent_at_us=sent_at_us + 3_000_000),
        ]
        return made_of(folder, events)

    right, wrong = told(0, tmp_path / "right"), told(-7_200_000_000, tmp_path / "wrong")
    assert right.orders is not None
    assert right.orders == wrong.orders
    [bar] = right.orders.longest
    assert (bar.from_s, bar.to_s, bar.outcome) == (1.0, 3.0, "open")


def test_long_session_has_no_more_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MOST_BARS", 20)
    monkeypatch.setattr(report_module, "MOST_BINS", 40)
    found = make_report(open_session(add_session(tmp_path, messages=2_000)))
    assert len(found.density.at_s) <= 40
    assert found.orders is not None
    assert len(found.orders.longest) == 20 < sum(found.orders.outcomes.values())
    shortest_s = min(bar.to_s - bar.from_s for bar in found.orders.longest)
    assert shortest_s > 0
    assert [bar.from_s for bar in found.orders.longest] == sorted(bar.from_s for bar in found.orders.longest)


def test_session_that_is_being_recorded_has_a_report(tmp_path: Path) -> None:
    target = sink(tmp_path, "live", MONDAY)
    batches: Iterator[object] = engine_batches(MONDAY, 200)
    target.append(next(batches))  # type: ignore[arg-type]
    found = make_report(open_session(target.path))
    assert found.density.types
    target.close(Health())


def test_limits_keep_a_plot_to_a_few_thousand_points() -> None:
    assert MOST_BINS * MOST_TYPES <= 4_000
    assert MOST_BARS + MOST_BINS <= 4_000
