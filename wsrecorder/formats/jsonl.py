"""JSON lines: one JSON object an event, with the columns of a session.

All columns stand in every line, in their order. Times are ns and also ISO 8601 (µs, UTC); ``binary`` is
base64 (RFC 4648, section 4); ``detail`` is JSON within a string, as it is in a session. What is read
back is what was written, line by line.

Read leniently: a line needs a payload (or a kind that is not ``message``) and ``received_ns`` or
``received_at``; what else is not there is filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.dialect import ENGINE, Dialect, EnvelopeReader
from wsrecorder.core.event import Direction, Event, Kind, to_epoch_ns
from wsrecorder.errors import SessionError
from wsrecorder.formats.builder import BATCH_BYTES, BATCH_EVENTS
from wsrecorder.formats.lines import Lines, Tail, excerpt

__all__ = ["JsonlReader", "Line", "encode_lines", "iso_times", "write_jsonl"]

# What the columns can hold.
_Int32 = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
_Place = Annotated[int, msgspec.Meta(ge=0, lt=(1 << 63) - 1)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63) + 1, le=(1 << 63) - 1)]


class _Written(msgspec.Struct, gc=False):
    """A line as it is written; the order of the fields is that of the keys."""

    seq: int
    kind: str
    conn: int
    direction: str
    elapsed_ns: int
    received_ns: int
    received_at: str
    type: str | None
    sent_at: str | None
    text: str | None
    binary: bytes | None
    detail: str | None


class Line(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A line as it is read; rows of CSV and Parquet are read as such too."""

    seq: _Place | None = None
    kind: Kind = Kind.MESSAGE
    conn: _Int32 = 0
    direction: Direction = Direction.IN
    elapsed_ns: _Place | None = None
    received_ns: _Int64 | None = None
    received_at: datetime | None = None
    type: str | msgspec.UnsetType | None = msgspec.UNSET
    sent_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    text: str | None = None
    binary: bytes | None = None
    detail: str | None = None


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Line)
_HINT: Final = "docs/formats.md describes the lines; for a file of bare payloads say --format payloads"


def encode_lines(batch: pa.RecordBatch) -> bytes:
    """Return a record batch of a session's columns, all of them, as lines."""
    columns: list[Any] = []
    for name in _Written.__struct_fields__:
        column = batch.column(name)
        if pa.types.is_timestamp(column.type):
            column = iso_times(column)
        elif pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()  # to_pylist takes 1 µs a row of a dictionary (pyarrow 26)
        columns.append(column.to_pylist())
    return _ENCODER.encode_lines(list(map(_Written, *columns)))


def write_jsonl(batches: Iterable[pa.RecordBatch], out: BinaryIO) -> list[str]:
    """Write record batches of a session's columns as lines, which hold all of them."""
    for batch in batches:
        out.write(encode_lines(batch))
    return []


def iso_times(column: pa.Array) -> pa.Array:
    """Return timestamps (µs, UTC) as ISO 8601 text with six digits of a second and ``Z``."""
    # Arrow writes "2026-11-23 19:15:00.000000", with a Z only if it finds a database of time zones.
    text = column.cast(pa.timestamp("us")).cast(pa.string())
    return pc.binary_join_element_wise(pc.binary_replace_slice(text, 10, 11, "T"), "Z", "")


class JsonlReader:
    """Reads lines back into events.

    A file that begins with ``seq`` 0 keeps its places in time (``elapsed_ns``). Sequence numbers are as
    in the file: after a selection they have holes.

    Attributes:
        feed: Always empty: lines do not hold it.
        notes: What should be said of the file, complete once all of it was read.

    Args:
        lines: Of the file.
        dialect: Reads type and time stamp anew from the payloads; None keeps those of the file.
    """

    _unit = "line"

    def __init__(self, lines: Lines, dialect: Dialect | None = None) -> None:
        self.feed = ""
        self.notes: list[str] = []
        self._lines = lines
        self._is_anew = dialect is not None
        self._envelopes = EnvelopeReader(dialect or ENGINE)
        self._began_ns: int | None = None
        self._elapsed_ns = 0
        self._next_seq = 0
        self._stepped_back = 0

    def batches(self) -> Iterator[list[Event]]:
        """Yield the events of the file in the order of its lines.

        Raises:
            SessionError: A line that is not the last cannot be read; the message names it.
        """
        tail = Tail()
        events: list[Event] = []
        size_bytes = 0
        decode, place = _DECODER.decode, self._place
        for number, line, is_ended in self._lines.numbered():
            if not line or line.isspace():
                continue
            tail.follow()
            try:
                found = decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
                error = self._lines.damaged(number, f"{exc}: {excerpt(line)}", hint=_HINT)
                # A line that is JSON but no event is wrong wherever it stands, and so is one in another encoding that
                # has its end: only broken JSON can be a cut.
                if isinstance(exc, msgspec.ValidationError) or (is_ended and isinstance(exc, UnicodeDecodeError)):
                    raise error from None
                tail.hold(error, number, line)
                continue
            events.append(place(found, number))
            size_bytes += len(line)
            if len(events) >= BATCH_EVENTS or size_bytes >= BATCH_BYTES:
                yield events
                events, size_bytes = [], 0
        if self._began_ns is None:
            tail.follow()
        if tail.cut:
            self.notes.append(tail.cut)
        self._note()
        yield events

    def _note(self) -> None:
        if self._stepped_back:
            self.notes.append(
                f"{self._stepped_back:,} events are earlier than the one before them; the order of the file was kept"
            )

    def _place(self, line: Line, number: int) -> Event:
        """Return the event of a line at its place in time.

        Raises:
            SessionError: It contradicts itself or lacks what an event must have.
        """
        if (line.text is None) + (line.binary is None) != (1 if line.kind is Kind.MESSAGE else 2):
            raise self._contradiction(line, number)
        if line.kind is not Kind.MESSAGE and line.detail is not None:
            self._check_detail(line.detail, number)
        received_ns = line.received_ns
        if received_ns is None:
            if line.received_at is None:
                raise self._damaged_at(number, "neither received_ns nor received_at")
            received_ns = _epoch_us(line.received_at) * 1_000
            if not -(2**63) < received_ns < 2**63:
                raise self._damaged_at(number, "received_at is outside of the years 1678 to 2262")
        if self._began_ns is None:
            self._began_ns = received_ns - (line.elapsed_ns or 0)
        elapsed_ns = received_ns - self._began_ns if line.elapsed_ns is None else line.elapsed_ns
        if elapsed_ns < self._elapsed_ns:
            self._stepped_back += 1
        else:
            self._elapsed_ns = elapsed_ns
        seq = self._next_seq if line.seq is None else line.seq
        self._next_seq = seq + 1
        type_, sent_at_us = self._envelope(line)
        return Event(
            seq, line.kind, line.conn, line.direction, self._elapsed_ns, received_ns,
            type_, sent_at_us, line.text, line.binary, line.detail,
        )  # fmt: skip

    def _envelope(self, line: Line) -> tuple[str | None, int | None]:
        """Return type and time stamp of a line; where it does not hold them they are read from its payload."""
        type_, sent_at = line.type, line.sent_at
        if type_ is not msgspec.UNSET and sent_at is not msgspec.UNSET and not self._is_anew:
            return type_, None if sent_at is None else _epoch_us(sent_at)
        payload = line.text.encode() if line.text is not None else line.binary or b""
        read_type, read_us = self._envelopes.read(payload)
        if self._is_anew:
            return read_type, read_us
        if sent_at is msgspec.UNSET:
            return read_type if type_ is msgspec.UNSET else type_, read_us
        return read_type, None if sent_at is None else _epoch_us(sent_at)

    def _contradiction(self, line: Line, number: int) -> SessionError:
        wanted = "text or binary, one of them" if line.kind is Kind.MESSAGE else "neither text nor binary"
        held = [name for name in ("text", "binary") if getattr(line, name) is not None]
        return self._damaged_at(
            number, f"an event of kind {line.kind} holds {wanted}; found {' and '.join(held) or 'none'}"
        )

    def _damaged_at(self, number: int, problem: str) -> SessionError:
        return SessionError(f"{self._lines.name}, {self._unit} {number}: {problem}", hint=_HINT)

    def _check_detail(self, detail: str, number: int) -> None:
        try:
            msgspec.json.decode(detail)
        except msgspec.MsgspecError as exc:
            raise self._damaged_at(number, f"detail is not JSON: {exc}") from None


def _epoch_us(moment: datetime) -> int:
    return to_epoch_ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) // 1_000
