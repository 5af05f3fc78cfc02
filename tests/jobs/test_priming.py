"""Priming: who joins late or is carried over a seek is told the last of each, and then misses and doubles nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.jobs.replays import (
    SECOND_NS,
    STARTED_NS,
    Listener,
    duckdb_session,
    heartbeat,
    identity,
    listen,
    message,
    session,
    types,
    until,
)
from wsrecorder.clock import VirtualClock
from wsrecorder.core.entity_key import entity_key
from wsrecorder.core.event import Event
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.target import AtTime
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.priming import Place, Primer
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import AtEnd, Prime, ReplayOptions
from wsrecorder.store.session import Store

ORDERS = ("PLACED", "UPDATED")


def told(at_s: float, type: str, key: str = "", *, n: int = 0, started_ns: int = STARTED_NS) -> Event:
    """Return a message of an entity; ``n`` makes it unlike any other."""
    data: dict[str, Any] = {"at": at_s, "n": n}
    if key:
        data["order"] = {"id": key}
    text = json.dumps({"type": type, "ts": STARTED_NS // 1_000_000 + round(at_s * 1_000), "data": data})
    return message(at_s, type, started_ns=started_ns, text=text)


def many(count: int, step_s: float = 1.0, start: int = 0) -> list[Event]:
    """Return messages of two types and a few orders, and now and then one without an order, one a second."""
    return [
        told(n * step_s, "STATUS" if n % 7 == 3 else ORDERS[n % 2], "" if n % 7 == 3 else f"o{n * n % 11}", n=n)
        for n in range(start, start + count)
    ]


def payloads(events: Sequence[Event]) -> list[bytes]:
    return [each.payload or b"" for each in events]


def last_of(events: Sequence[Event]) -> list[bytes]:
    """Return the last payload of each type and entity, in order."""
    last: dict[tuple[Any, str], tuple[int, bytes]] = {}
    for place, each in enumerate(events):
        last[each.type, entity_key(each.payload or b"")] = place, each.payload or b""
    return [payload for _, payload in sorted(last.values())]


@asynccontextmanager
async def by_hand(*stores: Store, **options: Any) -> AsyncIterator[tuple[Replay, VirtualClock]]:
    clock = VirtualClock(is_jumping=False)
    async with Replay(stores, ReplayOptions(port=0, **options), clock) as running:
        yield running, clock


def is_whole(listener: Listener, primed: int, events: Sequence[Event]) -> bool:
    """Return whether somebody was told the last of each before some place, and then everything from there on."""
    streamed = listener.payloads[primed:]
    place = len(events) - len(streamed)
    return listener.payloads[:primed] == last_of(events[:place]) and streamed == payloads(events[place:])


@pytest.fixture(params=["parquet", "duckdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return (
        session(tmp_path, many(40), segment_s=9) if request.param == "parquet" else duckdb_session(tmp_path, many(40))
    )


async def joined(running: Replay, clock: VirtualClock, after_s: int) -> tuple[Listener, Listener]:
    """Return who was there from the start, and who joined when so many seconds were played."""
    early = await listen(running.url)
    await early.has(1)
    clock.advance(after_s * SECOND_NS)
    await early.has(after_s + 1)
    late = await listen(running.url)
    await running.endpoint.wait_for_clients(2)
    return early, late


# ------------------------------------------------------------------------------------------------ joining late


async def test_who_joins_late_is_told_the_last_of_each_at_once(store: Store) -> None:
    events = many(40)
    async with by_hand(store) as (running, clock):
        early, late = await joined(running, clock, 20)
        expected = last_of(events[:21])
        await late.has(len(expected))  # before anything else is played
        clock.advance(100 * SECOND_NS)
        await asyncio.gather(early.has(40), late.has(len(expected) + 19))
        assert late.payloads == expected + payloads(events[21:])
        assert early.payloads == payloads(events)
        report = running.report()
        assert (report.frames_sent, report.primed) == (40, len(expected))
        assert [(client.primed, client.frames_sent) for client in report.clients] == [(0, 40), (len(expected), 19)]
        assert [client["primed"] for client in report.to_dict()["clients"]] == [0, len(expected)]


async def test_who_is_there_from_the_beginning_is_told_nothing(store: Store) -> None:
    async with by_hand(store, wait_for=2) as (running, clock):
        both = [await listen(running.url) for _ in range(2)]
        await both[1].has(1)
        clock.advance(100 * SECOND_NS)
        await asyncio.gather(*(each.has(40) for each in both))
        assert running.report().primed == 0


@pytest.mark.parametrize("options", [{"prime": Prime.NONE}, {"verbatim": True}])
async def test_it_can_be_left_out(store: Store, options: dict[str, Any]) -> None:
    async with by_hand(store, **options) as (running, clock):
        _, late = await joined(running, clock, 20)
        clock.advance(100 * SECOND_NS)
        await late.has(19)
        assert late.payloads == payloads(many(40)[21:])


async def test_who_joins_after_the_end_is_told_how_it_ended(store: Store) -> None:
    async with by_hand(store) as (running, clock):
        early, _ = await joined(running, clock, 39)
        await running.finished.wait()
        late = await listen(running.url)
        expected = last_of(many(40))
        await late.has(len(expected))
        assert late.payloads == expected
        assert len(early.payloads) == 40


async def test_what_comes_while_it_is_looked_for_is_kept_for_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, slow = Primer.find, asyncio.Event()

    async def find(self: Primer, place: Place, types: frozenset[str] | None) -> list[PlayBatch]:
        primed = await found(self, place, types)
        if place.elapsed_ns > 0:
            await slow.wait()
        return primed

    monkeypatch.setattr(Primer, "find", find)
    async with by_hand(store) as (running, clock):
        early, late = await joined(running, clock, 20)
        clock.advance(10 * SECOND_NS)
        await early.has(31)
        assert late.payloads == []
        assert running.endpoint.clients[1].buffered_bytes > 0
        slow.set()
        clock.advance(100 * SECOND_NS)
        await early.has(40)
        await until(lambda: late.payloads[-1:] == payloads(many(40))[-1:])
        assert late.payloads == last_of(many(40)[:21]) + payloads(many(40)[21:])


@given(steps=st.lists(st.integers(0, 6), min_size=1, max_size=12), seed=st.integers(0, 100))
@settings(max_examples=12, deadline=None)
async def test_whoever_joins_whenever_misses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], seed: int
) -> None:
    events = many(60, start=seed)
    events = [told(n, str(each.type), entity_key(each.payload or b""), n=n) for n, each in enumerate(events)]
    kept = session(tmp_path_factory.mktemp("any"), events, segment_s=13, batch=7)
    async with by_hand(kept) as (running, clock):
        listeners = [await listen(running.url)]
        await listeners[0].has(1)
        for step in steps:  # each joins while frames are on their way, as it happens
            clock.advance(step * SECOND_NS)
            listeners.append(await listen(running.url))
        await running.endpoint.wait_for_clients(len(listeners))
        clock.advance(1_000 * SECOND_NS)
        for listener in listeners:
            await until(lambda heard=listener: heard.payloads[-1:] == payloads(events)[-1:])  # type: ignore[misc]
        await until(lambda: not any(client.buffered_bytes for client in running.endpoint.clients))
        stats = running.report().clients
        for listener, client in zip(listeners, stats, strict=True):
            assert is_whole(listener, client.primed, events)


async def test_at_full_speed_too(tmp_path: Path) -> None:
    events = many(30_000, step_s=0.001)
    kept = session(tmp_path, events, segment_s=7, batch=1_000)
    options = ReplayOptions(port=0, speed=float("inf"), at_end=AtEnd.CLOSE)
    async with Replay([kept], options, VirtualClock()) as running:
        first = await listen(running.url)
        late = await asyncio.gather(*(listen(running.url) for _ in range(5)))
        for listener in (first, *late):
            await listener.closed()
        stats = {client.number: client for client in running.report().clients}
        assert sorted(stats) == [1, 2, 3, 4, 5, 6]
        heard = {(len(each.payloads), is_whole(each, stats[1].primed, events)) for each in (first,)}
        assert heard == {(30_000, True)}
        counts = sorted(len(each.payloads) for each in late)
        assert counts == sorted(stats[n].primed + stats[n].frames_sent for n in range(2, 7))
        for each in late:
            assert any(is_whole(each, stats[n].primed, events) for n in range(2, 7))


# ------------------------------------------------------------------------------------------------ seeking


async def test_a_seek_tells_all_clients_before_the_first_frame_even_while_paused(store: Store) -> None:
    events = many(40)
    async with by_hand(store) as (running, clock):
        early, late = await joined(running, clock, 4)
        await late.has(len(last_of(events[:5])))
        assert running.shared is not None
        running.shared.pause()
        heard = [len(each.payloads) for each in (early, late)]
        await running.shared.seek(AtTime(30 * SECOND_NS))
        expected = last_of(events[:30])
        await asyncio.gather(
            *(each.has(count + len(expected)) for each, count in zip((early, late), heard, strict=True))
        )
        running.shared.resume()
        await early.has(heard[0] + len(expected) + 1)
        clock.advance(100 * SECOND_NS)
        for each, count in zip((early, late), heard, strict=True):
            await each.has(count + len(expected) + 10)
            assert each.payloads[count:] == expected + payloads(events[30:])


async def test_a_seek_back_to_the_beginning_tells_nothing(store: Store) -> None:
    async with by_hand(store) as (running, clock):
        early = await listen(running.url)
        await early.has(1)
        clock.advance(100 * SECOND_NS)
        await early.has(40)
        assert running.shared is not None
        await running.shared.seek(AtTime(0))
        await early.has(41)
        clock.advance(100 * SECOND_NS)
        await early.has(80)
        assert running.report().primed == 0


async def test_of_two_seeks_at_once_the_last_alone_tells(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked, slow = Primer.find, [], asyncio.Event()

    async def find(self: Primer, place: Place, types: frozenset[str] | None) -> list[PlayBatch]:
        asked.append(place.elapsed_ns)
        primed = await found(self, place, types)
        if place.elapsed_ns == 30 * SECOND_NS:
            await slow.wait()
        return primed

    monkeypatch.setattr(Primer, "find", find)
    async with by_hand(store) as (running, clock):
        early = await listen(running.url)
        await early.has(1)
        assert running.shared is not None
        await running.shared.seek(AtTime(30 * SECOND_NS))
        await until(lambda: 30 * SECOND_NS in asked)
        await running.shared.seek(AtTime(10 * SECOND_NS))
        slow.set()
        expected = last_of(many(40)[:10])
        await early.has(1 + len(expected) + 1)
        clock.advance(100 * SECOND_NS)
        await early.has(1 + len(expected) + 30)
        assert early.payloads == payloads(many(40)[:1]) + expected + payloads(many(40)[10:])


async def test_events_before_the_window_count(store: Store) -> None:
    options = {"start": parse_moment("20s"), "end": parse_moment("25s")}
    async with by_hand(store, **options) as (running, clock):
        early = await listen(running.url)
        expected = last_of(many(40)[:20])
        await early.has(len(expected) + 1)
        clock.advance(100 * SECOND_NS)
        await early.has(len(expected) + 5)
        assert early.payloads == expected + payloads(many(40)[20:25])


# ------------------------------------------------------------------------------------------------ what is told


async def test_only_what_is_played_is_told(store: Store) -> None:
    asked = {
        "exclude": frozenset({"STATUS"}),
        "where": "payload->>'$.data.order.id' <> 'o4'",
        "start": parse_moment("21s"),
    }
    async with by_hand(store, **asked) as (running, clock):
        early = await listen(running.url)
        played = [each for each in many(40) if each.type != "STATUS" and entity_key(each.payload or b"") != "o4"]
        expected = last_of([each for each in played if each.elapsed_ns < 21 * SECOND_NS])
        await early.has(len(expected) + 1)
        clock.advance(100 * SECOND_NS)
        after = [each for each in played if each.elapsed_ns >= 21 * SECOND_NS]
        await early.has(len(expected) + len(after))
        assert early.payloads == expected + payloads(after)


async def test_each_client_with_its_own_playback_is_told_what_it_asked_for(store: Store) -> None:
    async with by_hand(store, per_client=True) as (running, clock):
        plain, picky = await listen(running.url), await listen(running.url + "?from=20s&types=PLACED")
        placed = [each for each in many(40) if each.type == "PLACED"]
        before = [each for each in placed if each.elapsed_ns < 20 * SECOND_NS]
        await asyncio.gather(plain.has(1), picky.has(len(last_of(before)) + 1))
        clock.advance(100 * SECOND_NS)
        await asyncio.gather(plain.has(40), picky.has(len(last_of(before)) + len(placed) - len(before)))
        assert picky.payloads == last_of(before) + payloads(placed[len(before) :])
        assert plain.payloads == payloads(many(40))


async def test_heartbeats_are_not_told_and_come_first(tmp_path: Path) -> None:
    events = [told(0, "A"), heartbeat(1), told(2, "A"), told(3, "A")]
    async with by_hand(session(tmp_path, events)) as (running, clock):
        early = await listen(running.url)
        await early.has(2)
        clock.advance(2 * SECOND_NS)
        await early.has(3)
        late = await listen(running.url)
        await late.has(2)
        assert types(late.payloads) == ["HEARTBEAT", "A"]
        assert late.payloads[1] == events[2].payload


async def test_what_is_told_is_restamped_too(store: Store) -> None:
    async with by_hand(store, restamp=True) as (running, clock):
        _, late = await joined(running, clock, 20)
        await late.has(1)
        original = json.loads(last_of(many(40)[:21])[0])
        found = json.loads(late.payloads[0])
        assert found["data"] == original["data"]
        assert found["ts"] != original["ts"]


async def test_state_tells_what_is_still_open(tmp_path: Path) -> None:
    def order(at_s: float, type: str, id: str, status: str) -> Event:
        return message(
            at_s, type, text=json.dumps({"type": type, "ts": 1, "data": {"order": {"id": id, "status": status}}})
        )

    events = [
        order(0, "ORDER_PLACED", "a", "open"),
        order(1, "ORDER_PLACED", "b", "open"),
        message(2, "SIGNAL"),
        order(3, "ORDER_UPDATED", "a", "filled"),
        message(4, "ENGINE_UPDATE", text='{"type": "ENGINE_UPDATE", "data": {"state": "idle", "running": true}}'),
        message(5),
        message(6),
    ]
    async with by_hand(session(tmp_path, events), prime=Prime.STATE) as (running, clock):
        _, late = await joined(running, clock, 5)
        clock.advance(SECOND_NS)
        await late.has(3)
        assert late.payloads == payloads([events[1], events[4], events[6]])


@given(place=st.integers(0, 40), ties=st.integers(1, 4), cuts=st.integers(3, 9))
@settings(max_examples=15, deadline=None)
async def test_several_sessions_are_told_by_time(
    tmp_path_factory: pytest.TempPathFactory, place: int, ties: int, cuts: int
) -> None:
    library = tmp_path_factory.mktemp("two")
    later_ns = STARTED_NS + 2 * SECOND_NS
    halves = [
        [told(n // ties, ORDERS[n % 2], f"o{n % 5}", n=n) for n in range(20)],
        [told(n // ties, ORDERS[n % 2], f"o{n % 3}", n=100 + n, started_ns=later_ns) for n in range(20)],
    ]
    stores = [
        session(library, half, who=identity(name, started_ns), batch=cuts)
        for half, name, started_ns in zip(halves, ("one", "two"), (STARTED_NS, later_ns), strict=True)
    ]
    merged = sorted([*halves[0], *halves[1]], key=lambda each: each.received_ns)  # stable, as merging is
    async with Replay(stores, ReplayOptions(port=0), VirtualClock(is_jumping=False)) as running:
        assert running.shared is not None
        running.shared.pause()
        early = await listen(running.url)
        if place:
            running.shared.resume()
            await running.shared.step(place)
            await early.has(place)
        late = await listen(running.url)
        await running.endpoint.wait_for_clients(2)
        expected = last_of(merged[:place])
        await late.has(len(expected))
        assert early.payloads == payloads(merged[:place])
        assert late.payloads == expected


async def test_a_session_that_grows_is_told_as_far_as_it_was_played(tmp_path: Path) -> None:
    from tests.jobs.replays import numbered, sink_for
    from wsrecorder.store.manifest import Health
    from wsrecorder.store.schema import from_rows
    from wsrecorder.store.session import ParquetStore

    sink = sink_for(tmp_path, identity(), segment_s=15)
    sink.append(from_rows(numbered(many(20))))
    async with by_hand(ParquetStore(sink.path)) as (running, clock):
        early = await listen(running.url)
        await early.has(1)
        clock.advance(100 * SECOND_NS)
        await early.has(20)
        late = await listen(running.url)
        expected = last_of(many(20))
        await late.has(len(expected))
        assert late.payloads == expected
    sink.close(Health())


async def test_a_closed_primer_finds_nothing(store: Store) -> None:
    primer = Primer(Programme([store], ReplayOptions()), Prime.LAST)
    primer.start()
    primer.close()
    assert await primer.find(Place(20 * SECOND_NS), None) == []
