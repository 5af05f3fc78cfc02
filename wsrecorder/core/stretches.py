"""A recording as its recorder was there: stretches without holes, and the times between them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import islice
from typing import Any, Final

import msgspec

__all__ = ["BEGINNING_NS", "MOST_HELD", "Away", "Left", "Sighting", "Stretches"]

MOST_HELD: Final = 131_072
"""Most messages of a recording that are held at a time."""

BEGINNING_NS: Final = -(1 << 62)
"""When a recorder left that has never been there before."""

_DONE: Final = 1_024
_CHUNK: Final = 32  # its times are set right by the drift known when it is read


class Away(msgspec.Struct, frozen=True, gc=False):
    """A time in which a recorder was not connected.

    Attributes:
        left_ns: When it began; `BEGINNING_NS` before the recording.
        back_ns: When it ended.
        cause: Why, in words.
    """

    left_ns: int
    back_ns: int
    cause: str = ""


class Sighting(msgspec.Struct):
    """A message as a recorder saw it.

    Attributes:
        identity: The same for messages that are the same, byte for byte and in direction.
        at_ns: When it came; all recorders count from the same moment, as far as that is known.
        content: Whatever its owner needs to know it again.
        away: The recorder was away right before it; the first one always has this.
        is_own: It may be of this connection alone.
        seen: A bit for each recorder that saw it.
        is_doubtful: Its place is not certain, or whether it was seen twice.
    """

    identity: Hashable
    at_ns: int
    content: Any
    away: Away | None = None
    is_own: bool = False
    seen: int = 1
    is_doubtful: bool = False


class Left(msgspec.Struct, frozen=True, gc=False):
    """The end of a recording.

    Attributes:
        at_ns: When.
        cause: Why, in words.
    """

    at_ns: int
    cause: str = "the recording ended"


class Stretches:
    """One recording, read as far as needed: what is held of it, and whether its recorder is there.

    Args:
        coming: Its messages in order, ended by a `Left`.

    Attributes:
        held: Messages read; those before ``place`` are done with.
        is_there: The next message goes on the stretch that we are in.
        away: The time before the stretch that we are in, or that comes next.
        left_ns: When its recorder left for good, or None.
        lag_ns: By how much its clock has drifted from the other's.
    """

    def __init__(self, coming: Iterable[Sighting | Left]) -> None:
        self._coming = iter(coming)
        self._arrived: Sighting | None = None
        self.held: list[Sighting] = []
        self.place = 0
        self.is_there = False
        self.away = Away(BEGINNING_NS, BEGINNING_NS)
        self.left_ns: int | None = None
        self._cause = ""
        self.lag_ns = 0

    def head(self) -> Sighting | None:
        """Return the next message, None at the end."""
        if self.place == len(self.held):
            self._read()
            if self.place == len(self.held):
                return None
        head = self.held[self.place]
        if head.away is not None and self._arrived is not head:
            self._arrived, self.away, self.is_there = head, head.away, False
        return head

    def look_ahead(self, until_ns: int, count: int) -> None:
        """Hold at least so many messages beyond a time, as far as there are."""
        while self.left_ns is None and len(self.held) - self.place < MOST_HELD:
            beyond = len(self.held) - count
            if beyond >= self.place and self.held[beyond].at_ns > until_ns:
                return
            self._read()

    def stretch(self) -> tuple[list[Sighting], bool]:
        """Return what is held of the stretch that the next message is in, and whether it ends there."""
        for index in range(self.place + 1, len(self.held)):
            if self.held[index].away is not None:
                return self.held[self.place : index], True
        return self.held[self.place :], self.left_ns is not None

    def gone(self) -> tuple[int, str]:
        """Return when its recorder left and why; it is not there."""
        if self.left_ns is None or self.head() is not None:
            return self.away.left_ns, self.away.cause
        return self.left_ns, self._cause

    def _read(self) -> None:
        if self.left_ns is not None:
            return
        if self.place > _DONE:
            del self.held[: self.place]
            self.place = 0
        read = list(islice(self._coming, _CHUNK))
        for sighting in read:
            if isinstance(sighting, Left):
                self.left_ns, self._cause = sighting.at_ns - self.lag_ns, sighting.cause
            else:
                sighting.at_ns -= self.lag_ns
                self.held.append(sighting)
