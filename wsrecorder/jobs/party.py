"""Clients that have a playback of their own: one client by itself, or all that name the same session key."""

from __future__ import annotations

import asyncio
from typing import Final

from wsrecorder.clock import Clock
from wsrecorder.jobs.playback import Playback
from wsrecorder.net.client import Client

__all__ = ["KEPT_NS", "Party"]

KEPT_NS: Final = 60_000_000_000
"""For how long the playback of a session key goes on when the last client has left: time to reload a page."""


class Party:
    """A playback and its clients.

    Attributes:
        playback: What they see.
        clients: Those that are here.

    Args:
        playback: What they see.
        clients: The list of clients that it plays to; it is kept up to date.
        is_kept: Whether it goes on for a while when nobody is left.
    """

    def __init__(self, playback: Playback, clients: list[Client], *, is_kept: bool) -> None:
        self.playback = playback
        self.clients = clients
        self._is_kept = is_kept
        self._has_news = asyncio.Event()

    def join(self, client: Client) -> None:
        """A client has come."""
        self.clients.append(client)
        self._has_news.set()

    def leave(self, client: Client) -> None:
        """A client has gone."""
        self.clients.remove(client)
        self._has_news.clear()

    async def is_deserted(self, clock: Clock) -> bool:
        """Tell whether nobody is left, once it was kept for that long; not if somebody has come meanwhile."""
        if self._is_kept and not self.clients:
            until_ns = clock.now_ns() + KEPT_NS
            await clock.sleep_until(until_ns, self._has_news)
            if clock.now_ns() < until_ns:
                return False
        return not self.clients
