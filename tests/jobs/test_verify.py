"""Verify names each rule of the format that is broken, and never raises for damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import pytest

from tests.store.sessions import (
    IDENTITY,
    batch,
    batches,
    cut,
    duckdb_sink,
    events,
    fill,
    flip,
    journal,
    layout,
    parquet_sink,
    seal,
)
from wsrecorder.core.event import Event
from wsrecorder.jobs.verify import Severity, VerifyReport, verify
from wsrecorder.store import disk
from wsrecorder.store.duckdb_file import DuckDbStore
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import MANIFEST_NAME, Identity, Manifest
from wsrecorder.store.schema import from_rows
from wsrecorder.store.segment_writer import write_segment
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore

METADATA = IDENTITY.to_metadata()


def said(report: VerifyReport) -> list[tuple[str, str]]:
    return [(finding.where, finding.message) for finding in report.findings]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound session of three segments, 40 events each."""
    sink = parquet_sink(tmp_path, segment_events=40)
    fill(sink, 120)
    return sink.path


def segment(folder: Path, number: int) -> Path:
    return folder / EVENTS_FOLDER / f"{number:06d}.parquet"


def rewrite(folder: Path, number: int, rows: list[Event], metadata: dict[str, str] = METADATA) -> None:
    """Put another segment in a session, and into its manifest."""
    info = write_segment([from_rows(rows)], segment(folder, number), metadata)
    manifest = ParquetStore(folder).stored_manifest()
    assert manifest is not None
    manifest.segments[number] = info
    manifest.write(folder)


@pytest.mark.parametrize("count", [0, 1, 120])
def test_a_sound_session_has_no_findings(tmp_path: Path, count: int) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    fill(sink, count)
    progress: list[int] = []
    report = verify(ParquetStore(sink.path), progress.append)
    assert report == VerifyReport(
        id=IDENTITY.id, path=str(sink.path), events=count, segments=-(-count // 40), findings=[]
    )
    assert (report.is_sound, report.exit_code) == (True, 0)
    assert progress == sorted(progress)
    assert report.to_dict()["is_sound"] is True
    json.dumps(report.to_dict())


def test_a_sound_duckdb_session_has_no_findings(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 120)
    report = verify(DuckDbStore(sink.path))
    assert (report.id, report.events, report.findings, report.exit_code) == (IDENTITY.id, 120, [], 0)


# A rule broken, a finding


def test_a_damaged_segment(folder: Path) -> None:
    flip(segment(folder, 1), 500)
    report = verify(ParquetStore(folder))
    ((where, message),) = said(report)
    assert where == "events/000001.parquet"
    assert "its checksum is" in message
    assert report.exit_code == 4
    assert report.events == 80  # the others were read all the same


def test_a_missing_segment(folder: Path) -> None:
    segment(folder, 1).unlink()
    assert said(verify(ParquetStore(folder))) == [("events/000001.parquet", "it is missing")]


def test_all_that_is_wrong_is_named_at_once(folder: Path) -> None:
    flip(segment(folder, 0), 500)
    segment(folder, 1).unlink()
    cut(segment(folder, 2), -1)
    assert [where for where, _ in said(verify(ParquetStore(folder)))] == [
        f"events/00000{number}.parquet" for number in range(3)
    ]


def test_a_hole_between_segments(folder: Path) -> None:
    rewrite(folder, 1, events(39, 41))
    found = said(verify(ParquetStore(folder)))
    assert ("events/000001.parquet", "goes on with event 41, expected 40") in found
    assert any("events is 120, but the events say 119" in message for _, message in found)


def test_time_that_goes_back(folder: Path) -> None:
    rows = [msgspec.structs.replace(event, elapsed_ns=event.elapsed_ns - 10**9) for event in events(40, 40)]
    rewrite(folder, 1, rows)
    assert ("events/000001.parquet", "elapsed_ns goes back at or after event 40") in said(verify(ParquetStore(folder)))


def test_a_segment_of_another_session(folder: Path) -> None:
    other = msgspec.structs.replace(IDENTITY, id="20250101T000000Z-other")
    rewrite(folder, 1, events(40, 40), other.to_metadata())
    assert said(verify(ParquetStore(folder))) == [
        ("events/000001.parquet", f"it belongs to session {other.id}, expected {IDENTITY.id}")
    ]


def test_a_segment_that_was_exchanged_for_another_sound_one(folder: Path) -> None:
    rows = events(40, 40)
    rows[7] = msgspec.structs.replace(rows[7], text=None, binary=b"forged")
    write_segment([from_rows(rows)], segment(folder, 1), METADATA)
    found = said(verify(ParquetStore(folder)))
    assert any(message.startswith("sha256 is ") for _, message in found)


@pytest.mark.parametrize(
    "change",
    [{"events": 119}, {"messages": 1}, {"size_bytes": 0}, {"types": {}}, {"connections": 9}, {"gaps": 9}],
    ids=lambda change: next(iter(change)),
)
def test_counts_that_are_wrong(folder: Path, change: dict[str, object]) -> None:
    manifest = ParquetStore(folder).stored_manifest()
    assert manifest is not None
    msgspec.structs.replace(manifest, **change).write(folder)
    ((where, message),) = said(verify(ParquetStore(folder)))
    (name,) = change
    assert where == MANIFEST_NAME
    assert message.startswith(f"{name} is {change[name]}, but the events say ")


def test_a_manifest_that_does_not_list_a_segment(folder: Path) -> None:
    manifest = ParquetStore(folder).stored_manifest()
    assert manifest is not None
    manifest.segments.pop()
    manifest.write(folder)
    ((where, message),) = said(verify(ParquetStore(folder)))
    assert where == "events/000002.parquet"
    assert "does not list it" in message


def test_a_manifest_that_was_changed_or_is_missing(folder: Path) -> None:
    flip(folder / MANIFEST_NAME, 60)
    report = verify(ParquetStore(folder))
    assert [where for where, _ in said(report)] == [MANIFEST_NAME]
    assert not report.is_sound
    (folder / MANIFEST_NAME).unlink()
    report = verify(ParquetStore(folder))
    assert [(finding.severity, finding.where) for finding in report.findings] == [(Severity.ODD, MANIFEST_NAME)]
    assert report.is_sound  # a session without a manifest is readable
    assert report.events == 120


def test_a_newer_format(folder: Path) -> None:
    content = json.loads((folder / MANIFEST_NAME).read_bytes())
    (folder / MANIFEST_NAME).write_text(json.dumps({**content, "format_version": 2}))
    report = verify(ParquetStore(folder))
    assert report.exit_code == 4
    assert "format version 2" in report.findings[0].message


def test_a_journal_left_over(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=2, journals=1)
    report = verify(ParquetStore(folder))
    assert said(report) == [("events/000002.journal", 'never sealed: run "wsrec recover"')]
    assert report.events == 120


def test_a_journal_that_is_cut(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=2, journals=1)
    cut(folder / EVENTS_FOLDER / "000002.journal", -50)
    ((where, message),) = said(verify(ParquetStore(folder)))
    assert where == "events/000002.journal"
    assert "bytes at its end cannot be read" in message


def test_a_journal_beside_its_segment(folder: Path) -> None:
    journal(folder, 2, 80, 40)
    report = verify(ParquetStore(folder))
    assert said(report)[0] == ("events/000002.journal", 'its segment is there as well; "wsrec recover" removes it')
    assert report.events == 120


def test_a_journal_in_place_of_a_listed_segment(folder: Path) -> None:
    segment(folder, 2).unlink()
    journal(folder, 2, 80, 40)
    assert (
        "events/000002.journal",
        "the manifest lists 000002.parquet, which is missing",
    ) in said(verify(ParquetStore(folder)))


def test_a_session_that_was_not_ended_properly(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=2)
    ((where, message),) = said(verify(ParquetStore(folder)))
    assert where == MANIFEST_NAME
    assert "recover" in message


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("000007.parquet.tmp", Severity.ODD),
        ("000002.journal.cut", Severity.ODD),
        ("000002.parquet.damaged2", Severity.ODD),
        ("notes.txt", Severity.ODD),
        ("7.parquet", Severity.ODD),
    ],
)
def test_strays_are_named_but_break_nothing(folder: Path, name: str, severity: Severity) -> None:
    (folder / EVENTS_FOLDER / name).write_text("")
    report = verify(ParquetStore(folder))
    assert [(finding.severity, finding.where) for finding in report.findings] == [(severity, f"events/{name}")]
    assert report.is_sound


def test_a_folder_that_was_renamed_is_odd(folder: Path) -> None:
    renamed = folder.rename(folder.with_name("mine"))
    report = verify(ParquetStore(renamed))
    assert [finding.severity for finding in report.findings] == [Severity.ODD]


def test_a_rule_that_every_batch_breaks_is_named_once(folder: Path) -> None:
    rows = [msgspec.structs.replace(event, elapsed_ns=-event.seq) for event in events(40, 40)]
    rewrite(folder, 1, rows)
    messages = [message for _, message in said(verify(ParquetStore(folder)))]
    assert sum("elapsed_ns goes back" in message for message in messages) == 1


def test_nothing_at_all_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "x" / EVENTS_FOLDER).mkdir(parents=True)
    report = verify(ParquetStore(tmp_path / "x"))
    assert report.id == "x"
    assert not report.is_sound


def test_a_segment_whose_identity_is_damaged(folder: Path) -> None:
    metadata = {**METADATA, "wsrec.session_crc32": "00000000"}
    rewrite(folder, 1, events(40, 40), metadata)
    assert any("does not say intact" in message for _, message in said(verify(ParquetStore(folder))))


# While it is recorded


def test_a_session_that_is_being_recorded_is_checked_as_it_stands(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path, segment_events=1_000)
    for rows in batches(100):
        sink.append(rows)
    report = verify(ParquetStore(sink.path))
    assert (report.is_live, report.events, report.findings) == (True, 100, [])
    sink.abandon()
    assert not verify(ParquetStore(sink.path)).is_sound


def test_a_journal_sealed_while_it_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layout(tmp_path, segments=1, journals=1)
    files = ParquetStore.files

    def sealing(self: ParquetStore) -> dict[int, Path]:
        found = files(self)
        monkeypatch.setattr(ParquetStore, "files", files)
        seal(folder, 1)
        return found

    monkeypatch.setattr(ParquetStore, "files", sealing)
    monkeypatch.setattr("wsrecorder.store.lock.is_locked", lambda folder: True)
    report = verify(ParquetStore(folder))
    assert (report.events, report.findings) == (80, [])


def test_a_duckdb_session_that_is_being_recorded(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    sink.append(batch(20))
    report = verify(DuckDbStore(sink.path))
    assert (report.is_live, report.events, report.findings) == (True, 20, [])
    sink.abandon()
    report = verify(DuckDbStore(sink.path))
    assert said(report) == [("test.duckdb", 'never sealed: run "wsrec recover"')]


# DuckDB


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM events WHERE seq = 30", "hole at event 30"),
        ("DELETE FROM events WHERE seq >= 100", "the manifest counts 120 events"),
        ("UPDATE events SET elapsed_ns = 0 WHERE seq = 50", "elapsed_ns goes back"),
        ("UPDATE events SET text = 'x', \"binary\" = 'x'::BLOB WHERE seq = 7", "both text and binary"),
        ("UPDATE events SET kind = 'frame' WHERE seq = 7", "kind 'frame' is none of"),
        ("UPDATE events SET type = 'T9' WHERE type = 'T3'", "types is"),
        ("DROP TABLE events", "cannot be read"),
        ("DROP TABLE session", "without a table session"),
    ],
)
def test_a_rule_broken_in_a_duckdb_session(tmp_path: Path, statement: str, expected: str) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 120)
    with duckdb.connect(sink.path) as connection:
        connection.execute(statement)
    report = verify(open_store(sink.path))
    assert not report.is_sound
    assert any(expected in message for _, message in said(report)), report.findings


# Whatever is done to a session


def damages() -> list[Callable[[Path], object]]:
    return [
        lambda folder: flip(segment(folder, 1), 10),
        lambda folder: segment(folder, 0).write_bytes(b""),
        lambda folder: segment(folder, 2).rename(segment(folder, 3)),
        lambda folder: segment(folder, 2).rename(segment(folder, 0)),
        lambda folder: (folder / MANIFEST_NAME).write_text("[]"),
        lambda folder: (folder / EVENTS_FOLDER / "000003.journal").write_bytes(b"garbage"),
        lambda folder: segment(folder, 1).write_bytes(segment(folder, 2).read_bytes()),
        lambda folder: Manifest(identity=Identity(id="other", name="other")).write(folder),
    ]


@pytest.mark.parametrize("number", range(8))
def test_no_damage_goes_unnoticed_or_raises(folder: Path, number: int) -> None:
    damages()[number](folder)
    assert not verify(ParquetStore(folder)).is_sound


def test_a_folder_that_may_not_be_read_is_a_finding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> list[str]:
        with disk.storage_errors(path):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(disk, "list_names", refuse)
    report = verify(ParquetStore(folder))
    assert "Permission denied" in report.findings[0].message
