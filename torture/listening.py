"""Clients that only count, and leave as clients do."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TypeVar

from wsrecorder.net.feed import connect_feed
from wsrecorder.net.transport import FeedOptions, Link, choose_transport

__all__ = ["Listener", "listen"]


class Listener:
    """A client.

    Attributes:
        heard: Frames so far.
    """

    def __init__(self) -> None:
        self.heard = 0
        self.link: Link | None = None
        self._has_news = asyncio.Event()

    def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
        """Nothing to do."""

    def on_frame(self, payload: bytes, opcode: int) -> None:
        """Count a frame."""
        self.heard += 1
        self._has_news.set()

    async def hear(self, frames: int) -> None:
        """Return when so many frames came, all together."""
        async with asyncio.timeout(120):
            while self.heard < frames:
                self._has_news.clear()
                await self._has_news.wait()

    async def leave(self, chance: Random) -> None:
        """Go, in order or without a word."""
        assert self.link is not None
        if chance.random() < 0.5:
            await self.link.close()
        else:
            self.link.abort()
            await self.link.wait_closed()


_AnyListener = TypeVar("_AnyListener", bound=Listener)


async def listen(url: str, listener: _AnyListener) -> _AnyListener:
    """Connect a listener."""
    listener.link = await connect_feed(FeedOptions(url), listener, choose_transport())
    return listener
