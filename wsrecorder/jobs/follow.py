"""Events of a session as they come, while it is being recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from wsrecorder.analysis.session import Session, State
from wsrecorder.clock import Clock
from wsrecorder.store.schema import RecordBatch

__all__ = ["follow", "last_seq"]

_POLL_NS: Final = 200_000_000
_SHARE: Final = 10
"""Looking takes a tenth of the time at most: a journal is read from its beginning, a DuckDB file copied."""


def last_seq(session: Session, count: int, **wanted: Any) -> int:
    """Return the sequence number from which on a session holds so many events that are wanted.

    Args:
        session: The session.
        count: How many; where there are less, it is the first of them all.
        **wanted: As for `Session.select`.
    """
    if not wanted:
        return max(0, session.store.manifest().events - count)
    held: list[int] = []
    for batch in session.batches(columns=["seq"], **wanted):
        held = [*held, *batch.column("seq").to_pylist()][-count:] if count else [batch.column("seq")[-1].as_py() + 1]
    return held[0] if held else 0


async def follow(
    session: Session, clock: Clock, stop: asyncio.Event, *, from_seq: int = 0, **wanted: Any
) -> AsyncIterator[RecordBatch]:
    """Yield events until the recording has ended and all were taken, or ``stop`` is set.

    Args:
        session: The session, still being recorded or not.
        clock: The time.
        stop: Set it to end.
        from_seq: First sequence number.
        **wanted: As for `Session.select`.
    """
    while not stop.is_set():
        began_ns = clock.now_ns()
        state = session.state  # before reading: what was written until it ended is then read below
        for batch in session.batches(from_seq=from_seq, **wanted):
            from_seq = batch.column("seq")[-1].as_py() + 1
            yield batch
        if state is not State.RECORDING:
            return
        now_ns = clock.now_ns()
        await clock.sleep_until(now_ns + max(_POLL_NS, _SHARE * (now_ns - began_ns)), stop)
