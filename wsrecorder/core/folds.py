"""What is folded from events: the engine's status, the open orders, the open positions, the last scan.

The states are values; each fold returns a new one. ``is_…`` tell of an event whether it settles a state: from
there on, whatever came before makes no difference.

Only the payload, the type and the sender's time count, and order of arrival decides: the sender's clock may run
backwards. A list of all orders or positions replaces what was known, so that what ended unseen, in a gap say, is
gone then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from wsrecorder.core.entities import orders_in, positions_in
from wsrecorder.core.event import Event
from wsrecorder.core.lenient import entries_of, moment_ms, number, read_data, word

__all__ = [
    "Candidate",
    "EngineStatus",
    "LastScan",
    "OpenOrder",
    "OpenOrders",
    "OpenPosition",
    "OpenPositions",
    "fold_engine",
    "fold_orders",
    "fold_positions",
    "fold_scan",
    "is_engine_update",
    "is_order_list",
    "is_position_list",
    "is_scan",
    "is_transition",
]

_MOST_ENDED: Final = 256
"""How many ended orders or positions are remembered, so that an event that comes late does not open one again."""


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine is doing.

    Attributes:
        state: As it is spelled in the feed, or None while it is not known.
        running: Whether it trades, by its own word.
        since_ms: When it came into this state, by the sender's clock, UTC ms since the epoch.
        reason: Why, if an FSM_TRANSITION said so.
    """

    state: str | None = None
    running: bool | None = None
    since_ms: int | None = None
    reason: str | None = None


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is open, as far as events told; the attributes are those of `OrderFacts`."""

    id: str
    symbol: str | None = None
    side: str | None = None
    kind: str | None = None
    qty: float | None = None
    price: float | None = None
    stop_price: float | None = None
    status: str | None = None
    filled_qty: float | None = None
    placed_ms: int | None = None
    position_id: str | None = None
    correlation_id: str | None = None


class OpenOrders(msgspec.Struct, frozen=True):
    """The open orders.

    Attributes:
        orders: In the order in which they became known.
        ended: Ids of those that ended last.
    """

    orders: tuple[OpenOrder, ...] = ()
    ended: tuple[str, ...] = ()


class OpenPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position that is open, as far as events told; the attributes are those of `PositionFacts`."""

    id: str
    symbol: str | None = None
    side: str | None = None
    strategy: str | None = None
    qty: float | None = None
    entry: float | None = None
    stop: float | None = None
    target: float | None = None
    opened_ms: int | None = None
    unrealized_usd: float | None = None
    unrealized_r: float | None = None
    fees_usd: float | None = None


class OpenPositions(msgspec.Struct, frozen=True):
    """The open positions.

    Attributes:
        positions: In the order in which they became known.
        ended: Ids of those that ended last.
    """

    positions: tuple[OpenPosition, ...] = ()
    ended: tuple[str, ...] = ()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate of a scan.

    Attributes:
        symbol: Such as ``BTC/USDT``.
        rank: Its place, 1 is the best.
        score: As the engine rates it.
        last: Last price, quote currency.
    """

    symbol: str | None = None
    rank: int | None = None
    score: float | None = None
    last: float | None = None


class LastScan(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the last scan.

    Attributes:
        scanned_ms: When, by the sender's clock, UTC ms since the epoch; None while there is none.
        candidates: In the order of the event.
    """

    scanned_ms: int | None = None
    candidates: tuple[Candidate, ...] = ()


def fold_engine(state: EngineStatus, event: Event) -> EngineStatus:
    """Return what the engine is doing after an ENGINE_UPDATE or FSM_TRANSITION."""
    data = read_data(event.payload)
    if not isinstance(data, dict):
        return state
    if event.type == "FSM_TRANSITION":
        name = word(data.get("to_state"))
        if name is None:
            return state
        return EngineStatus(
            state=name, running=state.running, since_ms=_sent_ms(event, data), reason=word(data.get("reason"))
        )
    name = word(data.get("state"))
    if name is None:
        return state
    running = data["running"] if type(data.get("running")) is bool else state.running
    if state.state is not None and name.lower() == state.state.lower():
        return EngineStatus(state=name, running=running, since_ms=state.since_ms, reason=state.reason)
    return EngineStatus(state=name, running=running, since_ms=_sent_ms(event, data))


def is_transition(event: Event) -> bool:
    """Return whether an event says which state the engine came into."""
    data = read_data(event.payload) if event.type == "FSM_TRANSITION" else None
    return isinstance(data, dict) and word(data.get("to_state")) is not None


def is_engine_update(event: Event) -> bool:
    """Return whether an event says both what state the engine is in and whether it runs."""
    data = read_data(event.payload) if event.type == "ENGINE_UPDATE" else None
    return isinstance(data, dict) and word(data.get("state")) is not None and type(data.get("running")) is bool


def _told(kind: type[Any], state: Any, name: str, found: Iterable[Any]) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Return the open ones and those that ended, after somebody told more of them."""
    is_open = {entity.id: entity for entity in getattr(state, name)}
    ended = dict.fromkeys(state.ended)
    for facts in found:
        if facts.is_ended:
            is_open.pop(facts.id, None)
            ended[facts.id] = None
        elif facts.id not in ended:
            known = is_open.get(facts.id)
            is_open[facts.id] = kind(
                **{
                    field: told if (told := getattr(facts, field)) is not None else getattr(known, field, None)
                    for field in kind.__struct_fields__
                }
            )
    return tuple(is_open.values()), tuple(ended)[-_MOST_ENDED:]


def fold_orders(state: OpenOrders, event: Event) -> OpenOrders:
    """Return the open orders after an event that speaks of orders."""
    found, is_all = orders_in(event.type, read_data(event.payload))
    if not found and not is_all:
        return state
    return OpenOrders(*_told(OpenOrder, OpenOrders() if is_all else state, "orders", found))


def is_order_list(event: Event) -> bool:
    """Return whether an event lists all orders."""
    return event.type == "ORDER_UPDATE" and orders_in(event.type, read_data(event.payload))[1]


def fold_positions(state: OpenPositions, event: Event) -> OpenPositions:
    """Return the open positions after an event that speaks of positions."""
    found, is_all = positions_in(event.type, read_data(event.payload))
    if not found and not is_all:
        return state
    return OpenPositions(*_told(OpenPosition, OpenPositions() if is_all else state, "positions", found))


def is_position_list(event: Event) -> bool:
    """Return whether an event lists all positions."""
    return event.type == "POSITION_UPDATE" and positions_in(event.type, read_data(event.payload))[1]


def fold_scan(state: LastScan, event: Event) -> LastScan:
    """Return the last scan after a SCAN_RESULT."""
    data = read_data(event.payload)
    entries, is_list = entries_of(data, "result", "results")
    if not is_list:
        return state
    return LastScan(scanned_ms=_sent_ms(event, data), candidates=tuple(map(_candidate, entries)))


def _candidate(entry: Mapping[str, Any]) -> Candidate:
    rank = entry.get("rank")
    market = entry.get("market_data")
    return Candidate(
        symbol=word(entry.get("symbol")),
        rank=rank if type(rank) is int else None,
        score=number(entry.get("score")),
        last=number(market.get("last")) if isinstance(market, dict) else None,
    )


def is_scan(event: Event) -> bool:
    """Return whether an event is a scan."""
    return event.type == "SCAN_RESULT" and entries_of(read_data(event.payload), "result", "results")[1]


def _sent_ms(event: Event, data: Mapping[str, Any]) -> int | None:
    """Return when the sender says it was, by the payload or else by the envelope."""
    found = moment_ms(data.get("timestamp"))
    return found if found is not None or event.sent_at_us is None else event.sent_at_us // 1_000
