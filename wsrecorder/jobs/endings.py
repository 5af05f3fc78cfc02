"""How jobs end: close codes of replays, what ends what, and the words for it."""

from __future__ import annotations

import asyncio
from typing import Final

from wsrecorder.errors import FeedError
from wsrecorder.net.transport import Closed

__all__ = [
    "CANNOT_GO_ON",
    "INTERNAL_ERROR",
    "NORMAL",
    "POLICY_VIOLATION",
    "SERVICE_RESTART",
    "first_of",
    "lost_feed",
    "pass_on",
]

# Close codes (RFC 6455, section 7.4.1).
NORMAL: Final = 1000
"""Played to the end."""
POLICY_VIOLATION: Final = 1008
"""Asked for the impossible, or said what was not expected."""
INTERNAL_ERROR: Final = 1011
"""Broken."""
SERVICE_RESTART: Final = 1012
"""Ended in the middle, which looks as it does when the live server is restarted."""

CANNOT_GO_ON: Final = "the recording cannot be read any further"


async def first_of(*events: asyncio.Event) -> None:
    """Return as soon as one of these is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def pass_on(source: asyncio.Event, target: asyncio.Event) -> None:
    """Set one event as soon as the other is."""
    await source.wait()
    target.set()


def lost_feed(shown_url: str, closed: Closed) -> FeedError:
    """Return the error for a feed that was lost and is not to be connected to again."""
    return FeedError(
        f"{shown_url} was lost: {closed.cause} (code {closed.code})",
        hint="what was recorded is sealed; without --reconnect 0 the recorder would have come back",
    )
