"""A playback by itself: when which frames go out, told by a clock that jumps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.replays import (
    SECOND_NS,
    STARTED_NS,
    FakeEndpoint,
    ats,
    duckdb_session,
    message,
    payloads,
    playback,
    played,
    session,
    types,
    until,
)
from wsrecorder.clock import VirtualClock
from wsrecorder.core.event import Direction, Kind
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.playhead import MAX_SPEED
from wsrecorder.core.target import AtTime
from wsrecorder.core.timeline import Axis
from wsrecorder.errors import SegmentDamaged, UsageError
from wsrecorder.jobs.playback import Playback
from wsrecorder.jobs.replay_options import AtEnd
from wsrecorder.store.schema import NOT_UTF8
from wsrecorder.store.session import Store

ODD_TIMES = [0, 0.25, 0.25, 1, 3.5, 60, 60.001]


@pytest.fixture
def odd(tmp_path: Path) -> Store:
    return session(tmp_path, [message(at_s) for at_s in ODD_TIMES], batch=2)


async def test_an_hour_is_played_to_the_nanosecond(tmp_path: Path) -> None:
    hour = session(tmp_path, [message(second) for second in range(3_601)], batch=500, segment_s=1_000)
    clock = VirtualClock()
    endpoint = FakeEndpoint(clock)
    playing = playback([hour], endpoint, clock)
    playing.resume()
    await playing.run()
    assert endpoint.times_s == list(range(3_601))
    assert ats(endpoint.payloads) == list(range(3_601))
    assert (playing.state.lateness.count, playing.state.lateness.max_ns) == (3_601, 0)
    assert measured_s(playing) == (3_600, 3_600)
    assert playing.state.frames_sent == 3_601
    playing.close()


async def test_times_between_frames_are_those_of_the_recording(odd: Store) -> None:
    assert (await played(odd)).times_s == ODD_TIMES


@pytest.mark.parametrize("speed", [0.5, 10, 1_000])
async def test_speed_divides_all_times_alike(odd: Store, speed: float) -> None:
    sent = await played(odd, speed=speed)
    assert sent.times_s == pytest.approx([at_s / speed for at_s in ODD_TIMES], abs=2e-9)


async def test_at_maximum_speed_nothing_waits(odd: Store) -> None:
    sent = await played(odd, speed=MAX_SPEED)
    assert set(sent.times_s) == {0}
    assert ats(sent.payloads) == ODD_TIMES


async def test_the_wait_before_the_first_frame_is_kept(tmp_path: Path) -> None:
    assert (await played(session(tmp_path, [message(7)]))).times_s == [7]


async def test_silences_are_cut_before_speed(odd: Store) -> None:
    sent = await played(odd, max_gap_ns=2 * SECOND_NS)
    assert sent.times_s == [0, 0.25, 0.25, 1, 3, 5, 5.001]
    assert (await played(odd, max_gap_ns=2 * SECOND_NS, speed=2)).times_s == pytest.approx(
        [0, 0.125, 0.125, 0.5, 1.5, 2.5, 2.5005]
    )


async def test_times_of_sending_can_be_played(tmp_path: Path) -> None:
    # Received a second late, all at once; sent a second apart.
    sent_us = [STARTED_NS // 1_000 + n * 1_000_000 for n in range(3)]
    late = session(tmp_path, [message(5, sent_at_us=time_us) for time_us in sent_us])
    assert (await played(late)).times_s == [5, 5, 5]
    assert (await played(late, axis=Axis.SENT)).times_s == [5, 6, 7]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"start": "1s"}, [1, 3.5, 60, 60.001]),
        ({"start": "-1s"}, [60, 60.001]),
        ({"end": "1s"}, [0, 0.25, 0.25]),
        ({"start": "250ms", "end": "-1ms"}, [0.25, 0.25, 1, 3.5]),
        ({"start": "2025-11-24T16:00:01Z", "end": "2025-11-24T16:01:00Z"}, [1, 3.5]),
        ({"end": "2h"}, ODD_TIMES),
    ],
)
async def test_a_window_is_played(odd: Store, window: dict[str, str], expected: list[float]) -> None:
    moments = {key: parse_moment(text) for key, text in window.items()}
    sent = await played(odd, speed=MAX_SPEED, **moments)
    assert ats(sent.payloads) == expected


async def test_a_window_begins_at_once_at_its_start(odd: Store) -> None:
    sent = await played(odd, start=parse_moment("3s"))
    assert sent.times_s == pytest.approx([0.5, 57, 57.001])


async def test_types_are_chosen_or_left_out(tmp_path: Path) -> None:
    mixed = session(tmp_path, [message(n, "ABC"[n % 3]) for n in range(9)], batch=4)
    assert set(types((await played(mixed, types=frozenset("AC"))).payloads)) == {"A", "C"}
    assert set(types((await played(mixed, exclude=frozenset("A"))).payloads)) == {"B", "C"}
    sent = await played(mixed, types=frozenset("AB"), exclude=frozenset("A"))
    assert (types(sent.payloads), sent.times_s) == (["B"] * 3, [1, 4, 7])


@pytest.mark.parametrize("form", [session, duckdb_session])
async def test_only_frames_from_the_server_go_out_as_they_came(tmp_path: Path, form: Any) -> None:
    frames = [
        message(1, text='{"type": "A", "ts": 1, "data": NaN}'),
        message(1, text=None, binary=b"\x00\xff"),
        message(2, text=None, binary=b"\xff\xfe", detail=NOT_UTF8),
        message(3, text=""),
        message(4, text="é" * 40_000),
    ]
    others = [
        message(0, kind=Kind.OPEN, text=None, detail="{}"),
        message(2.5, direction=Direction.OUT, text="ping"),
        message(5, kind=Kind.GAP, text=None, detail="{}"),
    ]
    stored = form(tmp_path, sorted([*frames, *others], key=lambda event: event.elapsed_ns))
    assert (await played(stored, verbatim=True)).payloads == payloads(frames)


async def test_time_stamps_are_moved_to_now_and_nothing_else(tmp_path: Path) -> None:
    clock = VirtualClock(wall_ns=STARTED_NS + 1_000 * SECOND_NS)
    old = session(tmp_path, [message(0), message(2), message(3, text="not JSON, ts: 5")])
    sent = await played(old, clock, restamp=True, speed=0.5)
    first, second = (json.loads(payload) for payload in sent.payloads[:2])
    # What lay between sending and receiving is kept: 5 ms.
    assert first["ts"] == (STARTED_NS + 1_000 * SECOND_NS) // 1_000_000 - 5
    assert second["ts"] == first["ts"] + 4_000
    assert [first["data"], second["data"]] == [{"at": 0}, {"at": 2}]
    assert sent.payloads[2] == b"not JSON, ts: 5"


async def test_frames_that_wait_for_a_client_put_off_what_is_to_come(odd: Store) -> None:
    clock = VirtualClock()
    endpoint = FakeEndpoint(clock)
    endpoint.slowness_ns = SECOND_NS
    playing = playback([odd], endpoint, clock)
    playing.resume()
    await playing.run()
    assert endpoint.times_s == [0, 1.25, 1.25, 3, 6.5, 64, 65.001]
    assert playing.state.lateness.max_ns == 0  # everything late together is not late
    playing.close()


# Controls


def measured_s(playing: Playback) -> tuple[float, float]:
    """Return wall time spent playing and session time played."""
    pace = playing.stream.pace
    return pace.playing_ns / SECOND_NS, pace.session_ns / SECOND_NS


@asynccontextmanager
async def running(store: Store, **options: Any) -> AsyncIterator[tuple[Playback, FakeEndpoint, VirtualClock]]:
    """A playback that has begun, under a clock that is moved by hand."""
    clock = VirtualClock(is_jumping=False)
    endpoint = FakeEndpoint(clock)
    playing = playback([store], endpoint, clock, **options)
    playing.resume()
    task = asyncio.create_task(playing.run())
    try:
        await until(lambda: clock.sleepers > 0 or task.done())
        yield playing, endpoint, clock
    finally:
        playing.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_pause_costs_no_session_time(tmp_path: Path) -> None:
    async with running(session(tmp_path, [message(n) for n in range(5)])) as (playing, endpoint, clock):
        clock.advance(SECOND_NS)
        await until(lambda: len(endpoint.sent) == 2)
        playing.pause()
        clock.advance(100 * SECOND_NS)
        assert playing.position_ns() == SECOND_NS
        playing.resume()
        await until(lambda: clock.sleepers > 0)
        clock.advance(SECOND_NS)
        await until(lambda: len(endpoint.sent) == 3)
        assert endpoint.times_s == [0, 1, 102]
        assert measured_s(playing) == (1, 1)  # from the first frame to the pause; the one after it begins anew


async def test_a_step_sends_so_many_and_stands_still(tmp_path: Path) -> None:
    async with running(session(tmp_path, [message(10 * n) for n in range(5)])) as (playing, endpoint, _):
        await playing.step(2)
        await until(lambda: len(endpoint.sent) == 3)
        assert ats(endpoint.payloads) == [0, 10, 20]
        assert playing.position_ns() == 20 * SECOND_NS
        assert playing.player.is_paused
        with pytest.raises(UsageError):
            await playing.step(0)


async def test_a_seek_reads_on_from_there(tmp_path: Path) -> None:
    store = session(tmp_path, [message(n) for n in range(1_000)], batch=10, segment_s=100)
    async with running(store) as (playing, endpoint, clock):
        await playing.seek(AtTime(900 * SECOND_NS))
        await until(lambda: len(endpoint.sent) == 2)
        await playing.seek(AtTime(3 * SECOND_NS + 1))
        await until(lambda: playing.player.passes == 3 and clock.sleepers > 0)
        clock.advance(SECOND_NS)
        await until(lambda: len(endpoint.sent) == 3)
        assert ats(endpoint.payloads) == [0, 900, 4]


async def test_a_speed_changed_on_the_way_holds_from_there(tmp_path: Path) -> None:
    async with running(session(tmp_path, [message(n) for n in range(100)])) as (playing, endpoint, clock):
        playing.set_speed(10)
        await until(lambda: clock.sleepers > 0)
        clock.advance(SECOND_NS)
        await until(lambda: len(endpoint.sent) == 11)
        playing.set_speed(MAX_SPEED)
        await until(lambda: playing.is_over)
        assert ats(endpoint.payloads) == list(range(100))


async def test_a_seek_leads_back_from_the_end(odd: Store) -> None:
    clock = VirtualClock()
    endpoint = FakeEndpoint(clock)
    playing = playback([odd], endpoint, clock)
    playing.resume()
    await playing.run()
    assert playing.is_over
    waiting = asyncio.create_task(playing.wait_for_control())
    await asyncio.sleep(0)
    assert not waiting.done()
    await playing.seek(AtTime(60 * SECOND_NS))
    await waiting
    assert not playing.is_over
    await playing.run()
    assert ats(endpoint.payloads) == [*ODD_TIMES, 60, 60.001]
    playing.close()


async def test_a_loop_begins_again_without_end(odd: Store) -> None:
    clock = VirtualClock()
    endpoint = FakeEndpoint(clock)
    playing = playback([odd], endpoint, clock, at_end=AtEnd.LOOP, start=parse_moment("60s"))
    playing.resume()
    task = asyncio.create_task(playing.run())
    await until(lambda: len(endpoint.sent) > 10)
    playing.close()
    await task
    assert ats(endpoint.payloads)[:6] == [60, 60.001] * 3
    assert playing.player.passes >= 5
    playing_s, session_s = measured_s(playing)
    assert session_s == pytest.approx(playing_s)  # the way back to the start is not counted
    assert session_s > 0


async def test_a_damaged_segment_ends_it_after_what_came_before(tmp_path: Path) -> None:
    store = session(tmp_path, [message(n) for n in range(100)], batch=10, segment_s=9)
    damaged = sorted(store.path.glob("events/*.parquet"))[5]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    clock = VirtualClock()
    endpoint = FakeEndpoint(clock)
    playing = playback([store], endpoint, clock)
    playing.resume()
    with pytest.raises(SegmentDamaged, match=damaged.name):
        await playing.run()
    assert ats(endpoint.payloads) == list(range(50))
    playing.close()
