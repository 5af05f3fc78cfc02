"""Controls of a playback over real sessions: where they lead, event by event, told by sequence numbers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.jobs.replays import (
    SECOND_NS,
    STARTED_NS,
    FakeEndpoint,
    heartbeat,
    identity,
    message,
    numbered,
    playback,
    session,
    sink_for,
    until,
)
from wsrecorder.clock import VirtualClock
from wsrecorder.core.event import Event
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.playhead import MAX_SPEED
from wsrecorder.core.target import AtMatch, AtNote, AtSeq, AtTime, ByDelta
from wsrecorder.core.timeline import Axis
from wsrecorder.errors import SegmentDamaged, UsageError
from wsrecorder.jobs.playback import Playback
from wsrecorder.store.manifest import Health
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.schema import from_rows
from wsrecorder.store.session import ParquetStore, Store

TIMES = [0, 1, 1, 1, 2, 2, 3, 3, 3, 3, 4, 5, 5, 8, 20, 20, 20]


def events_at(times: Sequence[float], type_of: str = "AB", *, started_ns: int = STARTED_NS) -> list[Event]:
    """Return messages that tell themselves apart by ``n``."""
    made = []
    for n, at_s in enumerate(times):
        event = message(at_s, type_of[n % len(type_of)], started_ns=started_ns)
        content = {**json.loads(event.text or ""), "n": n}
        made.append(message(at_s, type_of[n % len(type_of)], started_ns=started_ns, text=json.dumps(content)))
    return made


def ns(endpoint: FakeEndpoint) -> list[int]:
    """Return the numbers of the messages sent."""
    return [json.loads(payload)["n"] for payload in endpoint.payloads]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Events of which several are of one time, in small batches and segments."""
    return session(tmp_path, events_at(TIMES), batch=3, segment_s=2)


@asynccontextmanager
async def running(
    stores: Store | Sequence[Store], notes: NoteBook | None = None, **options: Any
) -> AsyncIterator[tuple[Playback, FakeEndpoint, VirtualClock]]:
    """A playback that has begun, paused, under a clock that is moved by hand."""
    clock = VirtualClock(is_jumping=False)
    endpoint = FakeEndpoint(clock)
    playing = playback([stores] if not isinstance(stores, Sequence) else stores, endpoint, clock, **options)
    playing._lookup._notes = notes

    async def play() -> None:
        while not playing.player.is_stopped:
            await playing.run()
            if playing.is_over:
                await playing.wait_for_control()

    task = asyncio.create_task(play())
    try:
        await until(lambda: playing.player.passes == 1)
        yield playing, endpoint, clock
    finally:
        playing.close()
        await asyncio.wait_for(task, 20)


async def settled(playing: Playback) -> None:
    await asyncio.wait_for(playing._settled.wait(), 20)


# Steps


async def test_a_step_sends_and_a_step_back_stands_before_the_same_event_again(store: Store) -> None:
    async with running(store) as (playing, endpoint, _):
        await playing.step(3)
        assert (ns(endpoint), playing.state.seq) == ([0, 1, 2], 2)
        await playing.step(-1)
        assert (playing.state.status, playing.state.seq, playing.position_ns()) == ("paused", None, SECOND_NS)
        await playing.step(1)
        assert ns(endpoint) == [0, 1, 2, 2]
        await playing.step(-3)
        await playing.step(2)
        assert ns(endpoint)[4:] == [0, 1]


async def test_a_step_back_stops_at_the_start(store: Store) -> None:
    async with running(store, start=parse_moment("2s")) as (playing, endpoint, _):
        await playing.step(-1)
        await playing.step(2)
        await playing.step(-50)
        await playing.step(1)
        assert ns(endpoint) == [4, 5, 4]


async def test_a_step_back_looks_as_far_as_it_takes(tmp_path: Path) -> None:
    far = session(tmp_path, events_at([0, 1, 50_000, 50_000.5]))
    async with running(far) as (playing, endpoint, _):
        await playing.seek(AtTime(50_000 * SECOND_NS))
        await playing.step(2)
        await playing.step(-4)
        await playing.step(1)
        assert ns(endpoint) == [2, 3, 0]


@pytest.mark.parametrize(
    "options", [{"types": frozenset({"A"})}, {"where": "type = 'A'"}, {"exclude": frozenset({"B"})}]
)
async def test_steps_count_events_that_are_played(store: Store, options: dict[str, Any]) -> None:
    async with running(store, **options) as (playing, endpoint, _):
        await playing.step(4)
        await playing.step(-2)
        await playing.step(1)
        assert ns(endpoint) == [0, 2, 4, 6, 4]


async def test_recorded_heartbeats_are_no_steps(tmp_path: Path) -> None:
    made = events_at([1, 2, 3])
    beating = session(
        tmp_path, [heartbeat(0.5), made[0], heartbeat(1.5), heartbeat(1.6), made[1], heartbeat(2.5), made[2]]
    )
    async with running(beating) as (playing, endpoint, _):
        await playing.step(3)
        await playing.step(-2)
        await playing.step(1)
        assert ns(endpoint) == [0, 1, 2, 1]
        assert playing.state.seq == 4


async def test_steps_go_through_several_sessions(tmp_path: Path) -> None:
    began_ns = STARTED_NS + SECOND_NS
    first = session(tmp_path, events_at([0, 1, 1, 2]), batch=2)
    other = session(tmp_path, events_at([0, 0, 1], started_ns=began_ns), who=identity("other", began_ns))
    async with running([first, other]) as (playing, endpoint, _):
        await playing.step(7)
        once = ns(endpoint)
        assert once == [0, 1, 2, 0, 1, 3, 2]
        for back in range(1, 8):
            await playing.step(-back)
            await playing.step(back)
            assert ns(endpoint)[-back:] == once[-back:]


async def test_a_step_after_the_end_says_so_and_a_step_back_leads_out_of_it(store: Store) -> None:
    async with running(store) as (playing, endpoint, _):
        await playing.step(len(TIMES) + 5)
        await until(lambda: playing.state.status == "ended")
        with pytest.raises(UsageError, match="no next event"):
            await playing.step(1)
        with pytest.raises(UsageError, match="no next event"):
            playing.burst(1)
        await playing.step(-1)
        assert playing.state.status == "paused"
        await playing.step(1)
        assert ns(endpoint) == [*range(len(TIMES)), len(TIMES) - 1]


async def test_a_step_of_nothing_is_refused(store: Store) -> None:
    async with running(store) as (playing, _, _):
        with pytest.raises(UsageError, match="a step of 0 events"):
            await playing.step(0)


async def test_a_step_does_not_wait_for_who_does_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsrecorder.jobs.playback._PATIENCE_S", 0.01)
    async with running(store) as (playing, endpoint, clock):
        endpoint.slowness_ns = SECOND_NS
        await playing.step(1)
        assert ns(endpoint) == [0]
        clock.advance(SECOND_NS)
        await settled(playing)


# Bursts


async def test_a_burst_goes_out_at_once_and_playing_goes_on_from_there(store: Store) -> None:
    async with running(store) as (playing, endpoint, clock):
        playing.resume()
        await until(lambda: len(endpoint.sent) == 1)
        playing.burst(9)
        await until(lambda: len(endpoint.sent) == 10)
        assert (playing.state.status, playing.position_ns()) == ("playing", 3 * SECOND_NS)
        await settled(playing)
        clock.advance(SECOND_NS)
        await until(lambda: len(endpoint.sent) == 11 and clock.sleepers > 0)
        clock.advance(SECOND_NS)
        await until(lambda: playing.state.frames_sent == 13)
        assert ns(endpoint) == list(range(13))
        assert playing.state.overall_speed == 1  # a burst is not speed


async def test_a_burst_while_paused_stays_paused(store: Store) -> None:
    async with running(store) as (playing, endpoint, _):
        playing.burst(5)
        await until(lambda: len(endpoint.sent) == 5)
        await settled(playing)
        assert (playing.state.status, playing.state.seq) == ("paused", 4)


# Seeks


@pytest.mark.parametrize("seq", range(len(TIMES)))
async def test_after_a_seek_to_an_event_it_goes_out_next(store: Store, seq: int) -> None:
    async with running(store) as (playing, endpoint, _):
        assert await playing.seek(AtSeq(seq)) == TIMES[seq] * SECOND_NS
        assert playing.state.status == "paused"
        await playing.step(1)
        assert (ns(endpoint), playing.state.seq) == ([seq], seq)


async def test_a_seek_to_an_event_that_is_not_played_leads_to_the_next_one_that_is(store: Store) -> None:
    async with running(store, types=frozenset({"A"})) as (playing, endpoint, _):
        await playing.seek(AtSeq(7))
        await playing.step(1)
        assert ns(endpoint) == [8]


@pytest.mark.parametrize(
    ("options", "target", "words"),
    [
        ({}, AtSeq(17), "there is no event 17: the session holds 17 events, 0 to 16"),
        ({}, AtSeq(-1), "there is no event -1"),
        ({"end": parse_moment("3s")}, AtSeq(8), "no event from 8 on is played"),
        ({}, AtTime(21 * SECOND_NS), "21s is beyond the end at 20s"),
        ({"end": parse_moment("3s")}, AtTime(3 * SECOND_NS), "3s is beyond the end at 2s"),
        ({}, ByDelta(30 * SECOND_NS), "30s, 30s on from 0s, is beyond the end at 20s"),
        ({}, AtMatch("text LIKE '%unheard%'"), "none of the 17 events that are still to be played"),
        ({}, AtMatch("no_such = 1"), "no_such"),
        ({}, AtNote("x"), "several are replayed together"),
    ],
)
async def test_a_place_that_is_not_there_is_said_and_changes_nothing(
    store: Store, options: dict[str, Any], target: Any, words: str
) -> None:
    async with running(store, **options) as (playing, endpoint, _):
        with pytest.raises(UsageError) as caught:
            await playing.seek(target)
        assert words in caught.value.message
        assert caught.value.hint
        await playing.step(1)
        assert ns(endpoint) == [0]


async def test_an_event_number_says_nothing_where_there_are_several_sessions(tmp_path: Path, store: Store) -> None:
    other = session(tmp_path, events_at([0]), who=identity("other"))
    async with running([store, other]) as (playing, _, _):
        with pytest.raises(UsageError, match="any of the sessions"):
            await playing.seek(AtSeq(0))


async def test_seeks_by_so_much_count_in_recorded_time_whatever_is_cut(store: Store) -> None:
    async with running(store, max_gap_ns=SECOND_NS // 2) as (playing, endpoint, _):
        await playing.step(14)
        assert playing.position_ns() == 8 * SECOND_NS
        assert await playing.seek(ByDelta(-5 * SECOND_NS)) == 3 * SECOND_NS
        assert await playing.seek(ByDelta(SECOND_NS)) == 4 * SECOND_NS
        await playing.step(1)
        assert ns(endpoint)[14:] == [10]
        assert await playing.seek(ByDelta(-100 * SECOND_NS)) == 0


@pytest.mark.parametrize("options", [{"axis": Axis.SENT}, {"max_gap_ns": SECOND_NS // 2}, {"speed": MAX_SPEED}])
async def test_places_hold_whatever_the_times(store: Store, options: dict[str, Any]) -> None:
    async with running(store, **options) as (playing, endpoint, _):
        await playing.seek(AtSeq(8))
        await playing.step(3)
        await playing.step(-2)
        await playing.step(1)
        assert ns(endpoint) == [8, 9, 10, 9]


async def test_a_seek_while_playing_plays_on(store: Store) -> None:
    async with running(store) as (playing, endpoint, clock):
        playing.resume()
        await until(lambda: len(endpoint.sent) == 1)
        await playing.seek(AtSeq(12))
        await until(lambda: len(endpoint.sent) == 2)
        await settled(playing)
        clock.advance(3 * SECOND_NS)
        await until(lambda: len(endpoint.sent) == 3)
        assert ns(endpoint) == [0, 12, 13]


async def test_a_match_asked_for_again_is_the_next_one(store: Store) -> None:
    odd = AtMatch("type = 'B' AND elapsed_ns >= 3000000000")
    async with running(store) as (playing, endpoint, _):
        found = []
        for _ in range(3):
            assert await playing.seek(odd) >= 3 * SECOND_NS
            found.append(playing.stream.place)
        await playing.step(1)
        assert ns(endpoint) == [11]
        assert len(set(found)) == 3
        await playing.seek(odd)
        await playing.step(1)
        await playing.step(-1)  # now it is to come again, so it is the next one
        await playing.seek(odd)
        await playing.step(1)
        assert ns(endpoint) == [11, 13, 13]


async def test_a_match_is_looked_for_among_what_is_played(store: Store) -> None:
    async with running(store, where="type = 'A'") as (playing, endpoint, _):
        await playing.step(1)
        await playing.seek(AtMatch("payload->>'$.n' IN ('1', '8')"))
        await playing.step(1)
        assert ns(endpoint) == [0, 8]


async def test_a_match_is_looked_for_in_all_sessions(tmp_path: Path) -> None:
    first = session(tmp_path, events_at([0, 2, 2, 2]))
    other = session(tmp_path, events_at([2, 2, 3], type_of="CD"), who=identity("other"))
    async with running([first, other]) as (playing, endpoint, _):
        await playing.seek(AtMatch("type = 'D'"))
        await playing.step(1)
        assert ns(endpoint) == [1]
        assert [json.loads(payload)["type"] for payload in endpoint.payloads] == ["D"]


async def test_notes_are_found_by_their_words_and_one_after_the_other(store: Store) -> None:
    notes = NoteBook(store.path)
    for at_s, text in ((8, "Stalled here"), (3, "first ORDER"), (500, "long after")):
        notes.add(text, elapsed_ns=at_s * SECOND_NS, received_ns=0, made_at_ns=0)
    async with running(store, notes) as (playing, endpoint, _):
        assert await playing.seek(AtNote("stalled")) == 8 * SECOND_NS
        await playing.step(1)
        assert ns(endpoint) == [13]
        playing.restart()
        assert await playing.seek(AtNote("next")) == 3 * SECOND_NS
        assert await playing.seek(AtNote("next")) == 8 * SECOND_NS
        with pytest.raises(UsageError, match="beyond the end"):
            await playing.seek(AtNote("next"))
        with pytest.raises(UsageError, match='no note that contains "nowhere"; the session has 3'):
            await playing.seek(AtNote("nowhere"))
        await playing.seek(AtTime(20 * SECOND_NS))
    async with running(store, NoteBook(store.path / "elsewhere")) as (playing, _, _):
        with pytest.raises(UsageError, match="no note after 0s; the session has 0"):
            await playing.seek(AtNote("next"))


async def test_seeks_wait_for_one_another(store: Store) -> None:
    async with running(store) as (playing, endpoint, _):
        await asyncio.gather(*(playing.seek(AtMatch("type = 'B'")) for _ in range(3)))
        await playing.step(1)
        assert ns(endpoint) == [5]


async def test_a_restart_outdoes_a_seek_that_is_still_looked_for(store: Store) -> None:
    async with running(store) as (playing, endpoint, _):
        seeking = asyncio.create_task(playing.seek(AtSeq(9)))
        await asyncio.sleep(0)
        playing.restart()
        assert await seeking == 0
        await playing.step(1)
        assert ns(endpoint) == [0]


async def test_a_session_that_grows_is_sought_as_far_as_it_has_come(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity(), segment_s=2)
    made = numbered(events_at(range(12)))
    sink.append(from_rows(made[:3]))
    async with running(ParquetStore(sink.path)) as (playing, endpoint, _):
        with pytest.raises(UsageError, match="beyond the end at 2s"):
            await playing.seek(AtTime(5 * SECOND_NS))
        sink.append(from_rows(made[3:]))
        await playing.seek(AtTime(5 * SECOND_NS))
        await playing.step(1)
        await playing.seek(AtSeq(9))
        await playing.step(1)
        await playing.step(-3)
        await playing.step(1)
        await playing.seek(AtMatch("payload->>'$.n' = '11'"))
        await playing.step(1)
        assert ns(endpoint) == [5, 9, 7, 11]
        playing.set_loop(SECOND_NS, 1_000 * SECOND_NS)
    sink.close(Health())


async def test_what_cannot_be_read_is_said_by_the_state(store: Store) -> None:
    damaged = sorted(store.path.glob("events/*.parquet"))[3]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    clock = VirtualClock()
    playing = playback([store], FakeEndpoint(clock), clock)
    playing.resume()
    with pytest.raises(SegmentDamaged):
        await playing.run()
    state = playing.state
    assert state.status == "ended"
    assert isinstance(state.error, SegmentDamaged)
    playing.close()


# Loops


@pytest.mark.parametrize("options", [{}, {"max_gap_ns": SECOND_NS // 2}, {"axis": Axis.SENT}])
async def test_a_loop_plays_its_part_again_and_again_then_goes_on(store: Store, options: dict[str, Any]) -> None:
    async with running(store, speed=MAX_SPEED, **options) as (playing, endpoint, _):
        playing.set_loop(3 * SECOND_NS, 5 * SECOND_NS)
        assert (playing.state.loop, playing.position_ns()) == ((3 * SECOND_NS, 5 * SECOND_NS), 3 * SECOND_NS)
        await playing.step(13)
        assert ns(endpoint) == [6, 7, 8, 9, 10, 6, 7, 8, 9, 10, 6, 7, 8]
        playing.clear_loop()
        assert playing.state.loop is None
        playing.resume()
        await until(lambda: playing.state.status == "ended")
        assert ns(endpoint)[13:] == list(range(9, 17))


async def test_a_loop_around_the_playhead_leaves_it_where_it_is(store: Store) -> None:
    async with running(store) as (playing, endpoint, _):
        await playing.step(7)
        playing.set_loop(2 * SECOND_NS, 4 * SECOND_NS)
        await playing.step(4)
        assert ns(endpoint) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 4]


async def test_a_loop_to_beyond_the_end_ends_with_it(store: Store) -> None:
    async with running(store, speed=MAX_SPEED) as (playing, endpoint, _):
        playing.set_loop(8 * SECOND_NS, 1_000 * SECOND_NS)
        assert playing.state.loop == (8 * SECOND_NS, 20 * SECOND_NS + 1)
        await playing.step(5)
        assert ns(endpoint) == [13, 14, 15, 16, 13]
        with pytest.raises(UsageError, match="beyond the end"):
            playing.set_loop(30 * SECOND_NS, 40 * SECOND_NS)
        with pytest.raises(UsageError, match="no length"):
            playing.set_loop(5 * SECOND_NS, 5 * SECOND_NS)


async def test_a_loop_leads_out_of_the_end(store: Store) -> None:
    async with running(store, speed=MAX_SPEED) as (playing, endpoint, _):
        playing.resume()
        await until(lambda: playing.state.status == "ended")
        playing.pause()
        playing.set_loop(20 * SECOND_NS, 21 * SECOND_NS)
        await until(lambda: playing.state.status == "paused")
        await playing.step(2)
        assert ns(endpoint)[17:] == [14, 15]


# State


async def test_the_state_tells_how_it_stands(store: Store) -> None:
    clock = VirtualClock(is_jumping=False)
    endpoint = FakeEndpoint(clock)
    playing = playback([store], endpoint, clock, speed=2)
    state = playing.state
    assert (state.name, state.status, state.position_ns, state.seq) == ("shared", "waiting", 0, None)
    assert (state.speed, state.achieved_speed, state.overall_speed, state.loop) == (2, None, None, None)
    assert (state.frames_sent, state.primed, state.lateness.count, state.passes, state.error) == (0, 0, 0, 0, None)
    playing.begin()
    task = asyncio.create_task(playing.run())
    await until(lambda: clock.sleepers > 0)
    clock.advance(SECOND_NS)
    await until(lambda: playing.state.frames_sent == 6)
    state = playing.state
    assert (state.status, state.position_ns, state.seq, state.passes) == ("playing", 2 * SECOND_NS, 5, 1)
    assert (state.achieved_speed, state.overall_speed) == (2, 2)
    playing.close()
    await task


@pytest.mark.parametrize("is_step", [True, False])
async def test_paused_before_there_is_anybody_it_stays_paused(store: Store, is_step: bool) -> None:
    clock = VirtualClock(is_jumping=False)
    endpoint = FakeEndpoint(clock)
    playing = playback([store], endpoint, clock)
    if is_step:
        await playing.step(2)
    else:
        playing.pause()
    playing.begin()
    task = asyncio.create_task(playing.run())
    await until(lambda: playing.player.passes > 0 and not playing._changed.is_set())
    assert playing.state.status == "paused"
    await until(lambda: len(endpoint.sent) == 2 * is_step)
    playing.close()
    await task


async def test_a_step_while_a_step_back_is_looked_for_waits_its_turn(store: Store) -> None:
    async with running(store) as (playing, endpoint, _):
        await playing.step(5)
        await asyncio.gather(playing.step(-2), playing.step(-1))
        await playing.step(1)
        assert ns(endpoint)[5:] == [2]


async def test_a_search_ends_with_the_playback(store: Store) -> None:
    async with running(store) as (playing, _, _):
        seeking = asyncio.create_task(playing.seek(AtMatch("text LIKE '%unheard%'")))
        await asyncio.sleep(0)
        playing.close()
        with pytest.raises(UsageError, match="none of the 0 events"):
            await seeking


# Any series of them


moves = st.one_of(
    st.tuples(st.just("step"), st.integers(1, 6)),
    st.tuples(st.just("back"), st.integers(1, 6)),
    st.tuples(st.just("seq"), st.integers(0, len(TIMES) - 1)),
    st.tuples(st.just("time"), st.integers(0, 20)),
    st.tuples(st.just("by"), st.integers(-6, 3)),
    st.tuples(st.just("burst"), st.integers(1, 6)),
    st.tuples(st.just("restart"), st.just(0)),
)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return session(tmp_path_factory.mktemp("lasting"), events_at(TIMES), batch=3, segment_s=2)


@given(series=st.lists(moves, max_size=12), types=st.sampled_from([None, frozenset({"A"})]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_each_series_of_controls_leads_to_the_event_that_it_says(
    lasting: Store, series: list[tuple[str, int]], types: frozenset[str] | None
) -> None:
    asyncio.run(_follow(lasting, series, types))


async def _follow(store: Store, series: list[tuple[str, int]], types: frozenset[str] | None) -> None:
    played = [n for n in range(len(TIMES)) if types is None or n % 2 == 0]
    place = 0  # which of those played is next
    expected: list[int] = []
    async with running(store, types=types) as (playing, endpoint, _):
        for verb, number in series:
            if verb in ("step", "burst"):
                await _go_on(playing, verb, number, is_over=place == len(played))
                expected += played[place : place + number]
                place = min(len(played), place + number)
            else:
                place = await _go_elsewhere(playing, verb, number, played, place)
        assert ns(endpoint) == expected


async def _go_on(playing: Playback, verb: str, number: int, *, is_over: bool) -> None:
    if is_over:
        await until(lambda: playing.is_over)
        with pytest.raises(UsageError):
            playing.burst(number)
    elif verb == "step":
        await playing.step(number)
    else:
        playing.burst(number)
        await settled(playing)


async def _go_elsewhere(playing: Playback, verb: str, number: int, played: list[int], place: int) -> int:
    """Return which of those played is next then."""
    match verb:
        case "back":
            await playing.step(-number)
            return max(0, place - number)
        case "seq":
            await playing.seek(AtSeq(number)) if number <= played[-1] else playing.restart()
            return sum(n < number for n in played) if number <= played[-1] else 0
        case "time":
            await playing.seek(AtTime(number * SECOND_NS))
            return sum(TIMES[n] < number for n in played)
        case "by" if (reached_s := playing.position_ns() // SECOND_NS + number) <= 20:
            await playing.seek(ByDelta(number * SECOND_NS))
            return sum(TIMES[n] < reached_s for n in played)
        case "restart":
            playing.restart()
            return 0
    return place
