"""A library as one Iceberg table: its segments registered where they lie, so that other engines see them as one table.

Nothing is copied. A segment holds no session id; the table is partitioned by it, and the value is that of the
partition, as the specification says of columns that a file lacks (https://iceberg.apache.org/spec/#column-projection).
Columns are found by name, since segments carry no field ids of Iceberg's. Each `append` is one snapshot.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from wsrecorder.errors import StorageError, UsageError

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

__all__ = ["Appended", "IcebergTable", "SegmentFile"]

_TRIES: Final = 60
_RETRIES: Final = "commit.retry.num-retries"
_INSTALL_HINT: Final = "pip install 'wsrecorder[iceberg]'"


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A sealed segment, to be registered.

    Attributes:
        session: Id of its session.
        uri: Where it is, as the readers of the table will open it.
        source: What `pyarrow` reads its footer from: a path, or a file.
        size_bytes: Its size.
        rows: Its events.
    """

    session: str
    uri: str
    source: Any
    size_bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Appended:
    """What came of an append.

    Attributes:
        files: What was registered now; the rest was already.
        snapshot: Id of the table's snapshot that holds all of it; None while the table is empty.
    """

    files: tuple[SegmentFile, ...]
    snapshot: int | None


class IcebergTable:
    """A table of a catalogue; it is made if it is not there.

    Args:
        catalog: URL of a database (``sqlite:///…``, ``postgresql://…``), or the name of a catalogue that pyiceberg's
            own configuration describes.
        name: Namespace and name, such as ``wsrec.events``.
        properties: More properties of the catalogue, such as ``warehouse`` or ``s3.endpoint``.

    Raises:
        UsageError: pyiceberg is not installed; or there is no such catalogue, or no such name may be.
        StorageError: The catalogue cannot be used.
    """

    def __init__(self, catalog: str, name: str, properties: Mapping[str, str]) -> None:
        try:
            from pyiceberg.catalog import load_catalog
        except ModuleNotFoundError as exc:
            raise UsageError("publishing needs what the extra 'iceberg' brings", hint=_INSTALL_HINT) from exc
        if name.count(".") != 1 or not all(name.split(".")):
            raise UsageError(f"found the table name {name!r}, expected NAMESPACE.NAME", hint="such as wsrec.events")
        # It warns of each column that holds nothing, which has no least and no greatest value.
        logging.getLogger("pyiceberg.io.pyarrow").setLevel(logging.ERROR)
        self.name = name
        is_database = "://" in catalog
        described = {"type": "sql", "uri": catalog} if is_database else {}
        with _explained(f"the catalogue {catalog}"):
            self._catalog = load_catalog("wsrec" if is_database else catalog, **described, **properties)

    def append(self, files: Sequence[SegmentFile]) -> Appended:
        """Register segments that the table does not know yet, as one snapshot.

        Others may publish at the same time: whoever comes second looks again at what is there, and adds the rest.

        Raises:
            StorageError: The catalogue or the place of its metadata cannot be used.
        """
        from tenacity import RetryError, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

        again = Retrying(
            retry=retry_if_exception(_is_busy),
            stop=stop_after_attempt(_TRIES),
            wait=wait_random_exponential(multiplier=0.05, max=2),
        )
        try:
            with _explained(f"the table {self.name}"):
                return again(self._append_once, files)
        except RetryError as exc:
            raise StorageError(
                f"others changed the table {self.name} {_TRIES} times while it was written to; nothing was registered",
                hint="publish again when fewer do so at the same time",
            ) from exc

    def _append_once(self, files: Sequence[SegmentFile]) -> Appended:
        table = self._table()
        # Here alone, not in the catalogue: pyiceberg would add the same files again after those of another.
        table.metadata.properties[_RETRIES] = "0"
        known = set(table.inspect.data_files().column("file_path").to_pylist())
        new = tuple(file for file in files if file.uri not in known)
        if new:
            with table.transaction() as change:
                sessions = ",".join(sorted({file.session for file in new}))
                with change.update_snapshot({"wsrec.sessions": sessions}).fast_append() as snapshot:
                    for file in new:
                        snapshot.append_data_file(_data_file(file, table))
        current = table.current_snapshot()
        return Appended(new, None if current is None else current.snapshot_id)

    def _table(self) -> Table:
        from pyiceberg.exceptions import NoSuchTableError
        from pyiceberg.partitioning import PartitionField, PartitionSpec
        from pyiceberg.table import TableProperties
        from pyiceberg.transforms import IdentityTransform

        try:
            return self._catalog.load_table(self.name)
        except NoSuchTableError:
            pass
        schema = _schema()
        self._catalog.create_namespace_if_not_exists(self.name.split(".")[0])
        return self._catalog.create_table_if_not_exists(
            self.name,
            schema=schema,
            partition_spec=PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "session")),
            properties={TableProperties.DEFAULT_NAME_MAPPING: schema.name_mapping.model_dump_json()},
        )


def _schema() -> Any:
    """Return the columns of `wsrecorder.store.schema` and the session's id, in Iceberg's types."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import BinaryType, IntegerType, LongType, NestedField, StringType, TimestamptzType

    columns = {
        "session": StringType(), "seq": LongType(), "kind": StringType(), "conn": IntegerType(),
        "direction": StringType(), "elapsed_ns": LongType(), "received_ns": LongType(),
        "received_at": TimestamptzType(), "type": StringType(), "sent_at": TimestamptzType(), "text": StringType(),
        "binary": BinaryType(), "detail": StringType(),
    }  # fmt: skip
    return Schema(*(NestedField(number, name, kind) for number, (name, kind) in enumerate(columns.items(), start=1)))


def _data_file(file: SegmentFile, table: Table) -> DataFile:
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=pq.read_metadata(file.source),
        stats_columns=compute_statistics_plan(table.schema(), table.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(table.schema()),
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=file.uri,
        file_format=FileFormat.PARQUET,
        partition=Record(file.session),
        file_size_in_bytes=file.size_bytes,
        sort_order_id=None,
        spec_id=table.metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )


def _is_busy(exc: BaseException) -> bool:
    """Return whether a database refused because another was quicker, or is writing to it."""
    from pyiceberg.exceptions import CommitFailedException, NamespaceAlreadyExistsError, TableAlreadyExistsError
    from sqlalchemy.exc import IntegrityError, OperationalError

    if isinstance(exc, OperationalError):
        return "locked" in str(exc)
    clashes = (CommitFailedException, IntegrityError, NamespaceAlreadyExistsError, TableAlreadyExistsError)
    return isinstance(exc, clashes)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Translate what pyiceberg and the database say into our errors."""
    from pyiceberg.exceptions import RESTError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (OSError, ValueError, RESTError, SQLAlchemyError, ModuleNotFoundError) as exc:
        reason = next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)
        raise StorageError(
            f"cannot use {what}: {reason}",
            hint="check --catalog, --warehouse and that both can be reached and written",
        ) from exc
