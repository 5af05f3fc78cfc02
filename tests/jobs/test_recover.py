"""Recovery seals what is whole, says what is lost, and destroys nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.sessions import (
    IDENTITY,
    batch,
    batches,
    cut,
    duckdb_sink,
    event,
    events,
    fill,
    flip,
    journal,
    layout,
    new_folder,
    parquet_sink,
    read,
    seal,
)
from tests.store.test_duckdb_file import CRASH, elsewhere
from wsrecorder.core.event import from_epoch_ns
from wsrecorder.errors import FormatTooNew, SegmentDamaged, SessionError
from wsrecorder.jobs.recover import Recovery, recover
from wsrecorder.jobs.verify import verify
from wsrecorder.store import disk
from wsrecorder.store.duckdb_file import DuckDbStore
from wsrecorder.store.duckdb_log import log_of
from wsrecorder.store.journal import JournalWriter
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.manifest import MANIFEST_NAME, Health, Manifest
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore


def held(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / EVENTS_FOLDER).iterdir())


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def until(last_seq: int) -> str:
    return from_epoch_ns(event(last_seq).received_ns).isoformat()


def again(folder: Path) -> Recovery:
    """Recover once more and check that nothing changes."""
    before = content(folder)
    recovery = recover(ParquetStore(folder))
    assert content(folder) == before
    assert (recovery.sealed, recovery.removed, recovery.cut) == ([], [], [])
    return recovery


# Nothing lost


@pytest.mark.parametrize(("segments", "journals"), [(0, 0), (0, 1), (2, 0), (0, 3), (2, 2)])
def test_journals_become_segments(tmp_path: Path, segments: int, journals: int) -> None:
    folder = layout(tmp_path, segments=segments, journals=journals)
    store = ParquetStore(folder)
    count = 40 * (segments + journals)
    recovery = recover(store)
    assert recovery.exit_code == 0
    assert recovery.sealed == [f"{number:06d}.parquet" for number in range(segments, segments + journals)]
    assert (recovery.events, recovery.cut_bytes, recovery.lost) == (count, 0, [])
    assert recovery.whole_until == until(max(0, count - 1))
    assert read(store) == events(count)
    report = verify(store)
    assert (report.findings, report.events) == ([], count)
    manifest = store.manifest()
    assert manifest.sealed
    assert manifest.health.reconnects == max(0, manifest.connections - 1)
    again(folder)


def test_a_sealed_session_is_left_as_it_is(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    fill(sink, 90)
    recovery = again(sink.path)
    assert (recovery.exit_code, recovery.events) == (0, 90)


@pytest.mark.parametrize("missing", [True, False])
def test_a_manifest_that_is_missing_or_damaged_is_written_anew(tmp_path: Path, missing: bool) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    before = fill(sink, 90)
    manifest_path = sink.path / MANIFEST_NAME
    damaged = manifest_path.read_bytes()[:-50]
    manifest_path.unlink() if missing else manifest_path.write_bytes(damaged)
    recovery = recover(ParquetStore(sink.path))
    assert recovery.exit_code == 0
    after = ParquetStore(sink.path).stored_manifest()
    assert after is not None
    assert msgspec.structs.replace(after, health=before.health) == before
    assert verify(ParquetStore(sink.path)).is_sound
    if not missing:
        assert (sink.path / f"{MANIFEST_NAME}.damaged").read_bytes() == damaged
    again(sink.path)


def test_a_journal_whose_segment_is_there_goes(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=2)
    journal(folder, 1, 40, 40)
    recovery = recover(ParquetStore(folder))
    assert (recovery.sealed, recovery.removed, recovery.exit_code) == ([], ["000001.journal"], 0)
    assert held(folder) == ["000000.parquet", "000001.parquet"]
    assert verify(ParquetStore(folder)).is_sound


def test_a_journal_stays_when_its_segment_is_damaged(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=2)
    journal(folder, 1, 40, 40)
    flip(folder / EVENTS_FOLDER / "000001.parquet", 400)
    recovery = recover(ParquetStore(folder))
    assert (recovery.sealed, recovery.exit_code) == (["000001.parquet"], 0)
    assert held(folder) == ["000000.parquet", "000001.parquet", "000001.parquet.damaged"]
    assert read(ParquetStore(folder)) == events(80)


def test_a_segment_that_holds_less_than_its_journal_gives_way(tmp_path: Path) -> None:
    folder = layout(tmp_path, journals=1)
    other = layout(tmp_path / "other", journals=1)
    cut(other / EVENTS_FOLDER / "000000.journal", -50)
    seal(other, 0)
    shutil.copy(other / EVENTS_FOLDER / "000000.parquet", folder / EVENTS_FOLDER)
    assert recover(ParquetStore(folder)).exit_code == 0
    assert held(folder) == ["000000.parquet", "000000.parquet.damaged"]
    assert read(ParquetStore(folder)) == events(40)


def test_leftovers_of_a_crash_go(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1, journals=1)
    (folder / EVENTS_FOLDER / "000000.parquet.tmp").write_bytes(b"half a segment")
    (folder / EVENTS_FOLDER / "000001.parquet.tmp").write_bytes(b"half a segment")
    (folder / f"{MANIFEST_NAME}.tmp").write_bytes(b"{")
    recovery = recover(ParquetStore(folder))
    assert set(recovery.removed) == {"000000.parquet.tmp", "session.json.tmp", "000001.journal"}
    assert held(folder) == ["000000.parquet", "000001.parquet"]
    assert verify(ParquetStore(folder)).findings == []


def test_a_journal_that_never_got_an_event_goes(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1)
    (folder / EVENTS_FOLDER / "000001.journal").write_bytes(b"")
    JournalWriter(folder / EVENTS_FOLDER / "000002.journal", IDENTITY.to_metadata()).close()
    recovery = recover(ParquetStore(folder))
    assert (recovery.exit_code, recovery.events) == (0, 40)
    assert held(folder) == ["000000.parquet"]


# A tail cut


@given(size=st.integers(1, 4_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_journal_cut_anywhere_is_sealed_up_to_there(tmp_path: Path, size: int) -> None:
    folder = tmp_path / IDENTITY.id
    if folder.exists():
        shutil.rmtree(folder)
    layout(tmp_path, segments=1, journals=1, size=5)
    path = folder / EVENTS_FOLDER / "000001.journal"
    cut(path, -size)
    tail = path.read_bytes()
    before = read(ParquetStore(folder))
    recovery = recover(ParquetStore(folder))
    store = ParquetStore(folder)
    assert read(store) == before == events(recovery.events)
    assert recovery.whole_until == until(recovery.events - 1)
    assert recovery.exit_code == (6 if recovery.cut_bytes else 0)
    if recovery.cut_bytes:
        (one,) = recovery.cut
        assert one.kept_as == "000001.journal.cut"
        assert (folder / EVENTS_FOLDER / one.kept_as).read_bytes() == tail
        assert 0 < one.bytes <= len(tail)
        assert one.reason
    assert verify(store).is_sound
    again(folder)


def test_a_recovery_says_how_much_is_cut_and_up_to_when_the_session_is_whole(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1, journals=1)
    path = folder / EVENTS_FOLDER / "000001.journal"
    cut(path, -7)
    recovery = recover(ParquetStore(folder))
    report = json.loads(json.dumps(recovery.to_dict()))
    assert report["events"] == 60
    assert report["whole_until"] == until(59)
    assert report["cut"][0]["file"] == "000001.journal"
    assert report["cut_bytes"] == report["cut"][0]["bytes"] > 100
    assert recovery.exit_code == 6


@pytest.mark.parametrize("steps_done", range(9))
def test_a_recovery_that_is_interrupted_is_taken_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_done: int
) -> None:
    folder = layout(tmp_path, segments=1, journals=2)
    cut(folder / EVENTS_FOLDER / "000002.journal", -7)
    steps = 0

    def breaking_off(done: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object) -> object:
            nonlocal steps
            steps += 1
            if steps > steps_done:
                raise KeyboardInterrupt
            return done(*args)

        return step

    for name in ("publish", "remove", "sync_directory"):
        monkeypatch.setattr(disk, name, breaking_off(getattr(disk, name)))
    with suppress(KeyboardInterrupt):
        recover(ParquetStore(folder))
    monkeypatch.undo()
    assert read(ParquetStore(folder)) == events(100)
    recover(ParquetStore(folder))
    assert read(ParquetStore(folder)) == events(100)
    assert verify(ParquetStore(folder)).is_sound
    assert held(folder) == ["000000.parquet", "000001.parquet", "000002.journal.cut", "000002.parquet"]


# Damage in the middle


def test_damage_in_the_middle_is_named_and_nothing_is_destroyed(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1, journals=3)
    cut(folder / EVENTS_FOLDER / "000002.journal", -50)
    damaged = (folder / EVENTS_FOLDER / "000002.journal").read_bytes()
    recovery = recover(ParquetStore(folder))
    assert recovery.exit_code == 6
    assert recovery.events == 100
    assert recovery.whole_until == until(99)
    assert recovery.lost == ["000003.parquet: event 100 cannot be read; events 120 to 159 follow"]
    assert recovery.sealed == ["000001.parquet"]  # what is before the damage is safe to seal
    assert held(folder) == ["000000.parquet", "000001.parquet", "000002.journal", "000003.journal"]
    assert (folder / EVENTS_FOLDER / "000002.journal").read_bytes() == damaged
    store = ParquetStore(folder)
    assert read(store, Selection(from_seq=120)) == events(40, 120)  # what follows can be had
    stored = store.stored_manifest()
    assert stored is not None
    assert not stored.sealed
    assert not verify(store).is_sound
    assert again(folder).lost == recovery.lost


@pytest.mark.parametrize("how", ["missing", "damaged", "shorter"])
def test_a_segment_lost_in_the_middle_is_named(tmp_path: Path, how: str) -> None:
    folder = layout(tmp_path, segments=2, journals=1)
    path = folder / EVENTS_FOLDER / "000001.parquet"
    path.unlink() if how == "missing" else flip(path, 400)
    if how == "shorter":
        cut(path, -1)  # of another size than the manifest says
    recovery = recover(ParquetStore(folder))
    assert recovery.exit_code == 6
    assert recovery.lost == ["000001.parquet: event 40 cannot be read; events 80 to 119 follow"]
    assert "000002.journal" in held(folder)
    again(folder)


def test_a_last_segment_that_is_lost_is_named(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    fill(sink, 80)
    (sink.path / EVENTS_FOLDER / "000001.parquet").unlink()
    recovery = recover(ParquetStore(sink.path))
    assert recovery.lost == ["000001.parquet: event 40 cannot be read"]
    assert recovery.exit_code == 6


def test_a_sealed_session_with_a_damaged_segment_is_not_called_whole(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    fill(sink, 120)
    flip(sink.path / EVENTS_FOLDER / "000001.parquet", 400)
    recovery = again(sink.path)
    assert recovery.lost == ["000001.parquet: event 40 cannot be read; events 80 to 119 follow"]
    assert (recovery.exit_code, recovery.events) == (6, 40)


def test_a_cut_end_that_hides_nothing_is_no_loss(tmp_path: Path) -> None:
    folder = layout(tmp_path, journals=2)
    cut(folder / EVENTS_FOLDER / "000000.journal", -3)  # only the marker at its end
    recovery = recover(ParquetStore(folder))
    assert (recovery.exit_code, recovery.events) == (0, 80)
    assert held(folder) == ["000000.parquet", "000001.parquet"]


# Nothing can be read


@pytest.mark.parametrize("has_manifest", [True, False])
def test_when_nothing_can_be_read_nothing_is_changed(tmp_path: Path, has_manifest: bool) -> None:
    folder = new_folder(tmp_path)
    if has_manifest:
        Manifest(identity=IDENTITY).write(folder)
    (folder / EVENTS_FOLDER / "000000.journal").write_bytes(b"garbage that was a journal once")
    before = content(folder)
    with pytest.raises(SessionError) as caught:
        recover(ParquetStore(folder))
    assert caught.value.exit_code == 4
    assert "restore" in caught.value.hint
    assert content(folder) == before


def test_a_manifest_whose_segments_are_all_gone_is_nothing_that_can_be_read(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    fill(sink, 80)
    for path in (sink.path / EVENTS_FOLDER).iterdir():
        path.unlink()
    before = content(sink.path)
    with pytest.raises(SessionError) as caught:
        recover(ParquetStore(sink.path))
    assert caught.value.exit_code == 4
    assert content(sink.path) == before


def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    folder = layout(tmp_path, journals=1)
    newer = {**IDENTITY.to_metadata(), "wsrec.format_version": "2"}
    JournalWriter(folder / EVENTS_FOLDER / "000001.journal", newer).close()
    before = content(folder)
    with pytest.raises(FormatTooNew):
        recover(ParquetStore(folder))
    assert content(folder) == before
    (folder / MANIFEST_NAME).write_text('{"format_version": 2}')
    with pytest.raises(FormatTooNew):
        recover(ParquetStore(folder))


# Still being recorded


def test_a_session_under_a_recorder_is_not_touched(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path)
    sink.append(batch(20))
    with pytest.raises(SessionError, match="is being written by process"):
        recover(ParquetStore(sink.path))
    sink.append(batch(20, 20))
    sink.close(Health())
    assert read(ParquetStore(sink.path)) == events(40)


def test_two_recoveries_do_not_meet(tmp_path: Path) -> None:
    folder = layout(tmp_path, journals=1)
    with SessionLock(folder), pytest.raises(SessionError):
        recover(ParquetStore(folder))
    assert recover(ParquetStore(folder)).exit_code == 0


# DuckDB


@pytest.fixture
def crashed(tmp_path: Path) -> DuckDbStore:
    """A DuckDB session of 200 events whose recorder was killed."""
    with pytest.raises(subprocess.CalledProcessError):
        elsewhere(CRASH, tmp_path)
    return DuckDbStore(tmp_path / "test.duckdb")


def test_a_duckdb_session_is_sealed(crashed: DuckDbStore) -> None:
    recovery = recover(crashed)
    assert (recovery.exit_code, recovery.events, recovery.whole_until) == (0, 200, until(199))
    assert not log_of(crashed.path).exists()
    assert read(crashed) == events(200)
    assert verify(crashed).findings == []
    assert recover(crashed).exit_code == 0


def test_a_damaged_log_is_cut_and_kept(crashed: DuckDbStore) -> None:
    log = log_of(crashed.path)
    flip(log, -2_000)
    damaged = log.read_bytes()
    recovery = recover(crashed)
    assert recovery.exit_code == 6
    (one,) = recovery.cut
    assert (one.file, one.kept_as) == ("test.duckdb.wal", "test.duckdb.wal.cut")
    assert (crashed.path.parent / one.kept_as).read_bytes() == damaged
    assert 2_000 <= one.bytes < len(damaged)
    assert 0 < recovery.events < 200
    assert read(crashed) == events(recovery.events)
    assert verify(crashed).is_sound


def test_a_sealed_duckdb_session_keeps_every_byte(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 60)
    before = sink.path.read_bytes()
    recovery = recover(DuckDbStore(sink.path))
    assert (recovery.events, recovery.exit_code) == (60, 0)
    assert sink.path.read_bytes() == before


def test_a_damaged_duckdb_file_is_left_alone(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 60)
    cut(sink.path, 5_000)
    before = sink.path.read_bytes()
    with pytest.raises(SegmentDamaged):
        recover(DuckDbStore(sink.path))
    assert sink.path.read_bytes() == before


def test_a_duckdb_session_under_a_recorder_is_not_touched(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    sink.append(batch(20))
    code = "import sys; from pathlib import Path; from wsrecorder.jobs.recover import recover; "
    code += "from wsrecorder.store.duckdb_file import DuckDbStore; from wsrecorder.errors import SessionError\n"
    code += "try: recover(DuckDbStore(Path(sys.argv[1])))\nexcept SessionError as exc: print(exc.message)"
    assert "is being written by another process" in elsewhere(code, sink.path)
    sink.append(batch(20, 20))
    sink.abandon()
    assert read(DuckDbStore(sink.path)) == events(40)


def test_a_duckdb_file_that_is_no_session_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "test.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE t (i INT)")
    with pytest.raises(SessionError, match="without a table session"):
        recover(DuckDbStore(path))


def test_a_hole_keeps_a_duckdb_session_from_being_sealed(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    for rows in batches(60):
        sink.append(rows)
    sink.abandon()
    with duckdb.connect(sink.path) as connection:
        connection.execute("DELETE FROM events WHERE seq = 30")
    with pytest.raises(SegmentDamaged, match="hole at event 30"):
        recover(DuckDbStore(sink.path))
    assert not verify(DuckDbStore(sink.path)).is_sound
