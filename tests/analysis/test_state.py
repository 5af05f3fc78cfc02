"""The state at a moment: the same however it is found, from a recording or from its replay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.example import MONDAY, add_crashed, add_session, sink
from tests.core.test_projection import registered  # noqa: F401 - a fixture
from tests.jobs.replays import listen, message, numbered, session, until
from wsrecorder.analysis import state as module
from wsrecorder.analysis.messages import messages
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.analysis.state import state_at
from wsrecorder.clock import VirtualClock
from wsrecorder.core.dialect import ENGINE, EnvelopeReader
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.projection import OPEN_ORDERS, advance, initial_states, projections, register
from wsrecorder.errors import UsageError
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import from_rows

FIXTURES = Path(__file__).parents[2] / "fixtures"
MOMENTS = ("0s", "1s", "9730ms", "20s", "41s", "-100ms")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Session:
    library = tmp_path_factory.mktemp("library")
    return Session(open_session(add_session(library, messages=1_200, lose_at=700, segment_bytes=60_000)).store)


def folded_in_full(session: Session, until_ns: int) -> dict[str, Any]:
    states = initial_states()
    for event in messages(session.store, end_ns=until_ns + 1):
        states = advance(states, event)
    return states


@pytest.fixture(params=[30_000, 100, 7])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "_WINDOW_EVENTS", request.param)
    return int(request.param)


@pytest.mark.parametrize("at", MOMENTS)
def test_looking_back_gives_what_folding_everything_gives(engine: Session, at: str, window: int) -> None:
    found = state_at(engine, at)
    everything = folded_in_full(engine, found.elapsed_ns)
    assert (
        found.to_dict()
        == module.StateAt(found.session, found.elapsed_ns, found.received_ns, found.events, everything).to_dict()
    )


def test_the_end_needs_only_the_end(engine: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WINDOW_EVENTS", 100)
    assert 0 < state_at(engine).events < 300


def test_without_a_list_everything_counts(tmp_path: Path) -> None:
    texts = [f'{{"data": {{"order": {{"id": "o{n}", "status": "open"}}}}}}' for n in range(50)]
    store = session(tmp_path, [message(n, "ORDER_PLACED", text=text) for n, text in enumerate(texts)], batch=10)
    found = state_at(Session(store), "30s")
    assert [each.id for each in found.states["orders"].orders] == [f"o{n}" for n in range(31)]


def test_payloads_of_types_that_no_fold_reads_are_never_looked_at(engine: Session) -> None:
    read = {name for each in projections().values() for name in each.types}
    seen = set()

    def note(state: None, event: Event) -> None:
        seen.add(event.type)

    mine = register("notes", note, None, ["SIGNAL"])
    state_at(engine, among=[mine])
    assert seen == {"SIGNAL"}
    assert "SIGNAL" not in read


def test_the_moment_itself_counts(tmp_path: Path) -> None:
    texts = [json.dumps({"data": {"state": name, "running": True}}) for name in ("idle", "scanning")]
    store = session(tmp_path, [message(n, "ENGINE_UPDATE", text=text) for n, text in enumerate(texts)])
    assert state_at(Session(store), "999ms").states["engine"].state == "idle"
    assert state_at(Session(store), "1s").states["engine"].state == "scanning"
    assert state_at(Session(store), "2025-11-24T16:00:01Z").states["engine"].state == "scanning"


def test_what_was_printed_of_the_last_moment_leads_back_to_it(engine: Session) -> None:
    end = state_at(engine)
    assert state_at(engine, str(end.to_dict()["at"])).to_dict()["orders"] == end.to_dict()["orders"]


@pytest.mark.parametrize("at", ["-1h", "1h", "2020-01-01", "soon"])
def test_a_moment_outside_is_refused(engine: Session, at: str) -> None:
    with pytest.raises(UsageError):
        state_at(engine, at)


@pytest.mark.parametrize("name", ["20261124T060000Z-parquet-v1", "duckdb-v1.duckdb", "20261124T060000Z-cut-v1"])
def test_fixtures_have_a_state(name: str) -> None:
    found = state_at(open_session(FIXTURES / name))
    assert found.states["engine"].state is not None
    assert found.states["scan"].candidates
    json.dumps(found.to_dict(), allow_nan=False)


def test_all_forms_of_a_session_have_the_same_state() -> None:
    forms = [open_session(FIXTURES / name) for name in ("20261124T060000Z-parquet-v1", "duckdb-v1.duckdb")]
    for at in ("5s", "12s", None):
        one, other = (state_at(form, at).to_dict() for form in forms)
        del one["session"], other["session"]
        assert one == other


def test_a_session_cut_short_has_a_state(tmp_path: Path) -> None:
    session = open_session(add_crashed(tmp_path, messages=200))
    found = state_at(session)
    assert found.states == folded_in_full(session, found.elapsed_ns)


def odd_sessions() -> Iterator[Any]:
    yield pytest.param([], id="empty")
    yield pytest.param([message(0, "ENGINE_UPDATE")], id="one event")
    yield pytest.param([message(n, "NEVER_SEEN") for n in range(3)], id="types never seen")
    texts = ["[1, 2]", "5", "{", "", "null", '{"data": []}', '{"data": {"orders": 5, "positions": {}}}', "NaN"]
    types = sorted({name for each in projections().values() for name in each.types})
    odd = [message(0, name, text=text) for name in types for text in texts]
    yield pytest.param(odd, id="other shapes")
    yield pytest.param([message(0, name, text=None, binary=b"\xff\x00") for name in types], id="binary")
    yield pytest.param([message(0, name, sent_at_us=None) for name in types], id="no ts")


@pytest.mark.parametrize("events", list(odd_sessions()))
def test_odd_sessions_have_an_honestly_empty_state(tmp_path: Path, events: list[Event]) -> None:
    target = sink(tmp_path, "odd", MONDAY)
    if events:
        target.append(from_rows(numbered(events)))
    target.close(Health())
    assert state_at(open_session(target.path)).states == initial_states()


def test_sender_clocks_that_run_backwards_make_no_difference(tmp_path: Path) -> None:
    def update(at: int, name: str, sent_ms: int) -> Event:
        text = json.dumps({"data": {"state": name, "running": True, "timestamp": sent_ms}})
        return message(at, "ENGINE_UPDATE", text=text, sent_at_us=sent_ms * 1_000)

    store = session(tmp_path, [update(0, "idle", 9_000_000_000), update(1, "scanning", 1_000)])
    status = state_at(Session(store)).states["engine"]
    assert (status.state, status.since_ms) == ("scanning", 1_000)


@pytest.mark.parametrize("at", ["5s", "23s", "50s"])
async def test_a_replay_folds_to_the_same_state_at_the_same_moment(engine: Session, at: str) -> None:
    reader = EnvelopeReader(ENGINE)
    states = initial_states()
    recorded = state_at(engine, at)
    # A replay ends before its end; a state counts the moment itself.
    end = parse_moment(f"{recorded.elapsed_ns + 1}ns")
    options = ReplayOptions(port=0, end=end, verbatim=True, wait_for=1)
    async with Replay([engine.store], options, VirtualClock()) as running:
        listener = await listen(running.url)
        await running.finished.wait()
        expected = sum(1 for _ in messages(engine.store, end_ns=recorded.elapsed_ns + 1))
        await until(lambda: len(listener.frames) >= expected)
    for payload in listener.payloads:
        type_, sent_at_us = reader.read(payload)
        heard = Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, type=type_, sent_at_us=sent_at_us, text=payload.decode())
        states = advance(states, heard)
    plain = module.StateAt(recorded.session, recorded.elapsed_ns, recorded.received_ns, recorded.events, states)
    assert plain.to_dict() == recorded.to_dict()


def test_one_projection_can_be_asked_for(engine: Session) -> None:
    assert list(state_at(engine, among=[OPEN_ORDERS]).states) == ["orders"]
    assert state_at(engine, among=[]).states == {}
