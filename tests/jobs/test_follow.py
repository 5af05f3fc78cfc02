"""Following a session that is being recorded, in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from docs.example import MONDAY, add_session, engine_batches, sink
from wsrecorder.analysis.session import Session
from wsrecorder.clock import VirtualClock
from wsrecorder.jobs.follow import follow, last_seq
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Health


@pytest.mark.parametrize("into", [None, "live.duckdb"])
async def test_what_comes_is_yielded_once_until_it_is_sealed(tmp_path: Path, into: str | None) -> None:
    target = sink(tmp_path, "live", MONDAY, segment_bytes=10_000, into=into)
    batches = list(engine_batches(MONDAY, 300))
    target.append(batches.pop(0))
    seen: list[int] = []
    total = 302
    async for batch in follow(Session(open_store(target.path)), VirtualClock(), asyncio.Event()):
        seen += batch.column("seq").to_pylist()
        if batches:
            target.append(batches.pop(0))
        elif len(seen) == total:
            target.close(Health())  # and so it ends
    assert seen == list(range(total))


async def test_it_begins_where_it_is_told_and_takes_what_is_wanted(tmp_path: Path) -> None:
    session = Session(open_store(add_session(tmp_path, messages=200)))
    found = [
        event
        async for batch in follow(session, VirtualClock(), asyncio.Event(), from_seq=50, types=["SIGNAL"])
        for event in batch.column("seq").to_pylist()
    ]
    assert found == [event.seq for event in session.events(types=["SIGNAL"], from_seq=50)]


async def test_stop_ends_it_while_nothing_comes(tmp_path: Path) -> None:
    target = sink(tmp_path, "live", MONDAY)
    target.append(next(engine_batches(MONDAY, 20)))
    stop, clock = asyncio.Event(), VirtualClock()

    async def stop_later() -> None:
        await clock.sleep_until(clock.now_ns() + 10_000_000_000)
        stop.set()

    later = asyncio.create_task(stop_later())
    rows = 0
    async for batch in follow(Session(open_store(target.path)), clock, stop):
        rows += len(batch)
    assert later.done() or stop.is_set()
    assert rows == 22
    target.abandon()


def test_the_last_so_many_are_found(tmp_path: Path) -> None:
    session = Session(open_store(add_session(tmp_path, messages=200, segment_bytes=10_000)))
    assert last_seq(session, 10) == 192
    assert last_seq(session, 1_000) == 0
    assert last_seq(session, 0) == 202
    signals = [event.seq for event in session.events(types=["SIGNAL"])]
    assert last_seq(session, 3, types=["SIGNAL"]) == signals[-3]
    assert last_seq(session, 0, types=["SIGNAL"]) == signals[-1] + 1
    assert last_seq(session, 3, types=["NONE"]) == 0


@pytest.mark.parametrize("into", [None, "live.duckdb"])
async def test_where_applies_to_what_comes(tmp_path: Path, into: str | None) -> None:
    target = sink(tmp_path, "live", MONDAY, into=into)
    batches = list(engine_batches(MONDAY, 200))
    target.append(batches.pop(0))
    seen: list[int] = []
    async for batch in follow(
        Session(open_store(target.path)), VirtualClock(), asyncio.Event(), where="seq % 3 = 0 AND session LIKE '%live'"
    ):
        seen += batch.column("seq").to_pylist()
        if batches:
            target.append(batches.pop(0))
        else:
            target.close(Health())
    assert seen == list(range(0, 202, 3))


async def test_the_last_events_are_counted_among_those_wanted(tmp_path: Path) -> None:
    session = Session(open_store(add_session(tmp_path, messages=200)))
    first = last_seq(session, 3, where="type = 'SIGNAL'")
    assert first == [event.seq for event in session.events(types=["SIGNAL"])][-3]
