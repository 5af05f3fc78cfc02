"""Reading a session, sealed or still being recorded, whole or with a journal cut short.

What holds the events is listed once, by number: a segment where there is one, else its journal. Journals
are listed first, so that one which is sealed between the two looks is seen as a segment. One that is
sealed before its turn comes is found gone, and its segment is there. So each number is read from one
place, and a seal under way never doubles or hides an event; that sequence numbers go on without a hole
from file to file is checked on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final, Protocol

import msgspec
import pyarrow as pa

from wsrecorder.errors import FormatTooNew, SegmentDamaged, SessionError, SessionNotFound
from wsrecorder.store import disk
from wsrecorder.store.journal import JournalReader
from wsrecorder.store.manifest import MANIFEST_NAME, Health, Identity, Manifest, Tally
from wsrecorder.store.place import Place, label, local
from wsrecorder.store.segment import Segment, check_segment
from wsrecorder.store.selection import Selection
from wsrecorder.store.sequence import Sequence

__all__ = ["EVENTS_FOLDER", "JOURNAL_SUFFIX", "SEGMENT_SUFFIX", "ParquetStore", "Store"]

EVENTS_FOLDER: Final = "events"
SEGMENT_SUFFIX: Final = ".parquet"
JOURNAL_SUFFIX: Final = ".journal"

_COUNTED: Final = ("kind", "elapsed_ns", "type", "text", "binary")


class Store(Protocol):
    """A session on disk, in whichever form."""

    @property
    def path(self) -> Place:
        """Where it is."""
        ...

    def identity(self) -> Identity:
        """Return what it is."""
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

    def __init__(self, path: Place) -> None:
        self.path: Place = path
        if not (path / EVENTS_FOLDER).is_dir() and not (path / MANIFEST_NAME).is_file():
            raise SessionNotFound(
                f"{path} is not a session: it has neither {MANIFEST_NAME} nor a folder {EVENTS_FOLDER}/",
                hint='"wsrec ls" lists the sessions of a library',
            )

    def segment_paths(self) -> list[Place]:
        """Return the sealed segments in order."""
        return list(self._numbered(SEGMENT_SUFFIX).values())

    def journal_paths(self) -> list[Place]:
        """Return the journals in order."""
        return list(self._numbered(JOURNAL_SUFFIX).values())

    def files(self) -> dict[int, Place]:
        """Return what holds the events as of now, by number: a segment where there is one, else its journal."""
        journals = self._numbered(JOURNAL_SUFFIX)  # before the segments, see above
        found = {**journals, **self._numbered(SEGMENT_SUFFIX)}
        for number in range(max(found, default=-1)):
            if number not in found:
                # A folder that changes while it is listed may leave out what came and went meanwhile.
                for suffix in (JOURNAL_SUFFIX, SEGMENT_SUFFIX):
                    path = self.path / EVENTS_FOLDER / f"{number:06d}{suffix}"
                    if path.exists():
                        found[number] = path
        return dict(sorted(found.items()))

    def _numbered(self, suffix: str) -> dict[int, Place]:
        folder = self.path / EVENTS_FOLDER
        disk.refuse_link(folder)
        found: dict[int, Place] = {}
        for name in disk.list_names(folder):
            stem = name.removesuffix(suffix)
            if stem != name and stem.isdecimal() and f"{int(stem):06d}" == stem:
                disk.refuse_link(folder / name)
                found[int(stem)] = folder / name
        return dict(sorted(found.items()))

    def stored_manifest(self) -> Manifest | None:
        """Return the manifest as it stands on disk, None where there is none.

        Raises:
            SessionError: It is there and not readable.
            FormatTooNew: A newer wsrec wrote it.
        """
        path = self.path / MANIFEST_NAME
        disk.refuse_link(path)
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
            FormatTooNew: A newer wsrec wrote it.
        """
        stored = self.stored_manifest()
        return stored.identity if stored is not None else self.rebuilt_identity()

    def rebuilt_identity(self) -> Identity:
        """Return what the session is, from its segments and journals alone.

        Raises:
            SessionError: None of them can be read.
            FormatTooNew: A newer wsrec wrote them.
        """
        for path in self.files().values():
            try:
                return Identity.from_metadata(self._metadata_of(path), path)
            except FormatTooNew:
                raise
            except SessionError:
                continue  # damaged: another file may say the same
        raise self._nothing_to_read()

    def _nothing_to_read(self) -> SessionError:
        return SessionError(
            f"{self.path} holds no manifest, no segment and no journal that can be read",
            hint="restore it from a copy, or remove the folder: nothing can be read from it",
        )

    def _metadata_of(self, path: Place) -> dict[str, str]:
        if path.suffix == JOURNAL_SUFFIX:
            try:
                with closing(JournalReader(local(path, "a journal"))) as journal:
                    return journal.metadata
            except FileNotFoundError:
                path = path.with_suffix(SEGMENT_SUFFIX)
        return Segment(path).metadata

    def manifest(self) -> Manifest:
        """Return the manifest; where it is missing or the session is not sealed, counted from what is there.

        Only what the manifest does not know yet is read.
        """
        stored = self.stored_manifest()
        if stored is None:
            return self.rebuilt_manifest()
        return stored if stored.sealed else self.counted_on(stored)

    def counted_on(self, manifest: Manifest) -> Manifest:
        """Return a manifest whose counts go on from its own to the end of the session."""
        tally = Tally.from_manifest(manifest)
        for batch in self.batches(Selection(columns=_COUNTED, from_seq=manifest.events)):
            tally.add(batch)
        counted = msgspec.structs.replace(manifest)
        counted.count(tally)
        return counted

    def rebuilt_manifest(self) -> Manifest:
        """Return a manifest made from segments and journals alone, every segment read back in full.

        It equals the one that was lost, but for stalls and pauses, which only the recorder knew.

        Raises:
            SegmentDamaged: A segment is missing or cannot be read.
            SessionError: Nothing of the session can be read.
        """
        manifest = Manifest(identity=self.rebuilt_identity())
        manifest.segments = [check_segment(path) for path in self.segment_paths()]
        tally = Tally()
        for batch in self._batches(Selection(columns=_COUNTED), None):
            tally.add(batch)
        manifest.count(tally)
        manifest.health = Health(reconnects=max(0, manifest.connections - 1), gaps=manifest.gaps)
        manifest.sealed = not self.journal_paths()
        return manifest

    def batches(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        """Yield the events wanted as record batches, in sequence; empty ones are left out.

        Of a session that still grows they are those that are there now.

        Raises:
            SegmentDamaged: A file that may hold some of them is missing or cannot be read, or the sequence has
                a hole; what came before was yielded.
            SessionError: The manifest is not readable, or there is neither it nor anything else.
            FormatTooNew: A newer wsrec wrote it.
        """
        known = self.stored_manifest()
        if known is None and not self.files():
            raise self._nothing_to_read()  # a session without events has a manifest that says so
        return self._batches(selection, known)

    def _batches(self, selection: Selection, known: Manifest | None) -> Iterator[pa.RecordBatch]:
        files = self.files()
        listed = {int(info.name.partition(".")[0]): info for info in known.segments} if known else {}
        skipped = {number for number, info in listed.items() if not selection.may_hold(info)}
        self._check_complete(files, {*listed, *files}, skipped)
        sequence = Sequence(label(self.path), selection)
        for number, path in files.items():
            if number in skipped:
                continue
            for batch in _file_batches(path, selection):
                if selection.is_past(batch):
                    return
                sequence.check(batch)
                wanted = selection.apply(batch)
                if len(wanted):
                    yield wanted
        sequence.check_end(known.events if known else 0)

    def _check_complete(self, files: dict[int, Place], known: set[int], skipped: set[int]) -> None:
        """Refuse to read around a file that ought to be there: that would lose events silently."""
        for number in range(max(known, default=-1) + 1):
            if number not in files and number not in skipped:
                raise SegmentDamaged(
                    f"session {label(self.path)} holds neither {number:06d}{SEGMENT_SUFFIX} nor {number:06d}"
                    f"{JOURNAL_SUFFIX}, expected one of them in {EVENTS_FOLDER}/",
                    hint='restore the file from a copy; "wsrec verify" names all that is wrong',
                )


def _file_batches(path: Place, selection: Selection) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of a file that may hold something wanted, none of them empty."""
    columns = selection.columns_read()
    if path.suffix == JOURNAL_SUFFIX:
        try:
            journal = JournalReader(local(path, "a journal"))
        except FileNotFoundError:
            path = path.with_suffix(SEGMENT_SUFFIX)  # sealed while we read those before it
        else:
            with closing(journal):
                for batch in journal:
                    yield batch.select(columns)
            return
    yield from Segment(path).batches(
        columns, from_seq=selection.from_seq, start_ns=selection.start_ns, end_ns=selection.end_ns
    )
