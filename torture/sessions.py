"""Sessions at an even pace, written through the recorder's own core and store."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.event import Opcode
from wsrecorder.core.recorder import Limits, Recorder
from wsrecorder.store.library import Library
from wsrecorder.store.manifest import Health, Identity
from wsrecorder.store.schema import encode
from wsrecorder.store.sink import ParquetSink

__all__ = ["even_session"]


def even_session(folder: Path, name: str, payloads: Iterable[bytes], interval_ns: int) -> Path:
    """Write a sealed session and return where it is.

    Args:
        folder: The library.
        name: Of the session.
        payloads: Of its text messages.
        interval_ns: From one to the next.
    """
    limits = Limits()
    session_id, path = Library(folder).create(name, time.time_ns())
    sink = ParquetSink(path, Identity(id=session_id, name=name, started_ns=time.time_ns()), limits, sync=False)
    recorder, reader = Recorder(limits, 0), EnvelopeReader(ENGINE)
    recorder.opened(0, {})
    now_ns = 0
    for number, payload in enumerate(payloads):
        now_ns = number * interval_ns
        if recorder.frame(payload, Opcode.TEXT, now_ns) and (batch := recorder.take(0)) is not None:
            sink.append(encode(batch, reader))
    recorder.ended(now_ns + interval_ns)
    if (batch := recorder.take(0)) is not None:
        sink.append(encode(batch, reader))
    sink.close(Health())
    return path
