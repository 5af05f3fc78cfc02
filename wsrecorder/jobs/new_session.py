"""A new session made out of others: it gets its name when it is whole, and says where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from wsrecorder.core.event import Kind
from wsrecorder.core.recorder import Limits
from wsrecorder.errors import StorageError, UsageError
from wsrecorder.jobs.staging import staging
from wsrecorder.store import disk, hive
from wsrecorder.store.hive import session_place
from wsrecorder.store.library import DUCKDB_SUFFIX, new_id, safe_name
from wsrecorder.store.manifest import Health, Identity, Manifest
from wsrecorder.store.place import ObjectPath, Place, label
from wsrecorder.store.session import EVENTS_FOLDER
from wsrecorder.store.sink import DuckDbSink, ParquetSink, Sink
from wsrecorder.store.spool import spool_folder
from wsrecorder.store.upload import bring_session

__all__ = ["Made", "Target", "free_id", "make_session", "on_disk", "publish", "sink_for"]

# However long the session is: here only the size of a segment counts.
_LIMITS: Final = Limits(segment_ns=1 << 62)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a new session goes.

    Attributes:
        library: Folder of sessions, for a Parquet session.
        name: A word for people; None is made of the name of what it comes from.
        into: A new DuckDB file instead of a folder in the library, or None.
        tool: Name and version of this program, for the manifest.
    """

    library: Place = Path("recordings")
    name: str | None = None
    into: Path | None = None
    tool: str = "wsrecorder"


@dataclass(frozen=True, slots=True)
class Made:
    """A new session.

    Attributes:
        manifest: What it holds.
        path: Where it is.
    """

    manifest: Manifest
    path: Place


def make_session(
    target: Target, identity: Identity, batches: Iterable[Any], continues: str | msgspec.UnsetType = msgspec.UNSET
) -> Made:
    """Write a session; if that fails, nothing is left of it.

    Args:
        target: Where it goes.
        identity: What it is; its id is made here, of its beginning and its name.
        batches: Its events, numbered from 0 on.
        continues: Id of the session that it goes on from; unset if none.

    Raises:
        UsageError: The target's name is none, or taken.
        StorageError: The disk refuses.
    """
    name = safe_name(target.name or identity.name)
    identity = msgspec.structs.replace(identity, name=name, tool=target.tool, continues=continues)
    identity = msgspec.structs.replace(identity, id=free_id(target, identity.name, identity.started_ns))
    with staging(on_disk(target)) as folder:
        path, sink = sink_for(target, identity, folder)
        try:
            for batch in batches:
                sink.append(batch)
            kinds = sink.tally.kinds
            manifest = sink.close(Health(reconnects=max(0, kinds[Kind.OPEN] - 1), gaps=kinds[Kind.GAP]))
        except BaseException:
            sink.abandon()
            raise
        publish(sink.on_disk, path, manifest)
    return Made(manifest, path)


def on_disk(target: Target) -> Path:
    """Return the folder of this machine's disk in which a session is made."""
    if target.into is not None:
        return target.into.parent
    return spool_folder() if isinstance(target.library, ObjectPath) else target.library


def _place(library: Place, identity: Identity) -> Place:
    return session_place(library, identity) if isinstance(library, ObjectPath) else library / identity.id


def free_id(target: Target, name: str, started_ns: int) -> str:
    """Return an id that no session of the library has."""
    session_id = stem = new_id(name, started_ns)
    number = 1
    there = target.library
    taken = set(map(label, hive.sessions(there, stem))) if isinstance(there, ObjectPath) else None
    while target.into is None and (session_id in taken if taken is not None else (there / session_id).exists()):
        number += 1
        session_id = f"{stem}-{number}"
    return session_id


def sink_for(target: Target, identity: Identity, folder: Path) -> tuple[Place, Sink]:
    """Return where the session will be, and a sink that writes it into a folder of its own for now."""
    into = target.into
    if into is None:
        path = folder / identity.id
        disk.make_directory(path / EVENTS_FOLDER)
        # A crash leaves no session, so there is nothing to sync the journal for.
        return _place(target.library, identity), ParquetSink(path, identity, _LIMITS, sync=False)
    if into.suffix != DUCKDB_SUFFIX:
        raise UsageError(f"{into} is no name of a DuckDB session", hint="name it NAME.duckdb")
    if into.exists():
        raise UsageError(f"{into} is there already", hint="name a new file with --into, or move this one away")
    return into, DuckDbSink(folder / into.name, identity)


def publish(path: Path, target: Place, manifest: Manifest) -> None:
    """Give what is whole its name, or bring it where it belongs, unless somebody was there meanwhile.

    Args:
        path: Where it is now.
        target: Where it will be.
        manifest: What it holds.

    Raises:
        StorageError: Somebody did, or the disk refuses.
    """
    if target.exists():
        raise StorageError(f"{target} came into being meanwhile", hint="try again, or choose another name")
    if isinstance(target, ObjectPath):
        bring_session(path, manifest, target)
    else:
        disk.publish(path, target)
