"""Which expressions are whose: our user's own, or what comes from elsewhere and is looked at apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsrecorder.analysis.where import Where

__all__ = ["Foreign", "condition"]


class Foreign(str):
    """An SQL expression that came from elsewhere, through HTTP; it may take memory only within bounds."""

    __slots__ = ()


def condition(expression: str) -> Where:
    """Return an SQL expression, checked and ready; to be closed at the end.

    Raises:
        UsageError: It is none, or is `Foreign` and takes more memory than it may.
    """
    # DuckDB: a tenth of a second that only its users should pay.
    if isinstance(expression, Foreign):
        from wsrecorder.analysis.foreign_where import ForeignWhere

        return ForeignWhere(expression)
    from wsrecorder.analysis.where import Where

    return Where(expression)
