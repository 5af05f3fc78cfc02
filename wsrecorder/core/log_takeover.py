"""One recorder of a pair goes on where the other has ended: which of its own events comes next, and what it is there.

Both have recorded the same feed, each over its own connection, with its own numbers and clock. What they share is the
order of the frames. So the last frames of the stream are looked for among one's own, and what follows them comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from wsrecorder.core.event import Direction, Event, Kind

__all__ = ["Shift", "behind", "is_shared"]


def is_shared(event: Event, heartbeat_type: str | None) -> bool:
    """Return whether an event is one that every connection to the feed gets: a frame of it, and no heartbeat."""
    is_frame = event.kind is Kind.MESSAGE and event.direction is Direction.IN
    return is_frame and (heartbeat_type is None or event.type != heartbeat_type)


def behind(tail: Sequence[bytes], own: Sequence[bytes]) -> int | None:
    """Return which of one's own frames follows the last frames of the stream.

    Args:
        tail: The last frames of the stream, in order, at least one.
        own: One's own, in order.

    Returns:
        The index behind the place that most frames agree on, the later one of two such; None where the last frame of
        the stream is not among one's own.
    """
    best, found = 0, None
    for index, frame in enumerate(own):
        if frame != tail[-1]:
            continue
        agreeing = 1
        while agreeing < min(len(tail), index + 1) and tail[-1 - agreeing] == own[index - agreeing]:
            agreeing += 1
        if agreeing >= best:
            best, found = agreeing, index + 1
    return found


@dataclass(frozen=True, slots=True)
class Shift:
    """From one's own numbers and times to those of the session in the stream.

    Attributes:
        seq: What is added to sequence numbers.
        conn: What is added to numbers of connections.
        elapsed_ns: What is added to times, ns.
        least_ns: No time is before this one, ns.
    """

    seq: int = 0
    conn: int = 0
    elapsed_ns: int = 0
    least_ns: int = 0

    def apply(self, event: Event) -> Event:
        """Return an event as it is in the stream."""
        return msgspec.structs.replace(
            event,
            seq=event.seq + self.seq,
            conn=event.conn + self.conn,
            elapsed_ns=max(self.least_ns, event.elapsed_ns + self.elapsed_ns),
        )
