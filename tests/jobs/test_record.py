"""Recording feeds: what is kept, what is marked, what ends it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame
from websockets.frames import Opcode as WireOpcode

from wsrecorder.analysis.session import Session, open_session
from wsrecorder.clock import SystemClock, VirtualClock
from wsrecorder.core.black_box import BoxLimits
from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.recorder import Limits, Retry
from wsrecorder.errors import FeedError, StorageError
from wsrecorder.jobs.feed_recorder import FeedRecorder
from wsrecorder.jobs.record import record_feeds
from wsrecorder.jobs.record_options import BlackBoxOptions, Outcome, RecordOptions
from wsrecorder.jobs.verify import verify
from wsrecorder.jobs.vitals import RecordVitals
from wsrecorder.net.feed import connect_feed
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions
from wsrecorder.net.transport import Closed, FeedOptions, Link

Handler = Callable[[ServerConnection], Awaitable[None]]

ONCE = Retry(first_s=0)
SOON = Retry(first_s=0.02, most_s=0.05)


@pytest.fixture(params=["websockets", "picows"])
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "picows":
        pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    return str(request.param)


@pytest.fixture
def options(tmp_path: Path, transport: str) -> RecordOptions:
    return RecordOptions(
        feed=FeedOptions("ws://127.0.0.1:1/ws/"), library=tmp_path, name="t", retry=ONCE, transport=transport
    )


def to(options: RecordOptions, url: str, **changes: Any) -> RecordOptions:
    return replace(options, feed=replace(options.feed, url=url), **changes)


async def record(options: RecordOptions, stop: asyncio.Event | None = None) -> Outcome:
    async with asyncio.timeout(30):
        return (await record_feeds([options], SystemClock(), stop or asyncio.Event()))[0]


async def record_from(handler: Handler, options: RecordOptions, **changes: Any) -> tuple[Outcome, list[Event]]:
    """Record what a handler sends until it ends."""
    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        outcome = await record(to(options, f"ws://127.0.0.1:{port}/ws/", **changes))
    assert outcome.path is not None
    return outcome, list(Session(open_session(outcome.path).store).events())


async def until(is_so: Callable[[], bool]) -> None:
    """Return when it is so; the recorder tells nobody how it stands, it is looked at."""
    while not is_so():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.01)


def open_library(path: Path) -> list[Path]:
    return list(path.iterdir())


def kinds(events: list[Event]) -> list[str]:
    return [str(event.kind) for event in events]


def details(events: list[Event], kind: Kind) -> list[dict[str, Any]]:
    return [json.loads(event.detail or "") for event in events if event.kind is kind]


async def test_every_frame_is_kept_verbatim_between_open_and_close(options: RecordOptions) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send('{"type": "SIGNAL", "ts": 1700000000123, "data": {"x": NaN}}')
        await websocket.send(b"\x1f\x8b\x00")
        websocket.transport.write(Frame(WireOpcode.TEXT, b"\xff{").serialize(mask=False))
        await websocket.send("no json")
        await websocket.send("")
        await websocket.close(1000, "done")

    outcome, events = await record_from(handler, options)
    assert outcome.error is None
    assert outcome.manifest is not None
    assert outcome.manifest.sealed
    assert kinds(events) == ["open", *["message"] * 5, "close", "gap"]
    assert [event.payload for event in events[1:6]] == [
        b'{"type": "SIGNAL", "ts": 1700000000123, "data": {"x": NaN}}', b"\x1f\x8b\x00", b"\xff{", b"no json", b"",
    ]  # fmt: skip
    assert (events[1].type, events[1].sent_at_us) == ("SIGNAL", 1_700_000_000_123_000)
    assert events[3].text is None
    assert json.loads(events[3].detail or "")["opcode"] == "text"
    assert [event.seq for event in events] == list(range(8))
    assert details(events, Kind.CLOSE) == [{"code": 1000, "reason": "done", "cause": "closed by the feed"}]


async def test_the_duckdb_form_holds_the_same(options: RecordOptions, tmp_path: Path) -> None:
    async def handler(websocket: ServerConnection) -> None:
        for number in range(3_000):
            await websocket.send(f'{{"type": "A{number % 3}", "ts": {1_700_000_000_000 + number}}}')
        await websocket.send(b"\x00")

    path = tmp_path / "x.duckdb"
    outcome, events = await record_from(handler, options, into=path)
    assert (outcome.error, outcome.path) == (None, path)
    assert len(events) == 3_004
    assert events[5].text == '{"type": "A1", "ts": 1700000000004}'
    assert open_session(path).info.types == {"A0": 1_000, "A1": 1_000, "A2": 1_000}


async def test_recording_into_a_file_that_exists_is_refused(options: RecordOptions, tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    path.write_bytes(b"mine")

    async def handler(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        outcome = await record(to(options, f"ws://127.0.0.1:{port}/", into=path))
    assert isinstance(outcome.error, StorageError)
    assert path.read_bytes() == b"mine"


async def test_a_lost_connection_is_marked_and_made_again(options: RecordOptions) -> None:
    served = 0

    async def handler(websocket: ServerConnection) -> None:
        nonlocal served
        served += 1
        await websocket.send(f"hello {served}")
        if served < 3:
            websocket.transport.abort() if served == 1 else await websocket.close(1012, "restart")
        else:
            await websocket.wait_closed()

    limits = Limits(max_events=3)
    outcome, events = await record_from(handler, options, retry=SOON, limits=limits)
    assert kinds(events) == [
        "open",
        "message",
        "close",
        "gap",
        "open",
        "message",
        "close",
        "gap",
        "open",
        "message",
        "close",
    ]
    assert [event.conn for event in events] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert [detail["code"] for detail in details(events, Kind.CLOSE)] == [1006, 1012, 1000]
    for gap, close, opened in zip(details(events, Kind.GAP), events[2::4], events[4::4], strict=False):
        assert (gap["from_ns"], gap["to_ns"]) == (close.elapsed_ns, opened.elapsed_ns)
    assert outcome.manifest is not None
    assert (outcome.manifest.health.reconnects, outcome.manifest.gaps) == (2, 2)


async def test_a_feed_that_refuses_for_a_while_is_tried_again(options: RecordOptions) -> None:
    async with Simulator(SimulatorOptions(port=0, rate=500, heartbeat_s=0.2), SystemClock()) as simulator:
        stop = asyncio.Event()
        recorders: list[FeedRecorder] = []
        task = asyncio.create_task(
            record_feeds([to(options, simulator.url, retry=SOON)], SystemClock(), stop, recorders.extend)
        )
        async with asyncio.timeout(30):
            await simulator.wait_until(lambda it: it.events_sent > 20)
            simulator.refuse(503)
            await simulator.drop_clients(1012)
            await until(lambda: recorders[0].state.status == "waiting")
            simulator.refuse(None)
            await simulator.wait_until(lambda it: it.clients_served == 2)
            sent = simulator.events_sent
            await simulator.wait_until(lambda it: it.events_sent > sent + 20)
            stop.set()
            outcome = (await task)[0]
    assert outcome.error is None
    assert outcome.manifest is not None
    assert (outcome.manifest.connections, outcome.manifest.gaps) == (2, 1)


async def test_silence_counts_as_a_lost_connection(options: RecordOptions) -> None:
    served = 0

    async def handler(websocket: ServerConnection) -> None:
        nonlocal served
        served += 1
        await websocket.send(f"hello {served}")
        await websocket.wait_closed()

    _, events = await record_from(handler, options, retry=SOON, stall_s=0.2, limits=Limits(max_events=2))
    assert details(events, Kind.CLOSE)[0] == {"code": 1006, "reason": "", "cause": "no frame for 0.2 s"}
    assert details(events, Kind.GAP)[0]["cause"] == "no frame for 0.2 s"


async def test_a_frame_over_the_limit_is_a_gap_and_not_an_end(options: RecordOptions) -> None:
    served = 0

    async def handler(websocket: ServerConnection) -> None:
        nonlocal served
        served += 1
        await websocket.send(f"hello {served}")
        if served == 1:
            await websocket.send("x" * 5_000)
        await websocket.wait_closed()

    feed = replace(options.feed, max_frame_bytes=1_000)
    _, events = await record_from(handler, replace(options, feed=feed), retry=SOON, limits=Limits(max_events=2))
    assert details(events, Kind.GAP)[0]["cause"] == "a message over the limit of 1,000 bytes"
    assert [event.text for event in events if event.kind is Kind.MESSAGE] == ["hello 1", "hello 2"]


async def test_a_connection_that_opened_too_late_to_be_taken_is_closed_in_the_log(
    options: RecordOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def connect_too_late(feed: FeedOptions, recorder: FeedRecorder, transport: str) -> Link:
        nonlocal tries
        tries += 1
        if tries == 2:
            recorder.on_open(None, False)
            recorder.on_frame(b"early", 1)
            raise FeedError("did not answer within 1 s", hint="wait")
        return await connect_feed(feed, recorder, transport)

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("hello")

    monkeypatch.setattr("wsrecorder.jobs.feed_recorder.connect_feed", connect_too_late)
    _, events = await record_from(handler, options, retry=SOON, limits=Limits(max_events=3))
    found = [event.text or str(event.kind) for event in events]
    assert found == ["open", "hello", "close", "gap", "open", "early", "close", "gap", "open", "hello", "close"]
    assert details(events, Kind.CLOSE)[1]["cause"] == "did not answer within 1 s"


@pytest.mark.parametrize("parts", [1, 2], ids=["whole", "in-parts"])
async def test_what_comes_behind_a_frame_over_the_limit_belongs_to_the_gap(options: RecordOptions, parts: int) -> None:
    async def handler(websocket: ServerConnection) -> None:
        big = Frame(WireOpcode.TEXT, b"x" * 5_000).serialize(mask=False)
        if parts > 1:
            first = Frame(WireOpcode.TEXT, b"x" * 600, fin=False)
            big = b"".join(frame.serialize(mask=False) for frame in (first, Frame(WireOpcode.CONT, b"x" * 600)))
        after = Frame(WireOpcode.TEXT, b"after").serialize(mask=False)
        # In one piece, so that it is read in one.
        websocket.transport.write(Frame(WireOpcode.TEXT, b"before").serialize(mask=False) + big + after * 3)
        await websocket.wait_closed()

    feed = replace(options.feed, max_frame_bytes=1_000)
    limits = Limits(max_events=3)
    _, events = await record_from(handler, replace(options, feed=feed), retry=SOON, limits=limits)
    found = [event.text or str(event.kind) for event in events]
    assert found == [*["open", "before", "close", "gap"] * 2, "open", "before", "close"]


async def test_nothing_is_sent_unless_asked_and_what_is_sent_is_recorded(options: RecordOptions) -> None:
    received: list[str | bytes] = []

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("hi")
        async for message in websocket:
            received.append(message)
            await websocket.send("subscribed")

    await record_from(handler, options, limits=Limits(max_events=1))
    assert received == []
    _, events = await record_from(handler, options, send=('{"sub": 1}',), limits=Limits(max_events=2))
    assert received == ['{"sub": 1}']
    out = [event for event in events if event.direction == "out"]
    assert [event.text for event in out] == ['{"sub": 1}']
    assert "subscribed" in [event.text for event in events]


async def test_max_events_keeps_exactly_so_many(options: RecordOptions) -> None:
    async def handler(websocket: ServerConnection) -> None:
        for number in range(20_000):
            await websocket.send(str(number))

    outcome, events = await record_from(handler, options, limits=Limits(max_events=10_000))
    assert outcome.manifest is not None
    assert outcome.manifest.messages == 10_000
    assert [event.text for event in events if event.kind is Kind.MESSAGE] == [str(number) for number in range(10_000)]


async def test_duration_ends_the_recording_sealed(options: RecordOptions) -> None:
    async with Simulator(SimulatorOptions(port=0, rate=200), SystemClock()) as simulator:
        outcome = await record(to(options, simulator.url, limits=Limits(duration_ns=300_000_000)))
    assert outcome.error is None
    assert outcome.manifest is not None
    assert outcome.manifest.sealed
    assert 0.3 <= outcome.manifest.last_elapsed_ns / 1e9 < 5


async def test_segments_rotate_by_size_and_nothing_is_lost(options: RecordOptions) -> None:
    async def handler(websocket: ServerConnection) -> None:
        for number in range(20_000):
            await websocket.send(f'{{"type": "A", "n": {number}}}')

    outcome, events = await record_from(handler, options, limits=Limits(segment_bytes=20_000, batch_events=500))
    assert outcome.manifest is not None
    assert len(outcome.manifest.segments) > 2
    assert [event.seq for event in events] == list(range(20_003))


async def test_a_feed_that_cannot_be_had_leaves_nothing_behind(options: RecordOptions, tmp_path: Path) -> None:
    outcome = await record(options)
    assert isinstance(outcome.error, FeedError)
    assert not open_library(tmp_path)


async def test_a_feed_lost_for_good_is_an_error_and_the_session_is_sealed(options: RecordOptions) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("hi")
        await websocket.close(1011, "broken")

    outcome, _ = await record_from(handler, options)
    assert isinstance(outcome.error, FeedError)
    assert outcome.manifest is not None
    assert outcome.manifest.sealed


async def test_the_trouble_of_one_feed_does_not_end_another(options: RecordOptions) -> None:
    async with Simulator(SimulatorOptions(port=0, rate=200), SystemClock()) as simulator:
        good = to(options, simulator.url, limits=Limits(max_events=50))
        outcomes = await record_feeds([options, good], SystemClock(), asyncio.Event())
    assert isinstance(outcomes[0].error, FeedError)
    assert outcomes[1].error is None
    assert outcomes[1].manifest is not None
    assert outcomes[1].manifest.messages == 50


async def test_beside_others_a_feed_that_cannot_be_reached_is_said_at_once_and_tried_again(
    options: RecordOptions, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("{}")
        await websocket.wait_closed()

    recorders: list[FeedRecorder] = []
    stop = asyncio.Event()
    async with asyncio.timeout(30), serve(handler, "127.0.0.1", 0) as server, serve(handler, "127.0.0.1", 0) as other:
        urls = [f"ws://127.0.0.1:{each.sockets[0].getsockname()[1]}/ws/" for each in (server, other)]
        other.close()
        await other.wait_closed()
        both = [to(options, url, retry=SOON) for url in urls]
        job = asyncio.create_task(record_feeds(both, SystemClock(), stop, recorders.extend))
        await until(lambda: caplog.text.count("cannot be reached") > 1)
        never = RecordVitals(recorders).unready() or ""
        assert never.startswith(f"{urls[1]} cannot be reached")
        assert recorders[1].state.path is None
        async with serve(handler, "127.0.0.1", int(urls[1].rpartition(":")[2].partition("/")[0])):
            await until(lambda: recorders[1].state.messages == 1 and RecordVitals(recorders).unready() is None)
            stop.set()
            outcomes = await job
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert outcomes[1].manifest is not None
    assert (outcomes[1].manifest.messages, outcomes[1].manifest.health.reconnects) == (1, 0)
    assert outcomes[1].manifest.last_elapsed_ns < outcomes[0].manifest.last_elapsed_ns  # type: ignore[union-attr]


@pytest.mark.parametrize("is_other_there", [True, False])
async def test_a_feed_that_never_came_is_an_error_when_the_others_have_what_was_asked_for(
    options: RecordOptions, *, is_other_there: bool
) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("{}")
        await websocket.wait_closed()

    limits = Limits(max_events=1) if is_other_there else Limits(duration_ns=100_000_000)
    async with asyncio.timeout(30), serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1] if is_other_there else 1
        both = [to(options, f"ws://127.0.0.1:{port}/ws/", retry=SOON, limits=limits) for port in (port, 1)]
        outcomes = await record_feeds(both, SystemClock(), asyncio.Event())
    assert isinstance(outcomes[1].error, FeedError)
    assert outcomes[1].path is None
    assert (outcomes[0].error is None) is is_other_there


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the disk refuse every sync from the fourth on, until the list is emptied; it counts those asked for."""
    from wsrecorder.store import disk

    asked = [0]
    real = disk.sync

    def sync(file: Any) -> None:
        if asked:
            asked[0] += 1
            if asked[0] > 4:
                raise OSError(28, "No space left on device")
        real(file)

    monkeypatch.setattr(disk, "sync", sync)
    return asked


async def test_a_disk_that_takes_no_more_ends_nothing_and_at_the_end_all_that_it_took_is_there(
    options: RecordOptions, full_disk: list[int]
) -> None:
    stop = asyncio.Event()
    async with Simulator(SimulatorOptions(port=0, rate=1_000), SystemClock()) as simulator:
        recording = asyncio.create_task(record(to(options, simulator.url), stop))
        await until(lambda: full_disk[0] > 4)
        stop.set()
        outcome = await recording
    assert isinstance(outcome.error, StorageError)
    assert "No space left" in outcome.error.message
    assert "could not be written" in outcome.error.message
    assert "intact" in outcome.error.hint
    assert outcome.path is not None
    assert "wsrec recover" in outcome.error.hint
    events = list(open_session(outcome.path).events())
    assert events
    assert [event.seq for event in events] == list(range(len(events)))
    assert outcome.manifest is not None
    assert not outcome.manifest.sealed
    # All that was acknowledged is there; the batch that could not be synced may be there too.
    assert 0 < outcome.manifest.events <= len(events)


async def test_recording_goes_on_when_the_disk_takes_again_with_a_gap(
    options: RecordOptions, full_disk: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    async with Simulator(SimulatorOptions(port=0, rate=1_000), SystemClock()) as simulator:
        recording = asyncio.create_task(record(to(options, simulator.url), stop))
        await until(lambda: full_disk[0] > 4)
        full_disk.clear()
        await until(lambda: "takes events again, after" in caplog.text)
        await asyncio.sleep(0.1)
        stop.set()
        outcome = await recording
    assert outcome.error is None
    assert outcome.path is not None
    events = list(open_session(outcome.path).events())
    assert details(events, Kind.GAP)[0]["cause"] == "disk full: No space left on device"
    assert details(events, Kind.GAP)[0]["lost_frames"] == 0
    assert [event.seq for event in events] == list(range(len(events)))
    sent_at = [event.sent_at_us for event in events if event.sent_at_us]
    assert len(sent_at) > 800
    assert verify(open_session(outcome.path).store).is_sound


async def test_types_and_times_are_read_by_the_dialect_that_was_asked_for(options: RecordOptions) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send('{"stream":"x","data":{"e":"trade","E":1626916403871}}')

    dialect = Dialect(name="own", type_path="data.e", ts_path="data.E", heartbeat_type=None)
    outcome, events = await record_from(handler, options, dialect=dialect)
    assert (events[1].type, events[1].sent_at_us) == ("trade", 1_626_916_403_871_000)
    assert outcome.manifest is not None
    assert outcome.manifest.identity.dialect == dialect


async def test_a_session_is_readable_while_it_records(options: RecordOptions) -> None:
    async with Simulator(SimulatorOptions(port=0, rate=500), SystemClock()) as simulator:
        stop = asyncio.Event()
        task = asyncio.create_task(record_feeds([to(options, simulator.url)], SystemClock(), stop))
        async with asyncio.timeout(30):
            await simulator.wait_until(lambda it: it.events_sent > 200)
            events: list[Event] = []
            while len(events) < 50:
                await asyncio.sleep(0.05)
                events = list(open_session("latest", library=options.library).events())
            info = open_session("latest", library=options.library).info
            stop.set()
            await task
    assert not info.sealed
    assert info.events >= 50
    assert [event.seq for event in events] == list(range(len(events)))


async def test_the_panel_can_show_how_it_stands(options: RecordOptions) -> None:
    async with Simulator(SimulatorOptions(port=0, rate=500), SystemClock()) as simulator:
        stop = asyncio.Event()
        recorders: list[FeedRecorder] = []
        task = asyncio.create_task(record_feeds([to(options, simulator.url)], SystemClock(), stop, recorders.extend))
        async with asyncio.timeout(30):
            await until(lambda: bool(recorders) and recorders[0].state.latency_ms is not None)
            state = recorders[0].state
            stop.set()
            await task
    assert state.status == "open"
    assert state.messages > 0
    assert state.disk_bytes > 0
    assert recorders[0].state.status == "ended"


async def test_a_flood_of_frames_leaves_the_event_loop_its_turns(
    options: RecordOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    ended = asyncio.Event()

    class Flood:
        """A link whose loop would read on and on, as uvloop's does."""

        def pause(self) -> None:
            said.append("pause")

        def resume(self) -> None:
            said.append("resume")

        async def wait_closed(self) -> Closed:
            await ended.wait()
            return Closed(1000, "", "closed by the feed")

        async def close(self) -> None:
            ended.set()

    async def connect(feed: FeedOptions, receiver: FeedRecorder, transport: str) -> Flood:
        receiver.on_open(None, False)
        asyncio.get_running_loop().call_soon(flood, receiver)
        return Flood()

    def flood(receiver: FeedRecorder) -> None:
        for number in range(1_000):
            receiver.on_frame(b"%d" % number, 1)
        said.append("flooded")
        ended.set()

    monkeypatch.setattr("wsrecorder.jobs.feed_recorder.connect_feed", connect)
    outcome = await record(replace(options, limits=Limits(batch_events=300)))
    assert said == ["pause", "flooded", "resume"]
    assert outcome.manifest is not None
    assert outcome.manifest.messages == 1_000


async def test_a_recorder_that_is_started_again_continues_its_session(options: RecordOptions) -> None:
    async def greet(connection: ServerConnection) -> None:
        await connection.send("{}")
        await connection.close()

    async with serve(greet, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
        first, second = [await record(to(options, url)) for _ in range(2)]
    assert first.manifest is not None
    assert second.path is not None
    assert not first.manifest.identity.continues
    assert open_session(second.path).info.continues == first.manifest.identity.id


async def test_no_frame_waits_longer_for_its_sync_than_the_interval(options: RecordOptions) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await asks.wait()
        await websocket.send("x")
        await websocket.wait_closed()

    asks, stop = asyncio.Event(), asyncio.Event()
    clock = VirtualClock(is_jumping=False)
    async with serve(handler, "127.0.0.1", 0) as server, asyncio.timeout(30):
        port = server.sockets[0].getsockname()[1]
        recorder = FeedRecorder(to(options, f"ws://127.0.0.1:{port}/ws/"), clock)
        running = asyncio.create_task(recorder.run(stop))
        await until(lambda: recorder.state.path is not None and clock.sleepers > 0)
        clock.advance(1_000_000)  # it comes when the ticker has just looked
        asks.set()
        await until(lambda: recorder.state.messages == 1)
        for _ in range(2):  # 99 ms, two ticks
            clock.advance(49_500_000)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            await until(lambda: recorder.state.size_bytes == 1)
        stop.set()
        await running


async def test_a_black_box_that_ends_for_want_of_space_writes_what_it_holds(
    options: RecordOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = asyncio.Event()

    async def low(*_: object, outcome: str, **__: object) -> StorageError:
        await came.wait()
        return StorageError("too little", hint=outcome)

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send("{}")
        await websocket.ping()
        await until(lambda: recorders[0].state.messages == 1)
        came.set()
        await websocket.wait_closed()

    recorders: list[FeedRecorder] = []
    monkeypatch.setattr("wsrecorder.jobs.feed_recorder.until_low", low)
    box = BlackBoxOptions(BoxLimits(age_ns=60_000_000_000, post_ns=30_000_000_000))
    async with asyncio.timeout(30), serve(handler, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
        asked = to(options, url, black_box=box, min_free_bytes=1)
        [outcome] = await record_feeds([asked], SystemClock(), asyncio.Event(), recorders.extend)
    assert isinstance(outcome.error, StorageError)
    assert outcome.error.hint == "what the ring held is a snapshot"
    assert outcome.snapshots is not None
    [made] = outcome.snapshots
    assert made.manifest.messages == 1
    assert made.manifest.identity.black_box is not None
    assert made.manifest.identity.black_box.cause == "disk"
