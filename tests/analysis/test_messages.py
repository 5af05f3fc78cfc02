"""Messages of a session: only frames from the server, only what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.replays import SECOND_NS, duckdb_session, message, session
from wsrecorder.analysis.messages import messages
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.store.session import Store


@pytest.fixture(params=[session, duckdb_session])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    events = [message(n, "AB"[n % 2]) for n in range(6)]
    events.append(message(6, "A", direction=Direction.OUT))
    events.append(message(7, "A", text=None, binary=b"{}"))
    events.append(message(8, kind=Kind.NOTE, type=None, text=None, detail="{}", sent_at_us=None))
    found: Store = request.param(tmp_path, events)
    return found


def seqs(store: Store, **wanted: object) -> list[int]:
    return [event.seq for event in messages(store, **wanted)]  # type: ignore[arg-type]


def test_what_the_server_sent_is_yielded_in_order(store: Store) -> None:
    assert seqs(store) == [0, 1, 2, 3, 4, 5, 7]


def test_only_what_was_asked_for_is_yielded(store: Store) -> None:
    assert seqs(store, types=["A"]) == [0, 2, 4, 7]
    assert seqs(store, exclude=["A"]) == [1, 3, 5]
    assert seqs(store, from_seq=3, end_ns=5 * SECOND_NS) == [3, 4]
    assert seqs(store, start_ns=5 * SECOND_NS) == [5, 7]


def test_events_have_what_answers_need(store: Store) -> None:
    expected = message(1, "B")
    found = list(messages(store))
    assert isinstance(found[1], Event)
    for name in ("elapsed_ns", "received_ns", "type", "sent_at_us", "text", "binary"):
        assert getattr(found[1], name) == getattr(expected, name)
    assert found[-1].payload == b"{}"
