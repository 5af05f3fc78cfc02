"""The session that tests of the page look at: with a gap, and with payloads that want to be more than text."""

from __future__ import annotations

import json
from pathlib import Path

from docs.example import MONDAY, engine_batches, sink
from wsrecorder.core.event import Direction, Event, Kind, to_epoch_ns
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows, iter_events

HOSTILE = "<b>bold</b></script><script>window.bitten = 1</script><img src=x onerror='window.bitten = 2'>"
BIG = "BIG"
_MESSAGES = 3_000
_BIG_TEXT = '{"type": "BIG", "ts": 1, "data": {"id": 12345678901234567890, "score": NaN, "price": 1.10}}'


def make_scene(library: Path) -> list[Event]:
    """Make the session in a library and return its events."""
    events = [event for batch in engine_batches(MONDAY, _MESSAGES, lose_at=1_700) for event in iter_events(batch)]
    last = events[-1]
    for number, (type_, text) in enumerate(
        [(HOSTILE, json.dumps({"type": HOSTILE, "ts": 1, "data": {HOSTILE: HOSTILE}})), (BIG, _BIG_TEXT)], 1
    ):
        elapsed_ns = last.elapsed_ns + number * 1_000_000
        events.append(
            Event(
                seq=last.seq + number, kind=Kind.MESSAGE, conn=last.conn, direction=Direction.IN, elapsed_ns=elapsed_ns,
                received_ns=to_epoch_ns(MONDAY) + elapsed_ns, type=type_, text=text,
            )
        )  # fmt: skip
    target = sink(library, "engine", MONDAY)
    target.append(from_rows(events))
    target.close(Health(reconnects=1, gaps=1))
    return events
