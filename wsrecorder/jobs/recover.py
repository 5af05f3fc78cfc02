"""Seal what a crash left in journals, and say what it cost.

The rule: nothing is removed unless all of it is elsewhere. A journal goes when a segment that was read
back holds its events and no byte of it was unreadable; what could not be read is kept aside, under the
file's name and ``.cut`` (a journal) or ``.damaged`` (a segment, a manifest). A journal that is damaged in
the middle of a session stays where it is: later events exist, and sealing around it would make a hole look
whole. Each step leaves a session that a second recovery takes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from wsrecorder.core.event import from_epoch_ns
from wsrecorder.errors import EventsLost, FormatTooNew, SegmentDamaged, SessionError
from wsrecorder.store import disk, duckdb_log
from wsrecorder.store.duckdb_file import DuckDbStore, DuckDbWriter
from wsrecorder.store.journal import JournalInfo, check_journal
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.manifest import MANIFEST_NAME, Manifest
from wsrecorder.store.place import ObjectPath, local
from wsrecorder.store.sealer import seal_journal
from wsrecorder.store.segment import Segment, SegmentInfo, check_segment
from wsrecorder.store.session import EVENTS_FOLDER, JOURNAL_SUFFIX, SEGMENT_SUFFIX, ParquetStore, Store
from wsrecorder.store.spool import destination_of, leave_spool
from wsrecorder.store.upload import bring_session

__all__ = ["Cut", "Recovery", "recover"]


class Cut(msgspec.Struct, frozen=True):
    """Bytes that could not be read, and where they are kept.

    Attributes:
        file: The file that held them.
        bytes: How many.
        kept_as: Its name now.
        reason: Why they could not be read.
    """

    file: str
    bytes: int
    kept_as: str
    reason: str


class Recovery(msgspec.Struct, kw_only=True):
    """What a recovery did and found.

    Attributes:
        id: The session.
        path: Where it is.
        sealed: Segments that were made from journals.
        removed: Leftovers that were removed.
        cut: Tails that could not be read.
        lost: Damage in the middle of the session, in words; it keeps the session from being sealed.
        events: Events up to which the session is whole; the last of them has one less as its number.
        whole_until: UTC of the last of them, ISO 8601.
    """

    id: str
    path: str
    sealed: list[str] = []
    removed: list[str] = []
    cut: list[Cut] = []
    lost: list[str] = []
    events: int = 0
    whole_until: str = ""

    @property
    def cut_bytes(self) -> int:
        """Bytes that could not be read, all tails together."""
        return sum(cut.bytes for cut in self.cut)

    @property
    def exit_code(self) -> int:
        """The exit status of a command that reports this: 0 when nothing was lost, else 6."""
        return EventsLost.exit_code if self.cut or self.lost else 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {**msgspec.to_builtins(self), "cut_bytes": self.cut_bytes}


def recover(store: Store, goes_on: Callable[[], bool] = lambda: True) -> Recovery:
    """Seal a session whose recording did not end properly; nothing happens to one that is sealed.

    Args:
        store: The session.
        goes_on: Asked before each segment that is brought from a spool to where it belongs; if it does not, the rest
            waits, and a StorageError says so.

    Raises:
        SessionError: It is still being recorded; or nothing of it can be read, and nothing was changed.
        FormatTooNew: A newer wsrec wrote it.
        StorageError: The disk refuses.
    """
    if isinstance(store, ParquetStore):
        folder = local(store.path, "recovering a session")
        with SessionLock(folder):
            place = destination_of(folder)
            if place is not None:
                return _recover_spooled(folder, place, goes_on)
            return _Folder(store, folder).recover()
    assert isinstance(store, DuckDbStore)
    if not duckdb_log.log_of(store.path).exists() and (manifest := store.stored_manifest()).sealed:
        return _recovery_of(store, manifest, [])  # opening it for writing would change its bytes
    return _recover_file(store)


@dataclass(slots=True)
class _Held:
    """What stands under one number.

    Attributes:
        number: The number.
        segment: What its segment holds, None when there is none that can be read.
        journal: What its journal holds, None when there is none.
        is_segment_damaged: A segment is there and cannot be read.
    """

    number: int
    segment: SegmentInfo | None = None
    journal: JournalInfo | None = None
    is_segment_damaged: bool = False

    @property
    def best(self) -> SegmentInfo | JournalInfo | None:
        """Where its events are read from; None when it holds none that can be read."""
        if self.segment is not None and (self.journal is None or self.segment.rows >= self.journal.rows):
            return self.segment
        return self.journal if self.journal is not None and self.journal.rows else None

    @property
    def is_unreadable(self) -> bool:
        """Whether it holds bytes that cannot be read."""
        return self.is_segment_damaged or (self.journal is not None and self.journal.cut_bytes > 0)

    @property
    def is_missing(self) -> bool:
        """Whether neither of its files is there."""
        return self.segment is None and self.journal is None and not self.is_segment_damaged


class _Folder:
    """Recovers a session of segments and journals: look at all of it, judge, then act."""

    def __init__(self, store: ParquetStore, folder: Path, *, is_spooled: bool = False) -> None:
        self._is_spooled = is_spooled
        self._store = store
        self._folder = folder
        self._events = folder / EVENTS_FOLDER
        self._is_manifest_damaged = False
        self._stored = self._stored_manifest()
        self._identity = self._stored.identity if self._stored else store.rebuilt_identity()
        self._recovery = Recovery(id=self._identity.id, path=str(store.path))

    def recover(self) -> Recovery:
        listed = {int(info.name.partition(".")[0]): info for info in self._stored.segments} if self._stored else {}
        numbers = {int(path.stem) for path in (*self._store.segment_paths(), *self._store.journal_paths())} | {*listed}
        held = [self._look_at(number, listed.get(number)) for number in range(max(numbers, default=-1) + 1)]
        self._refuse_unreadable(held)
        whole = self._whole_part(held)
        recovery = self._recovery
        if self._stored and not self._stored.sealed and not recovery.lost and self._stored.events > recovery.events:
            recovery.lost.append(f"{self._stored.events} events had been written, and {recovery.events} are there")
        last = max((entry.number for entry in whole if entry.best), default=-1)
        for entry in whole:
            is_tail = entry.number >= last
            if recovery.lost and is_tail and entry.is_unreadable:
                continue  # events follow that do not go on from here: sealed, its prefix would pass for all of it
            self._settle(entry, is_tail=is_tail)
        if not recovery.lost:
            self._remove_leftovers()
            self._write_manifest(whole)
        return recovery

    def _stored_manifest(self) -> Manifest | None:
        try:
            return self._store.stored_manifest()
        except FormatTooNew:
            raise
        except SessionError:
            self._is_manifest_damaged = True
            return None

    def _look_at(self, number: int, listed: SegmentInfo | None) -> _Held:
        entry = _Held(number)
        segment, journal = self._segment(number), self._journal(number)
        if journal.exists():
            entry.journal = check_journal(journal)
        if segment.exists():
            try:
                if listed is not None and entry.journal is None and segment.stat().st_size == listed.size_bytes:
                    Segment(segment)  # it was read back when it was listed: that its checksum still holds is enough
                    entry.segment = listed
                else:
                    entry.segment = check_segment(segment)
            except SegmentDamaged:
                entry.is_segment_damaged = True
        elif self._is_spooled and entry.journal is None:
            entry.segment = listed  # it has gone ahead to where it belongs, where it was looked at
        return entry

    def _refuse_unreadable(self, held: list[_Held]) -> None:
        lost = [entry for entry in held if entry.is_unreadable or entry.is_missing]
        if lost and not any(entry.best for entry in held):
            raise SessionError(
                f"session {self._identity.id} had events, and not one of them can be read",
                hint="restore it from a copy; nothing was changed",
            )

    def _whole_part(self, held: list[_Held]) -> list[_Held]:
        """Return what stands before the first hole, and note what is lost there."""
        recovery = self._recovery
        next_seq = last_elapsed_ns = 0
        whole: list[_Held] = []
        for entry in held:
            best = entry.best
            later = [found for found in (after.best for after in held[entry.number :]) if found]
            if best is not None and best.first_seq == next_seq:
                next_seq, last_elapsed_ns = best.next_seq, best.last_elapsed_ns
            elif later or entry.journal is None or entry.is_segment_damaged:
                after = f"; events {later[0].first_seq} to {later[-1].next_seq - 1} follow" if later else ""
                recovery.lost.append(f"{self._segment(entry.number).name}: event {next_seq} cannot be read{after}")
                break
            whole.append(entry)
        recovery.events = next_seq
        recovery.whole_until = from_epoch_ns(self._identity.started_ns + last_elapsed_ns).isoformat()
        return whole

    def _settle(self, entry: _Held, *, is_tail: bool) -> None:
        """Bring what stands under one number into its final form."""
        journal = entry.journal
        if journal is None:
            return
        path = self._journal(entry.number)
        # Where the segment holds more than the journal gives, or events go on behind it, its tail held none.
        is_cut = journal.cut_bytes > 0 and is_tail and (entry.segment is None or entry.segment.rows <= journal.rows)
        if entry.best is journal:
            if entry.segment is not None or entry.is_segment_damaged:
                disk.move_aside(self._segment(entry.number), ".damaged")
            entry.segment = seal_journal(path, self._identity.to_metadata(), rows=journal.rows)
            self._recovery.sealed.append(entry.segment.name)
        if is_cut:
            kept = disk.move_aside(path, ".cut")
            self._recovery.cut.append(Cut(path.name, journal.cut_bytes, kept.name, journal.trouble or ""))
        else:
            disk.remove(path)
            self._recovery.removed.append(path.name)

    def _remove_leftovers(self) -> None:
        """Remove temporary files; what they were made from was read back by now."""
        for folder in (self._folder, self._events):
            for name in disk.list_names(folder):
                if name == f"{MANIFEST_NAME}.tmp" or name.endswith(f"{SEGMENT_SUFFIX}.tmp"):
                    disk.remove(folder / name)
                    self._recovery.removed.append(name)

    def _write_manifest(self, whole: list[_Held]) -> None:
        stored = self._stored
        segments = [entry.segment for entry in whole if entry.segment is not None]
        if stored is not None and stored.sealed and stored.segments == segments:
            return
        manifest = self._store.rebuilt_manifest() if stored is None else self._store.counted_on(stored)
        if self._is_manifest_damaged:
            disk.move_aside(self._folder / MANIFEST_NAME, ".damaged")
        manifest.segments = segments
        _seal(manifest).write(self._folder)

    def _segment(self, number: int) -> Path:
        return self._events / f"{number:06d}{SEGMENT_SUFFIX}"

    def _journal(self, number: int) -> Path:
        return self._events / f"{number:06d}{JOURNAL_SUFFIX}"


def _recover_spooled(folder: Path, place: ObjectPath, goes_on: Callable[[], bool]) -> Recovery:
    """Seal a session that waits in a spool, and bring it to where it belongs; it leaves the spool then."""
    store = ParquetStore(folder)
    try:
        known = store.stored_manifest()
    except SessionError:
        known = None
    if known is None:
        # Without one it is not known what is there already; that which is published says it.
        disk.replace_atomically(folder / MANIFEST_NAME, (place / MANIFEST_NAME).read_bytes())
    recovery = _Folder(store, folder, is_spooled=True).recover()
    if not recovery.lost:
        manifest = store.stored_manifest()
        assert manifest is not None
        bring_session(folder, manifest, place, goes_on)
        for cut in recovery.cut:  # it is no part of the session any more, and nobody is to lose it for that
            disk.publish(folder / EVENTS_FOLDER / cut.kept_as, folder.with_name(f"{folder.name}-{cut.kept_as}"))
        leave_spool(folder)
        recovery.cut = [msgspec.structs.replace(cut, kept_as=f"{folder.name}-{cut.kept_as}") for cut in recovery.cut]
    recovery.path = str(place)
    return recovery


def _seal(manifest: Manifest) -> Manifest:
    """Return a manifest that says that its session is sealed; stalls and pauses, only the recorder knew."""
    health = msgspec.structs.replace(manifest.health, reconnects=max(0, manifest.connections - 1), gaps=manifest.gaps)
    return msgspec.structs.replace(manifest, health=health, sealed=True)


def _recover_file(store: DuckDbStore) -> Recovery:
    """Play the log into a DuckDB file and write its manifest; batches are transactions, whole or not there."""
    cut: list[Cut] = []
    try:
        writer = DuckDbWriter.reopen(store.path)
    except SegmentDamaged as exc:
        log = duckdb_log.log_of(store.path)
        kept = duckdb_log.cut_log(store.path, exc)
        if kept is None:
            raise
        size_bytes = kept.stat().st_size - log.stat().st_size
        cut.append(Cut(log.name, size_bytes, kept.name, exc.message))
        writer = DuckDbWriter.reopen(store.path)
    try:
        manifest = store.manifest()
        if not manifest.sealed:
            writer.manifest = manifest = _seal(manifest)
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    return _recovery_of(store, manifest, cut)


def _recovery_of(store: DuckDbStore, manifest: Manifest, cut: list[Cut]) -> Recovery:
    identity = manifest.identity
    until = from_epoch_ns(identity.started_ns + manifest.last_elapsed_ns).isoformat()
    return Recovery(id=identity.id, path=str(store.path), cut=cut, events=manifest.events, whole_until=until)
