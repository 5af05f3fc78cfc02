"""A session with stand-ins for what must not be seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs.example import add_session
from tests.store.sessions import duckdb_sink, fill
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.stand_ins import StandIns
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.jobs.new_session import Target
from wsrecorder.jobs.progress import Progress
from wsrecorder.jobs.redact import Redacted, RedactOptions, redact
from wsrecorder.jobs.verify import verify
from wsrecorder.store.manifest import Health, Identity
from wsrecorder.store.schema import from_rows
from wsrecorder.store.sink import DuckDbSink

STAND_INS = StandIns(b"a secret of the tests")


def redacted(session: Session, **options: Any) -> tuple[Session, Redacted]:
    target = Target(library=session.path.parent / "redacted")
    outcome = redact(session, RedactOptions(target=target, stand_ins=STAND_INS, **options))
    made = open_session(outcome.made.path)
    assert verify(made.store).findings == []
    return made, outcome


def written(file: Path, *events: Event, **identity: Any) -> Session:
    sink = DuckDbSink(file, Identity(id="x", name="x", started_ns=1, **identity))
    sink.append(from_rows(list(events)))
    sink.close(Health())
    return open_session(file)


def test_values_are_replaced_and_all_else_stays(tmp_path: Path) -> None:
    session = open_session(add_session(tmp_path, messages=600))
    made, outcome = redacted(session, paths=("data.order.id", "data.signals.correlation_id", "data.nothing"))
    ids: dict[str, str] = {}
    for before, after in zip(session.events(), made.events(), strict=True):
        if before.text != after.text:
            assert before.text is not None
            assert after.text is not None
            plain, hidden = json.loads(before.text)["data"], json.loads(after.text)["data"]
            if "order" in plain:
                value, stand_in = plain["order"]["id"], hidden["order"]["id"]
                assert ids.setdefault(value, stand_in) == stand_in, "the same value has the same stand-in"
                assert after.text == before.text.replace(f'"id": "{value}"', f'"id": "{stand_in}"', 1)
        assert before.elapsed_ns == after.elapsed_ns
        assert (before.seq, before.kind, before.received_ns, before.type, before.sent_at_us, before.detail) == (
            after.seq, after.kind, after.received_ns, after.type, after.sent_at_us, after.detail,
        )  # fmt: skip
    assert len(ids) == len(set(ids.values())) > 10
    assert outcome.hits["data.order.id"] > len(ids)
    assert outcome.hits["data.nothing"] == 0
    assert outcome.unparsed == 0, "a bare NaN is no reason to worry"
    [origin] = made.store.manifest().identity.derived_from
    assert (origin.verb, origin.session, origin.paths[0]) == ("redact", session.info.id, "data.order.id")


def test_columns_that_are_read_from_payloads_follow(tmp_path: Path) -> None:
    text = '{"type":"SECRET","ts":1764000000000}'
    event = Event(0, Kind.MESSAGE, 0, Direction.IN, 1, 2, "SECRET", 1_764_000_000_000_000, text)
    frame = Event(1, Kind.MESSAGE, 0, Direction.IN, 1, 2, "B", None, binary=b'{"type":"B","k":1}')
    made, _ = redacted(written(tmp_path / "x.duckdb", event, frame), paths=("type", "ts"))
    found, binary = made.events()
    assert found.type == STAND_INS.of("SECRET")
    assert found.sent_at_us is None
    assert binary.binary == b'{"type":"%s","k":1}' % STAND_INS.of("B").encode()
    assert "SECRET" not in repr(made.store.manifest())


def test_headers_and_queries_are_replaced_in_marks_and_manifest(tmp_path: Path) -> None:
    detail = json.dumps({"url": "ws://h/p?id=7&x=1", "headers": {"Cookie": "c"}})
    mark = Event(0, Kind.OPEN, 0, Direction.IN, 1, 2, detail=detail)
    bare = Event(1, Kind.NOTE, 0, Direction.IN, 1, 2)
    session = written(tmp_path / "x.duckdb", mark, bare, feed="ws://h/p?id=7&x=1", path="/p?id=7")
    made, _ = redacted(session, headers=("cookie",), queries=("id",))
    stand_in = STAND_INS.of("7")
    found, _ = made.events()
    assert json.loads(found.detail or "") == {
        "url": f"ws://h/p?id={stand_in}&x=1",
        "headers": {"Cookie": STAND_INS.of("c")},
    }
    identity = made.store.manifest().identity
    assert (identity.feed, identity.path) == (f"ws://h/p?id={stand_in}&x=1", f"/p?id={stand_in}")
    assert identity.derived_from[0].paths == ("header cookie", "query id")


def test_payloads_that_are_no_json_are_kept_and_counted_or_refused(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 200)
    session = open_session(sink.path)
    made, outcome = redacted(session, paths=("n",))
    assert outcome.unparsed == sum(
        event.kind is Kind.MESSAGE and not (event.text or "").startswith("{") for event in session.events()
    )
    assert [event.binary for event in made.events()] == [event.binary for event in session.events()]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SessionError, match="holds a payload that is no JSON, one of the 200 events from 0 on"):
        redacted(session, paths=("n",), fail_on_unparsed=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_to_redact_is_refused(tmp_path: Path) -> None:
    session = open_session(add_session(tmp_path, messages=10))
    with pytest.raises(UsageError, match="nothing is to be redacted"):
        redacted(session)
    with pytest.raises(UsageError, match="empty part"):
        redacted(session, paths=("a..b",))
    told: list[Progress] = []
    redact(session, RedactOptions(target=Target(library=tmp_path), stand_ins=STAND_INS, paths=("a",)), told.append)
    assert told[-1].share == 1.0
