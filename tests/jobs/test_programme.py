"""What is played: several sessions as one, windows, heartbeats, a session that grows meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.replays import (
    SECOND_NS,
    STARTED_NS,
    ats,
    heartbeat,
    identity,
    message,
    numbered,
    played,
    session,
    sink_for,
    types,
)
from wsrecorder.core.dialect import Dialect
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.playhead import MAX_SPEED
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.jobs.play_batch import PlayBatch
from wsrecorder.jobs.programme import Programme
from wsrecorder.jobs.read_ahead import ReadAhead
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows
from wsrecorder.store.session import ParquetStore, Store


def another(library: Path, times_s: list[float], *, later_s: float = 0, **about: Any) -> Store:
    """Return a session that began so much later than the others; its messages are of type B."""
    started_ns = STARTED_NS + round(later_s * SECOND_NS)
    rows = [message(at_s, "B", started_ns=started_ns) for at_s in times_s]
    return session(library, rows, who=identity("other", started_ns, **about))


# Which messages


async def test_where_keeps_messages_in_their_order(tmp_path: Path) -> None:
    store = session(tmp_path, [message(n, "AB"[n % 2]) for n in range(9)], batch=2)
    sent = await played(store, where="(payload->>'$.data.at')::INT IN (2, 3, 7, 8) AND type = 'B'")
    assert ats(sent.payloads) == [3, 7]


async def test_where_goes_with_types_window_and_several_sessions(tmp_path: Path) -> None:
    stores = [session(tmp_path, [message(n) for n in range(9)]), another(tmp_path, [0, 1, 2.5], later_s=1.5)]
    asked = {"types": frozenset("AB"), "start": parse_moment("2s"), "end": parse_moment("6s")}
    sent = await played(stores, where="session LIKE '%other' OR elapsed_ns % 2000000000 = 0", **asked)
    assert types(sent.payloads) == ["A", "B", "A", "B"]


def test_a_wrong_where_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="typ"):
        Programme([session(tmp_path, [message(0)])], ReplayOptions(where="typ = 1"))


async def test_where_follows_a_session_that_grows(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity())
    rows = numbered([message(n) for n in range(6)])
    sink.append(from_rows(rows[:3]))
    programme = Programme([ParquetStore(sink.path)], ReplayOptions(where="seq % 2 = 1"))
    batches = programme.batches(0, None, None)
    found: list[list[int]] = []
    for more in (rows[3:], [], []):
        while (batch := next(batches)) is not None:
            found.append([elapsed_ns // SECOND_NS for elapsed_ns in batch.elapsed_ns])
        if more:
            sink.append(from_rows(more))
    assert found == [[1], [3, 5]]
    sink.close(Health())


# Several sessions


async def test_sessions_are_merged_by_the_time_of_day(tmp_path: Path) -> None:
    first = session(tmp_path, [message(n) for n in range(5)], batch=2)
    second = another(tmp_path, [0, 1, 2.5], later_s=1.5)
    for stores in ([first, second], [second, first]):
        sent = await played(stores)
        assert sent.times_s == [0, 1, 1.5, 2, 2.5, 3, 4, 4]
        assert types(sent.payloads)[:6] == ["A", "A", "B", "A", "B", "A"]


async def test_a_window_counts_from_the_earliest_session(tmp_path: Path) -> None:
    stores = [session(tmp_path, [message(n) for n in range(5)]), another(tmp_path, [0, 1, 2.5], later_s=1.5)]
    sent = await played(stores, start=parse_moment("2s"), end=parse_moment("4s"))
    assert sent.times_s == [0, 0.5, 1]
    assert types(sent.payloads) == ["A", "B", "A"]


async def test_a_session_that_begins_long_after_the_other_ended_is_waited_for(tmp_path: Path) -> None:
    stores = [session(tmp_path, [message(1)]), another(tmp_path, [1], later_s=3_600)]
    assert (await played(stores)).times_s == [1, 3_601]


def test_the_path_is_that_of_the_first_session_unless_another_is_given(tmp_path: Path) -> None:
    stores = [another(tmp_path, [0], path="/stream"), session(tmp_path, [message(0)])]
    assert Programme(stores, ReplayOptions()).path == "/stream"
    assert Programme(stores, ReplayOptions(path="/x/")).path == "/x/"


def test_time_stamps_of_two_kinds_cannot_be_restamped_together(tmp_path: Path) -> None:
    stores = [session(tmp_path, [message(0)]), another(tmp_path, [0], dialect=Dialect(ts_path="E", ts_unit="us"))]
    assert Programme(stores, ReplayOptions())
    with pytest.raises(UsageError, match="E in us and ts in ms"):
        Programme(stores, ReplayOptions(restamp=True))


# What cannot be played


@pytest.mark.parametrize("start", ["11s", "-11s", "2030-01-01"])
def test_a_beginning_outside_of_the_session_is_refused(tmp_path: Path, start: str) -> None:
    store = session(tmp_path, [message(0), message(10)])
    with pytest.raises(UsageError, match="outside the session"):
        Programme([store], ReplayOptions(start=parse_moment(start)))


def test_an_empty_session_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="test holds no message"):
        Programme([session(tmp_path, [])], ReplayOptions())


def test_no_session_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="no session"):
        Programme([], ReplayOptions())


def test_types_that_do_not_occur_are_refused_with_those_that_do(tmp_path: Path) -> None:
    store = session(tmp_path, [message(0, "SIGNAL"), message(0, "ERROR")])
    assert Programme([store], ReplayOptions(types=frozenset({"SIGNAL", "OTHER"})))
    with pytest.raises(UsageError, match="no message of type SIGNALS") as refused:
        Programme([store], ReplayOptions(types=frozenset({"SIGNALS"})))
    assert "ERROR, SIGNAL" in refused.value.hint


# Heartbeats


async def test_recorded_heartbeats_are_left_out_where_the_endpoint_sends_its_own(tmp_path: Path) -> None:
    beating = session(tmp_path, [heartbeat(0), message(1), heartbeat(30), message(31)])
    assert types((await played(beating)).payloads) == ["A", "A"]
    assert types((await played(beating, verbatim=True)).payloads) == ["HEARTBEAT", "A", "HEARTBEAT", "A"]


def test_heartbeats_of_its_own_look_like_the_recorded_ones(tmp_path: Path) -> None:
    store = session(tmp_path, [message(0), heartbeat(1), message(2)])
    make = Programme([store], ReplayOptions()).heartbeat()
    assert make is not None
    assert make(12.5, 7_000_000_000) == b'{"type": "HEARTBEAT", "ts": 7000, "data": {"latencyMs": 12.5}}'


@pytest.mark.parametrize("asked", [{"verbatim": True}, {"exclude": frozenset({"HEARTBEAT"})}])
def test_no_heartbeats_of_its_own_where_none_are_wanted(tmp_path: Path, asked: dict[str, Any]) -> None:
    store = session(tmp_path, [heartbeat(0), message(1)])
    assert Programme([store], ReplayOptions(**asked)).heartbeat() is None


def test_a_session_without_heartbeats_has_none_of_its_own(tmp_path: Path) -> None:
    assert Programme([session(tmp_path, [message(0)])], ReplayOptions()).heartbeat() is None
    silent = session(tmp_path, [heartbeat(0)], who=identity("silent", dialect=Dialect(heartbeat_type=None)))
    assert Programme([silent], ReplayOptions()).heartbeat() is None


async def test_a_heartbeat_of_one_session_leaves_anothers_messages_alone(tmp_path: Path) -> None:
    beating = session(tmp_path, [heartbeat(0), message(1)])
    # Where that type means something else, it is a message like any other.
    other = session(
        tmp_path, [message(0.5, "HEARTBEAT")], who=identity("other", dialect=Dialect(heartbeat_type="ping"))
    )
    assert types((await played([beating, other])).payloads) == ["HEARTBEAT", "A"]


# A session that grows


def elapsed_s(batches: Iterator[PlayBatch | None]) -> list[float]:
    """Return the times of what is there now."""
    return [at / SECOND_NS for batch in iter(partial(next, batches), None) if batch for at in batch.elapsed_ns]


async def test_the_end_of_a_growing_session_is_looked_for_when_playback_gets_there(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity(), segment_s=2)
    sink.append(from_rows(numbered([message(0)])))
    reader = ReadAhead(Programme([ParquetStore(sink.path)], ReplayOptions()), None, None)
    reader.begin(0)
    for n in range(1, 6):
        batch = await reader.take()  # what comes next is not there yet, and has been looked for
        assert batch is not None
        assert list(batch.elapsed_ns) == [(n - 1) * SECOND_NS]
        await asyncio.sleep(0.01)
        sink.append(from_rows(numbered([message(n)], n)))
    assert await reader.take() is not None
    assert await reader.take() is None
    reader.close()
    sink.close(Health())


async def test_what_is_recorded_meanwhile_is_played_too(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity(), segment_s=2)
    sink.append(from_rows(numbered([message(0), message(1)])))
    store = ParquetStore(sink.path)
    batches = Programme([store], ReplayOptions()).batches(0, None, None)
    assert elapsed_s(batches) == [0, 1]
    assert elapsed_s(batches) == []
    for n in range(2, 12):
        sink.append(from_rows(numbered([message(n)], n)))
    assert elapsed_s(batches) == list(range(2, 12))
    sink.close(Health())


async def test_a_growing_session_can_be_one_of_several(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity())
    sink.append(from_rows(numbered([message(0), message(2)])))
    stores = [ParquetStore(sink.path), another(tmp_path, [1, 3])]
    assert ats((await played(stores)).payloads) == [0, 1, 2, 3]
    sink.close(Health())


async def test_a_session_cut_short_is_played_to_where_it_ends(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity())
    sink.append(from_rows(numbered([message(0), message(1)])))
    sink.append(from_rows(numbered([message(2)], 2)))
    sink.abandon()
    [journal] = sink.path.glob("events/*.journal")
    journal.write_bytes(journal.read_bytes()[:-20])
    assert ats((await played(ParquetStore(sink.path))).payloads) == [0, 1]


async def test_the_window_of_a_growing_session_ends_it(tmp_path: Path) -> None:
    sink = sink_for(tmp_path, identity())
    sink.append(from_rows(numbered([message(n) for n in range(5)])))
    sent = await played(ParquetStore(sink.path), end=parse_moment("3s"), speed=MAX_SPEED)
    assert ats(sent.payloads) == [0, 1, 2]
    sink.close(Health())


# The reader


async def test_reading_begun_anew_forgets_what_was_read_ahead(tmp_path: Path) -> None:
    store = session(tmp_path, [message(n) for n in range(100)], segment_s=9, batch=10)
    reader = ReadAhead(Programme([store], ReplayOptions()), None, None)
    for from_s in (0, 50, 20):
        reader.begin(from_s * SECOND_NS)
        batch = await reader.take()
        assert batch is not None
        assert batch.elapsed_ns[0] == from_s * SECOND_NS
    reader.close()
    assert await reader.take() is None


async def test_a_reader_can_be_closed_while_a_batch_is_waited_for(tmp_path: Path) -> None:
    reader = ReadAhead(Programme([session(tmp_path, [message(0)])], ReplayOptions()), None, None)
    reader.begin(0)
    waiting = asyncio.create_task(reader.take())
    await asyncio.sleep(0)
    reader.close()
    assert await waiting is not None
    assert await reader.take() is None


async def test_the_end_comes_as_often_as_it_is_asked_for(tmp_path: Path) -> None:
    reader = ReadAhead(Programme([session(tmp_path, [message(0)])], ReplayOptions()), None, None)
    reader.begin(0)
    assert await reader.take() is not None
    assert [await reader.take() for _ in range(3)] == [None] * 3
    reader.close()


async def test_payloads_are_framed_where_they_need_no_rewriting(tmp_path: Path) -> None:
    store = session(tmp_path, [message(0), message(1)])
    plain = next(Programme([store], ReplayOptions()).batches(0, None, None))
    assert plain is not None
    frames, start, stop = plain.frames(1, 2, 0)
    assert (len(frames), start, stop) == (2, 1, 2)
    restamped = next(Programme([store], ReplayOptions(restamp=True)).batches(0, None, None))
    assert restamped is not None
    frames, start, stop = restamped.frames(1, 2, STARTED_NS + SECOND_NS)
    assert (len(frames), start, stop) == (1, 0, 1)
    payload = bytes(frames.wire(0, 1))[2:]
    assert json.loads(payload)["ts"] == json.loads(message(1).text or "")["ts"]
