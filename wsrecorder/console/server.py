"""The server of a console, in an event loop that has other things to do: it may play a replay.

The port is listened on at once. What answers (FastAPI and all that it brings, half a second to import, which the loop
feels) is loaded on a thread when the first connection comes, or already a second after the beginning if nothing is
played then. So the first frame does not come later for it, and who looks first in the middle of a replay hardly ever
makes frames late.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from wsrecorder.console.http import http_protocol
from wsrecorder.console.options import ConsoleOptions
from wsrecorder.console.scene import Scene
from wsrecorder.console.security import Guard
from wsrecorder.core.credentials import HIDDEN
from wsrecorder.net.hosts import Hosts
from wsrecorder.net.listen import PortTaken, bound, own_names
from wsrecorder.net.tls import server_context

if TYPE_CHECKING:
    from uvicorn import Server

    from wsrecorder.console.app import Application

__all__ = ["Console"]

_MOST_CONNECTIONS: Final = 256
_GRACE_S: Final = 2
_LOAD_AFTER_NS: Final = 1_000_000_000
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What to open where all addresses are listened on: not every browser takes those for an address."""


class Console:
    """Serves while its context is open.

    Attributes:
        url: Where to look, without the token; on this machine, if it listens on all addresses.
        token: What a request must bring, a token of the endpoint's being as good; or None.
        is_elsewhere: Whether a free port was taken because the one asked for is not free.

    Args:
        scene: What is shown.
        options: How it serves.
        is_awaited: Whether somebody is about to look: what answers is then loaded at once.

    Raises:
        UsageError: The certificate cannot be used.
        EndpointError: The address or port cannot be had (on entering the context).
    """

    def __init__(self, scene: Scene, options: ConsoleOptions, *, is_awaited: bool = False) -> None:
        self.token = options.required_token()
        self.url = ""
        self.is_elsewhere = False
        self._scene = scene
        self._options = options
        self._tls = server_context(options.access.certificate)
        self._called = asyncio.Event()
        self._closing = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        if is_awaited:
            self._called.set()

    @property
    def entry_url(self) -> str:
        """Where to begin to look: the address that brings the token along."""
        return f"{self.url}/" if self.token is None else f"{self.url}/?token={self.token}"

    @property
    def shown_url(self) -> str:
        """The same to be printed: a token that was given is good for longer than this console, and is not shown."""
        return self.entry_url if self._options.token is None else f"{self.url}/?token={HIDDEN}"

    async def __aenter__(self) -> Self:
        self.begin()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def begin(self) -> None:
        """Serve, from a running event loop; entering the context does it.

        Raises:
            EndpointError: The address or port cannot be had.
        """
        listener = self._listen()
        address, port = listener.getsockname()[:2]
        host = self._options.host
        shown = _LOOPBACK.get(address, host)
        scheme = "http" if self._tls is None else "https"
        self.url = f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{port}"
        self._serving = asyncio.create_task(self._serve(listener, Hosts.of(host, port, own_names(), scheme)))

    async def close(self) -> None:
        """Serve no longer; leaving the context does it."""
        self._closing.set()
        self._called.set()
        if self._serving is not None:
            await asyncio.wait([self._serving])

    def _listen(self) -> Any:
        options = self._options
        try:
            return bound(options.host, options.port, host_option="--console-host", port_option="--console-port")
        except PortTaken:
            if not options.is_port_free_to_choose:
                raise
        self.is_elsewhere = True
        return bound(options.host, 0, host_option="--console-host", port_option="--console-port")

    async def _serve(self, listener: Any, hosts: Hosts) -> None:
        try:
            await self._wait_for_call(listener)
            if self._closing.is_set():
                return
            server, application = await asyncio.to_thread(self._load, hosts)
            await server.startup(sockets=[listener])
            await self._closing.wait()
            application.close()
            await server.shutdown()
        except Exception as exc:  # our own mistake, which must not end the replay beside us
            self._scene.mishaps.note("console", exc, "there is no console any more, all else goes on")
        finally:
            listener.close()

    async def _wait_for_call(self, listener: Any) -> None:
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(listener.fileno(), self._called.set)
        except NotImplementedError:  # Windows
            return
        try:
            clock = self._scene.clock
            await clock.sleep_until(clock.now_ns() + _LOAD_AFTER_NS, self._called)
            if self._scene.is_playing:
                await self._called.wait()
        finally:
            loop.remove_reader(listener.fileno())

    def _load(self, hosts: Hosts) -> tuple[Server, Application]:
        """Import and make what answers."""
        # Heavy, see above; the extra "console" brings it.
        uvicorn = import_module("uvicorn")
        application: Application = import_module("wsrecorder.console.app").Application(self._scene)
        for name in ("uvicorn", "uvicorn.error"):
            library_log = logging.getLogger(name)  # we say what matters ourselves
            library_log.handlers[:] = [logging.NullHandler()]
            library_log.propagate = False
        access = self._options.access
        if self.token is not None:
            access = replace(access, tokens=(*access.tokens, self.token))
        config = uvicorn.Config(
            Guard(application.entry, hosts, access),
            http=http_protocol(), ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False,
            server_header=False, date_header=False, limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE_S,
        )  # fmt: skip
        config.load()
        config.ssl = self._tls
        # Its `serve` would take over the signals, which are the program's; so it is started and shut down by hand.
        server: Server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        return server, application
