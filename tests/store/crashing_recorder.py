"""A recorder to be killed: records as fast as it can and reports on stdout what it knows to be on the disk.

Usage: ``crashing_recorder.py FOLDER``. Each line of output is the number of the last event whose journal
batch was synced when the line was written.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa

from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.event import Opcode
from wsrecorder.core.recorder import Limits, Recorder
from wsrecorder.store.manifest import Identity
from wsrecorder.store.recording import Recording
from wsrecorder.store.session import EVENTS_FOLDER
from wsrecorder.store.sink import ParquetSink

# Small segments, so that a kill often hits a seal under way.
LIMITS = Limits(batch_events=500, segment_bytes=128 << 10)


def payload(index: int) -> bytes:
    """Return the frame of that number; its bytes tell whether another one took its place."""
    return b'{"type": "T%d", "ts": %d, "data": "%s"}' % (index % 5, 1_764_000_000_000 + index, b"x%d" % index * 12)


class ReportingSink(ParquetSink):
    """A sink that says what it has synced."""

    def append(self, batch: pa.RecordBatch) -> None:
        super().append(batch)
        os.write(1, f"{batch.column('seq')[-1].as_py()}\n".encode())


def main(folder: Path) -> None:
    (folder / EVENTS_FOLDER).mkdir(parents=True)
    wall_ns = time.time_ns()
    recorder = Recorder(LIMITS, time.monotonic_ns())
    sink = ReportingSink(folder, Identity(id=folder.name, name="crash", started_ns=wall_ns), LIMITS)
    drained = threading.Event()
    recording = Recording(sink, EnvelopeReader(ENGINE), drained.set)
    index = 0
    while True:
        if recorder.frame(payload(index), Opcode.TEXT, time.monotonic_ns()):
            batch = recorder.take(wall_ns - recorder.started_ns)
            assert batch is not None
            drained.clear()
            if not recording.offer(batch):
                drained.wait()
        index += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
