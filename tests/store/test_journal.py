"""A journal survives: cut or damaged anywhere, it gives a prefix of what was written, never anything else."""

from __future__ import annotations

import errno
import zlib
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from tests.store.sessions import IDENTITY, batch, batches, cut, event, events, flip
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import FormatTooNew, StorageError
from wsrecorder.store import disk
from wsrecorder.store.journal import JournalReader, JournalWriter, check_journal
from wsrecorder.store.schema import SCHEMA, from_rows, iter_events

END = b"\xff\xff\xff\xff\0\0\0\0"


def write(path: Path, rows: list[pa.RecordBatch], *, closed: bool = True) -> list[int]:
    """Write a journal and return where each batch ended, the header's end first."""
    writer = JournalWriter(path, IDENTITY.to_metadata(), sync=False)
    ends: list[int] = []
    for one in rows:
        writer.append(one)
        ends.append(writer.size_bytes)
    if closed:
        writer.close()
    else:
        writer.abandon()
    with closing(JournalReader(path)) as journal:
        return [journal.whole_bytes, *ends]


def read(path: Path) -> tuple[list[Event], str | None, int]:
    """Return the events of a journal, what was wrong, and how many bytes were cut."""
    with closing(JournalReader(path)) as journal:
        found = [one for rows in journal for one in iter_events(rows)]
        return found, journal.trouble, journal.cut_bytes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "000000.journal"


def test_what_was_appended_is_read_back(path: Path) -> None:
    write(path, list(batches(90)))
    assert read(path) == (events(90), None, 0)


def test_whole_batches_are_read_while_it_is_written(path: Path) -> None:
    writer = JournalWriter(path, IDENTITY.to_metadata())
    assert read(path) == ([], None, 0)
    for count in (20, 40):
        writer.append(batch(20, count - 20))
        assert read(path) == (events(count), None, 0)
    writer.close()


def test_a_journal_says_which_session_it_belongs_to(path: Path) -> None:
    write(path, [])
    with closing(JournalReader(path)) as journal:
        assert journal.metadata == IDENTITY.to_metadata()


@given(payloads=st.lists(st.binary(max_size=30) | st.text(max_size=20), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_payload_survives(path: Path, payloads: list[bytes | str]) -> None:
    path.unlink(missing_ok=True)
    place = {"kind": Kind.MESSAGE, "conn": 0, "direction": Direction.IN, "elapsed_ns": 0, "received_ns": 0}
    rows = [
        Event(seq=seq, **place, **{"text" if isinstance(payload, str) else "binary": payload})  # type: ignore[arg-type]
        for seq, payload in enumerate(payloads)
    ]
    write(path, [from_rows(rows)] if rows else [])
    assert read(path) == (rows, None, 0)


def test_a_huge_payload_survives(path: Path) -> None:
    huge = Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, text="x" * (20 << 20))
    write(path, [from_rows([huge]), batch(1, 1)])
    assert read(path)[0] == [huge, event(1)]


def test_types_may_change_from_batch_to_batch(path: Path) -> None:
    rows = [Event(seq, Kind.MESSAGE, 0, Direction.IN, 0, 0, type=f"T{seq // 2}", text="x") for seq in range(8)]
    write(path, [from_rows(rows[start : start + 2]) for start in range(0, 8, 2)])
    assert read(path)[0] == rows


def test_slices_survive(path: Path) -> None:
    whole = batch(60)
    write(path, [whole.slice(0, 7), whole.slice(7, 40), whole.slice(47)])
    assert read(path) == (events(60), None, 0)


# Cut


def test_cut_at_any_byte_it_recovers_to_a_prefix(path: Path, tmp_path: Path) -> None:
    ends = write(path, list(batches(60)))
    content, kept = path.read_bytes(), events(60)
    short = tmp_path / "short.journal"
    for size in range(len(content)):
        short.write_bytes(content[:size])
        found, trouble, cut_bytes = read(short)
        whole = sum(end <= size for end in ends[1:])
        assert found == kept[: 20 * whole]
        # At the end of a batch nothing is lost; anywhere else it says how much cannot be read.
        at_end = size in ends or size == 0
        assert (trouble is None) == at_end
        last_end = max((end for end in ends if end <= size), default=0)
        assert cut_bytes == size - last_end


@pytest.mark.parametrize("garbage", [b"\0", b"\0" * 8, b"\0" * 4096, b"x" * 8, b"{}", END[:4], END + b"\0", END + END])
def test_garbage_after_the_last_batch_is_a_cut_tail(path: Path, garbage: bytes) -> None:
    write(path, list(batches(40)), closed=False)
    path.write_bytes(path.read_bytes() + garbage)
    found, trouble, cut_bytes = read(path)
    assert found == events(40)
    assert trouble is not None
    assert cut_bytes == len(garbage)


def test_an_empty_file_is_a_journal_without_events(path: Path) -> None:
    path.write_bytes(b"")
    assert read(path) == ([], None, 0)


def test_a_file_that_is_no_journal_gives_nothing(path: Path) -> None:
    path.write_bytes(b"PAR1 and more of it, long enough for a header")
    found, trouble, cut_bytes = read(path)
    assert (found, cut_bytes) == ([], path.stat().st_size)
    assert trouble


def test_columns_of_another_format_give_nothing(path: Path) -> None:
    with ipc.new_stream(path, pa.schema([("seq", pa.int64())])) as stream:
        stream.write_batch(pa.record_batch({"seq": [1]}))
    found, trouble, _ = read(path)
    assert found == []
    assert trouble == "its columns are of another format"


# Damaged


def test_a_bit_flip_anywhere_is_never_taken_for_data(path: Path, tmp_path: Path) -> None:
    write(path, list(batches(45, 15)))
    content = path.read_bytes()
    damaged = tmp_path / "damaged.journal"
    for place in range(0, len(content), 3):
        damaged.write_bytes(content)
        flip(damaged, place, bit=place % 8)
        try:
            found, trouble, _ = read(damaged)
        except FormatTooNew:  # the digit of the version
            continue
        assert found == events(len(found))
        assert len(found) == 45 or trouble is not None


def test_a_batch_that_is_missing_ends_the_prefix(path: Path) -> None:
    write(path, [batch(20), batch(20, 40)])
    assert read(path)[:2] == (events(20), "a batch's checksum or sequence does not match")


def test_a_batch_without_a_checksum_is_not_taken(path: Path) -> None:
    options = ipc.IpcWriteOptions(compression="lz4")
    with ipc.new_stream(path, SCHEMA.with_metadata(IDENTITY.to_metadata()), options=options) as stream:
        stream.write_batch(batch(20))
    assert read(path)[0] == []


def test_an_empty_batch_is_not_taken(path: Path) -> None:
    with ipc.new_stream(path, SCHEMA) as stream:
        stream.write_batch(batch(0))
    assert read(path)[:2] == ([], "a batch's checksum or sequence does not match")


def test_a_damaged_header_hides_the_session_but_not_the_events(path: Path) -> None:
    write(path, list(batches(40)))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"wsrec.format_version", b"wsrec.format_ver\xff\xffon", 1))
    assert read(path)[0] == events(40)


def test_a_newer_format_is_not_taken_for_damage(path: Path) -> None:
    metadata = {**IDENTITY.to_metadata(), "wsrec.format_version": "2"}
    JournalWriter(path, metadata).close()
    with pytest.raises(FormatTooNew):
        JournalReader(path)


# The format as it is specified


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 8)


def body_of(rows: pa.RecordBatch) -> bytes:
    """Return the bytes that docs/format.md says the checksum of a batch is over, built by hand."""
    parts = []
    for column in rows.columns:
        if pa.types.is_dictionary(column.type):
            column = column.indices
        if column.null_count:
            bits = bytearray((len(column) + 7) // 8)
            for row, is_valid in enumerate(column.is_valid().to_pylist()):
                bits[row // 8] |= is_valid << row % 8
            parts.append(bytes(bits))
        if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            values = [value or b"" for value in column.cast(pa.binary()).to_pylist()]
            ends = [sum(map(len, values[:row])) for row in range(len(values) + 1)]
            parts += [b"".join(end.to_bytes(4, "little") for end in ends), b"".join(values)]
        else:
            width = column.type.bit_width // 8
            kept = column.buffers()[1].to_pybytes()
            parts.append(kept[: len(column) * width])
    return b"".join(map(padded, parts))


def test_checksums_are_those_of_the_specification(path: Path) -> None:
    write(path, list(batches(45, 15)))
    with ipc.open_stream(path.read_bytes()) as stream:
        while True:
            try:
                rows, marks = stream.read_next_batch_with_custom_metadata()
            except StopIteration:
                break
            nulls = ",".join(str(column.null_count) for column in rows.columns)
            words = [
                "\0".join(column.dictionary.to_pylist()).encode()
                for column in rows.columns
                if pa.types.is_dictionary(column.type)
            ]
            crc = zlib.crc32(f"{len(rows)};{nulls}".encode())
            for part in (body_of(rows), *words):
                crc = zlib.crc32(part, crc)
            assert marks[b"wsrec.crc32"] == f"{crc:08x}".encode()
            assert marks[b"wsrec.first_seq"] == str(rows["seq"][0]).encode()


def test_a_closed_journal_ends_with_arrows_marker(path: Path) -> None:
    write(path, list(batches(20)))
    assert path.read_bytes().endswith(END)


# The disk


def test_a_journal_that_is_there_is_never_written_over(path: Path) -> None:
    write(path, list(batches(20)))
    with pytest.raises(StorageError, match="exists"):
        JournalWriter(path, {})
    assert read(path)[0] == events(20)


def test_a_missing_journal_was_sealed_away(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        JournalReader(path)


def test_a_folder_is_no_journal(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageError):
        JournalReader(path)


@pytest.mark.parametrize("closing_too", [False, True])
def test_a_full_disk_leaves_what_was_synced(path: Path, monkeypatch: pytest.MonkeyPatch, closing_too: bool) -> None:
    def refuse(file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = JournalWriter(path, IDENTITY.to_metadata())
    writer.append(batch(20))
    monkeypatch.setattr(disk, "sync", refuse)
    with pytest.raises(StorageError, match="No space left") as caught:
        writer.close() if closing_too else writer.append(batch(20, 20))
    assert "free some space" in caught.value.hint
    writer.abandon()
    found = read(path)[0]
    assert found[:20] == events(20)
    assert found == events(len(found))


def test_check_says_what_a_journal_holds(path: Path) -> None:
    write(path, list(batches(60)))
    cut(path, -30)
    seen: list[int] = []
    found = check_journal(path, lambda rows: seen.append(len(rows)))
    assert (found.rows, found.first_seq, found.next_seq) == (40, 0, 40)
    assert found.last_elapsed_ns == event(39).elapsed_ns
    assert found.cut_bytes > 0
    assert found.trouble
    assert seen == [20, 20]
