"""A mistake of ours in one feed, client or sink is held to it: a bug is put into one, and the others are whole."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.jobs.dialogues import dialogue, talker
from tests.jobs.replays import ats, listen, message, session, until
from tests.net.tapping import serving
from tests.numbered_feed import NumberedFeed, number_of, payload
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.clock import SystemClock, VirtualClock
from wsrecorder.core.dialect import EnvelopeReader
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.fault import parse_faults
from wsrecorder.core.recorder import Limits, Recorder, Retry
from wsrecorder.errors import OwnMistake
from wsrecorder.jobs import priming
from wsrecorder.jobs.dialogue_playback import DialoguePlayback
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.mishaps import Mishaps
from wsrecorder.jobs.playback_stream import PlaybackStream
from wsrecorder.jobs.record import record_feeds
from wsrecorder.jobs.record_options import Outcome, RecordOptions
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import AtEnd, ReplayOptions
from wsrecorder.jobs.simulate import SimulateOptions, simulate
from wsrecorder.jobs.tap import TapJob
from wsrecorder.jobs.tap_options import TapJobOptions, TapOptions
from wsrecorder.jobs.two_way import TwoWayReplay
from wsrecorder.jobs.two_way_options import TwoWay, TwoWayOptions
from wsrecorder.jobs.verify import verify
from wsrecorder.jobs.vitals import RecordVitals
from wsrecorder.net.admission import Admission
from wsrecorder.net.client import Client
from wsrecorder.net.simulator import Simulator
from wsrecorder.net.simulator_options import SimulatorOptions
from wsrecorder.net.tap_lane import TapLane
from wsrecorder.net.transport import FeedOptions
from wsrecorder.store import sealer as sealer_module
from wsrecorder.store.session import Store
from wsrecorder.store.sink import ParquetSink

PROJECT = Path(__file__).parents[1]
POISON = b'{"type": "POISON", "ts": 1, "n": -1}'
FRAMES = 5_000
WORDS = bytes((115, 101, 99, 114, 101, 116)).decode()


class Bug(Exception):
    """A mistake of ours."""


def broken_for(method: Any, is_hit: Callable[..., bool], *, times: int = 1_000_000) -> Any:
    """Return a method that raises where something is so, and else does as ever."""
    left = times

    def stumble(*args: Any, **options: Any) -> Any:
        nonlocal left
        if left and is_hit(*args):
            left -= 1
            raise Bug(WORDS)
        return method(*args, **options)

    return stumble


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what the log says of mishaps."""
    return lambda: [record.getMessage() for record in caplog.records if record.name == "wsrecorder.mishaps"]


# Feeds


@pytest.fixture(params=["websockets", "picows"])
def transport(request: pytest.FixtureRequest) -> str:
    if request.param == "picows":
        pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    return str(request.param)


def options(feed: NumberedFeed, library: Path, name: str, transport: str = "websockets") -> RecordOptions:
    # So many that come in: the poisoned feed is one short, or one more.
    return RecordOptions(
        feed=FeedOptions(feed.url), library=library, name=name, transport=transport, sync=False,
        retry=Retry(0.02, 0.05), limits=Limits(max_events=FRAMES, batch_events=500),
    )  # fmt: skip


async def record(mishaps: Mishaps, *feeds: RecordOptions) -> list[Outcome]:
    async with asyncio.timeout(60):
        return await record_feeds(feeds, SystemClock(), asyncio.Event(), mishaps=mishaps)


def events_of(outcome: Outcome) -> list[Event]:
    assert outcome.path is not None
    assert verify(open_session(outcome.path).store).exit_code == 0
    return list(Session(open_session(outcome.path).store).events())


def numbers(events: list[Event]) -> list[int]:
    return [number_of(event.payload or b"") for event in events if event.kind is Kind.MESSAGE]


async def test_a_frame_that_breaks_the_recorder_costs_a_gap_and_no_other_feed_anything(
    tmp_path: Path, transport: str, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(Recorder, "frame", broken_for(Recorder.frame, lambda _, content, *__: content == POISON))
    mishaps = Mishaps()
    with NumberedFeed(FRAMES, first=[POISON, POISON]) as sick, NumberedFeed(FRAMES) as well:
        outcomes = await record(
            mishaps, options(sick, tmp_path, "sick", transport), options(well, tmp_path, "well", transport)
        )
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert [numbers(events_of(outcome)) for outcome in outcomes] == [[*range(FRAMES)]] * 2
    gaps = [json.loads(event.detail or "") for event in events_of(outcomes[0]) if event.kind is Kind.GAP]
    assert [gap["cause"] for gap in gaps] == ["an unexpected Bug in the recorder"] * 2
    assert (mishaps.counts, mishaps.exit_code()) == ({"feed": 2}, 1)
    [said] = logged()
    assert said.startswith("feed: unexpected Bug at test_isolation.py:")
    assert "secret" not in said


async def test_half_a_frame_that_was_taken_is_put_back() -> None:
    recorder = Recorder(Limits(), 0)
    recorder.opened(0, {})
    recorder.frame(b"whole", 1, 1)
    recorder._stamps.append(2)  # as if memory had run out between this and the next
    recorder.stumbled(3, "no memory")
    batch = recorder.take(0)
    assert batch is not None
    assert (batch.payloads, list(batch.elapsed_ns), [mark.kind for mark in batch.marks]) == (
        [b"", b"whole", b""], [0, 1, 3], [Kind.OPEN, Kind.GAP],
    )  # fmt: skip


async def test_a_link_that_breaks_is_a_lost_connection(
    tmp_path: Path, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsrecorder.net.picows_link import PicowsLink
    from wsrecorder.net.websockets_link import _Connection

    owner: Any = _Connection if transport == "websockets" else PicowsLink
    monkeypatch.setattr(owner, "_assemble", broken_for(owner._assemble, lambda *_: True, times=1))
    mishaps = Mishaps()
    asyncio.get_running_loop().set_exception_handler(mishaps.on_loop_error)  # as the program does

    async def fragments(websocket: ServerConnection) -> None:
        await websocket.send(["whole ", "again"])
        await websocket.wait_closed()

    with NumberedFeed(FRAMES) as well:
        async with serve(fragments, "127.0.0.1", 0, compression=None) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
            asked = options(well, tmp_path, "sick", transport)
            limits = replace(asked.limits, max_events=1)
            asked = replace(asked, feed=FeedOptions(url), limits=limits)
            outcomes = await record(mishaps, asked, options(well, tmp_path, "well", transport))
    assert [outcome.error for outcome in outcomes] == [None, None]
    sick = events_of(outcomes[0])
    assert [str(event.kind) for event in sick] == ["open", "close", "gap", "open", "message", "close"]
    assert sick[4].text == "whole again"
    assert numbers(events_of(outcomes[1])) == [*range(FRAMES)]
    assert mishaps.count == 1


async def test_a_sink_that_breaks_ends_its_feed_with_what_came_before_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], list[str]]
) -> None:
    def is_late_in_sick(sink: ParquetSink, batch: Any) -> bool:
        return sink.manifest.identity.name == "sick" and sink.tally.messages >= 1_500

    monkeypatch.setattr(ParquetSink, "append", broken_for(ParquetSink.append, is_late_in_sick))
    mishaps, recorders = Mishaps(), []
    with NumberedFeed(FRAMES) as sick, NumberedFeed(FRAMES) as well:
        asked = [options(sick, tmp_path, "sick"), options(well, tmp_path, "well")]
        async with asyncio.timeout(60):
            broken, whole = await record_feeds(asked, SystemClock(), asyncio.Event(), recorders.extend, mishaps=mishaps)
    assert (whole.error, numbers(events_of(whole))) == (None, [*range(FRAMES)])
    assert isinstance(broken.error, OwnMistake)
    assert broken.error.exit_code == 1
    assert "secret" not in str(broken.error)
    assert broken.manifest is not None
    assert broken.manifest.sealed
    kept = numbers(events_of(broken))
    assert kept == [*range(len(kept))]
    assert 1_500 <= len(kept) < FRAMES
    assert mishaps.counts == {"writer": 1}
    assert len(logged()) == 1
    assert "was ended by an unexpected Bug" in (RecordVitals(recorders).trouble() or "")


async def test_a_sealer_that_breaks_leaves_nothing_unsealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = broken_for(sealer_module.seal_journal, lambda path, *_: "sick" in str(path), times=1)
    monkeypatch.setattr(sealer_module, "seal_journal", broken)
    mishaps = Mishaps()
    with NumberedFeed(FRAMES) as sick, NumberedFeed(FRAMES) as well:
        asked = [options(sick, tmp_path, "sick"), options(well, tmp_path, "well")]
        asked = [replace(each, limits=replace(each.limits, segment_bytes=100_000)) for each in asked]
        outcome, whole = await record(mishaps, *asked)
    assert (whole.error, numbers(events_of(whole))) == (None, [*range(FRAMES)])
    assert isinstance(outcome.error, OwnMistake)
    assert outcome.manifest is not None
    assert outcome.manifest.sealed
    kept = numbers(events_of(outcome))
    assert kept == [*range(len(kept))]
    assert kept
    assert mishaps.counts == {"writer": 1}


async def test_a_decoder_that_breaks_costs_types_and_no_payload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = broken_for(EnvelopeReader.read_many, lambda _, payloads: payload(1_234) in payloads)
    monkeypatch.setattr(EnvelopeReader, "read_many", broken)
    mishaps = Mishaps()
    with NumberedFeed(FRAMES) as feed:
        [outcome] = await record(mishaps, options(feed, tmp_path, "sick"))
    assert outcome.error is None
    events = events_of(outcome)
    assert numbers(events) == [*range(FRAMES)]
    untyped = [number_of(event.payload or b"") for event in events if event.kind is Kind.MESSAGE and event.type is None]
    assert 1_234 in untyped
    assert len(untyped) < FRAMES
    assert (mishaps.counts, mishaps.exit_code()) == ({"decoder": 1}, 1)


async def test_a_look_that_breaks_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorder, "is_due", broken_for(Recorder.is_due, lambda *_: True, times=2))
    mishaps = Mishaps()
    with NumberedFeed(1) as feed:  # too few to fill a batch: only the look hands them on
        asked = options(feed, tmp_path, "sick")
        stop = asyncio.Event()
        recorders: list[Any] = []
        recording = asyncio.create_task(
            record_feeds([asked], SystemClock(), stop, on_started=recorders.extend, mishaps=mishaps)
        )
        await until(lambda: mishaps.count == 2 and recorders[0].state.types == {"T0": 1})
        stop.set()
        [outcome] = await recording
    assert numbers(events_of(outcome)) == [0]
    assert mishaps.counts == {"feed": 2}


async def test_what_shows_recordings_may_break(tmp_path: Path) -> None:
    mishaps = Mishaps()

    def watch(recorders: list[Any]) -> None:
        raise Bug

    with NumberedFeed(FRAMES) as feed:
        async with asyncio.timeout(60):
            [outcome] = await record_feeds(
                [options(feed, tmp_path, "t")], SystemClock(), asyncio.Event(), watch, mishaps=mishaps
            )
    assert numbers(events_of(outcome)) == [*range(FRAMES)]
    assert mishaps.counts == {"panel": 1}


async def test_a_panel_that_breaks_is_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    from wsrecorder.cli import panel

    mishaps, shown = Mishaps(), 0

    def render(interval_s: float) -> str:
        nonlocal shown
        shown += 1
        if shown < 3:
            raise Bug
        return "well again"

    async with panel.show_live(render, mishaps):
        await until(lambda: shown > 2)
    assert mishaps.counts == {"panel": 2}
    assert "well again" in capsys.readouterr().err


async def test_a_page_of_metrics_that_breaks_breaks_nothing_else() -> None:
    from wsrecorder.net.probes import Finding, Probes

    mishaps = Mishaps()

    def fail() -> Finding:
        raise Bug

    async def get(url: str) -> bytes:
        host, port = url.removeprefix("http://").split("/")[0].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /" + url.rpartition("/")[2].encode() + b" HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    answers = {"/metrics": fail, "/healthz": lambda: Finding(b"ok")}
    async with Probes("127.0.0.1", 0, answers, on_mishap=lambda error: mishaps.note("metrics", error)) as probes:
        assert b" 500 " in await get(f"{probes.url}/metrics")
        assert b" 200 " in await get(f"{probes.url}/healthz")
    assert mishaps.counts == {"metrics": 1}


# Clients of a replay


@pytest.fixture
def hundred(tmp_path: Path) -> Store:
    return session(tmp_path, [message(number) for number in range(100)], batch=10)


def replaying(store: Store, **asked: Any) -> Replay:
    return Replay([store], ReplayOptions(port=0, **{"at_end": AtEnd.CLOSE, **asked}), VirtualClock())


@pytest.mark.parametrize("method", ["write", "hear", "latency_ms"])
async def test_a_client_that_we_fail_is_closed_and_the_others_hear_all(
    hundred: Store, monkeypatch: pytest.MonkeyPatch, method: str, logged: Callable[[], list[str]]
) -> None:
    is_second = lambda client, *_: client.number == 2  # noqa: E731 - a rule, not a thing to call by name
    real = getattr(Client, method)
    broken = property(broken_for(real.fget, is_second)) if isinstance(real, property) else broken_for(real, is_second)
    monkeypatch.setattr(Client, method, broken)
    async with replaying(hundred, wait_for=3) as running:
        running.endpoint.on_inbound = lambda *_: None
        running.endpoint._heartbeat = lambda *_: None
        listeners = []
        for _ in range(3):
            listeners.append(await listen(running.url))
            await until(lambda: running.endpoint.clients_served == len(listeners))
        if method != "write":  # the second has gone before it was there: another one comes
            listeners.append(await listen(running.url))
        closed = [await listener.closed() for listener in listeners]
        report = running.report()
    assert [each.code for each in closed] == [1000, 1011, 1000, 1000][: len(closed)]
    assert [ats(listener.payloads) for number, listener in enumerate(listeners) if number != 1] == (
        [list(range(100))] * (len(listeners) - 1)
    )
    counts = {"client": 1 if method != "latency_ms" else 2}  # which is asked for once more when it has gone
    assert (running.error, running.mishaps.counts, report.to_dict()["mishaps"]) == (None, counts, counts)
    assert len(logged()) == 1


@pytest.mark.parametrize("moment", ["_welcome", "_part"])
async def test_a_client_that_we_fail_to_greet_or_to_part_from_stands_in_nobodys_way(
    hundred: Store, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    broken = broken_for(getattr(Replay, moment), lambda _, client: client.number == 1)
    monkeypatch.setattr(Replay, moment, broken)
    async with replaying(hundred, wait_for=2) as running:
        first = await listen(running.url)
        if moment == "_part":
            assert first.link is not None
            await first.link.close()
        else:
            assert (await first.closed()).code == 1011
        await until(lambda: not running.endpoint.clients)
        others = [await listen(running.url) for _ in range(2)]
        assert [(await other.closed()).code for other in others] == [1000, 1000]
        assert [ats(other.payloads) for other in others] == [list(range(100))] * 2
    assert running.mishaps.counts == {"client": 1}


async def test_a_handshake_that_breaks_is_refused_and_the_next_is_not(
    hundred: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = broken_for(Admission.select_subprotocol, lambda *_: True, times=1)
    monkeypatch.setattr(Admission, "select_subprotocol", broken)
    async with replaying(hundred) as running:
        with pytest.raises(InvalidStatus, match="500"):
            await connect(running.url, subprotocols=["x"])  # type: ignore[list-item]
        assert ats((await _heard(running.url)).payloads) == list(range(100))
    assert running.mishaps.counts == {"client": 1}


async def _heard(url: str) -> Any:
    listener = await listen(url)
    await listener.closed()
    return listener


async def test_a_playback_that_breaks_ends_for_its_client_alone(
    hundred: Store, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], list[str]]
) -> None:
    def is_second(stream: PlaybackStream, *_: object) -> bool:
        to = stream.delivery._to
        return to is not None and [client.number for client in to] == [2]

    monkeypatch.setattr(PlaybackStream, "send", broken_for(PlaybackStream.send, is_second))
    async with replaying(hundred, per_client=True, wait_for=3) as running:
        listeners = []
        for _ in range(3):
            listeners.append(await listen(running.url))
            await until(lambda: running.endpoint.clients_served == len(listeners))
        closed = [await listener.closed() for listener in listeners]
        assert [each.code for each in closed] == [1000, 1011, 1000]
        assert [ats(listener.payloads) for listener in listeners] == [list(range(100)), [], list(range(100))]
        async with asyncio.timeout(30):
            await running.finished.wait()
    assert (running.error, running.mishaps.counts) == (None, {"playback": 1})
    assert "client 2 is played no further, others go on" in logged()[0]


async def test_what_all_share_may_break_and_a_session_key_plays_on(
    hundred: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        PlaybackStream, "send", broken_for(PlaybackStream.send, lambda stream, *_: stream.delivery._to is None)
    )
    async with replaying(hundred, wait_for=2) as running:
        apart = await listen(f"{running.url}?session=a&speed=0.001")
        await until(lambda: len(running.playbacks) == 2)
        together = [await listen(running.url) for _ in range(2)]
        assert [(await each.closed()).code for each in together] == [1011, 1011]
        assert not running.over.is_set()
        assert (await (await listen(running.url)).closed()).code == 1011  # who comes later is not left waiting
        running.playback("session a").set_speed(float("inf"))
        assert (await apart.closed()).code == 1000
        assert ats(apart.payloads) == list(range(100))
    assert running.mishaps.counts == {"playback": 1}


async def test_a_fault_that_breaks_injects_no_more_and_the_replay_goes_on(
    hundred: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Faults, "_silence", broken_for(Faults._silence, lambda *_: True, times=1))
    async with replaying(hundred, faults=parse_faults(["freeze=1s"])) as running:
        assert ats((await _heard(running.url)).payloads) == list(range(100))
    assert (running.error, running.mishaps.counts) == (None, {"faults": 1})


async def test_who_cannot_be_told_how_things_stand_hears_the_stream(
    hundred: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        priming.Primer, "find", broken_for(priming.Primer.find, lambda _, place, *__: place.elapsed_ns > 0)
    )
    async with replaying(hundred, at_end=AtEnd.STAY) as running:
        first = await listen(running.url)
        await first.has(100)
        late = await listen(running.url)
        await until(lambda: running.mishaps.count == 1)
        assert late.payloads == []
        running.playback().restart()
        await late.has(100)
        await first.has(200)
    assert ats(first.payloads) == [*range(100)] * 2
    assert ats(late.payloads) == [*range(100)]
    assert (running.error, running.mishaps.counts) == (None, {"client": 1})


# Dialogues, taps, simulations


async def test_a_dialogue_that_breaks_ends_for_its_client_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = broken_for(DialoguePlayback.hear, lambda talk, *_: talk.client.number == 2)
    monkeypatch.setattr(DialoguePlayback, "hear", broken)
    chat = dialogue(tmp_path, ("<", 0, "welcome"), (">", 1, "hello"), ("<", 2, "hi"))
    asked = ReplayOptions(port=0, per_client=True)
    async with (
        TwoWayReplay(chat, asked, TwoWayOptions(mode=TwoWay.STRICT), VirtualClock()) as running,
        talker(running.url) as first,
        talker(running.url) as second,
    ):
        await first.hears(1)
        await second.hears(1)
        await second.say("hello")
        assert await second.rest() == []
        assert second.connection.close_code == 1011
        await first.say("hello")
        assert await first.hears(1) == ["hi"]
    assert (running.error, running.mishaps.counts) == (None, {"client": 1})


async def echo(websocket: ServerConnection) -> None:
    async for said in websocket:
        await websocket.send(said)


async def tapped_echoes(tmp_path: Path, mishaps: Mishaps, talk: Callable[[str], Any]) -> list[Event]:
    async with serve(echo, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/"
        record = RecordOptions(feed=FeedOptions(url), library=tmp_path, name="t", sync=False)
        stop, started = asyncio.Event(), asyncio.Event()
        job = TapJob(TapJobOptions(tap=TapOptions(url, port=0), record=record), SystemClock(), mishaps)
        running = asyncio.create_task(job.run(stop, lambda _: started.set()))
        await started.wait()
        await talk(job.state.url)
        stop.set()
        summary = await running
    assert summary.outcome.error is None
    return events_of(summary.outcome)


async def test_a_tapped_connection_that_breaks_is_cut_and_the_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TapLane, "take", broken_for(TapLane.take, lambda lane, *_: lane._conn == 1))
    mishaps = Mishaps()

    async def talk(url: str) -> None:
        async with connect(url) as first, connect(url) as second:
            await second.send("x")
            with pytest.raises(ConnectionClosedError):
                await second.recv()
            for number in range(20):
                await first.send(str(number))
                assert await first.recv() == str(number)

    events = await tapped_echoes(tmp_path, mishaps, talk)
    said = [event.text for event in events if event.kind is Kind.MESSAGE and event.conn == 0]
    assert said == [str(number) for number in range(20) for _ in range(2)]
    assert mishaps.counts == {"connection": 1}


async def test_a_tap_that_fails_to_record_passes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wsrecorder.core.tap_recorder import TapRecorder

    broken = broken_for(TapRecorder.message, lambda _, conn, way, content, *__: content == b"poison")
    monkeypatch.setattr(TapRecorder, "message", broken)
    mishaps = Mishaps()

    async def talk(url: str) -> None:
        async with connect(url) as client:
            for word in ("a", "poison", "b"):
                await client.send(word)
                assert await client.recv() == word

    events = await tapped_echoes(tmp_path, mishaps, talk)
    assert [(str(event.kind), event.text) for event in events if event.kind in (Kind.MESSAGE, Kind.GAP)] == [
        ("message", "a"), ("message", "a"), ("gap", None), ("gap", None), ("message", "b"), ("message", "b"),
    ]  # fmt: skip
    assert mishaps.counts == {"recorder": 2}


async def test_a_simulation_loses_one_client_and_ends_when_it_cannot_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def greet(simulator: Simulator, connection: ServerConnection) -> None:
        if simulator.clients_served == 0:
            simulator.clients_served += 1
            raise Bug
        await real(simulator, connection)

    real = Simulator._greet
    monkeypatch.setattr(Simulator, "_greet", greet)
    mishaps, urls = Mishaps(), asyncio.Queue[str]()
    asked = SimulateOptions(SimulatorOptions(port=0, wait_for=1, rate=1_000))
    running = asyncio.create_task(
        simulate(asked, SystemClock(), on_started=urls.put_nowait, stop=asyncio.Event(), mishaps=mishaps)
    )
    url = await urls.get()
    async with connect(url) as first, connect(url) as second:
        assert json.loads(await second.recv())["type"] == "HEARTBEAT"
        await first.wait_closed()
        assert first.close_code == 1011
        monkeypatch.setattr(Simulator, "_push", broken_for(Simulator._push, lambda *_: True))
        async with asyncio.timeout(30):
            await running
    assert mishaps.counts == {"simulation": 2}


# The console beside


async def test_a_request_that_breaks_the_console_breaks_nothing_else(
    hundred: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi", reason="the extra console is not installed")
    from wsrecorder.console.options import ConsoleOptions
    from wsrecorder.console.scene import Scene
    from wsrecorder.console.server import Console
    from wsrecorder.console.state import StateReader

    broken = broken_for(StateReader.read, lambda *_: True, times=1)
    monkeypatch.setattr(StateReader, "read", broken)
    async with replaying(hundred, wait_for=2) as running:
        scene = Scene([hundred], replay=running, library=tmp_path, clock=SystemClock())
        async with Console(scene, ConsoleOptions(port=0), is_awaited=True) as console:
            assert [await _status(console.url) for _ in range(2)] == [500, 200]
            listeners = [await listen(running.url) for _ in range(2)]
            for listener in listeners:
                assert (await listener.closed()).code == 1000
                assert ats(listener.payloads) == list(range(100))
    assert running.mishaps.counts == {"console": 1}


async def _status(url: str) -> int:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /api/state HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ")[1])


# The program


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_the_program_says_so_once_without_a_payload_and_exits_with_1(tmp_path: Path, log_format: str) -> None:
    code = (
        "import sys\n"
        "from tests.test_isolation import POISON, broken_for\n"
        "from wsrecorder.cli.app import main\n"
        "from wsrecorder.core.recorder import Recorder\n"
        "Recorder.frame = broken_for(Recorder.frame, lambda _, content, *__: content == POISON)\n"
        "sys.exit(main())\n"
    )
    with NumberedFeed(100, first=[POISON, POISON]) as sick, NumberedFeed(100) as well:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, "record", sick.url, well.url, "--library", str(tmp_path), "--max-events", "100",
            "--log-format", log_format, cwd=PROJECT, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(60):
            _, errors = await process.communicate()
    said = errors.decode()
    assert process.returncode == 1, said
    assert said.count("feed: unexpected Bug at test_isolation.py") == 1
    assert "in stumble" in said  # the traceback
    assert "2 unexpected errors (feed 2)" in said
    assert "secret" not in said
    assert "POISON" not in said
    assert len([line for line in said.splitlines() if "recorded 100 messages" in line]) == 2


async def welcome(websocket: ServerConnection) -> None:
    await websocket.send(json.dumps({"type": "welcome", "say": "welcome"}))
    await websocket.wait_closed()


@pytest.mark.parametrize(
    ("bug", "command", "held"),
    [
        (
            "from wsrecorder.core.recorder import Recorder\n"
            "Recorder.frame = broken_for(Recorder.frame, lambda *_: True, times=1)\n",
            ("demo", "--duration", "1s"),
            "feed 1",
        ),
        (
            "import asyncio\n"
            "from wsrecorder.jobs import send\n"
            "whole = send.send_session\n"
            "async def stumbling(*arguments):\n"
            "    asyncio.get_running_loop().call_soon(broken_for(None, lambda: True))\n"
            "    return await whole(*arguments)\n"
            "send.send_session = stumbling\n",
            ("send", "latest", "URL"),
            "loop 1",
        ),
    ],
)
async def test_commands_that_end_by_themselves_exit_with_1_too(
    bug: str, command: tuple[str, ...], held: str, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from tests.test_isolation import broken_for\n"
        "from wsrecorder.cli.app import main\n"
        f"{bug}"
        "sys.exit(main())\n"
    )
    dialogue(tmp_path, ("<", 0, "welcome"), (">", 1, "bye"))
    async with serving(welcome) as url:
        words = [url if word == "URL" else word for word in command]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, *words, "--library", str(tmp_path),
            cwd=PROJECT, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(60):
            _, errors = await process.communicate()
    said = errors.decode()
    assert process.returncode == 1, said
    assert f"1 unexpected error ({held})" in said


async def test_a_page_that_broke_exits_with_1_once_it_is_left(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra console is not installed")
    code = (
        "import sys\n"
        "from tests.test_isolation import broken_for\n"
        "from wsrecorder.cli.app import main\n"
        "from wsrecorder.console.state import StateReader\n"
        "StateReader.read = broken_for(StateReader.read, lambda *_: True, times=1)\n"
        "sys.exit(main())\n"
    )
    dialogue(tmp_path, ("<", 0, "welcome"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "open", "latest", "--library", str(tmp_path), "--console-port", "0",
        cwd=PROJECT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    async with asyncio.timeout(60):
        first = (await process.stderr.readline()).decode()
        host = urlsplit(first.split("is shown at ")[1].strip()).netloc
        assert [await _status(f"http://{host}") for _ in range(2)] == [500, 200]
        process.send_signal(signal.SIGINT)
        rest = (await process.stderr.read()).decode()
        assert await process.wait() == 1, rest
    assert "1 unexpected error (console 1)" in rest
