"""A session of a library that is written from a log: each segment says how far in the log it goes.

What is committed stands in the footer of the last segment, and nowhere else, so that a crash at any moment leaves
either a segment with its events or neither. Whoever opens the session again goes on behind it. Segments are numbered
without a hole: who makes one has seen, or made, all of those before it.
"""

from __future__ import annotations

from typing import Final

import msgspec
import pyarrow as pa

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.store.archive_place import archive_place
from wsrecorder.store.manifest import Identity, Manifest, Tally
from wsrecorder.store.place import Place
from wsrecorder.store.schema import SCHEMA, from_rows
from wsrecorder.store.segment import Segment, check_segment
from wsrecorder.store.session import EVENTS_FOLDER, SEGMENT_SUFFIX

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
    """A session being written from a log; in a folder it is locked against others until it is closed.

    Attributes:
        path: Where the session is kept.
        next_seq: The event of the log that comes next.
        held_bytes: What is held for the next commit takes in memory, bytes.
        manifest: Of what is committed.

    Args:
        library: Where the library is.
        identity: What the session is.
        stream: Name of the stream.

    Raises:
        SessionError: Another process writes it, or the library has it from elsewhere.
        SegmentDamaged: What is there cannot be read back.
        StorageError: The disk or the store refuses, or the store is away.
        Overtaken: Another writer began it in the same moment.
    """

    def __init__(self, library: Place, identity: Identity, stream: str) -> None:
        self._place = archive_place(library, identity)
        self.path = self._place.path
        self.next_seq = 0
        self._stream = stream
        self._identity = identity
        self._held: list[pa.RecordBatch] = []
        self.held_bytes = 0
        self._written: bytes | None = None
        self._committed_rows = 0
        try:
            self.manifest = self._committed()
            self._rows = self.manifest.events
            if not self.manifest.segments:
                self._write_manifest()
        except BaseException:
            self._place.close()
            raise

    def _committed(self) -> Manifest:
        """Return the manifest of what is there, which a crash may have left without its last segments."""
        known = self._place.manifest()
        if known is None:
            known = Manifest(identity=self._identity)
        else:
            self._written = known.to_json()
        if self._place.is_recorded():
            raise self._from_elsewhere()
        tally = Tally.from_manifest(known)
        while (path := self._segment(len(known.segments))).is_file():
            known.segments.append(check_segment(path, tally.add))
        known.count(tally)
        if known.segments:
            place = Segment(self._segment(len(known.segments) - 1)).metadata.get(_PLACE)
            if place is None:
                raise self._from_elsewhere()
            self.next_seq = msgspec.json.decode(place, type=LogPlace).next_seq
        return known

    def _segment(self, number: int) -> Place:
        return self.path / EVENTS_FOLDER / f"{number:06d}{SEGMENT_SUFFIX}"

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
        """Make a segment of what is held, and have the manifest say so; return how many events were committed.

        Args:
            position: All messages of the session up to there were added.

        Raises:
            StorageError: The disk or the store refuses. If it is only away (`StoreAway`) the same may be asked again,
                with nothing added meanwhile.
            Overtaken: Another writer has gone on with the session; what is held must be forgotten.
        """
        if self._held:
            self._make_segment(position)
        self._write_manifest()
        rows, self._committed_rows = self._committed_rows, 0
        return rows

    def _make_segment(self, position: int) -> None:
        place = msgspec.json.encode(LogPlace(self._stream, position, self.next_seq)).decode()
        name = self._segment(len(self.manifest.segments)).name
        info = self._place.put_segment(self._held, name, {**self._identity.to_metadata(), _PLACE: place})
        # From here on it counts, whether the manifest says so or not.
        tally = Tally.from_manifest(self.manifest)
        for rows in self._held:
            tally.add(rows)
        self.manifest.segments.append(info)
        self.manifest.count(tally)
        self.manifest.sealed = False
        self._held, self.held_bytes = [], 0
        self._committed_rows += info.rows

    def finish(self, ending: Manifest) -> None:
        """Seal the session: all of it is committed.

        Args:
            ending: Its manifest, as the recorder wrote it.

        Raises:
            StorageError: As of `commit`.
            Overtaken: As of `commit`.
        """
        self.manifest.health, self.manifest.redacted = ending.health, ending.redacted
        self.manifest.sealed = True
        self._write_manifest()

    def _write_manifest(self) -> None:
        content = self.manifest.to_json()
        if content != self._written:
            self._place.put_manifest(self.manifest)
            self._written = content

    def close(self) -> None:
        """Let go; what is held and not committed is forgotten."""
        self._place.close()
