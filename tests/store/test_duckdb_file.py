"""The DuckDB form: the same events, readable while they are recorded, by this process and by others."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.sessions import IDENTITY, batch, batches, cut, duckdb_sink, events, fill, flip, read
from tests.store.test_selection import FILTERS, is_wanted
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import FormatTooNew, SegmentDamaged, SessionError, SessionNotFound, StorageError
from wsrecorder.store import disk, duckdb_file
from wsrecorder.store.duckdb_file import DuckDbStore, DuckDbWriter, connect_to_read, is_locked
from wsrecorder.store.duckdb_log import log_of
from wsrecorder.store.manifest import Health, Identity
from wsrecorder.store.schema import SCHEMA, from_rows
from wsrecorder.store.selection import Selection

PROJECT = Path(__file__).parents[2]
READ = """
import sys
from pathlib import Path
from tests.store.sessions import events, read
from wsrecorder.store.duckdb_file import DuckDbStore, is_locked
path = Path(sys.argv[1])
found = read(DuckDbStore(path))
assert found == events(len(found))
print(len(found), is_locked(path), DuckDbStore(path).manifest().events)
"""


def elsewhere(code: str, path: Path) -> str:
    """Run code in another process and return what it printed."""
    return subprocess.run(
        [sys.executable, "-c", code, path], cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def test_the_table_is_that_of_the_format(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 40)
    with duckdb.connect(sink.path, read_only=True) as connection:
        described = {row[0]: row[1] for row in connection.execute("DESCRIBE events").fetchall()}
        ((content,),) = connection.execute("SELECT manifest FROM session").fetchall()
        found = connection.execute('SELECT count(*), count(text), count("binary") FROM events').fetchall()
    assert list(described) == SCHEMA.names
    assert (described["seq"], described["received_at"], described["binary"]) == (
        "BIGINT",
        "TIMESTAMP WITH TIME ZONE",
        "BLOB",
    )
    assert json.loads(content)["identity"]["id"] == IDENTITY.id
    kept = events(40)
    assert found == [(40, sum(one.text is not None for one in kept), sum(one.binary is not None for one in kept))]


@given(payloads=st.lists(st.binary(max_size=30) | st.text(max_size=20), min_size=1, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_payload_survives(tmp_path: Path, payloads: list[bytes | str]) -> None:
    path = tmp_path / "test.duckdb"
    path.unlink(missing_ok=True)
    place = {"kind": Kind.MESSAGE, "conn": 0, "direction": Direction.IN, "elapsed_ns": 0, "received_ns": 0}
    rows = [
        Event(seq=seq, **place, **{"text" if isinstance(payload, str) else "binary": payload})  # type: ignore[arg-type]
        for seq, payload in enumerate(payloads)
    ]
    sink = duckdb_sink(tmp_path)
    sink.append(from_rows(rows))
    sink.close(Health())
    assert read(DuckDbStore(path)) == rows


def test_times_before_the_epoch_and_far_off_survive(tmp_path: Path) -> None:
    times_us = [-62_135_596_800_000_000, -1, 0, 253_402_300_799_999_999]
    rows = [
        Event(seq, Kind.MESSAGE, 0, Direction.IN, seq, 0, type="T", sent_at_us=time_us, text="x")
        for seq, time_us in enumerate(times_us)
    ]
    sink = duckdb_sink(tmp_path)
    sink.append(from_rows(rows))
    sink.close(Health())
    assert read(DuckDbStore(sink.path)) == rows


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> DuckDbStore:
    sink = duckdb_sink(tmp_path_factory.mktemp("library"))
    fill(sink, 120)
    return DuckDbStore(sink.path)


@given(filters=FILTERS)
@settings(max_examples=60)
def test_what_is_read_equals_a_naive_filter(sealed: DuckDbStore, filters: dict[str, object]) -> None:
    wanted = [found for found in events(120) if is_wanted(found, filters)]
    assert read(sealed, Selection(**filters)) == wanted  # type: ignore[arg-type]


def test_many_rows_come_in_order_and_in_bounded_batches(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 50_000, size=5_000)
    found = list(DuckDbStore(sink.path).batches(Selection(columns=("seq",))))
    assert [seq for rows in found for seq in rows.column("seq").to_pylist()] == list(range(50_000))
    assert max(map(len, found)) <= 20_000


# While it is recorded


def test_another_process_reads_it_while_it_is_recorded(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    for count in (20, 40, 60):
        sink.append(batch(20, count - 20))
        assert elsewhere(READ, sink.path) == f"{count} True {count}"
    sink.close(Health())
    assert elsewhere(READ, sink.path) == "60 False 60"


def test_this_process_reads_it_while_it_records(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    for count in (20, 40):
        sink.append(batch(20, count - 20))
        assert read(DuckDbStore(sink.path)) == events(count)
    assert DuckDbStore(sink.path).manifest().events == 40
    assert is_locked(sink.path)
    # Reading must not have taken away the lock that keeps other writers out.
    with pytest.raises(subprocess.CalledProcessError):
        elsewhere("import duckdb, sys; duckdb.connect(sys.argv[1])", sink.path)
    sink.close(Health())
    assert not is_locked(sink.path)


def test_a_reader_sees_the_session_as_it_was_when_it_began(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    sink.append(batch(20))
    reader = DuckDbStore(sink.path).batches(Selection())
    first = next(reader)
    sink.append(batch(20, 20))
    assert len(first) + sum(map(len, reader)) == 20
    sink.close(Health())


def test_a_copy_that_saw_a_change_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 40)
    copied = shutil.copyfile
    copies = 0

    def copying(source: Path, target: Path) -> None:
        nonlocal copies
        copies += 1
        copied(source, target)
        if copies in (1, 2):
            source.touch()

    monkeypatch.setattr(shutil, "copyfile", copying)
    (tmp_path / "copy").mkdir()
    kept = duckdb_file._snapshot(sink.path, tmp_path / "copy")
    assert copies >= 2
    assert read(DuckDbStore(kept)) == events(40)


def test_a_file_that_never_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 40)
    states = iter(range(1_000))
    monkeypatch.setattr(duckdb_file, "_state", lambda path: (next(states), 0))
    (tmp_path / "copy").mkdir()
    with pytest.raises(StorageError, match="changed under every try"):
        duckdb_file._snapshot(sink.path, tmp_path / "copy")


# After a crash


CRASH = """
import os, sys
from pathlib import Path
from tests.store.sessions import batches, duckdb_sink
sink = duckdb_sink(Path(sys.argv[1]))
for rows in batches(200):
    sink.append(rows)
os._exit(9)
"""


def test_every_batch_survives_a_killed_recorder(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        elsewhere(CRASH, tmp_path)
    path = tmp_path / "test.duckdb"
    assert log_of(path).exists()
    store = DuckDbStore(path)
    assert read(store) == events(200)
    found = store.manifest()
    assert (found.events, found.sealed) == (200, False)
    assert log_of(path).exists()  # reading changes nothing


def test_a_log_cut_at_any_place_gives_a_prefix(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        elsewhere(CRASH, tmp_path)
    path = tmp_path / "test.duckdb"
    content = log_of(path).read_bytes()
    lengths = set()
    for size in range(len(content) // 2, len(content), len(content) // 12):
        log_of(path).write_bytes(content[:size])
        found = read(DuckDbStore(path))
        assert found == events(len(found))
        assert len(found) % 20 == 0
        lengths.add(len(found))
    assert len(lengths) > 3


# Damaged, missing, foreign


def test_a_bit_flip_is_never_taken_for_data(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 3_000, size=500)
    content = sink.path.read_bytes()
    found_damaged = 0
    for place in range(0, len(content), len(content) // 60):
        sink.path.write_bytes(content)
        flip(sink.path, place)
        try:
            assert read(DuckDbStore(sink.path)) == events(3_000)  # it hit what holds nothing
        except SessionError:
            found_damaged += 1
    assert found_damaged


def test_a_hole_in_the_table_is_found(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 60)
    with duckdb.connect(sink.path) as connection:
        connection.execute("DELETE FROM events WHERE seq = 30")
    with pytest.raises(SegmentDamaged, match="hole at event 30: event 31 follows"):
        read(DuckDbStore(sink.path))
    with duckdb.connect(sink.path) as connection:
        connection.execute("DELETE FROM events WHERE seq >= 30")
    with pytest.raises(SegmentDamaged, match="the manifest counts 60 events"):
        read(DuckDbStore(sink.path))


def test_a_file_that_is_cut_is_named(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 60)
    cut(sink.path, 5_000)
    with pytest.raises(SegmentDamaged, match=r"test\.duckdb cannot be read") as caught:
        read(DuckDbStore(sink.path))
    assert "\n" not in caught.value.message


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "test.duckdb"
    path.write_text("hello")
    with pytest.raises(SegmentDamaged, match="cannot be read"):
        DuckDbStore(path).manifest()
    assert not is_locked(path)


def test_a_database_of_something_else_is_no_session(tmp_path: Path) -> None:
    path = tmp_path / "test.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE t (i INT)")
    with pytest.raises(SessionError, match="without a table session"):
        DuckDbStore(path).manifest()
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE session (manifest VARCHAR)")
    with pytest.raises(SessionError, match=r"table session of .* is empty"):
        DuckDbStore(path).identity()


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 20)
    with duckdb.connect(sink.path) as connection:
        change = "replace(manifest, '\"format_version\": 1', '\"format_version\": 2')"
        connection.execute(f"UPDATE session SET manifest = {change}")
    with pytest.raises(FormatTooNew, match="version 2"):
        read(DuckDbStore(sink.path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SessionNotFound, match="there is no file"):
        DuckDbStore(tmp_path / "test.duckdb")


def test_a_log_without_its_file_is_never_played_into_a_new_one(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        elsewhere(CRASH, tmp_path)
    (tmp_path / "test.duckdb").unlink()
    with pytest.raises(StorageError, match=r"test\.duckdb\.wal is there already"):
        duckdb_sink(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write") as caught:
        DuckDbWriter(tmp_path / "file" / "test.duckdb", IDENTITY)
    assert "--into" in caught.value.hint


def test_a_write_that_fails_says_that_the_rest_is_intact(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    for rows in batches(40):
        sink.append(rows)
    with pytest.raises(SessionError) as caught:
        sink.append(batch(5).drop_columns(["kind"]))
    assert "intact" in caught.value.hint
    sink.abandon()
    assert read(DuckDbStore(sink.path)) == events(40)


def test_a_reading_connection_cannot_write(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 20)
    with connect_to_read(sink.path) as connection, pytest.raises(duckdb.Error):
        connection.execute("DELETE FROM events")


def test_the_names_of_file_and_log_are_synced_whenever_they_are_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB syncs what it writes and never a folder: without its name a synced log is lost with the power."""
    synced: list[bool] = []
    path = tmp_path / "x.duckdb"
    monkeypatch.setattr(disk, "sync_directory", lambda folder: synced.append(log_of(path).exists()))
    writer = DuckDbWriter(path, Identity(id="x", name="x"))
    assert synced == [True]
    writer.append(batch(10))
    assert synced == [True]
    writer._connection.execute("SET wal_autocheckpoint = '1KB'")  # folds the log in, as it does when it has 16 MiB
    writer.append(batch(10, 10))
    assert synced == [True, False]
    writer._connection.execute("SET wal_autocheckpoint = '16MB'")
    for first in (20, 30):
        writer.append(batch(10, first))
        assert synced == [True, False, True]
    writer.close()
