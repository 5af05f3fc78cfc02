"""Decides what a black box keeps, when it writes a snapshot, and what is in that.

Theory of operation. What comes is appended to segments on disk, a ring: the oldest are removed once the newer ones hold
all that the limits ask for. A trigger opens a window around its moment; what the ring has of the window is held from
then on, and what comes is added until the window's end is reached. Then the window is handed out to be written::

    ring   [seg][seg][seg][seg][seg]
                  |<-- pre -->T<- post ->|        another trigger before the end moves the end
                  held ---------------- written

One window is written at a time. What triggers while the one before it is being written goes into one window, however
long that takes. Triggers that never cease must not fill the disk either: a window that has taken as much after its
trigger as the ring holds is handed out as a part, and the next goes on from there without a gap or a twin.

All times are those of the recording, ns since it began.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from wsrecorder.core.moment import format_duration
from wsrecorder.errors import UsageError

__all__ = ["BlackBox", "BoxLimits", "Cause", "RingFill", "Trigger", "Window"]

_SEGMENTS: Final = 16
"""Into how many segments a ring is divided: by one of them it may exceed its limits."""

_LEAST_SEGMENT_BYTES: Final = 65_536

_MOST_FURTHER: Final = 50
"""How many triggers a window names beside its first; more are only counted."""


class Cause(StrEnum):
    """What made a black box write what it had."""

    SIGNAL = "signal"
    HTTP = "http"
    CONDITION = "condition"
    CRASH = "crash"
    DISK = "disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxLimits:
    """What a black box keeps, and what a snapshot holds.

    Attributes:
        age_ns: How far back it can tell, ns; None is as far as the size allows.
        size_bytes: How much it keeps on disk; None is as much as the age asks for.
        pre_ns: What a snapshot holds from before its trigger, ns; None is all there is.
        post_ns: What it holds from after its trigger, ns.

    Raises:
        UsageError: There is no limit, or one that leaves nothing, or ``pre_ns`` is more than is kept.
    """

    age_ns: int | None = None
    size_bytes: int | None = None
    pre_ns: int | None = None
    post_ns: int = 0

    def __post_init__(self) -> None:
        if self.age_ns is None and self.size_bytes is None:
            raise UsageError("nothing says how much a black box keeps", hint="write --snapshot 10m, 200MB or 10m,200MB")
        if self.age_ns == 0 or self.size_bytes == 0:
            raise UsageError("--snapshot 0 would keep nothing", hint="use a time or size above 0, such as 10m or 200MB")
        if self.pre_ns is not None and self.age_ns is not None and self.pre_ns > self.age_ns:
            raise UsageError(
                f"--pre {format_duration(self.pre_ns)} is more than --snapshot {format_duration(self.age_ns)} keeps",
                hint="give a shorter --pre, or let --snapshot keep more",
            )

    @property
    def segment_ns(self) -> int | None:
        """Age at which a segment of the ring is complete, ns; None is any."""
        return None if self.age_ns is None else max(1, self.age_ns // _SEGMENTS)

    @property
    def segment_bytes(self) -> int | None:
        """Size at which it is; None is any."""
        return None if self.size_bytes is None else max(_LEAST_SEGMENT_BYTES, self.size_bytes // _SEGMENTS)


@dataclass(frozen=True, slots=True)
class Trigger:
    """What asks for a snapshot.

    Attributes:
        cause: Of which kind it is.
        at_ns: When it came, ns since the recording began.
        reason: The condition, the signal's name, or what was said with the request.
    """

    cause: Cause
    at_ns: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one snapshot is made of: all events within that the ring still had.

    Attributes:
        trigger: The first that asked for it.
        triggers: How many did.
        further: The next ones, at most 50.
        from_ns: Its first moment; may be before anything came.
        to_ns: Its last moment, included.
        part: From 1 on; a later part goes on where the one before it ends.
        numbers: The segments that hold its events.
        missing_ns: By how much the recording ended before the window did, ns.
    """

    trigger: Trigger
    triggers: int
    from_ns: int
    to_ns: int
    further: tuple[Trigger, ...] = ()
    part: int = 1
    numbers: tuple[int, ...] = ()
    missing_ns: int = 0


@dataclass(frozen=True, slots=True)
class RingFill:
    """How much of a ring there is.

    Attributes:
        size_bytes: On disk.
        span_ns: From its oldest event to its newest, ns.
    """

    size_bytes: int = 0
    span_ns: int = 0


@dataclass(slots=True)
class _Segment:
    number: int
    first_ns: int
    last_ns: int
    size_bytes: int


@dataclass(slots=True)
class _Pending:
    """A window whose end has not come; what of it counts as "after the trigger" begins at ``began_ns``."""

    window: Window
    began_ns: int
    began_bytes: int


class BlackBox:
    """The ring and its windows.

    Attributes:
        limits: What it keeps.
        open_number: Number of the segment that the next batch goes into.

    Args:
        limits: What it keeps.
    """

    def __init__(self, limits: BoxLimits) -> None:
        self.limits = limits
        self.open_number = 0
        self._segments: list[_Segment] = []
        self._pending: _Pending | None = None
        self._writing: Window | None = None
        self._grown_bytes = 0

    def grew(self, first_ns: int, last_ns: int, segment_bytes: int) -> bool:
        """Take note of a batch that was appended to the open segment.

        Args:
            first_ns: When its first event came; not before any that came already.
            last_ns: When its last did.
            segment_bytes: Size of that segment on disk now.

        Returns:
            True when the segment is complete, and `rotated` is to be called when it is closed.
        """
        if not self._segments or self._segments[-1].number != self.open_number:
            self._segments.append(_Segment(self.open_number, first_ns, last_ns, 0))
        segment = self._segments[-1]
        self._grown_bytes += segment_bytes - segment.size_bytes
        segment.last_ns, segment.size_bytes = last_ns, segment_bytes
        most_ns, most_bytes = self.limits.segment_ns, self.limits.segment_bytes
        return (most_ns is not None and last_ns - segment.first_ns >= most_ns) or (
            most_bytes is not None and segment_bytes >= most_bytes
        )

    def rotated(self) -> None:
        """Take note that the open segment, if there is one, is closed."""
        if self._segments and self._segments[-1].number == self.open_number:
            self.open_number += 1

    def trigger(self, trigger: Trigger) -> bool:
        """Ask for a snapshot; return whether that opens a window, and not only moves the end of one."""
        oldest_ns, before_ns = trigger.at_ns, trigger.at_ns
        if self._segments:
            oldest_ns, before_ns = self._segments[self._start()].first_ns, min(before_ns, self._segments[-1].last_ns)
        if self.limits.pre_ns is not None:
            from_ns = max(oldest_ns, trigger.at_ns - self.limits.pre_ns)
        elif self.limits.age_ns is not None:
            # While nothing comes the ring forgets nothing: what led to the silence is what is asked for.
            from_ns = max(oldest_ns, before_ns - self.limits.age_ns)
        else:
            from_ns = oldest_ns
        to_ns = trigger.at_ns + self.limits.post_ns
        if self._pending is None:
            window = Window(trigger=trigger, triggers=1, from_ns=from_ns, to_ns=to_ns)
            self._pending = _Pending(window, trigger.at_ns, self._grown_bytes)
            return True
        window = self._pending.window
        self._pending.window = replace(
            window,
            triggers=window.triggers + 1,
            further=(*window.further, trigger) if len(window.further) < _MOST_FURTHER else window.further,
            from_ns=min(window.from_ns, from_ns) if window.part == 1 else window.from_ns,
            to_ns=max(window.to_ns, to_ns),
        )
        return False

    def reach(self, reached_ns: int) -> Window | None:
        """Return the window that is complete, if one is and none is being written; `written` is to follow.

        Args:
            reached_ns: Every event that came until then was appended.
        """
        pending = self._pending
        if pending is None or self._writing is not None:
            return None
        if reached_ns >= pending.window.to_ns:
            self._pending = None
            return self._handed_out(pending.window)
        if not self._is_large(pending) or reached_ns < pending.window.from_ns:
            return None
        rest = replace(pending.window, from_ns=reached_ns + 1, part=pending.window.part + 1)
        self._pending = _Pending(rest, reached_ns, self._grown_bytes)
        return self._handed_out(replace(pending.window, to_ns=reached_ns))

    def end(self) -> Window | None:
        """Return the window that the end of the recording cuts short, if there is one; nothing may be being written."""
        if self._pending is None:
            return None
        window, self._pending = self._pending.window, None
        last_ns = self._segments[-1].last_ns if self._segments else window.trigger.at_ns
        return self._handed_out(replace(window, missing_ns=max(0, window.to_ns - last_ns)))

    def written(self) -> None:
        """Take note that the window handed out was written, or given up."""
        self._writing = None

    @property
    def must_wait(self) -> bool:
        """Whether nothing more may be taken before the window that was handed out is written."""
        return self._writing is not None and self._pending is not None and self._is_large(self._pending)

    @property
    def is_pending(self) -> bool:
        """Whether a window's end has not come."""
        return self._pending is not None

    @property
    def fill(self) -> RingFill:
        """How much of the ring there is; what is only held for a snapshot is not counted."""
        kept = self._segments[self._start() :]
        if not kept:
            return RingFill()
        return RingFill(sum(segment.size_bytes for segment in kept), kept[-1].last_ns - kept[0].first_ns)

    def evict(self) -> list[int]:
        """Return the numbers of the segments that are to be removed, and forget them."""
        wanted = (self._writing, None if self._pending is None else self._pending.window)
        windows = [window for window in wanted if window is not None]
        stale = [
            segment
            for segment in self._segments[: self._start()]
            if not any(_overlaps(segment, window) for window in windows)
        ]
        gone = [segment.number for segment in stale]
        self._segments = [segment for segment in self._segments if segment.number not in gone]
        return gone

    def _start(self) -> int:
        """Return where the ring begins among the segments: those from there on hold all that it must."""
        age_ns, size_bytes = self.limits.age_ns, self.limits.size_bytes
        left_bytes = sum(segment.size_bytes for segment in self._segments)
        for index, segment in enumerate(self._segments[:-1]):
            left_bytes -= segment.size_bytes
            is_old = age_ns is not None and segment.last_ns < self._segments[-1].last_ns - age_ns
            if not is_old and (size_bytes is None or left_bytes < size_bytes):
                return index
        return max(0, len(self._segments) - 1)

    def _is_large(self, pending: _Pending) -> bool:
        """Return whether a window has taken as much after its trigger as the ring holds."""
        age_ns, size_bytes = self.limits.age_ns, self.limits.size_bytes
        taken_ns = self._segments[-1].last_ns - pending.began_ns if self._segments else 0
        return (age_ns is not None and taken_ns > max(age_ns, self.limits.post_ns)) or (
            size_bytes is not None and self._grown_bytes - pending.began_bytes > size_bytes
        )

    def _handed_out(self, window: Window) -> Window:
        numbers = tuple(segment.number for segment in self._segments if _overlaps(segment, window))
        self._writing = replace(window, numbers=numbers)
        return self._writing


def _overlaps(segment: _Segment, window: Window) -> bool:
    return segment.last_ns >= window.from_ns and segment.first_ns <= window.to_ns
