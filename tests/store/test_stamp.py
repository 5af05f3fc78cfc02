"""The checksum over a whole Parquet file."""

from __future__ import annotations

import zlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.store.sessions import IDENTITY, batches, flip
from wsrecorder.errors import SegmentDamaged
from wsrecorder.store import stamp
from wsrecorder.store.segment_writer import write_segment


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "000000.parquet"
    write_segment(batches(60), path, IDENTITY.to_metadata())
    return path


def test_it_is_the_crc32_of_the_file_with_zeros_in_its_place(path: Path) -> None:
    digits = pq.ParquetFile(path).metadata.metadata[b"wsrec.crc32"]
    content = path.read_bytes()
    assert content.count(digits) == 1
    assert f"{zlib.crc32(content.replace(digits, b'00000000')):08x}".encode() == digits
    stamp.check(path)


@pytest.mark.parametrize("place", [0, 4, 1000, -1, -5, -20, -100])
def test_any_change_is_found(path: Path, place: int) -> None:
    flip(path, place)
    with pytest.raises(SegmentDamaged):
        stamp.check(path)


def test_a_file_without_one_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in (b"", b"PAR1", b"wsrec.crc32\x18\x08", b"wsrec.crc32\x18\x081234"):
        path.write_bytes(content)
        with pytest.raises(SegmentDamaged, match="not a whole segment"):
            stamp.check(path)


def test_files_larger_than_a_chunk_are_read_in_chunks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamp, "_CHUNK_BYTES", 100)
    stamp.check(path)
