"""A part of a session as a session of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from docs.example import add_crashed, add_note, add_session
from wsrecorder.analysis.session import Session, open_session
from wsrecorder.core.event import Event, Kind
from wsrecorder.errors import SegmentDamaged, SessionNotFound, StorageError, UsageError
from wsrecorder.jobs.new_session import Target
from wsrecorder.jobs.progress import Progress
from wsrecorder.jobs.trim import TrimOptions, trim
from wsrecorder.jobs.verify import verify
from wsrecorder.store.notes import NoteBook

S = 1_000_000_000


@pytest.fixture
def session(tmp_path: Path) -> Session:
    path = add_session(tmp_path / "lib", messages=900, lose_at=500, segment_bytes=60_000)
    add_note(path, "early", 2)
    add_note(path, "within", 20)
    return open_session(path)


def trimmed(session: Session, **options: Any) -> Session:
    target = Target(library=session.path.parent, name=options.pop("name", None), into=options.pop("into", None))
    made = open_session(trim(session, TrimOptions(target=target, **options)).path)
    assert verify(made.store).findings == []
    return made


def content(event: Event) -> tuple[Any, ...]:
    detail = event.detail if event.kind is not Kind.GAP else None  # its span moves along
    return event.kind, event.conn, event.direction, event.received_ns, event.type, event.text, event.binary, detail


@pytest.mark.parametrize("into", [None, "x.duckdb"])
def test_a_window_holds_what_came_in_it_and_begins_there(session: Session, into: str | None) -> None:
    found = trimmed(session, start="10s", end="40s", into=session.path.parent / into if into else None)
    wanted = [event for event in session.events() if 10 * S <= event.elapsed_ns < 40 * S]
    events = list(found.events())
    assert [content(event) for event in events] == [content(event) for event in wanted]
    assert [event.elapsed_ns for event in events] == [event.elapsed_ns - 10 * S for event in wanted]
    assert {Kind.CLOSE, Kind.GAP, Kind.OPEN} <= {event.kind for event in events}
    assert [event.seq for event in events] == list(range(len(events)))
    was, now = session.store.manifest().identity, found.store.manifest().identity
    assert (now.started_ns, now.name, now.feed) == (was.started_ns + 10 * S, "engine-trimmed", was.feed)


def test_the_whole_is_the_session_again(session: Session) -> None:
    assert list(trimmed(session).events()) == list(session.events())


def test_filters_choose_among_messages_and_marks_stay(session: Session) -> None:
    marks = [event for event in session.events() if event.kind is not Kind.MESSAGE]
    found = list(trimmed(session, types=("SIGNAL", "it's")).events())
    assert [event for event in found if event.kind is not Kind.MESSAGE] != []
    assert len([event for event in found if event.kind is not Kind.MESSAGE]) == len(marks)
    assert {event.type for event in found} == {"SIGNAL", None}
    found = list(trimmed(session, exclude=("SIGNAL",)).events())
    assert len(found) == sum(event.type != "SIGNAL" for event in session.events())
    found = list(trimmed(session, where="payload->>'$.data.order.symbol' = 'BTC/USDT' or false -- x").events())
    assert {event.type for event in found if event.type} <= {"ORDER_PLACED", "ORDER_UPDATED", "ORDER_CANCELED"}
    assert len([event for event in found if event.kind is not Kind.MESSAGE]) == len(marks)


def test_it_says_where_it_comes_from(session: Session) -> None:
    options = {"start": "10s", "end": "40s", "types": ("SIGNAL",), "where": "seq > 3"}
    [origin] = trimmed(session, **options).store.manifest().identity.derived_from
    assert (origin.verb, origin.session, origin.shift_ns) == ("trim", session.info.id, -10 * S)
    assert (origin.from_ns, origin.to_ns, origin.types, origin.where) == (10 * S, 40 * S, ("SIGNAL",), "seq > 3")
    made = trimmed(session, name="again")
    (made.path / "session.json").unlink()
    assert made.store.manifest().identity.derived_from[0].session == session.info.id, "the segments say so too"


def test_notes_of_the_window_go_along(session: Session) -> None:
    [note] = NoteBook(trimmed(session, start="10s", end="40s").path).all()
    [_, was] = NoteBook(session.path).all()
    assert (note.text, note.elapsed_ns, note.received_ns, note.made_at_ns) == (
        "within", 10 * S, was.received_ns, was.made_at_ns,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "1h"}, "outside the session"),
        ({"start": "20s", "end": "10s"}, "is not after"),
        ({"types": ("NO_SUCH",)}, "no message of .* would be left"),
        ({"start": "100ms", "end": "101ms"}, "no event of .* would be left"),
        ({"where": "seq >"}, "syntax error"),
        ({"where": "true) or (true"}, "(?i)error"),
        ({"into": "x.db"}, "is no name of a DuckDB session"),
        ({"name": "///"}, "holds no letter or digit"),
    ],
)
def test_what_cannot_be_leaves_nothing(session: Session, options: dict[str, Any], message: str) -> None:
    library = session.path.parent
    if "into" in options:
        options = options | {"into": library / options["into"]}
    before = sorted(library.rglob("*"))
    with pytest.raises(UsageError, match=message):
        trimmed(session, **options)
    assert sorted(library.rglob("*")) == before


def test_a_file_that_is_there_is_not_written_over(session: Session) -> None:
    into = session.path.parent / "x.duckdb"
    into.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already"):
        trimmed(session, into=into)
    assert into.read_bytes() == b"mine"


def test_two_parts_of_one_moment_get_names_of_their_own(session: Session) -> None:
    paths = {trimmed(session, name="x").path.name for _ in range(3)}
    assert paths == {"20261123T191500Z-x", "20261123T191500Z-x-2", "20261123T191500Z-x-3"}


def test_a_session_that_was_never_sealed_gives_what_is_there(tmp_path: Path) -> None:
    session = open_session(add_crashed(tmp_path))
    assert list(trimmed(session).events()) == list(session.events())


def test_damage_half_way_leaves_nothing(session: Session) -> None:
    library = session.path.parent
    (session.path / "events" / "000001.parquet").write_bytes(b"PAR1")
    with pytest.raises(SegmentDamaged):
        trimmed(session)
    assert [path.name for path in library.iterdir()] == [session.path.name]


def test_a_name_that_is_taken_meanwhile_is_not_written_over(session: Session) -> None:
    library = session.path.parent
    taken = library / "20261123T191500Z-x"

    def take(_: Progress) -> None:
        shutil.copytree(session.path, taken, dirs_exist_ok=True)

    with pytest.raises(StorageError, match="came into being meanwhile"):
        trim(session, TrimOptions(target=Target(library=library, name="x")), take)
    assert {path.name for path in library.iterdir()} == {session.path.name, taken.name}


def test_progress_is_told_and_reaches_the_whole(session: Session) -> None:
    told: list[Progress] = []
    trim(session, TrimOptions(target=Target(library=session.path.parent)), told.append)
    assert told[-1] == Progress(session.info.events, 1.0)
    assert [step.events for step in told] == sorted(step.events for step in told)


def test_no_such_session(tmp_path: Path) -> None:
    with pytest.raises(SessionNotFound):
        open_session("nothing", library=tmp_path)
