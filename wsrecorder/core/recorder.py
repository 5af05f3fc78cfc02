"""Decides what becomes an event, when a batch is due, when a segment is, and when to try again.

Theory of operation. `Recorder` is handed frames and marks together with the time they came, and
collects them into a `Batch`. Appending is all it does per frame; nothing is parsed here. The job
that owns it takes the batch when `Recorder.frame` says that it is full, or every ``flush_ns``, and
hands it to the store. Sequence numbers are given by position, so that they cannot have holes.

A connection moves through three states, and each move leaves a mark in the log::

    away --opened--> open --closed--> away        marks: [gap] open … close [gap] open …

A gap spans from the loss to the next ``open`` and is written when it is over (or when the recording
ends): an append-only log cannot complete a row later.

A store that takes nothing is a gap as well. What came before is held by the job; when it can hold no more, the
recorder is `shut`: frames are counted and let go, until the store takes again and `outlasted` tells in a gap what
is missing. Frames that were let go have no sequence number.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wsrecorder.core.event import Batch, Direction, Kind, Mark, Opcode, Run

__all__ = ["Limits", "Recorder", "Retry"]

_NO_LIMIT: Final = 1 << 62
_MOST_MARKS_SHUT: Final = 1_000
"""Marks that are kept while frames are not: connections may come and go for as long as a disk is full."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch, a segment and the recording are complete.

    Attributes:
        batch_events: Events after which a batch is due.
        batch_bytes: Payload bytes after which a batch is due.
        flush_ns: Age after which a batch is due, ns.
        segment_bytes: Journal bytes after which it is sealed into a segment.
        segment_ns: Age after which a journal is sealed, ns.
        max_events: Frames from the feed after which the recording is complete, or None.
        duration_ns: Time after which the recording is complete, ns, or None.
    """

    batch_events: int = 4_096
    batch_bytes: int = 16 << 20
    flush_ns: int = 100_000_000
    segment_bytes: int = 64 << 20
    segment_ns: int = 300_000_000_000
    max_events: int | None = None
    duration_ns: int | None = None


@dataclass(slots=True)
class _Missing:
    """What came and was let go since ``from_ns``."""

    from_ns: int
    frames: int = 0
    size_bytes: int = 0
    marks_left: int = _MOST_MARKS_SHUT
    marks: int = 0


class Recorder:
    """Turns what a connection gave into batches of events.

    Attributes:
        complete: The limit on frames is reached; whatever comes now is not part of the recording.
        messages: Frames recorded so far.
        is_open: A connection is open.
        last_frame_ns: Monotonic time of the last frame that came in, or of the last ``open``.
        lost_frames: Frames that came and could not be kept, because the store took nothing for too long.

    Args:
        limits: When a batch is due and when the recording is complete.
        started_ns: Monotonic time at which the session begins.
    """

    def __init__(self, limits: Limits, started_ns: int) -> None:
        self.limits = limits
        self.started_ns = started_ns
        self.complete = False
        self.last_frame_ns = started_ns
        self.connections = 0
        self.gaps = 0
        self.lost_frames = 0
        self._missing: _Missing | None = None
        self._next_seq = 0
        self._taken = 0
        self._sent = 0
        self._taken_bytes = 0
        self._sent_bytes = 0
        self.is_open = False
        self._lost_ns: int | None = None
        self._lost_cause = ""
        self._begin()

    @property
    def messages(self) -> int:
        """Frames recorded so far."""
        return self._taken + len(self._payloads) - len(self._batch.marks)

    @property
    def received(self) -> int:
        """Frames recorded so far that came in."""
        return self.messages - self._sent

    @property
    def received_bytes(self) -> int:
        """Payload bytes of those."""
        return self._taken_bytes + self.limits.batch_bytes - self._room_bytes - self._sent_bytes

    def frame(self, payload: bytes, opcode: int, now_ns: int) -> bool:
        """Record a frame that came in; this is the hot path.

        Args:
            payload: Its bytes, verbatim.
            opcode: Text or binary.
            now_ns: Monotonic time at which the socket gave it.

        Returns:
            True when the batch is full and must be taken.
        """
        if self.complete:
            return True
        if self._missing is not None:
            return self._let_go(len(payload), now_ns)
        self._stamps.append(now_ns - self.started_ns)
        self._payloads.append(payload)
        self._opcodes.append(opcode)
        self.last_frame_ns = now_ns
        self._room_bytes -= len(payload)
        self._room_events -= 1
        if self._room_events > 0 and self._room_bytes > 0:
            return False
        if self.limits.max_events is not None and self.messages - self._sent >= self.limits.max_events:
            self.complete = True
        return True

    def sent(self, payload: bytes, opcode: Opcode, now_ns: int) -> None:
        """Record a frame that we sent to the server, direction ``out``.

        It counts neither towards the limit on frames nor as a sign that the feed is alive.
        """
        if self.complete:
            return
        if self._missing is not None:
            self._let_go(len(payload), self.last_frame_ns)
            return
        self._turn(Direction.OUT)
        self._stamps.append(now_ns - self.started_ns)
        self._payloads.append(payload)
        self._opcodes.append(opcode)
        self._room_bytes -= len(payload)
        self._sent += 1
        self._sent_bytes += len(payload)
        self._turn(Direction.IN)

    def opened(self, now_ns: int, detail: Mapping[str, Any]) -> None:
        """Record that a connection is open; a gap that it ends is written first."""
        self._end_gap(now_ns)
        self.connections += 1
        self._go_on(self.connections - 1, Direction.IN)
        self.last_frame_ns = now_ns
        self.is_open = True
        self._mark(Kind.OPEN, now_ns, detail)

    def closed(self, now_ns: int, *, code: int, reason: str, cause: str) -> None:
        """Record that the connection is gone; a gap begins.

        Args:
            now_ns: Monotonic time.
            code: Close code (RFC 6455, section 7.4), 1006 where no close frame came.
            reason: Reason that came with it.
            cause: Why, in words.
        """
        self._mark(Kind.CLOSE, now_ns, {"code": code, "reason": reason, "cause": cause})
        self.is_open = False
        self._lost_ns, self._lost_cause = now_ns, cause

    def overflowed(self, now_ns: int, detail: Mapping[str, Any]) -> None:
        """Record that something arrived and could not be kept."""
        self.gaps += self._mark(Kind.GAP, now_ns, detail)

    def stumbled(self, now_ns: int, cause: str) -> None:
        """Record that we failed at a frame, which is lost; whatever of it was taken already goes."""
        self._batch.drop_half_row()
        self.overflowed(now_ns, {"cause": cause})

    def noted(self, now_ns: int, text: str) -> None:
        """Record a note."""
        self._mark(Kind.NOTE, now_ns, {"text": text})

    @property
    def is_shut(self) -> bool:
        """Whether frames are counted and let go."""
        return self._missing is not None

    def shut(self, now_ns: int) -> None:
        """Keep no more frames, but count them: nobody has room for them until `outlasted`."""
        if self._missing is None:
            self._missing = _Missing(now_ns)

    def outlasted(self, now_ns: int, refused_ns: int, cause: str) -> int:
        """Record, in a gap, that the store takes events again and what could not be kept meanwhile.

        Args:
            now_ns: Monotonic time.
            refused_ns: Monotonic time since which it took none.
            cause: Why, in words.

        Returns:
            Frames that are missing.
        """
        missing, self._missing = self._missing, None
        detail: dict[str, Any] = {"cause": cause}
        if missing is not None:
            detail |= self._span(missing.from_ns, now_ns)
        detail |= {
            "refused_s": round((now_ns - refused_ns) / 1e9, 6),
            "lost_frames": missing.frames if missing else 0,
            "lost_bytes": missing.size_bytes if missing else 0,
        }
        if missing is not None and missing.marks:
            detail["lost_marks"] = missing.marks
        self.overflowed(now_ns, detail)
        return missing.frames if missing else 0

    def ended(self, now_ns: int) -> None:
        """Record that the session ends: with it ends the connection, or else the gap."""
        if self.is_open:
            self._mark(Kind.CLOSE, now_ns, {"code": 1000, "reason": "", "cause": "the recording ended"})
            self.is_open = False
        self._end_gap(now_ns)

    def is_due(self, now_ns: int) -> bool:
        """Return whether the batch holds anything older than the flush interval allows."""
        return bool(self._payloads) and now_ns - self.started_ns - self._stamps[0] >= self.limits.flush_ns

    def take(self, wall_offset_ns: int) -> Batch | None:
        """Return what was collected and begin anew; None when there is nothing.

        Args:
            wall_offset_ns: What to add to monotonic time for UTC, ns.
        """
        if not self._payloads:
            return None
        batch = self._batch
        batch.wall_offset_ns = wall_offset_ns + self.started_ns
        batch.size_bytes = self.limits.batch_bytes - self._room_bytes
        self._taken_bytes += batch.size_bytes
        self._next_seq += len(batch)
        self._taken += len(batch) - len(batch.marks)
        last_run = batch.runs[-1]
        self._begin(last_run.conn, last_run.direction)
        return batch

    def _begin(self, conn: int = 0, direction: Direction = Direction.IN) -> None:
        self._batch = batch = Batch(self._next_seq, 0, runs=[Run(0, conn, direction)])
        # The hot path reaches each list in one step.
        self._stamps, self._payloads, self._opcodes, self._runs = (
            batch.elapsed_ns,
            batch.payloads,
            batch.opcodes,
            batch.runs,
        )
        limit = self.limits.max_events
        left = _NO_LIMIT if limit is None else limit - (self._taken - self._sent)
        self._room_events = min(self.limits.batch_events, left)
        self._room_bytes = self.limits.batch_bytes

    def _let_go(self, size_bytes: int, now_ns: int) -> bool:
        """Count a frame that is not kept; return True after as many as make a batch, to give others a turn."""
        missing = self._missing
        assert missing is not None
        missing.frames += 1
        missing.size_bytes += size_bytes
        self.lost_frames += 1
        self.last_frame_ns = now_ns
        return missing.frames % self.limits.batch_events == 0

    def _turn(self, direction: Direction) -> None:
        self._go_on(self._runs[-1].conn, direction)

    def _go_on(self, conn: int, direction: Direction) -> None:
        """Let what comes next belong to a connection and a direction."""
        if self._runs[-1].index == len(self._payloads):
            self._runs.pop()  # nothing came in it
        self._runs.append(Run(len(self._payloads), conn, direction))

    def _mark(self, kind: Kind, now_ns: int, detail: Mapping[str, Any]) -> bool:
        """Record a mark; return False when there was no room even for that."""
        if (missing := self._missing) is not None:
            if missing.marks_left == 0:
                missing.marks += 1
                return False
            missing.marks_left -= 1
        self._batch.marks.append(Mark(len(self._payloads), kind, json.dumps(detail)))
        self._stamps.append(now_ns - self.started_ns)
        self._payloads.append(b"")
        self._opcodes.append(0)
        return True

    def _end_gap(self, now_ns: int) -> None:
        if self._lost_ns is None:
            return
        lost_ns, self._lost_ns = self._lost_ns, None
        self.overflowed(
            now_ns,
            {"cause": self._lost_cause, **self._span(lost_ns, now_ns)},
        )

    def _span(self, from_ns: int, to_ns: int) -> dict[str, Any]:
        return {
            "from_ns": from_ns - self.started_ns,
            "to_ns": to_ns - self.started_ns,
            "duration_s": round((to_ns - from_ns) / 1e9, 6),
        }


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to wait before the next try to connect: doubling, with jitter, up to a limit.

    Attributes:
        first_s: Wait after a loss, seconds; 0 means that a lost feed ends the recording.
        most_s: Longest wait, seconds.
    """

    first_s: float = 5.0
    most_s: float = 30.0

    @property
    def is_wanted(self) -> bool:
        """Whether to reconnect at all."""
        return self.first_s > 0

    def wait_s(self, failures: int, chance: random.Random) -> float:
        """Return the wait after ``failures`` tries in a row that failed, 0 right after a loss.

        Up to a fifth is taken off at random, so that many recorders of one feed do not come back in step.
        """
        return min(self.first_s * 2.0 ** min(failures, 30), max(self.first_s, self.most_s)) * chance.uniform(0.8, 1.0)
