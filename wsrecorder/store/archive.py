"""A session of a library that is written from a log: each segment says how far in the log it goes.

What is committed stands in the footer of the last segment, and nowhere else, so that a crash at any moment leaves
either a segment with its events or neither. Whoever opens the session again goes on behind it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.store import disk
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.manifest import Identity, Manifest, Tally
from wsrecorder.store.schema import SCHEMA, from_rows
from wsrecorder.store.segment import Segment, check_segment, write_segment
from wsrecorder.store.session import EVENTS_FOLDER, SEGMENT_SUFFIX, ParquetStore

__all__ = ["ArchivedSession", "LogPlace"]

_PLACE: Final = "wsrec.log"


class LogPlace(msgspec.Struct, frozen=True):
    """How far in a log a segment goes.

    Attributes:
        stream: Name of the stream.
        position: All messages of the session up to there are in this segment and those before it.
        next_seq: The event of the log that comes next.
    """

    stream: str
    position: int
    next_seq: int


class ArchivedSession:
    """A session being written from a log, locked against others until it is closed.

    Attributes:
        path: The session's folder.
        next_seq: The event of the log that comes next.
        manifest: Of what is committed.

    Args:
        library: Folder of sessions.
        identity: What the session is.
        stream: Name of the stream.

    Raises:
        SessionError: Another process writes it, or the library has it from elsewhere.
        SegmentDamaged: What is there cannot be read back.
        StorageError: The disk refuses.
    """

    def __init__(self, library: Path, identity: Identity, stream: str) -> None:
        self.path = library / identity.id
        self.next_seq = 0
        self._stream = stream
        self._identity = identity
        self._held: list[pa.RecordBatch] = []
        self.held_bytes = 0
        disk.make_directory(self.path)
        disk.make_directory(self.path / EVENTS_FOLDER)
        self._lock = SessionLock(self.path)
        try:
            self.manifest = self._committed()
            self._rows = self.manifest.events
            if not self.manifest.segments:
                self.manifest.write(self.path)
        except BaseException:
            self._lock.release()
            raise

    def _committed(self) -> Manifest:
        """Return the manifest of what is there, which a crash may have left without its last segment."""
        store = ParquetStore(self.path)
        known = store.stored_manifest() or Manifest(identity=self._identity)
        paths = store.segment_paths()
        if store.journal_paths() or (known.segments and len(paths) < len(known.segments)):
            raise self._from_elsewhere()
        tally = Tally.from_manifest(known)
        for path in paths[len(known.segments) :]:
            known.segments.append(check_segment(path, tally.add))
        known.count(tally)
        if paths:
            place = Segment(paths[-1]).metadata.get(_PLACE)
            if place is None:
                raise self._from_elsewhere()
            self.next_seq = msgspec.json.decode(place, type=LogPlace).next_seq
        return known

    def _from_elsewhere(self) -> SessionError:
        return SessionError(
            f"{self.path} is there already, and was not archived from stream {self._stream}",
            hint="name another library with --into, or move that session away",
        )

    def add(self, rows: pa.RecordBatch) -> None:
        """Hold events of the log, numbered as there, for the next commit; where some are missing a gap is put down.

        Args:
            rows: They begin with event ``next_seq``, or behind it.
        """
        first_seq = rows.column("seq")[0].as_py()
        if first_seq > self.next_seq:
            self._hold(from_rows([self._gap(rows, first_seq - self.next_seq)]))
        self.next_seq = first_seq + len(rows)
        seq = pa.array(range(self._rows, self._rows + len(rows)), pa.int64())
        self._hold(pa.RecordBatch.from_arrays([seq, *rows.columns[1:]], schema=SCHEMA))

    def _hold(self, rows: pa.RecordBatch) -> None:
        self._held.append(rows)
        self.held_bytes += rows.nbytes
        self._rows += len(rows)

    def _gap(self, rows: pa.RecordBatch, missing: int) -> Event:
        elapsed_ns, received_ns = (rows.column(name)[0].as_py() for name in ("elapsed_ns", "received_ns"))
        conn = rows.column("conn")[0].as_py()
        detail = msgspec.json.encode({"cause": "the stream had dropped them", "events": missing}).decode()
        return Event(self._rows, Kind.GAP, conn, Direction.IN, elapsed_ns, received_ns, detail=detail)

    def commit(self, position: int) -> int:
        """Make a segment of what is held, and return how many events it has; nothing happens where nothing is.

        Args:
            position: All messages of the session up to there were added.

        Raises:
            StorageError: The disk refuses; what is held may be committed again.
        """
        if not self._held:
            return 0
        place = msgspec.json.encode(LogPlace(self._stream, position, self.next_seq)).decode()
        name = f"{len(self.manifest.segments):06d}{SEGMENT_SUFFIX}"
        metadata = {**self._identity.to_metadata(), _PLACE: place}
        info = write_segment(self._held, self.path / EVENTS_FOLDER / name, metadata)
        tally = Tally.from_manifest(self.manifest)
        for rows in self._held:
            tally.add(rows)
        self.manifest.segments.append(info)
        self.manifest.count(tally)
        self.manifest.sealed = False
        self.manifest.write(self.path)
        self._held, self.held_bytes = [], 0
        return info.rows

    def finish(self, ending: Manifest) -> None:
        """Seal the session: all of it is committed.

        Args:
            ending: Its manifest, as the recorder wrote it.
        """
        self.manifest.health, self.manifest.redacted = ending.health, ending.redacted
        self.manifest.sealed = True
        self.manifest.write(self.path)

    def close(self) -> None:
        """Let go; what is held and not committed is forgotten."""
        self._lock.release()
