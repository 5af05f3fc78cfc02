"""Replays over real sockets on loopback, in virtual time: what clients hear, and how it ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.jobs.replays import (
    SECOND_NS,
    STARTED_NS,
    Listener,
    ats,
    duckdb_session,
    heartbeat,
    identity,
    listen,
    message,
    numbered,
    payloads,
    session,
    sink_for,
    types,
    until,
)
from wsrecorder.clock import Clock, SystemClock, VirtualClock
from wsrecorder.core.event import Opcode
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.playhead import MAX_SPEED
from wsrecorder.core.target import AtNote, AtTime
from wsrecorder.errors import EndpointError, OwnMistake, SegmentDamaged, UsageError
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay import Replay, replay
from wsrecorder.jobs.replay_options import AtEnd, Prime, ReplayOptions, ReplayReport
from wsrecorder.net.endpoint_options import SlowClient
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows
from wsrecorder.store.session import ParquetStore, Store


def replaying(stores: Sequence[Store] | Store, clock: Clock | None = None, **options: Any) -> Replay:
    """Return a replay on a free port; clients are told nothing before the stream, unless that is asked for."""
    options.setdefault("prime", Prime.NONE)
    listed = stores if isinstance(stores, Sequence) else [stores]
    return Replay(listed, ReplayOptions(port=0, **options), clock or VirtualClock())


@asynccontextmanager
async def by_hand(stores: Sequence[Store] | Store, **options: Any) -> AsyncIterator[tuple[Replay, VirtualClock]]:
    """A replay under a clock that is moved by hand."""
    clock = VirtualClock(is_jumping=False)
    async with replaying(stores, clock, **options) as running:
        yield running, clock


async def heard(running: Replay, query: str = "") -> list[bytes]:
    """Listen until the connection is closed, and return what came."""
    listener = await listen(running.url + query)
    await listener.closed()
    return listener.payloads


@pytest.fixture
def ten(tmp_path: Path) -> Store:
    """A message a second, types A and B by turns, of a feed without heartbeats."""
    return session(tmp_path, [message(n, "AB"[n % 2]) for n in range(10)], batch=4, segment_s=5)


# What is heard


@pytest.mark.parametrize("form", [session, duckdb_session])
async def test_a_client_hears_what_was_recorded_byte_for_byte(tmp_path: Path, form: Any) -> None:
    events = [
        message(0, text='{"type": "A", "ts": 5, "data": {"x": NaN}}'),
        message(0, text=None, binary=b"\x00\xff"),
        message(1, text=""),
        message(2, text="é" * 70_000),
    ]
    async with replaying(form(tmp_path, events), at_end=AtEnd.CLOSE) as running:
        listener = await listen(running.url)
        assert (await listener.closed()).code == 1000
        text, binary = Opcode.TEXT, Opcode.BINARY
        assert listener.frames == list(zip(payloads(events), (text, binary, text, text), strict=True))


async def test_an_hour_passes_in_no_time(tmp_path: Path) -> None:
    hour = session(tmp_path, [message(second) for second in range(3_601)], batch=500)
    async with replaying(hour, at_end=AtEnd.CLOSE) as running:
        assert ats(await heard(running)) == list(range(3_601))
        report = running.report()
    assert (report.session_s, report.playing_s, report.achieved_speed) == (3_600, 3_600, 1)
    assert (report.frames_sent, report.lateness.count, report.lateness.max_ns) == (3_601, 3_601, 0)


async def test_several_sessions_are_one_stream(tmp_path: Path) -> None:
    first = session(tmp_path, [message(n) for n in range(3)])
    started_ns = STARTED_NS + SECOND_NS // 2
    rows = [message(n, "B", started_ns=started_ns) for n in range(3)]
    second = session(tmp_path, rows, who=identity("other", started_ns))
    async with replaying([second, first], at_end=AtEnd.CLOSE) as running:
        assert types(await heard(running)) == ["A", "B"] * 3


async def test_the_stream_can_be_made_to_look_live(ten: Store) -> None:
    clock = VirtualClock(wall_ns=STARTED_NS + 10**6 * SECOND_NS)
    async with replaying(ten, clock, restamp=True, at_end=AtEnd.CLOSE) as running:
        stamps = [json.loads(payload)["ts"] for payload in await heard(running)]
    assert stamps == [STARTED_NS // 10**6 + 10**9 + 1_000 * n - 5 for n in range(10)]


async def test_each_connection_begins_with_a_heartbeat_of_its_own(tmp_path: Path) -> None:
    beating = session(tmp_path, [heartbeat(0), message(1), heartbeat(2), message(3)])
    clock = VirtualClock(wall_ns=77 * SECOND_NS)
    async with replaying(beating, clock, at_end=AtEnd.CLOSE) as running:
        received = await heard(running)
        assert types(received) == ["HEARTBEAT", "A", "A"]
        assert received[0] == b'{"type": "HEARTBEAT", "ts": 77000, "data": {"latencyMs": 0}}'
        [client] = running.report().clients
        assert (client.frames_sent, client.heartbeats_sent) == (2, 1)


async def test_verbatim_is_every_recorded_frame_and_nothing_else(tmp_path: Path) -> None:
    events = [heartbeat(0), message(1), heartbeat(2), message(3)]
    async with replaying(session(tmp_path, events), verbatim=True, at_end=AtEnd.CLOSE) as running:
        assert await heard(running) == payloads(events)


# Who hears it


async def test_a_late_client_joins_midway(ten: Store) -> None:
    async with by_hand(ten) as (running, clock):
        early = await listen(running.url)
        await early.has(1)
        clock.advance(5 * SECOND_NS)
        await early.has(6)
        late = await listen(running.url)
        await running.endpoint.wait_for_clients(2)
        clock.advance(5 * SECOND_NS)
        await asyncio.gather(early.has(10), late.has(4))
        assert ats(early.payloads) == list(range(10))
        assert ats(late.payloads) == [6, 7, 8, 9]


async def test_nothing_is_played_before_enough_clients_are_there(ten: Store) -> None:
    async with by_hand(ten, wait_for=2) as (running, clock):
        first = await listen(running.url)
        await running.endpoint.wait_for_clients(1)
        clock.advance(100 * SECOND_NS)
        assert running.state.status == "waiting"
        second = await listen(running.url)
        await asyncio.gather(first.has(1), second.has(1))
        assert ats(first.payloads) == ats(second.payloads) == [0]
        assert running.state.status == "playing"


async def test_with_nobody_to_wait_for_it_plays_at_once(ten: Store) -> None:
    async with by_hand(ten, wait_for=0) as (running, clock):
        await until(lambda: running.report().frames_sent == 1)
        clock.advance(4 * SECOND_NS)
        await until(lambda: running.report().frames_sent == 5)
        late = await listen(running.url)
        await running.endpoint.wait_for_clients(1)
        clock.advance(SECOND_NS)
        await late.has(1)
        assert ats(late.payloads) == [5]


async def test_each_client_can_have_its_own_playback_from_the_start(ten: Store) -> None:
    async with by_hand(ten, per_client=True) as (running, clock):
        early = await listen(running.url)
        await early.has(1)
        clock.advance(5 * SECOND_NS)
        await early.has(6)
        late = await listen(running.url)
        await late.has(1)
        clock.advance(SECOND_NS)
        await asyncio.gather(early.has(7), late.has(2))
        assert ats(early.payloads) == list(range(7))
        assert ats(late.payloads) == [0, 1]
        assert running.state.position_ns == 6 * SECOND_NS  # of the one that has come furthest
        assert running.report().frames_sent == 9


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("?from=8s", [8, 9]),
        ("?from=-4s&to=-2s", [5, 6]),
        ("?types=B&token=whatever", [1, 3, 5, 7, 9]),
        ("?types=A,B&speed=max&to=3s", [0, 1, 2]),
        ("?speed=2.5&from=2025-11-24T16:00:07Z", [7, 8, 9]),
    ],
)
async def test_a_client_can_ask_for_its_own_in_the_url(ten: Store, query: str, expected: list[float]) -> None:
    async with replaying(ten, per_client=True, at_end=AtEnd.CLOSE) as running:
        assert ats(await heard(running, query)) == expected


async def test_the_speed_asked_for_in_the_url_is_kept(ten: Store) -> None:
    async with replaying(ten, per_client=True, at_end=AtEnd.CLOSE) as running:
        await heard(running, "?speed=3")
        await running.finished.wait()
        assert running.report().achieved_speed == pytest.approx(3)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?speed=0", "speed 0 is not possible"),
        ("?speed=fast", '"fast" is not a speed'),
        ("?from=1h", "1h is outside the session"),
        ("?to=soon", '"soon" is not a moment'),
        ("?from=5s&to=4s", "is not after"),
        ("?types=C", "no message of type C"),
        ("?from=" + "%C3%A9" * 300, "éé"),
    ],
)
async def test_a_client_that_asks_for_the_impossible_is_told_and_closed(ten: Store, query: str, words: str) -> None:
    async with replaying(ten, per_client=True) as running:
        good = await listen(running.url)
        bad = await listen(running.url + query)
        closed = await bad.closed()
        assert (closed.code, bad.frames) == (1008, [])
        assert words in closed.reason
        await good.has(10)
        assert running.error is None


async def test_without_a_playback_of_its_own_a_query_changes_nothing(ten: Store) -> None:
    async with replaying(ten, at_end=AtEnd.CLOSE) as running:
        assert ats(await heard(running, "?speed=0&from=9s")) == list(range(10))


async def test_a_client_that_leaves_does_not_end_the_playback_of_another(ten: Store) -> None:
    async with by_hand(ten, per_client=True, at_end=AtEnd.EXIT) as (running, clock):
        leaver, stayer = await listen(running.url), await listen(running.url)
        await asyncio.gather(leaver.has(1), stayer.has(1))
        assert leaver.link is not None
        await leaver.link.close()
        await until(lambda: len(running.endpoint.clients) == 1)
        assert not running.finished.is_set()
        clock.advance(20 * SECOND_NS)
        assert (await stayer.closed()).code == 1000
        assert ats(stayer.payloads) == list(range(10))
        await running.over.wait()
        assert running.error is None
        assert running.report().frames_sent == 11


# One for all that name a session


async def test_clients_of_one_key_share_a_playhead_that_begins_with_the_first_of_them(ten: Store) -> None:
    async with by_hand(ten) as (running, clock):
        alone = await listen(running.url)
        await alone.has(1)
        clock.advance(4 * SECOND_NS)
        await alone.has(5)
        first = await listen(running.url + "?session=desk&from=1s&types=B&speed=2")
        await first.has(1)
        second = await listen(running.url + "?session=desk&speed=max")  # what the first one asked for holds
        await running.endpoint.wait_for_clients(3)
        clock.advance(2 * SECOND_NS)
        await asyncio.gather(alone.has(7), first.has(3), second.has(2))
        assert (ats(first.payloads), ats(second.payloads)) == ([1, 3, 5], [3, 5])
        assert ats(alone.payloads) == list(range(7))
        assert [playback.name for playback in running.playbacks] == ["shared", "session desk"]
        assert running.playback("session desk").state.position_ns == 5 * SECOND_NS
        assert running.playback() is running.playback("shared") is running.shared
        with pytest.raises(UsageError, match='no playback "session other"') as caught:
            running.playback("session other")
        assert caught.value.hint == 'there are "shared", "session desk"'
        assert (running.report().frames_sent, running.report().passes) == (10, 2)
        assert running.state.frames_sent == 10


async def test_each_key_has_a_playhead_of_its_own_also_beside_one_for_each_client(ten: Store) -> None:
    async with by_hand(ten, per_client=True, wait_for=1) as (running, clock):
        with pytest.raises(UsageError, match="0 playbacks"):
            running.playback()
        listeners = [await listen(running.url)]
        await listeners[0].has(1)
        assert running.playback().name == "client 1"
        listeners += [await listen(running.url + query) for query in ("?session=a", "?session=b", "?session=a")]
        await asyncio.gather(*(listener.has(1) for listener in listeners[:3]))
        assert [playback.name for playback in running.playbacks] == ["client 1", "session a", "session b"]
        running.playback("session b").pause()
        with pytest.raises(UsageError, match="3 playbacks are here"):
            running.playback()
        clock.advance(2 * SECOND_NS)
        await asyncio.gather(listeners[0].has(3), listeners[1].has(3), listeners[3].has(2))
        assert ats(listeners[2].payloads) == [0]


async def test_a_client_with_a_key_neither_begins_nor_disturbs_what_all_others_share(ten: Store) -> None:
    async with by_hand(ten, wait_for=2) as (running, clock):
        keyed = [await listen(running.url + "?session=a") for _ in range(2)]
        await keyed[0].has(1)
        one = await listen(running.url)
        await running.endpoint.wait_for_clients(3)
        clock.advance(3 * SECOND_NS)
        await keyed[0].has(4)
        assert running.playback("shared").state.status == "waiting"
        assert one.frames == []
        two = await listen(running.url)
        await asyncio.gather(one.has(1), two.has(1))


async def leave(listener: Listener) -> None:
    assert listener.link is not None
    await listener.link.close()


async def test_a_key_is_kept_for_a_minute_after_the_last_client_has_left(ten: Store) -> None:
    async with by_hand(ten, at_end=AtEnd.LOOP) as (running, clock):
        first = await listen(running.url + "?session=a")
        await first.has(1)
        kept = running.playback("session a")
        await leave(first)
        await until(lambda: len(running.endpoint.clients) == 0 and clock.sleepers >= 2)
        clock.advance(59 * SECOND_NS)
        again = await listen(running.url + "?session=a")
        await running.endpoint.wait_for_clients(1)
        clock.advance(59 * SECOND_NS)
        await again.has(1)
        assert running.playback("session a") is kept
        await leave(again)
        await until(lambda: len(running.endpoint.clients) == 0 and clock.sleepers >= 2)
        clock.advance(60 * SECOND_NS)
        await until(lambda: kept.player.is_stopped)
        assert running.playbacks == [running.shared]
        assert running.report().frames_sent >= kept.state.frames_sent > 0
        new = await listen(running.url + "?session=a")
        await new.has(1)
        assert running.playback("session a") is not kept


async def test_the_end_comes_when_no_playhead_plays_any_more(ten: Store) -> None:
    async with by_hand(ten, at_end=AtEnd.EXIT) as (running, clock):
        keyed = await listen(running.url + "?session=a&from=5s")
        await keyed.has(1)
        clock.advance(SECOND_NS)
        await keyed.has(2)
        listener = await listen(running.url)
        await listener.has(1)
        clock.advance(4 * SECOND_NS)
        assert (await keyed.closed()).code == 1000
        assert not running.over.is_set()
        clock.advance(6 * SECOND_NS)
        await running.over.wait()
        assert ats(listener.payloads) == list(range(10))


async def test_a_key_that_is_given_up_does_not_end_what_has_not_begun(ten: Store) -> None:
    async with by_hand(ten, at_end=AtEnd.EXIT) as (running, clock):
        keyed = await listen(running.url + "?session=a")
        await keyed.has(1)
        await leave(keyed)
        await until(lambda: len(running.endpoint.clients) == 0 and clock.sleepers >= 2)
        running.playback("session a").pause()
        clock.advance(60 * SECOND_NS)
        await until(lambda: running.playbacks == [running.shared])
        assert not running.over.is_set()
        listener = await listen(running.url)
        await listener.has(1)
        clock.advance(9 * SECOND_NS)
        await running.over.wait()
        assert ats(listener.payloads) == list(range(10))


async def test_at_the_end_those_of_a_key_are_closed_and_nobody_else(ten: Store) -> None:
    async with by_hand(ten, at_end=AtEnd.CLOSE) as (running, _):
        keyed = await listen(running.url + "?session=a&from=9s")
        assert (await keyed.closed()).code == 1000
        listener = await listen(running.url)
        await listener.has(1)
        again = await listen(running.url + "?session=a")  # it is still kept: played to its end
        await running.endpoint.wait_for_clients(2)
        await running.playback("session a").seek(AtTime(9 * SECOND_NS))
        assert (await again.closed()).code == 1000
        assert ats(again.payloads) == [9]
        await until(lambda: len(running.endpoint.clients) == 1)


async def test_a_key_that_asks_for_the_impossible_is_told_and_takes_nothing(ten: Store) -> None:
    async with replaying(ten) as running:
        bad = await listen(running.url + "?session=a&from=1h")
        closed = await bad.closed()
        assert (closed.code, bad.frames) == (1008, [])
        assert running.playbacks == [running.shared]


async def test_notes_are_those_of_the_one_session(tmp_path: Path, ten: Store) -> None:
    other = session(tmp_path, [message(0)], who=identity("other"))
    assert replaying([ten, other]).notes is None
    running = replaying(ten)
    assert running.notes is not None
    assert running.stores == [ten]
    running.notes.add("here", elapsed_ns=3 * SECOND_NS, received_ns=0, made_at_ns=0)
    async with running:
        assert await running.playback().seek(AtNote("here")) == 3 * SECOND_NS


# Slow clients


@asynccontextmanager
async def deaf(running: Replay) -> AsyncIterator[Any]:
    """A client that does not read: little fits into its socket, and nobody empties it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", running.endpoint.port))
    async with connect(running.url, sock=sock, compression=None, ping_interval=None, close_timeout=0.1) as client:
        client.transport.pause_reading()
        yield client
        client.transport.abort()


def heavy(tmp_path: Path) -> Store:
    """32 MB, more than the kernel's buffers hold."""
    return session(tmp_path, [message(n / 100, text=f"{n:>16000}") for n in range(2_000)], batch=250)


async def test_a_client_that_stops_reading_is_closed_and_nobody_else_notices(tmp_path: Path) -> None:
    async with replaying(heavy(tmp_path), wait_for=2, at_end=AtEnd.CLOSE, client_buffer_bytes=1 << 20) as running:
        async with deaf(running):
            received = await heard(running)
        assert [int(payload) for payload in received] == list(range(2_000))
        report = running.report()
        assert report.slow_closed == 1
        assert report.playing_s == pytest.approx(19.99)
        assert report.lateness.max_ns == 0


async def test_a_client_that_stops_reading_can_be_waited_for_by_all(tmp_path: Path) -> None:
    async with replaying(
        heavy(tmp_path), SystemClock(), wait_for=2, at_end=AtEnd.CLOSE, speed=MAX_SPEED, client_buffer_bytes=1 << 20
    ) as running:
        assert running.options.slow_client_policy is SlowClient.WAIT
        async with deaf(running) as slow:
            quick = await listen(running.url)
            await until(lambda: any(client.stalls for client in running.report().clients))
            await asyncio.sleep(0.05)
            assert len(quick.frames) < 2_000
            slow.transport.resume_reading()
            taken = [int(await slow.recv()) for _ in range(2_000)]
            await quick.closed()
        assert taken == [int(payload) for payload in quick.payloads] == list(range(2_000))
        report = running.report()
        assert (report.slow_closed, report.frames_sent) == (0, 2_000)
        assert max(client.stalled_ns for client in report.clients) > 0


# How it ends


async def test_at_the_end_connections_stay_and_a_seek_plays_again(ten: Store) -> None:
    async with replaying(ten, at_end=AtEnd.STAY) as running:
        listener = await listen(running.url)
        await running.finished.wait()
        await until(lambda: running.state.status == "ended")
        assert not running.over.is_set()
        await listener.has(10)
        assert len(running.endpoint.clients) == 1
        assert running.shared is not None
        running.shared.pause()  # after the end it changes nothing
        running.shared.resume()
        await running.shared.seek(AtTime(7 * SECOND_NS))
        await listener.has(13)
        assert ats(listener.payloads)[10:] == [7, 8, 9]


async def test_at_the_end_connections_can_be_closed_and_it_goes_on_serving(ten: Store) -> None:
    async with replaying(ten, at_end=AtEnd.CLOSE) as running:
        await heard(running)
        late = await listen(running.url)
        await running.endpoint.wait_for_clients(1)
        assert running.shared is not None
        running.shared.pause()
        running.shared.resume()
        await asyncio.sleep(0.02)  # nothing was played, so nobody is closed
        await running.shared.seek(AtTime(8 * SECOND_NS))
        assert (await late.closed()).code == 1000
        assert ats(late.payloads) == [8, 9]


async def test_a_loop_goes_on_until_it_is_ended(ten: Store) -> None:
    async with replaying(ten, at_end=AtEnd.LOOP) as running:
        listener = await listen(running.url)
        await listener.has(35)
        assert not running.finished.is_set()
        assert running.report().passes >= 4
    assert (await listener.closed()).code == 1012
    assert ats(listener.payloads)[:30] == [*range(10)] * 3


async def started(stores: Sequence[Store], stop: asyncio.Event, **options: Any) -> tuple[asyncio.Task[Any], Listener]:
    """Start the job and return it with a client of it."""
    begun: asyncio.Future[Replay] = asyncio.get_running_loop().create_future()
    asked = ReplayOptions(port=0, **options)
    job = asyncio.create_task(replay(stores, asked, VirtualClock(), stop, on_started=begun.set_result))
    return job, await listen((await begun).url)


async def test_the_job_returns_at_the_end_if_asked_to(ten: Store) -> None:
    job, listener = await started([ten], asyncio.Event(), at_end=AtEnd.EXIT)
    report: ReplayReport = await job
    assert (await listener.closed()).code == 1000
    assert ats(listener.payloads) == list(range(10))
    assert report.frames_sent == 10


async def test_the_job_serves_until_it_is_stopped(ten: Store) -> None:
    stop = asyncio.Event()
    job, listener = await started([ten], stop)
    await listener.has(10)
    await asyncio.sleep(0.05)
    assert not job.done()
    stop.set()
    report: ReplayReport = await job
    assert (await listener.closed()).code == 1000  # everything was played
    [client] = report.clients
    assert (client.frames_sent, client.close_code) == (10, 1000)


async def test_one_stopped_midway_closes_as_the_live_server_does(tmp_path: Path) -> None:
    stop = asyncio.Event()
    job, listener = await started([session(tmp_path, [message(0), message(10**6)])], stop, at_end=AtEnd.LOOP)
    await listener.has(1)
    stop.set()
    await job
    assert (await listener.closed()).code == 1012


# What goes wrong


@pytest.mark.parametrize("at_end", list(AtEnd))
@pytest.mark.parametrize("per_client", [False, True])
async def test_a_damaged_segment_ends_it_with_what_came_before(tmp_path: Path, at_end: AtEnd, per_client: bool) -> None:
    store = session(tmp_path, [message(n) for n in range(100)], batch=10, segment_s=9)
    damaged = sorted(store.path.glob("events/*.parquet"))[5]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    job, listener = await started([store], asyncio.Event(), at_end=at_end, per_client=per_client)
    closed = await listener.closed()
    assert (closed.code, closed.reason) == (1011, "the recording cannot be read any further")
    assert ats(listener.payloads) == list(range(50))
    with pytest.raises(SegmentDamaged, match=damaged.name) as raised:
        await job
    assert raised.value.exit_code == 4


async def test_a_mistake_of_ours_is_raised_and_not_waited_out(ten: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Programme, "batches", fail)
    job, listener = await started([ten], asyncio.Event())
    with pytest.raises(OwnMistake, match="shared was ended by an unexpected ZeroDivisionError") as raised:
        await job
    assert (raised.value.exit_code, type(raised.value.__cause__)) == (1, ZeroDivisionError)
    assert (await listener.closed()).code == 1011


async def test_a_port_in_use_is_said_before_anything_is_played(ten: Store) -> None:
    async with replaying(ten) as first:
        options = ReplayOptions(port=first.endpoint.port)
        with pytest.raises(EndpointError, match="in use"):
            await replay([ten], options, VirtualClock(), asyncio.Event())


def test_a_window_outside_of_the_session_is_said_at_once(ten: Store) -> None:
    with pytest.raises(UsageError, match="outside the session"):
        replaying(ten, start=parse_moment("1h"))


# A session that is being recorded


async def test_a_live_session_is_replayed_while_it_records(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity(), segment_s=3)
    sink.append(from_rows(numbered([message(0), message(1)])))
    async with by_hand(ParquetStore(sink.path), at_end=AtEnd.CLOSE) as (running, clock):
        listener = await listen(running.url)
        await listener.has(1)
        for n in range(2, 20):
            sink.append(from_rows(numbered([message(n)], n)))
            clock.advance(SECOND_NS)
            await listener.has(n)
        clock.advance(SECOND_NS)
        await listener.closed()
        assert ats(listener.payloads) == list(range(20))
    sink.close(Health())


# What there is to see


async def test_the_report_is_plain_values(ten: Store) -> None:
    async with replaying(ten, speed=2, at_end=AtEnd.CLOSE) as running:
        await heard(running, "?x=1")
        await running.finished.wait()
        facts = json.loads(json.dumps(running.report().to_dict()))
    assert facts["clients"][0]["query"] == "x=1"
    del facts["clients"]
    assert facts == {
        "frames_sent": 10,
        "primed": 0,
        "passes": 1,
        "playing_s": 4.5,
        "session_s": 9,
        "speed": 2,
        "achieved_speed": 2,
        "frames_per_s": 2.2,
        "lateness_ms": {"p50": 0, "p99": 0, "max": 0, "mean": 0},
        "slow_closed": 0,
        "refused": 0,
        "refusals": {},
        "faults": {"seed": 0, "active": [], "counts": {}},
        "mishaps": {},
    }


async def test_the_report_of_maximum_speed_names_no_speed(ten: Store) -> None:
    async with replaying(ten, speed=MAX_SPEED, at_end=AtEnd.CLOSE) as running:
        await heard(running)
        facts = running.report().to_dict()
    assert (facts["speed"], facts["lateness_ms"]["max"]) == (None, None)
    json.dumps(facts, allow_nan=False)


async def test_a_session_that_grows_is_not_played_past_its_end(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity())
    sink.append(from_rows(numbered([message(0), message(1)])))
    async with replaying(ParquetStore(sink.path), at_end=AtEnd.CLOSE, speed=MAX_SPEED) as running:
        assert running.state.end_ns == SECOND_NS
        sink.append(from_rows(numbered([message(9)], 2)))
        await heard(running)
        state = running.state
    sink.close(Health())
    assert (state.position_ns, state.end_ns) == (9 * SECOND_NS, 9 * SECOND_NS)


async def test_the_state_tells_where_it_stands(ten: Store) -> None:
    async with by_hand(ten, start=parse_moment("2s"), end=parse_moment("8s")) as (running, clock):
        state = running.state
        assert (state.status, state.position_ns, state.start_ns, state.end_ns) == (
            "waiting", 2 * SECOND_NS, 2 * SECOND_NS, 8 * SECOND_NS,
        )  # fmt: skip
        listener = await listen(running.url)
        await listener.has(1)
        clock.advance(3 * SECOND_NS + 1)
        await listener.has(4)
        state = running.state
        assert (state.status, state.position_ns, state.clients) == ("playing", 5 * SECOND_NS + 1, 1)
        assert running.shared is not None
        running.shared.pause()
        assert running.state.status == "paused"
        running.shared.resume()
        clock.advance(3 * SECOND_NS)
        await running.finished.wait()
        await until(lambda: running.state.status == "ended")
        assert running.state.frames_sent == 6
