"""Values as cells of a table; what is not known is a dash."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

__all__ = ["NOTHING", "amount_cell", "money_cell", "time_cell", "word_cell"]

NOTHING: Final = "-"


def word_cell(value: str | None) -> str:
    """Return a text."""
    return NOTHING if value is None else value


def amount_cell(value: float | None) -> str:
    """Return a number as it is, without an exponent."""
    if value is None:
        return NOTHING
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def money_cell(value: float | None) -> str:
    """Return an amount of money to the cent."""
    # The sum makes 0 of -0.
    return NOTHING if value is None else f"{round(value, 2) + 0.0:,.2f}"


def time_cell(epoch_ms: int | None) -> str:
    """Return the time of day (UTC) of a moment, to the millisecond."""
    if epoch_ms is None:
        return NOTHING
    seconds, milliseconds = divmod(epoch_ms % 86_400_000, 1_000)
    return f"{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"
