"""What is tested here: it follows the prices of one product over a WebSocket, and comes back when it is cut off."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

__all__ = ["last_price", "prices"]


async def prices(url: str, product: str) -> AsyncIterator[float]:
    """Yield the prices of a product until the server says goodbye; after a break it subscribes again.

    Args:
        url: ``ws://`` or ``wss://``.
        product: Such as ``ETH-USD``.
    """
    async for connection in connect(url, max_queue=None):
        try:
            await connection.send(json.dumps({"type": "subscribe", "channel": "ticker", "product": product}))
            async for text in connection:
                message = json.loads(text)
                if message["type"] == "ticker":
                    yield float(message["price"])
            return
        except ConnectionClosedError:
            continue


async def last_price(url: str, product: str) -> float | None:
    """Return the last price that the server gives before it says goodbye; None if it gives none."""
    last = None
    async for price in prices(url, product):
        last = price
    return last
