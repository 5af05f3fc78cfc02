"""Segments in object storage as a data source of Spark: each is read on an executor, through wsrec's own reader.

Spark's Parquet reader needs Hadoop's connector for the store, which pyspark does not bring. This needs wsrec on the
executors (with the extra ``s3``) and credentials in their environment. A query reads the segments of all sessions that
the views were made of, whole: Spark (4.3) tells a source in Python no columns, and once told filters it may hand them
to the next query as well, so none are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from wsrecorder.analysis.spark import SCHEMA
from wsrecorder.store.place import place_of
from wsrecorder.store.schema import COLUMNS, RecordBatch, to_plain_table
from wsrecorder.store.segment import Segment

__all__ = ["SegmentSource", "option_of", "source_named"]


def option_of(segments: Sequence[tuple[str, str]]) -> str:
    """Return the option ``segments`` of a `SegmentSource`.

    Args:
        segments: Id of the session and URL of each.
    """
    return msgspec.json.encode(segments).decode()


class SegmentSource(DataSource):  # type: ignore[misc]  # pyspark is not read by the checker
    """The events of segments, with the id of each event's session."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "wsrec"

    def schema(self) -> str:
        """Return the columns."""
        return f"session STRING, {SCHEMA}"

    def reader(self, schema: Any) -> DataSourceReader:
        """Return what reads the segments that the option names."""
        return _Reader(msgspec.json.decode(self.options["segments"], type=list[tuple[str, str]]))


def source_named(name: str) -> type[SegmentSource]:
    """Return the source under a name of its own.

    Spark (4.3) looks for a name among those of all its sessions when one is registered, and only among those of one
    session when it is used: so each registration needs a new one.
    """
    return type("SegmentSource", (SegmentSource,), {"name": classmethod(lambda _: name)})


class _Reader(DataSourceReader):  # type: ignore[misc]
    def __init__(self, segments: list[tuple[str, str]]) -> None:
        self._segments = segments

    def partitions(self) -> Sequence[InputPartition]:
        """Return a part for each segment."""
        return [InputPartition(each) for each in self._segments]

    def read(self, partition: InputPartition) -> Iterator[RecordBatch]:
        """Yield the events of a segment."""
        session, url = partition.value
        for batch in Segment(place_of(url)).batches(list(COLUMNS)):
            yield from to_plain_table([batch], session=session).to_batches()
