"""Segments in object storage as a data source of Spark: each is read on an executor, through wsrec's own reader.

Spark's Parquet reader needs Hadoop's connector for the store, which pyspark does not bring. This needs wsrec on the
executors (with the extra ``s3``) and credentials in their environment. Spark (4.3) tells a source in Python no columns,
so an option says beforehand which there are to be, and just these are fetched. Once told filters Spark may hand them to
the next query as well, so none are taken: the segments of all sessions that the views were made of are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from wsrecorder.analysis.spark import schema_of
from wsrecorder.store.place import place_of
from wsrecorder.store.schema import RecordBatch, to_plain_table
from wsrecorder.store.segment import Segment

__all__ = ["SegmentSource", "options_of", "source_named"]


def options_of(segments: Sequence[tuple[str, str]], columns: Sequence[str]) -> dict[str, str]:
    """Return the options of a `SegmentSource`.

    Args:
        segments: Id of the session and URL of each.
        columns: Which columns of a segment, at least one.
    """
    return {"segments": msgspec.json.encode(segments).decode(), "columns": ",".join(columns)}


class SegmentSource(DataSource):  # type: ignore[misc]  # pyspark is not read by the checker
    """Some columns of the events of segments, with the id of each event's session."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "wsrec"

    def schema(self) -> str:
        """Return the columns."""
        return f"session STRING, {schema_of(self._columns)}"

    def reader(self, schema: Any) -> DataSourceReader:
        """Return what reads the segments that the options name."""
        return _Reader(msgspec.json.decode(self.options["segments"], type=list[tuple[str, str]]), self._columns)

    @property
    def _columns(self) -> list[str]:
        columns: list[str] = self.options["columns"].split(",")
        return columns


def source_named(name: str) -> type[SegmentSource]:
    """Return the source under a name of its own.

    Spark (4.3) looks for a name among those of all its sessions when one is registered, and only among those of one
    session when it is used: so each registration needs a new one.
    """
    return type("SegmentSource", (SegmentSource,), {"name": classmethod(lambda _: name)})


class _Reader(DataSourceReader):  # type: ignore[misc]
    def __init__(self, segments: list[tuple[str, str]], columns: list[str]) -> None:
        self._segments = segments
        self._columns = columns

    def partitions(self) -> Sequence[InputPartition]:
        """Return a part for each segment."""
        return [InputPartition(each) for each in self._segments]

    def read(self, partition: InputPartition) -> Iterator[RecordBatch]:
        """Yield the events of a segment."""
        session, url = partition.value
        for batch in Segment(place_of(url)).batches(self._columns):
            yield from to_plain_table([batch], self._columns, session=session).to_batches()
