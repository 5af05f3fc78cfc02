"""Figures of a report in words."""

from __future__ import annotations

from typing import Final

__all__ = ["show_ms", "show_s"]

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def show_s(seconds: float) -> str:
    """Return a time for people: ``250 ms``, ``1.5 s``, ``2 min 5 s``, ``3 d 4 h``."""
    if seconds == 0:
        return "0 s"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    rest = round(seconds)
    parts = []
    for size, unit in (*_UNITS, (1, "s")):
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])


def show_ms(milliseconds: float) -> str:
    """Return a latency for people: ``0.42 ms``, ``1,250 ms``."""
    return f"{milliseconds:,.0f} ms" if abs(milliseconds) >= 100 else f"{milliseconds:.3g} ms"
