"""Which columns of events a query needs, so that a source which Spark tells nothing can leave out the others.

It errs on the side of reading: a column is left out only where its name occurs nowhere and nothing stands for all of
them. One left out by mistake would be unknown to Spark, which is an error and no wrong answer.
"""

from __future__ import annotations

from typing import Final

import sqlglot
from sqlglot import exp

from wsrecorder.analysis.read_only import words
from wsrecorder.analysis.views import view
from wsrecorder.store.schema import COLUMNS

__all__ = ["columns_asked", "columns_of_view"]

_EVENTS: Final = frozenset({"events", "recorded"})
_LEAST: Final = ("seq",)
"""What is read to count events: of all columns it takes the fewest bytes."""


def columns_of_view(name: str) -> tuple[str, ...]:
    """Return the columns of events that a view itself reads, in order; those that its parts read are theirs.

    A star in a view hands on what the view then names, or documents as a column of its own.
    """
    if name == "events":
        return COLUMNS
    found = view(name)
    return _columns({*words(found.query), *(column.name for column in found.columns)})


def columns_asked(query: str) -> tuple[str, ...]:
    """Return the columns of ``events`` that a query may need, in order.

    Args:
        query: One ``SELECT``, in DuckDB's SQL.
    """
    found = words(query)
    return COLUMNS if found & _EVENTS and _stands_for_all(query) else _columns(found)


def _columns(found: set[str]) -> tuple[str, ...]:
    if "payload" in found:
        found = {*found, "text"}
    return tuple(name for name in COLUMNS if name in found) or _LEAST


def _stands_for_all(query: str) -> bool:
    """Return whether something in a query may stand for columns that it does not name."""
    tree = sqlglot.parse_one(query, read="duckdb")
    tables = {found.alias_or_name.lower() for found in tree.find_all(exp.Table, exp.Subquery, exp.CTE)}
    return any(
        (isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count))
        or isinstance(node, (exp.Columns, exp.Pivot))
        or (isinstance(node, exp.TableAlias) and node.columns)  # names by place
        or (isinstance(node, exp.Column) and node.name.lower() in tables)  # a row as a value
        or (isinstance(node, exp.Join) and node.method)  # natural, by place
        for node in tree.walk()
    )
