"""What a black box had, as an ordinary session: at a trigger, or after its recorder was killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from wsrecorder.core.black_box import BoxLimits, Cause, Window
from wsrecorder.errors import EventsLost, SegmentDamaged, SessionError
from wsrecorder.jobs.new_session import Made, Target, make_session
from wsrecorder.store import disk
from wsrecorder.store.black_box_trigger import BlackBoxTrigger, FurtherTrigger
from wsrecorder.store.journal import JournalInfo, JournalReader, check_journal
from wsrecorder.store.library import safe_name
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.manifest import Identity
from wsrecorder.store.moving import between, moved, numbered
from wsrecorder.store.place import Place, local
from wsrecorder.store.ring import left_rings, remove_ring, ring_journals
from wsrecorder.store.session import EVENTS_FOLDER

__all__ = ["RingRecovery", "recover_rings", "snapshot_name", "write_snapshot"]

_ENDLESS_NS: Final = 1 << 62
_ONE_AT_A_TIME: Final = threading.Lock()
"""Feeds of one name that are triggered together must not choose the same id."""


def snapshot_name(name: str) -> str:
    """Return the name of the sessions that a black box of that name writes."""
    return safe_name(f"{name[:55]}-snapshot")


def write_snapshot(
    target: Target, recorded: Identity, limits: BoxLimits, window: Window, journals: Sequence[Path],
    continues: str | msgspec.UnsetType = msgspec.UNSET,
) -> Made | None:  # fmt: skip
    """Make a session of a window; None if nothing came in it. It begins with its first event.

    Args:
        target: Where it goes.
        recorded: What is recorded.
        limits: Of the black box.
        window: What is wanted.
        journals: Those that hold it, closed, in order.
        continues: Id of the session that it goes on from; unset if none.

    Raises:
        StorageError: The disk refuses; nothing is left of the session then.
        SegmentDamaged: The disk does not give back what it was given.
    """
    why = BlackBoxTrigger(
        cause=str(window.trigger.cause),
        reason=window.trigger.reason,
        at_ns=recorded.started_ns + window.trigger.at_ns,
        triggers=window.triggers,
        further=tuple(
            FurtherTrigger(cause=str(each.cause), reason=each.reason, at_ns=recorded.started_ns + each.at_ns)
            for each in window.further
        ),
        pre_ns=limits.pre_ns,
        post_ns=limits.post_ns,
        missing_ns=window.missing_ns,
        part=window.part,
    )
    return _made(target, recorded, why, _within(_whole(journals), window.from_ns, window.to_ns), continues)


@dataclass(slots=True)
class RingRecovery:
    """What became of a ring that a killed recorder left.

    Attributes:
        path: Where it was.
        made: The sessions; more than one where it held stretches that do not follow on each other.
        cut_bytes: Bytes at the end of journals that could not be read.
        kept: Where those are now.
    """

    path: Path
    made: list[Made] = field(default_factory=list)
    cut_bytes: int = 0
    kept: list[Path] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """The exit status of a command that reports this: 0 when nothing was lost, else 6."""
        return EventsLost.exit_code if self.cut_bytes else 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        made = [
            {"id": made.manifest.identity.id, "path": str(made.path), "events": made.manifest.events}
            for made in self.made
        ]
        return {
            "ring": str(self.path), "made": made, "cut_bytes": self.cut_bytes,
            "kept": [str(path) for path in self.kept],
        }  # fmt: skip


def recover_rings(library: Place, tool: str, name: str | None = None) -> Iterator[RingRecovery]:
    """Make sessions of what killed black boxes have left in a library, and remove their rings.

    Args:
        library: Folder of sessions.
        tool: Name and version of this program, for the manifest.
        name: Only those recorded under this name; None is all.

    Raises:
        SessionError: A ring cannot be read, or is being recovered by somebody else.
        StorageError: The disk refuses; what was not made a session yet is still there.
    """
    for ring in left_rings(library):
        try:
            lock = SessionLock(ring)
        except SessionError:
            continue  # somebody began to write it, or to recover it
        with lock:
            journals = ring_journals(ring)
            identity = _identity(journals)
            if identity is not None and name in (None, identity.name):
                found = [(path, check_journal(path)) for path in journals]
                yield _recover(ring, Target(library=library, tool=tool), identity, found)
            elif identity is None and not any(path.stat().st_size for path in journals) and not _has_cut(ring):
                remove_ring(ring)  # killed before anything came


def _recover(ring: Path, target: Target, recorded: Identity, found: list[tuple[Path, JournalInfo]]) -> RingRecovery:
    recovery = RingRecovery(ring)
    for stretch in _stretches(found):
        last_ns = stretch[-1][1].last_elapsed_ns
        why = BlackBoxTrigger(cause=str(Cause.CRASH), at_ns=recorded.started_ns + last_ns)
        batches = _within(_whole([path for path, _ in stretch], is_cut_allowed=True), 0, _ENDLESS_NS)
        made = _made(target, recorded, why, batches)
        assert made is not None
        recovery.made.append(made)
        for path, info in stretch:
            if info.cut_bytes:
                kept = local(made.path, "a black box") / EVENTS_FOLDER / f"{path.name}.cut"
                disk.publish(path, kept)
                recovery.kept.append(kept)
                recovery.cut_bytes += info.cut_bytes
            disk.remove(path)
    unread = [(path, info.cut_bytes) for path, info in found if info.cut_bytes and not info.rows]
    recovery.cut_bytes += sum(cut_bytes for _, cut_bytes in unread)
    # No session says where they belong: they stay for somebody to look at.
    recovery.kept += [disk.move_aside(path, ".cut") for path, _ in unread]
    if not unread:
        remove_ring(ring)
    return recovery


def _has_cut(ring: Path) -> bool:
    return any(name.endswith(".cut") for name in disk.list_names(ring))


def _stretches(found: list[tuple[Path, JournalInfo]]) -> Iterator[list[tuple[Path, JournalInfo]]]:
    """Yield journals with events in groups, within which each goes on where the one before it ends."""
    stretch: list[tuple[Path, JournalInfo]] = []
    for path, info in found:
        if not info.rows:
            continue
        if stretch and stretch[-1][1].next_seq != info.first_seq:
            yield stretch
            stretch = []
        stretch.append((path, info))
    if stretch:
        yield stretch


def _identity(journals: Sequence[Path]) -> Identity | None:
    """Return what was recorded, as any of the journals says; None if none does."""
    for path in journals:
        with closing(JournalReader(path)) as journal:
            try:
                return Identity.from_metadata(journal.metadata, path)
            except SessionError:
                continue  # cut within its header: another may say the same
    return None


def _made(
    target: Target, recorded: Identity, why: BlackBoxTrigger, batches: Iterator[Any],
    continues: str | msgspec.UnsetType = msgspec.UNSET,
) -> Made | None:  # fmt: skip
    first = next(batches, None)
    if first is None:
        return None
    began_ns = first.column("elapsed_ns")[0].as_py()
    identity = msgspec.structs.replace(
        recorded, name=snapshot_name(recorded.name), started_ns=recorded.started_ns + began_ns, black_box=why
    )
    with _ONE_AT_A_TIME:
        return make_session(target, identity, _renumbered(first, batches, began_ns), continues)


def _renumbered(first: Any, others: Iterator[Any], began_ns: int) -> Iterator[Any]:
    next_seq = 0
    batch = first
    while batch is not None:
        yield numbered(moved(batch, -began_ns), next_seq)
        next_seq += len(batch)
        batch = next(others, None)


def _within(batches: Iterator[Any], from_ns: int, to_ns: int) -> Iterator[Any]:
    """Yield the events of a window, its last moment included; empty batches are left out."""
    for batch in batches:
        wanted = between(batch, from_ns, to_ns)
        if len(wanted):
            yield wanted


def _whole(journals: Sequence[Path], *, is_cut_allowed: bool = False) -> Iterator[Any]:
    """Yield the batches of journals, which must be in sequence."""
    next_seq: int | None = None
    for path in journals:
        with closing(JournalReader(path)) as journal:
            for batch in journal:
                first_seq = batch.column("seq")[0].as_py()
                if next_seq not in (None, first_seq):
                    raise SegmentDamaged(f"{path} goes on with event {first_seq}, expected {next_seq}", hint=_DISK)
                next_seq = first_seq + len(batch)
                yield batch
            if journal.trouble is not None and not is_cut_allowed:
                raise SegmentDamaged(f"{path} cannot be read to its end: {journal.trouble}", hint=_DISK)


_DISK: Final = "check the disk: it does not give back what it was given"
