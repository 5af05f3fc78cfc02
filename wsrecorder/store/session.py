"""Reading a session, sealed or still being recorded, whole or with a journal cut short.

Readers take the sealed segments first and then, from the journals, only what has a higher sequence
number. A journal that is sealed away between listing and opening shows up as a segment at the next
look, so that an event is never missed and never seen twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from wsrecorder.core.event import Kind
from wsrecorder.errors import SegmentDamaged, SessionError, SessionNotFound
from wsrecorder.store.journal import JournalReader
from wsrecorder.store.manifest import MANIFEST_NAME, Identity, Manifest, Tally
from wsrecorder.store.segment import Segment, SegmentInfo
from wsrecorder.store.selection import Selection

__all__ = ["EVENTS_FOLDER", "ParquetStore", "Store"]

EVENTS_FOLDER: Final = "events"


class Store(Protocol):
    """A session on disk, in whichever form."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    def manifest(self) -> Manifest:
        """Return its manifest as of now; counted anew where it is not sealed."""
        ...

    def batches(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        """Yield the events wanted as record batches, in sequence; empty ones are left out."""
        ...


class ParquetStore:
    """A session in a folder of Parquet segments and journals.

    Args:
        path: The folder.

    Raises:
        SessionNotFound: There is no such session.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / EVENTS_FOLDER).is_dir() and not (path / MANIFEST_NAME).is_file():
            raise SessionNotFound(
                f"{path} is not a session: it has neither {MANIFEST_NAME} nor a folder {EVENTS_FOLDER}/",
                hint='"wsrec ls" lists the sessions of a library',
            )

    def segment_paths(self) -> list[Path]:
        """Return the sealed segments in order."""
        return sorted((self.path / EVENTS_FOLDER).glob("*.parquet"))

    def journal_paths(self) -> list[Path]:
        """Return the journals in order."""
        return sorted((self.path / EVENTS_FOLDER).glob("*.journal"))

    def stored_manifest(self) -> Manifest | None:
        """Return the manifest as it stands on disk, None where there is none.

        Raises:
            SessionError: It is there and not readable.
            FormatTooNew: A newer wsrec wrote it.
        """
        path = self.path / MANIFEST_NAME
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise SessionError(f"cannot read {path}: {exc.strerror}", hint="check who may read it") from exc
        return Manifest.from_json(content, path)

    def identity(self) -> Identity:
        """Return what the session is, from the manifest or else from any file of it.

        Raises:
            SessionError: Nothing of it can be read.
        """
        stored = self.stored_manifest()
        if stored is not None:
            return stored.identity
        for path in self.segment_paths():
            return Identity.from_metadata(Segment(path).metadata, path)
        for path in self.journal_paths():
            metadata = JournalReader(path).metadata
            if metadata:
                return Identity.from_metadata(metadata, path)
        raise SessionError(
            f"{self.path} holds no manifest, no segment and no journal that can be read",
            hint="restore it from a copy, or remove the folder: nothing can be read from it",
        )

    def manifest(self) -> Manifest:
        """Return the manifest; where it is missing or the session is not sealed, counted from what is there.

        Only what the manifest does not know yet is read.
        """
        stored = self.stored_manifest()
        if stored is not None and stored.sealed:
            return stored
        manifest = stored or Manifest(identity=self.identity())
        tally = Tally()
        tally.events, tally.size_bytes = manifest.events, manifest.size_bytes
        tally.types.update(manifest.types)
        tally.kinds.update({Kind.MESSAGE: manifest.messages, Kind.OPEN: manifest.connections, Kind.GAP: manifest.gaps})
        tally.last_elapsed_ns = manifest.last_elapsed_ns
        columns = ("kind", "elapsed_ns", "type", "text", "binary")
        for batch in self.batches(Selection(columns=columns, from_seq=manifest.events)):
            tally.add(batch)
        manifest.count(tally)
        return manifest

    def batches(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        """Yield the events wanted as record batches, in sequence; empty ones are left out.

        Raises:
            SegmentDamaged: A segment is missing or cannot be read; what came before was yielded.
        """
        known = self.stored_manifest()
        listed = {info.name: info for info in known.segments} if known else {}
        self._check_complete(listed)
        for batch in self._all_batches(selection, listed):
            wanted = selection.apply(batch)
            if len(wanted):
                yield wanted

    def _check_complete(self, listed: Iterable[str]) -> None:
        """Refuse to read around a segment that ought to be there: that would lose events silently."""
        journals = {path.with_suffix(".parquet").name for path in self.journal_paths()}
        held = {path.name for path in self.segment_paths()}
        numbers = [int(name.partition(".")[0]) for name in held | journals if name.partition(".")[0].isdecimal()]
        wanted = {f"{number:06d}.parquet" for number in range(max(numbers, default=-1) + 1)}
        missing = sorted((wanted | set(listed)) - held - journals)
        if missing:
            raise SegmentDamaged(
                f"session {self.path.name} holds no segment {missing[0]}, expected it in {EVENTS_FOLDER}/",
                hint='restore the file from a copy; "wsrec verify" names all that is wrong',
            )

    def _all_batches(self, selection: Selection, listed: Mapping[str, SegmentInfo]) -> Iterator[pa.RecordBatch]:
        """Yield every batch that may matter, each event once: segments first, then journals."""
        read: set[str] = set()
        next_seq = selection.from_seq
        while True:
            segments = [path for path in self.segment_paths() if path.name not in read]
            journals = self.journal_paths()
            for path in segments:
                read.add(path.name)
                if path.name in listed and not selection.may_hold(listed[path.name]):
                    continue
                for batch in self._segment_batches(path, selection, next_seq):
                    next_seq = batch.column("seq")[-1].as_py() + 1
                    yield batch
            try:
                for path in journals:
                    if path.with_suffix(".parquet").name in read:
                        continue  # sealed already; the journal is about to go
                    for batch in _journal_batches(path, selection, next_seq):
                        next_seq = batch.column("seq")[-1].as_py() + 1
                        yield batch
            except FileNotFoundError:
                continue  # sealed while we read the ones before it: take the segment instead
            if all(path.name in read for path in self.segment_paths()):
                return

    def _segment_batches(self, path: Path, selection: Selection, next_seq: int) -> Iterator[pa.RecordBatch]:
        for batch in Segment(path).batches(
            selection.columns_read(), from_seq=next_seq, start_ns=selection.start_ns, end_ns=selection.end_ns
        ):
            fresh = _after(batch, next_seq)
            if len(fresh):
                yield fresh


def _journal_batches(path: Path, selection: Selection, next_seq: int) -> Iterator[pa.RecordBatch]:
    """Yield the whole batches of a journal that hold anything from ``next_seq`` on."""
    columns = selection.columns_read()
    journal = JournalReader(path)
    try:
        for batch in journal:
            fresh = _after(batch, next_seq)
            if len(fresh):
                yield fresh.select(columns)
    finally:
        journal.close()


def _after(batch: pa.RecordBatch, next_seq: int) -> pa.RecordBatch:
    """Return the rows from a sequence number on; sequence numbers of a batch have no holes."""
    return batch.slice(max(0, next_seq - batch.column("seq")[0].as_py()))
