"""What a report says of clients that were not let in."""

from __future__ import annotations

from collections.abc import Mapping

from wsrecorder.cli.output import say, show_number

__all__ = ["say_refused"]


def say_refused(refused: Mapping[str, int]) -> None:
    """Print how many clients were not let in, by reason, to stderr; nothing where there were none."""
    if refused:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in refused.items())
        say(f"{show_number(sum(refused.values()), 'client')} not let in: {reasons}")
