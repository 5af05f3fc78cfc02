"""The messages of a session as events without their marks, and only the columns that answers need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.store.schema import RecordBatch
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["COLUMNS_READ", "messages", "messages_of"]

COLUMNS_READ: Final = ("seq", "elapsed_ns", "received_ns", "type", "sent_at", "text", "binary")
"""What is read of an event."""


def messages(
    store: Store,
    *,
    types: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    from_seq: int = 0,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Iterator[Event]:
    """Yield what the server sent, in sequence, in bounded memory.

    Args:
        store: The session.
        types: Only messages of these types; None is all.
        exclude: No messages of these types.
        from_seq: First sequence number.
        start_ns: First moment, ns since the session began; None is the beginning.
        end_ns: First moment not wanted any more; None is the end.
    """
    selection = Selection(
        columns=COLUMNS_READ,
        from_seq=from_seq,
        start_ns=start_ns,
        end_ns=end_ns,
        types=None if types is None else frozenset(types),
        exclude=frozenset(exclude),
        kinds=frozenset({Kind.MESSAGE}),
        direction=Direction.IN,
    )
    for batch in store.batches(selection):
        yield from messages_of(batch)


def messages_of(batch: RecordBatch) -> Iterator[Event]:
    """Yield a record batch of `COLUMNS_READ`, all of it frames from the server, as events."""
    names = ("seq", "elapsed_ns", "received_ns", "type")
    columns: list[list[Any]] = [batch.column(name).to_pylist() for name in names]
    columns.append(batch.column("sent_at").cast("int64").to_pylist())
    columns += [batch.column(name).to_pylist() for name in ("text", "binary")]
    for seq, elapsed_ns, received_ns, type_, sent_at_us, text, binary in zip(*columns, strict=True):
        yield Event(
            seq, Kind.MESSAGE, 0, Direction.IN, elapsed_ns, received_ns, type_, sent_at_us, text, binary
        )  # the connection is not read: it makes no difference to any answer
