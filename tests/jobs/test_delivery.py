"""A delivery by itself: what it hands on untouched, what it holds back, and whom it waits for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.jobs.replays import SECOND_NS, FakeEndpoint, ats, message, session, until
from wsrecorder.clock import VirtualClock
from wsrecorder.core.fault import parse_faults
from wsrecorder.jobs.delivery import Delivery
from wsrecorder.jobs.faults import Faults
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.net.endpoint_options import EndpointOptions
from wsrecorder.net.framing import Frames
from wsrecorder.store.session import Store


class NotingEndpoint(FakeEndpoint):
    """Notes also which frames it was handed, and which rows of them."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.options = EndpointOptions(client_buffer_bytes=1 << 20)
        self.admission = SimpleNamespace(refused=0)
        self.handed: list[tuple[Frames, int, int]] = []

    async def broadcast(self, frames: Frames, start: int, stop: int, to: object = None) -> int:
        self.handed.append((frames, start, stop))
        return await super().broadcast(frames, start, stop, to)


@pytest.fixture
def ten(tmp_path: Path) -> Store:
    return session(tmp_path, [message(n, "AB"[n % 2]) for n in range(10)])


def play(store: Store, *texts: str, is_jumping: bool = True, **options: Any) -> tuple[Playback, Faults, NotingEndpoint]:
    clock = VirtualClock(is_jumping=is_jumping)
    endpoint: Any = NotingEndpoint(clock)
    asked = ReplayOptions(**options)
    programme = Programme([store], asked)

    def fail(error: BaseException) -> None:
        raise error

    faults = Faults(
        parse_faults(texts), 0, endpoint, clock, read_outages=list, check_types=programme.check_types, on_error=fail
    )
    faults.begin()
    playback = Playback(
        programme, endpoint, asked, clock,
        start_ns=0, stop_ns=None, types=None, speed=asked.speed, faults=faults,
    )  # fmt: skip
    playback.resume()
    return playback, faults, endpoint


async def test_without_faults_whole_batches_pass_untouched(ten: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Delivery, "_send")  # the way of all that may be altered
    playback, _, endpoint = play(ten, speed=float("inf"))
    await playback.run()
    [(_, first, after)] = endpoint.handed
    assert (first, after) == (0, 10)
    playback.close()


async def test_faults_of_connections_leave_batches_whole(ten: Store) -> None:
    playback, faults, endpoint = play(ten, speed=float("inf"))
    faults.set(parse_faults(["recorded"]))
    await playback.run()
    assert [(first, after) for _, first, after in endpoint.handed] == [(0, 10)]
    playback.close()
    await faults.close()


async def test_who_waits_for_a_client_waits_with_faults_too(ten: Store) -> None:
    plain, _, waiting = play(ten)
    waiting.slowness_ns = SECOND_NS // 2
    await plain.run()
    plain.close()
    playback, faults, endpoint = play(ten, "duplicate=100%@C,A")
    endpoint.slowness_ns = SECOND_NS // 2
    await playback.run()
    assert sorted(set(endpoint.times_s)) == waiting.times_s
    assert playback.state.lateness.max_ns == 0
    playback.close()
    await faults.close()


async def test_a_shorter_delay_does_not_overtake_a_longer_one(ten: Store) -> None:
    playback, faults, endpoint = play(ten, "delay=5s", is_jumping=False)
    clock = endpoint.clock
    playing = asyncio.create_task(playback.run())
    for n in range(9):
        await until(lambda n=n: playback.state.frames_sent == n + 1)  # type: ignore[misc]
        if n == 2:
            faults.set(parse_faults(["delay=1ms"]))
        if n == 3:
            faults.set([])
        clock.advance(SECOND_NS)
    await until(lambda: playback.state.frames_sent == 10)
    for _ in range(5):
        clock.advance(SECOND_NS)
        await asyncio.sleep(0.01)
    await playing
    assert ats(endpoint.payloads) == list(range(10))
    assert endpoint.times_s[:4] == [5, 6, 7, 7]
    # With nothing on its way any more, frames pass untouched again.
    assert endpoint.handed[-1][1:] == (9, 10)
    assert faults.counts == {"delay": 4}
    playback.close()
    await faults.close()


async def test_what_was_counted_stays_when_a_playback_is_gone(ten: Store) -> None:
    playback, faults, _ = play(ten, "drop=100%")
    await playback.run()
    playback.close()
    playback.close()
    assert faults.counts == {"drop": 10}
    await faults.close()


async def test_a_seek_while_the_last_frames_are_on_their_way_is_carried_out(ten: Store) -> None:
    playback, faults, endpoint = play(ten, "delay=1h", is_jumping=False, speed=float("inf"))
    playing = asyncio.create_task(playback.run())
    await until(lambda: playback.state.frames_sent == 10)
    await asyncio.sleep(0.01)
    assert not playing.done()
    playback.player.seek(8 * SECOND_NS, 0)
    playback.resume()
    await until(lambda: playback.state.frames_sent == 12)
    clock = endpoint.clock
    while not playing.done():
        clock.advance(3_600 * SECOND_NS)
        await asyncio.sleep(0.001)
    assert ats(endpoint.payloads) == [*range(10), 8, 9]
    playback.close()
    await faults.close()
