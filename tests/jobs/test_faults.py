"""Faults over real sockets on loopback: what clients hear of each kind, and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.jobs.replays import (
    SECOND_NS,
    ats,
    heartbeat,
    listen,
    message,
    payloads,
    session,
    types,
    until,
)
from wsrecorder.clock import VirtualClock
from wsrecorder.core.event import Event, Kind
from wsrecorder.core.fault import parse_faults
from wsrecorder.core.playhead import MAX_SPEED
from wsrecorder.core.target import AtTime
from wsrecorder.errors import FeedError, UsageError
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import AtEnd, Prime, ReplayOptions
from wsrecorder.store.session import Store

MS = 1_000_000


@pytest.fixture
def ten(tmp_path: Path) -> Store:
    """A message a second, types A and B by turns, of a feed without heartbeats."""
    return session(tmp_path, [message(n, "AB"[n % 2]) for n in range(10)], batch=4)


def lost(at_s: float, code: int, reason: str = "") -> Event:
    detail = f'{{"code": {code}, "reason": "{reason}", "cause": "test"}}'
    return message(at_s, kind=Kind.CLOSE, type=None, text=None, detail=detail)


def opened(at_s: float) -> Event:
    return message(at_s, kind=Kind.OPEN, type=None, text=None, detail="{}")


@pytest.fixture
def broken(tmp_path: Path) -> Store:
    """A message a second, and a connection that was lost at 3.5 s, and there again at 6.25 s."""
    frames = [message(n) for n in (0, 1, 2, 3, 7, 8, 9)]
    return session(tmp_path, [*frames[:4], lost(3.5, 1012, "bye"), opened(6.25), *frames[4:], lost(9, 1006)])


@asynccontextmanager
async def faulty(
    store: Store, *faults: str, is_jumping: bool = False, **options: Any
) -> AsyncIterator[tuple[Replay, VirtualClock]]:
    """A replay with faults, under a clock that is moved by hand unless it jumps."""
    clock = VirtualClock(is_jumping=is_jumping)
    asked = ReplayOptions(port=0, prime=Prime.NONE, faults=parse_faults(faults), **options)
    async with Replay([store], asked, clock) as running:
        yield running, clock


async def heard(store: Store, *faults: str, **options: Any) -> tuple[list[bytes], Replay]:
    """Listen to the end, and return what came."""
    async with faulty(store, *faults, is_jumping=True, at_end=AtEnd.CLOSE, **options) as (running, _):
        listener = await listen(running.url)
        await listener.closed()
        return listener.payloads, running


async def advance(clock: VirtualClock, by_s: float) -> None:
    """Let time pass in steps, so that whoever is due acts at its own time."""
    for _ in range(round(by_s * 4)):
        clock.advance(SECOND_NS // 4)
        for _ in range(10):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)


async def advance_until(clock: VirtualClock, is_so: Callable[[], bool]) -> None:
    while not is_so():
        await advance(clock, 0.25)


async def refused(running: Replay) -> bool:
    try:
        await listen(running.url)
    except FeedError as exc:
        return "503" in exc.message
    return False


# Frames


async def test_frames_are_dropped_and_doubled_exactly_as_counted(tmp_path: Path) -> None:
    many = session(tmp_path, [message(n / 100, "AB"[n % 2]) for n in range(500)], batch=70)
    found, running = await heard(many, "drop=20%@A", "duplicate=10%", speed=MAX_SPEED)
    report = running.report()
    counts = report.faults.counts
    assert 30 < counts["drop"] < 70
    assert len(found) == 500 - counts["drop"] + counts["duplicate"] == report.clients[0].frames_sent
    assert len(set(found)) == 500 - counts["drop"]
    assert types(found).count("B") == 250 + sum(
        one == other for one, other in zip(found[1:], found, strict=False) if b'"B"' in one
    )
    assert report.frames_sent == 500


async def test_what_a_seed_makes_does_not_depend_on_speed_or_batches(tmp_path: Path) -> None:
    faults = ("drop=20%", "duplicate=20%", "reorder=20%", "corrupt=20%")
    events = [message(n / 100) for n in range(100)]
    one, another = session(tmp_path / "1", events, batch=7), session(tmp_path / "2", events, batch=64)
    slow, _ = await heard(one, *faults, seed=5)
    fast, _ = await heard(another, *faults, seed=5, speed=MAX_SPEED)
    assert slow == fast
    assert slow != (await heard(one, *faults, seed=6))[0]


async def test_swapped_frames_all_come(ten: Store) -> None:
    found, running = await heard(ten, "reorder=100%@A")
    assert ats(found) == [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]
    assert running.faults.counts == {"reorder": 5}
    found, _ = await heard(ten, "reorder=100%@B")
    assert ats(found) == [0, 2, 1, 4, 3, 6, 5, 8, 7, 9]  # the last one has none to be swapped with


async def test_altered_text_still_is_a_legal_frame(ten: Store) -> None:
    found, running = await heard(ten, "corrupt=100%")
    assert running.faults.counts == {"corrupt": 10}
    assert len(found) == 10
    assert all(payload not in payloads([message(n, "AB"[n % 2]) for n in range(10)]) for payload in found)
    assert all(payload.decode() for payload in found)


async def test_delayed_frames_come_late_in_order_and_before_the_end(ten: Store) -> None:
    found, running = await heard(ten, "delay=2500ms±500ms")
    assert ats(found) == list(range(10))
    assert running.faults.counts == {"delay": 10}
    assert running.report().lateness.max_ns == 0  # it is not the playback that is late


async def test_a_delay_is_kept_to_the_nanosecond(ten: Store) -> None:
    async with faulty(ten, "delay=2500ms@A") as (running, clock):
        listener = await listen(running.url)
        await until(lambda: running.report().frames_sent == 1)
        clock.advance(2_500 * MS - 1)
        await until(lambda: running.report().frames_sent == 3)
        await asyncio.sleep(0.01)
        assert not listener.frames
        clock.advance(1)
        await listener.has(2)
        assert ats(listener.payloads) == [0, 1]  # B queues behind, and is then due


async def test_a_program_that_ends_at_the_end_sends_what_is_delayed(ten: Store) -> None:
    async with faulty(ten, "delay=1m", "reorder=100%", is_jumping=True, at_end=AtEnd.EXIT) as (running, _):
        listener = await listen(running.url)
        await running.over.wait()
    assert sorted(ats(listener.payloads)) == list(range(10))


async def test_what_is_held_back_is_bounded_and_puts_the_playback_off(tmp_path: Path) -> None:
    large = session(tmp_path, [message(n / 1_000, text=f'{{"n": {n}, "x": "{"x" * 1_000}"}}') for n in range(100)])
    async with faulty(large, "delay=1h", client_buffer_bytes=10_000, speed=MAX_SPEED) as (running, clock):
        running.shared.player._max_rows = 5  # type: ignore[union-attr]
        listener = await listen(running.url)
        await until(lambda: running.report().frames_sent >= 5)
        await asyncio.sleep(0.01)
        assert running.report().frames_sent <= 15
        for _ in range(40):
            clock.advance(3_600 * SECOND_NS)
            await asyncio.sleep(0.002)
        await listener.has(100)


async def test_each_client_may_have_faults_of_its_own_playback(ten: Store) -> None:
    async with faulty(ten, "drop=50%", "delay=1s", is_jumping=True, per_client=True, at_end=AtEnd.CLOSE) as (
        running,
        _,
    ):
        listeners = [await listen(running.url + query) for query in ("", "?speed=5", "?from=3s")]
        for listener in listeners:
            await listener.closed()
        first, second, third = (ats(listener.payloads) for listener in listeners)
        assert first == second
        assert third == [at_s for at_s in first if at_s >= 3]
        assert running.faults.counts["drop"] == 27 - len(first) - len(second) - len(third)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delay_ms=st.integers(1, 5_000), jitter=st.floats(0, 1), seed=st.integers(0, 1_000))
async def test_only_delay_leaves_order_and_bytes_as_they_are(
    ten: Store, delay_ms: int, jitter: float, seed: int
) -> None:
    found, _ = await heard(ten, f"delay={delay_ms}ms±{int(delay_ms * jitter)}ms", seed=seed)
    assert found == payloads(message(n, "AB"[n % 2]) for n in range(10))


async def test_with_verbatim_recorded_heartbeats_are_frames_like_others(tmp_path: Path) -> None:
    beating = session(tmp_path, [heartbeat(0), message(1), heartbeat(2), message(3)])
    found, running = await heard(beating, "drop=100%@HEARTBEAT", verbatim=True)
    assert types(found) == ["A", "A"]
    assert running.faults.counts == {"drop": 2}
    found, running = await heard(beating, "drop=100%")
    assert types(found) == ["HEARTBEAT"]  # the endpoint's own belong to the connection
    assert running.faults.counts == {"drop": 2}


# Connections


async def test_all_clients_are_disconnected_every_so_often(ten: Store) -> None:
    async with faulty(ten, "disconnect=3s:4001") as (running, clock):
        listeners = [await listen(running.url) for _ in range(2)]
        await until(lambda: clock.sleepers == 2)
        await advance(clock, 3)
        assert [(await listener.closed()).code for listener in listeners] == [4001, 4001]
        again = await listen(running.url)
        await running.endpoint.wait_for_clients(1)
        await advance(clock, 3)
        assert (await again.closed()).code == 4001
        assert running.faults.counts == {"disconnect": 3}


async def test_a_connection_can_be_cut_without_a_close_frame(ten: Store) -> None:
    async with faulty(ten, "disconnect=3s:1006") as (running, clock):
        listener = await listen(running.url)
        await until(lambda: clock.sleepers == 2)
        await advance(clock, 3)
        assert (await listener.closed()).code == 1006
        assert running.report().clients[0].close_code == 1006


async def test_connections_are_refused_for_a_while_after_a_disconnect(ten: Store) -> None:
    async with faulty(ten, "disconnect=3s", "refuse=2s") as (running, clock):
        listener = await listen(running.url)
        await until(lambda: clock.sleepers == 2)
        assert not running.endpoint.admission.refused
        await advance(clock, 3)
        assert (await listener.closed()).code == 1012
        assert await refused(running)
        await advance(clock, 1.75)
        assert await refused(running)
        clock.advance(SECOND_NS // 4)
        assert not await refused(running)
        assert running.faults.counts == {"disconnect": 1, "refuse": 2}


async def test_in_a_silence_nothing_comes_and_all_comes_after_it(tmp_path: Path) -> None:
    beating = session(tmp_path, [heartbeat(0), *(message(n) for n in range(10))])
    async with faulty(beating, "freeze=3s/4s") as (running, clock):
        listener = await listen(running.url)
        await until(lambda: clock.sleepers == 2)
        await advance(clock, 3.5)
        await listener.has(5)
        await advance(clock, 3)
        assert running.report().frames_sent >= 6
        late = await listen(running.url)
        await running.endpoint.wait_for_clients(2)
        assert ats(listener.payloads) == [0, 1, 2, 3]
        assert not late.frames  # no heartbeat either
        await advance(clock, 1)
        await listener.has(8)
        assert ats(listener.payloads)[:7] == list(range(7))
        assert running.faults.counts == {"freeze": 2 if clock.now_ns() >= 8 * SECOND_NS else 1}


async def test_a_silence_ends_when_its_fault_is_taken_away(ten: Store) -> None:
    async with faulty(ten, "freeze=1h/2h", is_jumping=False) as (running, clock):
        listener = await listen(running.url)
        await until(lambda: clock.sleepers == 2)
        clock.advance(7_200 * SECOND_NS)
        await until(lambda: running.endpoint.is_silent)
        running.faults.set([])
        await listener.has(10)
        await until(lambda: not running.endpoint.is_silent)


# Recorded outages


async def test_a_recorded_outage_is_re_enacted_where_it_was_and_as_long(broken: Store) -> None:
    async with faulty(broken, "recorded", speed=2) as (running, clock):
        listener = await listen(running.url)
        await until(lambda: clock.sleepers == 1)
        await advance(clock, 1.5)
        assert ats(listener.payloads) == [0, 1, 2, 3]
        await advance(clock, 0.25)
        closed = await listener.closed()
        assert (closed.code, closed.reason) == (1012, "bye")
        clock.advance(1_375 * MS - 1)
        assert await refused(running)
        clock.advance(1)
        assert not await refused(running)
        assert running.faults.counts == {"refuse": 1, "recorded": 1}


async def test_a_recorded_outage_is_as_short_as_the_silence_is_cut(broken: Store) -> None:
    async with faulty(broken, "recorded", max_gap_ns=SECOND_NS) as (running, clock):
        listener = await listen(running.url)
        await until(lambda: clock.sleepers == 1)
        await advance(clock, 3.25)  # of 4 s of silence 1 s is left, of 0.5 s before the outage 0.125 s
        assert (await listener.closed()).code == 1012
        assert await refused(running)
        await advance(clock, 1)
        assert not await refused(running)


async def test_at_maximum_speed_a_recorded_outage_keeps_its_place(broken: Store) -> None:
    async with faulty(broken, "recorded", speed=MAX_SPEED, is_jumping=True) as (running, _):
        listener = await listen(running.url)
        assert (await listener.closed()).code == 1012
        assert ats(listener.payloads) == [0, 1, 2, 3]
        assert running.faults.counts["recorded"] == 1


async def test_after_a_seek_outages_are_those_from_there_on(broken: Store) -> None:
    async with faulty(broken, "recorded") as (running, clock):
        listener = await listen(running.url)
        await listener.has(1)
        assert running.shared is not None
        await running.shared.seek(AtTime(5 * SECOND_NS))
        await advance_until(clock, lambda: len(listener.frames) == 2)
        assert running.faults.counts["recorded"] == 0
        await running.shared.seek(AtTime(2 * SECOND_NS))
        await advance_until(clock, lambda: running.faults.counts["recorded"] == 1)
        assert (await listener.closed()).code == 1012
        assert running.faults.counts["recorded"] == 1


async def test_a_session_without_outages_is_told(ten: Store, caplog: pytest.LogCaptureFixture) -> None:
    found, running = await heard(ten, "recorded")
    assert ats(found) == list(range(10))
    assert "nothing to inject" in caplog.text
    assert running.faults.counts == {"recorded": 0}


# While it runs


async def test_faults_can_be_changed_while_it_runs_and_are_all_counted(ten: Store) -> None:
    async with faulty(ten) as (running, clock):
        listener = await listen(running.url)
        await listener.has(1)
        running.faults.set(parse_faults(["drop=100%@B", "reorder=100%"]))
        assert [fault.text for fault in running.faults.active] == ["drop=100%@B", "reorder=100%"]
        await advance(clock, 2)
        assert ats(listener.payloads) == [0]
        running.faults.set([])  # what waited for the next frame goes out
        await listener.has(2)
        await advance(clock, 2)
        await listener.has(4)
        assert ats(listener.payloads) == [0, 2, 3, 4]
        running.faults.set(parse_faults(["duplicate=100%", "recorded"]))
        await advance(clock, 1)
        await listener.has(6)
        assert running.faults.counts == {"drop": 1, "duplicate": 1, "reorder": 0, "recorded": 0}
        running.faults.set([])
        await advance(clock, 4)
        await listener.has(10)
        assert ats(listener.payloads) == [0, 2, 3, 4, 5, 5, 6, 7, 8, 9]


async def test_other_faults_beside_it_do_not_disturb_a_disconnect(ten: Store) -> None:
    async with faulty(ten, "disconnect=3s") as (running, clock):
        listener = await listen(running.url)
        await until(lambda: clock.sleepers == 2)
        await advance(clock, 2)
        running.faults.set(parse_faults(["disconnect=3s", "drop=100%"]))
        await advance(clock, 1)
        assert (await listener.closed()).code == 1012
        again = await listen(running.url)
        await running.endpoint.wait_for_clients(1)
        await advance(clock, 2.75)
        assert len(running.endpoint.clients) == 1  # nor is it begun a second time
        await advance(clock, 0.25)
        assert (await again.closed()).code == 1012


async def test_a_type_that_does_not_exist_is_refused(ten: Store) -> None:
    with pytest.raises(UsageError, match="no message of type C"):
        async with faulty(ten, "drop=1%@C"):
            pass
    async with faulty(ten) as (running, _):
        with pytest.raises(UsageError, match="no message of type C"):
            running.faults.set(parse_faults(["drop=1%@C"]))
        assert running.faults.active == []
