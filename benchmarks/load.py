"""Load: payloads of the simulated engine, a server that blasts them, clients that only drain."""

from __future__ import annotations

import base64
import hashlib
import os
import select
import socket
import sys
import time
from array import array
from contextlib import suppress
from itertools import islice
from pathlib import Path

from wsrecorder.core.engine import Engine

DISTINCT = 65_536
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


def payloads(count: int = DISTINCT, mean_bytes: int = 330) -> list[bytes]:
    """Return payloads of the simulated engine, big scans left out so that the mean is about 330 bytes."""
    stream = Engine(seed=7).stream(start_ms=1_790_000_000_000, rate=1_000)
    found = (event.payload.encode() for event in stream)
    return list(islice((payload for payload in found if len(payload) < 4 * mean_bytes), count))


def frame(payload: bytes) -> bytes:
    """Return a server's text frame."""
    if len(payload) < 126:
        return b"\x81" + bytes((len(payload),)) + payload
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


def serve_blast(count: int, rate: int = 0, block: int = 1_024) -> None:
    """Serve one client ``count`` frames, then close with 1000.

    Args:
        count: How many.
        rate: How many a second, at an even pace, block by block; 0 is as fast as the client takes them. With a rate it
            prints when the last was sent (monotonic s), and by how much that was late (s).
        block: How many are sent at once.
    """
    frames = [frame(payload) for payload in payloads()]
    blocks = [b"".join(frames[start : start + block]) for start in range(0, len(frames), block)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        with connection:
            _shake_hands_as_server(connection)
            began_s = time.monotonic()
            for number in range(count // block):
                if rate:
                    time.sleep(max(0.0, began_s + number * block / rate - time.monotonic()))
                connection.sendall(blocks[number % len(blocks)])
            if rate:
                ended_s = time.monotonic()
                print(ended_s, ended_s - began_s - (count // block - 1) * block / rate, flush=True)
            connection.sendall(b"".join(frames[: count % block]))
            connection.sendall(b"\x88\x02\x03\xe8")
            # The client answers the close frame when it has taken all; then the TCP connection is ours to end.
            connection.settimeout(300)
            with suppress(ConnectionResetError):  # or the client just leaves
                connection.recv(65_536)


def _shake_hands_as_server(connection: socket.socket) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(4_096)
    lines = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if b": " in line)
    key = next(value for name, value in lines.items() if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def connect(port: int, path: str = "/ws/", patience_s: float = 30.0) -> tuple[socket.socket, bytes]:
    """Connect to a WebSocket server, as soon as it listens; return the socket and what came after the handshake."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    connection.sendall(request.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(4_096)
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b" 101 " not in head.partition(b"\r\n")[0]:
        raise ConnectionError(head.decode(errors="replace"))
    return connection, rest


def drain(port: int, clients: int, size_bytes: int) -> None:
    """Connect clients, take ``size_bytes`` with each and look at none; print seconds from first to last byte."""
    poll = select.epoll()
    sockets = {}
    left = {}
    for _ in range(clients):
        connection, rest = connect(port)
        connection.setblocking(False)
        sockets[connection.fileno()] = connection
        left[connection.fileno()] = size_bytes - len(rest)
        poll.register(connection.fileno(), select.EPOLLIN)
    buffer = bytearray(1 << 20)
    began = 0.0
    while left:
        for descriptor, _ in poll.poll():
            taken = sockets[descriptor].recv_into(buffer)
            began = began or time.perf_counter()
            left[descriptor] -= taken
            if left[descriptor] <= 0 or not taken:
                poll.unregister(descriptor)
                del left[descriptor]
    print(time.perf_counter() - began, flush=True)


def arrivals(port: int, count: int, path: Path) -> None:
    """Take ``count`` frames and write when each came (monotonic ns) as int64 to a file."""
    connection, pending = connect(port)
    times = array("q")
    data = bytearray(pending)
    while len(times) < count:
        now_ns = time.monotonic_ns()
        start = 0
        while len(data) - start >= 2:
            length, header = data[start + 1] & 0x7F, 2
            if length == 126:
                if len(data) - start < 4:
                    break
                length, header = int.from_bytes(data[start + 2 : start + 4], "big"), 4
            if len(data) - start < header + length:
                break
            if data[start] == 0x81:
                times.append(now_ns)
            elif data[start] == 0x89:  # a ping: a pong with the same payload, masked with zeros
                payload = bytes(data[start + header : start + header + length])
                connection.sendall(bytes((0x8A, 0x80 | length)) + bytes(4) + payload)
            start += header + length
        del data[:start]
        if len(times) < count:
            chunk = connection.recv(1 << 16)
            if not chunk:
                break
            data += chunk
    path.write_bytes(times.tobytes())


def serve_pace(count: int, rate: int, clients: int, path: Path) -> None:
    """Serve clients ``count`` frames at an even pace, the same to all; write when each was sent (monotonic ns)."""
    frames = [frame(payload) for payload in payloads(4_096)]
    times = array("q")
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connections = []
        for _ in range(clients):
            connections.append(server.accept()[0])
            connections[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _shake_hands_as_server(connections[-1])
        began_ns = time.monotonic_ns() + 200_000_000
        for number in range(count):
            time.sleep(max(0, began_ns + number * 10**9 // rate - time.monotonic_ns()) / 1e9)
            times.append(time.monotonic_ns())
            # In turns: whoever is written to second waits for the first.
            for connection in connections if number % 2 else reversed(connections):
                connection.sendall(frames[number % len(frames)])
        path.write_bytes(times.tobytes())
        for connection in connections:
            connection.recv(65_536)  # they leave when they have all


def first_frame(port: int) -> None:
    """Print the monotonic time (s) at which the first frame came."""
    connection, rest = connect(port)
    if not rest:
        connection.recv(1)
    print(time.monotonic(), flush=True)


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    match verb:
        case "blast":
            serve_blast(*map(int, arguments))
        case "drain":
            drain(*map(int, arguments))
        case "arrivals":
            arrivals(int(arguments[0]), int(arguments[1]), Path(arguments[2]))
        case "pace":
            serve_pace(int(arguments[0]), int(arguments[1]), int(arguments[2]), Path(arguments[3]))
        case "first":
            first_frame(int(arguments[0]))
