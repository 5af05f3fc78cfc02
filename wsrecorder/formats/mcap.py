"""MCAP: a container of time-stamped messages in channels (mcap.dev), as robotics tools and Foxglove use it.

A topic is an event's type, ``log_time`` when it was received, ``publish_time`` when it was sent. The payload is the
message as it is. What MCAP has no field for stands in the metadata of our channels, all of it text::

    conn       number of the connection
    direction  "in" or "out"
    kind       "message", "open", "close", "gap" or "note"; the data of a mark is its detail
    form       "text", "binary", or "not UTF-8" for text that is none
    typed      "yes"; "no" if the event has no type (the topic is then one of ours, in parentheses); "unknown"
    sent       "yes"; "no" if the event has no time stamp, "unknown" if it is none of MCAP's (``publish_time`` is then
               ``log_time``)

A file of another tool has none of these: all is received, JSON is text, everything else is binary.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import Any, Final

from wsrecorder.core.dialect import ENGINE, Dialect, EnvelopeReader
from wsrecorder.core.event import NOT_UTF8, Direction, Event, Kind
from wsrecorder.errors import SessionError, UsageError
from wsrecorder.formats.builder import EventBuilder
from wsrecorder.formats.lines import Lines

__all__ = ["METADATA_NAME", "McapReader", "imported_mcap", "is_mcap"]

METADATA_NAME: Final = "wsrec"
"""Of the metadata record that tells of which session a file is."""

_MAGIC: Final = b"\x89MCAP0\r\n"
_MOST_BYTES: Final = 1 << 30  # a chunk, or what it unpacks to
_MESSAGE: Final = struct.Struct("<HIQQ")
_RECORD: Final = struct.Struct("<BQ")
_CHANNEL, _MESSAGE_RECORD = 4, 5
_LATEST_NS: Final = 2**63 - 1
_HINT: Final = "is it the whole file? docs/formats.md tells what is read of one"


@dataclass(frozen=True, slots=True)
class _Topic:
    """What the messages of a channel are; None in ``type``, ``is_sent`` and ``is_text`` is told by each message."""

    type: str | None
    is_typed: bool | None
    is_sent: bool | None
    is_text: bool | None
    kind: Kind = Kind.MESSAGE
    direction: Direction = Direction.IN
    conn: int = 0
    detail: str | None = None


def is_mcap(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is one."""
    return head.startswith(_MAGIC)


def imported_mcap(module: str) -> Any:
    """Return a module of the package ``mcap``.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import_module("zstandard")
        return import_module(module)
    except ModuleNotFoundError as exc:
        raise UsageError(
            f"MCAP needs the package {exc.name}, which is not installed", hint="pip install 'wsrecorder[mcap]'"
        ) from None


class McapReader:
    """Reads the messages of an MCAP file as events, in the order of the file.

    Attributes:
        feed: URL of the feed, if our own export says so.
        notes: What should be said of the file, complete once all of it was read.

    Args:
        lines: The file.
        dialect: Reads type and time stamp anew from the payloads; None keeps those of the file.
    """

    def __init__(self, lines: Lines, dialect: Dialect | None = None) -> None:
        self.feed = ""
        self.notes: list[str] = []
        self._lines = lines
        self._is_anew = dialect is not None
        self._events = EventBuilder(EnvelopeReader(dialect or ENGINE))
        self._topics: dict[int, _Topic] = {}
        self._no_text = 0

    def batches(self) -> Iterator[list[Event]]:
        """Yield the events of the file.

        Raises:
            SessionError: It is no MCAP file, is damaged or cut off; the message names the byte.
            UsageError: The package ``mcap`` is not installed.
        """
        events, topics = self._events, self._topics
        for channel, log_ns, publish_ns, data in self._messages():
            topic = topics.get(channel)
            if topic is None:
                raise self._damaged(f"a message of channel {channel}, which was not introduced before")
            if log_ns > _LATEST_NS:
                raise self._damaged(f"time {log_ns} is after the year 2262")
            self._add(topic, log_ns, publish_ns, data)
            if events.is_full:
                yield events.take()
        if self._no_text:
            self.notes.append(f"{self._no_text:,} messages that claim to be JSON are not UTF-8: they are binary now")
        self.notes += events.notes()
        yield events.take()

    def _add(self, topic: _Topic, log_ns: int, publish_ns: int, data: bytes) -> None:
        events = self._events
        events.conn = topic.conn
        if topic.kind is not Kind.MESSAGE:
            events.mark(topic.kind, self._detail(data), log_ns)
            return
        if topic.is_typed is not None and not self._is_anew:
            is_sent = publish_ns != log_ns if topic.is_sent is None else topic.is_sent
            events.know(topic.type, publish_ns // 1_000 if is_sent else None)
        if topic.is_text:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                self._no_text += 1
            else:
                events.text(text, data, log_ns, topic.direction)
                return
        events.binary(data, log_ns, topic.direction, topic.detail)

    def _messages(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield channel, log time and publish time (ns), and data of each message."""
        stream_reader, records = imported_mcap("mcap.stream_reader"), imported_mcap("mcap.records")
        errors = imported_mcap("mcap.exceptions").McapError, struct.error, UnicodeDecodeError, ValueError
        zstd_error = imported_mcap("zstandard").ZstdError
        reader = stream_reader.StreamReader(
            self._lines, emit_chunks=True, validate_crcs=True, record_size_limit=_MOST_BYTES
        )
        try:
            for record in reader.records:
                if isinstance(record, records.Chunk):
                    self._check_size(record)
                    unpacked, size_bytes = stream_reader.get_chunk_data_stream(record, validate_crc=True)
                    yield from self._chunk(unpacked.read(size_bytes), records, stream_reader)
                elif isinstance(record, records.Message):
                    yield record.channel_id, record.log_time, record.publish_time, record.data
                elif isinstance(record, records.Channel):
                    self._introduce(record)
                elif isinstance(record, records.Metadata) and record.name == METADATA_NAME:
                    self._name_feed(record.metadata)
        except (*errors, zstd_error) as exc:
            raise self._damaged(_told(exc, self._lines.read_bytes)) from exc

    def _check_size(self, chunk: Any) -> None:
        size_bytes = chunk.uncompressed_size
        if chunk.compression == "zstd":  # it unpacks to what it says itself, whatever the chunk says
            size_bytes = max(size_bytes, imported_mcap("zstandard").frame_content_size(chunk.data))
        if size_bytes > _MOST_BYTES:
            raise self._damaged(f"a chunk of {size_bytes:,} bytes, more than {_MOST_BYTES:,}")

    def _chunk(self, data: bytes, records: Any, stream_reader: Any) -> Iterator[tuple[int, int, int, bytes]]:
        # The package takes 3 µs to read a message; this takes a tenth of it.
        at, size_bytes = 0, len(data)
        while at < size_bytes:
            opcode, length = _RECORD.unpack_from(data, at)
            at += _RECORD.size
            end = at + length
            if end > size_bytes:
                raise self._damaged("a record goes on behind its chunk")
            if opcode == _MESSAGE_RECORD:
                channel, _, log_ns, publish_ns = _MESSAGE.unpack_from(data, at)
                yield channel, log_ns, publish_ns, data[at + _MESSAGE.size : end]
            elif opcode == _CHANNEL:
                self._introduce(records.Channel.read(stream_reader.ReadDataStream(BytesIO(data[at:end]))))
            at = end

    def _introduce(self, channel: Any) -> None:
        said: dict[str, str] = channel.metadata
        if not said.keys() >= {"kind", "direction", "conn", "form", "typed", "sent"}:
            self._topics[channel.id] = _Topic(
                channel.topic, is_typed=True, is_sent=None, is_text=channel.message_encoding == "json"
            )
            return
        try:
            kind, direction, conn = Kind(said["kind"]), Direction(said["direction"]), int(said["conn"])
        except ValueError as exc:
            raise self._damaged(f"channel {channel.id}: {exc}") from None
        if not 0 <= conn < 1 << 31:
            raise self._damaged(f"channel {channel.id}: there is no connection {conn}")
        self._topics[channel.id] = _Topic(
            channel.topic if said["typed"] == "yes" else None,
            is_typed=None if "unknown" in (said["typed"], said["sent"]) else said["typed"] == "yes",
            is_sent=said["sent"] == "yes",
            is_text=said["form"] == "text",
            kind=kind,
            direction=direction,
            conn=conn,
            detail=NOT_UTF8 if said["form"] == "not UTF-8" else None,
        )

    def _name_feed(self, metadata: dict[str, str]) -> None:
        try:
            self.feed = str(json.loads(metadata.get("wsrec.session", "{}")).get("feed", ""))
        except (ValueError, AttributeError):
            self.feed = ""

    def _detail(self, data: bytes) -> str:
        try:
            json.loads(data)
            return data.decode()
        except (ValueError, RecursionError):
            raise self._damaged("the detail of a mark is not JSON") from None

    def _damaged(self, problem: str) -> SessionError:
        return SessionError(f"{self._lines.name}, up to byte {self._lines.read_bytes:,}: {problem}", hint=_HINT)


def _told(error: Exception, read_bytes: int) -> str:
    """Return what went wrong in words."""
    if type(error).__name__ == "InvalidMagic":
        return "no MCAP file, or the end of one is missing" if read_bytes > len(_MAGIC) else "no MCAP file"
    if type(error).__name__ == "EndOfFile" or isinstance(error, struct.error):
        return "the file ends in the middle" if read_bytes else "the file is empty"
    return str(error)
