from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.formats import parquet as parquet_module
from wsrecorder.formats.parquet import write_parquet
from wsrecorder.store.schema import SCHEMA, from_rows


def batch(first: int) -> pa.RecordBatch:
    return from_rows(
        [Event(seq, Kind.MESSAGE, 0, Direction.IN, seq, seq, f"T{seq}", seq, "x") for seq in (first, first + 1)]
    )


def test_rows_types_and_footer_read_back() -> None:
    out = io.BytesIO()
    write_parquet([batch(0), batch(2)], out, SCHEMA.with_metadata({"wsrec.session": "{}"}))
    file = pq.ParquetFile(io.BytesIO(out.getvalue()))
    assert file.schema_arrow.equals(SCHEMA)
    assert file.schema_arrow.metadata[b"wsrec.session"] == b"{}"
    assert file.read().column("type").to_pylist() == ["T0", "T1", "T2", "T3"]


def test_row_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "_GROUP_ROWS", 4)
    out = io.BytesIO()
    write_parquet([batch(first) for first in range(0, 10, 2)], out, SCHEMA)
    metadata = pq.ParquetFile(io.BytesIO(out.getvalue())).metadata
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [4, 4, 2]


def test_stream_need_not_be_seekable() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    out = Pipe()
    write_parquet([batch(0)], out, SCHEMA)
    assert pq.ParquetFile(io.BytesIO(out.getvalue())).metadata.num_rows == 2


def test_no_events_give_an_empty_table() -> None:
    out = io.BytesIO()
    write_parquet([], out, SCHEMA)
    assert pq.ParquetFile(io.BytesIO(out.getvalue())).read().num_rows == 0
