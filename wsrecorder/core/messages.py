"""The documented messages of the trading engine's feed as typed values.

Attributes have the names of the fields, in snake case: ``createdAt`` is ``created_at``. Fields that the feed may
leave null, or out, are None then; those without which a message says nothing must be there. A field named ``…_at`` is
ISO 8601 text, as the feed sends it; ``timestamp`` is UTC ms. Fields that are not documented are passed over.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = [
    "DATA_TYPES",
    "EngineError",
    "EngineUpdate",
    "FsmTransition",
    "Heartbeat",
    "KillSwitch",
    "ListedOrder",
    "ListedPosition",
    "Order",
    "OrderMessage",
    "OrderUpdate",
    "Position",
    "PositionMessage",
    "PositionUpdate",
    "ScanResult",
    "ScanRow",
    "Signal",
    "SignalMessage",
    "StopMoved",
    "TakeProfit",
]


class _Message(msgspec.Struct, frozen=True, gc=False):  # made of JSON: no value leads back to itself
    pass


class Heartbeat(_Message, frozen=True, gc=False):
    """``HEARTBEAT``."""

    latency_ms: float = msgspec.field(name="latencyMs")


class EngineUpdate(_Message, frozen=True, gc=False):
    """``ENGINE_UPDATE``: the engine's state, such as ``scanning``, in either case."""

    state: str
    running: bool | None = None
    timestamp: int | None = None


class ScanRow(_Message, frozen=True, gc=False):
    """One candidate of a scan."""

    symbol: str
    score: float | None = None
    rank: int | None = None
    filters: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    levels: list[Any] | None = None
    timestamp: int | None = None
    market_data: dict[str, Any] | None = None


class ScanResult(_Message, frozen=True, gc=False):
    """``SCAN_RESULT``: the candidates, best first."""

    results: list[ScanRow]
    timestamp: int | None = None


class Signal(_Message, frozen=True, gc=False):
    """One idea for a trade; prices in quote currency."""

    symbol: str
    side: str | None = None
    strategy: str | None = None
    reason: str | None = None
    entry: float | None = None
    level: float | None = None
    sl: float | None = None
    confidence: float | None = None
    timestamp: int | None = None
    status: str | None = None
    correlation_id: str | None = None
    timestamps: dict[str, Any] | None = None
    tp1: float | None = None
    tp2: float | None = None
    meta: dict[str, Any] | None = None


class SignalMessage(_Message, frozen=True, gc=False):
    """``SIGNAL``."""

    signals: list[Signal]
    timestamp: int | None = None


class Order(_Message, frozen=True, gc=False):
    """An order as it is placed, updated or canceled."""

    id: str
    symbol: str | None = None
    side: str | None = None
    type: str | None = None
    qty: float | None = None
    price: float | None = None
    status: str | None = None
    created_at: str | None = msgspec.field(name="createdAt", default=None)
    updated_at: str | None = msgspec.field(name="updatedAt", default=None)
    filled_at: str | None = msgspec.field(name="filledAt", default=None)
    fees: float | None = None
    reason: str | None = None
    timestamp: int | None = None


class OrderMessage(_Message, frozen=True, gc=False):
    """``ORDER_PLACED``, ``ORDER_UPDATED`` and ``ORDER_CANCELED``."""

    order: Order
    timestamp: int | None = None


class ListedOrder(_Message, frozen=True, gc=False):
    """An order in the list of orders."""

    id: str
    position_id: str | None = None
    symbol: str | None = None
    side: str | None = None
    order_type: str | None = None
    qty: float | None = None
    price: float | None = None
    stop_price: float | None = None
    status: str | None = None
    filled_qty: float | None = None
    avg_fill_price: float | None = None
    fees_usd: float | None = None
    timestamps: dict[str, Any] | None = None
    exchange_id: str | None = None
    metadata: dict[str, Any] | None = None


class OrderUpdate(_Message, frozen=True, gc=False):
    """``ORDER_UPDATE``: the list of orders."""

    orders: list[ListedOrder]
    timestamp: int | None = None


class Position(_Message, frozen=True, gc=False):
    """A position as it is opened, updated or closed; ``pnl_r`` in multiples of what was risked."""

    id: str
    symbol: str | None = None
    side: str | None = None
    entry: float | None = None
    sl: float | None = None
    tp: float | None = None
    size: float | None = None
    mode: str | None = None
    opened_at: str | None = msgspec.field(name="openedAt", default=None)
    updated_at: str | None = msgspec.field(name="updatedAt", default=None)
    closed_at: str | None = msgspec.field(name="closedAt", default=None)
    pnl_r: float | None = msgspec.field(name="pnlR", default=None)
    pnl_usd: float | None = msgspec.field(name="pnlUsd", default=None)
    unrealized_pnl_r: float | None = msgspec.field(name="unrealizedPnlR", default=None)
    unrealized_pnl_usd: float | None = msgspec.field(name="unrealizedPnlUsd", default=None)
    reason: str | None = None
    action: str | None = None
    timestamp: int | None = None


class PositionMessage(_Message, frozen=True, gc=False):
    """``POSITION_OPEN`` and ``POSITION_CLOSE``."""

    position: Position
    timestamp: int | None = None


class ListedPosition(_Message, frozen=True, gc=False):
    """A position in the list of positions."""

    id: str
    symbol: str | None = None
    side: str | None = None
    strategy: str | None = None
    qty: float | None = None
    entry: float | None = None
    sl: float | None = None
    tp: float | None = None
    status: str | None = None
    pnl_usd: float | None = None
    pnl_r: float | None = None
    fees_usd: float | None = None
    timestamps: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None


class PositionUpdate(_Message, frozen=True, gc=False):
    """``POSITION_UPDATE``: the list of positions, or one of them; the other is None."""

    positions: list[ListedPosition] | None = None
    position: Position | None = None
    timestamp: int | None = None

    def __post_init__(self) -> None:
        if self.positions is None and self.position is None:
            raise ValueError("expected positions or a position, found neither")


class StopMoved(_Message, frozen=True, gc=False):
    """``STOP_MOVED``."""

    position_id: str
    old_stop: float | None = None
    new_stop: float | None = None
    timestamp: int | None = None


class TakeProfit(_Message, frozen=True, gc=False):
    """``TAKE_PROFIT``."""

    position_id: str
    price: float | None = None
    pnl: float | None = None
    timestamp: int | None = None


class KillSwitch(_Message, frozen=True, gc=False):
    """``KILL_SWITCH``."""

    reason: str | None
    timestamp: int | None = None


class FsmTransition(_Message, frozen=True, gc=False):
    """``FSM_TRANSITION``: the engine's states, one after the other."""

    from_state: str | None
    to_state: str | None
    reason: str | None = None
    timestamp: int | None = None
    metadata: dict[str, Any] | None = None


class EngineError(_Message, frozen=True, gc=False):
    """``ERROR``."""

    error_type: str | None
    message: str | None
    details: Any = None
    timestamp: int | None = None


DATA_TYPES: Final[dict[str, type[msgspec.Struct]]] = {
    "HEARTBEAT": Heartbeat,
    "ENGINE_UPDATE": EngineUpdate,
    "SIGNAL": SignalMessage,
    "SCAN_RESULT": ScanResult,
    "ORDER_PLACED": OrderMessage,
    "ORDER_UPDATED": OrderMessage,
    "ORDER_CANCELED": OrderMessage,
    "ORDER_UPDATE": OrderUpdate,
    "POSITION_OPEN": PositionMessage,
    "POSITION_UPDATE": PositionUpdate,
    "POSITION_CLOSE": PositionMessage,
    "STOP_MOVED": StopMoved,
    "TAKE_PROFIT": TakeProfit,
    "KILL_SWITCH": KillSwitch,
    "FSM_TRANSITION": FsmTransition,
    "ERROR": EngineError,
}
"""What a message's ``data`` is, by its type."""
