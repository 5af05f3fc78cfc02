"""A crowd of clients on raw sockets: those that behave, those that freeze, those that come and go.

All hear the same numbered frames of one size, so that what a client got is compared byte by byte, and costs next to
nothing. As a program it is a process of clients::

    python -m torture.crowd steady PORT CLIENTS COUNT SIZE FILE     take all, write when each frame came to each client
    python -m torture.crowd fickle PORT BEGAN_NS WINDOW_NS PLAN     misbehave in every second window
    python -m torture.crowd peer CLIENTS COUNT SIZE INTERVAL_NS     a server: `loop.call_at`, and a write to each client

``steady`` prints that all are here, when the first frame came (monotonic ns), and its outcome as JSON; ``fickle`` its
outcome.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
import sys
import time
from array import array
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from benchmarks.load import connect, frame
from wsrecorder.net.feed import loop_factory

__all__ = ["Hearing", "come_and_go", "freeze", "numbered", "thaw", "wire"]

_HEADER_BYTES: Final = 4
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST
_PATIENCE_S: Final = 6.0  # the endpoint cuts who does not answer its close within 5 s
_SMALL_SEGMENT_BYTES: Final = 536
_SMALL_BUFFER_BYTES: Final = 4_096
_REQUEST: Final = (
    b"GET /ws/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def numbered(number: int, size_bytes: int) -> bytes:
    """Return a payload of that size that says its number."""
    head = f'{{"type": "TICK", "ts": {1_790_000_000_000 + number}, "data": {{"n": {number:09d}, "pad": "'
    return head.encode().ljust(size_bytes - 3, b"x") + b'"}}'


def wire(count: int, size_bytes: int) -> list[bytes]:
    """Return the frames of so many payloads; they are 126 to 65,535 bytes long."""
    return [frame(numbered(number, size_bytes)) for number in range(count)]


class Hearing:
    """What a client hears, held against what there is to hear.

    Attributes:
        first: Number of its first frame; None before.
        next: Number of the frame that comes next.
        wrong: What was not as it should be; empty while nothing is.
        close_code: Of the close frame that came, or None.
        pongs: What it has to answer, to be sent and cleared.

    Args:
        frames: All there is to hear, of one size.
    """

    def __init__(self, frames: list[bytes]) -> None:
        self.first: int | None = None
        self.next = 0
        self.wrong = ""
        self.close_code: int | None = None
        self.pongs = b""
        self._frames = frames
        self._size = len(frames[0])
        self._pending = b""

    @property
    def heard(self) -> int:
        """Frames so far."""
        return 0 if self.first is None else self.next - self.first

    def take(self, data: bytes) -> int:
        """Take what came; return how many frames that completes."""
        if self._is_next(data):  # by far the most often
            self.next += 1
            return 1
        data, before = self._pending + data, self.heard
        at = 0
        while len(data) - at >= 2 and (length := self._length(data, at)) is not None:
            self._hear(data[at : at + length])
            at += length
        self._pending = data[at:]
        return self.heard - before

    def _is_next(self, data: bytes) -> bool:
        """Return whether it is just the frame that comes next."""
        if self._pending or self.first is None or self.next >= len(self._frames):
            return False
        return data == self._frames[self.next]

    def _length(self, data: bytes, at: int) -> int | None:
        """Return the length of the frame that begins there; None where it is not whole yet."""
        short = data[at + 1]
        length = 2 + short
        if short == 126:
            if len(data) - at < _HEADER_BYTES:
                return None
            length = _HEADER_BYTES + int.from_bytes(data[at + 2 : at + 4], "big")
        return length if len(data) - at >= length else None

    def _hear(self, whole: bytes) -> None:
        match whole[0]:
            case 0x81:
                if self.first is None and len(whole) == self._size:
                    self.first = self.next = int(whole[_HEADER_BYTES:].split(b'"n": ')[1][:9])
                if self.next >= len(self._frames) or whole != self._frames[self.next]:
                    self.wrong = self.wrong or f"instead of frame {self.next} came {whole[:80]!r}"
                self.next += 1
            case 0x88:
                self.close_code = int.from_bytes(whole[2:4], "big")
            case 0x89:  # a pong with the same payload, masked with zeros
                self.pongs += bytes((0x8A, 0x80 | whole[1])) + bytes(4) + whole[2:]
            case opcode:
                self.wrong = self.wrong or f"a frame began with 0x{opcode:02x}"


# Those that behave.


def _steady(port: int, clients: int, count: int, size_bytes: int, path: Path) -> None:
    frames = wire(count, size_bytes)
    poll = select.epoll()
    crowd: dict[int, tuple[socket.socket, Hearing, array[int]]] = {}
    for _ in range(clients):
        connection, rest = connect(port)
        connection.setblocking(False)
        crowd[connection.fileno()] = connection, Hearing(frames), array("q")
        crowd[connection.fileno()][1].take(rest)
        poll.register(connection.fileno(), select.EPOLLIN)
    everybody = list(crowd.values())
    print("here", flush=True)
    has_begun = False
    while crowd:
        for descriptor, _ in poll.poll():
            connection, hearing, times = crowd[descriptor]
            try:
                data = connection.recv(1 << 18)
            except OSError:
                data = b""
            now_ns = time.monotonic_ns()
            times.extend([now_ns] * hearing.take(data))
            if not has_begun and times:
                has_begun = True
                print(now_ns, flush=True)
            if hearing.pongs:
                connection.send(hearing.pongs)
                hearing.pongs = b""
            if not data or hearing.next >= count or hearing.wrong:
                poll.unregister(descriptor)
                del crowd[descriptor]
    with path.open("wb") as file:
        for _, _, times in everybody:
            file.write(times.tobytes() + bytes(8 * (count - len(times))))
    heard = [hearing for _, hearing, _ in everybody]
    wrong = [
        hearing.wrong or f"{hearing.heard} of {count} frames, close code {hearing.close_code}"
        for hearing in heard
        if hearing.wrong or hearing.heard != count
    ]
    print(json.dumps({"complete": len(heard) - len(wrong), "wrong": wrong[:3]}), flush=True)


# Those that do not.


async def freeze(port: int) -> socket.socket:
    """Connect, with as little room in the kernel as can be had, and read nothing; return when it was answered."""
    frozen = socket.socket()
    # Small segments make the sender's buffer small as well: on loopback it would be some megabytes.
    frozen.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SMALL_SEGMENT_BYTES)
    frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
    frozen.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(frozen, ("127.0.0.1", port))
    await loop.sock_sendall(frozen, _REQUEST)
    answered = asyncio.Event()
    loop.add_reader(frozen, answered.set)
    await answered.wait()
    loop.remove_reader(frozen)
    return frozen


async def thaw(frozen: socket.socket, frames: list[bytes], patience_s: float) -> tuple[str, Hearing]:
    """Read all that a frozen client was sent, and close it.

    Returns:
        How it ended: a close code, ``cut``, or ``open`` when nothing more came for so long; and what it heard.
    """
    loop, hearing, head = asyncio.get_running_loop(), Hearing(frames), b""
    try:
        async with asyncio.timeout(patience_s):
            while data := await loop.sock_recv(frozen, 1 << 18):
                if b"\r\n\r\n" not in head:
                    head += data
                    data = head.partition(b"\r\n\r\n")[2]
                hearing.take(data)
                if hearing.close_code is not None:
                    break
        ending = "cut" if hearing.close_code is None else str(hearing.close_code)
    except TimeoutError:
        ending = "open"
    except OSError:
        ending = "cut"
    frozen.close()
    return ending, hearing


async def come_and_go(port: int, chance: Random, frames: list[bytes], stay_s: float) -> tuple[str, Hearing]:
    """Connect, perhaps hear a while, and vanish; return how, or ``refused``, and what was heard."""
    hearing, is_in = Hearing(frames), False
    how = chance.choice(("close", "FIN", "RST", "handshake", "silence"))
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if how == "handshake":
            writer.write(_REQUEST[: chance.randint(1, len(_REQUEST) - 1)])
        elif how != "silence":
            writer.write(_REQUEST)
            await reader.readuntil(b"\r\n\r\n")
        is_in = True
        with suppress(TimeoutError):
            async with asyncio.timeout(chance.random() * stay_s):
                while data := await reader.read(1 << 18):
                    hearing.take(data)
        if how == "close":
            writer.write(b"\x88\x82" + bytes(4) + b"\x03\xe8")
        if how == "RST":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        writer.close()
        await writer.wait_closed()
    except (OSError, asyncio.IncompleteReadError):
        if not is_in:  # else it is what vanishing comes to
            how = "refused"
    return how, hearing


_GATHER_S: Final = 2.0
"""They come, and thaw, within this time, not in one instant: two hundred handshakes at once hold up whoever answers."""


async def _fickle(port: int, began_ns: int, window_ns: int, plan: dict[str, int]) -> dict[str, Any]:
    chance, frames = Random(plan["seed"]), wire(plan["count"], plan["size_bytes"])
    goers, endings, wrong = Counter[str](), Counter[str](), list[str]()

    async def go_on(until_ns: int) -> None:
        await asyncio.sleep(chance.random() * _GATHER_S)
        while time.monotonic_ns() < until_ns:
            how, hearing = await come_and_go(port, chance, frames, stay_s=2.0)
            goers[how] += 1
            wrong.extend(filter(None, [hearing.wrong]))

    async def stand(come_s: float, stay_s: float) -> None:
        await asyncio.sleep(come_s)
        frozen = await freeze(port)
        await asyncio.sleep(stay_s)
        ending, hearing = await thaw(frozen, frames, _PATIENCE_S)
        endings[ending] += 1
        wrong.extend(filter(None, [hearing.wrong]))

    for window in range(1, plan["windows"], 2):
        start_ns = began_ns + window * window_ns
        await asyncio.sleep(max(0.0, (start_ns - time.monotonic_ns()) / 1e9))
        misbehaving = [go_on(start_ns + window_ns) for _ in range(plan["goers"])]
        for number in range(plan["frozen"]):
            misbehaving.append(stand(number * _GATHER_S / plan["frozen"], 0.75 * window_ns / 1e9))
        await asyncio.gather(*misbehaving)
    return {"goers": goers, "endings": endings, "wrong": wrong[:3]}


# What an endpoint is held against.


async def _peer(clients: int, count: int, size_bytes: int, interval_ns: int) -> None:
    from websockets.asyncio.server import ServerConnection, serve

    frames, here, done = wire(count, size_bytes), list[ServerConnection](), asyncio.Event()
    loop = asyncio.get_running_loop()

    def send(began_s: float, number: int) -> None:
        for connection in here:
            connection.transport.write(frames[number])
        if number + 1 < count:
            loop.call_at(began_s + (number + 1) * interval_ns / 1e9, send, began_s, number + 1)
        else:
            loop.call_later(1, done.set)

    async def attend(connection: ServerConnection) -> None:
        here.append(connection)
        if len(here) == clients:
            loop.call_at(loop.time() + 0.1, send, loop.time() + 0.1, 0)
        await done.wait()

    async with serve(attend, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await done.wait()


def _main(verb: str, *arguments: str) -> None:
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        match verb:
            case "steady":
                *numbers, path = arguments
                _steady(*map(int, numbers), Path(path))
            case "fickle":
                *numbers, plan = arguments
                print(json.dumps(runner.run(_fickle(*map(int, numbers), json.loads(plan)))), flush=True)
            case "peer":
                runner.run(_peer(*map(int, arguments)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
