"""How long to wait before something that is away is asked again: a second, then ever longer, up to a minute."""

from __future__ import annotations

from typing import Final

__all__ = ["LONGEST_WAIT_S", "patience_s"]

LONGEST_WAIT_S: Final = 60.0
_FIRST_WAIT_S: Final = 1.0


def patience_s(failures: int) -> float:
    """Return how long to wait, s.

    Args:
        failures: How often it was away so far, at least once.
    """
    wait_s: float = min(_FIRST_WAIT_S * 2 ** min(failures - 1, 16), LONGEST_WAIT_S)
    return wait_s
