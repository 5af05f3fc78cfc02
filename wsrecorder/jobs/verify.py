"""Check every rule of the session format, and name all that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from wsrecorder.errors import SessionError, WsrecError
from wsrecorder.store import disk, duckdb_file, lock
from wsrecorder.store.duckdb_file import DuckDbStore
from wsrecorder.store.journal import check_journal
from wsrecorder.store.manifest import MANIFEST_NAME, Identity, Manifest, Tally
from wsrecorder.store.place import Place, label, local
from wsrecorder.store.remote import RemoteStore
from wsrecorder.store.rules import RowRules
from wsrecorder.store.segment import Segment, SegmentInfo, check_segment
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import EVENTS_FOLDER, JOURNAL_SUFFIX, SEGMENT_SUFFIX, ParquetStore, Store

__all__ = ["Finding", "Severity", "VerifyReport", "verify"]

_SEALABLE = 'never sealed: run "wsrec recover"'


class Severity(StrEnum):
    """How much a finding matters."""

    WRONG = "wrong"
    """A rule of the format is broken."""

    ODD = "odd"
    """Nothing is broken, but somebody should know."""


class Finding(msgspec.Struct, frozen=True):
    """Something that was found.

    Attributes:
        severity: How much it matters.
        where: The file or the place in it.
        message: What was found and what was expected.
    """

    severity: Severity
    where: str
    message: str


class VerifyReport(msgspec.Struct, kw_only=True):
    """What came out.

    Attributes:
        id: The session, or the name of its folder where nothing says it.
        path: Where it is.
        is_live: It is being recorded right now: what was there at the beginning was checked.
        events: Events that were read back.
        segments: Segments that were read back.
        findings: What was found, in the order of the files.
    """

    id: str
    path: str
    is_live: bool = False
    events: int = 0
    segments: int = 0
    findings: list[Finding] = []

    @property
    def is_sound(self) -> bool:
        """Whether no rule is broken."""
        return all(finding.severity is not Severity.WRONG for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """The exit status of a command that reports this."""
        return 0 if self.is_sound else SessionError.exit_code

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {**msgspec.to_builtins(self), "is_sound": self.is_sound}


def verify(store: Store, on_progress: Callable[[int], None] = lambda events: None) -> VerifyReport:
    """Read a session back in full and check every rule of its format.

    Damage is reported, never raised.

    Args:
        store: The session.
        on_progress: Told how many events were read so far.
    """
    checking = _Checking(store, on_progress)
    try:
        if isinstance(store, ParquetStore):
            _check_folder(checking, store)
        elif isinstance(store, DuckDbStore):
            _check_file(checking, store)
    except WsrecError as exc:  # nothing behind it can be judged: a newer format, a disk that refuses
        checking.wrong(label(store.path), exc.message)
    return checking.report


class _Checking:
    """What is known while a session is read: the report, and where its events stand."""

    def __init__(self, store: Store, on_progress: Callable[[int], None]) -> None:
        self.report = VerifyReport(id=label(store.path), path=str(store.path))
        self.tally = Tally()
        self.rules = RowRules()
        self.is_whole = True
        self._on_progress = on_progress
        self._said: set[tuple[str, str]] = set()

    def wrong(self, where: str, message: str) -> None:
        self._add(Finding(Severity.WRONG, where, message))

    def odd(self, where: str, message: str) -> None:
        self._add(Finding(Severity.ODD, where, message))

    def _add(self, finding: Finding) -> None:
        # A rule that one batch breaks is likely broken by the next ones too.
        key = finding.where, finding.message.partition(" event ")[0]
        if key not in self._said:
            self._said.add(key)
            self.report.findings.append(finding)

    def visit(self, where: str) -> Callable[[Any], None]:
        """Return what checks and counts the batches of a file."""

        def check(batch: Any) -> None:
            for broken in self.rules.broken(batch):
                self.wrong(where, broken)
            self.tally.add(batch)
            self.report.events = self.tally.events
            self._on_progress(self.tally.events)

        return check

    def lost(self, where: str, message: str, next_seq: int | None) -> None:
        """Note a file that cannot be read; with the number of the event after it, what follows is no hole."""
        self.wrong(where, message)
        self.is_whole = False
        if next_seq is not None:
            self.rules.next_seq = next_seq

    def check_counts(self, where: str, manifest: Manifest) -> None:
        """Compare a manifest's counts with what was counted."""
        counted = Manifest(identity=manifest.identity)
        counted.count(self.tally)
        for name in ("events", "messages", "size_bytes", "types", "connections", "gaps", "last_elapsed_ns"):
            stored, found = getattr(manifest, name), getattr(counted, name)
            if stored != found:
                self.wrong(where, f"{name} is {stored}, but the events say {found}")


def _check_folder(checking: _Checking, store: ParquetStore) -> None:
    report = checking.report
    report.is_live = lock.is_locked(store.path)
    stored = _stored_manifest(checking, store)
    if isinstance(store, RemoteStore) and stored is not None:
        report.is_live = not stored.sealed  # as far as can be told from here
    identity = stored.identity if stored else _rebuilt_identity(checking, store)
    if identity is not None:
        report.id = identity.id
        if stored and identity.id != label(store.path):
            checking.odd(MANIFEST_NAME, f"the session is {identity.id}, its folder is named {label(store.path)}")
    listed = {int(info.name.partition(".")[0]): info for info in stored.segments} if stored else {}
    files = store.files()
    for number in range(max({*files, *listed}, default=-1) + 1):
        path = files.get(number)
        if path is not None and path.suffix == SEGMENT_SUFFIX:
            _check_one_segment(checking, path, listed.get(number), identity, must_be_listed=stored is not None)
        elif path is not None:
            _check_one_journal(checking, path, is_listed=number in listed)
        else:
            info = listed.get(number)
            name = f"{EVENTS_FOLDER}/{number:06d}{SEGMENT_SUFFIX}"
            checking.lost(name, "it is missing", info.next_seq if info else None)
        if stored and number == max(listed, default=-1) and checking.is_whole and not stored.sealed:
            checking.check_counts(MANIFEST_NAME, stored)
    if stored and stored.sealed and checking.is_whole:
        checking.check_counts(MANIFEST_NAME, stored)
    _check_strays(checking, store)
    if stored and not report.is_live:
        _check_seal(checking, store, stored)


def _stored_manifest(checking: _Checking, store: ParquetStore) -> Manifest | None:
    try:
        stored = store.stored_manifest()
    except SessionError as exc:
        checking.wrong(MANIFEST_NAME, exc.message)
        return None
    if stored is None:
        checking.odd(MANIFEST_NAME, 'it is missing; "wsrec recover" writes it anew')
    return stored


def _rebuilt_identity(checking: _Checking, store: ParquetStore) -> Identity | None:
    try:
        return store.rebuilt_identity()
    except SessionError as exc:
        checking.wrong(label(store.path), exc.message)
        return None


def _check_one_segment(
    checking: _Checking, path: Place, listed: SegmentInfo | None, identity: Identity | None, *, must_be_listed: bool
) -> None:
    where = f"{EVENTS_FOLDER}/{path.name}"
    try:
        found = check_segment(path, checking.visit(where))
        segment = Segment(path)
        written_for = Identity.from_metadata(segment.metadata, path)
    except SessionError as exc:
        checking.lost(where, exc.message, listed.next_seq if listed else None)
        return
    checking.report.segments += 1
    if identity is not None and written_for.id != identity.id:
        checking.wrong(where, f"it belongs to session {written_for.id}, expected {identity.id}")
    for fault in segment.layout_faults():
        checking.wrong(where, fault)
    if listed is not None:
        for name in SegmentInfo.__struct_fields__:
            if getattr(listed, name) != getattr(found, name):
                checking.wrong(
                    where, f"{name} is {getattr(found, name)}, but the manifest says {getattr(listed, name)}"
                )
    elif must_be_listed and not checking.report.is_live:
        checking.wrong(where, 'the manifest does not list it; "wsrec recover" writes it anew')


def _check_one_journal(checking: _Checking, path: Place, *, is_listed: bool) -> None:
    where = f"{EVENTS_FOLDER}/{path.name}"
    try:
        found = check_journal(local(path, "a journal"), checking.visit(where))
    except FileNotFoundError:
        # Sealed meanwhile: its segment is there, and the next to look at it will say so if it is not.
        check_segment(path.with_suffix(SEGMENT_SUFFIX), checking.visit(where))
        return
    if is_listed:
        checking.wrong(where, f"the manifest lists {path.stem}{SEGMENT_SUFFIX}, which is missing")
    if not checking.report.is_live:
        tail = f"; {found.cut_bytes} bytes at its end cannot be read ({found.trouble})" if found.trouble else ""
        checking.wrong(where, f"{_SEALABLE}{tail}")


def _check_seal(checking: _Checking, store: ParquetStore, stored: Manifest) -> None:
    if stored.sealed and store.journal_paths():
        checking.wrong(MANIFEST_NAME, "it says that the session is sealed, but journals are there")
    elif not stored.sealed and not store.journal_paths():
        checking.wrong(MANIFEST_NAME, f"the recording did not end properly; {_SEALABLE}")


def _check_strays(checking: _Checking, store: ParquetStore) -> None:
    """Name the files that have no place in a session."""
    live = checking.report.is_live
    held = {path.name for path in (*store.segment_paths(), *store.journal_paths())}
    for name in disk.list_names(store.path / EVENTS_FOLDER):
        where = f"{EVENTS_FOLDER}/{name}"
        stem, _, suffix = name.partition(".")
        if f".{suffix}" == JOURNAL_SUFFIX and f"{stem}{SEGMENT_SUFFIX}" in held and not live:
            checking.wrong(where, 'its segment is there as well; "wsrec recover" removes it')
        elif name.endswith(".tmp") and not live:
            checking.odd(where, 'left over from a crash; "wsrec recover" removes it')
        elif ".cut" in suffix or ".damaged" in suffix:
            checking.odd(where, "kept aside by a recovery: it holds bytes that could not be read")
        elif name not in held and not name.endswith(".tmp"):
            checking.odd(where, "not a file of the format")


def _check_file(checking: _Checking, store: DuckDbStore) -> None:
    checking.report.is_live = duckdb_file.is_locked(store.path)
    where = label(store.path)
    manifest = store.stored_manifest()
    checking.report.id = manifest.identity.id
    check = checking.visit(where)
    for batch in store.batches(Selection()):
        check(batch)
    if manifest.sealed:
        checking.check_counts(where, manifest)
    elif not checking.report.is_live:
        checking.wrong(where, _SEALABLE)
