"""The trading side of the simulated engine: signals become orders, orders become positions.

An order to enter is a limit order. It fills when the price comes to it, is moved at most once
towards the price, and is canceled when it waits too long. A fill opens a position. A position
takes half its profit at the first target and moves its stop to the entry, trails its stop while
it gains, and closes at its stop, at the second target, or when it is too old; each time a market
order is placed and filled at once. One order or position a symbol, never both.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

from wsrecorder.core import engine_payloads as payloads
from wsrecorder.core.engine_book import GroundTruth, Order, Position
from wsrecorder.core.engine_market import SYMBOLS, Market
from wsrecorder.core.engine_payloads import Pushed

__all__ = ["Trading"]

_RISK_USD = 50.0
_LIMIT_FEE, _MARKET_FEE = 0.0002, 0.0005
_ORDER_PATIENCE, _POSITION_PATIENCE = 12, 90  # in cycles
_STRATEGIES = ("momentum", "breakout", "mean_reversion")
_REASONS = ("price \u2265 VWAP, volume rising", "20-bar high broken", "RSI back under 70", "level held twice")


class Trading:
    """Open orders and positions, moved one cycle at a time.

    Args:
        rng: Where chance and ids come from.
        market: The prices traded at.
        truth: Where each order and position is noted, or None.
        out: Where events are pushed to.
    """

    def __init__(self, rng: Random, market: Market, truth: GroundTruth | None, out: list[Pushed]) -> None:
        self._rng = rng
        self._market = market
        self._truth = truth
        self._out = out
        self.orders: list[Order] = []
        self.positions: list[Position] = []
        self._signals: list[dict[str, Any]] = []
        self._intents: dict[str, dict[str, Any]] = {}
        self._ended: deque[Order] = deque(maxlen=2)

    def signal(self, now_ms: int) -> bool:
        """Push a SIGNAL for a free symbol; return False when every symbol is taken."""
        rng = self._rng
        taken = {order.symbol for order in self.orders} | {position.symbol for position in self.positions}
        free = [symbol.name for symbol in SYMBOLS if symbol.name not in taken]
        if not free:
            return False
        symbol = rng.choice(free)
        sign = rng.choice((1, -1))
        last = self._market.prices[symbol]
        entry = self._market.quote(symbol, last * (1 - sign * rng.uniform(0, 0.0008)))
        distance = entry * rng.uniform(0.003, 0.007)
        intent = {
            "symbol": symbol,
            "side": "long" if sign > 0 else "short",
            "strategy": rng.choice(_STRATEGIES),
            "reason": rng.choice(_REASONS),
            "entry": entry,
            "level": last,
            "sl": self._market.quote(symbol, entry - sign * distance),
            "confidence": round(rng.uniform(0.5, 0.99), 2),
            "correlation_id": f"sig-{rng.getrandbits(32):08x}",
            "tp1": self._market.quote(symbol, entry + sign * distance * 1.5),
            "tp2": self._market.quote(symbol, entry + sign * distance * 3),
        }
        self._signals.append(intent)
        broken = self._market.broken()
        shown = intent if broken is None else intent | {"confidence": broken}
        self._out.append(payloads.signal(now_ms, shown))
        return True

    def act_on_signals(self, now_ms: int) -> None:
        """Place an order for most pending signals; the others come to nothing."""
        signals, self._signals = self._signals, []
        for intent in signals:
            if self._rng.random() < 0.2:
                continue
            qty = _RISK_USD / abs(intent["entry"] - intent["sl"])
            order = Order(
                id=self._new_id("ord"),
                symbol=intent["symbol"],
                side="buy" if intent["side"] == "long" else "sell",
                type="limit",
                qty=float(f"{qty:.4g}"),
                price=intent["entry"],
                reason=intent["strategy"],
                placed_ms=now_ms,
                stop_price=intent["sl"],
                correlation_id=intent["correlation_id"],
            )
            self._intents[order.id] = intent
            self.orders.append(order)
            self._place(now_ms, order)

    def work_orders(self, now_ms: int) -> None:
        """Fill, move or cancel each open order as the price has it."""
        for order in list(self.orders):
            order.age += 1
            last = self._market.prices[order.symbol]
            if last <= order.price if order.side == "buy" else last >= order.price:
                self._open_position(now_ms, order)
            elif order.age > _ORDER_PATIENCE:
                self.cancel(now_ms, order, "not filled in time")
            elif order.age == 4 and self._rng.random() < 0.4:
                # Half way to the price: a stop stays on its side, as the price moved away from it.
                order.price = self._market.quote(order.symbol, (order.price + last) / 2)
                order.updated_ms = now_ms
                self._out.append(payloads.order_event("ORDER_UPDATED", now_ms, order))

    def work_positions(self, now_ms: int) -> None:
        """Value each open position; move its stop, take profit or close it as the price has it."""
        for position in list(self.positions):
            position.age += 1
            last = self._market.prices[position.symbol]
            gain = (last - position.entry) * position.sign
            position.unrealized_usd = round(gain * position.qty, 2)
            position.updated_ms = now_ms
            if (last - position.stop) * position.sign <= 0:
                self.close(now_ms, position, "stop_loss")
            elif (last - position.targets[min(position.profits_taken, 1)]) * position.sign >= 0:
                self._take_profit(now_ms, position, last)
            elif position.age > _POSITION_PATIENCE:
                self.close(now_ms, position, "time_stop")
            else:
                self._hold(now_ms, position, last, gain)
        if len(self.positions) > 1 and self._rng.random() < 0.03:
            self._out.append(payloads.position_update(now_ms, self.positions))

    def close(self, now_ms: int, position: Position, reason: str) -> None:
        """Sell the rest of a position at the market and close it."""
        self._sell(now_ms, position, position.qty, reason)
        position.status = "closed"
        position.reason = reason
        position.closed_ms = position.updated_ms = now_ms
        self.positions.remove(position)
        self._out.append(payloads.position_event("POSITION_CLOSE", now_ms, position, "closed"))

    def cancel(self, now_ms: int, order: Order, reason: str) -> None:
        """Cancel an open order."""
        order.status = "canceled"
        order.reason = reason
        order.canceled_ms = order.updated_ms = now_ms
        self._end(order)
        self._out.append(payloads.order_event("ORDER_CANCELED", now_ms, order))

    def flatten(self, now_ms: int, reason: str) -> None:
        """Forget the signals, cancel every order and close every position."""
        self.drop_signals()
        for order in list(self.orders):
            self.cancel(now_ms, order, reason)
        for position in list(self.positions):
            self.close(now_ms, position, reason)

    def drop_signals(self) -> None:
        """Forget the signals that have no order yet."""
        self._signals.clear()

    def order_list(self, now_ms: int) -> Pushed:
        """Return the ORDER_UPDATE that lists the open orders and those that ended last."""
        return payloads.order_update(now_ms, [*self._ended, *self.orders])

    def position_list(self, now_ms: int) -> Pushed:
        """Return the POSITION_UPDATE that lists the open positions."""
        return payloads.position_update(now_ms, self.positions)

    def _open_position(self, now_ms: int, order: Order) -> None:
        intent = self._intents[order.id]
        position = Position(
            id=self._new_id("pos"),
            symbol=order.symbol,
            side=intent["side"],
            strategy=intent["strategy"],
            entry=order.price,
            stop=intent["sl"],
            targets=(intent["tp1"], intent["tp2"]),
            qty=order.qty,
            opened_qty=order.qty,
            risk_usd=round(abs(order.price - intent["sl"]) * order.qty, 2),
            opened_ms=now_ms,
            order_id=order.id,
        )
        self.positions.append(position)
        if self._truth is not None:
            self._truth.positions[position.id] = position
        self._fill(now_ms, order, position, order.price, _LIMIT_FEE)
        self._end(order)
        self._out.append(payloads.position_event("POSITION_OPEN", now_ms, position, "opened"))

    def _take_profit(self, now_ms: int, position: Position, last: float) -> None:
        position.profits_taken += 1
        final = position.profits_taken == 2
        qty = position.qty if final else float(f"{position.qty / 2:.4g}")
        pnl_usd = round((last - position.entry) * position.sign * qty, 2)
        self._out.append(payloads.take_profit(now_ms, position.id, last, pnl_usd))
        if final:
            self.close(now_ms, position, "take_profit")
        else:
            self._sell(now_ms, position, qty, "take_profit")
            self._move_stop(now_ms, position, position.entry)

    def _hold(self, now_ms: int, position: Position, last: float, gain: float) -> None:
        chance = self._rng.random()
        distance = position.risk_usd / position.opened_qty
        if gain > 0.6 * distance and chance < 0.25:
            self._move_stop(now_ms, position, self._market.quote(position.symbol, last - position.sign * distance))
        elif chance < 0.3:
            self._out.append(payloads.position_event("POSITION_UPDATE", now_ms, position, "updated"))

    def _move_stop(self, now_ms: int, position: Position, new_stop: float) -> None:
        if (new_stop - position.stop) * position.sign <= 0:
            return  # a stop never moves against its position
        self._out.append(payloads.stop_moved(now_ms, position.id, position.stop, new_stop))
        position.stop = new_stop
        position.stop_moves += 1

    def _sell(self, now_ms: int, position: Position, qty: float, reason: str) -> None:
        last = self._market.prices[position.symbol]
        order = Order(
            id=self._new_id("ord"),
            symbol=position.symbol,
            side="sell" if position.side == "long" else "buy",
            type="market",
            qty=qty,
            price=last,
            reason=reason,
            placed_ms=now_ms,
            position_id=position.id,
        )
        self._place(now_ms, order)
        self._fill(now_ms, order, position, last, _MARKET_FEE)
        self._ended.append(order)
        gain_usd = (last - position.entry) * position.sign * qty
        position.realized_usd = round(position.realized_usd + gain_usd, 2)
        position.qty = round(position.qty - qty, 8)
        position.unrealized_usd = round((last - position.entry) * position.sign * position.qty, 2)

    def _place(self, now_ms: int, order: Order) -> None:
        if self._truth is not None:
            self._truth.orders[order.id] = order
        self._out.append(payloads.order_event("ORDER_PLACED", now_ms, order))

    def _fill(self, now_ms: int, order: Order, position: Position, price: float, fee: float) -> None:
        order.status = "filled"
        order.filled_ms = order.updated_ms = now_ms
        order.fill_price = price
        order.fees_usd = round(order.qty * price * fee, 4)
        order.position_id = position.id
        position.fees_usd = round(position.fees_usd + order.fees_usd, 4)
        self._out.append(payloads.order_event("ORDER_UPDATED", now_ms, order))

    def _end(self, order: Order) -> None:
        self.orders.remove(order)
        del self._intents[order.id]
        self._ended.append(order)

    def _new_id(self, prefix: str) -> str:
        # 48 bits: two equal ids among a million turn up in one session of 500.
        return f"{prefix}-{self._rng.getrandbits(48):012x}"
