"""Tables as text: for a terminal, for a pipe, for Markdown."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Collection, Sequence
from typing import Final

from wsrecorder.cli.printable import printable

__all__ = ["cut", "markdown_lines", "output_width", "table_lines"]

_BETWEEN: Final = "  "
_NARROWEST: Final = 4


def output_width() -> int | None:
    """Return how many columns standard output has: those of the terminal, or ``COLUMNS``; None is no limit."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size().columns
    return None


def table_lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = (), whole: Collection[int] = (),
    width: int | None = None,
) -> list[str]:  # fmt: skip
    """Return a table as lines: names, a rule, and the rows; what of a cell cannot be printed is escaped.

    Args:
        columns: Names.
        rows: A cell a column.
        right: Which columns are flush right.
        whole: Which columns are never cut.
        width: Columns that a line may have; the widest cells are cut until they fit. None is no limit.
    """
    cells = [[printable(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        kept = {index: widths[index] for index in whole}
        room = width - len(_BETWEEN) * (len(widths) - 1) - sum(kept.values())
        narrowed = iter(_narrowed([size for index, size in enumerate(widths) if index not in kept], room))
        widths = [kept[index] if index in kept else next(narrowed) for index in range(len(widths))]
    lines = [
        _BETWEEN.join(_fit(cell, widths[index], is_right=index in right) for index, cell in enumerate(row)).rstrip()
        for row in cells
    ]
    return [lines[0], _BETWEEN.join("─" * size for size in widths), *lines[1:]]


def markdown_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Return a table in Markdown; the arguments are those of `table_lines`."""
    rule = ["--:" if index in right else "---" for index in range(len(columns))]
    cells = [[printable(cell).replace("|", "\\|") for cell in row] for row in (columns, *rows)]
    return [f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:])]


def _narrowed(widths: list[int], room: int) -> list[int]:
    """Return widths that fit into the room, as far as that can be: only the widest give way."""
    widest = max(_NARROWEST, min(max(widths, default=0), room))
    while sum(narrowed := [min(size, widest) for size in widths]) > room and widest > _NARROWEST:
        widest -= 1
    return narrowed


def _fit(cell: str, size: int, *, is_right: bool) -> str:
    if _width(cell) > size:
        cell = cut(cell, size)
    filling = " " * (size - _width(cell))
    return filling + cell if is_right else cell + filling


def cut(text: str, size: int) -> str:
    """Return as much of a text as fits into so many columns, with an ellipsis if that is not all of it."""
    if _width(text) <= size:
        return text
    room = size - 1
    for index, letter in enumerate(text):
        room -= _width(letter)
        if room < 0:
            return text[:index] + "…"
    return text


def _width(text: str) -> int:
    """Return how many columns a terminal gives a text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
