"""How the simulated feed behaves: what a caller may choose, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wsrecorder.errors import UsageError

__all__ = ["SimulatorOptions"]


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """How the simulated feed behaves.

    Attributes:
        seed: The same seed gives the same payloads apart from the clock.
        rate: Events per second between bursts; 0 for bursts only.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        burst: Events that follow each heartbeat at once with the same ``ts``, at least (a burst ends
            with an engine cycle); it begins with the state, the orders and the positions. 0 for none.
        heartbeat_s: Seconds from one heartbeat to the next.
        nan: Share of scans and signals with a bare ``NaN`` or ``Infinity``, 0 to 1.
        big_scan_every: Each scan of that number is a frame of over 1 MiB; 0 is never.
        drop_every_s: Every so many seconds, all connections are cut without a close frame; None is never.
        max_events: No more events after that many (the engine's cycle is finished); heartbeats go on.
        wait_for: Clients to wait for before the engine starts, so that the first misses nothing;
            0 starts at once. It never waits again.
        deflate: Whether to accept permessage-deflate.
        reads: Whether to read what clients send, instead of going deaf as the real server does.
        ping_s: Seconds between pings, and how long a pong may take.
        close_timeout_s: How long a client may take to answer a close frame before it is cut.

    Raises:
        UsageError: A value is out of its range.
    """

    seed: int = 1
    rate: float = 20.0
    host: str = "127.0.0.1"
    port: int = 8000
    burst: int = 20
    heartbeat_s: float = 30.0
    nan: float = 0.0
    big_scan_every: int = 0
    drop_every_s: float | None = None
    max_events: int | None = None
    wait_for: int = 1
    deflate: bool = True
    reads: bool = False
    ping_s: float = 20.0
    close_timeout_s: float = 2.0

    def __post_init__(self) -> None:
        _check("rate", self.rate, 0 <= self.rate < math.inf, "0 or more events per second")
        _check("burst", self.burst, self.burst >= 0, "0 or more events")
        _check("heartbeat interval", self.heartbeat_s, 0 < self.heartbeat_s < math.inf, "more than 0 seconds")
        _check("share of NaN", self.nan, 0 <= self.nan <= 1, "0 to 1")
        _check("drop interval", self.drop_every_s, self.drop_every_s is None or self.drop_every_s > 0, "over 0 seconds")
        _check("port", self.port, 0 <= self.port <= 65_535, "0 to 65535")


def _check(what: str, found: object, is_fine: bool, expected: str) -> None:
    if not is_fine:
        raise UsageError(f"the {what} of the simulated feed is {found}", hint=f"give {expected}")
