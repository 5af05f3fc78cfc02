"""CSV and Parquet files with the columns of a session, read back into events.

Their rows become what lines of JSON become (`formats.jsonl`): the same columns, the same rules of what may be left
out, the same times. The formats are described in ``docs/formats.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from wsrecorder.core.event import Event
from wsrecorder.errors import SessionError
from wsrecorder.formats.jsonl import JsonlReader, Line
from wsrecorder.formats.lines import Lines, other_encoding
from wsrecorder.formats.session_metadata import feed_of

__all__ = ["CsvReader", "ParquetReader"]

_HINT: Final = "docs/formats.md describes the columns"

_BLOCK_BYTES: Final = 16 << 20
"""Of CSV at a time. A longer row cannot be read, for Arrow takes whole rows out of a block."""

_MOST_ROWS: Final = 4_096


class _RowsReader(JsonlReader):
    _unit = "row"

    def _events(self, batch: pa.RecordBatch, first_row: int, builtin_types: tuple[type, ...]) -> list[Event]:
        names = batch.schema.names
        events = []
        for number, values in enumerate(zip(*(column.to_pylist() for column in batch.columns), strict=True), first_row):
            try:
                row = msgspec.convert(dict(zip(names, values, strict=True)), Line, strict=False,
                                      builtin_types=builtin_types)  # fmt: skip
            except msgspec.ValidationError as exc:
                raise self._damaged_at(number, str(exc)) from None
            events.append(self._place(row, number))
        return events

    def _check_columns(self, names: Iterable[str]) -> None:
        known = Line.__struct_fields__
        if unknown := [name for name in names if name not in known]:
            raise self._damaged(f"column {unknown[0]!r} is none of an event, expected some of {', '.join(known)}")

    def _damaged(self, problem: str) -> SessionError:
        return SessionError(f"{self._lines.name}: {problem}", hint=_HINT)

    @contextmanager
    def _arrow_errors(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as exc:
            if isinstance(exc, OSError) and exc.errno:  # the disk, not what is in the file
                raise
            raise self._damaged(str(exc).splitlines()[0]) from None


class CsvReader(_RowsReader):
    """Reads CSV as `formats.csv` writes it: a header, null is empty, empty text is ``""``, ``binary`` is base64."""

    def batches(self) -> Iterator[list[Event]]:
        """Yield the events of the file in the order of its rows.

        Raises:
            SessionError: A row cannot be read.
        """
        lines = self._lines
        if lines.file.seekable():
            if encoding := other_encoding(lines.file.read(4)):
                raise self._damaged(f"the file is {encoding}, expected UTF-8")
            if lines.file.seek(0, 2) == 0:
                return
            lines.file.seek(0)
        row = 1
        with self._arrow_errors(), pyarrow.csv.open_csv(
            _Counted(lines),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            pyarrow.csv.ParseOptions(newlines_in_values=True),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(Line.__struct_fields__, pa.string()),
                null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            ),
        ) as reader:  # fmt: skip
            self._check_columns(reader.schema.names)
            for block in reader:
                for start in range(0, len(block), _MOST_ROWS):
                    events = self._events(block.slice(start, _MOST_ROWS), row, ())
                    row += len(events)
                    yield events
        self._note()


class ParquetReader(_RowsReader):
    """Reads a Parquet file as `formats.parquet` writes it; its footer names the feed."""

    def batches(self) -> Iterator[list[Event]]:
        """Yield the events of the file in the order of its rows; a row group is held in memory.

        Raises:
            SessionError: The file or a row cannot be read.
        """
        lines = self._lines
        if not lines.file.seekable():
            raise self._damaged("Parquet cannot be read out of a pipe, expected a file")
        size_bytes = lines.file.seek(0, 2)
        lines.file.seek(0)
        row = 1
        with self._arrow_errors():
            # On no thread of Arrow's: one in a file of Python's, while the interpreter ends, would end the process.
            file = pq.ParquetFile(lines.file, page_checksum_verification=True, pre_buffer=False)
            self._check_columns(file.schema_arrow.names)
            self.feed = feed_of(file.schema_arrow)
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(batch_size=_MOST_ROWS, row_groups=[group]):
                    events = self._events(batch, row, (bytes, datetime))
                    row += len(events)
                    lines.read_bytes = size_bytes * row // (file.metadata.num_rows + 1)
                    yield events
        lines.read_bytes = size_bytes
        self._note()


class _Counted:
    """What Arrow reads from, so that progress can be told."""

    closed = False

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def read(self, size_bytes: int = -1) -> Any:
        return self._lines.read(size_bytes)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
