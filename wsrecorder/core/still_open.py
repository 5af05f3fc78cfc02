"""Which of the last events carry what is still open: what a newcomer must be told, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from wsrecorder.core.entities import orders_in, positions_in
from wsrecorder.core.event import Event
from wsrecorder.core.folds import is_order_list, is_position_list, is_scan
from wsrecorder.core.lenient import read_data
from wsrecorder.core.projection import ENGINE_STATUS, LAST_SCAN, OPEN_ORDERS, OPEN_POSITIONS, Projection

__all__ = ["STATE_TYPES", "still_open"]

STATE_TYPES: Final = ENGINE_STATUS.types | OPEN_ORDERS.types | OPEN_POSITIONS.types | LAST_SCAN.types
"""Types of the events that carry a state."""

_Entities = Callable[[str | None, Any], tuple[Sequence[Any], bool]]


def still_open(events: Iterable[Event]) -> list[Event]:
    """Return the events that carry open orders, open positions, the engine's state and the last scan.

    Folded alone they make the same open orders and positions as all of them. What a list shows and has ended since
    is kept with its end: whoever sees only the list would think it open.

    Args:
        events: In order, each the last of its type and entity.
    """
    told = list(events)
    kept = {
        *_carriers(told, OPEN_ORDERS, "orders", is_order_list, orders_in),
        *_carriers(told, OPEN_POSITIONS, "positions", is_position_list, positions_in),
    }
    last = {
        event.type: index for index, event in enumerate(told) if event.type in ENGINE_STATUS.types or is_scan(event)
    }
    kept.update(last.values())
    return [event for index, event in enumerate(told) if index in kept]


def _carriers(
    told: Sequence[Event], projection: Projection, name: str, is_list: Callable[[Event], bool], entities: _Entities
) -> Iterator[int]:
    """Yield the places of the events that carry the open ones of a projection."""
    places = [index for index, event in enumerate(told) if event.type in projection.types]
    start = next((index for index in reversed(places) if is_list(told[index])), -1)
    state = projection.initial
    listed: set[str] = set()
    for index in places:
        if index >= start:
            state = projection.fold(state, told[index])
    wanted = {entity.id for entity in getattr(state, name)}
    if start >= 0:
        yield start
        listed = _ids(told[start], entities)
    for index in places:
        if index > start and not _ids(told[index], entities).isdisjoint(wanted | listed):
            yield index


def _ids(event: Event, entities: _Entities) -> set[str]:
    return {facts.id for facts in entities(event.type, read_data(event.payload))[0]}
