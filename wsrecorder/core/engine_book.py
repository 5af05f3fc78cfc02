"""What the simulated engine keeps: its states, orders, positions, and the truth about them.

Orders and positions are mutable on purpose: the model moves them, payloads show them, and the
`GroundTruth` keeps the very same objects, so that it cannot disagree with what was sent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["MOVES", "EngineState", "GroundTruth", "Order", "Position", "Sent"]


class EngineState(StrEnum):
    """Where the engine stands; lower case, as observed on the real server."""

    IDLE = "idle"
    SCANNING = "scanning"
    SIGNALING = "signaling"
    EXECUTING = "executing"
    MANAGING = "managing"
    ERROR = "error"
    KILLED = "killed"


#: From each state, the states it may move to. Any running state may fail or be killed.
MOVES: dict[EngineState, frozenset[EngineState]] = {
    EngineState.IDLE: frozenset({EngineState.SCANNING}),
    EngineState.SCANNING: frozenset(
        {EngineState.SIGNALING, EngineState.MANAGING, EngineState.ERROR, EngineState.KILLED}
    ),
    EngineState.SIGNALING: frozenset({EngineState.EXECUTING, EngineState.ERROR, EngineState.KILLED}),
    EngineState.EXECUTING: frozenset({EngineState.MANAGING, EngineState.ERROR, EngineState.KILLED}),
    EngineState.MANAGING: frozenset({EngineState.SCANNING, EngineState.ERROR, EngineState.KILLED}),
    EngineState.ERROR: frozenset({EngineState.SCANNING}),
    EngineState.KILLED: frozenset({EngineState.IDLE}),
}


@dataclass(slots=True)
class Order:
    """One order and its life so far; an order ends filled or canceled, never both.

    Attributes:
        id: Joins ORDER_PLACED, ORDER_UPDATED, ORDER_CANCELED and ORDER_UPDATE.
        symbol: Such as ``BTC/USDT``.
        side: ``buy`` or ``sell``.
        type: ``limit`` to enter, ``market`` to leave.
        qty: In units of the base currency.
        price: Limit price in quote currency; a market order's is the last price seen.
        reason: Why it was placed, or why it was canceled.
        placed_ms: UTC ms since the epoch, as are all times here.
        stop_price: The stop of the position that the order would open, or None.
        correlation_id: The signal that it came from, or None.
        position_id: The position that it opened or closes; None until one is there.
        status: ``open``, ``filled`` or ``canceled``.
        updated_ms: When its price was last moved, or it ended; None if neither happened.
        filled_ms: When it was filled, or None.
        canceled_ms: When it was canceled, or None.
        fill_price: Average price of the fill, or None.
        fees_usd: Paid at the fill; 0 before.
        age: Cycles of the engine since it was placed.
    """

    id: str
    symbol: str
    side: str
    type: str
    qty: float
    price: float
    reason: str
    placed_ms: int
    stop_price: float | None = None
    correlation_id: str | None = None
    position_id: str | None = None
    status: str = "open"
    updated_ms: int | None = None
    filled_ms: int | None = None
    canceled_ms: int | None = None
    fill_price: float | None = None
    fees_usd: float = 0.0
    age: int = 0


@dataclass(slots=True)
class Position:
    """One position and its life so far.

    Attributes:
        id: Joins POSITION_OPEN, POSITION_UPDATE, STOP_MOVED, TAKE_PROFIT and POSITION_CLOSE.
        symbol: Such as ``BTC/USDT``.
        side: ``long`` or ``short``.
        strategy: The strategy of the signal it came from.
        entry: Price at which it opened.
        stop: Where the stop stands now; it only ever moves in favour.
        targets: Take-profit prices, the nearer first.
        qty: What is still held.
        opened_qty: What was opened.
        risk_usd: What the first stop would have lost: one R.
        opened_ms: UTC ms since the epoch, as are all times here.
        order_id: The order that opened it.
        status: ``open`` or ``closed``.
        reason: Why it was opened, then why it was closed.
        updated_ms: When it last changed.
        closed_ms: When it was closed, or None.
        realized_usd: Profit taken so far, before fees.
        fees_usd: Fees of all its orders so far.
        unrealized_usd: Profit at the last price on what is still held.
        stop_moves: How often the stop was moved.
        profits_taken: How often a target was reached.
        age: Cycles of the engine since it was opened.
    """

    id: str
    symbol: str
    side: str
    strategy: str
    entry: float
    stop: float
    targets: tuple[float, float]
    qty: float
    opened_qty: float
    risk_usd: float
    opened_ms: int
    order_id: str
    status: str = "open"
    reason: str = "entry filled"
    updated_ms: int | None = None
    closed_ms: int | None = None
    realized_usd: float = 0.0
    fees_usd: float = 0.0
    unrealized_usd: float = 0.0
    stop_moves: int = 0
    profits_taken: int = 0
    age: int = 0

    @property
    def sign(self) -> int:
        """1 when a rising price earns, -1 when it loses."""
        return 1 if self.side == "long" else -1

    @property
    def pnl_usd(self) -> float:
        """Realized profit after fees, USD, to the cent."""
        return round(self.realized_usd - self.fees_usd, 2)

    @property
    def pnl_r(self) -> float:
        """Realized profit after fees in units of the first risk."""
        return round(self.pnl_usd / self.risk_usd, 4)

    @property
    def unrealized_r(self) -> float:
        """Unrealized profit in units of the first risk."""
        return round(self.unrealized_usd / self.risk_usd, 4)


@dataclass(frozen=True, slots=True)
class Sent:
    """One event that the engine pushed.

    Attributes:
        sent_ms: The envelope's ``ts``, UTC ms since the epoch.
        type: The envelope's type.
        size_bytes: Length of the payload.
    """

    sent_ms: int
    type: str
    size_bytes: int


@dataclass(slots=True)
class GroundTruth:
    """What really happened: to check a recording, and every analysis of it, against.

    It grows with the session (it keeps every order and position), so the engine fills one only if
    it is handed one.

    Attributes:
        orders: Every order by id, in the order of placing.
        positions: Every position by id, in the order of opening.
        sent: Every event of the stream, in order; heartbeats belong to connections and are not here.
    """

    orders: dict[str, Order] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many events of each type were sent."""
        return dict(Counter(sent.type for sent in self.sent))

    def lines(self) -> Iterator[str]:
        """Yield JSON lines: ``{"what": "sent" | "order" | "position", …}``, all fields of each value.

        A position has its ``pnl_usd`` and ``pnl_r`` beside the fields.
        """
        for sent in self.sent:
            yield _line("sent", asdict(sent))
        for order in self.orders.values():
            yield _line("order", asdict(order))
        for position in self.positions.values():
            pnl = {"pnl_usd": position.pnl_usd, "pnl_r": position.pnl_r}
            yield _line("position", asdict(position) | pnl)


def _line(what: str, fields: dict[str, Any]) -> str:
    return json.dumps({"what": what} | fields)
