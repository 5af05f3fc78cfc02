"""Sessions as MCAP: a channel for each type of events, with its JSON Schema. `wsrecorder.formats.mcap` has the rest."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any, BinaryIO, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.event import Kind
from wsrecorder.formats.mcap import METADATA_NAME, imported_mcap
from wsrecorder.formats.mcap_schemas import ANY_OBJECT, envelope_schema

__all__ = ["write_mcap"]

_LATEST_US: Final = (2**63 - 1) // 1_000

_MOST_CHANNELS: Final = 60_000
"""Of 65,535 that the format can number."""


class _Key(NamedTuple):
    """What a channel of ours stands for."""

    type: str | None
    kind: str
    direction: str
    conn: int
    form: str
    sent: str


def write_mcap(batches: Iterable[pa.RecordBatch], out: BinaryIO, schema: pa.Schema) -> list[str]:
    """Write record batches of a session's columns as MCAP, in chunks of 1 MiB compressed with zstd.

    Args:
        batches: Of ``schema``.
        out: Stays open; need not be seekable.
        schema: Its metadata goes into a metadata record ``wsrec``.

    Returns:
        What the file does not hold.

    Raises:
        UsageError: The package ``mcap`` is not installed.
    """
    writer = imported_mcap("mcap.writer").Writer(_Counted(out))
    writer.start(library="wsrec")
    metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    if metadata:
        writer.add_metadata(METADATA_NAME, metadata)
    channels = _Channels(writer)
    for batch in batches:
        _write(writer, channels, batch)
    writer.finish()
    return channels.notes()


class _Counted:
    """A stream that knows how much was written; pipes cannot tell."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._size_bytes = 0

    def write(self, data: bytes) -> int:
        self._out.write(data)
        self._size_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size_bytes

    def flush(self) -> None:
        self._out.flush()


class _Channels:
    """Registers channels as events need them."""

    def __init__(self, writer: Any) -> None:
        self.ids: dict[tuple[Any, ...], int] = {}
        self._writer = writer
        self._schemas: dict[bytes, int] = {}
        self._folded = 0
        self._is_odd = False

    def make(self, key: _Key) -> int:
        """Return a new channel's number; past the most that there can be, one of those without connection and type."""
        if len(self.ids) >= _MOST_CHANNELS:
            self._folded += 1
            bare = key._replace(type=None, conn=0)
            return self.ids[bare] if bare in self.ids else self._register(bare, typed="unknown")
        self._is_odd |= key.sent == "unknown"
        return self._register(key, typed="no" if key.type is None else "yes")

    def notes(self) -> list[str]:
        """Return what was left out."""
        notes = []
        if self._folded:
            notes.append(
                f"connection and type of {self._folded:,} events were left out: MCAP numbers 65,535 channels at most"
            )
        if self._is_odd:
            notes.append("time stamps of senders before 1970 or after 2262 were left out")
        return notes

    def _register(self, key: _Key, *, typed: str) -> int:
        is_message = key.kind == Kind.MESSAGE
        is_json = (is_message and key.type is not None and key.form == "text") or not is_message
        topic = key.type
        if topic is None or not is_message:
            topic = f"({key.kind})" if not is_message else "(untyped)" if key.form == "text" else "(binary)"
        schema = 0
        if is_json:
            found = envelope_schema(key.type) if key.type is not None else None
            schema = self._schema(topic if found else "object", found or ANY_OBJECT)
        metadata = {
            "kind": key.kind,
            "direction": key.direction,
            "conn": str(key.conn),
            "form": key.form,
            "typed": typed,
            "sent": key.sent,
        }
        number: int = self._writer.register_channel(topic, "json" if is_json else "", schema, metadata)
        self.ids[key] = number
        return number

    def _schema(self, name: str, data: bytes) -> int:
        if data not in self._schemas:
            self._schemas[data] = self._writer.register_schema(name, "jsonschema", data)
        return self._schemas[data]


def _write(writer: Any, channels: _Channels, batch: pa.RecordBatch) -> None:
    text, binary, detail = (batch.column(name) for name in ("text", "binary", "detail"))
    payloads = pc.coalesce(text.cast(pa.binary()), binary, detail.cast(pa.binary())).to_pylist()
    forms: Iterable[str] = repeat("text")
    if binary.null_count < len(batch):
        not_utf8 = pc.and_(pc.is_valid(binary), pc.is_valid(detail))
        forms = pc.if_else(pc.is_valid(text), "text", pc.if_else(not_utf8, "not UTF-8", "binary")).to_pylist()
    sent = batch.column("sent_at").cast(pa.int64())
    is_sent = pc.fill_null(pc.and_(pc.greater_equal(sent, 0), pc.less_equal(sent, _LATEST_US)), False)
    sent_words = pc.if_else(is_sent, "yes", pc.if_else(pc.is_null(sent), "no", "unknown"))
    log_ns = pc.max_element_wise(batch.column("received_ns"), 0)
    publish_ns = pc.if_else(is_sent, pc.multiply(pc.if_else(is_sent, sent, 0), 1_000), log_ns)
    types, kinds, directions = (
        batch.column(name).dictionary_decode().to_pylist() for name in ("type", "kind", "direction")
    )
    keys = zip(types, kinds, directions, batch.column("conn").to_pylist(), forms, sent_words.to_pylist())  # noqa: B905
    ids, add = channels.ids, writer.add_message
    rows = zip(keys, log_ns.to_pylist(), payloads, publish_ns.to_pylist(), batch.column("seq").to_pylist(), strict=True)
    for key, log_time, payload, publish_time, seq in rows:
        channel = ids.get(key) or channels.make(_Key(*key))
        add(channel, log_time, payload or b"", publish_time, seq & 0xFFFFFFFF)
