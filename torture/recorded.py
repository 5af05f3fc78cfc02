"""Sessions recorded, sealed and closed for real, with every step of their disk."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from torture.tape import Mark, Named, Step, Synced, SyncedFolder, Tape, Together, Written
from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.event import Opcode
from wsrecorder.core.recorder import Limits, Recorder
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.session_ends import begin_recording
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store import disk
from wsrecorder.store.manifest import Health
from wsrecorder.store.recording import Recording
from wsrecorder.store.schema import encode

__all__ = ["LIBRARY", "Recorded", "batch_of", "payload", "recorded"]

LIBRARY: Final = "library"
_STARTED_NS: Final = 1_764_000_000_000_000_000
_SEALER: Final = "wsrec-sealer"
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a disk took.

    Attributes:
        before: What was there before.
        steps: What came then.
    """

    before: Sequence[Step]
    steps: Sequence[Step]


@cache
def payload(number: int) -> bytes:
    """Return the frame of a number, of bytes that do not compress well: a batch takes some sectors."""
    noise = random.Random(number).randbytes(20 + number * 7919 % 100).hex()
    return b'{"type":"T%d","ts":%d,"n":%d,"noise":"%s"}' % (number % 5, _STARTED_NS // 10**6, number, noise.encode())


def batch_of(first: int, count: int) -> pa.RecordBatch:
    """Return frames as the recorder makes a batch of them, stamped 1 ms apart."""
    recorder = Recorder(Limits(), 0)
    for number in range(first, first + count):
        recorder.frame(payload(number), Opcode.TEXT, number * 1_000_000)
    batch = recorder.take(_STARTED_NS)
    assert batch is not None
    batch.first_seq = first
    return encode(batch, EnvelopeReader(ENGINE))


def recorded(form: str, root: Path, batches: int, chance: random.Random) -> Recorded:
    """Record a session and return what its disk took.

    Args:
        form: ``parquet`` or ``duckdb``.
        root: A new folder; the library will be in it.
        batches: Of a few to some dozens of events each.
        chance: What is drawn.
    """
    root.mkdir()
    tape = Tape(root, beside=_SEALER)
    counts = [chance.randint(1, 40) for _ in range(batches)]
    into = root / LIBRARY / "p.duckdb" if form == "duckdb" else None
    options = RecordOptions(
        feed=FeedOptions("ws://feed.example/ws/"), library=root / LIBRARY, into=into, name="p",
        limits=Limits(segment_bytes=chance.choice([9_000, 20_000])),
    )  # fmt: skip
    with tape.recording(), _one_after_the_other():
        recording = begin_recording(options, _STARTED_NS, None, lambda: None)
        events = 0
        for count in counts:
            recording.sink.append(batch_of(events, count))
            events += count
            tape.mark(events)
        if into is None:
            recording.close(Health())
        else:
            _close_file(recording, into, tape)
        tape.mark(events)
    if into is None:
        return Recorded(tape.before, _interleaved(tape, chance))
    return Recorded(tape.before, with_syncs_of_duckdb(tape.steps))


def _close_file(recording: Recording, path: Path, tape: Tape) -> None:
    """Close a DuckDB file, and let the tape see its log once more as it was before it was removed."""
    log = path.with_name(path.name + ".wal")
    held = path.parent.parent.parent / "held"
    os.link(log, held)
    with tape.blind():
        recording.close(Health())
        os.link(held, log)
        held.unlink()
    tape.look()
    log.unlink()


def with_syncs_of_duckdb(steps: Sequence[Step]) -> list[Step]:
    """Return steps in DuckDB's order, with its syncs: the file before its log; at a checkpoint the log first.

    Args:
        steps: As seen from outside, at the end of each transaction.
    """
    file, log = (
        next(node for step in steps if isinstance(step, Named) for _, name, node in step.changes if name == wanted)
        for wanted in ("p.duckdb", "p.duckdb.wal")
    )
    assert file is not None
    assert log is not None
    ordered: list[Step] = []
    group: list[Step] = []
    for step in steps:
        if isinstance(step, Mark | SyncedFolder):
            ordered += [*_in_order_of_duckdb(group, file, log, is_new=not ordered), step]
            group = []
        else:
            group.append(step)
    return ordered


def _in_order_of_duckdb(group: Sequence[Step], file: int, log: int, *, is_new: bool) -> list[Step]:
    of_file = [step for step in group if isinstance(step, Written) and step.node == file]
    of_log = [step for step in group if isinstance(step, Written) and step.node == log]
    names = [step for step in group if not isinstance(step, Written)]
    synced_log: list[Step] = [*of_log, Synced(log)] if of_log else []
    if not of_file:
        return [*[step for step in names if not _removes(step)], *synced_log, *filter(_removes, names)]
    if is_new:
        return [*names, *of_file, Synced(file), *synced_log]
    return [*synced_log, Together((*of_file, Synced(file))), *names]


def _removes(step: Step) -> bool:
    return isinstance(step, Named) and any(node is None for _, _, node in step.changes)


@contextmanager
def _one_after_the_other() -> Iterator[None]:
    """Let the recorder wait with a new journal until the one before is sealed, so that steps come in one order."""
    create = disk.create

    def creating(path: Path) -> Any:
        deadline_s = time.monotonic() + _PATIENCE_S
        while path.suffix == ".journal" and any(path.parent.glob("*.journal")):
            assert time.monotonic() < deadline_s, "the sealer does not come to an end"
            time.sleep(0.0005)
        return create(path)

    disk.create = creating
    try:
        yield
    finally:
        disk.create = create


def _interleaved(tape: Tape, chance: random.Random) -> list[Step]:
    """Return all steps in one order: those of the sealer as late as drawn, but before the end waits for them."""
    end = tape.aside[-1][0] if tape.aside else 0
    placed: list[tuple[int, Step]] = []
    at = 0
    for earliest, step in tape.aside:
        at = max(at, earliest)
        if chance.random() < 0.3:
            at = min(end, at + chance.randint(0, 8))
        placed.append((at, step))
    steps: list[Step] = []
    for place in range(len(tape.steps) + 1):
        steps += [aside for at, aside in placed if at == place]
        steps += tape.steps[place : place + 1]
    return steps
