"""A recording that goes into a stream: journal and segments on a spool, published as they are written."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, Final

import msgspec

from wsrecorder.errors import StorageError, StoreAway, UsageError
from wsrecorder.jobs.log_pair import PairedSession
from wsrecorder.jobs.log_publisher import LogPublisher, check_stream
from wsrecorder.jobs.log_session import LogSession
from wsrecorder.jobs.record_options import RecordOptions, StreamOptions
from wsrecorder.store import disk
from wsrecorder.store.library import new_id, safe_name
from wsrecorder.store.manifest import Health, Identity, Manifest
from wsrecorder.store.removal import remove_session
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.sink import ParquetSink
from wsrecorder.store.spool import spool_folder
from wsrecorder.store.spool_bound import SpoolBound

__all__ = ["LogSink", "begin_published", "stream_spool"]

_PATIENCE_S: Final = 20.0


class LogSink:
    """Writes a session into a folder of the spool, and publishes it from there.

    Args:
        folder: The session's folder in the spool, with its folder of events.
        identity: What the session is.
        options: What to record and how.
        stream: Where it goes.

    Raises:
        SessionError: Another writer is there, or a session is.
        StorageError: The disk refuses.
    """

    def __init__(self, folder: Path, identity: Identity, options: RecordOptions, stream: StreamOptions) -> None:
        self.path = Path(stream.address.stream) / identity.id
        self.on_disk = folder
        self._stream = stream
        self._sink = ParquetSink(folder, identity, options.limits, sync=options.sync)
        self.tally = self._sink.tally
        self.manifest = self._sink.manifest
        store = ParquetStore(folder)
        if stream.session_id is None:
            self._session = LogSession(store, self.manifest)
        else:
            self._session = PairedSession(store, self.manifest, folder.name)
        self._publisher = LogPublisher(stream.address, stream.replicas, self._session, keeps_spool=stream.keeps_spool)
        self._bound = SpoolBound(
            folder.parent,
            options.spool_max_bytes,
            destination="the stream",
            hint="see that the stream is back: what waits is published, and the recording goes on",
            refuses=not stream.keeps_spool,
        )

    @property
    def size_bytes(self) -> int:
        """Bytes written so far, whether they are still on the disk or not."""
        return self._sink.size_bytes

    @property
    def trouble(self) -> StorageError | None:
        """What keeps the disk from sealing what was appended; None while nothing does."""
        return self._sink.trouble

    def append(self, batch: Any) -> None:
        """Keep a batch of `SCHEMA`, in order; it is safe when the call returns, the stream being away or not.

        Raises:
            StorageError: The spool is full, or the disk refuses; all batches before are safe, nothing of this one is
                kept, and it may be appended again.
        """
        self._bound.check(batch.column("elapsed_ns")[-1].as_py())
        first_seq = self.tally.events
        self._sink.append(batch)
        self._session.offer(first_seq, batch)

    def close(self, health: Health) -> Manifest:
        """Seal what is left, publish it, and let go of the spool.

        Raises:
            StorageError: The disk refuses; or the stream is away, and what is not there yet waits in the spool.
        """
        try:
            manifest = self._sink.close(health)
        except BaseException:
            self._publisher.finish(0.1)
            raise
        self._session.end(manifest)
        error = self._publisher.finish(_PATIENCE_S)
        if error is not None:
            raise StoreAway(
                f"{self._session.waiting:,} of {manifest.events:,} events are not in the stream yet: {error.message}",
                hint=f"they wait in {self.on_disk}; the next recording of that name into the stream sends them first",
            )
        if not self._stream.keeps_spool:
            remove_session(self.on_disk)
        return manifest

    def abandon(self) -> None:
        """Let go after an error: what is on the disk stays there, the next recording publishes it."""
        self._sink.abandon()
        self._publisher.finish(0.1)


def stream_spool(options: RecordOptions, stream: StreamOptions) -> Path:
    """Return the folder in which sessions wait that are on their way to a stream."""
    return spool_folder(options.spool) / f"nats-{stream.address.stream}"


def begin_published(options: RecordOptions, stream: StreamOptions, identity: Identity) -> LogSink:
    """Return what a recording is written into.

    Args:
        options: What to record and how.
        stream: Where it goes.
        identity: What the session is; its id is made here, of its beginning and its name.

    Raises:
        FeedError: The stream is none to publish into.
        StorageError: The disk refuses.
    """
    check_stream(stream.address, stream.replicas)
    spool, stem = stream_spool(options, stream), new_id(identity.name, identity.started_ns)
    if stream.session_id is not None:
        identity = msgspec.structs.replace(identity, id=safe_name(stream.session_id))
        folder = spool / f"{identity.id}.{uuid.uuid4().hex[:12]}"
        disk.make_directory(folder)
        disk.make_directory(folder / EVENTS_FOLDER)
        return LogSink(folder, identity, options, stream)
    for number in range(1, 10_000):
        identity = msgspec.structs.replace(identity, id=stem if number == 1 else f"{stem}-{number}")
        try:
            disk.make_directory(spool / identity.id, exist_ok=False)
        except FileExistsError:
            continue
        disk.make_directory(spool / identity.id / EVENTS_FOLDER)
        return LogSink(spool / identity.id, identity, options, stream)
    raise UsageError(f"there are 10,000 sessions {stem}", hint="choose another --name")
