"""Several sessions as one: by time, or as recordings of one feed that fill each other's gaps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from docs.example import add_crashed, add_session
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.core.dialect import ENGINE, Dialect
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import UsageError
from wsrecorder.jobs.merge import Merged, MergeOptions, merge
from wsrecorder.jobs.new_session import Target
from wsrecorder.jobs.progress import Progress
from wsrecorder.jobs.verify import verify
from wsrecorder.store.manifest import Health, Identity
from wsrecorder.store.schema import from_rows
from wsrecorder.store.sink import DuckDbSink

MS = 1_000_000
S = 1_000 * MS
BEGAN_NS = 1_764_000_000 * S


def write(path: Path, events: Sequence[Event], *, ahead_ns: int = 0, **identity: Any) -> Session:
    """Write a session whose events have the times of the feed; its recorder's clock is ahead."""
    began_ns = events[0].received_ns if events else BEGAN_NS
    what = Identity(
        **{"id": path.stem, "name": path.stem, "feed": "ws://feed/ws/", "started_ns": began_ns + ahead_ns} | identity
    )
    sink = DuckDbSink(path.with_suffix(".duckdb"), what)
    placed = [
        msgspec.structs.replace(
            event, seq=seq, elapsed_ns=event.received_ns - began_ns, received_ns=event.received_ns + ahead_ns
        )
        for seq, event in enumerate(events)
    ]
    if placed:
        sink.append(from_rows(placed))
    sink.close(Health())
    return open_session(sink.path)


def mark(kind: Kind, at_ns: int, conn: int = 0, **detail: Any) -> Event:
    return Event(0, kind, conn, Direction.IN, 0, BEGAN_NS + at_ns, detail=json.dumps(detail))


def frame(text: str, at_ns: int, conn: int = 0, type_: str | None = "T", direction: Direction = Direction.IN) -> Event:
    return Event(0, Kind.MESSAGE, conn, direction, 0, BEGAN_NS + at_ns, type=type_, text=text)


def recorded(count: int, away: Sequence[tuple[int, int]], late_ns: int = 0) -> list[Event]:
    """Return what a recorder sees of a feed of one message every 10 ms, every third the same as all others of these."""
    found, conn = [mark(Kind.OPEN, late_ns, url="ws://feed/ws/")], 0
    left_ns: int | None = None
    for number in range(count):
        at_ns = (number + 1) * 10 * MS + late_ns
        if any(start <= number < stop for start, stop in away):
            if left_ns is None:
                left_ns = at_ns - 9 * MS
                found.append(mark(Kind.CLOSE, left_ns, conn, code=1006, reason="", cause="lost"))
            continue
        if left_ns is not None:
            back_ns = at_ns - MS
            found.append(mark(Kind.GAP, back_ns, conn, cause="lost", from_ns=left_ns, to_ns=back_ns))
            conn += 1
            found.append(mark(Kind.OPEN, back_ns, conn, url="ws://feed/ws/"))
            left_ns = None
        found.append(frame(text_of(number), at_ns, conn))
    return found


def text_of(number: int) -> str:
    return "again" if number % 3 == 0 else f"message {number}"


def merged(*sessions: Session, same_feed: bool = False, **target: Any) -> tuple[Session, Merged]:
    target.setdefault("library", sessions[0].path.parent / "merged")
    outcome = merge(sessions, MergeOptions(target=Target(**target), same_feed=same_feed))
    session = open_session(outcome.made.path)
    assert verify(session.store).findings == []
    return session, outcome


def texts(session: Session) -> list[str | None]:
    return [event.text for event in session.events() if event.kind is Kind.MESSAGE]


def test_sessions_are_merged_by_time_and_nothing_is_left_out(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [mark(Kind.OPEN, 0), frame("a", 1 * S), frame("c", 3 * S), frame("e", 5 * S)])
    other = write(
        tmp_path / "other",
        [
            mark(Kind.OPEN, 2 * S, 0), frame("b", 2 * S), mark(Kind.CLOSE, 4 * S, 0),
            mark(Kind.GAP, 6 * S, 0, cause="x", from_ns=2 * S, to_ns=4 * S), mark(Kind.OPEN, 6 * S, 1),
            frame("f", 6 * S, 1),
        ],
        feed="ws://other/ws/",
    )  # fmt: skip
    session, outcome = merged(one, other)
    events = list(session.events())
    assert texts(session) == ["a", "b", "c", "e", "f"]
    assert [event.elapsed_ns for event in events if event.text] == [1 * S, 2 * S, 3 * S, 5 * S, 6 * S]
    assert len({event.conn for event in events if event.kind is Kind.OPEN}) == 3, "connections are told apart"
    assert {event.text: event.conn for event in events if event.text in ("a", "c", "e")} == {"a": 0, "c": 0, "e": 0}
    [gap] = [json.loads(event.detail or "") for event in events if event.kind is Kind.GAP]
    assert (gap["from_ns"], gap["to_ns"]) == (4 * S, 6 * S), "its span is told by the new session's time"
    identity = session.store.manifest().identity
    assert identity.feed == "ws://feed/ws/, ws://other/ws/"
    assert [(each.verb, each.session, each.shift_ns) for each in identity.derived_from] == [
        ("merge", "one", 0), ("merge", "other", 2 * S),
    ]  # fmt: skip
    assert outcome.shares is None


@pytest.mark.parametrize("ahead_ns", [0, 3 * S, -47 * MS])
def test_two_recordings_of_one_feed_give_the_whole(tmp_path: Path, ahead_ns: int) -> None:
    one = write(tmp_path / "one", recorded(3_000, [(100, 390), (1_500, 1_501)]))
    other = write(tmp_path / "other", recorded(3_000, [(0, 50), (395, 900), (2_000, 2_900)], MS), ahead_ns=ahead_ns)
    session, outcome = merged(one, other, same_feed=True)
    assert texts(session) == [text_of(number) for number in range(3_000)]
    assert session.info.gaps == 0
    assert session.info.connections == 1
    assert outcome.shares is not None
    assert outcome.shares.filled.doubtful == 0
    assert outcome.shares.alone == {0: 50 + 505 + 900, 1: 291}
    assert outcome.shares.kept.total() == 3_000
    assert outcome.shares.shared == 3_000 - 1_455 - 291
    assert outcome.offsets[1].ahead_ns == ahead_ns + MS, "late and ahead are one, for who only listens"
    events = [event for event in session.events() if event.kind is Kind.MESSAGE]
    # To the millisecond by which its recorder is late.
    assert [event.elapsed_ns for event in events] == [(number + 1) * 10 * MS for number in range(3_000)]
    assert [event.received_ns for event in events] == [BEGAN_NS + (number + 1) * 10 * MS for number in range(3_000)]
    assert [each.clock_ns for each in session.store.manifest().identity.derived_from] == [0, ahead_ns + MS]


def test_where_all_were_away_there_is_a_gap(tmp_path: Path) -> None:
    one = write(tmp_path / "one", recorded(1_000, [(100, 400)]))
    other = write(tmp_path / "other", recorded(1_000, [(300, 600), (800, 900)]))
    third = write(tmp_path / "third", recorded(1_000, [(0, 350), (390, 1_000)]))
    session, outcome = merged(one, other, third, same_feed=True)
    assert texts(session) == [
        text_of(number) for number in range(1_000) if not (300 <= number < 350 or 390 <= number < 400)
    ]
    marks = [event for event in session.events() if event.kind is not Kind.MESSAGE]
    assert [event.kind for event in marks] == [
        Kind.OPEN, Kind.CLOSE, Kind.GAP, Kind.OPEN, Kind.CLOSE, Kind.GAP, Kind.OPEN, Kind.CLOSE,
    ]  # fmt: skip
    spans = [json.loads(event.detail or "") for event in marks if event.kind is Kind.GAP]
    assert [(span["from_ns"], span["to_ns"]) for span in spans] == [
        (3_001 * MS, 3_509 * MS), (3_901 * MS, 4_009 * MS),
    ]  # fmt: skip
    assert {span["cause"] for span in spans} == {"lost"}
    assert outcome.doubtful == 0


def test_heartbeats_of_a_connections_own_are_not_doubled(tmp_path: Path) -> None:
    one, other = ([mark(Kind.OPEN, 0)] for _ in range(2))
    for number in range(200):
        at_ns = (number + 1) * 100 * MS
        for place, events in enumerate((one, other)):
            if number % 10 == 3 + place:
                events.append(frame(f"heartbeat {place} {number}", at_ns - 20 * MS, type_="HEARTBEAT"))
            if place == 0 and 50 <= number < 100:
                if number == 50:
                    events.append(mark(Kind.CLOSE, at_ns - 90 * MS))
                if number == 99:
                    events.append(mark(Kind.OPEN, at_ns + 50 * MS, 1))
                continue
            events.append(frame(f"message {number}", at_ns))
    one = [
        event
        for event in one
        if not ("heartbeat" in (event.text or "") and 5 * S < event.received_ns - BEGAN_NS < 10 * S)
    ]
    sent = frame("subscribe", 1, direction=Direction.OUT)
    one.insert(1, sent)
    other.insert(1, sent)
    session, outcome = merged(write(tmp_path / "one", one), write(tmp_path / "other", other), same_feed=True)
    found = [text for text in texts(session) if text]
    assert [text for text in found if text.startswith("message")] == [f"message {number}" for number in range(200)]
    beats = [text.split()[1] for text in found if text.startswith("heartbeat")]
    assert beats == ["0"] * 5 + ["1"] * 5 + ["0"] * 10
    assert found.count("subscribe") == 1
    assert outcome.shares is not None
    assert outcome.shares.filled.left_out == 15 + 1
    assert outcome.doubtful == 0


def test_a_recorder_that_was_killed_and_started_again_is_two_sessions(tmp_path: Path) -> None:
    before = write(tmp_path / "before", recorded(1_000, [(600, 1_000)])[:-1])
    after = write(tmp_path / "after", [mark(Kind.OPEN, 7_005 * MS), *recorded(1_000, [(0, 700)])[4:]])
    other = write(tmp_path / "other", recorded(1_000, [(100, 200), (900, 950)]), ahead_ns=500 * MS)
    session, outcome = merged(before, after, other, same_feed=True)
    assert texts(session) == [text_of(number) for number in range(1_000)]
    assert [offset.ahead_ns for offset in outcome.offsets] == [0, 0, 500 * MS]


def test_a_session_that_was_never_sealed_gives_what_is_there(tmp_path: Path) -> None:
    crashed = open_session(add_crashed(tmp_path, messages=300))
    whole = open_session(add_session(tmp_path, start=_start(crashed), messages=300))
    session, outcome = merged(crashed, whole, same_feed=True)
    assert texts(session) == texts(whole)
    assert outcome.doubtful == 0


def _start(session: Session) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(session.info.start)


def test_recordings_of_different_feeds_are_all_kept_and_doubted(tmp_path: Path) -> None:
    one = write(tmp_path / "one", [mark(Kind.OPEN, 0), *(frame(f"a{n}", n * S) for n in range(100))])
    other = write(tmp_path / "other", [mark(Kind.OPEN, 0), *(frame(f"b{n}", n * S + 1) for n in range(100))])
    session, outcome = merged(one, other, same_feed=True)
    assert texts(session) == [text for n in range(100) for text in (f"a{n}", f"b{n}")]
    assert outcome.shares is not None
    assert outcome.shares.shared == 0
    assert outcome.doubtful >= 100


@pytest.mark.parametrize("same_feed", [False, True])
def test_what_cannot_be_merged_leaves_nothing(tmp_path: Path, same_feed: bool) -> None:
    one = write(tmp_path / "one", recorded(10, []))
    other = write(tmp_path / "other", recorded(10, []), dialect=Dialect(type_path="e", ts_unit="us"))
    copy = write(tmp_path / "copy", recorded(10, []), id="one", name="one")
    empty, bare = write(tmp_path / "empty", []), write(tmp_path / "bare", [mark(Kind.OPEN, 0)])
    for sessions, message in (
        ([one], "takes two sessions or more"),
        ([one, one], "are the same recording"),
        ([one, copy], "are the same recording"),
        ([one, other], "different dialects: type at type and e, time at ts .ms. and ts .us."),
        ([empty, bare], "none of the sessions holds a message"),
    ):
        with pytest.raises(UsageError, match=message):
            merged(*sessions, same_feed=same_feed)
    assert not (tmp_path / "merged").exists()


def test_a_dialect_may_go_by_another_name(tmp_path: Path) -> None:
    other = write(tmp_path / "other", recorded(10, []), dialect=msgspec.structs.replace(ENGINE, name="own"))
    session, _ = merged(write(tmp_path / "one", recorded(10, [])), other)
    assert session.info.messages == 20


def test_several_connections_at_a_time_are_no_recording_of_a_feed(tmp_path: Path) -> None:
    one = write(tmp_path / "one", recorded(10, []))
    tapped = write(tmp_path / "tap", [mark(Kind.OPEN, 0), mark(Kind.OPEN, 1, 1), frame("a", 2)])
    with pytest.raises(UsageError, match="several connections at a time"):
        merged(one, tapped, same_feed=True)


def test_odd_details_of_marks_are_no_obstacle(tmp_path: Path) -> None:
    events = recorded(20, [])
    for place, detail in ((5, "no JSON"), (9, "[1]")):
        events.insert(place, Event(0, Kind.GAP, 0, Direction.IN, 0, events[place - 1].received_ns, detail=detail))
    session, _ = merged(write(tmp_path / "one", events), write(tmp_path / "other", events[:3]), same_feed=True)
    assert texts(session) == [text_of(number) for number in range(20)]


@pytest.mark.parametrize("same_feed", [False, True])
def test_progress_reaches_the_whole(tmp_path: Path, same_feed: bool) -> None:
    sessions = [write(tmp_path / name, recorded(50, []), started_ns=BEGAN_NS + n) for n, name in enumerate("ab")]
    told: list[Progress] = []
    merge(sessions, MergeOptions(target=Target(library=tmp_path / "lib"), same_feed=same_feed), told.append)
    assert told[-1].share is not None
    assert told[-1].share > 0.98
