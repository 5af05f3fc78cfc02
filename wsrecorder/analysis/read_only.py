"""Which SQL only reads.

Files that DuckDB may read it may also write (``allowed_paths``, 2.0), and ``COPY`` does that, even in a
``WITH`` clause of a ``SELECT``. So a query is one statement of a kind that reads, without the keyword ``COPY``
and without the functions that run SQL from a text, in which neither would be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import duckdb

from wsrecorder.errors import UsageError

__all__ = ["refuse_writing", "words"]

_READING: Final = (
    duckdb.StatementType.SELECT,  # DESCRIBE, SHOW, SUMMARIZE, FROM, VALUES, WITH too
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.MULTI,  # PIVOT: it first looks which columns there will be
)
_WRITING_WORD: Final = "copy"
_RUNNING_TEXT: Final = ("query", "json_execute_serialized_sql")


def refuse_writing(sql: str) -> None:
    """Refuse what is not one reading statement.

    Raises:
        UsageError: It is none, more than one, or would do more than read.
        duckdb.ParserException: It is no SQL.
    """
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(
            f"found {len(statements)} SQL statements, expected one query", hint="ask one question at a time"
        )
    tokens = list(_tokens(sql))
    is_writing = any(kind is duckdb.token_type.keyword and text.lower() == _WRITING_WORD for kind, text in tokens)
    if is_writing or statements[0].type not in _READING:
        raise UsageError(
            "a query can read, it cannot write or change settings",
            hint='begin with SELECT, FROM, WITH, DESCRIBE or EXPLAIN (a column named copy is written "copy"); '
            "results go to a file with --out",
        )
    for (_, name), (_, following) in pairwise(tokens):
        if name.strip('"').lower() in _RUNNING_TEXT and following.startswith("("):
            raise UsageError(
                f"function {name} runs SQL from a text, which cannot be checked", hint="write the query itself"
            )


def words(sql: str) -> set[str]:
    """Return the names and keywords of a query, in lower case and without their quotes."""
    return {text.strip('"').lower() for _, text in _tokens(sql)}


def _tokens(sql: str) -> Iterator[tuple[duckdb.token_type, str]]:
    """Yield the words, names, values and signs of a query, comments left out."""
    content = sql.encode()
    found = duckdb.tokenize(sql)  # where each begins, in bytes
    for (start, kind), (end, _) in pairwise([*found, (len(content), duckdb.token_type.comment)]):
        if kind is not duckdb.token_type.comment:
            yield kind, content[start:end].decode(errors="replace").strip()
