"""A session in a DuckDB file: table ``events`` with the columns of a segment, one transaction a batch.

DuckDB lets one process write a file and nobody else open it meanwhile. To read a session that another
process still records, its file and write-ahead log are copied first: the file changes only at a
checkpoint, so a copy that saw no checkpoint is what a crash at that moment would have left, and
opens as such. The process that records must never do so itself: closing any file takes away its own
locks on it (fcntl), and with them DuckDB's. It gets a second connection instead.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

import duckdb
import pyarrow as pa

from wsrecorder.errors import SegmentDamaged, SessionError, SessionNotFound, StorageError
from wsrecorder.store import disk
from wsrecorder.store.duckdb_log import log_of
from wsrecorder.store.manifest import Identity, Manifest, Tally
from wsrecorder.store.schema import conform
from wsrecorder.store.selection import Selection
from wsrecorder.store.sequence import Sequence

__all__ = ["DuckDbStore", "DuckDbWriter", "connect_to_read", "is_locked"]

_CREATE_EVENTS: Final = """
CREATE TABLE events (
    seq BIGINT NOT NULL, kind VARCHAR NOT NULL, conn INTEGER NOT NULL, direction VARCHAR NOT NULL,
    elapsed_ns BIGINT NOT NULL, received_ns BIGINT NOT NULL, received_at TIMESTAMPTZ NOT NULL,
    type VARCHAR, sent_at TIMESTAMPTZ, text VARCHAR, "binary" BLOB, detail VARCHAR)
"""
_CREATE_SESSION: Final = "CREATE TABLE session (manifest VARCHAR NOT NULL)"

# Nothing is fetched from the network behind the user's back.
_Config: TypeAlias = dict[str, str | bool | int | float | list[str]]
_CONFIG: Final[_Config] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
_WRITER_CONFIG: Final[_Config] = {**_CONFIG, "threads": 1}
# A view in a file from somebody else may read any file of this machine.
_READER_CONFIG: Final[_Config] = {**_CONFIG, "enable_external_access": False}

_BATCH_ROWS: Final = 16_384

# What a disk that refuses becomes; all else is our own mistake and will be no different the next time.
_REFUSALS: Final = (duckdb.OperationalError, duckdb.FatalException, duckdb.InternalException)


class DuckDbWriter:
    """Writes a session into a new DuckDB file.

    Args:
        path: Must not be there yet.
        identity: What the session is.

    Raises:
        StorageError: The disk refuses, or something is there already.
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        self.path = path
        self.manifest = Manifest(identity=identity)
        for taken in (path, log_of(path)):  # a log without its file would be played into the new one
            if taken.exists():
                raise StorageError(
                    f"{taken} is there already; a recording is never written into another",
                    hint="name a new file with --into, or move this one away",
                )
        with _storage_errors(path):
            disk.make_folders(path.parent)
            self._connection = duckdb.connect(path, config=_WRITER_CONFIG)
            self._connection.execute(f"{_CREATE_EVENTS};{_CREATE_SESSION}")
            self._store_manifest()
            self._log_inode = disk.sync_name(log_of(path))

    @classmethod
    def reopen(cls, path: Path) -> DuckDbWriter:
        """Open a session whose recording did not end properly, to seal it; its log is played into the file.

        Raises:
            SessionError: Another process writes there, or it is no session.
            SegmentDamaged: The file or its log cannot be read.
        """
        writer = cls.__new__(cls)
        writer.path = path
        try:
            with disk.private():
                writer._connection = duckdb.connect(path, config=_WRITER_CONFIG)
        except duckdb.Error as exc:
            is_locked_elsewhere = isinstance(exc, duckdb.IOException) and "lock" in str(exc)
            if is_locked_elsewhere or isinstance(exc, duckdb.ConnectionException):
                raise _is_being_written(path) from exc
            raise _damaged(path, exc) from exc
        try:
            writer.manifest = _manifest_in(writer._connection, path)
        except BaseException:
            writer.abandon()
            raise
        return writer

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, write-ahead log included."""
        return sum(file.stat().st_size for file in (self.path, log_of(self.path)) if file.exists())

    def append(self, batch: pa.RecordBatch) -> None:
        """Write a batch of `SCHEMA` in a transaction of its own, which DuckDB syncs.

        Raises:
            StorageError: The disk refuses; the batches before are intact, and `resume` must be called before the next.
            SessionError: It is no batch of a session.
        """
        with _storage_errors(self.path, _REFUSALS):
            self._connection.execute("INSERT INTO events SELECT * FROM batch")
            self._log_inode = disk.sync_name(log_of(self.path), self._log_inode)

    def resume(self) -> int:
        """Open the file anew after an append that failed, and return how many events it holds.

        Not what the process has in memory counts from here on but what the file and its log say; and all of it is
        written once more: after a failed sync the system may take pages for written that are not.

        Raises:
            StorageError: The disk still refuses; to be called again before the next append.
        """
        try:
            with _storage_errors(self.path, _REFUSALS):
                self._connection.close()
                self._connection = duckdb.connect(self.path, config=_WRITER_CONFIG)
                self._store_manifest()  # whoever sealed it meanwhile was early
                self._connection.execute("CHECKPOINT")
                found = self._connection.execute("SELECT count(*) FROM events").fetchone()
        except StorageError:
            self._connection.close()  # a checkpoint that failed leaves a connection that not even reads
            raise
        assert found is not None
        return int(found[0])

    def close(self) -> None:
        """Write the manifest as it stands and let go of the file.

        Raises:
            StorageError: The disk refuses.
        """
        with _storage_errors(self.path):
            self._store_manifest()
            self._connection.close()

    def abandon(self) -> None:
        """Let go of the file after an error, as it is."""
        self._connection.close()

    def _store_manifest(self) -> None:
        self._connection.begin()
        self._connection.execute("DELETE FROM session")
        self._connection.execute("INSERT INTO session VALUES (?)", [self.manifest.to_json().decode()])
        self._connection.commit()


class DuckDbStore:
    """A session in a DuckDB file, sealed or still being recorded.

    Args:
        path: The file.

    Raises:
        SessionNotFound: There is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise SessionNotFound(f"there is no file {path}", hint='"wsrec ls" lists the sessions of a library')

    def stored_manifest(self) -> Manifest:
        """Return the manifest as it stands in the file.

        Raises:
            SessionError: The file is not a session.
            SegmentDamaged: It cannot be read.
        """
        with connect_to_read(self.path) as connection:
            return _manifest_in(connection, self.path)

    def identity(self) -> Identity:
        """Return what the session is."""
        return self.stored_manifest().identity

    def manifest(self) -> Manifest:
        """Return the manifest; counted from the events where the recording did not end properly."""
        with connect_to_read(self.path) as connection:
            manifest = _manifest_in(connection, self.path)
            if manifest.sealed:
                return manifest
            tally = Tally()
            selection = Selection(columns=("kind", "elapsed_ns", "type", "text", "binary"))
            for batch in _select(connection, self.path, selection):
                tally.add(batch)
        manifest.count(tally)
        return manifest

    def batches(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        """Yield the events wanted as record batches, in sequence; empty ones are left out.

        Raises:
            SegmentDamaged: The file cannot be read, or the sequence has a hole; what came before was yielded.
        """
        with connect_to_read(self.path) as connection:
            manifest = _manifest_in(connection, self.path)
            for batch in _select(connection, self.path, selection, manifest.events):
                wanted = selection.apply(batch)
                if len(wanted):
                    yield wanted


def is_locked(path: Path) -> bool:
    """Return whether somebody writes into a session's file right now."""
    try:
        duckdb.connect(path, read_only=True, config=_READER_CONFIG).close()
    except duckdb.ConnectionException:
        return True
    except duckdb.IOException as exc:
        return "lock" in str(exc)
    except duckdb.Error:
        return False
    return False


def _manifest_in(connection: duckdb.DuckDBPyConnection, path: Path) -> Manifest:
    try:
        rows = connection.execute("SELECT manifest FROM session").fetchall()
    except duckdb.Error as exc:
        raise SessionError(
            f"{path} is a DuckDB file without a table session", hint="it was not recorded by wsrec"
        ) from exc
    if not rows:
        raise SessionError(f"table session of {path} is empty", hint="restore the file from a copy")
    return Manifest.from_json(rows[0][0].encode(), path)


def _is_being_written(path: Path) -> SessionError:
    return SessionError(
        f"{path} is being written by another process, or elsewhere in this one",
        hint="wait until it has ended, or end it; readers need not wait",
    )


def _select(
    connection: duckdb.DuckDBPyConnection, path: Path, selection: Selection, events: int = 0
) -> Iterator[pa.RecordBatch]:
    """Yield rows in the order they were inserted, which DuckDB keeps; ranges are pushed into its zone maps.

    Args:
        connection: To the file.
        path: Of the file.
        selection: Which rows.
        events: How many the file holds at least.
    """
    conditions = [f"seq >= {selection.from_seq}"]
    if selection.to_seq is not None:
        conditions.append(f"seq < {selection.to_seq}")
    if selection.start_ns is not None:
        conditions.append(f"elapsed_ns >= {selection.start_ns}")
    if selection.end_ns is not None:
        conditions.append(f"elapsed_ns < {selection.end_ns}")
    columns = ", ".join(f'"{name}"' for name in selection.columns_read())
    query = f"SELECT {columns} FROM events WHERE {' AND '.join(conditions)}"
    sequence = Sequence(path.name, selection)
    try:
        for batch in connection.sql(query).to_arrow_reader(_BATCH_ROWS):
            if len(batch):
                sequence.check(batch)
                yield conform(batch)
    except (duckdb.Error, pa.ArrowException, OSError) as exc:
        raise _damaged(path, exc) from exc
    sequence.check_end(events)


@contextmanager
def connect_to_read(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection to read a session's file; to a copy of it while another process records.

    Raises:
        SegmentDamaged: The file cannot be read.
        StorageError: It cannot be copied.
    """
    with ExitStack() as stack:
        try:
            try:
                connection = duckdb.connect(path, read_only=True, config=_READER_CONFIG)
            except duckdb.ConnectionException:  # this process records it
                connection = duckdb.connect(path, config=_WRITER_CONFIG)
            except duckdb.IOException:  # another process holds the lock, or it is no DuckDB file
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wsrec-"))
                connection = duckdb.connect(_snapshot(path, Path(folder)), read_only=True, config=_READER_CONFIG)
        except duckdb.Error as exc:
            raise _damaged(path, exc) from exc
        yield stack.enter_context(connection)


def _snapshot(path: Path, folder: Path) -> Path:
    """Copy a file and its write-ahead log as a crash at one moment would have left them."""
    copy = folder / path.name
    with disk.storage_errors(path):
        for _ in range(20):
            before = _state(path)
            shutil.copyfile(path, copy)
            log_of(copy).unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # there is none right after a checkpoint
                shutil.copyfile(log_of(path), log_of(copy))
            if _state(path) == before:
                return copy
    raise StorageError(
        f"{path} changed under every try to copy it", hint="try again, or wait until its recording has ended"
    )


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _damaged(path: Path, exc: Exception) -> SegmentDamaged:
    return SegmentDamaged(
        f"{path} cannot be read: {(str(exc).splitlines() or [type(exc).__name__])[0]}",
        hint="restore it from a copy, or check that it is a session",
    )


@contextmanager
def _storage_errors(path: Path, told: tuple[type[Exception], ...] = (duckdb.Error,)) -> Iterator[None]:
    """Translate what DuckDB says into a `StorageError`; what is not of those ``told`` into a `SessionError`.

    What it makes meanwhile, its log too, is the owner's alone.
    """
    try:
        with disk.private():
            yield
    except duckdb.Error as exc:
        remedy = "free some space" if disk.says_full(exc) else "check the disk"
        error = StorageError if isinstance(exc, told) else SessionError
        raise error(
            f"cannot write {path}: {str(exc).splitlines()[0]}", hint=f"{remedy}; what was written before is intact"
        ) from exc
    except OSError as exc:
        raise StorageError(f"cannot write {path}: {exc.strerror}", hint="name another place with --into") from exc
