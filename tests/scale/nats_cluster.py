"""Three nats-servers with JetStream on loopback, as one cluster; each a process of its own."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nats
from nats.aio.client import Client


def nats_program() -> str | None:
    """Return nats-server: the one that belongs to this Python, or the one on the path."""
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class NatsCluster:
    """The cluster, up while its context is open.

    Attributes:
        ports: Where clients connect, one a server.
    """

    def __init__(self, program: str, folder: Path, servers: int = 3) -> None:
        self._program = program
        self._folder = folder
        self._servers = servers
        ports = free_ports(2 * servers)
        self.ports, self._routes = ports[:servers], ports[servers:]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        for number in range(self._servers):
            self.start(number)
        self.wait_until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in list(self._processes):
            self.kill(number)

    def address(self, stream: str) -> str:
        """Return the address of a stream."""
        return f"nats://{','.join(f'127.0.0.1:{port}' for port in self.ports)}/{stream}"

    def start(self, number: int) -> None:
        arguments = [
            "-js", "-sd", self._folder / f"store-{number}", "-a", "127.0.0.1", "-p", self.ports[number],
            "--name", f"server-{number}", "-l", self._folder / f"server-{number}.log",
        ]  # fmt: skip
        if self._servers > 1:
            routes = ",".join(f"nats://127.0.0.1:{port}" for port in self._routes)
            arguments += ["--cluster_name", "wsrec", "--cluster", f"nats://127.0.0.1:{self._routes[number]}"]
            arguments += ["--routes", routes]
        self._processes[number] = subprocess.Popen([self._program, *map(str, arguments)], stderr=subprocess.DEVNULL)

    def kill(self, number: int) -> None:
        process = self._processes.pop(number)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Kill all of them."""
        for number in list(self._processes):
            self.kill(number)

    def wait_until_ready(self) -> None:
        """Wait until JetStream answers: a meta leader was elected."""
        deadline = time.monotonic() + 60
        while True:
            with suppress(Exception):
                self.ask(lambda client: client.jetstream().account_info())
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"no JetStream after 60 s, see {self._folder}")
            time.sleep(0.2)

    def ask(self, question: Any) -> Any:
        """Ask the cluster something by plain nats-py, on a connection of its own."""

        async def asking() -> Any:
            async def hush(error: Exception) -> None:
                pass

            servers = [f"nats://127.0.0.1:{self.ports[number]}" for number in self._processes]
            client: Client = await nats.connect(
                servers, max_reconnect_attempts=1, connect_timeout=2, allow_reconnect=False, error_cb=hush
            )
            try:
                asked: Coroutine[Any, Any, Any] = question(client)
                return await asked
            finally:
                await client.close()

        return asyncio.run(asking())

    def leader(self, stream: str) -> int:
        """Return which server leads a stream."""
        info = self.ask(lambda client: client.jetstream()._jsm.stream_info(stream))
        return int(info.cluster.leader.removeprefix("server-"))
