"""What can be asked of in SQL: the views and their columns, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from wsrecorder.analysis.views import VIEWS, View, view
from wsrecorder.cli.table import table_lines
from wsrecorder.errors import UsageError

__all__ = ["schema_json", "schema_lines"]


def schema_lines(name: str | None, *, width: int | None) -> list[str]:
    """Return what a view holds, or each of them, as lines.

    Args:
        name: Of a view; None is all of them.
        width: Columns that a line may have; None is no limit.

    Raises:
        UsageError: There is no such view.
    """
    lines: list[str] = []
    for described in _described(name):
        rows = [(column.name, column.type, column.meaning.replace("`", "")) for column in described.columns]
        table = table_lines(("column", "type", "meaning"), rows, whole=(0,), width=width)
        summary = described.summary.replace("`", "")
        lines += [f"{described.name}: {summary}", "", *table, "", f"Example: {described.example}", ""]
    return lines[:-1]


def schema_json(name: str | None) -> list[dict[str, Any]]:
    """Return the same as plain values: of each view ``name``, ``summary``, ``columns`` and ``example``.

    Raises:
        UsageError: There is no such view.
    """
    keys = ("name", "summary", "columns", "example")
    return [{key: asdict(described)[key] for key in keys} for described in _described(name)]


def _described(name: str | None) -> list[View]:
    if name is not None and name.lower() not in VIEWS:
        raise UsageError(f"there is no view {name}", hint=f"the views are {', '.join(VIEWS)}")
    return [view(known) for known in VIEWS if name is None or known == name.lower()]
