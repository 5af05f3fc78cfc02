"""What there is to report of one client of the endpoint."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["ClientStats", "Departed"]


@dataclass(frozen=True, slots=True)
class ClientStats:
    """What there is to report of one client.

    Attributes:
        number: 1 is the first client of the endpoint.
        address: Host and port it came from.
        query: The query string of its URL.
        connected_ns: Monotonic time of its accept, ns.
        frames_sent: Frames of the stream handed to its socket; heartbeats are not counted.
        bytes_sent: Bytes of those on the wire.
        primed: Frames it was sent before the stream, so that it knows how things stand; counted nowhere else.
        heartbeats_sent: Heartbeats it was sent.
        inbound_frames: Frames it sent.
        stalls: How often its buffer was full: it read slower than it was sent to.
        stalled_ns: How long, all together, ns.
        buffered_bytes: Bytes not yet taken by its socket.
        latency_ms: Round trip of the last ping, ms; 0 before the first.
        window_bits: Window of permessage-deflate, None without compression.
        close_code: With which code the connection ended; None while it is open.
    """

    number: int
    address: str
    query: str
    connected_ns: int
    frames_sent: int
    bytes_sent: int
    primed: int
    heartbeats_sent: int
    inbound_frames: int
    stalls: int
    stalled_ns: int
    buffered_bytes: int
    latency_ms: float
    window_bits: int | None
    close_code: int | None


class Departed(deque[ClientStats]):
    """The last clients that have gone; and what all that have gone came to.

    Attributes:
        frames_sent: Frames of the stream that they were sent.
        bytes_sent: Bytes of those on the wire.
        stalls: How often the buffer of one was full.

    Args:
        kept: How many of them are kept.
    """

    def __init__(self, kept: int) -> None:
        super().__init__(maxlen=kept)
        self.frames_sent = 0
        self.bytes_sent = 0
        self.stalls = 0

    def append(self, stats: ClientStats) -> None:
        """Take one more."""
        super().append(stats)
        self.frames_sent += stats.frames_sent
        self.bytes_sent += stats.bytes_sent
        self.stalls += stats.stalls
