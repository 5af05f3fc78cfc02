"""Sessions as tests need them: made of events whose every field can be foretold, and damaged on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.recorder import Limits
from wsrecorder.store.journal import JournalWriter, check_journal
from wsrecorder.store.manifest import Health, Identity, Manifest, Tally
from wsrecorder.store.schema import NOT_UTF8, from_rows, iter_events
from wsrecorder.store.sealer import seal_journal
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore, Store
from wsrecorder.store.sink import DuckDbSink, ParquetSink, Sink

STARTED_NS = 1_764_000_000_000_000_000
STEP_NS = 1_000_000
IDENTITY = Identity(
    id="20251124T160000Z-test", name="test", feed="ws://feed/ws/", started_ns=STARTED_NS, host="here", tool="wsrec 0"
)


def event(seq: int) -> Event:
    """Return the event of that number: a mix of marks, text, binary, text that is not UTF-8, empty payloads."""
    elapsed_ns = seq * STEP_NS
    place = {
        "seq": seq,
        "conn": seq // 40,
        "direction": Direction.OUT if seq % 13 == 5 else Direction.IN,
        "elapsed_ns": elapsed_ns,
        "received_ns": STARTED_NS + elapsed_ns,
    }
    if seq % 40 == 0:
        return Event(**place, kind=Kind.OPEN, detail='{"url": "ws://feed/ws/"}')  # type: ignore[arg-type]
    frame = {**place, "kind": Kind.MESSAGE}
    match seq % 7:
        case 0:
            return Event(**frame, binary=bytes((seq % 256, 0, 255)))  # type: ignore[arg-type]
        case 1:
            return Event(**frame, binary=b"\xff\xfe", detail=NOT_UTF8)  # type: ignore[arg-type]
        case 2:
            return Event(**frame, text="")  # type: ignore[arg-type]
        case other:
            sent_at_us = (STARTED_NS + elapsed_ns) // 1_000 - 5_000
            text = f'{{"type": "T{other}", "ts": {sent_at_us // 1_000}, "data": NaN, "n": {seq}}}'
            return Event(**frame, type=f"T{other}", sent_at_us=sent_at_us, text=text)  # type: ignore[arg-type]


def events(count: int, first_seq: int = 0) -> list[Event]:
    return [event(seq) for seq in range(first_seq, first_seq + count)]


def batch(count: int, first_seq: int = 0) -> pa.RecordBatch:
    return from_rows(events(count, first_seq))


def batches(count: int, size: int = 20) -> Iterator[pa.RecordBatch]:
    """Yield the first ``count`` events in batches of ``size``."""
    for first_seq in range(0, count, size):
        yield batch(min(size, count - first_seq), first_seq)


def new_folder(library: Path) -> Path:
    path = library / IDENTITY.id
    (path / EVENTS_FOLDER).mkdir(parents=True)
    return path


def parquet_sink(library: Path, *, segment_events: int = 60) -> ParquetSink:
    """Return a sink into a new session, whose journals are sealed every so many events."""
    limits = Limits(segment_ns=(segment_events - 1) * STEP_NS)
    return ParquetSink(new_folder(library), IDENTITY, limits, sync=False)


def duckdb_sink(library: Path) -> DuckDbSink:
    return DuckDbSink(library / "test.duckdb", IDENTITY)


def fill(sink: Sink, count: int, *, size: int = 20) -> Manifest:
    for rows in batches(count, size):
        sink.append(rows)
    return sink.close(Health(longest_stall_ms=1.5))


def read(store: Store, selection: Selection | None = None) -> list[Event]:
    return [found for rows in store.batches(selection or Selection()) for found in iter_events(rows)]


def flip(path: Path, place: int, bit: int = 0) -> None:
    """Flip a bit of a file; a negative place counts from its end."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def cut(path: Path, size_bytes: int) -> None:
    """Cut a file to a size; a negative one is taken off its end."""
    content = path.read_bytes()
    path.write_bytes(content[:size_bytes])


def journal(folder: Path, number: int, first_seq: int, count: int, *, size: int = 20, closed: bool = True) -> Path:
    """Write a journal of a session's folder, in batches of ``size``."""
    path = folder / EVENTS_FOLDER / f"{number:06d}.journal"
    writer = JournalWriter(path, IDENTITY.to_metadata(), sync=False)
    for start in range(0, count, size):
        writer.append(batch(min(size, count - start), first_seq + start))
    if closed:
        writer.close()
    else:
        writer.abandon()
    return path


def seal(folder: Path, number: int) -> None:
    """Do what a recorder's sealer does: segment, manifest, journal removed."""
    path = folder / EVENTS_FOLDER / f"{number:06d}.journal"
    info = seal_journal(path, IDENTITY.to_metadata(), rows=check_journal(path).rows)
    stored = ParquetStore(folder).stored_manifest() or Manifest(identity=IDENTITY)
    tally = Tally()
    for rows in ParquetStore(folder).batches(Selection()):
        if rows.column("seq")[0].as_py() < info.next_seq:
            tally.add(rows.slice(0, max(0, info.next_seq - rows.column("seq")[0].as_py())))
    stored.count(tally)
    stored.segments = [*stored.segments, info]
    stored.write(folder)
    path.unlink()


def layout(library: Path, *, segments: int = 0, journals: int = 0, size: int = 20) -> Path:
    """Return the folder of a session that was not closed: segments and journals of 40 events each."""
    folder = new_folder(library)
    Manifest(identity=IDENTITY).write(folder)
    for number in range(segments + journals):
        journal(folder, number, number * 40, 40, size=size, closed=number < segments + journals - 1)
        if number < segments:
            seal(folder, number)
    return folder
