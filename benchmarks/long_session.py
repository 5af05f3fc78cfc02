"""A long session of the simulated engine, made by two processes, each of them half of it.

Both halves are streams of their own (other seeds, so other ids), the second begins where the first ends; put
together they are one session like any other, and ``wsrec recover`` gives it its manifest.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pyarrow.compute as pc

from benchmarks.processes import WSREC
from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.engine import Engine
from wsrecorder.core.event import Opcode
from wsrecorder.core.recorder import Limits, Recorder
from wsrecorder.store.manifest import Health, Identity
from wsrecorder.store.schema import SCHEMA, encode
from wsrecorder.store.session import EVENTS_FOLDER
from wsrecorder.store.sink import ParquetSink

__all__ = ["RATE", "make_long_session"]

RATE = 1_000
"""Messages a second of the feed."""

_STARTED_MS = 1_795_500_000_000
_LATENCY_NS = 1_500_000
_BATCH = 4_096
_IDENTITY = Identity(
    id="20261124T060000Z-long", name="long", feed="ws://localhost:8000/ws/", started_ns=_STARTED_MS * 1_000_000
)


def make_long_session(folder: Path, messages: int) -> Path:
    """Make a sealed session of so many messages, and return where it is."""
    command = [sys.executable, "-m", "benchmarks.long_session", str(folder), str(messages // 2)]
    halves = [subprocess.Popen([*command, str(number)]) for number in (0, 1)]
    if any([half.wait() for half in halves]):  # a list: both are waited for
        raise RuntimeError("the long session could not be made")
    first, second = (_folder_of(folder, number) for number in (0, 1))
    number = len(list((first / EVENTS_FOLDER).iterdir()))
    for segment in sorted((second / EVENTS_FOLDER).iterdir()):
        segment.rename(first / EVENTS_FOLDER / f"{number:06d}.parquet")
        number += 1
    (first / "session.json").unlink()
    path = folder / _IDENTITY.id
    shutil.move(first, path)
    subprocess.run([*WSREC, "recover", str(path)], check=True, capture_output=True)
    return path


def _folder_of(folder: Path, number: int) -> Path:
    return folder / f"half-{number}" / _IDENTITY.id


def _make_half(folder: Path, messages: int, number: int) -> None:
    """Write one half; its numbers and times go on from those of the halves before it."""
    path = _folder_of(folder, number)
    (path / EVENTS_FOLDER).mkdir(parents=True)
    sink, reader = ParquetSink(path, _IDENTITY, Limits(), sync=False), EnvelopeReader(ENGINE)
    recorder = Recorder(Limits(batch_events=1 << 30, batch_bytes=1 << 30), 0)
    began_ns = number * messages * 1_000_000_000 // RATE
    now_ns = began_ns
    stream = Engine(7 + number).stream(_STARTED_MS + began_ns // 1_000_000, float(RATE))
    for count, pushed in enumerate(islice(stream, messages), 1):
        sent_ns = (pushed.sent_ms - _STARTED_MS) * 1_000_000
        now_ns = max(now_ns + 1_000, sent_ns + _LATENCY_NS)
        recorder.frame(pushed.payload.encode(), Opcode.TEXT, now_ns)
        if count % _BATCH == 0 or count == messages:
            batch = recorder.take(_IDENTITY.started_ns)
            assert batch is not None
            rows = encode(batch, reader)
            seq = pc.add(rows.column("seq"), number * messages)
            sink.append(rows.set_column(0, SCHEMA.field("seq"), seq))
    sink.close(Health())


if __name__ == "__main__":
    _make_half(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
