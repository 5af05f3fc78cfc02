"""What a player answers: the one thing to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Finished", "Idle", "More", "Reread", "Send", "Step", "Wait"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send the rows ``[start, stop)`` of the batch fed last, now."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due before monotonic ``until_ns``, unless a control changes that."""

    until_ns: int


@dataclass(frozen=True, slots=True)
class Idle:
    """Paused: only a control can move us on."""


@dataclass(frozen=True, slots=True)
class More:
    """Feed the next batch, or say that there is none."""


@dataclass(frozen=True, slots=True)
class Reread:
    """Begin a pass: read from session time ``from_ns`` on, without the first ``skip`` rows of that time, then feed."""

    from_ns: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """There is nothing left to send."""


Step: TypeAlias = Send | Wait | Idle | More | Reread | Finished
