"""Events whose payloads no compression makes small, so that what is fetched of them can be told by its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec
import pyarrow as pa

from tests.store.sessions import STARTED_NS, STEP_NS, event
from wsrecorder.store.schema import from_rows

_BATCH_ROWS = 16_384


def rows(events: int) -> Iterator[pa.RecordBatch]:
    """Yield so many events, a multiple of 16,384, of five types."""
    chance = Random(7)
    template = event(3)
    for first in range(0, events, _BATCH_ROWS):
        yield from_rows(
            [
                msgspec.structs.replace(
                    template,
                    seq=seq,
                    elapsed_ns=seq * STEP_NS,
                    received_ns=STARTED_NS + seq * STEP_NS,
                    type=f"T{seq % 5}",
                    text=f"{chance.getrandbits(800):x}",
                )
                for seq in range(first, first + _BATCH_ROWS)
            ]
        )
