"""The manifest of a session: what it is, where it came from, how healthy the recording was.

It is a convenience, replaced atomically at each seal: all that matters stands in the segments too,
so that a session without a manifest is still readable.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from wsrecorder.core.dialect import ENGINE, Dialect
from wsrecorder.core.event import Kind, from_epoch_ns
from wsrecorder.errors import SegmentDamaged, SessionError, UsageError
from wsrecorder.store import disk
from wsrecorder.store.black_box_trigger import BlackBoxTrigger
from wsrecorder.store.place import Place
from wsrecorder.store.schema import FORMAT_VERSION, check_version
from wsrecorder.store.segment import SegmentInfo

__all__ = [
    "MANIFEST_NAME",
    "OTHER_TYPES",
    "BlackBoxTrigger",
    "Health",
    "Identity",
    "Manifest",
    "Origin",
    "Tally",
]

MANIFEST_NAME: Final = "session.json"

_MOST_TYPES: Final = 10_000
"""Feeds that put an id where their type should be must not fill the memory."""

OTHER_TYPES: Final = "(other)"


class Health(msgspec.Struct, kw_only=True):
    """How the recording itself fared.

    Attributes:
        reconnects: Connections after the first.
        gaps: Times in which frames may have been missed.
        longest_stall_ms: Longest time that the event loop was held up.
        paused_ms: How long reading was held back because the disk did not keep up.
    """

    reconnects: int = 0
    gaps: int = 0
    longest_stall_ms: float = 0.0
    paused_ms: float = 0.0


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session that another was made of, and which part of it.

    Attributes:
        verb: What was done: ``trim``, ``merge`` or ``redact``.
        session: Its id.
        started_ns: When it began, UTC ns since the epoch.
        shift_ns: What was added to its ``elapsed_ns``, ns.
        clock_ns: By how much its clock was estimated to be ahead of the first session's, ns.
        from_ns: First moment that was taken, in its own ``elapsed_ns``; None is the beginning.
        to_ns: First moment that was not; None is the end.
        types: Types of messages that were taken; None is all.
        exclude: Types that were not.
        where: SQL condition on the messages that were; None is all.
        paths: What was replaced in payloads, headers and queries.
    """

    verb: str
    session: str
    started_ns: int
    shift_ns: int = 0
    clock_ns: int = 0
    from_ns: int | None = None
    to_ns: int | None = None
    types: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    where: str | None = None
    paths: tuple[str, ...] = ()


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is, known from its first moment on; kept in every file of it.

    Attributes:
        id: Unique name: UTC start and name, sortable, safe as a file name.
        name: A word for people.
        feed: URL of the feed, credentials redacted; the file it was imported from; or empty.
        path: Path of the feed's URL, which the endpoint serves again.
        dialect: How its envelopes are read.
        started_ns: UTC of the session's beginning, ns since the epoch.
        subprotocol: The subprotocol that the server chose, or None.
        host: Name of the machine that recorded it.
        tool: Name and version of the program that recorded it.
        derived_from: The sessions that it was made of; none of a recording.
        redacted: Paths of values that were replaced in payloads before they were written; unset if none.
        continues: Id of the session that the recorder before this one left, of the same name and feed; unset if none.
        black_box: Why a black box wrote it; unset if none did.
    """

    id: str
    name: str
    feed: str = ""
    path: str = "/ws/"
    dialect: Dialect = ENGINE
    started_ns: int = 0
    subprotocol: str | None = None
    host: str = ""
    tool: str = ""
    derived_from: tuple[Origin, ...] = ()
    continues: str | msgspec.UnsetType = msgspec.UNSET
    redacted: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    black_box: BlackBoxTrigger | msgspec.UnsetType = msgspec.UNSET

    def to_metadata(self) -> dict[str, str]:
        """Return it as entries for a Parquet footer or an Arrow schema, with a checksum of their own."""
        content = msgspec.json.encode(self)
        return {
            "wsrec.format_version": str(FORMAT_VERSION),
            "wsrec.session": content.decode(),
            "wsrec.session_crc32": _crc32(content),
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], path: Place) -> Identity:
        """Return what `to_metadata` wrote.

        Raises:
            FormatTooNew: A newer wsrec wrote it.
            SessionError: It is not there, damaged, or not readable.
        """
        check_version(metadata.get("wsrec.format_version", ""), path)
        try:
            content = metadata["wsrec.session"].encode()
            if metadata["wsrec.session_crc32"] != _crc32(content):
                raise SegmentDamaged(
                    f"{path} does not say intact to which session it belongs: the checksum does not match",
                    hint='restore it from a copy; "wsrec verify" names all that is wrong',
                )
            return msgspec.json.decode(content, type=cls)
        except (KeyError, msgspec.MsgspecError, UsageError) as exc:
            raise SessionError(
                f"{path} does not say to which session it belongs",
                hint='it was not written by wsrec; bring foreign files in with "wsrec import"',
            ) from exc


class Tally:
    """Counts what a session holds, a record batch at a time.

    Attributes:
        events: Rows.
        messages: Frames, both directions.
        size_bytes: Payload bytes.
        types: Frames by type; those beyond the first 10,000 types are counted together.
        kinds: Rows by kind.
        last_elapsed_ns: When the last event came, ns since the session began.
    """

    def __init__(self) -> None:
        self.events = 0
        self.size_bytes = 0
        self.types: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.last_elapsed_ns = 0

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> Tally:
        """Return a tally that goes on from what a manifest says."""
        tally = cls()
        tally.events, tally.size_bytes = manifest.events, manifest.size_bytes
        tally.types.update(manifest.types)
        tally.kinds.update({Kind.MESSAGE: manifest.messages, Kind.OPEN: manifest.connections, Kind.GAP: manifest.gaps})
        tally.last_elapsed_ns = manifest.last_elapsed_ns
        return tally

    @property
    def messages(self) -> int:
        """Frames, both directions."""
        return self.kinds[Kind.MESSAGE]

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a record batch; it needs the columns kind, elapsed_ns, type, text and binary."""
        if not len(batch):
            return
        self.events += len(batch)
        for name in ("text", "binary"):
            lengths = pc.binary_length(batch.column(name))
            self.size_bytes += pc.sum(lengths).as_py() or 0
        for counter, name in ((self.kinds, "kind"), (self.types, "type")):
            for entry in pc.value_counts(batch.column(name)).to_pylist():
                if (word := entry["values"]) is not None:
                    known = word in counter or len(counter) < _MOST_TYPES
                    counter[word if known else OTHER_TYPES] += entry["counts"]
        self.last_elapsed_ns = max(self.last_elapsed_ns, batch.column("elapsed_ns")[-1].as_py())


class Manifest(msgspec.Struct, kw_only=True):
    """The manifest of a session.

    Attributes:
        identity: What the session is.
        sealed: Whether the recording ended properly: nothing is left in a journal.
        events: Rows.
        messages: Frames, both directions.
        size_bytes: Payload bytes.
        types: Frames by type.
        connections: Connections of the session.
        gaps: Rows of kind ``gap``.
        last_elapsed_ns: When its last event came, ns since the session began.
        segments: Sealed segments in order.
        health: How the recording itself fared.
        redacted: How many values were replaced before they were written, by path; unset if none were to be.
        format_version: Version of the layout on disk.
    """

    identity: Identity
    sealed: bool = False
    events: int = 0
    messages: int = 0
    size_bytes: int = 0
    types: dict[str, int] = {}
    connections: int = 0
    gaps: int = 0
    last_elapsed_ns: int = 0
    segments: list[SegmentInfo] = []
    health: Health = msgspec.field(default_factory=Health)
    redacted: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    format_version: int = FORMAT_VERSION

    def count(self, tally: Tally) -> None:
        """Take over what was counted."""
        self.events, self.messages, self.size_bytes = tally.events, tally.messages, tally.size_bytes
        self.types = dict(tally.types.most_common())
        self.connections, self.gaps = tally.kinds[Kind.OPEN], tally.kinds[Kind.GAP]
        self.last_elapsed_ns = tally.last_elapsed_ns

    def to_json(self) -> bytes:
        """Return it as indented JSON, times also as ISO 8601 for people."""
        content = msgspec.to_builtins(self)
        started_ns = self.identity.started_ns
        content["start"] = from_epoch_ns(started_ns).isoformat()
        content["end"] = from_epoch_ns(started_ns + self.last_elapsed_ns).isoformat()
        content["crc32"] = _crc32(_canonical(content))
        return json.dumps(content, indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes, path: Place) -> Manifest:
        """Return what `to_json` wrote.

        Raises:
            FormatTooNew: A newer wsrec wrote it.
            SessionError: It is not readable, or not as it was written.
        """
        try:
            found = json.loads(content)
            check_version(str(found["format_version"]), path)
            crc32 = found.pop("crc32", None)
            manifest = msgspec.convert(found, cls)
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            msgspec.MsgspecError,
            UsageError,
        ) as exc:
            raise SessionError(f"{path} is not a manifest: {str(exc).splitlines()[0]}", hint=_WITHOUT) from exc
        if crc32 != _crc32(_canonical(found)):
            raise SessionError(f"{path} is not as wsrec wrote it: the checksum does not match", hint=_WITHOUT)
        _refuse_foreign_names(manifest, path)
        return manifest

    def write(self, folder: Path) -> None:
        """Replace the manifest of a session's folder atomically."""
        disk.replace_atomically(folder / MANIFEST_NAME, self.to_json())


def _refuse_foreign_names(manifest: Manifest, path: Place) -> None:
    """Refuse what would lead out of the session's folder, or out of the library: a manifest may come from anybody."""
    session_id = manifest.identity.id
    if not session_id or {"/", "\\", "\0"} & set(session_id) or session_id in (".", ".."):
        raise SessionError(f"{path} names the session {session_id!r}, which is no name of a folder", hint=_WITHOUT)
    for info in manifest.segments:
        if not _SEGMENT.fullmatch(info.name):
            raise SessionError(f"{path} lists {info.name!r}, which is no name of a segment", hint=_WITHOUT)


_SEGMENT: Final = re.compile(r"[0-9]{6,12}\.parquet")

_WITHOUT: Final = 'run "wsrec recover" to have it written anew; the session is readable without it too'


def _canonical(content: dict[str, Any]) -> bytes:
    """Return JSON that is the same however the file is laid out."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _crc32(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"
