"""What payloads say of signals, orders and positions, whatever their shape.

An event names one order (``{"order": {…}}``) or lists them (``{"orders": [{…}]}``), and the two spell the
same facts differently; so do those of positions. Here they become one: facts, None where the event says
nothing. Nothing fails: what has another shape names no entity, a number that is none (``NaN``) is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from wsrecorder.core.lenient import entries_of, moment_ms, number, word

__all__ = [
    "ORDER_TYPES",
    "POSITION_TYPES",
    "OrderFacts",
    "PositionFacts",
    "SignalFacts",
    "orders_in",
    "positions_in",
    "signals_in",
]

ORDER_TYPES: Final = frozenset({"ORDER_PLACED", "ORDER_UPDATED", "ORDER_CANCELED", "ORDER_UPDATE"})
"""Types of the events that speak of orders."""

POSITION_TYPES: Final = frozenset({"POSITION_OPEN", "POSITION_UPDATE", "POSITION_CLOSE", "STOP_MOVED", "TAKE_PROFIT"})
"""Types of the events that speak of positions."""

_ENDED: Final = frozenset(
    {"filled", "canceled", "cancelled", "rejected", "expired", "closed", "done", "failed", "liquidated"}
)


class SignalFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one event says of a signal.

    Attributes:
        id: Its ``correlation_id``.
        symbol: Such as ``BTC/USDT``.
        side: ``long`` or ``short``.
        strategy: Who had the idea.
        entry: Price wanted, quote currency.
        confidence: As the engine rates it.
        status: In lower case, such as ``pending``.
        reason: Why.
        signaled_ms: When it was given, UTC ms since the epoch.
    """

    id: str
    symbol: str | None = None
    side: str | None = None
    strategy: str | None = None
    entry: float | None = None
    confidence: float | None = None
    status: str | None = None
    reason: str | None = None
    signaled_ms: int | None = None


class OrderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one event says of an order; times are UTC ms since the epoch.

    Attributes:
        id: Joins the events of one order.
        symbol: Such as ``BTC/USDT``.
        side: ``buy`` or ``sell``.
        kind: ``limit``, ``market`` …
        qty: In units of the base currency.
        price: Limit price, quote currency.
        stop_price: The stop that goes with it.
        status: In lower case: ``open``, ``filled``, ``canceled`` …
        filled_qty: How much of it was filled.
        fill_price: Average price of the fill.
        fees_usd: Paid so far.
        placed_ms: When it was placed.
        filled_ms: When it was filled.
        reason: Why it was placed or canceled.
        position_id: The position that it opened or works on.
        correlation_id: The signal that it came from.
        is_ended: Whether it is open no more.
    """

    id: str
    symbol: str | None = None
    side: str | None = None
    kind: str | None = None
    qty: float | None = None
    price: float | None = None
    stop_price: float | None = None
    status: str | None = None
    filled_qty: float | None = None
    fill_price: float | None = None
    fees_usd: float | None = None
    placed_ms: int | None = None
    filled_ms: int | None = None
    reason: str | None = None
    position_id: str | None = None
    correlation_id: str | None = None
    is_ended: bool = False


class PositionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one event says of a position; times are UTC ms since the epoch.

    Attributes:
        id: Joins the events of one position.
        symbol: Such as ``BTC/USDT``.
        side: ``long`` or ``short``.
        strategy: The strategy of its signal.
        qty: What is held, units of the base currency.
        entry: Price at which it was opened.
        stop: Where the stop stands.
        target: Where profit is taken.
        mode: ``paper`` or ``live``.
        opened_ms: When it was opened.
        closed_ms: When it was closed.
        pnl_usd: Profit of a closed one.
        pnl_r: The same in units of the first risk.
        unrealized_usd: Profit so far of an open one.
        unrealized_r: The same in units of the first risk.
        fees_usd: Paid so far.
        reason: Why it was opened or closed.
        order_id: The order that opened it.
        correlation_id: The signal that it came from.
        is_ended: Whether it is open no more.
    """

    id: str
    symbol: str | None = None
    side: str | None = None
    strategy: str | None = None
    qty: float | None = None
    entry: float | None = None
    stop: float | None = None
    target: float | None = None
    mode: str | None = None
    opened_ms: int | None = None
    closed_ms: int | None = None
    pnl_usd: float | None = None
    pnl_r: float | None = None
    unrealized_usd: float | None = None
    unrealized_r: float | None = None
    fees_usd: float | None = None
    reason: str | None = None
    order_id: str | None = None
    correlation_id: str | None = None
    is_ended: bool = False


def signals_in(data: Any) -> list[SignalFacts]:
    """Return what a SIGNAL event says, a signal each; those without a ``correlation_id`` cannot be told apart."""
    found = [(entry, _id(entry.get("correlation_id"))) for entry in entries_of(data, "signal", "signals")[0]]
    return [
        SignalFacts(
            id=id,
            symbol=word(entry.get("symbol")),
            side=_lower(entry.get("side")),
            strategy=word(entry.get("strategy")),
            entry=number(entry.get("entry")),
            confidence=number(entry.get("confidence")),
            status=_lower(entry.get("status")),
            reason=word(entry.get("reason")),
            signaled_ms=moment_ms(entry.get("timestamp")),
        )
        for entry, id in found
        if id is not None
    ]


def orders_in(event_type: str | None, data: Any) -> tuple[list[OrderFacts], bool]:
    """Return what an event says of orders, an order each, and whether it is the list of all there are.

    A list with an entry that names no order may leave out more: it is not taken for all.
    """
    if event_type not in ORDER_TYPES:
        return [], False
    entries, is_list = entries_of(data, "order", "orders")
    is_canceled = event_type == "ORDER_CANCELED"
    found = [_order(entry, id, is_canceled=is_canceled) for entry in entries if (id := _id(entry.get("id")))]
    return found, event_type == "ORDER_UPDATE" and is_list and len(found) == len(data["orders"])


def positions_in(event_type: str | None, data: Any) -> tuple[list[PositionFacts], bool]:
    """Return what an event says of positions, a position each, and whether it is the list of all there are.

    A list with an entry that names no position may leave out more: it is not taken for all.
    """
    if event_type not in POSITION_TYPES:
        return [], False
    if event_type in ("STOP_MOVED", "TAKE_PROFIT"):
        id = _id(data.get("position_id")) if isinstance(data, dict) else None
        return ([PositionFacts(id=id, stop=number(data.get("new_stop")))] if id else []), False
    entries, is_list = entries_of(data, "position", "positions")
    is_closed = event_type == "POSITION_CLOSE"
    found = [_position(entry, id, is_closed=is_closed) for entry in entries if (id := _id(entry.get("id")))]
    return found, event_type == "POSITION_UPDATE" and is_list and len(found) == len(data["positions"])


def _order(entry: Mapping[str, Any], id: str, *, is_canceled: bool) -> OrderFacts:
    times, more = _object(entry.get("timestamps")), _object(entry.get("metadata")) or _object(entry.get("meta"))
    status = _lower(entry.get("status"))
    return OrderFacts(
        id=id,
        symbol=word(entry.get("symbol")),
        side=_lower(entry.get("side")),
        kind=_lower(entry.get("type")) or _lower(entry.get("order_type")),
        qty=number(entry.get("qty")),
        price=number(entry.get("price")),
        stop_price=number(entry.get("stop_price")),
        status=status or ("canceled" if is_canceled else None),
        filled_qty=number(entry.get("filled_qty")),
        fill_price=number(entry.get("avg_fill_price")),
        fees_usd=_first(number(entry.get("fees")), number(entry.get("fees_usd"))),
        placed_ms=_first(moment_ms(entry.get("createdAt")), moment_ms(times.get("created_at"))),
        filled_ms=_first(moment_ms(entry.get("filledAt")), moment_ms(times.get("filled_at"))),
        reason=word(entry.get("reason")),
        position_id=_id(entry.get("position_id")) or _id(more.get("position_id")),
        correlation_id=_id(entry.get("correlation_id")) or _id(more.get("correlation_id")),
        is_ended=is_canceled or status in _ENDED,
    )


def _position(entry: Mapping[str, Any], id: str, *, is_closed: bool) -> PositionFacts:
    times, more = _object(entry.get("timestamps")), _object(entry.get("meta")) or _object(entry.get("metadata"))
    closed_ms = _first(moment_ms(entry.get("closedAt")), moment_ms(times.get("closed_at")))
    is_ended = is_closed or closed_ms is not None or _lower(entry.get("status")) in _ENDED
    usd, r = number(entry.get("pnl_usd")), number(entry.get("pnl_r"))  # of an open one: what it would bring now
    return PositionFacts(
        id=id,
        symbol=word(entry.get("symbol")),
        side=_lower(entry.get("side")),
        strategy=word(entry.get("strategy")),
        qty=_first(number(entry.get("size")), number(entry.get("qty"))),
        entry=number(entry.get("entry")),
        stop=number(entry.get("sl")),
        target=number(entry.get("tp")),
        mode=_lower(entry.get("mode")),
        opened_ms=_first(moment_ms(entry.get("openedAt")), moment_ms(times.get("opened_at"))),
        closed_ms=closed_ms,
        pnl_usd=_first(number(entry.get("pnlUsd")), usd if is_ended else None),
        pnl_r=_first(number(entry.get("pnlR")), r if is_ended else None),
        unrealized_usd=_first(number(entry.get("unrealizedPnlUsd")), None if is_ended else usd),
        unrealized_r=_first(number(entry.get("unrealizedPnlR")), None if is_ended else r),
        fees_usd=number(entry.get("fees_usd")),
        reason=word(entry.get("reason")),
        order_id=_id(entry.get("order_id")) or _id(more.get("order_id")),
        correlation_id=_id(entry.get("correlation_id")) or _id(more.get("correlation_id")),
        is_ended=is_ended,
    )


def _first(one: Any, other: Any) -> Any:
    return other if one is None else one


def _lower(value: Any) -> str | None:
    text = word(value)
    return None if text is None else text.lower()


def _id(value: Any) -> str | None:
    """Return an id; some feeds number their entities."""
    return str(value) if type(value) is int else word(value)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
