from __future__ import annotations

import time
from pathlib import Path
from threading import get_ident

import pytest

pytest.importorskip("obstore", reason="object storage is the extra s3")

from docs.example import MONDAY, add_session
from tests.store.buckets import bring, new_library
from tests.store.sessions import IDENTITY, fill, layout, parquet_sink
from wsrecorder.analysis.object_files import SegmentFiles
from wsrecorder.analysis.session import Session, State, open_session
from wsrecorder.analysis.sql import connect
from wsrecorder.errors import SegmentDamaged, UsageError
from wsrecorder.store.object_file import ObjectFile
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.remote import RemoteStore
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore, Store

QUERIES = (
    "SELECT * FROM events ORDER BY seq",
    "SELECT type, count(*) FROM events GROUP BY ALL ORDER BY ALL",
    "SELECT session, max(seq) FROM events GROUP BY ALL",
    "SELECT * FROM rates ORDER BY ALL",
    "SELECT session, messages FROM sessions",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sink = parquet_sink(tmp_path_factory.mktemp("library"))
    fill(sink, 250)
    return sink.path


@pytest.fixture
def place(folder: Path) -> ObjectPath:
    return bring(folder, new_library())


def _rows(store: Store, query: str) -> list[dict[str, object]]:
    with connect([store]) as queries:
        found: list[dict[str, object]] = queries.query(query).table().to_pylist()
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_finds_the_rows_that_it_finds_on_disk(folder: Path, place: ObjectPath, query: str) -> None:
    assert _rows(RemoteStore(place), query) == _rows(ParquetStore(folder), query)


def test_sessions_on_disk_and_in_object_storage_are_asked_together(tmp_path: Path, place: ObjectPath) -> None:
    growing = layout(tmp_path, segments=1, journals=1)

    with connect([ParquetStore(growing), RemoteStore(place)]) as queries:
        assert queries.query("SELECT count(*) AS n FROM events").table().to_pylist() == [{"n": 330}]


def test_a_condition_on_the_session_opens_no_object_of_another(tmp_path: Path) -> None:
    library = new_library()
    places = [
        bring(add_session(tmp_path, name, MONDAY, count, segment_bytes=20_000), library)
        for name, count in (("one", 200), ("two", 300), ("three", 300))
    ]
    stores = [RemoteStore(place) for place in places]
    with connect(stores) as queries:
        found = queries.query("SELECT session, seq FROM events").table().to_pylist()
        assert found == [
            {"session": store.identity().id, "seq": seq} for store in stores for seq in range(store.manifest().events)
        ]
    segments = RemoteStore(places[2]).segment_paths()
    assert len(segments) > 1
    places[2].objects.delete([path.key for path in segments if isinstance(path, ObjectPath)])

    with connect([RemoteStore(place) for place in places]) as queries:
        query = f"SELECT count(text) AS n FROM events WHERE session = '{stores[1].identity().id}'"
        assert queries.query(query).table().to_pylist() == [{"n": 300}]


def test_a_query_reads_the_segments_of_its_sessions_and_nothing_else(place: ObjectPath) -> None:
    inside = place / EVENTS_FOLDER / "000000.parquet"
    other = new_library() / "secret.parquet"
    other.objects.put_new(other.key, inside.read_bytes())

    with connect([RemoteStore(place)]) as queries:
        for name in (f"wsrec-{other}", str(other), "/etc/passwd"):
            with pytest.raises(UsageError, match="a query reads sessions and nothing else"):
                queries.query(f"SELECT count(*) FROM read_parquet('{name}')").table()


def test_the_files_that_duckdb_sees_are_those_that_were_named(place: ObjectPath) -> None:
    files = SegmentFiles()
    path = place / EVENTS_FOLDER / "000000.parquet"

    [name] = files.names([path])

    assert files.exists(name)
    assert files.glob(name) == [name]
    assert files.info(name)["size"] == len(path.read_bytes())
    assert files.modified(name) == files.modified(name)
    assert not files.exists(f"{name}x")
    assert files.glob(f"{name}x") == []
    with pytest.raises(FileNotFoundError):
        files.open(f"{name}x")


@pytest.mark.parametrize("query", ["SELECT seq, text FROM events", "SELECT seq, text FROM events LIMIT 1"])
def test_nothing_is_read_once_its_sessions_were_let_go_of(
    place: ObjectPath, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB reads ahead, and a thread of its own in a file of ours must not outlive the interpreter."""
    under_way: set[int] = set()
    read_before = ObjectFile.read

    def read(self: ObjectFile, size: int = -1) -> bytes:
        under_way.add(get_ident())
        time.sleep(0.05)  # as long as a store may take
        try:
            return read_before(self, size)
        finally:
            under_way.discard(get_ident())

    with connect([RemoteStore(place)]) as queries:
        monkeypatch.setattr(ObjectFile, "read", read)
        answer = queries.query(query)
        batches = answer.batches()
        next(batches)

    assert not under_way
    with pytest.raises(UsageError, match="have been let go of"):
        answer.table()


def test_a_segment_that_is_gone_is_named(place: ObjectPath) -> None:
    place.objects.delete([(place / EVENTS_FOLDER / "000002.parquet").key])

    with pytest.raises(SegmentDamaged, match=r"000002\.parquet"), connect([RemoteStore(place)]) as queries:
        queries.query("SELECT count(text) FROM events").table()


def test_a_session_in_object_storage_is_like_any_other(folder: Path, place: ObjectPath) -> None:
    session, here = open_session(str(place)), Session(ParquetStore(folder))

    assert session.info.id == IDENTITY.id
    assert session.info.path == str(place)
    assert session.state is session.info.state is State.SEALED
    assert session.info.bytes_on_disk == sum(path.stat().st_size for path in folder.glob("events/*.parquet"))
    assert session.table(types="T3").equals(here.table(types="T3"))
    assert session.table(where="seq % 2 = 0").equals(here.table(where="seq % 2 = 0"))


def test_one_that_is_not_sealed_may_still_be_recorded(tmp_path: Path) -> None:
    session = Session(RemoteStore(bring(layout(tmp_path, segments=1), new_library())))

    assert session.state is session.info.state is State.RECORDING
