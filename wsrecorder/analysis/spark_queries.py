"""SQL over recordings, answered by Spark: the same views and queries as `wsrecorder.analysis.sql`."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

import duckdb

from wsrecorder.analysis.answer import Answer
from wsrecorder.analysis.read_only import words
from wsrecorder.analysis.spark import make_views
from wsrecorder.analysis.spark_dialect import to_spark
from wsrecorder.errors import UsageError
from wsrecorder.store.session import Store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SparkQueries", "connect"]

_RAISED: Final = re.compile(r"[\w.]+(Error|Exception|Damaged|TooNew): ")


class SparkQueries:
    """Answers SQL over sessions on Spark; a context manager that ends its Spark session.

    Args:
        stores: The sessions; the same one twice counts once.
        master: Where Spark runs, such as ``local[*]`` or ``spark://host:7077``; None asks Spark's own configuration,
            which takes all cores of this machine where nothing is set.

    Raises:
        UsageError: Spark is not installed, or does not start.
    """

    def __init__(self, stores: Iterable[Store], master: str | None) -> None:
        self._stores = list({store.path.resolve(): store for store in stores}.values())
        self._spark = _begin(master)

    def __enter__(self) -> SparkQueries:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the Spark session."""
        self._spark.stop()

    def query(self, sql: str) -> Answer:
        """Answer one SQL query, in DuckDB's dialect; the rows are then all in memory here.

        Raises:
            UsageError: The query is wrong, as Spark says, or cannot be said in Spark's SQL.
        """
        translated = to_spark(sql)
        with self.explained():
            make_views(self._spark, self._stores, words(sql), sql)
            table = self._spark.sql(translated).toArrow()
        return Answer(self, duckdb.from_arrow(table))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Translate what Spark says into our errors."""
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        try:
            yield
        except (PySparkException, Py4JError, duckdb.Error) as exc:
            raised = [
                line for line in str(exc).splitlines() if re.match(r"[\w.]+(Error|Exception|Damaged|TooNew): ", line)
            ]
            # What was raised in Python stands at the end of its traceback, what Spark found wrong at the beginning.
            reason = (raised or str(exc).strip().splitlines())[-1 if raised else 0]
            raise UsageError(
                f"Spark says: {reason}",
                hint='"wsrec sql --schema" lists the views and their columns, and so does docs/sql.md',
            ) from exc


def connect(stores: Iterable[Store], master: str | None = None) -> SparkQueries:
    """Return something that answers SQL over sessions on Spark; arguments and errors are those of `SparkQueries`."""
    return SparkQueries(stores, master)


def _begin(master: str | None) -> SparkSession:
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as exc:
        raise UsageError(
            "--engine spark needs what the extra 'spark' brings", hint="pip install 'wsrecorder[spark]'"
        ) from exc
    # What is wrong with a query is told once, by us; Spark's own account of it takes pages.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    settings = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"}
    is_local = master is None or master.startswith("local")
    if is_local:
        # Else it is whatever "python3" is on the path, which need not know wsrec.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        # By default 200 for each step, which on one machine is mostly waiting.
        settings["spark.sql.shuffle.partitions"] = str(2 * (os.cpu_count() or 1))
    if is_local and "SPARK_LOCAL_IP" not in os.environ:
        # What runs on this machine alone needs no other address; else Spark looks one up, and says so.
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    builder = SparkSession.builder.appName("wsrec")
    for name, setting in settings.items():
        builder = builder.config(name, setting)
    with _log_apart() as log:
        try:
            return (builder if master is None else builder.master(master)).getOrCreate()
        except (PySparkException, OSError) as exc:
            log.seek(0)
            said = [str(exc), *log.read().decode(errors="replace").splitlines()]
            reason = next((line.strip() for line in said if line.strip()), type(exc).__name__)
            raise UsageError(
                f"Spark does not start: {reason}", hint="it needs Java 17 or newer, on the PATH or in JAVA_HOME"
            ) from exc


@contextmanager
def _log_apart() -> Iterator[IO[bytes]]:
    """Give what begins meanwhile a file for its stderr: Spark greets with lines of log before it can be told not to."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield log
        finally:
            os.dup2(kept, 2)
            os.close(kept)
