"""When the simulated engine pushes what: heartbeats with a burst after each, and steps in between.

Steps and heartbeats are taken in the order in which they are due, never in the order in which they
happen to be late. So the order of payloads depends on the seed and the options alone. Only a stall,
or being more than a second late, moves the schedule: a server that hung does not make up for it.
"""

from __future__ import annotations

from wsrecorder.core.engine import Engine
from wsrecorder.core.engine_payloads import Pushed

__all__ = ["Schedule"]

_NEVER_NS = 1 << 62
_TOO_LATE_NS = 1_000_000_000


class Schedule:
    """The engine's events, each when it is due; times are monotonic ns, handed in.

    Args:
        engine: Where the events come from.
        rate: Events per second between bursts; 0 for bursts only.
        burst: Events that follow each heartbeat at once, at least (a burst ends with an engine
            cycle); it begins with the engine's snapshot. 0 for none.
        heartbeat_ns: From one heartbeat to the next.
        max_events: No events after that many (the cycle is finished), heartbeats only; None is never.

    Attributes:
        events_taken: Events so far, heartbeats not counted.
    """

    def __init__(
        self, engine: Engine, *, rate: float, burst: int, heartbeat_ns: int, max_events: int | None = None
    ) -> None:
        self._engine = engine
        self._rate = rate
        self._burst = burst
        self._heartbeat_ns = heartbeat_ns
        self._max_events = max_events
        self._next_heartbeat_ns = self._next_step_ns = 0
        self.events_taken = 0

    @property
    def is_finished(self) -> bool:
        """Whether ``max_events`` is reached."""
        return self._max_events is not None and self.events_taken >= self._max_events

    @property
    def due_ns(self) -> int:
        """When the next events are due."""
        return min(self._next_heartbeat_ns, self._step_due_ns)

    @property
    def _step_due_ns(self) -> int:
        return _NEVER_NS if self._rate == 0 or self.is_finished else self._next_step_ns

    def start(self, now_ns: int, now_ms: int) -> list[Pushed]:
        """Return the first burst; its heartbeat is the one that each client gets on accept.

        Args:
            now_ns: Monotonic time.
            now_ms: UTC ms since the epoch.
        """
        self._next_heartbeat_ns = now_ns + self._heartbeat_ns
        self._next_step_ns = now_ns
        return self._counted(self._burst_events(now_ms))

    def resume(self, now_ns: int) -> None:
        """Go on from here after a stall: a heartbeat and a burst are due now."""
        self._next_heartbeat_ns = self._next_step_ns = now_ns

    def take(self, now_ns: int, now_ms: int) -> list[Pushed]:
        """Return what is due next, as of now; nothing when it is not due yet, or the cycle was quiet.

        Args:
            now_ns: Monotonic time.
            now_ms: UTC ms since the epoch.
        """
        late_ns = now_ns - self.due_ns
        if late_ns < 0:
            return []
        if late_ns > _TOO_LATE_NS:
            # Both by the same, so that their order stays.
            self._next_heartbeat_ns += late_ns
            self._next_step_ns += late_ns
        if self._next_heartbeat_ns <= self._step_due_ns:
            self._next_heartbeat_ns += self._heartbeat_ns
            return [self._engine.heartbeat(now_ms), *self._counted(self._burst_events(now_ms))]
        events = self._counted(self._engine.step(now_ms))
        self._next_step_ns += round(len(events) * 1e9 / self._rate)
        return events

    def _burst_events(self, now_ms: int) -> list[Pushed]:
        if self._burst == 0 or self.is_finished:
            return []
        events = self._engine.snapshot(now_ms)
        while len(events) < self._burst:
            events += self._engine.step(now_ms)
        return events

    def _counted(self, events: list[Pushed]) -> list[Pushed]:
        self.events_taken += len(events)
        return events
