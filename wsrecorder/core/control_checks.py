"""What can be asked of a player, and what cannot."""

from __future__ import annotations

from wsrecorder.core.moment import readable_duration
from wsrecorder.errors import UsageError

__all__ = ["check_loop", "check_rows"]


def check_rows(rows: int, what: str, other_way: str = "") -> None:
    """Refuse to send less than one event.

    Args:
        rows: How many were asked for.
        what: By what, such as ``a step``.
        other_way: What else to do, for the hint.

    Raises:
        UsageError: There is less than one.
    """
    if rows < 1:
        raise UsageError(f"{what} of {rows} events is not possible", hint=f"take 1 event or more{other_way}")


def check_loop(a_ns: int, b_ns: int) -> None:
    """Refuse a loop that ends before it begins; session times, ns.

    Raises:
        UsageError: It does.
    """
    if b_ns <= a_ns:
        raise UsageError(
            f"a loop from {readable_duration(a_ns)} to {readable_duration(b_ns)} has no length",
            hint=f"end it after {readable_duration(a_ns, is_up=True)}",
        )
