"""Sinks keep what they were given: sealed in time, safe when the disk refuses, one writer a session."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.store.sessions import (
    IDENTITY,
    STEP_NS,
    batch,
    batches,
    duckdb_sink,
    events,
    fill,
    new_folder,
    parquet_sink,
    read,
)
from wsrecorder.core.recorder import Limits
from wsrecorder.errors import OwnMistake, SegmentDamaged, SessionError, StorageError
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.verify import verify
from wsrecorder.store import disk
from wsrecorder.store import sealer as sealer_module
from wsrecorder.store.duckdb_file import DuckDbStore
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Health, Manifest
from wsrecorder.store.segment import SegmentInfo
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.sink import ParquetSink


def held(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / EVENTS_FOLDER).iterdir())


def test_a_closed_session_is_segments_and_a_manifest(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    manifest = fill(sink, 90)
    assert held(sink.path) == ["000000.parquet", "000001.parquet", "000002.parquet"]
    assert sorted(path.name for path in sink.path.iterdir()) == ["events", "session.json"]
    assert ParquetStore(sink.path).stored_manifest() == manifest
    assert [info.first_seq for info in manifest.segments] == [0, 40, 80]
    assert (manifest.sealed, manifest.events, manifest.health.longest_stall_ms) == (True, 90, 1.5)
    assert read(ParquetStore(sink.path)) == events(90)
    assert verify(ParquetStore(sink.path)).findings == []


def test_a_journal_is_sealed_by_size(tmp_path: Path) -> None:
    limits = Limits(segment_bytes=6_000)
    sink = ParquetSink(new_folder(tmp_path), IDENTITY, limits, sync=False)
    manifest = fill(sink, 200)
    assert len(manifest.segments) > 2
    assert read(ParquetStore(sink.path)) == events(200)


def test_a_journal_is_sealed_by_age(tmp_path: Path) -> None:
    limits = Limits(segment_ns=50 * STEP_NS)
    sink = ParquetSink(new_folder(tmp_path), IDENTITY, limits, sync=False)
    manifest = fill(sink, 200)
    assert [info.rows for info in manifest.segments] == [60, 60, 60, 20]


def test_size_on_disk_grows_with_what_is_appended(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path)
    assert sink.size_bytes == 0
    sink.append(batch(20))
    before = sink.size_bytes
    assert before > 0
    sink.append(batch(20, 20))
    assert sink.size_bytes > before
    sink.close(Health())
    assert sink.size_bytes == sum(path.stat().st_size for path in (sink.path / EVENTS_FOLDER).iterdir())


def test_appending_goes_on_while_a_segment_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_seal = threading.Event()
    seal_journal = sealer_module.seal_journal

    def slowly(path: Path, metadata: dict[str, str], *, rows: int) -> SegmentInfo:
        assert may_seal.wait(10)
        return seal_journal(path, metadata, rows=rows)

    monkeypatch.setattr(sealer_module, "seal_journal", slowly)
    sink = parquet_sink(tmp_path, segment_events=20)
    for rows in batches(100):
        sink.append(rows)
    assert held(sink.path) == [f"{number:06d}.journal" for number in range(5)]
    assert read(ParquetStore(sink.path)) == events(100)
    may_seal.set()
    sink.close(Health())
    assert read(ParquetStore(sink.path)) == events(100)


@pytest.mark.parametrize("form", ["parquet", "duckdb"])
def test_a_session_is_never_recorded_into_another(tmp_path: Path, form: str) -> None:
    first = parquet_sink(tmp_path) if form == "parquet" else duckdb_sink(tmp_path)
    fill(first, 40)
    with pytest.raises(SessionError, match="never written into another"):
        ParquetSink(first.path, IDENTITY, Limits()) if form == "parquet" else duckdb_sink(tmp_path)
    assert read(open_store(first.path)) == events(40)


def test_a_second_recorder_is_kept_out(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path)
    with pytest.raises(SessionError, match="is being written by process"):
        ParquetSink(sink.path, IDENTITY, Limits())
    sink.close(Health())


def test_an_abandoned_session_is_read_and_recovered(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    for rows in batches(70, 10):
        sink.append(rows)
    sink.abandon()
    sink.abandon()
    store = ParquetStore(sink.path)
    assert read(store) == events(70)
    assert not store.manifest().sealed
    assert recover(store).exit_code == 0
    assert read(store) == events(70)


# When the disk refuses


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 1 MiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def record_without_end(sink: ParquetSink) -> None:
    for rows in batches(1_000_000, 200):
        sink.append(rows)


def test_a_full_disk_ends_the_recording_and_keeps_what_was_appended(small_disk: Path) -> None:
    sink = ParquetSink(new_folder(small_disk), IDENTITY, Limits(segment_bytes=100_000))
    with pytest.raises(StorageError, match="No space left on device") as caught:
        record_without_end(sink)
    assert "what was recorded is intact" in caught.value.hint
    sink.abandon()
    appended = sink.tally.events
    assert appended > 1_000
    found = read(ParquetStore(sink.path))
    assert len(found) >= appended
    assert found == events(len(found))


def test_a_session_of_a_full_disk_is_recovered_once_there_is_room(small_disk: Path) -> None:
    sink = ParquetSink(new_folder(small_disk), IDENTITY, Limits(segment_bytes=100_000))
    with pytest.raises(StorageError):
        record_without_end(sink)
    sink.abandon()
    store = ParquetStore(sink.path)
    before = read(store)
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    recover(store)
    assert read(store) == before
    assert verify(store).is_sound


def test_a_read_only_disk_is_named_before_anything_is_recorded(small_disk: Path) -> None:
    folder = new_folder(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StorageError, match="Read-only file system") as caught:
        ParquetSink(folder, IDENTITY, Limits())
    assert "--library" in caught.value.hint


def test_a_session_on_a_read_only_disk_is_read(small_disk: Path) -> None:
    sink = parquet_sink(small_disk)
    fill(sink, 70)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    store = ParquetStore(sink.path)
    assert read(store) == events(70)
    assert verify(store).is_sound
    with pytest.raises(StorageError, match="Read-only"):
        recover(store)


class Moody:
    """Stands in for a function of the disk: refuses as long as it is told to, and counts."""

    def __init__(self, really: Callable[..., Any]) -> None:
        self.refuses = True
        self.asked = 0
        self._really = really

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.asked += 1
        if self.refuses:
            with disk.storage_errors(Path("disk")):
                raise OSError(28, "No space left on device")
        return self._really(*arguments, **options)


@pytest.fixture
def moody_seal(monkeypatch: pytest.MonkeyPatch) -> Moody:
    moody = Moody(sealer_module.seal_journal)
    monkeypatch.setattr(sealer_module, "seal_journal", moody)
    return moody


def until(is_so: Callable[[], bool]) -> None:
    """Return when the sealer has come that far; it tells nobody."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_seal_that_is_refused_lets_the_journal_grow_and_is_tried_again(tmp_path: Path, moody_seal: Moody) -> None:
    sink = parquet_sink(tmp_path, segment_events=20)
    sink.append(batch(20))
    until(lambda: sink.trouble is not None)
    for rows in batches(1_000, 20):  # one second of the session, in which nothing more is asked
        if rows.column("seq")[0].as_py() >= 20:
            sink.append(rows)
    assert held(sink.path) == ["000000.journal", "000001.journal"]
    assert moody_seal.asked == 1
    moody_seal.refuses = False
    sink.append(batch(60, 1_000))
    until(lambda: sink.trouble is None)
    sink.append(batch(20, 1_060))
    manifest = sink.close(Health())
    assert [info.rows for info in manifest.segments] == [20, 1_060]
    assert read(ParquetStore(sink.path)) == events(1_080)
    assert verify(ParquetStore(sink.path)).is_sound


def test_a_seal_that_is_refused_to_the_end_leaves_the_journals(tmp_path: Path, moody_seal: Moody) -> None:
    sink = parquet_sink(tmp_path, segment_events=20)
    sink.append(batch(20))
    sink.append(batch(20, 20))
    with pytest.raises(StorageError, match="No space left"):
        sink.close(Health())
    assert not sink.manifest.sealed
    assert held(sink.path) == ["000000.journal", "000001.journal"]
    assert read(ParquetStore(sink.path)) == events(40)


def test_so_many_journals_may_wait_and_then_appending_is_refused(
    tmp_path: Path, moody_seal: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer_module, "_MOST_UNSEALED", 1)
    sink = parquet_sink(tmp_path, segment_events=20)
    sink.append(batch(20))
    until(lambda: sink.trouble is not None)
    sink._sealer.put(sealer_module.Sealing(tmp_path / "x", 0, journal_bytes=0, counted=sink.manifest))
    with pytest.raises(StorageError, match="No space left"):
        sink.append(batch(20, 20))
    sink.abandon()


@pytest.mark.parametrize("already", [0, 20])
def test_a_batch_that_was_refused_is_appended_again_and_is_there_once(
    tmp_path: Path, already: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = parquet_sink(tmp_path)
    sink._sync = True
    if already:
        sink.append(batch(already))
    moody = Moody(disk.sync)  # all of the batch is written when its sync is refused
    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", moody)
        for _ in range(3):
            with pytest.raises(StorageError):
                sink.append(batch(20, already))
        assert sink.tally.events == already
    sink.append(batch(20, already))
    sink.append(batch(20, already + 20))
    manifest = sink.close(Health())
    assert [info.rows for info in manifest.segments] == ([already, 40] if already else [40])
    assert read(ParquetStore(sink.path)) == events(already + 40)
    assert verify(ParquetStore(sink.path)).is_sound


def test_a_journal_that_refuses_its_end_is_cut_back_and_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = parquet_sink(tmp_path, segment_events=20)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", Moody(disk.sync))
        with pytest.raises(StorageError):
            sink.append(batch(20))
    sink.append(batch(10))
    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", Moody(disk.sync))
        sink.append(batch(10, 10))  # not synced here: only the end of the journal is refused
    assert sink.tally.events == 20
    sink.append(batch(20, 20))
    assert [info.rows for info in sink.close(Health()).segments] == [20, 20]
    assert read(ParquetStore(sink.path)) == events(40)


def test_whatever_breaks_a_seal_reaches_the_recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(path: Path, metadata: dict[str, str], *, rows: int) -> SegmentInfo:
        raise ZeroDivisionError

    sink = parquet_sink(tmp_path, segment_events=20)
    monkeypatch.setattr(sealer_module, "seal_journal", explode)
    sink.append(batch(20))
    with pytest.raises(OwnMistake, match=r"sealing .* was ended by an unexpected ZeroDivisionError") as caught:
        sink.close(Health())
    assert "recover" in caught.value.hint


def test_a_journal_that_gives_back_less_is_not_sealed(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path)
    sink.append(batch(20))
    sink.append(batch(20, 20))
    path = sink.path / EVENTS_FOLDER / "000000.journal"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 200)  # the disk lost what it had synced
    with pytest.raises(SegmentDamaged, match="holds 20 events, expected 40"):
        sink.close(Health())
    assert held(sink.path) == ["000000.journal"]


def test_a_manifest_that_cannot_be_written_leaves_the_session_to_recover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Manifest, folder: Path) -> None:
        with disk.storage_errors(folder):
            raise OSError(28, "No space left on device")

    sink = parquet_sink(tmp_path)
    sink.append(batch(20))
    monkeypatch.setattr(Manifest, "write", refuse)
    with pytest.raises(StorageError):
        sink.close(Health())
    monkeypatch.undo()
    store = ParquetStore(sink.path)
    assert read(store) == events(20)
    assert recover(store).exit_code == 0
    assert verify(store).is_sound


# DuckDB


@pytest.mark.parametrize("is_told_by", ["append", "close"])
@pytest.mark.parametrize("segment_events", [40, 1_000], ids=["sealed", "journal"])
def test_events_that_somebody_removes_are_missed_and_never_sealed_as_whole(
    tmp_path: Path, is_told_by: str, segment_events: int
) -> None:
    sink = parquet_sink(tmp_path, segment_events=segment_events)
    rows = list(batches(95))
    for each in rows[:-1]:
        sink.append(each)
    is_sealed = segment_events == 40
    until(lambda: held(sink.path) == (["000000.parquet", "000001.parquet"] if is_sealed else ["000000.journal"]))
    shutil.rmtree(sink.path / EVENTS_FOLDER)
    with pytest.raises(SegmentDamaged, match="removed"):
        sink.append(rows[-1]) if is_told_by == "append" else sink.close(Health())
    sink.abandon()
    assert verify(ParquetStore(sink.path)).findings
    if is_sealed:
        with pytest.raises(SessionError, match="not one of them can be read"):
            recover(open_store(sink.path))
    else:
        assert recover(open_store(sink.path)).lost == ["80 events had been written, and 0 are there"]
    stored = ParquetStore(sink.path).stored_manifest()
    assert stored is not None
    assert not stored.sealed


def test_a_duckdb_file_that_somebody_removes_is_missed(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    rows = list(batches(40))
    sink.append(rows[0])
    sink.path.unlink()
    with pytest.raises(SegmentDamaged, match="removed"):
        sink.append(rows[-1])
    sink.abandon()


def test_a_duckdb_session_is_one_file(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    assert sink.size_bytes > 0
    manifest = fill(sink, 90)
    assert [path.name for path in tmp_path.iterdir()] == ["test.duckdb"]
    store = open_store(sink.path)
    assert store.manifest() == manifest
    assert (manifest.sealed, manifest.events) == (True, 90)
    assert read(store) == events(90)


def test_an_abandoned_duckdb_session_is_read(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    for rows in batches(60):
        sink.append(rows)
    sink.abandon()
    store = open_store(sink.path)
    assert read(store) == events(60)
    assert not store.manifest().sealed


def test_a_duckdb_file_takes_up_where_the_disk_refused(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    sink = duckdb_sink(small_disk)
    ballast.write_bytes(bytes(500_000))
    rows = batches(1_000_000, 200)
    for refused in rows:
        try:
            sink.append(refused)
        except StorageError as exc:
            assert "free some space" in exc.hint  # noqa: PT017 - the batch is needed that it happened with
            break
    with pytest.raises(StorageError):
        sink.append(refused)
    kept = sink.tally.events
    assert read(DuckDbStore(sink.path)) == events(kept)
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    for again in (refused, *(next(rows) for _ in range(5))):
        sink.append(again)
    assert sink.close(Health()).events == kept + 1_200
    assert read(DuckDbStore(sink.path)) == events(kept + 1_200)
    assert verify(DuckDbStore(sink.path)).is_sound


@pytest.mark.parametrize("is_there", [False, True])
def test_a_commit_that_failed_at_its_very_end_is_not_repeated(
    tmp_path: Path, is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = duckdb_sink(tmp_path)
    sink.append(batch(20))
    append = sink._writer.append

    def fail(rows: pa.RecordBatch) -> None:
        if is_there:
            append(rows)
        raise StorageError("the log cannot be synced", hint="check the disk")

    with monkeypatch.context() as patch:
        patch.setattr(sink._writer, "append", fail)
        with pytest.raises(StorageError):
            sink.append(batch(20, 20))
    sink.append(batch(20, 20))
    sink.append(batch(20, 40))
    sink.close(Health())
    assert read(DuckDbStore(sink.path)) == events(60)


def test_a_duckdb_file_that_lost_something_meanwhile_is_not_written_on(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    sink.append(batch(20))
    sink._is_in_doubt = True
    sink._writer._connection.execute("DELETE FROM events WHERE seq > 5")
    with pytest.raises(SegmentDamaged, match="holds 6 events after the disk refused, expected 20"):
        sink.append(batch(20, 20))
    sink.abandon()
