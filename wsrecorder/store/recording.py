"""A session being recorded: takes batches off the event loop and keeps them, on a writer thread.

The hand-over is a queue bounded in bytes. `Recording.offer` never blocks: it says when the queue is
full, and the job holds back the reading of the socket (TCP back-pressure) until ``on_drained`` is called.

A disk that refuses ends nothing: the batch that it refused and those behind it are kept until `Recording.try_again`
is called and the disk takes them. The queue may be full by then; what is to become of more frames, the job decides.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.dialect import EnvelopeReader
from wsrecorder.core.distribution import Distribution
from wsrecorder.core.event import Batch
from wsrecorder.core.redaction_rules import NOT_JSON, BatchRedactor
from wsrecorder.errors import OwnMistake, StorageError, WsrecError
from wsrecorder.store.manifest import Health, Manifest
from wsrecorder.store.schema import encode
from wsrecorder.store.sink import Sink

__all__ = ["Recording"]

_LOG: Final = logging.getLogger("wsrecorder.record")

_FULL_BYTES: Final = 16 << 20
_DRAINED_BYTES: Final = 4 << 20
_EVENT_BYTES: Final = 150
"""About what Python objects of one event cost beside its payload."""

_LATENCY_SAMPLES: Final = 32
"""Latencies looked at in one batch: enough for percentiles, too few to cost anything."""


class Recording:
    """Writes batches into a sink, on a thread of its own.

    Attributes:
        sink: Where they go.
        latency: Received minus sent, of a sample of the messages; by the two clocks, uncorrected.
        writing: How long each batch took to be written and synced; empty without ``now_ns``.
        error: What ended the writing, or None.
        refusal: What the disk says when it takes no more for now; None while it takes.
        unsealed: What the disk says when it keeps what was written from being sealed for now; None while it does not.
        disk_errors: How often it has refused either, each try counted.

    Args:
        sink: Where the batches go; used by the writer thread alone from now on.
        reader: Reads the envelopes.
        on_drained: Called on the writer thread when a full queue has room again, the disk refuses or takes again, or
            writing has ended.
        now_ns: Monotonic time, ns, to measure the writing by; None measures nothing.
        redactor: Replaces what must not be written, or None.
        on_unread: Called on the writer thread with the error of ours by which envelopes of a batch could not be read;
            it is kept without types and times of sending.
    """

    def __init__(
        self,
        sink: Sink,
        reader: EnvelopeReader,
        on_drained: Callable[[], None],
        now_ns: Callable[[], int] | None = None,
        redactor: BatchRedactor | None = None,
        on_unread: Callable[[Exception], None] | None = None,
    ) -> None:
        self.sink = sink
        self.latency = Distribution()
        self.writing = Distribution()
        self.error: WsrecError | None = None
        self.refusal: StorageError | None = None
        self.unsealed: StorageError | None = None
        self.disk_errors = 0
        self._reader = reader
        self._on_drained = on_drained
        self._now_ns = now_ns
        self._redactor = redactor
        if redactor is not None:
            sink.manifest.redacted = redactor.counts  # as they come to stand
        self._on_unread = on_unread
        self._batches: queue.SimpleQueue[Batch | Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._queued_bytes = 0
        self._is_full = False
        self._is_closing = False
        self._lost_events = 0
        self._again = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wsrec-writer", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> tuple[int, int]:
        """Batches that wait to be written; and bytes in memory of those and of the one that is being written."""
        return self._batches.qsize(), self._queued_bytes

    def offer(self, batch: Batch) -> bool:
        """Hand over a batch; it is always taken.

        Returns:
            False when the queue is full and reading must be held back until ``on_drained`` is called.

        Raises:
            WsrecError: Writing has ended with this error; the batch is lost.
        """
        if self.error is not None:
            raise self.error
        with self._lock:
            self._queued_bytes += _weight(batch)
            self._is_full = self._is_full or self._queued_bytes >= _FULL_BYTES
            full = self._is_full
        self._batches.put(batch)
        return not full

    def try_again(self) -> None:
        """Have a disk that refuses asked again, soon."""
        self._again.set()

    def run_soon(self, task: Callable[[], None]) -> None:
        """Have something done on the writer thread, when what was handed over before is written.

        Args:
            task: Not called once writing has ended with an error; if it raises, that ends writing.
        """
        self._batches.put(task)

    def close(self, health: Health) -> Manifest:
        """Write what is queued, seal the session, and return its manifest; blocks until done.

        A disk that refuses is asked once more.

        Raises:
            WsrecError: What ended the writing; what was written before is safe.
        """
        self._is_closing = True
        self._again.set()
        self._batches.put(None)
        self._thread.join()
        if self.error is not None:
            self.sink.abandon()
            if self._lost_events:
                self.error.message += f"; {self._lost_events:,} events that had come could not be written"
            raise self.error
        return self.sink.close(health)

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            if self.error is None:
                self._write(batch)
            if self.error is not None:
                self._lost_events += len(batch) if isinstance(batch, Batch) else 0
            with self._lock:
                self._queued_bytes -= _weight(batch) if isinstance(batch, Batch) else 0
                drained = self._is_full and self._queued_bytes <= _DRAINED_BYTES
                if drained:
                    self._is_full = False
            if drained or self.error is not None:
                self._on_drained()

    def _write(self, batch: Batch | Callable[[], None]) -> None:
        try:
            if not isinstance(batch, Batch):
                batch()
                return
            if self._redactor is not None:
                self._redact(self._redactor, batch)
            rows = self._encode(batch)
            began_ns = self._now_ns() if self._now_ns is not None else None
            while not self._append(rows):
                self._on_drained()
                self._again.wait()
                self._again.clear()
                began_ns = None  # an outage is no measure of a disk's speed
            if self._now_ns is not None and began_ns is not None:
                self.writing.record(self._now_ns() - began_ns)
            self._sample_latency(rows)
        except WsrecError as exc:
            self.error = exc
        except Exception as exc:  # whatever it is, the job must hear of it instead of recording into nothing
            hint = "what was synced before is intact"
            self.error = OwnMistake(f"writing {self.sink.path} was ended", exc, hint=hint)

    def _encode(self, batch: Batch) -> pa.RecordBatch:
        try:
            return encode(batch, self._reader)
        except Exception as exc:  # a payload is kept whether or not we can read it
            if self._on_unread is None:
                raise
            self._on_unread(exc)
            return encode(batch, None)

    def _redact(self, redactor: BatchRedactor, batch: Batch) -> None:
        """Replace what must not be written; here, for it takes time that the event loop does not have."""
        before = redactor.counts[NOT_JSON]
        redactor.redact(batch)
        if not before and redactor.counts[NOT_JSON]:
            _LOG.warning("%s: a payload to be redacted is no JSON; it and its like are replaced whole", self.sink.path)

    def _append(self, rows: pa.RecordBatch) -> bool:
        """Write a batch; return False when the disk refuses it and may be asked again."""
        is_last_try = self._is_closing
        try:
            self.sink.append(rows)
        except StorageError as exc:
            self.disk_errors += 1
            self.refusal = exc
            if is_last_try:
                raise
            return False
        trouble = self.sink.trouble
        if self.refusal is not None or trouble is not self.unsealed:
            self.disk_errors += trouble not in (None, self.unsealed)
            self.refusal, self.unsealed = None, trouble
            self._on_drained()
        return True

    def _sample_latency(self, rows: pa.RecordBatch) -> None:
        step = max(1, len(rows) // _LATENCY_SAMPLES)
        sample = rows.take(pa.array(range(0, len(rows), step)))
        latency_us = pc.subtract(
            sample.column("received_at").cast(pa.int64()), sample.column("sent_at").cast(pa.int64())
        ).drop_null()
        for value in latency_us.to_pylist():
            self.latency.record(value * 1_000)


def _weight(batch: Batch) -> int:
    return batch.size_bytes + len(batch) * _EVENT_BYTES
