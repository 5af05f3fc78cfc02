"""The examples run, give the same each time, and count right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.example import MONDAY, TUESDAY, add_session
from examples.backtest import FEE, FollowSignals, Trade, backtest, main, report
from wsrecorder.clock import VirtualClock
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.messages import Signal

SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    add_session(folder, "day", MONDAY, 1_500)
    add_session(folder, "night", TUESDAY, 800, seed=11, into="night.duckdb")
    return folder


async def test_two_runs_give_identical_results(library: Path) -> None:
    first = await backtest(["day", "night"], library)
    assert first.closed
    assert await backtest(["day", "night"], library) == first
    assert await backtest(["night", "day"], library) == first
    assert report(first).splitlines()[-1] == f"{first.events:,} events, stream {first.stream}"


async def test_an_account_is_the_sum_of_its_trades(library: Path) -> None:
    result = await backtest(["day"], library)
    pnls = [
        (trade.exit - trade.entry) * trade.qty * trade.sign - FEE * trade.qty * (trade.entry + trade.exit)
        for trade in result.closed
        if trade.exit is not None
    ]
    assert len(pnls) == len(result.closed)
    assert result.pnl_usd == pytest.approx(sum(pnls))


def test_the_program_prints_its_report(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["night", "--library", str(library)]) == 0
    assert "PnL" in capsys.readouterr().out
    assert main(["nobody", "--library", str(library)]) == 4
    assert "hint: " in capsys.readouterr().err


# The strategy


def scan(symbol: str, price: float) -> str:
    row = {"symbol": symbol, "market_data": {"last": price}}
    return json.dumps({"type": "SCAN_RESULT", "data": {"results": [row]}})


def seen(*steps: tuple[float, str]) -> FollowSignals:
    """Return a strategy that has seen scans, or the signal to go long at 100 (stop 99, target 102)."""
    clock = VirtualClock()
    strategy = FollowSignals(clock)
    signal = (
        '{"type": "SIGNAL", "data": {"signals": [{"symbol": "A", "side": "long", "entry": 100, "sl": 99, "tp1": 102}]}}'
    )
    for at_s, what in steps:
        clock.move_to(round(at_s * SECOND_NS), round(at_s * SECOND_NS))
        text = signal if what == "signal" else scan("A", float(what))
        kind = "SIGNAL" if what == "signal" else "SCAN_RESULT"
        strategy.see(Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, type=kind, text=text))
    return strategy


@pytest.mark.parametrize(
    ("steps", "exit_price", "reason"),
    [
        ([(0, "signal"), (1, "101"), (2, "99.9"), (3, "102.5")], 102.5, "target"),
        ([(0, "signal"), (1, "100"), (2, "98")], 98, "stop"),
        ([(0, "signal"), (1, "100"), (302, "100.5")], 100.5, "time"),
    ],
)
def test_a_position_is_closed_where_it_should_be(
    steps: list[tuple[float, str]], exit_price: float, reason: str
) -> None:
    [trade] = seen(*steps).closed
    assert (trade.exit, trade.reason) == (exit_price, reason)


@pytest.mark.parametrize("steps", [[(0, "signal"), (61, "101")], [(0, "signal"), (1, "98")]])
def test_an_order_is_given_up_that_comes_too_late_or_too_deep(steps: list[tuple[float, str]]) -> None:
    strategy = seen(*steps)
    assert (strategy.missed, strategy.waiting, strategy.open) == (1, {}, {})


def test_one_symbol_is_traded_once_at_a_time() -> None:
    assert len(seen((0, "signal"), (1, "signal")).waiting) == 1
    assert len(seen((0, "signal"), (1, "100"), (2, "signal")).open) == 1


def test_a_signal_that_does_not_say_enough_is_let_go() -> None:
    assert Trade.of(Signal("A", entry=100.0, tp1=102.0), 0) is None
    assert Trade.of(Signal("A", entry=100.0, sl=100.0, tp1=102.0), 0) is None


def test_fees_are_taken_off_on_both_sides() -> None:
    trade = Trade("A", -1, entry=100.0, stop=101.0, target=98.0, qty=2.0, since_ns=0)
    assert trade.pnl_usd(98.0) == pytest.approx(4.0 - FEE * 2 * 198)
