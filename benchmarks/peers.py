"""What the figures are held against: the plain ways to do the same, as short as they are usually written."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from pathlib import Path


async def record(url: str, path: str) -> None:
    """The 15-line recorder: websockets and JSON lines into a file, never synced."""
    from websockets.asyncio.client import connect

    with Path(path).open("w") as file:  # noqa: ASYNC230 - as it is usually written
        async with connect(url, max_size=None) as websocket:
            async for message in websocket:
                file.write(json.dumps({"received": time.time(), "message": message}) + "\n")


async def receive(url: str) -> None:
    """Receive with picows and keep nothing: what recording cannot be faster than."""
    from wsrecorder.net.feed import connect_feed
    from wsrecorder.net.transport import FeedOptions

    class Receiver:
        frames = 0

        def on_open(self, subprotocol: str | None, is_deflated: bool) -> None:
            pass

        def on_frame(self, payload: bytes, opcode: int) -> None:
            self.frames += 1

    link = await connect_feed(FeedOptions(url, deflate=False), Receiver(), "picows")
    began = time.perf_counter()
    await link.wait_closed()
    print(time.perf_counter() - began, flush=True)


async def broadcast(clients: int, count: int) -> None:
    """Send ``count`` payloads to all clients by `websockets.broadcast`, as fast as they take them."""
    from websockets.asyncio.server import broadcast, serve

    from benchmarks.load import payloads

    texts = [payload.decode() for payload in payloads(4_096)]
    connected: set[object] = set()
    complete, done = asyncio.Event(), asyncio.Event()

    async def handler(websocket) -> None:
        connected.add(websocket)
        if len(connected) == clients:
            complete.set()
        await done.wait()

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await complete.wait()
        began = time.perf_counter()
        for number in range(count):
            broadcast(connected, texts[number % len(texts)])
            if number % 16 == 0:
                await asyncio.sleep(0)
                for websocket in connected:
                    await websocket.drain()
        print(time.perf_counter() - began, flush=True)
        done.set()


async def call_at(count: int, interval_s: float) -> None:
    """Send a frame every ``interval_s`` by `loop.call_at` to one client: the bare timer."""
    from websockets.asyncio.server import serve

    from benchmarks.load import frame, payloads

    frames = [frame(payload) for payload in payloads(4_096)]
    done = asyncio.Event()

    async def handler(websocket) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time() + 0.1

        def send(number: int) -> None:
            websocket.transport.write(frames[number % len(frames)])
            if number + 1 < count:
                loop.call_at(began + (number + 1) * interval_s, send, number + 1)
            else:
                done.set()

        loop.call_at(began, send, 0)
        await done.wait()
        await asyncio.sleep(0.5)

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await done.wait()
        await asyncio.sleep(1)


def answer() -> None:
    """Answer each request of HTTP at once, whatever it asks, one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"content-length:")
                while len(body) < int(length.split(b"\r\n")[0] or 0):
                    body += connection.recv(65_536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
                )


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    match verb:
        case "record":
            asyncio.run(record(*arguments))
        case "receive":
            from wsrecorder.net.feed import loop_factory

            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(receive(arguments[0]))
        case "broadcast":
            asyncio.run(broadcast(int(arguments[0]), int(arguments[1])))
        case "answer":
            answer()
        case "call_at":
            asyncio.run(call_at(int(arguments[0]), float(arguments[1])))
