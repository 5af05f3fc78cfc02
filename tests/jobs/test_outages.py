"""What is read of recorded outages: when, how long, and how the connection ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.replays import SECOND_NS, STARTED_NS, duckdb_session, identity, message, session
from wsrecorder.core.event import Event, Kind
from wsrecorder.jobs.outages import Outage, read_outages


def mark(kind: Kind, at_s: float, detail: Any = None, started_ns: int = STARTED_NS) -> Event:
    text = None if detail is None else json.dumps(detail)
    return message(at_s, kind=kind, type=None, text=None, detail=text, started_ns=started_ns)


def closed(at_s: float, code: Any = 1012, reason: str = "", started_ns: int = STARTED_NS) -> Event:
    return mark(Kind.CLOSE, at_s, {"code": code, "reason": reason, "cause": "test"}, started_ns)


@pytest.mark.parametrize("form", [session, duckdb_session])
def test_an_outage_lasts_until_the_next_connection_is_open(tmp_path: Path, form: Any) -> None:
    events = [
        mark(Kind.OPEN, 0, {}),
        message(1),
        closed(2, 1012, "bye"),
        mark(Kind.GAP, 5, {"cause": "test"}),
        mark(Kind.OPEN, 5, {}),
        message(6),
        closed(7, 1006),
    ]
    assert read_outages([form(tmp_path, events)]) == [
        Outage(2 * SECOND_NS, 3 * SECOND_NS, 1012, "bye"),
        Outage(7 * SECOND_NS, 0, 1006, ""),
    ]


def test_two_closes_in_a_row_are_two_outages(tmp_path: Path) -> None:
    found = read_outages([session(tmp_path, [message(0), closed(1), closed(2), mark(Kind.OPEN, 4, {})], batch=1)])
    assert [(outage.elapsed_ns, outage.length_ns) for outage in found] == [
        (SECOND_NS, 0),
        (2 * SECOND_NS, 2 * SECOND_NS),
    ]


def test_outages_of_several_sessions_are_in_the_order_of_time(tmp_path: Path) -> None:
    later_ns = STARTED_NS + SECOND_NS
    first = session(tmp_path, [message(0), closed(3), mark(Kind.OPEN, 4)])
    rows = [message(0, started_ns=later_ns), closed(1, started_ns=later_ns), mark(Kind.OPEN, 5, None, later_ns)]
    second = session(tmp_path, rows, who=identity("other", later_ns))
    found = read_outages([first, second])
    assert [(outage.elapsed_ns, outage.length_ns) for outage in found] == [
        (2 * SECOND_NS, 4 * SECOND_NS),
        (3 * SECOND_NS, SECOND_NS),
    ]


def test_while_another_connection_is_there_it_is_no_outage(tmp_path: Path) -> None:
    opens = [message(0, kind=Kind.OPEN, type=None, text=None, conn=conn, detail="{}") for conn in (0, 1)]
    closes = [
        message(at_s, kind=Kind.CLOSE, type=None, text=None, conn=conn, detail='{"code": 1001}')
        for at_s, conn in ((1, 0), (2, 1))
    ]
    found = read_outages([session(tmp_path, [*opens, *closes, mark(Kind.OPEN, 5)])])
    assert found == [Outage(2 * SECOND_NS, 3 * SECOND_NS, 1001, "")]


@pytest.mark.parametrize(
    ("code", "sent"),
    [(1000, 1000), (1005, 1000), (1006, 1006), (1015, 1006), (2000, 1006), (4001, 4001), (None, 1006), ("x", 1006)],
)
def test_a_code_that_cannot_be_sent_becomes_what_is_nearest(tmp_path: Path, code: Any, sent: int) -> None:
    [outage] = read_outages([session(tmp_path, [message(0), closed(1, code)])])
    assert outage.code == sent
