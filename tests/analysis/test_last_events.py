"""The last events before any place are those that a plain look through all events finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docs.example import MONDAY, sink
from tests.analysis.truths import record_engine
from wsrecorder.analysis import last_events
from wsrecorder.analysis.last_events import LastEvent, LastEvents
from wsrecorder.analysis.where import Where
from wsrecorder.core.entity_key import entity_key
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows, iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_events, "CHUNK_EVENTS", 64)


@pytest.fixture(scope="module", params=["parquet", "duckdb", "growing"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    into = "x.duckdb" if request.param == "duckdb" else None
    return record_engine(tmp_path_factory.mktemp("x"), 3, cycles=300, into=into, live=request.param == "growing").store


def all_events(store: Store) -> list[Event]:
    return [each for rows in store.batches(Selection()) for each in iter_events(rows)]


def expected(events: list[Event], seq: int, keeps: Any = lambda event: True) -> list[LastEvent]:
    last: dict[tuple[str | None, str], LastEvent] = {}
    for each in events[:seq]:
        if each.kind is Kind.MESSAGE and each.direction is Direction.IN and keeps(each):
            key = "" if each.text is None else entity_key(each.payload or b"")
            last[each.type, key] = LastEvent(each.seq, each.elapsed_ns, each.type, key)
    return sorted(last.values())


@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_before_any_place_in_any_order_of_asking(store: Store, data: st.DataObject) -> None:
    events = all_events(store)
    index = LastEvents(store)
    if data.draw(st.booleans()):
        while index.advance(len(events)):
            pass
    for seq in data.draw(st.lists(st.integers(0, len(events)), min_size=1, max_size=4)):
        assert index.before(seq) == expected(events, seq)


def test_checkpoints_are_thinned_and_answers_stay_right(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_events, "_MOST_CHECKPOINTS", 3)
    events = all_events(store)
    index = LastEvents(store)
    while index.advance(len(events)):
        pass
    assert len(index._checkpoints) <= 3
    for seq in (0, 1, 63, 64, 65, 200, 256, 300, len(events)):
        assert index.before(seq) == expected(events, seq)


def test_before_a_moment(store: Store) -> None:
    events = all_events(store)
    index = LastEvents(store)
    middle = events[len(events) // 2]
    assert index.before_time(0) == []
    assert index.before_time(middle.elapsed_ns) == expected(events, middle.seq)
    assert index.before_time(middle.elapsed_ns + 1) == expected(events, middle.seq + 1)
    assert index.before_time(events[-1].elapsed_ns + 1) == expected(events, len(events))


def test_what_is_not_played_does_not_count(store: Store) -> None:
    events = all_events(store)
    index = LastEvents(store, exclude={"SIGNAL"}, where=Where("seq % 3 <> 0"))
    found = index.before(len(events))
    assert found == expected(events, len(events), lambda each: each.seq % 3 and each.type != "SIGNAL")


def test_of_too_many_entities_those_not_heard_of_for_longest_are_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_events, "MOST_KEYS", 30)
    monkeypatch.setattr(last_events, "_LAST", last_events._LAST.replace("LIMIT 5001", "LIMIT 31"))
    events = all_events(store)
    found = LastEvents(store).before(len(events))
    whole = expected(events, len(events))
    nameless = [each for each in whole if not each.key]
    named = [each for each in whole if each.key]
    assert found == sorted([*nameless, *named[-(30 - len(nameless)) :]])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text('aB1 é€"'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "symbol", "x"]), inner),
    max_leaves=6,
)
DATA = st.dictionaries(st.sampled_from(["order", "position", "position_id", "signals", "symbol"]), JSON)
TEXTS = st.one_of(
    DATA.map(lambda data: json.dumps({"data": data})),
    DATA.map(lambda data: json.dumps(data, ensure_ascii=False)),
    st.sampled_from(["", "{", "NaN", "[]", '{"data": {"symbol": "X", "n": NaN}}', '"text"']),
)


@given(texts=st.lists(TEXTS, min_size=1, max_size=20))
@settings(max_examples=25, deadline=None)
def test_the_key_is_that_of_the_core_whatever_the_payload(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    target = sink(tmp_path_factory.mktemp("any"), "any", MONDAY)
    target.append(
        from_rows(
            [Event(seq, Kind.MESSAGE, 0, Direction.IN, seq, seq, "T", None, text) for seq, text in enumerate(texts)]
        )
    )
    target.close(Health())
    store = open_store(target.path)
    assert LastEvents(store).before(len(texts)) == expected(all_events(store), len(texts))


def test_binary_frames_and_marks_do_no_harm(tmp_path: Path) -> None:
    target = sink(tmp_path, "mixed", MONDAY)
    rows = [
        Event(0, Kind.OPEN, 0, Direction.IN, 0, 0, detail="{}"),
        Event(1, Kind.MESSAGE, 0, Direction.IN, 1, 1, None, None, None, b"\xff\xfe"),
        Event(2, Kind.MESSAGE, 0, Direction.OUT, 2, 2, "T", None, "{}"),
        Event(3, Kind.MESSAGE, 0, Direction.IN, 3, 3, None, None, None, b"\x00"),
    ]
    target.append(from_rows(rows))
    target.close(Health())
    assert LastEvents(open_store(target.path)).before(4) == [LastEvent(3, 3, None, "")]
