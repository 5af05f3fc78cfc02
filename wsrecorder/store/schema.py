"""The columns of a session and the ways in and out of them.

``docs/format.md`` specifies them for strangers; this module is its implementation.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.dialect import EnvelopeReader
from wsrecorder.core.event import NOT_UTF8, Batch, Direction, Event, Kind, Opcode
from wsrecorder.errors import FormatTooNew, SegmentDamaged
from wsrecorder.store.place import Place

__all__ = [
    "COLUMNS",
    "FORMAT_VERSION",
    "NOT_UTF8",
    "SCHEMA",
    "RecordBatch",
    "Table",
    "check_version",
    "conform",
    "encode",
    "from_rows",
    "iter_events",
    "text_opcodes",
    "to_plain_table",
    "to_table",
]

FORMAT_VERSION: Final = 1
"""Version of the layout on disk; a reader refuses a newer one."""

RecordBatch: TypeAlias = pa.RecordBatch
"""Arrow's record batch, under a name for layers that do not build columns themselves."""

Table: TypeAlias = pa.Table
"""Arrow's table, likewise."""

_WORD: Final = pa.dictionary(pa.int32(), pa.string())

SCHEMA: Final = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("kind", _WORD, nullable=False),
        pa.field("conn", pa.int32(), nullable=False),
        pa.field("direction", _WORD, nullable=False),
        pa.field("elapsed_ns", pa.int64(), nullable=False),
        pa.field("received_ns", pa.int64(), nullable=False),
        pa.field("received_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("type", _WORD),
        pa.field("sent_at", pa.timestamp("us", tz="UTC")),
        pa.field("text", pa.string()),
        pa.field("binary", pa.binary()),
        pa.field("detail", pa.string()),
    ]
)
"""Arrow schema of events, as in segments, journals and DuckDB files."""

COLUMNS: Final = tuple(SCHEMA.names)

_KINDS: Final = tuple(Kind)
_KIND_WORDS: Final = pa.array([str(kind) for kind in _KINDS])
_DIRECTIONS: Final = tuple(Direction)
_DIRECTION_WORDS: Final = pa.array([str(direction) for direction in _DIRECTIONS])


def encode(batch: Batch, reader: EnvelopeReader | None) -> pa.RecordBatch:
    """Return a recorder's batch as columns, with type and time stamp read by the feed's dialect.

    Args:
        batch: At least one event.
        reader: Of the feed's dialect; None reads none, all have neither.

    Returns:
        A record batch of `SCHEMA`.
    """
    count = len(batch)
    elapsed_ns = pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(batch.elapsed_ns.tobytes())])
    received_ns = pc.add(elapsed_ns, batch.wall_offset_ns)
    types: list[str | None] = [None] * count
    sent_us: list[int | None] = [None] * count
    if reader is not None:
        types, sent_us = reader.read_many(batch.payloads)
    kinds, conns, directions = _places(batch)
    text, binary, detail = _payload_columns(batch)
    return _assemble(
        first_seq=batch.first_seq,
        kinds=kinds,
        conns=conns,
        directions=directions,
        elapsed_ns=elapsed_ns,
        received_ns=received_ns,
        types=types,
        sent_us=sent_us,
        payloads=(text, binary, detail),
    )


def from_rows(events: list[Event]) -> pa.RecordBatch:
    """Return events as a record batch of `SCHEMA`; for imports and small tests, not for the hot path."""
    return _assemble(
        first_seq=events[0].seq if events else 0,
        kinds=bytearray(_KINDS.index(event.kind) for event in events),
        conns=array("i", (event.conn for event in events)),
        directions=bytearray(_DIRECTIONS.index(event.direction) for event in events),
        elapsed_ns=pa.array([event.elapsed_ns for event in events], pa.int64()),
        received_ns=pa.array([event.received_ns for event in events], pa.int64()),
        types=[event.type for event in events],
        sent_us=[event.sent_at_us for event in events],
        payloads=(
            pa.array([event.text for event in events], pa.string()),
            pa.array([event.binary for event in events], pa.binary()),
            pa.array([event.detail for event in events], pa.string()),
        ),
    )


def _assemble(
    *,
    first_seq: int,
    kinds: bytearray,
    conns: array[int],
    directions: bytearray,
    elapsed_ns: pa.Array,
    received_ns: pa.Array,
    types: list[str | None],
    sent_us: list[int | None],
    payloads: tuple[pa.Array, pa.Array, pa.Array],
) -> pa.RecordBatch:
    count = len(kinds)
    seq = array("q", range(first_seq, first_seq + count))
    return pa.RecordBatch.from_arrays(
        [
            pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(seq)]),
            _words(kinds, _KIND_WORDS),
            pa.Array.from_buffers(pa.int32(), count, [None, pa.py_buffer(conns)]),
            _words(directions, _DIRECTION_WORDS),
            elapsed_ns,
            received_ns,
            pc.divide(received_ns, 1_000).cast(pa.timestamp("us", tz="UTC")),
            pa.array(types, pa.string()).dictionary_encode(),
            pa.array(sent_us, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            *payloads,
        ],
        schema=SCHEMA,
    )


def _words(indices: bytearray, words: pa.Array) -> pa.DictionaryArray:
    # One dictionary for all batches: the journal then writes it once.
    narrow = pa.Array.from_buffers(pa.int8(), len(indices), [None, pa.py_buffer(bytes(indices))])
    return pa.DictionaryArray.from_arrays(narrow.cast(pa.int32()), words)


def _places(batch: Batch) -> tuple[bytearray, array[int], bytearray]:
    """Return kind, connection and direction of each row, kinds and directions as indices."""
    kinds = bytearray(len(batch))
    for mark in batch.marks:
        kinds[mark.index] = _KINDS.index(mark.kind)
    conns = array("i")
    directions = bytearray()
    stops = [*(run.index for run in batch.runs[1:]), len(batch)]
    for run, stop in zip(batch.runs, stops, strict=True):
        rows = stop - run.index
        conns.extend(array("i", (run.conn,)) * rows)
        directions.extend(bytes((_DIRECTIONS.index(run.direction),)) * rows)
    return kinds, conns, directions


def _payload_columns(batch: Batch) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return the columns text, binary and detail."""
    count = len(batch)
    if batch.opcodes.count(Opcode.TEXT) == count:
        try:
            return pa.array(batch.payloads, pa.string()), pa.nulls(count, pa.binary()), pa.nulls(count, pa.string())
        except (pa.ArrowInvalid, UnicodeError):
            pass  # a frame among them is not UTF-8: sort them one by one
    text: list[str | None] = [None] * count
    binary: list[bytes | None] = [None] * count
    detail: list[str | None] = [None] * count
    for index, (payload, opcode) in enumerate(zip(batch.payloads, batch.opcodes, strict=True)):
        if opcode == Opcode.BINARY:
            binary[index] = payload
        elif opcode == Opcode.TEXT:
            try:
                text[index] = payload.decode()
            except UnicodeDecodeError:
                binary[index], detail[index] = payload, NOT_UTF8
    for mark in batch.marks:
        detail[mark.index] = mark.detail
    return pa.array(text, pa.string()), pa.array(binary, pa.binary()), pa.array(detail, pa.string())


def text_opcodes(batch: pa.RecordBatch) -> pa.BooleanArray:
    """Return which rows are text frames, those kept in ``binary`` because they are not UTF-8 among them."""
    is_text = pc.is_valid(batch.column("text"))
    if batch.column("detail").null_count == len(batch):
        return is_text
    return pc.or_(is_text, pc.fill_null(pc.equal(batch.column("detail"), NOT_UTF8), False))


_KIND_OF: Final = {str(kind): kind for kind in Kind}
_DIRECTION_OF: Final = {str(direction): direction for direction in Direction}


def iter_events(batch: pa.RecordBatch) -> Iterator[Event]:
    """Yield a record batch of `SCHEMA` as events, in its order."""
    columns: list[Iterable[Any]] = [
        _integers(batch.column("seq")),
        _from_words(batch.column("kind"), _KIND_OF),
        _integers(batch.column("conn")),
        _from_words(batch.column("direction"), _DIRECTION_OF),
        _integers(batch.column("elapsed_ns")),
        _integers(batch.column("received_ns")),
        _from_words(batch.column("type"), None),
        _integers(batch.column("sent_at").cast(pa.int64())),
        *(_payloads(batch.column(name)) for name in ("text", "binary", "detail")),
    ]
    return map(Event, *columns)


_MEMORY_FORMAT: Final[dict[int, Literal["q", "i"]]] = {64: "q", 32: "i"}


def _integers(column: pa.Array) -> list[Any]:
    form = _MEMORY_FORMAT.get(column.type.bit_width)
    if column.null_count or not len(column) or form is None:
        found: list[Any] = column.to_pylist()
        return found
    # Straight out of memory: a fifth of the time that Arrow takes, which makes a scalar of each value first.
    _, values = column.buffers()
    return memoryview(values).cast("B").cast(form)[column.offset : column.offset + len(column)].tolist()


def _payloads(column: pa.Array) -> Iterable[Any]:
    if column.null_count == len(column):
        return repeat(None, len(column))
    found: list[Any] = column.to_pylist()
    return found


def _from_words(column: pa.Array, meaning: dict[str, Any] | None) -> list[Any]:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    words = [word if meaning is None else meaning[word] for word in column.dictionary.to_pylist()]
    if column.null_count:
        return [None if index is None else words[index] for index in column.indices.to_pylist()]
    if len(words) == 1:
        return words * len(column)
    return list(map(words.__getitem__, _integers(column.indices)))


def conform(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with its columns in the types of `SCHEMA`, for what other engines hand back."""
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        wanted = SCHEMA.field(name).type
        if pa.types.is_dictionary(wanted) and not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        columns.append(column if column.type.equals(wanted) else column.cast(wanted))
    # Fields of SCHEMA, not names alone: else the columns would be nullable, which is another schema.
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema([SCHEMA.field(name) for name in batch.schema.names]))


def to_table(batches: Iterable[pa.RecordBatch], columns: Iterable[str]) -> pa.Table:
    """Return record batches as one table, all of them in memory.

    Args:
        batches: Any number, none included.
        columns: Their columns, of `SCHEMA`.
    """
    return pa.Table.from_batches(batches, schema=pa.schema([SCHEMA.field(name) for name in columns]))


def to_plain_table(
    batches: Iterable[pa.RecordBatch], columns: Iterable[str] = COLUMNS, *, session: str | None = None
) -> pa.Table:
    """Return record batches of `SCHEMA` as one table without dictionaries, for engines that know none.

    Args:
        batches: Any number, none included.
        columns: Their columns, of `SCHEMA`.
        session: What a first column ``session`` is to say in each row; None makes none.
    """
    table = to_table(batches, columns)
    plain = [pa.field(field.name, pa.string() if field.type == _WORD else field.type) for field in table.schema]
    table = table.cast(pa.schema(plain))
    return table if session is None else table.add_column(0, "session", pa.repeat(session, len(table)))


def check_version(found: str, path: Place) -> None:
    """Refuse what a newer wsrec wrote, and what no wsrec did.

    Args:
        found: The format version, as digits.
        path: The file that says so.

    Raises:
        FormatTooNew: A newer wsrec wrote it.
        SegmentDamaged: It is no version.
    """
    version = int(found) if re.fullmatch(r"[0-9]{1,9}", found) else 0
    if version > FORMAT_VERSION:
        raise FormatTooNew(
            f"{path} is of format version {version}, this wsrec knows versions up to {FORMAT_VERSION}",
            hint="upgrade wsrec to read it",
        )
    if version < 1:
        raise SegmentDamaged(
            f"{path} names {found!r} as its format version, expected a number from 1 on",
            hint='it is damaged, or was not written by wsrec; bring foreign files in with "wsrec import"',
        )
