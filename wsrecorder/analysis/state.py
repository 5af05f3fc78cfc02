"""The state at any moment of a session, folded from the events up to it.

A fold says which events settle it (`Projection.settled_by`): from the last of those on, what came before makes no
difference. They are looked for backwards from the moment, in windows that grow eightfold, so that the state at
the end of a long session reads the session's end and no more. Where nothing settles a fold, it reads its types
from the beginning on. Either way a batch is held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from wsrecorder.analysis.messages import COLUMNS_READ, messages, messages_of
from wsrecorder.analysis.session import Session
from wsrecorder.core.event import Direction, Event, Kind, from_epoch_ns
from wsrecorder.core.folds import OpenOrders, OpenPositions
from wsrecorder.core.moment import resolve_moment
from wsrecorder.core.projection import Projection, projections
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["StateAt", "state_at"]

_WINDOW_EVENTS: Final = 30_000
_GROWTH: Final = 8


@dataclass(frozen=True, slots=True)
class StateAt:
    """What was known at a moment.

    Attributes:
        session: Id of the session.
        elapsed_ns: The moment, ns since the session began.
        received_ns: The same, UTC ns since the epoch.
        events: How many events were folded.
        states: The states, by the names of their projections.
    """

    session: str
    elapsed_ns: int
    received_ns: int
    events: int
    states: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {
            "session": self.session,
            "at": from_epoch_ns(self.received_ns).isoformat(),
            "elapsed_ns": self.elapsed_ns,
            "events": self.events,
            **{name: _plain(state) for name, state in self.states.items()},
        }


def state_at(session: Session, at: str | None = None, among: Iterable[Projection] | None = None) -> StateAt:
    """Return the state of a session at a moment: folded from the events received up to it, that moment included.

    Args:
        session: Sealed or still growing.
        at: An offset (``90s``), one from the end (``-10s``), or an ISO 8601 time; None is the end.
        among: What to fold; None is all registered projections.

    Raises:
        UsageError: The moment is none, or outside of the session.
        SessionError: The session cannot be read.
    """
    manifest = session.store.manifest()
    start_ns, length_ns = manifest.identity.started_ns, manifest.last_elapsed_ns
    at_ns = length_ns if at is None else resolve_moment(at, start_ns=start_ns, length_ns=length_ns)
    wanted = list(projections().values() if among is None else among)
    # A window of so many events, if they came evenly; it grows if they did not.
    window_ns = max(1, length_ns * _WINDOW_EVENTS // max(1, manifest.events))
    first_seqs = _first_seqs(session.store, wanted, at_ns, window_ns)
    states = {each.name: each.initial for each in wanted}
    count = 0
    by_type = {name: [each for each in wanted if name in each.types] for each in wanted for name in each.types}
    if by_type:
        from_seq = min(first_seqs.values())
        for event in messages(session.store, types=by_type, from_seq=from_seq, end_ns=at_ns + 1):
            readers = [each for each in by_type[event.type or ""] if event.seq >= first_seqs[each.name]]
            for each in readers:
                states[each.name] = each.fold(states[each.name], event)
            count += bool(readers)
    return StateAt(manifest.identity.id, at_ns, start_ns + at_ns, count, states)


def _first_seqs(store: Store, wanted: list[Projection], at_ns: int, window_ns: int) -> dict[str, int]:
    """Return from which event on each projection must be folded, by its name; 0 where nothing settles it."""
    found = {each.name: 0 for each in wanted}
    left = [each for each in wanted if each.settled_by]
    while left:
        start_ns = max(0, at_ns - window_ns)
        last_seqs = _last_settling(store, left, start_ns, at_ns)
        for each in left:
            settling = [last_seqs.get(settles) for settles in each.settled_by]
            if all(seq is not None for seq in settling):
                found[each.name] = min(seq for seq in settling if seq is not None)
        if start_ns == 0:
            break
        left = [each for each in left if not found[each.name]]
        window_ns *= _GROWTH
    return found


def _last_settling(
    store: Store, among: list[Projection], start_ns: int, at_ns: int
) -> dict[Callable[[Event], bool], int]:
    """Return the last event of a window, its number, for which each predicate holds."""
    last: dict[Callable[[Event], bool], int] = {}
    wanted = Selection(
        columns=COLUMNS_READ,
        start_ns=start_ns,
        end_ns=at_ns + 1,
        types=frozenset(name for each in among for name in each.types),
        kinds=frozenset({Kind.MESSAGE}),
        direction=Direction.IN,
    )
    settling = [(each.types, settles) for each in among for settles in each.settled_by]
    for batch in store.batches(wanted):
        # Backwards, and only until each was found: few payloads are looked into.
        events = list(messages_of(batch))
        for types, settles in settling:
            seq = next((event.seq for event in reversed(events) if event.type in types and settles(event)), None)
            if seq is not None:
                last[settles] = seq
    return last


def _plain(state: Any) -> Any:
    match state:
        case OpenOrders(orders=found) | OpenPositions(positions=found):
            return [msgspec.to_builtins(each) for each in found]  # which ended last is the fold's own business
        case _:
            return msgspec.to_builtins(state, enc_hook=str)
