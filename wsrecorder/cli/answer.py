"""What an SQL query found, in the form that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from wsrecorder.cli.output import say, show_count
from wsrecorder.cli.table import markdown_lines, table_lines
from wsrecorder.errors import UsageError

if TYPE_CHECKING:
    from wsrecorder.analysis.answer import Answer

__all__ = ["AnswerFormat", "format_by_name", "write_answer"]


class AnswerFormat(StrEnum):
    """Forms of an answer."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    MARKDOWN = "markdown"


_SUFFIXES: Final = {
    ".json": AnswerFormat.JSON,
    ".csv": AnswerFormat.CSV,
    ".parquet": AnswerFormat.PARQUET,
    ".md": AnswerFormat.MARKDOWN,
    ".txt": AnswerFormat.TABLE,
}
_MOST_ROWS: Final = 1_000
"""Rows of a table: its widths are known only when all of it was read. The other forms have no limit."""

_INTEGERS: Final = ("tinyint", "smallint", "integer", "bigint", "hugeint")
_NUMBERS: Final = frozenset([*_INTEGERS, *(f"u{name}" for name in _INTEGERS), "float", "double", "decimal"])
# What a form cannot hold is written as text.
_NOT_IN_PARQUET: Final = frozenset(("interval", "union", "time with time zone", "variant", "geometry"))
_NOT_IN_JSON: Final = frozenset(("interval", "bit"))
_NOT_IN_CSV: Final = _NOT_IN_PARQUET | {"list", "array", "struct", "map", "bit"}


def format_by_name(name: str) -> AnswerFormat:
    """Return the form that a file's name tells.

    Raises:
        UsageError: It tells none.
    """
    for suffix, form in _SUFFIXES.items():
        if name.lower().endswith(suffix):
            return form
    raise UsageError(
        f"cannot tell a format by the name {name}",
        hint=f"end it with {', '.join(_SUFFIXES)}, or say it with --format",
    )


def write_answer(answer: Answer, form: AnswerFormat, out: BinaryIO, *, width: int | None) -> None:
    """Write an answer to a stream.

    Args:
        answer: What was found.
        form: The form wanted.
        out: The stream; it stays open.
        width: Columns that a line of a table may have; None is no limit.
    """
    match form:
        case AnswerFormat.JSON:
            _write_json(answer, out)
        case AnswerFormat.CSV:
            from wsrecorder.formats.csv import write_csv

            reader = answer.reader(spelled=_NOT_IN_CSV)
            write_csv(answer.taken(reader), out, reader.schema)
        case AnswerFormat.PARQUET:
            from wsrecorder.formats.parquet import write_parquet

            reader = answer.reader(spelled=_NOT_IN_PARQUET)
            write_parquet(answer.taken(reader), out, reader.schema)
        case _:
            _write_table(answer, form, out, width)


def _write_json(answer: Answer, out: BinaryIO) -> None:
    """Write a JSON array of objects, one a line."""
    import msgspec

    names = _distinct(answer.columns)
    # Sums of integers are decimals to Arrow; NaN becomes null, so that any parser reads it.
    encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
    before = b"["
    for batch in answer.batches(spelled=_NOT_IN_JSON):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            out.write(before + encode(dict(zip(names, row, strict=True))))
            before = b",\n "
    out.write(b"[]\n" if before == b"[" else b"]\n")


def _distinct(names: list[str]) -> list[str]:
    """Return names with those that were there before numbered: an object has each key once."""
    distinct: list[str] = []
    for name in names:
        number, free = 1, name
        while free in distinct:
            number += 1
            free = f"{name}_{number}"
        distinct.append(free)
    return distinct


def _write_table(answer: Answer, form: AnswerFormat, out: BinaryIO, width: int | None) -> None:
    rows: list[tuple[str, ...]] = []
    is_cut = False
    for row in _spelled_rows(answer):
        if len(rows) == _MOST_ROWS:
            is_cut = True
            break
        rows.append(row)
    if "explain_value" in answer.columns:
        lines = [row[-1] for row in rows]  # a drawing of several lines
    else:
        right = [index for index, kind in enumerate(answer.kinds) if kind in _NUMBERS]
        lines = (
            markdown_lines(answer.columns, rows, right=right)
            if form is AnswerFormat.MARKDOWN
            else table_lines(answer.columns, rows, right=right, width=width)
        )
    out.write("\n".join(chain(lines, [""])).encode(errors="surrogatepass"))
    if is_cut:
        say(f"only the first {show_count(_MOST_ROWS)} rows are shown; --format csv, json or parquet has them all")


def _spelled_rows(answer: Answer) -> Iterator[tuple[str, ...]]:
    """Yield the rows as DuckDB spells them."""
    for batch in answer.batches(spelled=frozenset(answer.kinds) - {"varchar"}):
        columns: list[list[Any]] = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield tuple("NULL" if cell is None else cell for cell in row)
