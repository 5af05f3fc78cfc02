"""The library in which the examples of these pages run: small sessions of the simulated engine.

It is the same one, byte for byte of every payload, wherever and whenever it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.engine import Engine
from wsrecorder.core.event import Opcode, to_epoch_ns
from wsrecorder.core.recorder import Limits, Recorder
from wsrecorder.store.library import new_id
from wsrecorder.store.manifest import Health, Identity
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.schema import RecordBatch, encode
from wsrecorder.store.session import EVENTS_FOLDER
from wsrecorder.store.sink import DuckDbSink, ParquetSink, Sink

FEED = "ws://localhost:8000/ws/"
MONDAY = datetime(2026, 11, 23, 19, 15, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
_RATE = 20.0
_LATENCY_NS = 2_000_000
_LOSS_NS = 5_000_000_000


def engine_batches(
    start: datetime, messages: int, *, seed: int = 7, nan: float = 0.05, lose_at: int | None = None,
    flush_ns: int = 1_000_000_000,
) -> Iterator[RecordBatch]:  # fmt: skip
    """Yield what a recorder of the simulated engine would have written.

    Args:
        start: When it began.
        messages: How many messages came, 20 a second.
        seed: Of the engine and of the latency.
        nan: Share of scans and signals with a bare ``NaN``.
        lose_at: The connection was lost for 5 s before this message.
        flush_ns: Time that a batch spans, ns.
    """
    start_ns, chance = to_epoch_ns(start), Random(seed)
    recorder = Recorder(Limits(batch_events=1 << 30, batch_bytes=1 << 30), 0)
    reader = EnvelopeReader(ENGINE)
    recorder.opened(0, {"url": FEED})
    now_ns = batch_began_ns = back_ns = recorded = 0
    for pushed in Engine(seed, nan=nan).stream(start_ns // 1_000_000, _RATE):
        sent_ns = pushed.sent_ms * 1_000_000 - start_ns
        if recorded == lose_at and not back_ns:
            recorder.closed(now_ns, code=1006, reason="", cause="no close frame came")
            back_ns = now_ns + _LOSS_NS
        if sent_ns < back_ns:
            continue  # pushed while nobody listened
        if back_ns and recorder.connections == 1:
            recorder.opened(back_ns, {"url": FEED})
        now_ns = max(now_ns + 5_000, sent_ns + int(chance.expovariate(1 / _LATENCY_NS)) + 300_000)
        recorder.frame(pushed.payload.encode(), Opcode.TEXT, now_ns)
        recorded += 1
        if recorded == messages:
            break
        if now_ns - batch_began_ns >= flush_ns:
            batch_began_ns = now_ns
            batch = recorder.take(start_ns)
            assert batch is not None
            yield encode(batch, reader)
    recorder.ended(now_ns + 1_000_000)
    batch = recorder.take(start_ns)
    assert batch is not None
    yield encode(batch, reader)


def identity(name: str, start: datetime) -> Identity:
    """Return what a session of the example is."""
    start_ns = to_epoch_ns(start)
    return Identity(
        id=new_id(name, start_ns), name=name, feed=FEED, started_ns=start_ns, host="example", tool="wsrecorder example"
    )


def sink(library: Path, name: str, start: datetime, *, segment_bytes: int = 64 << 20, into: str | None = None) -> Sink:
    """Return a sink into a new session.

    Args:
        library: Folder of sessions.
        name: A word for people.
        start: When it began.
        segment_bytes: Size at which a segment is sealed.
        into: Name of a DuckDB file, for a session in such a one.
    """
    what = identity(name, start)
    if into is not None:
        return DuckDbSink(library / into, what)
    path = library / what.id
    (path / EVENTS_FOLDER).mkdir(parents=True)
    return ParquetSink(path, what, Limits(segment_bytes=segment_bytes), sync=False)


def add_session(
    library: Path, name: str = "engine", start: datetime = MONDAY, messages: int = 400, *, seed: int = 7,
    segment_bytes: int = 64 << 20, into: str | None = None, lose_at: int | None = None,
) -> Path:  # fmt: skip
    """Add a sealed session to a library and return its path; the arguments are those of the functions above."""
    target = sink(library, name, start, segment_bytes=segment_bytes, into=into)
    for batch in engine_batches(start, messages, seed=seed, lose_at=lose_at):
        target.append(batch)
    target.close(Health(reconnects=int(lose_at is not None), gaps=int(lose_at is not None)))
    return target.path


def add_crashed(library: Path, name: str = "crash", start: datetime = TUESDAY, messages: int = 400) -> Path:
    """Add a session whose recorder lost power: never sealed, the end of its journal cut off."""
    target = sink(library, name, start)
    for batch in engine_batches(start, messages):
        target.append(batch)
    target.abandon()
    journal = next((target.path / EVENTS_FOLDER).iterdir())
    journal.write_bytes(journal.read_bytes()[:-100])
    return target.path


def add_note(path: Path, text: str, at_s: int) -> None:
    """Note something at that second of a session that began on Monday; it was made an hour later."""
    received_ns = to_epoch_ns(MONDAY) + at_s * 1_000_000_000
    made_at_ns = received_ns + 3_600_000_000_000
    NoteBook(path).add(text, elapsed_ns=at_s * 1_000_000_000, received_ns=received_ns, made_at_ns=made_at_ns)


def make_library(library: Path) -> None:
    """Fill a folder with the sessions that the pages speak of."""
    engine = add_session(library, "engine", MONDAY, 3_000, lose_at=1_700, segment_bytes=150_000)
    add_note(engine, "two positions at once", 69)
    add_note(engine, "the feed went away, and nobody restarted it", 88)
    add_session(library, "night", TUESDAY.replace(hour=1), 1_000, seed=11, into="night.duckdb")
    add_crashed(library)
