"""What Spark and DuckDB say of the same recordings, compared."""

from __future__ import annotations

import json
import math
from typing import Any

from wsrecorder.analysis.sql import Queries
from wsrecorder.analysis.views import view


def hold_to_same_rows(name: str, spark: Any, queries: Queries) -> None:
    """Fail unless a view has the same rows for both engines."""
    columns = view(name).columns
    keys = [column.name for column in columns if column.type != "JSON"]
    wanted = ", ".join(f'"{key}"' for key in keys)
    theirs = queries.query(f"select * from {name} order by {wanted}").table().to_pylist()
    order = ", ".join(f"`{key}` nulls last" for key in keys)
    ours = spark.sql(f"select * from {name} order by {order}").toArrow().to_pylist()
    assert len(ours) == len(theirs)
    for row, expected in zip(ours, theirs, strict=True):
        for column in columns:
            found = meaning(row[column.name], column.type)
            assert equal(found, meaning(expected[column.name], column.type)), (column.name, row, expected)


def meaning(value: Any, kind: str) -> Any:
    """JSON by what it says: Spark writes it anew, without blanks, and `NaN` in quotes."""
    if value is None or kind != "JSON":
        return value
    try:
        return json.loads(value, parse_constant=str)
    except ValueError:
        return value


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)
    return bool(one == other)
