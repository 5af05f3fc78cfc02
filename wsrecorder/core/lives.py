"""The lives of signals, orders and positions, gathered event by event, and how they hang together.

A life is what all events so far told of one id. What was told later counts, but for two things: one that ended
stays ended, with its end as it was told first, and a late event only fills in what nobody told yet. So events that
come twice, or an order's update before its placing, leave the life as it was.

Lives are joined by ids alone: an order names the signal it came from (``correlation_id``) and the position that it
opened or works on (``position_id``). The feed tells both in the list of ORDER_UPDATE only, so an order that
never stood in one stays unjoined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from wsrecorder.core.entities import (
    ORDER_TYPES,
    POSITION_TYPES,
    OrderFacts,
    PositionFacts,
    SignalFacts,
    orders_in,
    positions_in,
    signals_in,
)
from wsrecorder.core.event import Event
from wsrecorder.core.lenient import moment_ms, number, read_data

__all__ = ["LIFE_TYPES", "Life", "Lives", "Told", "What"]

LIFE_TYPES: Final = ORDER_TYPES | POSITION_TYPES | {"SIGNAL"}
"""Types of the events that tell of a life."""

# Not worth a word of their own when they change: when the status does, that is told.
_SILENT: Final = frozenset({"id", "is_ended"})


class What(StrEnum):
    """Whose life it is."""

    SIGNAL = "signal"
    ORDER = "order"
    POSITION = "position"


_BEGAN: Final = {What.SIGNAL: "signaled_ms", What.ORDER: "placed_ms", What.POSITION: "opened_ms"}


_BEGINNINGS: Final = frozenset({"SIGNAL", "ORDER_PLACED", "POSITION_OPEN"})


@dataclass(slots=True)
class Life:
    """What events told of one id so far.

    Attributes:
        what: Whose life it is.
        facts: What is known, `SignalFacts`, `OrderFacts` or `PositionFacts`.
        first_seq: The first event that told of it.
        last_seq: The last one.
        events: How many did.
        placed_ms: When the event that began it was sent, for want of a better time; None if no such event came.
        ended_ms: When it ended, by the sender's clock, UTC ms since the epoch; None while it did not, or nobody told.
        opened_qty: The largest quantity told: what was opened, before parts of it were sold.
        moves: How often an order's price or a position's stop was moved.
        profits_taken: How often a position took profit.
        last_profit: Time and price of the last time, to know one that is told twice.
    """

    what: What
    facts: Any
    first_seq: int
    last_seq: int
    events: int = 1
    placed_ms: int | None = None
    ended_ms: int | None = None
    opened_qty: float | None = None
    moves: int = 0
    profits_taken: int = 0
    last_profit: tuple[int | None, float | None] | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.facts.id)

    @property
    def is_ended(self) -> bool:
        """Whether it is over; nobody tells how a signal ends."""
        return self.what is not What.SIGNAL and bool(self.facts.is_ended)

    @property
    def began_ms(self) -> int | None:
        """When it began, by the sender's clock, UTC ms since the epoch; None where nobody told."""
        began: int | None = getattr(self.facts, _BEGAN[self.what])
        return self.placed_ms if began is None else began

    @property
    def lasted_ms(self) -> int | None:
        """How long it lasted, ms; None while it does, where its beginning is not known, or if it ended before it."""
        if self.ended_ms is None or self.began_ms is None or self.ended_ms < self.began_ms:
            return None
        return self.ended_ms - self.began_ms


@dataclass(frozen=True, slots=True)
class Told:
    """What one event told of one life.

    Attributes:
        life: Whose.
        changes: What was not known so before: value before and after, by the fact's name.
        is_listed: Whether it was one of a list, most of which is no news.
    """

    life: Life
    changes: dict[str, tuple[Any, Any]]
    is_listed: bool


@dataclass(slots=True)
class Lives:
    """All lives of a session; it grows with their number, not with that of the events.

    Attributes:
        signals: By id, in the order of appearing.
        orders: Likewise.
        positions: Likewise.
    """

    signals: dict[str, Life] = field(default_factory=dict)
    orders: dict[str, Life] = field(default_factory=dict)
    positions: dict[str, Life] = field(default_factory=dict)

    def add(self, event: Event) -> list[Told]:
        """Take in an event, in order, and return what it told, a life each."""
        data = read_data(event.payload)
        if not isinstance(data, dict):
            return []
        if event.type == "SIGNAL":
            is_listed = False
            found: Iterable[Any] = signals_in(data)
        elif event.type in ORDER_TYPES:
            found, is_listed = orders_in(event.type, data)
            is_listed = is_listed or "orders" in data
        else:
            found, is_listed = positions_in(event.type, data)
            is_listed = is_listed or "positions" in data
        at_ms = moment_ms(data.get("timestamp"))
        if at_ms is None and event.sent_at_us is not None:
            at_ms = event.sent_at_us // 1_000
        told = []
        for facts in found:
            life, changes = self._tell(event, facts, at_ms)
            if event.type == "TAKE_PROFIT":
                _take_profit(life, changes, at_ms, data)
            told.append(Told(life, changes, is_listed))
        return told

    def find(self, id: str) -> list[Life]:
        """Return the lives of an id; of a signal, an order and a position the ids might be the same."""
        return [life for kept in (self.signals, self.orders, self.positions) if (life := kept.get(id)) is not None]

    def chain(self, id: str) -> list[Life]:
        """Return the lives that an id is joined with, itself among them: signals, then orders, then positions."""
        joined = {(life.what, life.id) for life in self.find(id)}
        links = list(self._links())
        grew = bool(joined)
        while grew:
            more = {end for link in links if joined.intersection(link) for end in link} - joined
            joined |= more
            grew = bool(more)
        kept = {What.SIGNAL: self.signals, What.ORDER: self.orders, What.POSITION: self.positions}
        return [life for what in What for life in kept[what].values() if (what, life.id) in joined]

    def entry_orders(self) -> dict[str, Life]:
        """Return the order that opened each position, by the position's id, where it is known."""
        found = {
            position.id: order
            for position in self.positions.values()
            if (order := self.orders.get(position.facts.order_id or "")) is not None
        }
        for order in self.orders.values():
            position = self.positions.get(order.facts.position_id or "")
            if position is not None and _opens(order.facts, position.facts):
                found.setdefault(position.id, order)
        return found

    def _links(self) -> Iterator[tuple[tuple[What, str], tuple[What, str]]]:
        for order in self.orders.values():
            me = What.ORDER, order.id
            if order.facts.correlation_id in self.signals:
                yield me, (What.SIGNAL, order.facts.correlation_id)
            if order.facts.position_id in self.positions:
                yield me, (What.POSITION, order.facts.position_id)
        for position in self.positions.values():
            me = What.POSITION, position.id
            if position.facts.correlation_id in self.signals:
                yield me, (What.SIGNAL, position.facts.correlation_id)
            if position.facts.order_id in self.orders:
                yield me, (What.ORDER, position.facts.order_id)

    def _tell(self, event: Event, facts: Any, at_ms: int | None) -> tuple[Life, dict[str, tuple[Any, Any]]]:
        match facts:
            case SignalFacts():
                kept, what = self.signals, What.SIGNAL
            case OrderFacts():
                kept, what = self.orders, What.ORDER
            case _:
                kept, what = self.positions, What.POSITION
        life = kept.get(facts.id)
        if life is None:
            life = kept[facts.id] = Life(what, facts, event.seq, event.seq)
            changes = {name: (None, told) for name in _names(facts) if (told := getattr(facts, name)) is not None}
        else:
            changes = _merge(life, facts)
            life.last_seq = event.seq
            life.events += 1
        if event.type in _BEGINNINGS and life.placed_ms is None:
            life.placed_ms = at_ms
        if life.is_ended and life.ended_ms is None and facts.is_ended:
            own_ms = facts.filled_ms if what is What.ORDER else facts.closed_ms
            life.ended_ms = at_ms if own_ms is None else own_ms
        qty = None if what is What.SIGNAL else facts.qty
        if qty is not None and (life.opened_qty is None or qty > life.opened_qty):
            life.opened_qty = qty
        return life, changes


def _names(facts: Any) -> list[str]:
    return [name for name in facts.__struct_fields__ if name not in _SILENT]


def _merge(life: Life, facts: Any) -> dict[str, tuple[Any, Any]]:
    """Add to a life what an event told, and return what changed."""
    known, was_ended = life.facts, life.is_ended
    ends = life.what is not What.SIGNAL and facts.is_ended and not was_ended
    changes: dict[str, tuple[Any, Any]] = {}
    merged = {"id": known.id}
    for name in _names(known):
        before, told = getattr(known, name), getattr(facts, name)
        is_news = told is not None and told != before and (before is None or not was_ended)
        merged[name] = told if is_news else before
        if is_news:
            changes[name] = before, told
    if life.what is not What.SIGNAL:
        merged["is_ended"] = was_ended or ends
        moved = {What.ORDER: "price", What.POSITION: "stop"}[life.what]
        # The price at which an order ends is no move of it, and what was not known has not moved.
        life.moves += moved in changes and changes[moved][0] is not None and not ends
    life.facts = type(known)(**merged)
    return changes


def _take_profit(life: Life, changes: dict[str, tuple[Any, Any]], at_ms: int | None, data: dict[str, Any]) -> None:
    """Count a profit taken, but not one that is told twice."""
    price = number(data.get("price"))
    if life.last_profit != (at_ms, price):
        life.last_profit = at_ms, price
        life.profits_taken += 1
        changes["profit_price"] = None, price
        changes["profit_usd"] = None, number(data.get("pnl"))


def _opens(order: OrderFacts, position: PositionFacts) -> bool:
    """Return whether an order of a position opens it: it trades the way that the position is held."""
    return (order.side, position.side) in (("buy", "long"), ("sell", "short"))
