"""A library finds the session that is meant, and says so when it cannot tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.sessions import IDENTITY, STARTED_NS, batch, fill
from wsrecorder.core.recorder import Limits
from wsrecorder.errors import SessionNotFound, StorageError, UsageError
from wsrecorder.store.duckdb_file import DuckDbStore
from wsrecorder.store.library import Library, new_id, open_store, safe_name
from wsrecorder.store.manifest import Health, Identity, Origin
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.sink import DuckDbSink, ParquetSink

HOUR_NS = 3_600_000_000_000


def record(library: Library, name: str, *, hours: int = 0) -> Path:
    started_ns = STARTED_NS + hours * HOUR_NS
    session_id, path = library.create(name, started_ns)
    identity = msgspec.structs.replace(IDENTITY, id=session_id, name=name, started_ns=started_ns)
    fill(ParquetSink(path, identity, Limits(), sync=False), 20)
    return path


def record_duckdb(path: Path, *, hours: int = 0) -> Path:
    identity = msgspec.structs.replace(IDENTITY, started_ns=STARTED_NS + hours * HOUR_NS)
    sink = DuckDbSink(path, identity)
    sink.append(batch(5))
    sink.close(Health())
    return path


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "recordings")


# Names


def test_ids_are_utc_start_and_name() -> None:
    assert new_id("engine", STARTED_NS) == "20251124T160000Z-engine"


@pytest.mark.parametrize(
    ("name", "safe"),
    [("engine", "engine"), ("a b/c", "a-b-c"), ("../../etc", "etc"), ("BTC-USD.1m", "BTC-USD.1m"), ("é!x", "x")],
)
def test_names_are_made_safe_for_files(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=200))
def test_no_name_leads_out_of_the_library(name: str) -> None:
    try:
        safe = safe_name(name)
    except UsageError:
        return
    assert Path(safe).name == safe
    assert safe not in (".", "..")
    assert len(safe) <= 64


@pytest.mark.parametrize("name", ["", "…", "/", "..", "-"])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no letter or digit"):
        safe_name(name)


def test_two_of_one_name_in_one_second_have_two_folders(library: Library) -> None:
    ids = [library.create("engine", STARTED_NS)[0] for _ in range(3)]
    assert ids == ["20251124T160000Z-engine", "20251124T160000Z-engine-2", "20251124T160000Z-engine-3"]
    assert all((library.path / session_id / EVENTS_FOLDER).is_dir() for session_id in ids)


def test_a_library_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("")
    library = Library(tmp_path / "recordings")
    with pytest.raises(StorageError):
        library.create("engine", STARTED_NS)
    with pytest.raises(StorageError, match="Not a directory"):
        library.paths()


# Finding


def test_sessions_are_listed_oldest_first_and_nothing_else(library: Library) -> None:
    late, early = record(library, "b", hours=2), record(library, "a", hours=1)
    (library.path / "notes").mkdir()
    (library.path / "notes.txt").write_text("")
    (library.path / ".wsrec-staging").mkdir()
    assert library.paths() == [early, late]
    assert [store.path for store in library.stores()] == [early, late]
    assert Library(library.path / "nowhere").paths() == []


def test_a_session_goes_by_path_id_prefix_name_and_latest(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    early, late = record(library, "engine", hours=1), record(library, "other", hours=2)
    for reference in (early.name, early.name[:14], "engine", str(early), f"{early}/"):
        assert library.find(reference).path == early
    for reference in ("latest", "other"):
        assert library.find(reference).path == late
    monkeypatch.chdir(library.path)
    assert library.find(early.name).path.resolve() == early.resolve()
    assert library.find(f"./{early.name}").path.resolve() == early.resolve()


def test_of_one_name_the_newest_is_meant(library: Library) -> None:
    record(library, "engine", hours=1)
    newest = record(library, "engine", hours=3)
    record(library, "engine", hours=2)
    assert library.find("engine").path == newest


def test_the_second_in_one_second_is_the_newest_of_its_name(library: Library) -> None:
    record(library, "engine")
    second = record(library, "engine")
    named_so = record(library, "engine-7", hours=5)
    assert library.find("engine").path == second
    assert library.find("engine-7").path == named_so


def test_an_id_that_begins_like_another_is_meant_exactly(library: Library) -> None:
    first = record(library, "engine")
    record(library, "engine")
    assert library.find(first.name).path == first


def test_an_ambiguous_prefix_names_the_candidates(library: Library) -> None:
    paths = [record(library, f"n{hours}", hours=hours) for hours in range(4)]
    with pytest.raises(SessionNotFound, match="the beginning of 4 sessions") as caught:
        library.find("2025")
    assert paths[0].name in caught.value.message
    assert "…" in caught.value.message
    assert "write more of the id" in caught.value.hint


@pytest.mark.parametrize("reference", ["nothing", "eng", "ENGINE"])
def test_an_unknown_session_is_named_with_a_way_to_find_it(library: Library, reference: str) -> None:
    record(library, "engine")
    with pytest.raises(SessionNotFound, match=reference) as caught:
        library.find(reference)
    assert "wsrec ls" in caught.value.hint


@pytest.mark.parametrize("reference", ["./nothing", "nowhere/at/all", "x.duckdb"])
def test_an_unknown_path_is_named(library: Library, reference: str) -> None:
    with pytest.raises(SessionNotFound, match="there is no session at"):
        library.find(reference)


def test_the_latest_of_nothing_is_nothing(library: Library) -> None:
    with pytest.raises(SessionNotFound, match="holds no session") as caught:
        library.find("latest")
    assert "wsrec record" in caught.value.hint


# DuckDB files beside folders


def test_duckdb_files_are_sessions_too(library: Library) -> None:
    record(library, "engine", hours=1)
    path = record_duckdb(library.path / "mine.duckdb", hours=2)
    assert library.find("latest").path == path
    for reference in ("mine", "mine.duckdb", str(path)):
        found = library.find(reference)
        assert isinstance(found, DuckDbStore)
        assert found.path == path
    assert path in library.paths()


def test_a_folder_may_be_named_like_a_file(library: Library) -> None:
    path = record(library, "engine.duckdb")
    assert library.paths() == [path]
    assert isinstance(open_store(path), ParquetStore)
    assert library.find(path.name).path == path


def test_a_session_that_cannot_be_read_hides_no_other(library: Library) -> None:
    path = record(library, "engine", hours=1)
    (library.path / "broken.duckdb").write_text("not a database")
    assert library.find("engine").path == path
    assert library.find("latest").path in (path, library.path / "broken.duckdb")


def test_names_that_need_a_look_inside_survive_a_damaged_session(library: Library) -> None:
    path = record(library, "engine", hours=1)
    broken = record(library, "engine-2", hours=2)
    (broken / "session.json").write_text("{")
    assert library.find("engine").path == path


def recorded(library: Path, session_id: str, **changes: Any) -> ParquetSink:
    (library / session_id / EVENTS_FOLDER).mkdir(parents=True)
    named = {"id": session_id, "name": "a", "feed": "ws://feed/ws/"} | changes
    return ParquetSink(library / session_id, Identity(**named), Limits(), sync=False)


def test_a_recording_continues_the_newest_that_has_ended_of_its_name_and_feed(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert library.predecessor("a", "ws://feed/ws/") is None
    for stamp in ("20260101T000000Z", "20260102T000000Z"):
        recorded(tmp_path, f"{stamp}-a").close(Health())
    recorded(tmp_path, "20260103T000000Z-b", name="b").close(Health())
    recorded(tmp_path, "20260104T000000Z-a", feed="ws://other/").close(Health())
    recorded(tmp_path, "20260105T000000Z-a", derived_from=(Origin(verb="trim", session="x", started_ns=0),)).close(
        Health()
    )
    (tmp_path / "20260106T000000Z-a" / EVENTS_FOLDER).mkdir(parents=True)  # cannot be read
    running = recorded(tmp_path, "20260107T000000Z-a")
    assert library.predecessor("a", "ws://feed/ws/") == "20260102T000000Z-a"
    running.abandon()
    assert library.predecessor("a", "ws://feed/ws/") == "20260107T000000Z-a", "one that was cut is continued too"
