"""The payloads of the simulated engine: from its orders and positions to the text of a frame.

The shapes are those of the feed that wsrec is built for, and so is the text: what Python's
``json.dumps`` writes by default (``", "`` and ``": "``, ASCII escapes, bare ``NaN``), keys in the
order given here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from wsrecorder.core.engine_book import EngineState, Order, Position

__all__ = [
    "Pushed",
    "engine_update",
    "error",
    "fsm_transition",
    "heartbeat",
    "kill_switch",
    "order_event",
    "order_update",
    "position_event",
    "position_update",
    "scan_result",
    "scan_row",
    "signal",
    "stop_moved",
    "take_profit",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Pushed(NamedTuple):
    """One event of the feed, ready to be sent.

    Attributes:
        type: The envelope's type.
        sent_ms: The envelope's ``ts``, UTC ms since the epoch.
        payload: The text of the frame; pure ASCII.
    """

    type: str
    sent_ms: int
    payload: str


def _push(event_type: str, now_ms: int, data: dict[str, Any]) -> Pushed:
    return Pushed(event_type, now_ms, json.dumps({"type": event_type, "ts": now_ms, "data": data}))


def _iso(epoch_ms: int | None) -> str | None:
    if epoch_ms is None:
        return None
    return (_EPOCH + timedelta(milliseconds=epoch_ms)).isoformat(timespec="milliseconds")


def heartbeat(now_ms: int, latency_ms: float) -> Pushed:
    """Return a HEARTBEAT; the real server's latency is a constant 45."""
    return _push("HEARTBEAT", now_ms, {"latencyMs": latency_ms})


def engine_update(now_ms: int, state: EngineState, *, running: bool) -> Pushed:
    """Return an ENGINE_UPDATE."""
    return _push("ENGINE_UPDATE", now_ms, {"state": state, "running": running, "timestamp": now_ms})


def fsm_transition(
    now_ms: int, from_state: EngineState, to_state: EngineState, reason: str, metadata: dict[str, Any]
) -> Pushed:
    """Return an FSM_TRANSITION."""
    data = {"from_state": from_state, "to_state": to_state, "reason": reason, "timestamp": now_ms}
    return _push("FSM_TRANSITION", now_ms, data | {"metadata": metadata})


def scan_row(now_ms: int, rank: int, symbol: str, price: float, score: float, volume: float) -> dict[str, Any]:
    """Return one row of a SCAN_RESULT."""
    return {
        "symbol": symbol,
        "score": score,
        "rank": rank,
        "filters": {"volume": volume > 0.3, "trend": score > 0.5},
        "metrics": {"rel_volume": volume, "atr_pct": round(0.4 + score * 1.6, 3)},
        "levels": [round(price * 0.99, 6), round(price * 1.01, 6)],
        "timestamp": now_ms,
        "market_data": {"last": price},
    }


def scan_result(now_ms: int, rows: list[dict[str, Any]]) -> Pushed:
    """Return a SCAN_RESULT of rows made by `scan_row`."""
    return _push("SCAN_RESULT", now_ms, {"results": rows, "timestamp": now_ms})


def signal(now_ms: int, position: dict[str, Any]) -> Pushed:
    """Return a SIGNAL of one pending entry.

    Args:
        now_ms: UTC ms since the epoch.
        position: ``symbol``, ``side``, ``strategy``, ``reason``, ``entry``, ``level``, ``sl``,
            ``confidence``, ``correlation_id``, ``tp1`` and ``tp2``.
    """
    one = {
        "symbol": position["symbol"],
        "side": position["side"],
        "strategy": position["strategy"],
        "reason": position["reason"],
        "entry": position["entry"],
        "level": position["level"],
        "sl": position["sl"],
        "confidence": position["confidence"],
        "timestamp": now_ms,
        "status": "pending",
        "correlation_id": position["correlation_id"],
        "timestamps": {"detected_at": now_ms},
        "tp1": position["tp1"],
        "tp2": position["tp2"],
        "meta": {},
    }
    return _push("SIGNAL", now_ms, {"signals": [one], "timestamp": now_ms})


def order_event(event_type: str, now_ms: int, order: Order) -> Pushed:
    """Return an ORDER_PLACED, ORDER_UPDATED or ORDER_CANCELED."""
    data = {
        "id": order.id,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "qty": order.qty,
        "price": order.price,
        "status": order.status,
        "createdAt": _iso(order.placed_ms),
        "updatedAt": _iso(order.updated_ms),
        "filledAt": _iso(order.filled_ms),
        "fees": order.fees_usd,
        "reason": order.reason,
        "timestamp": now_ms,
    }
    return _push(event_type, now_ms, {"order": data, "timestamp": now_ms})


def order_update(now_ms: int, orders: list[Order]) -> Pushed:
    """Return an ORDER_UPDATE: the list of orders."""
    rows = [
        {
            "id": order.id,
            "position_id": order.position_id,
            "symbol": order.symbol,
            "side": order.side,
            "order_type": order.type,
            "qty": order.qty,
            "price": order.price,
            "stop_price": order.stop_price,
            "status": order.status,
            "filled_qty": order.qty if order.filled_ms is not None else 0.0,
            "avg_fill_price": order.fill_price,
            "fees_usd": order.fees_usd,
            "timestamps": {"created_at": order.placed_ms, "filled_at": order.filled_ms},
            "exchange_id": f"paper-{order.id[4:]}",
            "metadata": {"correlation_id": order.correlation_id},
        }
        for order in orders
    ]
    return _push("ORDER_UPDATE", now_ms, {"orders": rows, "timestamp": now_ms})


def position_event(event_type: str, now_ms: int, position: Position, action: str) -> Pushed:
    """Return a POSITION_OPEN, POSITION_CLOSE, or the POSITION_UPDATE of a single position."""
    closed = position.closed_ms is not None
    data = {
        "id": position.id,
        "symbol": position.symbol,
        "side": position.side,
        "entry": position.entry,
        "sl": position.stop,
        "tp": position.targets[min(position.profits_taken, 1)],
        "size": position.opened_qty if closed else position.qty,
        "mode": "paper",
        "openedAt": _iso(position.opened_ms),
        "updatedAt": _iso(position.updated_ms),
        "closedAt": _iso(position.closed_ms),
        "pnlR": position.pnl_r if closed else None,
        "pnlUsd": position.pnl_usd if closed else None,
        "unrealizedPnlR": None if closed else position.unrealized_r,
        "unrealizedPnlUsd": None if closed else position.unrealized_usd,
        "reason": position.reason,
        "action": action,
        "timestamp": now_ms,
    }
    return _push(event_type, now_ms, {"position": data, "timestamp": now_ms})


def position_update(now_ms: int, positions: list[Position]) -> Pushed:
    """Return the POSITION_UPDATE that lists positions."""
    rows = [
        {
            "id": position.id,
            "symbol": position.symbol,
            "side": position.side,
            "strategy": position.strategy,
            "qty": position.qty,
            "entry": position.entry,
            "sl": position.stop,
            "tp": position.targets[min(position.profits_taken, 1)],
            "status": position.status,
            "pnl_usd": position.unrealized_usd,
            "pnl_r": position.unrealized_r,
            "fees_usd": position.fees_usd,
            "timestamps": {"opened_at": position.opened_ms},
            "meta": {},
        }
        for position in positions
    ]
    return _push("POSITION_UPDATE", now_ms, {"positions": rows, "timestamp": now_ms})


def stop_moved(now_ms: int, position_id: str, old_stop: float, new_stop: float) -> Pushed:
    """Return a STOP_MOVED."""
    data = {"position_id": position_id, "old_stop": old_stop, "new_stop": new_stop, "timestamp": now_ms}
    return _push("STOP_MOVED", now_ms, data)


def take_profit(now_ms: int, position_id: str, price: float, pnl_usd: float) -> Pushed:
    """Return a TAKE_PROFIT; the profit is that of the part just sold, before fees."""
    data = {"position_id": position_id, "price": price, "pnl": pnl_usd, "timestamp": now_ms}
    return _push("TAKE_PROFIT", now_ms, data)


def kill_switch(now_ms: int, reason: str) -> Pushed:
    """Return a KILL_SWITCH."""
    return _push("KILL_SWITCH", now_ms, {"reason": reason, "timestamp": now_ms})


def error(now_ms: int, error_type: str, message: str, details: dict[str, Any]) -> Pushed:
    """Return an ERROR."""
    data = {"error_type": error_type, "message": message, "details": details, "timestamp": now_ms}
    return _push("ERROR", now_ms, data)
