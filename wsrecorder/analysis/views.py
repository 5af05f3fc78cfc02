"""The views of `wsrecorder.analysis.sql`: each is a file in ``views/``, whose head documents it.

The head is what ``docs/sql.md`` and ``wsrec sql --schema`` show::

    -- One row an order …                              what a row is
    -- | id | VARCHAR | which order |                  its columns: name, DuckDB's type, meaning with the unit
    -- {order} = {"id": "VARCHAR", …}                  a text that stands for ``{order}`` in the query, if any
    -- Example: select …                               a query over it

What a view is made of (other views, by name) is told by its query. The payload is parsed in one pass, into just the
fields that the view needs, and only for events of its types; ``TRY`` makes what cannot be parsed null.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

__all__ = ["MACROS", "VIEWS", "Column", "View", "needed", "view"]

VIEWS: Final = (
    "events", "sessions", "connections", "gaps", "heartbeats", "latency", "clocks", "rates", "engine_states", "signals",
    "scans", "orders", "order_events", "positions", "position_events", "stop_moves", "alerts", "notes",
)  # fmt: skip
"""The names of the views, in the order of their page."""

# Times in payloads are numbers of ms, in quotes or not, or ISO 8601 text; what is beyond the year 9999 is no time.
MACROS: Final = (
    "CREATE TEMP MACRO moment(told) AS CASE WHEN told LIKE '____-%' THEN try_cast(told AS TIMESTAMPTZ)"
    " WHEN abs(try_cast(told AS DOUBLE)) <= 253402300799999"
    " THEN make_timestamptz((try_cast(told AS DOUBLE) * 1_000)::BIGINT) END",
)
"""Functions that the views use, as statements."""

_COLUMN: Final = re.compile(r"\| (\w+) \| ([A-Z ]+) \| (.*) \|")
_SHAPE: Final = re.compile(r"\{(\w+)\} = (.*)")
_EXAMPLE: Final = "Example: "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view.

    Attributes:
        name: Its name.
        type: DuckDB's name of its type.
        meaning: What it says, with its unit; Markdown.
    """

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class View:
    """A view.

    Attributes:
        name: Its name.
        summary: What a row of it is; Markdown.
        columns: Its columns, in order.
        example: A query over it.
        query: What it is.
        parts: The views that it is made of.
    """

    name: str
    summary: str
    columns: tuple[Column, ...]
    example: str
    query: str
    parts: tuple[str, ...]


@cache
def view(name: str) -> View:
    """Return the view of that name, one of `VIEWS`."""
    text = (resources.files("wsrecorder.analysis") / "views" / f"{name}.sql").read_text(encoding="utf-8")
    lines = text.splitlines()
    count = next(index for index, line in enumerate(lines) if not line.startswith("--"))
    paragraphs = _paragraphs(line.removeprefix("--").removeprefix(" ") for line in lines[:count])
    columns: list[Column] = []
    shapes: dict[str, str] = {}
    summary = example = ""
    for paragraph in paragraphs:
        joined = " ".join(line.strip() for line in paragraph)
        if paragraph[0].startswith("|"):
            columns = [Column(*found.groups()) for line in paragraph if (found := _COLUMN.fullmatch(line))]
        elif shape := _SHAPE.fullmatch(joined):
            shapes[shape[1]] = shape[2]
        elif joined.startswith(_EXAMPLE):
            example = joined.removeprefix(_EXAMPLE)
        else:
            summary = joined
    query = "\n".join(lines[count:])
    for shape_name, fields in shapes.items():
        query = query.replace(f"{{{shape_name}}}", fields)
    words = set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", query))
    parts = tuple(part for part in VIEWS if part in words)
    return View(name, summary, tuple(columns), example, query, parts)


def needed(words: Iterable[str]) -> list[str]:
    """Return the views among some words, and those that they are made of, each after its parts.

    Args:
        words: Of a query, in lower case.
    """
    found: dict[str, None] = {}

    def add(name: str) -> None:
        for part in view(name).parts:
            add(part)
        found.setdefault(name)

    asked = set(words)
    for name in VIEWS:
        if name in asked:
            add(name)
    return list(found)


def _paragraphs(lines: Iterable[str]) -> list[list[str]]:
    """Return lines by paragraph: an empty one parts them."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line:
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]
