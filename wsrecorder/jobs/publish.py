"""Publish sessions in a catalogue of Iceberg tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from wsrecorder.errors import UsageError
from wsrecorder.store.iceberg import IcebergTable, SegmentFile
from wsrecorder.store.object_file import ObjectFile
from wsrecorder.store.segment import Segment
from wsrecorder.store.session import ParquetStore, Store

__all__ = ["Published", "publish"]


@dataclass(frozen=True, slots=True)
class Published:
    """What came of a publication.

    Attributes:
        table: Namespace and name.
        sessions: Ids of the sessions of which something is new in the table.
        segments: Segments registered now.
        events: Their events.
        known: Segments that the table knew already.
        snapshot: Id of the table's snapshot that holds all of it; None while the table is empty.
    """

    table: str
    sessions: tuple[str, ...]
    segments: int
    events: int
    known: int
    snapshot: int | None


def publish(stores: Iterable[Store], table: IcebergTable) -> Published:
    """Register the sealed segments of sessions that the table does not know yet.

    What is in a journal is published when it is sealed and this is called again.

    Args:
        stores: Sessions in Parquet.
        table: Where to.

    Raises:
        UsageError: A session is a DuckDB file.
        SessionError: One of them cannot be read.
        StorageError: The catalogue cannot be used.
    """
    files = [file for store in stores for file in _segment_files(store)]
    appended = table.append(files)
    return Published(
        table=table.name,
        sessions=tuple(dict.fromkeys(file.session for file in appended.files)),
        segments=len(appended.files),
        events=sum(file.rows for file in appended.files),
        known=len(files) - len(appended.files),
        snapshot=appended.snapshot,
    )


def _segment_files(store: Store) -> Iterator[SegmentFile]:
    if not isinstance(store, ParquetStore):
        raise UsageError(
            f"{store.path} is a DuckDB file, and tables are made of Parquet segments",
            hint=f"export it first: wsrec export {store.path} OUT.parquet, or leave it out",
        )
    session = store.identity().id
    for path in store.segment_paths():
        rows = Segment(path).rows
        if isinstance(path, Path):
            place = path.resolve()
            yield SegmentFile(session, place.as_uri(), place, place.stat().st_size, rows)
        else:
            file = ObjectFile(path)
            yield SegmentFile(session, str(path), file, file.size_bytes, rows)
