"""Connecting to a feed, over whichever transport is chosen, and the event loop that suits it."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable

from wsrecorder.net.transport import FeedOptions, Link, Receiver

__all__ = ["connect_feed", "loop_factory"]


async def connect_feed(options: FeedOptions, receiver: Receiver, transport: str) -> Link:
    """Connect to a feed.

    Args:
        options: How to reach it.
        receiver: Told what comes, from the event loop.
        transport: ``websockets`` or ``picows``, see `choose_transport`.

    Raises:
        FeedError: It cannot be reached or refuses.
    """
    # Each library is loaded only when it carries a connection.
    if transport == "picows":
        from wsrecorder.net import picows_link

        return await picows_link.open_link(options, receiver)
    from wsrecorder.net import websockets_link

    return await websockets_link.open_link(options, receiver)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the fastest event loop installed, for `asyncio.Runner`."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop
    import uvloop  # an extra

    return uvloop.new_event_loop
