"""Sixty of the clients that `torture.clients` lets in by the thousand: what does not depend on time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from torture.crowd import Hearing, come_and_go, freeze, numbered, thaw, wire
from torture.sessions import even_session
from wsrecorder.clock import VirtualClock
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.net.client import Client
from wsrecorder.net.endpoint import SlowClient
from wsrecorder.store.session import ParquetStore

STEADY, FROZEN, GOERS = 48, 6, 6
COUNT, SIZE_BYTES, BURST = 2_000, 2_000, 10
LAG_BYTES = 64 << 10
FRAMES = wire(COUNT, SIZE_BYTES)
REQUEST = (
    b"GET /ws/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def listen(port: int, hearing: Hearing) -> None:
    """Hear until the other end closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    await reader.readuntil(b"\r\n\r\n")
    while hearing.close_code is None and (data := await reader.read(1 << 18)):
        hearing.take(data)
    writer.close()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(50):
        while not is_so():  # noqa: ASYNC110 - sockets tell nobody
            await asyncio.sleep(0.001)


def crowded(folder: Path, slow_client: SlowClient = SlowClient.CLOSE) -> Replay:
    """Return a replay that waits for the steady, at a time that stands still: only bursts move it on."""
    session = even_session(folder, "crowd", (numbered(number, SIZE_BYTES) for number in range(COUNT)), 1_000_000_000)
    options = ReplayOptions(
        port=0, verbatim=True, wait_for=STEADY, slow_client=slow_client, client_buffer_bytes=LAG_BYTES
    )
    return Replay([ParquetStore(session)], options, VirtualClock(is_jumping=False))


async def move_on(replay: Replay, steady: list[Hearing]) -> None:
    """Send a burst, and wait until the steady have it."""
    playback = replay.shared
    assert playback is not None
    sent = playback.state.frames_sent + BURST
    playback.burst(BURST)
    await until(lambda: all(hearing.heard >= sent for hearing in steady))


async def test_the_steady_get_each_frame_once_in_order_and_only_the_frozen_are_dropped(tmp_path: Path) -> None:
    chance, steady = Random(5), [Hearing(FRAMES) for _ in range(STEADY)]
    async with crowded(tmp_path) as replay:
        port = replay.endpoint.port
        listening = [asyncio.create_task(listen(port, hearing)) for hearing in steady]
        await until(lambda: all(hearing.heard for hearing in steady))
        ice = [await freeze(port) for _ in range(FROZEN)]
        await until(lambda: len(replay.endpoint.clients) == STEADY + FROZEN)
        gone = []
        while replay.endpoint.slow_closed < FROZEN:
            gone += await asyncio.gather(*(come_and_go(port, chance, FRAMES, stay_s=0.0) for _ in range(GOERS)))
            await move_on(replay, steady)
        thawed = await asyncio.gather(*(thaw(frozen, FRAMES, 20) for frozen in ice))
        await move_on(replay, steady)
        assert replay.shared is not None
        sent = replay.shared.state.frames_sent
        slow_closed = replay.endpoint.slow_closed
    await asyncio.gather(*listening)
    assert [(hearing.first, hearing.heard, hearing.wrong) for hearing in steady] == [(0, sent, "")] * STEADY
    assert [ending for ending, _ in thawed] == ["1013"] * FROZEN
    assert slow_closed == FROZEN
    assert not any(hearing.wrong for _, hearing in (*thawed, *gone))
    assert not any(how == "refused" for how, _ in gone)


async def test_a_slow_client_that_blocks_the_send_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server does that awaits each client in turn: the steady hear no more once one has frozen."""
    replay = crowded(tmp_path, SlowClient.WAIT)
    monkeypatch.setattr(Client, "wait_for_room", lambda self, patience_s: asyncio.Event().wait())
    steady = [Hearing(FRAMES) for _ in range(STEADY)]
    async with replay:
        listening = [asyncio.create_task(listen(replay.endpoint.port, hearing)) for hearing in steady]
        await until(lambda: all(hearing.heard for hearing in steady))
        frozen = await freeze(replay.endpoint.port)
        await until(lambda: len(replay.endpoint.clients) == STEADY + 1)

        async def go_on() -> None:
            while replay.endpoint.clients[-1].has_room:
                await move_on(replay, steady)

        await go_on()
        heard = [hearing.heard for hearing in steady]
        assert replay.shared is not None
        replay.shared.burst(BURST)
        for _ in range(100):
            await asyncio.sleep(0)
        assert [hearing.heard for hearing in steady] == heard
        frozen.close()
    await asyncio.gather(*listening)


def test_what_is_missing_doubled_or_altered_is_named() -> None:
    for wrong in (FRAMES[1], FRAMES[3], FRAMES[2][:-1] + b"x"):
        hearing = Hearing(FRAMES)
        hearing.take(FRAMES[0] + FRAMES[1])
        hearing.take(wrong)
        assert hearing.wrong.startswith("instead of frame 2")


def test_frames_are_told_apart_however_they_are_cut() -> None:
    hearing, stream = Hearing(FRAMES), b"".join(FRAMES[5:9]) + b"\x89\x02hi" + FRAMES[9] + b"\x88\x02\x03\xf5"
    for at in range(0, len(stream), 7):
        hearing.take(stream[at : at + 7])
    assert (hearing.first, hearing.heard, hearing.wrong, hearing.close_code) == (5, 5, "", 1013)
    assert hearing.pongs == b"\x8a\x82\0\0\0\0hi"
