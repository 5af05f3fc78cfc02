"""Where playback stands: one pinned pair of times and a speed; the time now is always passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wsrecorder.errors import UsageError

__all__ = ["FASTEST", "MAX_SPEED", "SLOWEST", "Playhead", "check_speed", "parse_speed"]

MAX_SPEED = math.inf
"""As fast as clients take it: there are no deadlines."""

# Beyond these the arithmetic in float64 ns would lose its meaning; nobody can see the difference.
SLOWEST = 1e-6
FASTEST = 1e9


@dataclass(frozen=True, slots=True)
class Playhead:
    """Where playback stands: a pinned pair of session and wall time, and a speed.

    Attributes:
        session_ns: Session time at the pin, ns since the session began.
        wall_ns: Monotonic time at the pin, ns.
        speed: Session seconds per wall second; 0 is paused. At `MAX_SPEED` time does not carry
            the playhead on, sending does: it stands at the pin until it is moved.
    """

    session_ns: int
    wall_ns: int
    speed: float = 1.0

    @property
    def is_timed(self) -> bool:
        """Whether time carries the playhead on: neither paused nor at `MAX_SPEED`."""
        return 0 < self.speed < MAX_SPEED

    def position(self, wall_ns: int) -> int:
        """Return the session time reached at ``wall_ns``, in ns."""
        if not self.is_timed:
            return self.session_ns
        # Scale the difference, not the epoch: float64 is exact to 2**53 ns, about 104 days.
        return self.session_ns + round((wall_ns - self.wall_ns) * self.speed)

    def wall_at(self, session_ns: int) -> int:
        """Return the first wall time, ns, at which ``position`` has reached ``session_ns``.

        Only a timed playhead reaches anything by waiting.
        """
        assert self.is_timed, "a playhead that is paused or at maximum speed has no deadlines"
        wall_ns = self.wall_ns + math.ceil((session_ns - self.session_ns) / self.speed)
        # Division and multiplication round differently. Whoever waits for this deadline must find
        # the event due then, or would ask again at once, for ever.
        while self.position(wall_ns) < session_ns:
            wall_ns += math.ceil(1 / self.speed)
        return wall_ns

    def at_speed(self, speed: float, wall_ns: int) -> Playhead:
        """Return a playhead that goes on from here at another speed; the position does not jump."""
        return Playhead(self.position(wall_ns), wall_ns, speed)

    def pause(self, wall_ns: int) -> Playhead:
        """Return a playhead that stands still here."""
        return self.at_speed(0.0, wall_ns)

    def resume(self, speed: float, wall_ns: int) -> Playhead:
        """Return a playhead that goes on from where this one was paused; the pause cost no session time."""
        return self.at_speed(speed, wall_ns)

    def seek(self, session_ns: int, wall_ns: int) -> Playhead:
        """Return a playhead at another place, at the same speed."""
        return Playhead(session_ns, wall_ns, self.speed)

    def hold(self, since_ns: int, wall_ns: int) -> Playhead:
        """Return a playhead that stood still from ``since_ns`` until now, and goes on from there."""
        # A control may have pinned it anew in between; only the time after that can be taken back.
        return Playhead(self.position(max(since_ns, self.wall_ns)), wall_ns, self.speed)


def check_speed(speed: float) -> float:
    """Return ``speed`` if playback can run at it.

    Raises:
        UsageError: It is not a number above 0.
    """
    if speed == MAX_SPEED or SLOWEST <= speed <= FASTEST:
        return speed
    raise UsageError(
        f"speed {speed:g} is not possible, it must be from {SLOWEST:g} to {FASTEST:g}",
        hint='give a factor such as 0.5, 1 or 10, or "max" for as fast as clients take it; to stand still, pause',
    )


def parse_speed(text: str) -> float:
    """Read a speed: ``10``, ``0.5x`` or ``max``.

    Returns:
        Session seconds per wall second, above 0; `MAX_SPEED` for ``max``.

    Raises:
        UsageError: It is not a number above 0.
    """
    word = text.strip().lower()
    if word == "max":
        return MAX_SPEED
    try:
        speed = float(word.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if math.isinf(speed) or math.isnan(speed):
        raise UsageError(f'"{text}" is not a speed', hint='give a factor such as 0.5, 1 or 10, or "max"')
    return check_speed(speed)
