"""A recording from beginning to end, the real job on a virtual clock, onto a disk that refuses at its Nth operation."""

from __future__ import annotations

import asyncio
import errno
import json
import random
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pyarrow as pa

from torture.faulty_disk import FaultyDisk
from wsrecorder.clock import VirtualClock
from wsrecorder.core.event import Event, Kind, Opcode
from wsrecorder.core.recorder import Limits
from wsrecorder.errors import SessionError, StorageError, WsrecError
from wsrecorder.jobs import feed_recorder
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.record_options import Outcome, RecordOptions
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.verify import verify
from wsrecorder.net.transport import Closed, FeedOptions, Receiver
from wsrecorder.store import recording as recording_module
from wsrecorder.store.schema import iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore
from wsrecorder.store.sink import ParquetSink

__all__ = ["Case", "Result", "rehearse", "walk"]

_STEPS: Final = 14
_STEP_NS: Final = 800_000_000
_MOST_TURNS: Final = 1_000_000
_ROOM_BYTES: Final = 12_000
"""Memory for what waits: little, so that some outages outlast it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One recording.

    Attributes:
        seed: What its frames are drawn from.
        begins: Number of the disk's operation that is the first to be refused.
        lasts: How many are refused; None refuses to the end of the recording.
        code: ``ENOSPC`` or ``EIO``.
    """

    seed: int
    begins: int
    lasts: int | None
    code: int

    @classmethod
    def drawn(cls, seed: int, begins: int) -> Case:
        """Return the case of an operation."""
        chance = random.Random(f"{seed}:{begins}")
        lasts = chance.choice([1, 1, 2, 3, 5, 8, None])
        return cls(seed, begins, lasts, chance.choice([errno.ENOSPC, errno.EIO]))


@dataclass(slots=True)
class Result:
    """What came of it.

    Attributes:
        case: The recording.
        kind: Kind of the operation that was refused first; empty if none was.
        operations: Kinds of the disk's operations, in order.
        events: Events in the session in the end.
        gaps: Gaps that tell of the disk.
        lost_frames: Frames that those say are missing.
        unwritten: Frames after the last event of a session that ended while the disk refused.
        is_sealed: Whether the recording sealed it.
        broken: What is wrong, or nothing.
    """

    case: Case
    kind: str = ""
    operations: tuple[str, ...] = ()
    events: int = 0
    gaps: int = 0
    lost_frames: int = 0
    unwritten: int = 0
    is_sealed: bool = False
    broken: str = ""


def rehearse(case: Case, folder: Path) -> Result:
    """Record, and judge what is there: while the disk refuses, and in the end."""
    result = Result(case)
    try:
        asyncio.run(_Rehearsal(case, folder, result).run())
    except (AssertionError, WsrecError) as exc:
        result.broken = f"{type(exc).__name__}: {exc}"
    return result


class _ScriptedLink:
    """A connection that says what the rehearsal lets it say."""

    def __init__(self) -> None:
        self.receiver: Receiver | None = None

    async def connect(self, options: FeedOptions, receiver: Receiver, transport: str) -> _ScriptedLink:
        self.receiver = receiver
        receiver.on_open(None, False)
        return self

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def send(self, payload: bytes, opcode: Opcode) -> None:
        pass

    async def wait_closed(self) -> Closed:
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class _Rehearsal:
    def __init__(self, case: Case, folder: Path, result: Result) -> None:
        self._chance = random.Random(case.seed)
        self._folder = folder
        self._result = result
        self._faulty = FaultyDisk(case.begins, case.lasts, case.code, self._look_while_it_refuses)
        self._clock = VirtualClock()
        self._sent: list[bytes] = []
        self._recorder: FeedRecorder | None = None
        self._asked = self._answered = 0

    async def run(self) -> None:
        limits = Limits(batch_events=16, batch_bytes=1_000_000, segment_bytes=14_000, segment_ns=4_000_000_000)
        options = RecordOptions(feed=FeedOptions("ws://feed/ws/"), library=self._folder, name="d", limits=limits)
        link = _ScriptedLink()
        with ExitStack() as stack:
            stack.enter_context(patch.object(feed_recorder, "connect_feed", link.connect))
            stack.enter_context(patch.object(recording_module, "_FULL_BYTES", _ROOM_BYTES))
            stack.enter_context(patch.object(recording_module, "_DRAINED_BYTES", _ROOM_BYTES // 3))
            stack.enter_context(self._faulty.in_place())
            stack.enter_context(self._clock.held())
            stop = asyncio.Event()
            self._recorder = recorder = FeedRecorder(options, self._clock)
            running = asyncio.create_task(recorder.run(stop))
            await self._until(lambda: running.done() or recorder.state.path is not None)
            self._count_tries()
            for _ in range(_STEPS):
                if running.done():
                    break
                await self._step(link)
            stop.set()
            outcome = await running
        self._result.kind, self._result.operations = self._faulty.first, tuple(self._faulty.operations)
        self._judge(outcome)

    def _count_tries(self) -> None:
        """Count how often the writer is to ask the disk again, and has: its thread gets the time that it needs."""
        recording = self._recorder.vitals.recording if self._recorder is not None else None
        if recording is None:
            return
        try_again, append = recording.try_again, recording._append

        def count_asked() -> None:
            self._asked += 1
            try_again()

        def count_answered(rows: pa.RecordBatch) -> bool:
            is_asked = recording.refusal is not None
            is_taken = append(rows)
            self._answered += is_asked
            return is_taken

        recording.__dict__.update(try_again=count_asked, _append=count_answered)

    async def _step(self, link: _ScriptedLink) -> None:
        """Let some frames come, and time pass; then let everybody do what there is to do."""
        assert link.receiver is not None
        for _ in range(self._chance.randrange(12)):
            number = len(self._sent)
            payload = b'{"type":"T%d","n":%d,"pad":"%s"}' % (
                number % 5,
                number,
                self._chance.randbytes(200).hex().encode(),
            )
            self._sent.append(payload)
            link.receiver.on_frame(payload, Opcode.TEXT)
        self._clock.advance(_STEP_NS)
        for _ in range(8):
            await asyncio.sleep(0)
        await self._until(self._all_wait)

    def _all_wait(self) -> bool:
        assert self._recorder is not None
        recording = self._recorder.vitals.recording
        assert recording is not None
        assert isinstance(recording.sink, ParquetSink)
        is_waiting = recording.refusal is not None and self._asked == self._answered
        is_writing = recording.queued[1] and not is_waiting and recording.error is None
        sealer = recording.sink._sealer
        return not is_writing and (not sealer.waiting_bytes or sealer.refusal is not None or sealer._error is not None)

    async def _until(self, is_so: Any) -> None:
        for _ in range(_MOST_TURNS):
            if is_so():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came to rest")

    def _look_while_it_refuses(self) -> None:
        """Called on the thread that is refused: all that was synced is readable, and no rule is broken."""
        recording = self._recorder.vitals.recording if self._recorder is not None else None
        if recording is None:
            return  # the session is being made
        synced = recording.sink.tally.events
        try:
            store = ParquetStore(recording.sink.path)
            events = _read(store)
            walk(events, self._sent, is_whole=False)
            report = verify(store)
            if len(events) < synced or not report.is_sound:
                raise AssertionError(f"{len(events)} events readable of {synced} synced; {report.findings}")
        except (AssertionError, WsrecError) as exc:
            self._result.broken = f"while the disk refused: {exc}"

    def _judge(self, outcome: Outcome) -> None:
        result = self._result
        if outcome.path is None:
            assert isinstance(outcome.error, StorageError), f"nothing was recorded, and it said {outcome.error}"
            assert not self._sent
            return
        assert outcome.manifest is not None
        result.is_sealed = outcome.manifest.sealed
        assert result.is_sealed == (outcome.error is None)
        store = ParquetStore(outcome.path)
        before = _read(store)
        assert len(before) >= outcome.manifest.events, "what was synced is not there"
        if outcome.error is not None:
            assert isinstance(outcome.error, StorageError), str(outcome.error)
            assert "wsrec recover" in outcome.error.hint
            try:
                recover(store)
            except SessionError:
                assert not before, "a recovery refuses, though there are events"
                return  # the first batch of all was refused; what is left of it is no session
            assert _read(store) == before, "a recovery changed what was read"
        report = verify(store)
        assert report.is_sound, f"{report.findings}"
        result.events = len(before)
        result.gaps, result.lost_frames, result.unwritten = walk(before, self._sent, is_whole=result.is_sealed)


def _read(store: ParquetStore) -> list[Event]:
    return [event for rows in store.batches(Selection()) for event in iter_events(rows)]


def walk(events: list[Event], sent: list[bytes], *, is_whole: bool) -> tuple[int, int, int]:
    """Hold events against the frames that were sent: none altered, doubled or missing but those a gap tells of.

    Args:
        events: Of the session.
        sent: The frames.
        is_whole: Whether the session must tell of all of them.

    Returns:
        Gaps that tell of the disk; frames missing by them; frames after the last event.
    """
    place = gaps = lost = 0
    for number, event in enumerate(events):
        assert event.seq == number, f"event {event.seq} where {number} was expected"
        if event.kind is Kind.MESSAGE:
            assert event.payload == sent[place], f"event {number} is not frame {place}"
            place += 1
        elif event.kind is Kind.GAP and (missing := json.loads(event.detail or "{}")).get("lost_frames") is not None:
            assert str(missing["cause"]).startswith(("disk full: ", "disk error: ")), missing
            gaps += 1
            lost += missing["lost_frames"]
            place += missing["lost_frames"]
    assert place <= len(sent), f"{place} frames of {len(sent)}"
    assert place == len(sent) or not is_whole, f"{len(sent) - place} frames are missing at the end and nothing says so"
    return gaps, lost, len(sent) - place
