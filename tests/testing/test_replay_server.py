"""A replay under a test's control, from the thread that the test runs on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets
from websockets.sync.client import ClientConnection, connect

from tests.jobs.replays import SECOND_NS, message, session
from wsrecorder.core.event import Direction, Kind
from wsrecorder.errors import UsageError
from wsrecorder.jobs.replay_arguments import replay_options
from wsrecorder.jobs.two_way_options import TwoWay, TwoWayOptions
from wsrecorder.store.session import Store
from wsrecorder.testing import NotInTime, ReplayServer

EVENTS = [message(at, "B" if at == 7 else "A") for at in range(10)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReplayServer]:
    with ReplayServer([session(tmp_path, EVENTS)], replay_options(speed="max", prime="none")) as server:
        yield server


@pytest.fixture
def client(server: ReplayServer) -> Iterator[ClientConnection]:
    """A client of a server that is paused before it has sent anything."""
    server.pause()
    with connect(server.url, max_queue=None) as client:
        server.wait_clients()
        yield client


def ats(client: ClientConnection, count: int) -> list[float]:
    """Return by their times which messages a client hears next."""
    return [json.loads(client.recv(timeout=20))["data"]["at"] for _ in range(count)]


def test_every_control_reaches_the_client(server: ReplayServer, client: ClientConnection) -> None:
    server.step(2)
    assert ats(client, 2) == [0, 1]
    assert server.state.status == "paused"
    assert server.state.seq == 1
    server.step(-1)
    server.step()
    assert ats(client, 1) == [1]
    server.burst(3)
    assert ats(client, 3) == [2, 3, 4]
    server.resume()
    assert ats(client, 5) == [5, 6, 7, 8, 9]
    server.wait_finished()
    server.restart()
    assert ats(client, 10) == list(range(10))
    server.set_speed(2)
    assert server.state.speed == 2
    server.set_speed("max")
    assert server.state.speed == float("inf")


@pytest.mark.parametrize(
    ("place", "reached_s", "heard"),
    [
        ({"to": "4s"}, 4, 4),
        ({"to": 4.5}, 4.5, 5),
        ({"to": "-2s"}, 7, 7),
        ({"to": "2025-11-24T16:00:03Z"}, 3, 3),
        ({"seq": 6}, 6, 6),
        ({"match": "type = 'B'"}, 7, 7),
        ({"by": "1s500ms"}, 1.5, 2),
        ({"by": 2}, 2, 2),
    ],
    ids=str,
)
def test_a_seek_leads_to_a_place(
    server: ReplayServer, client: ClientConnection, place: dict[str, object], reached_s: float, heard: int
) -> None:
    if "by" in place:
        assert server.seek(0.0) == 0
    assert server.seek(**place) == reached_s * SECOND_NS  # type: ignore[arg-type]
    server.step()
    assert ats(client, 1) == [heard]


def test_a_seek_takes_just_one_place(server: ReplayServer) -> None:
    for places in ({}, {"to": "1s", "seq": 2}):
        with pytest.raises(UsageError, match="expected one"):
            server.seek(**places)  # type: ignore[arg-type]


def test_what_clients_send_is_kept_in_order(server: ReplayServer, client: ClientConnection) -> None:
    client.send("one")
    client.send(b"\x00two")
    client.send(["th", "ree"])
    assert [frame.payload for frame in server.wait_received(3, 20)] == [b"one", b"\x00two", b"three"]
    assert [frame.text for frame in server.received] == ["one", None, "three"]
    assert {frame.client for frame in server.received} == {1}
    found = server.wait_received(lambda frame: frame.text == "three", 20)
    assert found == server.received[2]


def test_a_predicate_that_fails_is_heard(server: ReplayServer, client: ClientConnection) -> None:
    client.send("one")
    with pytest.raises(ZeroDivisionError):
        server.wait_received(lambda frame: 1 / 0, 20)


def test_what_does_not_come_is_said(server: ReplayServer, client: ClientConnection) -> None:
    client.send("x" * 200)
    server.wait_received(1, 20)
    with pytest.raises(NotInTime, match=r"0.01 s for 2 messages of clients; found 1 \(client 1: xxx.* …\)"):
        server.wait_received(2, 0.01)
    with pytest.raises(TimeoutError, match="for the end of the recording; found 0 frames played, 1 clients"):
        server.wait_finished(0.01)
    with pytest.raises(NotInTime, match="for 2 clients; found 1, 1 came so far"):
        server.wait_clients(2, 0.01)
    with pytest.raises(NotInTime, match="for 1 frames to be played"):
        server.wait_sent(1, 0.01)


def test_clients_are_closed_as_asked(server: ReplayServer, client: ClientConnection) -> None:
    with connect(server.url, max_queue=None) as other:
        server.wait_clients(2, 20)
        assert server.disconnect(4000, "enough", client=2) == 1
        with pytest.raises(websockets.ConnectionClosed) as closed:
            other.recv(timeout=20)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "enough")
    server.wait_clients(1, 20)
    assert server.clients == 1


def test_faults_come_and_go(server: ReplayServer, client: ClientConnection) -> None:
    server.set_faults(["drop=100%"])
    server.step(3)
    server.set_faults([])
    server.resume()
    assert ats(client, 7) == [3, 4, 5, 6, 7, 8, 9]
    assert server.report.faults.counts["drop"] == 3


async def test_an_async_test_awaits_what_its_own_clients_do(server: ReplayServer) -> None:
    async with websockets.connect(server.url, max_queue=None) as client:
        await client.send("hello")
        assert [frame.text for frame in await server.aio.wait_received(1, 20)] == ["hello"]
        assert (await server.aio.wait_received(lambda frame: frame.text, 20)).text == "hello"
        await server.aio.wait_sent(10, 20)
        await server.aio.wait_finished(20)
        assert server.disconnect() == 1
        await server.aio.wait_clients(0, 20)
        with pytest.raises(NotInTime):
            await server.aio.wait_clients(1, 0.01)


@pytest.fixture
def dialogues(tmp_path: Path) -> Store:
    """Two connections: the server cut the second one, on which no client has said a word."""
    mark = {"kind": Kind.OPEN, "text": None, "type": None, "detail": "{}"}
    lost = mark | {"kind": Kind.CLOSE, "detail": '{"code": 1006, "cause": "the server cut the connection"}'}
    events = [
        message(0, conn=0, **mark),
        message(0.1, conn=0, direction=Direction.OUT, text="ask"),
        message(0.2, conn=1, **mark),
        message(0.3, conn=1, text="pushed"),
        message(0.4, conn=0, text="answer"),
        message(0.5, conn=1, **lost),
    ]
    return session(tmp_path, events)


@pytest.mark.parametrize("mode", [TwoWay.STRICT, TwoWay.LOOSE, TwoWay.TIMED])
def test_in_turn_each_client_plays_its_own_connection(dialogues: Store, mode: TwoWay) -> None:
    two_way = TwoWayOptions(mode=mode, in_turn=True)
    with ReplayServer([dialogues], replay_options(speed="max", verbatim=True), two_way) as server:
        with connect(server.url) as first:
            if mode is not TwoWay.TIMED:
                first.send("ask")
            assert first.recv(timeout=20) == "answer"
        for _ in range(2):  # who comes after the last one plays that again
            with connect(server.url) as later:
                assert later.recv(timeout=20) == "pushed"
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    later.recv(timeout=20)
                assert closed.value.rcvd is None
        server.wait_clients(0, 20)
        assert server.mismatches == []


def test_per_client_playbacks_go_by_their_names(tmp_path: Path) -> None:
    store = session(tmp_path, EVENTS)
    server = ReplayServer([store], replay_options(speed=0.001, per_client=True))
    with server, connect(server.url), connect(server.url):
        server.wait_clients(2, 20)
        server.pause("client 2")
        assert server.playback_state("client 2").status == "paused"
        assert server.playback_state("client 1").status == "playing"
        with pytest.raises(UsageError):
            server.pause()


def test_what_there_is_to_see_stays_after_the_end(tmp_path: Path) -> None:
    server = ReplayServer([session(tmp_path, EVENTS)], replay_options(speed="max"))
    with server, connect(server.url, max_queue=None) as client:
        client.send("hello")
        server.wait_received(1, 20)
        server.wait_finished(20)
    server.close()  # does nothing
    assert [frame.text for frame in server.received] == ["hello"]
    assert server.report.frames_sent == 10
    assert server.url.startswith("ws://127.0.0.1:")
    assert server.error is None
    with pytest.raises(UsageError, match="closed"):
        server.wait_clients(0)


def test_a_server_that_cannot_be_leaves_no_thread(tmp_path: Path, server: ReplayServer) -> None:
    port = int(server.url.split(":")[2].split("/")[0])
    threads = threading.active_count()
    store = session(tmp_path / "other", EVENTS)
    with pytest.raises(Exception, match="in use"), ReplayServer([store], replay_options(port=port)):
        raise AssertionError("it serves on a port that is taken")
    with pytest.raises(UsageError):
        ReplayServer([store], replay_options(types=["NOTHING"]))
    assert threading.active_count() == threads
