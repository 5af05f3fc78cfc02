"""The life of each order and position of a session, and one life event by event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from wsrecorder.analysis.messages import messages
from wsrecorder.analysis.session import Session
from wsrecorder.core.event import Event, from_epoch_ns
from wsrecorder.core.lives import LIFE_TYPES, Life, Lives, What
from wsrecorder.errors import UsageError

__all__ = ["LifeRow", "Step", "history_of", "steps_of"]


class LifeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A life in one row; None where no event told. Times are the sender's, UTC ms since the epoch.

    Attributes:
        what: ``order`` or ``position``.
        id: Of the order or position.
        symbol: Such as ``BTC/USDT``.
        side: ``buy`` or ``sell``, ``long`` or ``short``.
        kind: An order's type; a position's strategy.
        qty: An order's quantity; what a position was opened with.
        price: An order's price as last told; a position's entry.
        status: In lower case; of a position ``open`` or ``closed``.
        began_ms: When it was placed or opened.
        ended_ms: When it was filled, canceled or closed.
        lasted_ms: From one to the other.
        moves: How often an order's price or a position's stop was moved.
        profits_taken: How often a position took profit.
        fill_price: Average price at which an order was filled.
        pnl_usd: Profit of a closed position.
        pnl_r: The same in units of the first risk.
        fees_usd: Fees paid.
        reason: As told last: why it was placed or opened, then why it ended.
        signal: The signal that it came from, by its ``correlation_id``.
        order: A position's order of entry.
        position: The position that an order opened or works on.
        events: How many events told of it.
        first_seq: The first of them.
        last_seq: The last of them.
    """

    what: str
    id: str
    symbol: str | None
    side: str | None
    kind: str | None
    qty: float | None
    price: float | None
    status: str | None
    began_ms: int | None
    ended_ms: int | None
    lasted_ms: int | None
    moves: int
    profits_taken: int | None
    fill_price: float | None
    pnl_usd: float | None
    pnl_r: float | None
    fees_usd: float | None
    reason: str | None
    signal: str | None
    order: str | None
    position: str | None
    events: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one event told of one life.

    Attributes:
        seq: The event.
        elapsed_ns: When it came, ns since the session began.
        received_ns: The same, UTC ns since the epoch.
        type: Its type.
        what: ``signal``, ``order`` or ``position``.
        id: Whose life.
        changes: Value before and after, by the fact's name; empty where it told nothing new.
    """

    seq: int
    elapsed_ns: int
    received_ns: int
    type: str
    what: str
    id: str
    changes: dict[str, tuple[Any, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {
            "seq": self.seq,
            "elapsed_ns": self.elapsed_ns,
            "received_at": from_epoch_ns(self.received_ns).isoformat(),
            "type": self.type,
            "what": self.what,
            "id": self.id,
            "changes": {name: list(pair) for name, pair in self.changes.items()},
        }


def history_of(session: Session) -> list[LifeRow]:
    """Return the lives of all orders and positions, in the order in which they became known.

    What is held in memory grows with their number (about 1 KB each), not with that of the events.

    Raises:
        SessionError: The session cannot be read.
    """
    lives = _lives(session)
    entries = lives.entry_orders()
    rows = [_order_row(life) for life in lives.orders.values()]
    rows += [_position_row(life, entries.get(life.id)) for life in lives.positions.values()]
    return sorted(rows, key=lambda row: (row.first_seq, row.what))


def steps_of(session: Session, id: str) -> list[Step]:
    """Return the life of a signal, order or position event by event, with the lives that it is joined with.

    Of an event that lists all orders or positions only what is news is told.

    Args:
        session: Sealed or still growing.
        id: A signal's ``correlation_id``, or an id of an order or a position.

    Raises:
        UsageError: No event tells of such an id.
        SessionError: The session cannot be read.
    """
    wanted = {(life.what, life.id) for life in _lives(session).chain(id)}
    if not wanted:
        raise UsageError(
            f"session {session.store.identity().id} tells of no signal, order or position {id!r}",
            hint='"wsrec history SESSION" lists the orders and positions that it tells of',
        )
    return list(_steps(session, wanted))


def _lives(session: Session) -> Lives:
    lives = Lives()
    for event in messages(session.store, types=LIFE_TYPES):
        lives.add(event)
    return lives


def _steps(session: Session, wanted: set[tuple[What, str]]) -> Iterator[Step]:
    lives = Lives()
    is_near = _mentioning({id for _, id in wanted})
    for event in messages(session.store, types=LIFE_TYPES):
        if not is_near(event):
            continue
        for told in lives.add(event):
            if (told.life.what, told.life.id) in wanted and (told.changes or not told.is_listed):
                yield Step(
                    event.seq,
                    event.elapsed_ns,
                    event.received_ns,
                    event.type or "",
                    told.life.what,
                    told.life.id,
                    told.changes,
                )


def _mentioning(ids: set[str]) -> Any:
    """Return a function that tells quickly of an event whether it may mention one of the ids."""
    plain = [id for id in ids if json.dumps(id) == f'"{id}"']
    if len(plain) < len(ids):
        return lambda event: True  # JSON has more than one spelling of these

    def mentions(event: Event) -> bool:
        text = event.text
        return text is None or "\\u" in text or any(id in text for id in plain)

    return mentions


def _order_row(life: Life) -> LifeRow:
    facts = life.facts
    return LifeRow(
        **_shared(life),
        kind=facts.kind,
        price=facts.price,
        status=facts.status,
        profits_taken=None,
        fill_price=facts.fill_price,
        pnl_usd=None,
        pnl_r=None,
        signal=facts.correlation_id,
        order=None,
        position=facts.position_id,
    )


def _position_row(life: Life, entry: Life | None) -> LifeRow:
    facts = life.facts
    signal = facts.correlation_id or (None if entry is None else entry.facts.correlation_id)
    return LifeRow(
        **_shared(life),
        kind=facts.strategy,
        price=facts.entry,
        status="closed" if life.is_ended else "open",
        profits_taken=life.profits_taken,
        fill_price=None,
        pnl_usd=facts.pnl_usd,
        pnl_r=facts.pnl_r,
        signal=signal,
        order=facts.order_id or (None if entry is None else entry.id),
        position=None,
    )


def _shared(life: Life) -> dict[str, Any]:
    facts = life.facts
    return {
        "what": str(life.what),
        "id": life.id,
        "symbol": facts.symbol,
        "side": facts.side,
        "qty": life.opened_qty,
        "began_ms": life.began_ms,
        "ended_ms": life.ended_ms,
        "lasted_ms": life.lasted_ms,
        "moves": life.moves,
        "fees_usd": facts.fees_usd,
        "reason": facts.reason,
        "events": life.events,
        "first_seq": life.first_seq,
        "last_seq": life.last_seq,
    }
