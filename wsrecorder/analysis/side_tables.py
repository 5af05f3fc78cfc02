"""Tables beside the events that some views of `wsrecorder.analysis.sql` read: manifests, and notes made afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import duckdb

from wsrecorder.analysis.side_rows import manifest_rows, note_rows
from wsrecorder.store.session import Store

__all__ = ["SIDE_TABLES"]


def _make_manifests(connection: duckdb.DuckDBPyConnection, stores: Sequence[Store]) -> None:
    """Put the manifests where the view of the sessions finds them; that of one that still grows is counted."""
    connection.execute("CREATE TEMP TABLE manifests (content JSON, path VARCHAR)")
    _insert(connection, "manifests", "unnest(?), unnest(?)", manifest_rows(stores))


def _make_noted(connection: duckdb.DuckDBPyConnection, stores: Sequence[Store]) -> None:
    """Put the notes that were made afterwards where their view finds them."""
    connection.execute(
        "CREATE TEMP TABLE noted"
        " (session VARCHAR, elapsed_ns BIGINT, received_at TIMESTAMPTZ, text VARCHAR, made_at TIMESTAMPTZ)"
    )
    moment = "make_timestamptz(unnest(?)::BIGINT)"
    _insert(connection, "noted", f"unnest(?), unnest(?), {moment}, unnest(?), {moment}", note_rows(stores))


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, columns: str, rows: Sequence[tuple[object, ...]]
) -> None:
    """Fill a table at once, a list a column: a statement a row takes half a millisecond."""
    if rows:
        connection.execute(
            f"INSERT INTO {table} SELECT {columns}", [list(column) for column in zip(*rows, strict=True)]
        )


SIDE_TABLES: Final[Mapping[str, Callable[[duckdb.DuckDBPyConnection, Sequence[Store]], None]]] = MappingProxyType(
    {"sessions": _make_manifests, "notes": _make_noted}
)
"""By the name of a view, what makes the table that it reads beside the events."""
