"""The law of the whole: record, replay, record gives equal payloads in equal order, apart from the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

from benchmarks.round_trip import Trip, frames_of, record_again, stream_of
from wsrecorder.analysis.session import open_session
from wsrecorder.clock import SystemClock
from wsrecorder.core.engine import Engine
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.recorder import Limits, Retry
from wsrecorder.jobs.record import record_feeds
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Identity
from wsrecorder.store.schema import NOT_UTF8, from_rows
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.sink import ParquetSink

Frames = list[tuple[bool, bytes]]

STARTED_NS = 1_764_000_000_000_000_000
MS = 1_000_000

ODD: Frames = [
    (True, b""),
    (False, b""),
    (True, b'{"type": "SIGNAL", "ts": 1764000000000, "data": {"score": NaN, "limit": -Infinity}}'),
    (True, b"\xff\xfe{ not UTF-8 \xc3"),
    (False, b"\x1f\x8b\x00\xff" * 40),
    (False, b'{"type": "looks like text", "ts": 1}'),
    (True, '{"type": "ÄÖ", "ts": 1764000000001}'.encode()),
    (True, b"\x00"),
    (True, b'{"type":'),
    (True, b'"' + b"x" * 125 + b'"'),
    (True, b'{"type": "SCAN_RESULT", "ts": 1764000000002, "data": "' + b"y" * 70_000 + b'"}'),
    (False, bytes(range(256)) * 5_000),
]
"""What strict parsers, null columns and frame headers trip over; the last is over 1 MiB."""


def engine_frames(count: int) -> Frames:
    """Return frames of the simulated engine, some with a bare NaN, one scan over 1 MiB among them."""
    stream = Engine(seed=3, nan=0.5, big_scan_every=10).stream(start_ms=1_764_000_000_000, rate=200)
    frames = [(True, event.payload.encode()) for event in islice(stream, count)]
    assert any(len(payload) > 1 << 20 for _, payload in frames)
    assert any(b"NaN" in payload for _, payload in frames)
    return frames


def mixed_frames() -> Frames:
    """Return frames of the engine with an odd one after every tenth."""
    frames = engine_frames(300)
    for index, odd in enumerate(ODD):
        frames.insert((index + 1) * 20, odd)
    return frames


@pytest.fixture(scope="module")
def frames() -> Frames:
    return mixed_frames()


@pytest.fixture(params=["websockets", "picows"])
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "picows":
        pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    return str(request.param)


async def recorded(frames: Sequence[tuple[bool, bytes]], library: Path, transport: str, into: Path | None) -> Path:
    """Record a feed that sends these frames, and return where the session is."""

    async def handler(websocket: ServerConnection) -> None:
        for is_text, payload in frames:
            # Below the library: it would refuse to send text that is not UTF-8.
            wire = Frame(Opcode.TEXT if is_text else Opcode.BINARY, payload)
            websocket.transport.write(wire.serialize(mask=False))
        await websocket.close()

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
        options = RecordOptions(
            feed=FeedOptions(url), library=library, name="first", into=into, retry=Retry(first_s=0), transport=transport
        )
        [outcome] = await record_feeds([options], SystemClock(), asyncio.Event())
    assert outcome.error is None
    assert outcome.path is not None
    return outcome.path


def event(seq: int, frame: tuple[bool, bytes], elapsed_ns: int) -> Event:
    is_text, payload = frame
    text, binary, detail = None, payload, None
    if is_text:
        try:
            text, binary = payload.decode(), None
        except UnicodeDecodeError:
            detail = NOT_UTF8
    return Event(
        seq, Kind.MESSAGE, 0, Direction.IN, elapsed_ns, STARTED_NS + elapsed_ns, text=text, binary=binary, detail=detail
    )


def written(
    events: Sequence[Event], library: Path, name: str, *, batch: int = 20, segment_ns: int = 1 << 62
) -> ParquetStore:
    """Return a session as a crash leaves it: in batches of so many, a segment sealed whenever one is so old."""
    identity = Identity(id=f"20251124T160000Z-{name}", name=name, started_ns=STARTED_NS)
    path = library / identity.id
    (path / EVENTS_FOLDER).mkdir(parents=True)
    sink = ParquetSink(path, identity, Limits(segment_ns=segment_ns), sync=False)
    for start in range(0, len(events), batch):
        sink.append(from_rows(list(events[start : start + batch])))
    sink.abandon()
    return ParquetStore(path)


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
async def test_whatever_a_feed_sends_comes_back_from_both_storage_forms(
    frames: Frames, tmp_path: Path, transport: str, form: str, deflate: bool
) -> None:
    first = await recorded(frames, tmp_path, transport, tmp_path / "first.duckdb" if form == "duckdb" else None)
    assert stream_of(first).frames == frames
    trip = Trip(transport=transport, deflate=deflate)
    second = await record_again([open_store(first)], tmp_path, trip)
    assert stream_of(second).frames == frames
    into = tmp_path / "third.duckdb" if form == "duckdb" else None
    options = RecordOptions(feed=FeedOptions("ws://replaced/"), name="third", into=into)
    third = await record_again([open_store(second)], tmp_path, trip, options)
    assert stream_of(third).frames == frames


async def test_what_the_recorder_made_of_the_frames_is_made_again(frames: Frames, tmp_path: Path) -> None:
    first = await recorded(frames, tmp_path, "websockets", None)
    second = await record_again([open_store(first)], tmp_path, Trip())
    columns = ("kind", "direction", "type", "sent_at", "text", "binary")
    tables = [open_session(path).table(columns=columns, kinds=[Kind.MESSAGE]).to_pylist() for path in (first, second)]
    assert tables[0] == tables[1]


async def test_simulated_feed_comes_back_as_it_was_pushed(tmp_path: Path, transport: str) -> None:
    clock = SystemClock()
    feed = SimulatorOptions(port=0, seed=11, rate=3_000, heartbeat_s=0.05, nan=0.3, big_scan_every=8, max_events=600)
    async with Simulator(feed, clock, keep_sent=True) as simulator:
        stop = asyncio.Event()
        options = RecordOptions(feed=FeedOptions(simulator.url), library=tmp_path, name="engine", transport=transport)
        recording = asyncio.create_task(record_feeds([options], clock, stop))
        async with asyncio.timeout(30):
            await simulator.finished.wait()
        await simulator.drop_clients(1012)
        stop.set()
        [outcome] = await recording
    assert outcome.path is not None
    first = stream_of(outcome.path).frames
    pushed = [event.payload.encode() for event in simulator.sent]
    assert [payload for _, payload in first if b'"type": "HEARTBEAT"' not in payload[:40]] == pushed
    second = await record_again([open_store(outcome.path)], tmp_path, Trip(transport=transport))
    assert stream_of(second).frames == first


async def test_session_of_several_segments_and_a_journal_is_replayed_whole(frames: Frames, tmp_path: Path) -> None:
    events = [event(seq, frame, seq * MS) for seq, frame in enumerate(frames)]
    store = written(events, tmp_path, "cut", segment_ns=99 * MS)
    assert (len(store.segment_paths()), len(store.journal_paths())) == (3, 1)
    assert not store.manifest().sealed
    again = await record_again([store], tmp_path, Trip())
    assert stream_of(again).frames == frames


async def test_journal_cut_in_the_middle_of_a_batch_is_replayed_to_its_last_whole_batch(tmp_path: Path) -> None:
    frames = engine_frames(300)
    events = [event(seq, frame, seq * MS) for seq, frame in enumerate(frames)]
    store = written(events, tmp_path, "cut", segment_ns=79 * MS)
    [journal] = store.journal_paths()
    journal.write_bytes(journal.read_bytes()[:-300])
    again = await record_again([store], tmp_path, Trip())
    assert stream_of(again).frames == frames[:280]


async def test_sessions_merged_by_time_are_one_stream(frames: Frames, tmp_path: Path) -> None:
    parts: list[list[Event]] = [[], [], []]
    for index, frame in enumerate(frames):
        part = parts[index % 3]
        part.append(event(len(part), frame, index * MS))
    stores = [
        written(part, tmp_path, f"part{number}", batch=7 + number, segment_ns=(50 + 40 * number) * MS)
        for number, part in enumerate(parts)
    ]
    again = await record_again(stores, tmp_path, Trip())
    assert stream_of(again).frames == frames


async def test_frames_that_were_sent_to_the_server_are_not_replayed(tmp_path: Path) -> None:
    events = [event(seq, (True, b"%d" % seq), seq) for seq in range(10)]
    mixed = [
        Event(entry.seq, entry.kind, 0, Direction.OUT, entry.elapsed_ns, entry.received_ns, text=entry.text)
        if entry.seq % 3 == 0 else entry
        for entry in events
    ]  # fmt: skip
    again = await record_again([written(mixed, tmp_path, "both")], tmp_path, Trip())
    assert [payload for _, payload in stream_of(again).frames] == [b"1", b"2", b"4", b"5", b"7", b"8"]


FRAME = st.tuples(st.just(True), st.text().map(str.encode) | st.binary()) | st.tuples(st.just(False), st.binary())


@given(frames=st.lists(FRAME, min_size=1, max_size=40), batch=st.integers(1, 15), deflate=st.booleans())
@settings(max_examples=25)
def test_any_frames_survive_replay_and_recording(frames: Frames, batch: int, deflate: bool) -> None:
    with TemporaryDirectory() as name:
        library = Path(name)
        store = written([event(seq, frame, seq) for seq, frame in enumerate(frames)], library, "any", batch=batch)
        again = asyncio.run(record_again([store], library, Trip(deflate=deflate)))
        assert stream_of(again).frames == frames
        assert frames_of(open_session(again).events()) == frames
