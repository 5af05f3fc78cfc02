"""The writer thread: everything offered is kept, in order; what goes wrong reaches the one who offers."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.store.sessions import parquet_sink, read
from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.event import Batch, Opcode
from wsrecorder.core.recorder import Limits, Recorder
from wsrecorder.errors import OwnMistake, SegmentDamaged, StorageError
from wsrecorder.store import recording as recording_module
from wsrecorder.store.manifest import Health, Manifest, Tally
from wsrecorder.store.recording import Recording
from wsrecorder.store.session import ParquetStore

READER = EnvelopeReader(ENGINE)


class GatedSink:
    """A sink that takes a batch only when it is let to, and can be told to fail."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.manifest: Any = None
        self.path = Path("gated")
        self.size_bytes = 0
        self.trouble: StorageError | None = None
        self.taken: list[pa.RecordBatch] = []
        self.gate = threading.Event()
        self.error: Exception | None = None
        self.is_abandoned = False

    def append(self, batch: pa.RecordBatch) -> None:
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        self.taken.append(batch)

    def close(self, health: Health) -> Manifest:
        return self.manifest  # type: ignore[no-any-return]

    def abandon(self) -> None:
        self.is_abandoned = True


def frames(recorder: Recorder, *payloads: bytes) -> Batch:
    for payload in payloads:
        recorder.frame(payload, Opcode.TEXT, recorder.started_ns)
    batch = recorder.take(1_764_000_000_000_000_000)
    assert batch is not None
    return batch


def test_all_that_was_offered_is_kept_in_order(tmp_path: Path) -> None:
    recorder = Recorder(Limits(), 0)
    sink = parquet_sink(tmp_path)
    recording = Recording(sink, READER, lambda: None)
    for number in range(50):
        assert recording.offer(frames(recorder, b'{"type": "A", "ts": %d}' % number, b"x"))
    manifest = recording.close(Health(reconnects=3))
    assert (manifest.events, manifest.types, manifest.health.reconnects) == (100, {"A": 50}, 3)
    found = read(ParquetStore(sink.path))
    assert [event.payload for event in found[::2]] == [b'{"type": "A", "ts": %d}' % number for number in range(50)]


def test_a_full_queue_says_so_and_tells_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_module, "_FULL_BYTES", 1_000)
    monkeypatch.setattr(recording_module, "_DRAINED_BYTES", 300)
    drained = threading.Event()
    sink = GatedSink()
    recorder = Recorder(Limits(), 0)
    recording = Recording(sink, READER, drained.set)
    assert recording.offer(frames(recorder, b"x" * 500))
    assert not recording.offer(frames(recorder, b"x" * 500))
    assert not recording.offer(frames(recorder, b"x"))  # still full, and taken all the same
    assert not drained.is_set()
    sink.gate.set()
    assert drained.wait(10)
    recording.close(Health())
    assert [len(rows) for rows in sink.taken] == [1, 1, 1]


def test_an_error_ends_the_writing_and_reaches_whoever_offers() -> None:
    told = threading.Event()
    sink = GatedSink()
    sink.error = SegmentDamaged("the disk lies", hint="check it")
    recorder = Recorder(Limits(), 0)
    recording = Recording(sink, READER, told.set)
    recording.offer(frames(recorder, b"a"))
    sink.gate.set()
    assert told.wait(10)  # who waits for room must hear of it too
    with pytest.raises(SegmentDamaged, match="the disk lies"):
        recording.offer(frames(recorder, b"b"))
    with pytest.raises(SegmentDamaged, match="the disk lies"):
        recording.close(Health())
    assert sink.is_abandoned
    assert sink.taken == []


class RefusingSink(GatedSink):
    """A sink whose disk refuses as long as it is told to; `asked` is set whenever it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.gate.set()
        self.error = StorageError("the disk is full", hint="free some space")
        self.told = threading.Event()

    def wait(self) -> None:
        assert self.told.wait(10)
        self.told.clear()


def test_a_disk_that_refuses_gets_the_same_batch_again_and_then_the_others() -> None:
    sink = RefusingSink()
    recorder = Recorder(Limits(), 0)
    recording = Recording(sink, READER, sink.told.set)
    for payload in (b"a", b"b", b"c"):
        recording.offer(frames(recorder, payload))
    for tries in (1, 2):
        sink.wait()
        assert (recording.refusal, recording.error, recording.disk_errors) == (sink.error, None, tries)
        if tries == 1:
            recording.try_again()
    sink.error = None
    recording.try_again()
    sink.wait()  # that it takes again is told as well
    recording.close(Health())
    assert recording.refusal is None
    assert [rows.column("text").to_pylist() for rows in sink.taken] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("is_back", [False, True])
def test_a_disk_that_refuses_is_asked_once_more_at_the_end(is_back: bool) -> None:
    sink = RefusingSink()
    recorder = Recorder(Limits(), 0)
    recording = Recording(sink, READER, sink.told.set)
    recording.offer(frames(recorder, b"a", b"b"))
    recording.offer(frames(recorder, b"c"))
    sink.wait()
    if is_back:
        sink.error = None
        recording.close(Health())
        assert [len(rows) for rows in sink.taken] == [2, 1]
        return
    with pytest.raises(StorageError, match="the disk is full; 3 events that had come could not be written"):
        recording.close(Health())
    assert sink.is_abandoned
    assert recording.disk_errors == 2


def test_what_cannot_be_sealed_is_told_once_and_counted() -> None:
    told: list[StorageError | None] = []
    sink = GatedSink()
    sink.gate.set()
    recording = Recording(sink, READER, lambda: told.append(recording.unsealed))
    recorder = Recorder(Limits(), 0)
    full = StorageError("the disk is full", hint="free some space")
    for trouble in (None, full, full, None, None):
        sink.trouble = trouble
        recording.offer(frames(recorder, b"a"))
        while recording.queued[1]:
            time.sleep(0)
    recording.close(Health())
    assert told == [full, None]
    assert recording.disk_errors == 1


def test_whatever_breaks_the_writing_is_an_error_of_ours() -> None:
    sink = GatedSink()
    sink.error = ZeroDivisionError()
    sink.gate.set()
    recording = Recording(sink, READER, lambda: None)
    recording.offer(frames(Recorder(Limits(), 0), b"a"))
    with pytest.raises(OwnMistake, match="writing gated was ended by an unexpected ZeroDivisionError") as caught:
        recording.close(Health())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "intact" in caught.value.hint


def test_latency_is_received_minus_sent() -> None:
    sink = GatedSink()
    sink.gate.set()
    recording = Recording(sink, READER, lambda: None)
    recorder = Recorder(Limits(), 0)
    recording.offer(frames(recorder, b'{"type": "A", "ts": 1763999999995}', b"not JSON", b'{"type": "A"}'))
    recording.close(Health())
    assert recording.latency.percentile_ns(50) == pytest.approx(5_000_000, rel=0.02)
    assert recording.latency.count == 1


def test_only_a_sample_of_a_large_batch_is_looked_at() -> None:
    sink = GatedSink()
    sink.gate.set()
    recording = Recording(sink, READER, lambda: None)
    recording.offer(frames(Recorder(Limits(), 0), *[b'{"type": "A", "ts": 1763999999995}'] * 4_000))
    recording.close(Health())
    assert 16 <= recording.latency.count <= 64


@pytest.mark.parametrize("stamp", [-62_135_596_800_000, 253_402_300_799_999, 1_764_000_000_500])
def test_senders_whose_clock_is_off_do_no_harm(stamp: int) -> None:
    sink = GatedSink()
    sink.gate.set()
    recording = Recording(sink, READER, lambda: None)
    recording.offer(frames(Recorder(Limits(), 0), b'{"type": "A", "ts": %d}' % stamp))
    recording.close(Health())
    assert recording.latency.count == 1
    assert recording.latency.percentile_ns(99) is not None


def test_writing_is_measured_by_the_clock_that_is_handed_in() -> None:
    sink = GatedSink()
    now_ns = iter(range(0, 10_000, 700))
    recording = Recording(sink, READER, lambda: None, lambda: next(now_ns))
    recorder = Recorder(Limits(), 0)
    for _ in range(3):
        recording.offer(frames(recorder, b"a"))
    batches, queued_bytes = recording.queued
    assert batches >= 2  # one may have been taken up already
    assert queued_bytes >= 3
    sink.gate.set()
    recording.close(Health())
    assert (recording.writing.count, recording.writing.min_ns, recording.writing.max_ns) == (3, 700, 700)
    assert recording.queued == (0, 0)
