"""State folded from events: the engine, the open orders, the open positions, the last scan, and what users add.

A projection is a function ``(state, event) -> state`` and the state that it begins with. States are values
and never change; the same events in the same order give the same state, live, from a recording or from its
replay. Three rules make that so:

- Only the payload, the type and the sender's time count, never when an event was received: a replay keeps the
  former, not the latter.
- Order of arrival decides, never the sender's clock, which may run backwards.
- A payload of another shape changes nothing.

A list of all orders or positions replaces what was known: whatever ended unseen, in a gap say, is gone then. It
also makes everything before it unimportant, which `Projection.settled_by` tells, so that the state at the end
of a long session needs only the session's end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from wsrecorder.core.event import Event
from wsrecorder.core.folds import (
    EngineStatus,
    LastScan,
    OpenOrders,
    OpenPositions,
    fold_engine,
    fold_orders,
    fold_positions,
    fold_scan,
    is_engine_update,
    is_order_list,
    is_position_list,
    is_scan,
    is_transition,
)
from wsrecorder.errors import UsageError

__all__ = [
    "ENGINE_STATUS",
    "LAST_SCAN",
    "OPEN_ORDERS",
    "OPEN_POSITIONS",
    "Projection",
    "advance",
    "initial_states",
    "projections",
    "register",
]


@dataclass(frozen=True, slots=True)
class Projection:
    """A state that events are folded into.

    Attributes:
        name: Unique.
        fold: Returns the state after an event; it gets only events of ``types``.
        initial: The state before the first event.
        types: Types of the events that the fold reads; those of others are never looked at.
        settled_by: Of events that hold, for each of these, one of which it is true, the fold makes the same
            state whatever came before them. Empty: every event from the first on counts.
    """

    name: str
    fold: Callable[[Any, Event], Any]
    initial: Any
    types: frozenset[str]
    settled_by: tuple[Callable[[Event], bool], ...] = ()


ENGINE_STATUS: Final = Projection(
    "engine",
    fold_engine,
    EngineStatus(),
    frozenset({"ENGINE_UPDATE", "FSM_TRANSITION"}),
    (is_transition, is_engine_update),
)
"""What the engine is doing: an `EngineStatus`."""

OPEN_ORDERS: Final = Projection(
    "orders",
    fold_orders,
    OpenOrders(),
    frozenset({"ORDER_PLACED", "ORDER_UPDATED", "ORDER_CANCELED", "ORDER_UPDATE"}),
    (is_order_list,),
)
"""The open orders: `OpenOrders`."""

OPEN_POSITIONS: Final = Projection(
    "positions",
    fold_positions,
    OpenPositions(),
    frozenset({"POSITION_OPEN", "POSITION_UPDATE", "POSITION_CLOSE", "STOP_MOVED"}),
    (is_position_list,),
)
"""The open positions: `OpenPositions`."""

LAST_SCAN: Final = Projection("scan", fold_scan, LastScan(), frozenset({"SCAN_RESULT"}), (is_scan,))
"""The result of the last scan: a `LastScan`."""

_REGISTERED: Final = {each.name: each for each in (ENGINE_STATUS, OPEN_ORDERS, OPEN_POSITIONS, LAST_SCAN)}


def projections() -> Mapping[str, Projection]:
    """Return all projections that are registered, by name; ours come first."""
    return MappingProxyType(_REGISTERED)


def register(
    name: str,
    fold: Callable[[Any, Event], Any],
    initial: Any,
    types: Iterable[str],
    *,
    settled_by: Iterable[Callable[[Event], bool]] = (),
) -> Projection:
    """Add a projection to those that are folded.

    Args:
        name: Unique.
        fold: Returns the state after an event; it must not change the state it is given.
        initial: The state before the first event.
        types: Types of the events that it reads.
        settled_by: See `Projection`; without it, every event from the first on is read.

    Raises:
        UsageError: There is one of that name, or it reads no type.
    """
    read = frozenset({types} if isinstance(types, str) else types)
    if name in _REGISTERED:
        raise UsageError(f"there is a projection {name!r} already", hint="give yours another name")
    if not read:
        raise UsageError(f"projection {name!r} reads no type of events", hint="name the types that its fold reads")
    _REGISTERED[name] = projection = Projection(name, fold, initial, read, tuple(settled_by))
    return projection


def initial_states(among: Iterable[Projection] | None = None) -> dict[str, Any]:
    """Return the states before the first event, by the names of the projections; None is all registered."""
    return {each.name: each.initial for each in (_REGISTERED.values() if among is None else among)}


def advance(states: Mapping[str, Any], event: Event, among: Iterable[Projection] | None = None) -> dict[str, Any]:
    """Return the states after an event, by the names of the projections; None is all registered."""
    after = dict(states)
    for each in _REGISTERED.values() if among is None else among:
        if event.type in each.types:
            after[each.name] = each.fold(after[each.name], event)
    return after
