"""A recording that goes to object storage: journal and segments on a spool, sealed segments brought there at once.

A spool that holds all that it may is like a full disk: an append is refused, nothing is dropped, and the recording
goes on once segments have left for where they belong.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa

from wsrecorder.core.recorder import Limits
from wsrecorder.errors import StorageError
from wsrecorder.store.lock import SessionLock
from wsrecorder.store.manifest import Health, Identity, Manifest
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.sink import ParquetSink
from wsrecorder.store.spool import leave_spool
from wsrecorder.store.spool_bound import SpoolBound
from wsrecorder.store.upload import ManifestThere
from wsrecorder.store.uploader import Uploader, Wait

__all__ = ["SpooledSink"]


class SpooledSink:
    """Writes a session into a folder of the spool, and from there into object storage.

    Args:
        folder: The session's folder in the spool.
        place: Where it belongs.
        identity: What the session is.
        limits: When a journal is sealed.
        there: Its manifest in object storage.
        sync: Whether each batch is synced to the disk.
        max_bytes: What the spool may hold, all sessions in it together; before an append would find more, it fails.
        patience_s: How long the store may be away at the end.
        wait: How the uploader waits.

    Raises:
        SessionError: Another writer is there, or a session is.
        StorageError: The disk refuses.
    """

    def __init__(
        self,
        folder: Path,
        place: ObjectPath,
        identity: Identity,
        limits: Limits,
        *,
        there: ManifestThere,
        sync: bool = True,
        max_bytes: int = 1 << 62,
        patience_s: float = 60.0,
        wait: Wait = threading.Event.wait,
    ) -> None:
        self.path = place
        self.on_disk = folder
        self._bound = SpoolBound(
            folder.parent,
            max_bytes,
            destination="object storage",
            hint="see that the store is back: what waits leaves for there, and the recording goes on",
        )
        self._uploader = Uploader(folder, there, place, patience_s=patience_s, wait=wait)
        try:
            self._sink = ParquetSink(folder, identity, limits, sync=sync, on_sealed=self._uploader.put)
        except BaseException:
            self._uploader.finish()
            raise
        self.tally = self._sink.tally
        self.manifest = self._sink.manifest

    @property
    def size_bytes(self) -> int:
        """Bytes written so far, whether they are still on the disk or not."""
        return self._sink.size_bytes

    @property
    def trouble(self) -> StorageError | None:
        """What keeps the disk from sealing what was appended; None while nothing does."""
        return self._sink.trouble

    def append(self, batch: pa.RecordBatch) -> None:
        """Keep a batch of `SCHEMA`, in order; it is safe when the call returns, the store being away or not.

        Raises:
            StorageError: The spool is full, or the disk refuses; all batches before are safe, nothing of this one is
                kept, and it may be appended again.
        """
        self._bound.check(batch.column("elapsed_ns")[-1].as_py())
        self._sink.append(batch)

    def close(self, health: Health) -> Manifest:
        """Seal what is left, bring it there, and let go of the spool.

        Raises:
            StorageError: The disk refuses; or the store is away, and what is not there yet waits in the spool.
        """
        try:
            manifest = self._sink.close(health)
        except BaseException:
            self._uploader.finish()
            raise
        self._uploader.finish(manifest)
        with SessionLock(self.on_disk):
            leave_spool(self.on_disk)
        return manifest

    def abandon(self) -> None:
        """Let go after an error: what is on the disk stays there, "wsrec recover" brings it where it belongs."""
        self._sink.abandon()
        self._uploader.finish()
