"""SQL over sessions: every form, sealed and growing; it reads, and never writes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from docs.example import MONDAY, TUESDAY, add_crashed, add_session, engine_batches, sink
from wsrecorder.analysis.session import Session
from wsrecorder.analysis.sql import Queries, connect
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import FormatTooNew, SegmentDamaged, SessionError, UsageError, WsrecError
from wsrecorder.store.duckdb_file import DuckDbStore
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.manifest import Health
from wsrecorder.store.schema import COLUMNS, from_rows
from wsrecorder.store.session import ParquetStore, Store
from wsrecorder.store.sink import ParquetSink

PROJECT = Path(__file__).parents[2]


def rows(store: Store | list[Store], query: str) -> list[tuple[Any, ...]]:
    with connect(store if isinstance(store, list) else [store]) as queries:
        return taken(queries, query)


def taken(queries: Queries, query: str) -> list[tuple[Any, ...]]:
    table = queries.query(query).table()
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def odd_session(library: Path, payloads: list[str | bytes]) -> Store:
    """Return a session of payloads that a strict parser may refuse."""
    events = [
        Event(seq, Kind.MESSAGE, 0, Direction.IN, seq, seq, **{"text" if isinstance(text, str) else "binary": text})
        for seq, text in enumerate(payloads)
    ]
    target = sink(library, "odd", MONDAY)
    target.append(from_rows(events))
    target.close(Health())
    return open_store(target.path)


@pytest.mark.parametrize("into", [None, "x.duckdb"])
def test_events_are_those_of_the_session(tmp_path: Path, into: str | None) -> None:
    path = add_session(tmp_path, messages=300, lose_at=100, segment_bytes=20_000, into=into)
    store = open_store(path)
    found = rows(store, "select * exclude (session, payload) from events order by seq")
    columns = Session(store).table().columns
    assert found == list(zip(*(column.to_pylist() for column in columns), strict=True))
    assert len(found) == 305
    assert rows(store, "select distinct session from events") == [("20261123T191500Z-engine",)]


def test_session_comes_first_and_payload_last(tmp_path: Path) -> None:
    with connect([open_store(add_session(tmp_path, messages=20))]) as queries:
        answer = queries.query("from events")
    assert answer.columns == ["session", *COLUMNS, "payload"]
    assert answer.types[answer.columns.index("received_at")] == "TIMESTAMP WITH TIME ZONE"


def test_several_sessions_of_both_forms_are_one_view(tmp_path: Path) -> None:
    add_session(tmp_path, messages=100)
    add_session(tmp_path, "night", TUESDAY, 50, into="night.duckdb")
    add_crashed(tmp_path, messages=100)
    stores = list(Library(tmp_path).stores())
    found = dict(rows(stores, "select session, count(*) from events group by 1"))
    assert found == {
        "20261123T191500Z-engine": 102,
        "20261124T080000Z-night": 52,
        "20261124T080000Z-crash": ParquetStore(tmp_path / "20261124T080000Z-crash").manifest().events,
    }


def test_a_session_named_twice_counts_once(tmp_path: Path) -> None:
    path = add_session(tmp_path, messages=20)
    assert rows([open_store(path), open_store(tmp_path / "." / path.name)], "select count(*) from events") == [(22,)]


def test_no_session_is_no_event() -> None:
    assert rows([], "select count(*), max(payload) from events") == [(0, None)]


def test_an_empty_session_is_no_event(tmp_path: Path) -> None:
    target = sink(tmp_path, "empty", MONDAY)
    target.close(Health())
    assert rows(open_store(target.path), "select count(*) from events") == [(0,)]


def test_what_is_not_sealed_yet_is_there_and_counted_once(tmp_path: Path) -> None:
    target = sink(tmp_path, "live", MONDAY, segment_bytes=10_000)
    assert isinstance(target, ParquetSink)
    written = 0
    for batch in engine_batches(MONDAY, 400):
        target.append(batch)
        written += len(batch)
        store = open_store(target.path)
        found = rows(store, "select count(*), count(distinct seq), max(seq) + 1 from events")
        assert found == [(written, written, written)]
    files = {path.suffix for path in (target.path / "events").iterdir()}
    assert files == {".parquet", ".journal"}, "both kinds were to be read"
    target.close(Health())
    assert rows(open_store(target.path), "select count(*) from events") == [(written,)]


def test_a_connection_sees_the_session_as_it_was(tmp_path: Path) -> None:
    target = sink(tmp_path, "live", MONDAY)
    batches = engine_batches(MONDAY, 200)
    target.append(next(batches))
    with connect([open_store(target.path)]) as queries:
        before = taken(queries, "select count(*) from events")
        target.append(next(batches))
        assert taken(queries, "select count(*) from events") == before
    target.abandon()


def test_a_duckdb_session_that_this_process_records_is_read(tmp_path: Path) -> None:
    target = sink(tmp_path, "live", MONDAY, into="live.duckdb")
    batches = engine_batches(MONDAY, 200)
    target.append(next(batches))
    store = open_store(target.path)
    assert rows(store, "select count(*) > 0, min(session) from events") == [(True, "20261123T191500Z-live")]
    target.append(next(batches))  # its lock still holds, and it still writes
    target.abandon()


@contextmanager
def recorder_elsewhere(path: Path) -> Iterator[None]:
    """Hold a DuckDB session open in another process, as one that records does."""
    script = (
        "import sys; from docs.example import *\n"
        f"target = sink(Path({str(path.parent)!r}), 'live', MONDAY, into={path.name!r})\n"
        "[target.append(batch) for batch in engine_batches(MONDAY, 50)]\n"
        "print('ready', flush=True); sys.stdin.read(); target.abandon()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as recorder:
        assert recorder.stdin is not None
        assert recorder.stdout is not None
        assert recorder.stdout.readline() == b"ready\n"
        yield
        recorder.stdin.close()


def test_a_duckdb_session_that_another_process_records_is_read(tmp_path: Path) -> None:
    path = tmp_path / "live.duckdb"
    with recorder_elsewhere(path):
        store = open_store(path)
        assert rows(store, "select count(*), min(session) from events") == [(52, "20261123T191500Z-live")]
        assert Session(store).state == "recording"


def test_payload_is_json_and_null_where_the_text_is_none(tmp_path: Path) -> None:
    odd = ['{"a": 1}', '{"a": NaN}', "not JSON", "", '{"a": ', "[1]", "7", '"\\ud800"', '{"a": {"b": "c"}}', b"\xff"]
    store = odd_session(tmp_path, odd)
    found = rows(store, "select seq, payload ->> '$.a' from events where payload is not null order by seq")
    assert found == [(0, "1"), (1, "NaN"), (5, None), (6, None), (8, '{"b":"c"}')]
    assert rows(store, "select payload ->> '$.a.b' from events where seq = 8") == [("c",)]
    assert rows(store, "select count(*) from events where payload ->> '$.a' = 'x'") == [(0,)], "no query fails on it"


def test_text_stays_verbatim_beside_it(tmp_path: Path) -> None:
    text = '{"b" : 1,"a":  NaN}'
    assert rows(odd_session(tmp_path, [text]), "select text from events") == [(text,)]


def test_functions_of_time_work_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    store = open_store(add_session(tmp_path, messages=20))
    assert rows(
        store,
        "select date_trunc('minute', received_at), extract(hour from received_at), strftime(received_at, '%H:%M'),"
        " time_bucket(interval '5 s', received_at), strftime(received_at, '%c') from events where seq = 0",
    ) == [(MONDAY, 19, "19:15", MONDAY, "2026-11-23 19:15:00")]
    found = rows(store, "select received_at - sent_at, sent_at from events where seq = 1")
    assert found[0][1] == MONDAY
    assert (
        timedelta(microseconds=300) <= timedelta(microseconds=found[0][0].nanoseconds / 1_000) <= timedelta(seconds=1)
    )
    assert rows(store, "select count(*) from events where received_at >= '2026-11-23 19:15:00'") == [(22,)]


def test_only_what_a_query_needs_is_read(tmp_path: Path) -> None:
    with connect([open_store(add_session(tmp_path, messages=300, segment_bytes=20_000))]) as queries:
        plan = taken(queries, "explain select count(*) from events where seq >= 200 and type = 'SIGNAL'")[0][1]
    assert "seq>=200" in plan.replace(" ", "")
    assert "text" not in plan


# ------------------------------------------------------------------------------------------------ reading, not writing

WRITING = [
    "copy events to '{path}'",
    "copy (select 1) to '{segment}' (format parquet, use_tmp_file false)",
    "explain analyze copy (select 1) to '{segment}' (format parquet, use_tmp_file false)",
    "with x as (copy (select 1) to '{segment}' (format parquet, use_tmp_file false)) select * from x",
    "with x as (COPY/**/(select 1) to '{segment}' (format parquet, use_tmp_file false)) select * from x",
    "with x as (copy (select 1) to '{segment}' (use_tmp_file false)) pivot (select 1 a, 2 b) on a using sum(b)",
    "from json_execute_serialized_sql(json_serialize_sql('with x as (copy (select 1) to ''{segment}''"
    " (use_tmp_file false)) select * from x'))",
    "from \"json_execute_serialized_sql\" (json_serialize_sql('select 1'))",
    "from query /* x */ ('select 1')",
    "export database '{path}'",
    "attach '{path}' as x",
    "create table x as select 1",
    "insert into file_1.events select * from file_1.events",
    "delete from file_1.events",
    "drop view events",
    "set threads = 1",
    "pragma enable_profiling",
    "install httpfs",
    "load httpfs",
    "checkpoint",
    "prepare x as select 1",
]


@pytest.mark.parametrize("query", WRITING)
def test_a_query_cannot_write(tmp_path: Path, query: str) -> None:
    folder = tmp_path / "library"
    add_session(folder, messages=50)
    add_session(folder, "other", TUESDAY, 50, into="other.duckdb")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    segment = next(path for path in before if path.suffix == ".parquet")
    with connect(list(Library(folder).stores())) as queries, pytest.raises(UsageError) as error:
        taken(queries, query.format(path=tmp_path / "written", segment=segment))
    assert "can read" in error.value.message or "cannot be checked" in error.value.message
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    "query",
    [
        "from '{path}'",
        "from read_csv('{path}')",
        "from read_text('/etc/hostname')",
        "from glob('*')",
        "from sniff_csv('{path}')",
    ],
)
def test_a_query_reads_no_other_file(tmp_path: Path, query: str) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with connect([]) as queries, pytest.raises(UsageError, match="reads sessions and nothing else"):
        taken(queries, query.format(path=tmp_path / "x.csv"))


def test_variables_of_the_program_are_no_tables() -> None:
    secrets = duckdb.sql("select 1 as a")
    assert secrets is not None
    with connect([]) as queries, pytest.raises(UsageError, match="secrets"):
        queries.query("from secrets")


@pytest.mark.parametrize(
    "query",
    [
        'select \'copy\', "copy" from (select 1 as "copy") -- copy',
        "describe events",
        "summarize events",
        "explain select 1",
        "show tables",
        "pivot (select 1 a, 2 b) on a using sum(b)",
        "with x as (select 1) from x",
        "values (1)",
        "select 1;",
        "select 1 as query, (2)",
        "/* a comment */ select 1 -- and one more",
    ],
)
def test_whatever_reads_is_answered(query: str) -> None:
    with connect([]) as queries:
        assert taken(queries, query)


# ------------------------------------------------------------------------------------------------ what goes wrong


def test_a_wrong_query_is_told_with_its_place() -> None:
    with connect([]) as queries, pytest.raises(UsageError) as error:
        queries.query("select seq from events where")
    assert "syntax error" in error.value.message
    assert error.value.message.splitlines()[-2:] == ["LINE 1: select seq from events where", " " * 31 + "^^^^^"]
    assert error.value.exit_code == 2


@pytest.mark.parametrize("query", ["", " ; ", "-- nothing", "select 1; select 2"])
def test_there_is_one_question(query: str) -> None:
    with connect([]) as queries, pytest.raises(UsageError, match="expected one query"):
        queries.query(query)


@pytest.mark.parametrize("value", ["'1x'", "case when i = 99999 then 'x' else '1' end"])
def test_a_query_that_fails_on_the_way_is_told(value: str) -> None:
    with connect([]) as queries, pytest.raises(UsageError, match="Could not convert"):
        taken(queries, f"select ({value})::int from range(100000) t(i)")


def broken(library: Path, how: str) -> Store:
    path = add_session(library, messages=300, segment_bytes=20_000)
    segment = path / "events" / "000001.parquet"
    match how:
        case "missing":
            segment.unlink()
        case "cut":
            segment.write_bytes(segment.read_bytes()[:-50])
        case "no manifest, missing":
            segment.unlink()
            (path / "session.json").unlink()
        case "no manifest, no Parquet":
            segment.write_bytes(b"not a segment")
            (path / "session.json").unlink()
        case "footer":
            content = segment.read_bytes()
            begin = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
            segment.write_bytes(content[:begin] + b"\xff" * 200 + content[begin + 200 :])
        case "pages":
            content = segment.read_bytes()
            segment.write_bytes(content[:4] + bytes(4_000) + content[4_004:])
    return open_store(path)


@pytest.mark.parametrize(
    "how", ["missing", "cut", "no manifest, missing", "no manifest, no Parquet", "footer", "pages"]
)
def test_a_missing_or_damaged_segment_is_named(tmp_path: Path, how: str) -> None:
    store = broken(tmp_path, how)
    with pytest.raises(SegmentDamaged) as error:
        rows(store, "select * from events")
    assert "000001" in error.value.message
    assert error.value.exit_code == 4


def test_a_session_without_manifest_is_read(tmp_path: Path) -> None:
    path = add_session(tmp_path, messages=300, segment_bytes=20_000)
    (path / "session.json").unlink()
    assert rows(open_store(path), "select count(*), min(session) from events") == [(302, path.name)]


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = add_session(tmp_path, messages=20)
    manifest = path / "session.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 99'))
    with pytest.raises(FormatTooNew, match="upgrade"):
        connect([open_store(path)])


def test_a_file_that_is_no_session_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").write_bytes(b"nothing of that kind" * 1_000)
    with pytest.raises(SessionError):
        connect([DuckDbStore(tmp_path / "x.duckdb")])
    duckdb.connect(tmp_path / "y.duckdb").close()
    with pytest.raises(WsrecError):
        connect([DuckDbStore(tmp_path / "y.duckdb")])


@pytest.mark.parametrize("name", ["it's", "a[1]", "50% *", 'q"q'])
def test_folders_may_be_called_anything(tmp_path: Path, name: str) -> None:
    library = tmp_path / name
    add_session(library, messages=20)
    add_session(library, "other", TUESDAY, 20, into="other.duckdb")
    assert rows(list(Library(library).stores()), "select count(*) from events") == [(44,)]


def test_large_sorts_spill_where_nobody_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with connect([]) as queries:
        spill = Path(taken(queries, "select current_setting('temp_directory')")[0][0])
        assert spill.is_dir()
        assert taken(queries, "select count(*) from (select distinct i from range(100000) t(i))") == [(100_000,)]
    assert not spill.exists()
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ the answer


def test_types_that_a_file_cannot_hold_are_spelled() -> None:
    with connect([]) as queries:
        answer = queries.query('select interval 90 minute as a, [1, 2] as a, 3 as "b""c"')
        assert answer.kinds == ["interval", "list", "integer"]
        table = answer.reader(spelled=frozenset(("interval", "list"))).read_all()
    assert table.column_names == ["a", "a", 'b"c']
    assert [column.to_pylist() for column in table.columns] == [["01:30:00"], ["[1, 2]"], [3]]


def test_batches_are_small_whatever_the_answer(tmp_path: Path) -> None:
    with connect([]) as queries:
        sizes = [len(batch) for batch in queries.query("from range(100000)").batches()]
    assert sum(sizes) == 100_000
    assert max(sizes) <= 16_384


def test_what_a_reader_raises_is_its_own(tmp_path: Path) -> None:
    with connect([]) as queries:
        batches = queries.query("select 1").batches()
        next(batches)
        with pytest.raises(OSError, match="pipe"):
            batches.throw(BrokenPipeError("pipe"))  # type: ignore[attr-defined]


def test_session_sql_is_a_table(tmp_path: Path) -> None:
    session = Session(open_store(add_session(tmp_path, messages=40)))
    table = session.sql("select kind, count(*) as n from events group by kind order by n desc")
    assert table.to_pylist() == [{"kind": "message", "n": 40}, {"kind": "open", "n": 1}, {"kind": "close", "n": 1}]
    with pytest.raises(UsageError):
        session.sql("drop view events")


def test_state_tells_sealed_from_recording_from_cut(tmp_path: Path) -> None:
    target = sink(tmp_path, "a", MONDAY)
    target.append(next(engine_batches(MONDAY, 20)))
    session = Session(open_store(target.path))
    assert (session.state, session.info.state) == ("recording", "recording")
    target.close(Health())
    assert (session.state, session.info.state) == ("sealed", "sealed")
    crashed = Session(open_store(add_crashed(tmp_path, messages=100)))
    assert (crashed.state, crashed.info.state) == ("cut", "cut")
    (crashed.path / "session.json").unlink()
    assert crashed.state == "cut"
