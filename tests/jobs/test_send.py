"""A recorded client again: against the server that it knew, against others, and against a replay of itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from tests.jobs.dialogues import MAX, dialogue, subscribe_server, talking, tapped
from tests.jobs.replays import SECOND_NS
from tests.net.tapping import serving
from wsrecorder.clock import Clock, SystemClock, VirtualClock
from wsrecorder.core.alignment import Outcome
from wsrecorder.core.event import Opcode
from wsrecorder.errors import FeedError, SessionError, UsageError
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.jobs.send import send_session
from wsrecorder.jobs.send_options import ConnectionReport, SendOptions, SendReport, WaitFor
from wsrecorder.jobs.two_way_options import TwoWay
from wsrecorder.net.transport import Closed, FeedOptions, Receiver
from wsrecorder.store.library import open_store
from wsrecorder.store.session import Store

ASKED = [{"type": "subscribe", "channel": name, "id": n} for n, name in enumerate("ab")]
PING = {"type": "ping", "say": "ping"}


async def sent(store: Store, url: str, **options: Any) -> SendReport:
    return await send_session(store, SendOptions(url=url, **{"timeout_s": 5.0, **options}), SystemClock())


@pytest.mark.parametrize("wait", WaitFor)
@pytest.mark.parametrize("transport", ["websockets", "picows"])
async def test_the_server_that_was_recorded_answers_as_recorded(tmp_path: Path, wait: WaitFor, transport: str) -> None:
    if transport == "picows":
        pytest.importorskip("picows", reason="picows is not installed: pip install 'wsrecorder[fast]'")
    store = await tapped(tmp_path, [*ASKED, PING], [PING])
    async with serving(subscribe_server) as url:
        report = await sent(store, url, wait=wait, speed=MAX, transport=transport)
    assert report.is_equal
    assert [(each.conn, each.sent, each.unsent, each.received) for each in report.connections] == [
        (0, 3, 0, 8), (1, 1, 0, 2)
    ]  # fmt: skip
    assert [each.close_code for each in report.connections] == [None, None]


@pytest.mark.parametrize("mode", [TwoWay.STRICT, TwoWay.LOOSE])
async def test_a_replay_of_the_session_answers_as_recorded(tmp_path: Path, mode: TwoWay) -> None:
    store = await tapped(tmp_path, [*ASKED, PING, *ASKED])
    async with talking(store, mode=mode) as running:
        report = await sent(store, running.url)
        assert report.is_equal, report.to_dict()
        [other] = running.report().dialogues
        assert (other.matched, other.remaining) == (5, 0)


@pytest.mark.parametrize("name", ["COINBASE.ws.28.0", "HUOBI_SWAP.ws.1.0"])
async def test_a_replay_of_a_capture_answers_as_was_captured(captures: Path, tmp_path: Path, name: str) -> None:
    if not (captures / name).exists():
        pytest.skip(f"there is no {name}: set WSREC_CAPTURES to a folder that holds it")
    store = open_store(import_file(ImportOptions(file=captures / name, library=tmp_path, name=name)).path)
    async with talking(store) as running:
        report = await sent(store, running.url, match="exact", timeout_s=20.0)
    assert report.is_equal, report.to_dict()
    assert report.connections[0].received > 1_000


async def test_each_connection_of_a_session_is_one_again(tmp_path: Path) -> None:
    store = await tapped(tmp_path, ASKED, [PING])
    async with talking(store, conn=1) as running:
        report = await sent(store, running.url, conn=1)
        assert report.is_equal
        assert [each.conn for each in report.connections] == [1]


async def test_what_has_changed_is_missing_or_nobody_expected_is_told(tmp_path: Path) -> None:
    store = await tapped(tmp_path, [*ASKED, PING])

    async def another(websocket: ServerConnection) -> None:
        await websocket.send('{"type": "welcome", "say": "welcome"}')
        for answer in (["a 0", "a 7", "a 2"], ["b 0", "b 1", "b 2", "z 0"], []):
            await websocket.recv()
            for word in answer:
                await websocket.send(json.dumps({"type": word[0], "say": word, "n": 1} if "7" in word else
                                                {"type": word[0], "say": word}))  # fmt: skip
        await websocket.wait_closed()

    async with serving(another) as url:
        report = await sent(store, url, timeout_s=0.2)
    assert not report.is_equal
    assert not report.is_lost
    [facts] = report.to_dict()["connections"]
    assert (facts["sent"], facts["unsent"], facts["expected"], facts["received"]) == (3, 0, 8, 8)
    told = {(each["outcome"], each["type"]): each for each in facts["differences"]}
    assert set(told) == {("changed", "a"), ("unexpected", "z"), ("missing", "ping")}
    assert told["changed", "a"]["changes"] == [
        {"path": "say", "expected": "a 1", "found": "a 7"}, {"path": "n", "found": 1}
    ]  # fmt: skip
    assert facts["counts"] == {"same": 6, "moved": 0, "changed": 1, "missing": 1, "unexpected": 1}


async def test_without_its_answer_nothing_more_is_said(tmp_path: Path) -> None:
    store = dialogue(tmp_path, (">", 0, "a"), ("<", 1, "A"), (">", 2, "b"), ("<", 3, "B"))

    async def silent(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    async with serving(silent) as url:
        report = await sent(store, url, timeout_s=0.1)
    [each] = report.connections
    assert (each.sent, each.unsent, each.counts[Outcome.MISSING]) == (1, 1, 2)


async def test_a_server_that_ends_it_is_told(tmp_path: Path) -> None:
    store = dialogue(tmp_path, (">", 0, "a"), ("<", 1, "A"))

    async def closing(websocket: ServerConnection) -> None:
        await websocket.close(1008, "no")

    async def cutting(websocket: ServerConnection) -> None:
        websocket.transport.abort()

    async with serving(closing) as url:
        [each] = (await sent(store, url)).connections
    assert (each.close_code, each.close_reason, each.is_equal, each.is_lost) == (1008, "no", False, False)
    async with serving(cutting) as url:
        report = await sent(store, url)
    assert report.is_lost


async def test_keys_can_be_left_out(tmp_path: Path) -> None:
    store = dialogue(tmp_path, (">", 0, "a"), ("<", 1, "A"))

    async def stamping(websocket: ServerConnection) -> None:
        await websocket.recv()
        await websocket.send('{"type": "A", "say": "A", "ts": 5, "data": {"at": 1}}')
        await websocket.wait_closed()

    async with serving(stamping) as url:
        assert not (await sent(store, url)).is_equal
        assert (await sent(store, url, ignore=frozenset({"ts", "data"}))).is_equal
        assert not (await sent(store, url, ignore_paths=("data.at",))).is_equal
        assert (await sent(store, url, match="type")).is_equal
        assert (await sent(store, url, match="payload->>'$.say' = expected.payload->>'$.say'")).is_equal


async def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    store = dialogue(tmp_path, (">", 0, "a"), ("<", 1, "A"))
    with pytest.raises(SessionError, match="said nothing on connection 3"):
        await sent(store, "ws://127.0.0.1:1/", conn=3)
    with pytest.raises(UsageError, match="nobody"):
        await sent(store, "ws://127.0.0.1:1/", match="nobody = 1")
    with pytest.raises(FeedError):
        await sent(store, "ws://127.0.0.1:1/")


# By the virtual clock


class Server:
    """Notes what it is sent and when, over all its connections, and answers it as a test says."""

    def __init__(self, clock: Clock, answer: Callable[[bytes], list[bytes]]) -> None:
        self.clock = clock
        self.answer = answer
        self.got: list[tuple[float, str]] = []
        self.options: list[FeedOptions] = []

    async def connect(self, options: FeedOptions, receiver: Receiver, transport: str) -> Any:
        self.options.append(options)
        return ServerLink(self, receiver)


class ServerLink:
    def __init__(self, server: Server, receiver: Receiver) -> None:
        self._server = server
        self._receiver = receiver
        self._closed = asyncio.Event()

    def send(self, payload: bytes, opcode: Opcode) -> None:
        self._server.got.append((self._server.clock.now_ns() / SECOND_NS, json.loads(payload)["say"]))
        for answer in self._server.answer(payload):
            self._receiver.on_frame(answer, 1)

    async def wait_closed(self) -> Closed:
        await self._closed.wait()
        return Closed(1000, "", "")

    async def close(self) -> None:
        self._closed.set()


async def virtually(store: Store, answer: Callable[[bytes], list[bytes]], **options: Any) -> tuple[Server, SendReport]:
    clock = VirtualClock()
    server = Server(clock, answer)
    report = await send_session(store, SendOptions(url="ws://x/", **options), clock, connect=server.connect)
    return server, report


def nothing(payload: bytes) -> list[bytes]:
    return []


async def test_by_time_each_is_said_as_long_after_the_first_as_was_recorded(tmp_path: Path) -> None:
    store = dialogue(tmp_path, (">", 3, "a"), (">", 4, "b"), (">", 9, "c"))
    for speed, times in ((1.0, [0, 1, 6]), (2.0, [0, 0.5, 3]), (MAX, [0, 0, 0])):
        server, report = await virtually(store, nothing, wait=WaitFor.TIME, speed=speed)
        assert server.got == [*zip(times, "abc", strict=True)]
        assert report.is_equal


async def test_by_time_connections_begin_when_they_began(tmp_path: Path) -> None:
    store = dialogue(tmp_path, (">", 3, "a"), (">", 5, "b", 1), (">", 6, "c"))
    server, _ = await virtually(store, nothing, wait=WaitFor.TIME)
    assert server.got == [(0, "a"), (2, "b"), (3, "c")]


async def test_heartbeats_are_left_out_and_a_missing_answer_is_waited_for_just_so_long(tmp_path: Path) -> None:
    store = dialogue(tmp_path, (">", 0, "a"), ("<", 1, "HEARTBEAT"), ("<", 1, "A"))
    beat = b'{"type": "HEARTBEAT", "ts": 1, "data": {}}'
    server, report = await virtually(store, lambda payload: [beat], timeout_s=7.0)
    assert server.clock.now_ns() == 7 * SECOND_NS
    [each] = report.connections
    assert (each.expected, each.received) == (1, 0)


async def test_headers_and_subprotocols_are_those_asked_for(tmp_path: Path) -> None:
    store = dialogue(tmp_path, (">", 0, "a"))
    server, _ = await virtually(store, nothing, headers={"X": "1"}, origin="http://o", subprotocols=("p",))
    [options] = server.options
    assert (options.headers, options.origin, options.subprotocols) == ({"X": "1"}, "http://o", ("p",))


def test_an_equal_connection_is_never_lost() -> None:
    from collections import Counter

    assert not ConnectionReport(0, 1, 0, 0, 0, Counter(), [], 1006, "").is_lost
