"""The server that `watch` talks to: only whoever records its cassettes anew needs it."""

from __future__ import annotations

import asyncio
import json

from websockets.asyncio.server import ServerConnection, serve

PRICES = {"ETH-USD": ("2950.10", "2950.35", "2949.80"), "SOL-USD": ("138.40", "138.25")}


async def attend(connection: ServerConnection) -> None:
    """Give each client the prices of the product that it asks for, and say goodbye."""
    product = json.loads(await connection.recv())["product"]
    await connection.send(json.dumps({"type": "subscribed", "product": product, "account": "4711-0815"}))
    for price in PRICES[product]:
        await asyncio.sleep(0.2)
        await connection.send(json.dumps({"type": "ticker", "product": product, "price": price}))


async def main() -> None:
    """Serve until Ctrl-C."""
    async with serve(attend, "127.0.0.1", 8765) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
