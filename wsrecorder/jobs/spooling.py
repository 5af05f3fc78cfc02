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

__all__ = ["Leftovers", "begin_spooled", "bring_leftovers", "predecessor_there", "refuse_full_spool"]

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


def bring_leftovers(
    spool: Path,
    on_brought: Callable[[Recovery], None] = lambda recovery: None,
    goes_on: Callable[[], bool] = lambda: True,
) -> list[SessionError]:
    """Seal and bring to where they belong the sessions that wait in a spool without a recorder.

    Args:
        spool: The spool.
        on_brought: Told of each that is there now.
        goes_on: Asked before each segment; if it does not, the rest waits.

    Returns:
        What kept the others from getting there; they still wait.

    Raises:
        StorageError: The spool may not be read.
    """
    errors: list[SessionError] = []
    for folder in leftovers(spool):
        if not goes_on():
            break
        try:
            on_brought(recover(open_store(folder), goes_on))
        except SessionError as exc:
            errors.append(exc)
    return errors


class Leftovers:
    """Brings what waits in a spool to where it belongs, beside a recording, on a thread of its own.

    Args:
        spool: The spool.
    """

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        if disk.list_names(spool):
            self._thread = threading.Thread(target=self._bring, name="wsrec-leftovers", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Leave what is not there yet to the next recording; returns when the segment under way is there, or not.

        A thread that is left behind in the store's library can end the process while the interpreter ends.
        """
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def _bring(self) -> None:
        try:
            for exc in bring_leftovers(self._spool, self._say, self._goes_on):
                if self._goes_on():
                    _LOG.warning("%s", exc.message)
        except WsrecError as exc:
            _LOG.warning("%s", exc.message)

    def _say(self, done: Recovery) -> None:
        _LOG.info("brought an earlier recording to %s", done.path)

    def _goes_on(self) -> bool:
        return not self._is_over.is_set()
