"""Events of a session as they come, while it is being recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

from wsrecorder.analysis.session import Session, State
from wsrecorder.clock import Clock
from wsrecorder.store.schema import COLUMNS, RecordBatch

__all__ = ["follow", "last_seq"]

_POLL_NS: Final = 200_000_000
_SHARE: Final = 10
"""Looking takes a tenth of the time at most: a journal is read from its beginning, a DuckDB file copied."""


def last_seq(session: Session, count: int, **wanted: Any) -> int:
    """Return the sequence number from which on a session holds so many events that are wanted.

    Args:
        session: The session.
        count: How many; where there are less, it is the first of them all.
        **wanted: As for `Session.batches`.
    """
    if not wanted:
        return max(0, session.store.manifest().events - count)
    held: list[int] = []
    for batch in session.batches(columns=["seq"], **wanted):
        held = [*held, *batch.column("seq").to_pylist()][-count:] if count else [batch.column("seq")[-1].as_py() + 1]
    return held[0] if held else 0


async def follow(
    session: Session, clock: Clock, stop: asyncio.Event, *, from_seq: int = 0, where: str | None = None, **wanted: Any
) -> AsyncIterator[RecordBatch]:
    """Yield events until the recording has ended and all were taken, or ``stop`` is set.

    Args:
        session: The session, still being recorded or not.
        clock: The time.
        stop: Set it to end.
        from_seq: First sequence number.
        where: As for `Session.batches`.
        **wanted: As for `Session.select`, all columns.

    Raises:
        UsageError: As for `Session.batches`.
    """
    keep = _keeper(session, where)
    while not stop.is_set():
        began_ns = clock.now_ns()
        state = session.state  # before reading: what was written until it ended is then read below
        for batch in session.batches(from_seq=from_seq, **wanted):
            from_seq = batch.column("seq")[-1].as_py() + 1
            for kept in keep(batch):  # after its number was noted: what is dropped once is not read again
                yield kept
        if state is not State.RECORDING:
            return
        now_ns = clock.now_ns()
        await clock.sleep_until(now_ns + max(_POLL_NS, _SHARE * (now_ns - began_ns)), stop)


def _keeper(session: Session, where: str | None) -> Callable[[RecordBatch], Iterable[RecordBatch]]:
    """Return what takes a batch and gives what is kept of it."""
    if where is None:
        return lambda batch: (batch,)
    from wsrecorder.analysis.where import Where  # DuckDB: a tenth of a second that only its users should pay

    condition = Where(where)
    session_id = session.store.manifest().identity.id
    return lambda batch: condition.apply((batch,), COLUMNS, session_id)
