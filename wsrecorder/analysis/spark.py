"""The views of `wsrecorder.analysis.sql` on Spark, from the same definition.

Sealed segments are read by Spark's own reader, on its executors, as far as a query needs them; they must lie where all
of these can read them. Those in object storage are read through `wsrecorder.analysis.spark_source`, which Spark does
not tell what a query needs: there each view is made over a source of its own, with just the columns that its definition
needs. What is in no segment yet, and sessions in DuckDB files, are read once, here, when the views are made. Times are
told in UTC, so the time zone of the Spark session is set to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from wsrecorder.analysis.sealed import first_segments
from wsrecorder.analysis.side_rows import manifest_rows, note_rows
from wsrecorder.analysis.spark_columns import columns_asked, columns_of_view
from wsrecorder.analysis.spark_dialect import to_spark
from wsrecorder.analysis.views import VIEWS, needed, view
from wsrecorder.errors import UsageError
from wsrecorder.store.library import Library, library_path
from wsrecorder.store.place import Place
from wsrecorder.store.schema import COLUMNS, to_plain_table
from wsrecorder.store.segment import Segment
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import ParquetStore, Store

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["make_views", "schema_of", "views"]

_TYPES: Final = {
    "seq": "BIGINT", "kind": "STRING", "conn": "INT", "direction": "STRING", "elapsed_ns": "BIGINT",
    "received_ns": "BIGINT", "received_at": "TIMESTAMP", "type": "STRING", "sent_at": "TIMESTAMP", "text": "STRING",
    "binary": "BINARY", "detail": "STRING",
}  # fmt: skip
"""Spark's types of the columns of a segment; named, so that no file is opened before a query needs it."""


def schema_of(columns: Iterable[str] = COLUMNS) -> str:
    """Return Spark's description of some columns of a segment, names and types."""
    return ", ".join(f"{_quoted(name)} {_TYPES[name]}" for name in columns)


def views(
    spark: SparkSession, library: str | Path | None = None, sessions: Iterable[str] | None = None
) -> dict[str, DataFrame]:
    """Make the views of recordings known to a Spark session, as temporary views.

    ``docs/sql.md`` describes them: ``events``, ``orders``, ``latency`` and so on. They hold what was there at this
    moment; ask again to see what came since. The time zone of the Spark session is set to UTC, as the views tell times.

    Args:
        spark: The session of Spark, version 4 or newer.
        library: Folder of sessions; None is what WSREC_LIBRARY names, else ``./recordings``.
        sessions: Sessions by path, id, prefix, name or ``latest``; None takes all of the library.

    Returns:
        Each view by its name.

    Raises:
        SessionNotFound: One of the sessions is not there.
        SessionError: One of them cannot be read.
    """
    found = Library(library_path(library))
    stores = list(found.stores()) if sessions is None else [found.find(reference) for reference in sessions]
    make_views(spark, stores, VIEWS)
    return {name: spark.table(name) for name in VIEWS}


def make_views(spark: SparkSession, stores: Sequence[Store], words: Iterable[str], query: str | None = None) -> None:
    """Make the views that are named among some words, and those that they are made of.

    Args:
        spark: The session of Spark.
        stores: The sessions; at least one.
        words: Of a query, in lower case; or names of views.
        query: The one query that they are made for, in DuckDB's SQL: ``events`` then has just the columns that it may
            need, where to read others costs anything.

    Raises:
        UsageError: There is no session.
        SessionError: One of them cannot be read.
    """
    if not stores:
        raise UsageError("there is no session to make views of", hint='record one first: "wsrec record URL"')
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    recorded = _Recorded(spark, stores)
    columns = columns_asked(query) if query is not None and recorded.is_remote else COLUMNS
    recorded.select(columns).createOrReplaceTempView("recorded")
    names = dict.fromkeys(["events", *needed(words)])
    if "sessions" in names:
        _manifests(spark, stores).createOrReplaceTempView("manifests")
    if "notes" in names:
        _noted(spark, stores).createOrReplaceTempView("noted")
    _events(spark, "events", "recorded", columns)
    for name in [name for name in names if name != "events"]:
        reads_events = "events" in view(name).parts
        tables = _narrow_events(spark, recorded, name) if recorded.is_remote and reads_events else {}
        spark.sql(to_spark(view(name).query, tables)).createOrReplaceTempView(name)


def _narrow_events(spark: SparkSession, recorded: _Recorded, name: str) -> dict[str, str]:
    """Make what a view is to read in place of ``events``: of these, only the columns that it needs."""
    columns, events, narrow = columns_of_view(name), f"events_of_{name}", f"recorded_of_{name}"
    recorded.select(columns).createOrReplaceTempView(narrow)
    _events(spark, events, narrow, columns)
    return {"events": events}


def _events(spark: SparkSession, name: str, recorded: str, columns: Sequence[str]) -> None:
    """Make ``events``, or a part of it: without texts there are no payloads either."""
    query = view("events").query if "text" in columns else "SELECT * FROM recorded"
    spark.sql(to_spark(query, {"recorded": recorded})).createOrReplaceTempView(name)


class _Recorded:
    """The events of all sessions, with the id of each event's session.

    Attributes:
        is_remote: Whether any of them are in object storage, where Spark cannot tell what need not be read.
    """

    def __init__(self, spark: SparkSession, stores: Sequence[Store]) -> None:
        self._spark = spark
        self._parts: list[DataFrame] = []
        self._remote: list[tuple[str, str]] = []
        self._source = ""
        named_by_id: list[Path] = []
        for store in stores:
            session = store.identity().id
            sealed = _sealed(store)
            on_disk = [path for path in sealed if isinstance(path, Path)]
            self._remote += [(session, str(path)) for path in sealed if not isinstance(path, Path)]
            if all(path.parent.parent.name == session for path in on_disk):  # behind links, as Spark sees them
                named_by_id += on_disk
            else:
                self._parts.append(_segments(spark, on_disk, f"'{session}'"))
            unsealed = _unsealed(store, sealed)
            if unsealed is not None:
                rows = spark.createDataFrame(unsealed, schema_of())
                self._parts.append(rows.selectExpr(f"'{session}' AS session", "*"))
        if named_by_id:
            # One reader for all of them: a plan of a thousand unions takes long to be made.
            told_by_path = "regexp_extract(_metadata.file_path, '([^/]+)/[^/]+/[^/]+$', 1)"
            self._parts.append(_segments(spark, named_by_id, told_by_path))
        self.is_remote = bool(self._remote)
        if self.is_remote:
            from wsrecorder.analysis.spark_source import source_named  # pyspark is an extra

            source = source_named(f"wsrec_{uuid4().hex}")
            spark.dataSource.register(source)
            self._source = source.name()

    def select(self, columns: Sequence[str]) -> DataFrame:
        """Return some columns of the events, and their sessions."""
        parts = [part.select("session", *columns) for part in self._parts]
        if self.is_remote:
            from wsrecorder.analysis.spark_source import options_of

            options = options_of(self._remote, columns)
            parts.append(self._spark.read.format(self._source).options(**options).load())
        parts = parts or [_empty(self._spark)]
        return reduce(lambda all_before, part: all_before.unionByName(part), parts)


def _segments(spark: SparkSession, paths: Sequence[Path], session: str) -> DataFrame:
    names = [path.resolve().as_uri() for path in paths]
    return spark.read.schema(schema_of()).parquet(*names).selectExpr(f"{session} AS session", *map(_quoted, COLUMNS))


def _empty(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([], schema_of()).selectExpr("'' AS session", "*")


def _sealed(store: Store) -> list[Place]:
    """Return the segments before the first journal, if all are there that should be."""
    if not isinstance(store, ParquetStore):
        return []
    return first_segments(store, list(store.files().items()), store.stored_manifest())


def _unsealed(store: Store, sealed: Sequence[Place]) -> Any:
    """Return what is in none of the segments as an Arrow table, None where all is."""
    if isinstance(store, ParquetStore) and len(sealed) == len(store.files()):
        return None
    next_seq = sum(Segment(path).rows for path in sealed)
    batches = list(store.batches(Selection(from_seq=next_seq)))
    return to_plain_table(batches) if batches else None


def _manifests(spark: SparkSession, stores: Sequence[Store]) -> DataFrame:
    return spark.createDataFrame(manifest_rows(stores), "content STRING, path STRING")


def _noted(spark: SparkSession, stores: Sequence[Store]) -> DataFrame:
    schema = "session STRING, elapsed_ns BIGINT, at_us BIGINT, text STRING, made_us BIGINT"
    told = spark.createDataFrame(note_rows(stores), schema)
    return told.selectExpr(
        "session",
        "elapsed_ns",
        "timestamp_micros(at_us) AS received_at",
        "text",
        "timestamp_micros(made_us) AS made_at",
    )


def _quoted(name: str) -> str:
    return f"`{name}`"
