"""A backtest: trade the recorded signals against the recorded prices, and say what came of it.

    python -m examples.backtest SESSION…

For each signal there is a limit order at its entry price. It fills at the first recorded price that reaches it; it is
given up after a minute, or where that price is past the stop already. The position closes at its stop, at its first
target, or after five minutes. Prices are those of the scans: what the engine saw, when it said so. Nothing is known
before it was received.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import wsrecorder
from wsrecorder.core.messages import ScanResult, Signal, SignalMessage
from wsrecorder.errors import WsrecError

RISK_USD = 50.0
FEE = 0.0005
"""What a fill costs, as a share of its value."""

ORDER_PATIENCE_NS = 60_000_000_000
POSITION_PATIENCE_NS = 300_000_000_000


@dataclass(slots=True)
class Trade:
    """One signal that was followed.

    Attributes:
        symbol: Such as ``BTC/USDT``.
        sign: 1 is long, -1 is short.
        entry: Price wanted; once it is open, the price had.
        stop: Where it is closed at a loss.
        target: Where it is closed with a profit.
        qty: Units of the symbol, so that the stop costs `RISK_USD`.
        since_ns: When it was wanted; once it is open, when it was opened. UTC ns since the epoch.
        exit: Price at which it was closed, None while it is not.
        reason: Why it was closed.
    """

    symbol: str
    sign: int
    entry: float
    stop: float
    target: float
    qty: float
    since_ns: int
    exit: float | None = None
    reason: str = ""

    @classmethod
    def of(cls, signal: Signal, now_ns: int) -> Trade | None:
        """Return the trade that a signal asks for; None if it does not say enough."""
        if signal.entry is None or signal.sl is None or signal.tp1 is None or signal.entry == signal.sl:
            return None
        sign = -1 if signal.side == "short" else 1
        qty = RISK_USD / abs(signal.entry - signal.sl)
        return cls(signal.symbol, sign, signal.entry, signal.sl, signal.tp1, qty, now_ns)

    def pnl_usd(self, price: float) -> float:
        """Return profit or loss if it were closed at a price, both fees taken off."""
        return self.sign * (price - self.entry) * self.qty - FEE * self.qty * (self.entry + price)


@dataclass(slots=True)
class FollowSignals:
    """The strategy: one order or position a symbol. It reads the clock, never the recording.

    Args:
        clock: Stands at the time of the event at hand.
    """

    clock: wsrecorder.VirtualClock
    waiting: dict[str, Trade] = field(default_factory=dict)
    open: dict[str, Trade] = field(default_factory=dict)
    closed: list[Trade] = field(default_factory=list)
    missed: int = 0
    prices: dict[str, float] = field(default_factory=dict)

    def see(self, event: wsrecorder.Event) -> None:
        """Act on an event."""
        match event.data:
            case SignalMessage(signals=signals):
                for signal in signals:
                    self._want(signal)
            case ScanResult(results=rows):
                for row in rows:
                    price = (row.market_data or {}).get("last")
                    if isinstance(price, int | float):
                        self._price(row.symbol, float(price))

    def _want(self, signal: Signal) -> None:
        if signal.symbol in self.waiting or signal.symbol in self.open:
            return
        trade = Trade.of(signal, self.clock.wall_ns())
        if trade is not None:
            self.waiting[signal.symbol] = trade

    def _price(self, symbol: str, price: float) -> None:
        self.prices[symbol] = price
        now_ns = self.clock.wall_ns()
        if trade := self.open.get(symbol):
            self._try_to_close(trade, price, now_ns)
        elif trade := self.waiting.get(symbol):
            if (price - trade.stop) * trade.sign <= 0:  # it fell through the entry and the stop at once
                del self.waiting[symbol]
                self.missed += 1
            elif (price - trade.entry) * trade.sign <= 0:
                trade.entry, trade.since_ns = price, now_ns
                self.open[symbol] = self.waiting.pop(symbol)
            elif now_ns - trade.since_ns > ORDER_PATIENCE_NS:
                del self.waiting[symbol]
                self.missed += 1

    def _try_to_close(self, trade: Trade, price: float, now_ns: int) -> None:
        if (price - trade.stop) * trade.sign <= 0:
            trade.reason = "stop"
        elif (price - trade.target) * trade.sign >= 0:
            trade.reason = "target"
        elif now_ns - trade.since_ns > POSITION_PATIENCE_NS:
            trade.reason = "time"
        else:
            return
        trade.exit = price
        self.closed.append(self.open.pop(trade.symbol))


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it.

    Attributes:
        closed: Trades in the order in which they were closed.
        open: Trades that the recording ended in.
        missed: Orders given up.
        pnl_usd: Profit and loss of the closed trades, fees taken off.
        unrealized_usd: That of the open ones at the last price.
        events: Events seen.
        stream: Hash of these events: equal for every run over the same recording.
    """

    closed: tuple[Trade, ...]
    open: tuple[Trade, ...]
    missed: int
    pnl_usd: float
    unrealized_usd: float
    events: int
    stream: str


async def backtest(sessions: Iterable[str | Path], library: str | Path | None = None) -> Result:
    """Play sessions, merged by time, to the strategy."""
    clock = wsrecorder.VirtualClock()
    strategy, stream, events = FollowSignals(clock), wsrecorder.StreamHash(), 0
    async for event in wsrecorder.play(sessions, library=library, clock=clock, types=["SIGNAL", "SCAN_RESULT"]):
        strategy.see(event)
        stream.add(event)
        events += 1
    return Result(
        closed=tuple(strategy.closed),
        open=tuple(strategy.open.values()),
        missed=strategy.missed,
        pnl_usd=sum(trade.pnl_usd(trade.exit) for trade in strategy.closed if trade.exit is not None),
        unrealized_usd=sum(trade.pnl_usd(strategy.prices[trade.symbol]) for trade in strategy.open.values()),
        events=events,
        stream=stream.hexdigest(),
    )


def report(result: Result) -> str:
    """Return the result as a table for people."""
    lines = [f"{'symbol':<10} {'side':<5} {'qty':>10} {'entry':>10} {'exit':>10} {'why':<7} {'PnL USD':>9}"]
    for trade in result.closed:
        assert trade.exit is not None, "a closed trade has an exit"
        side = "long" if trade.sign > 0 else "short"
        lines.append(
            f"{trade.symbol:<10} {side:<5} {trade.qty:>10.4f} {trade.entry:>10.4f} {trade.exit:>10.4f}"
            f" {trade.reason:<7} {trade.pnl_usd(trade.exit):>9.2f}"
        )
    won = sum(trade.exit is not None and trade.pnl_usd(trade.exit) > 0 for trade in result.closed)
    lines += [
        f"{len(result.closed)} trades closed, {won} of them won; {len(result.open)} still open, {result.missed} missed",
        f"PnL {result.pnl_usd:.2f} USD, open positions {result.unrealized_usd:.2f} USD",
        f"{result.events:,} events, stream {result.stream}",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the backtest on the sessions that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m examples.backtest", description=__doc__.partition("\n")[0])
    parser.add_argument("sessions", nargs="+", metavar="SESSION", help="path, id, name or latest; several are merged")
    parser.add_argument("--library", help="folder of sessions; by default WSREC_LIBRARY or ./recordings")
    asked = parser.parse_args(arguments)
    try:
        print(report(asyncio.run(backtest(asked.sessions, asked.library))))
    except WsrecError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
