"""How far a long job is, for a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["OnProgress", "Progress", "unwatched"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job is.

    Attributes:
        events: Events done.
        share: Done of the whole, 0 to 1; None where the whole is not known.
    """

    events: int
    share: float | None


OnProgress = Callable[[Progress], None]
"""Is told now and then."""


def unwatched(_: Progress) -> None:
    """Let nobody know."""
