"""How much somebody may do in a time."""

from __future__ import annotations

__all__ = ["RateLimit"]

_SECOND_NS = 1_000_000_000


class RateLimit:
    """So many times a second, and as many at once after a second of silence.

    Args:
        per_s: How many, above 0.
        now_ns: Monotonic time of the beginning, ns.
    """

    def __init__(self, per_s: int, now_ns: int) -> None:
        self._step_ns = _SECOND_NS // per_s
        self._free_ns = now_ns - _SECOND_NS  # when the next one that may come is due

    def allows(self, now_ns: int) -> bool:
        """Count one more, and return whether it may come at this time; one that may not is not counted."""
        due_ns = max(self._free_ns, now_ns - _SECOND_NS) + self._step_ns
        if due_ns > now_ns:
            return False
        self._free_ns = due_ns
        return True
