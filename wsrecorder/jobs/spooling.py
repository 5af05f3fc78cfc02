"""What goes to object storage by way of the spool: recordings, sessions that are made, and what a crash has left."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from wsrecorder.errors import SessionError, StorageError, StoreAway, UsageError, WsrecError
from wsrecorder.jobs.record_options import RecordOptions
from wsrecorder.jobs.recover import Recovery, recover
from wsrecorder.store import disk
from wsrecorder.store.hive import session_place
from wsrecorder.store.library import Library, new_id, open_store
from wsrecorder.store.manifest import Identity, Manifest
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.spool import leftovers, new_spooled, spool_folder, spooled_bytes
from wsrecorder.store.spooled import SpooledSink
from wsrecorder.store.upload import ManifestThere

__all__ = ["begin_bringing_leftovers", "begin_spooled", "bring_leftovers", "predecessor_there", "refuse_full_spool"]

_LOG: Final = logging.getLogger("wsrecorder.record")


def refuse_full_spool(options: RecordOptions) -> Path:
    """Return the spool, unless as much waits there already as may.

    Raises:
        StorageError: As much does.
    """
    spool = spool_folder(options.spool)
    if (held_bytes := spooled_bytes(spool)) >= options.spool_max_bytes:
        raise StorageError(
            f"the spool {spool} holds {held_bytes / 1e9:.2f} GB, and --spool-max allows"
            f" {options.spool_max_bytes / 1e9:.2f}",
            hint='once the store is back, "wsrec recover --all --library URL" brings there what waits',
        )
    return spool


def predecessor_there(library: ObjectPath, name: str, feed: str) -> str | None:
    """Return the id of the recording that a new one goes on from; None where there is none, or the store is away."""
    try:
        return Library(library).predecessor(name, feed)
    except StoreAway:
        return None


def begin_spooled(options: RecordOptions, library: ObjectPath, identity: Identity) -> SpooledSink:
    """Return what a recording is written into, its manifest being where the session belongs.

    A store that is away does not keep anybody from recording; one that refuses does, before anything is recorded.

    Args:
        options: What to record and how.
        library: Where the library is.
        identity: What the session is; its id is made here, of its beginning and its name.

    Raises:
        StorageError: The store refuses, or the disk does.
    """
    stem = new_id(identity.name, identity.started_ns)
    spool = spool_folder(options.spool)
    for number in range(1, 10_000):
        identity = msgspec.structs.replace(identity, id=stem if number == 1 else f"{stem}-{number}")
        place = session_place(library, identity)
        there = ManifestThere(place)
        try:
            folder = new_spooled(spool, identity.id, place)
        except FileExistsError:
            continue  # two recordings of one name in one second
        try:
            there.claim(Manifest(identity=identity))
        except StoreAway as exc:
            _LOG.warning("%s; recording begins all the same, into %s", exc.message, folder)
        except FileExistsError:
            shutil.rmtree(folder)
            continue  # another machine was faster
        except BaseException:
            shutil.rmtree(folder)
            raise
        return SpooledSink(
            folder, place, identity, options.limits, there=there, sync=options.sync, max_bytes=options.spool_max_bytes
        )
    raise UsageError(f"there are 10,000 sessions {stem}", hint="choose another --name")


def bring_leftovers(spool: Path, on_brought: Callable[[Recovery], None] = lambda recovery: None) -> list[SessionError]:
    """Seal and bring to where they belong the sessions that wait in a spool without a recorder.

    Args:
        spool: The spool.
        on_brought: Told of each that is there now.

    Returns:
        What kept the others from getting there; they still wait.

    Raises:
        StorageError: The spool may not be read.
    """
    errors: list[SessionError] = []
    for folder in leftovers(spool):
        try:
            on_brought(recover(open_store(folder)))
        except SessionError as exc:
            errors.append(exc)
    return errors


def begin_bringing_leftovers(spool: Path) -> None:
    """Do that beside a recording; what is not there when it ends waits for the next one."""

    def say(done: Recovery) -> None:
        _LOG.info("brought an earlier recording to %s", done.path)

    def bring() -> None:
        try:
            for exc in bring_leftovers(spool, say):
                _LOG.warning("%s", exc.message)
        except WsrecError as exc:
            _LOG.warning("%s", exc.message)

    if disk.list_names(spool):
        threading.Thread(target=bring, name="wsrec-leftovers", daemon=True).start()
