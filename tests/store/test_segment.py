"""A segment has its name only when it was read back; damaged anywhere, it is never taken for data."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.sessions import IDENTITY, STEP_NS, batch, batches, cut, event, events, flip
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import FormatTooNew, SegmentDamaged, StorageError
from wsrecorder.store import disk
from wsrecorder.store.schema import COLUMNS, SCHEMA, from_rows, iter_events
from wsrecorder.store.segment import Segment, SegmentInfo, check_segment
from wsrecorder.store.segment_writer import segment_content, write_segment

METADATA = IDENTITY.to_metadata()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "000003.parquet"


def read(path: Path, columns: tuple[str, ...] = COLUMNS) -> list[Event]:
    return [one for rows in Segment(path).batches(list(columns)) for one in iter_events(rows)]


def rows_of(count: int, *, size_bytes: int = 1, types: int = 3) -> Iterator[pa.RecordBatch]:
    """Yield batches of 4,096 small events."""
    for first_seq in range(0, count, 4_096):
        yield from_rows(
            [
                Event(
                    seq,
                    Kind.MESSAGE,
                    0,
                    Direction.IN,
                    seq * STEP_NS,
                    seq,
                    type=f"T{seq % types}",
                    text="x" * size_bytes,
                )
                for seq in range(first_seq, min(first_seq + 4_096, count))
            ]
        )


def test_what_was_written_is_read_back(path: Path) -> None:
    info = write_segment(batches(90), path, METADATA)
    assert read(path) == events(90)
    assert info == SegmentInfo(
        name="000003.parquet",
        rows=90,
        size_bytes=path.stat().st_size,
        first_seq=0,
        first_elapsed_ns=0,
        last_elapsed_ns=event(89).elapsed_ns,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert info.next_seq == 90
    assert check_segment(path) == info
    assert Segment(path).rows == 90
    assert METADATA.items() <= Segment(path).metadata.items()


@given(payloads=st.lists(st.binary(max_size=30) | st.text(max_size=20), min_size=1, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_payload_survives(path: Path, payloads: list[bytes | str]) -> None:
    place = {"kind": Kind.MESSAGE, "conn": 0, "direction": Direction.IN, "elapsed_ns": 0, "received_ns": 0}
    rows = [
        Event(seq=seq, **place, **{"text" if isinstance(payload, str) else "binary": payload})  # type: ignore[arg-type]
        for seq, payload in enumerate(payloads)
    ]
    write_segment([from_rows(rows)], path, METADATA)
    assert read(path) == rows


def test_payloads_that_look_like_the_checksums_entry_do_no_harm(path: Path) -> None:
    rows = [
        Event(
            0, Kind.MESSAGE, 0, Direction.IN, 0, 0, type="wsrec.crc32\x18\x08deadbeef", binary=b"wsrec.crc32\x18\x08x"
        )
    ]
    write_segment([from_rows(rows)], path, METADATA)
    assert read(path) == rows


def test_types_may_change_from_batch_to_batch(path: Path) -> None:
    rows = [Event(seq, Kind.MESSAGE, 0, Direction.IN, 0, 0, type=f"T{seq}", text="x") for seq in range(9)]
    write_segment([from_rows(rows[start : start + 3]) for start in (0, 3, 6)], path, METADATA)
    assert read(path) == rows


def test_other_readers_of_parquet_read_it_as_it_is(path: Path) -> None:
    write_segment(batches(90), path, METADATA)
    table = pq.read_table(path)
    assert table.schema.equals(SCHEMA)
    assert [one for rows in table.to_batches() for one in iter_events(rows)] == events(90)


# Layout


def test_layout_is_that_of_the_format(path: Path) -> None:
    write_segment(batches(90), path, METADATA)
    assert list(Segment(path).layout_faults()) == []
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = {group.column(index).path_in_schema: group.column(index) for index in range(group.num_columns)}
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    for name in ("text", "binary", "detail"):
        assert not columns[name].has_dictionary_page
        assert not columns[name].is_stats_set
    for name in ("seq", "elapsed_ns", "received_ns", "received_at", "sent_at"):
        assert "DELTA_BINARY_PACKED" in columns[name].encodings


def test_row_groups_hold_64k_rows_at_most(path: Path) -> None:
    write_segment(rows_of(140_000), path, METADATA)
    meta = pq.ParquetFile(path).metadata
    assert [meta.row_group(index).num_rows for index in range(meta.num_row_groups)] == [65_536, 65_536, 8_928]
    assert list(Segment(path).layout_faults()) == []


def test_row_groups_hold_16_mib_of_payload_at_most(path: Path) -> None:
    write_segment(rows_of(9 * 4_096, size_bytes=2_000), path, METADATA)
    meta = pq.ParquetFile(path).metadata
    assert [meta.row_group(index).num_rows for index in range(meta.num_row_groups)] == [2 * 4_096] * 4 + [4_096]


def test_a_foreign_layout_is_named(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(pa.Table.from_batches(rows_of(70_000)), foreign, row_group_size=70_000, write_statistics=False)
    monkeypatch.setattr("wsrecorder.store.stamp.check", lambda path: None)
    monkeypatch.setattr("wsrecorder.store.segment.check_version", lambda found, path: None)
    faults = "\n".join(Segment(foreign).layout_faults())
    for fault in ("70000 rows", "SNAPPY", "DELTA_BINARY_PACKED", "dictionary", "statistics", "page index"):
        assert fault in faults


# Reading in part


def test_row_groups_that_cannot_matter_are_left_out(path: Path) -> None:
    write_segment(rows_of(140_000), path, METADATA)
    segment = Segment(path)

    def read_rows(**bounds: int) -> tuple[int, int]:
        found = [rows.column("seq") for rows in segment.batches(["seq"], **bounds)]
        return (found[0][0].as_py(), found[-1][-1].as_py() + 1) if found else (0, 0)

    assert read_rows() == (0, 140_000)
    assert read_rows(from_seq=65_536) == (65_536, 140_000)
    assert read_rows(start_ns=65_535 * STEP_NS) == (0, 140_000)
    assert read_rows(start_ns=65_536 * STEP_NS) == (65_536, 140_000)
    assert read_rows(end_ns=65_536 * STEP_NS) == (0, 65_536)
    assert read_rows(end_ns=65_536 * STEP_NS + 1) == (0, 131_072)
    assert read_rows(start_ns=70_000 * STEP_NS, end_ns=80_000 * STEP_NS) == (65_536, 131_072)
    assert read_rows(from_seq=140_000) == (0, 0)


def test_batches_are_no_longer_than_wanted(path: Path) -> None:
    write_segment(batches(90), path, METADATA)
    assert [len(rows) for rows in Segment(path).batches(["seq"], batch_rows=40)] == [40, 40, 10]


# Damage


def test_a_bit_flip_anywhere_is_never_taken_for_data(path: Path) -> None:
    write_segment(batches(60), path, METADATA)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content)
        flip(path, place, bit=place % 8)
        with pytest.raises(SegmentDamaged) as caught:
            read(path)
        assert "verify" in caught.value.hint


def test_cut_at_any_byte_it_is_never_taken_for_data(path: Path) -> None:
    write_segment(batches(60), path, METADATA)
    content = path.read_bytes()
    for size in [*range(0, len(content), 101), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(SegmentDamaged):
            check_segment(path)


def test_a_missing_segment_is_named(path: Path) -> None:
    with pytest.raises(SegmentDamaged, match=r"000003\.parquet is missing"):
        Segment(path)


def test_a_file_of_another_kind_is_no_segment(path: Path) -> None:
    path.write_text("hello")
    with pytest.raises(SegmentDamaged, match="not a whole segment"):
        Segment(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SegmentDamaged, match="cannot be read"):
        Segment(path)


def test_a_newer_format_is_not_taken_for_damage(path: Path) -> None:
    newer = {**METADATA, "wsrec.format_version": "2"}
    with pytest.raises(FormatTooNew):
        write_segment(batches(20), path, newer)
    assert not path.exists()


# Writing


def left(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def test_a_hole_in_the_sequence_is_refused_when_it_is_read_back(path: Path) -> None:
    with pytest.raises(SegmentDamaged, match="goes on with event 25 where event 20 was expected"):
        write_segment([batch(20), batch(20, 25)], path, METADATA)
    assert left(path) == []


def test_the_content_of_a_segment_is_what_is_written_to_a_disk(path: Path) -> None:
    info = write_segment(batches(90), path, METADATA)
    assert segment_content(batches(90), path, METADATA) == (path.read_bytes(), info)


def test_a_segment_without_events_is_refused(path: Path) -> None:
    with pytest.raises(SegmentDamaged, match="no events"):
        write_segment([], path, METADATA)
    assert left(path) == []


def test_fewer_events_than_there_must_be_are_refused(path: Path) -> None:
    with pytest.raises(SegmentDamaged, match="holds 40 events, expected 60"):
        write_segment(batches(40), path, METADATA, rows=60)
    assert left(path) == []


def test_a_disk_that_gives_back_something_else_is_found_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = disk.sync

    def sync_badly(file: object) -> None:
        sync(file)  # type: ignore[arg-type]
        flip(path.with_name(path.name + ".tmp"), 300)

    monkeypatch.setattr(disk, "sync", sync_badly)
    with pytest.raises(SegmentDamaged, match="checksum"):
        write_segment(batches(60), path, METADATA)
    assert left(path) == []


def test_a_full_disk_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "sync", refuse)
    with pytest.raises(StorageError, match="No space left"):
        write_segment(batches(60), path, METADATA)
    assert left(path) == []


def test_a_segment_shows_up_only_when_it_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    publish = disk.publish

    def watched(temporary: Path, final: Path) -> None:
        seen.append(left(path))
        check_segment(temporary)
        publish(temporary, final)

    monkeypatch.setattr(disk, "publish", watched)
    write_segment(batches(60), path, METADATA)
    assert seen == [["000003.parquet.tmp"]]
    assert left(path) == ["000003.parquet"]


def test_columns_of_another_format_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.Table.from_batches([batch(5)])
    pq.write_table(table.set_column(0, "seq", table["seq"].cast(pa.int32())), path)
    monkeypatch.setattr("wsrecorder.store.stamp.check", lambda path: None)
    monkeypatch.setattr("wsrecorder.store.segment.check_version", lambda found, path: None)
    with pytest.raises(SegmentDamaged, match="columns of another format"):
        check_segment(path)


def test_bytes_that_are_missing_from_the_middle_are_found(path: Path) -> None:
    write_segment(batches(60), path, METADATA)
    content = path.read_bytes()
    path.write_bytes(content[:200] + content[300:])
    with pytest.raises(SegmentDamaged):
        Segment(path)
    cut(path, 100)
    with pytest.raises(SegmentDamaged):
        Segment(path)
