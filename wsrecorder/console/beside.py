"""A replay with a console beside it, as one context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from wsrecorder.clock import Clock
from wsrecorder.console.options import INSTALL_HINT, ConsoleOptions, is_installed
from wsrecorder.console.scene import Scene
from wsrecorder.console.server import Console
from wsrecorder.errors import WsrecError
from wsrecorder.jobs.replay import Replay
from wsrecorder.jobs.replay_options import ReplayOptions
from wsrecorder.store.place import Place
from wsrecorder.store.session import Store

__all__ = ["ReplayWithConsole"]


class ReplayWithConsole(Replay):
    """A replay and its console, serving while its context is open; ``console_url`` says where.

    Args:
        stores: The sessions, merged by time.
        options: How to replay.
        clock: Where the time comes from.
        console: How the console serves; who may connect to the replay may use it.
        library: The folder of sessions, which the console lists.

    Raises:
        WsrecError: The extra ``console`` is not installed.
    """

    def __init__(
        self, stores: Sequence[Store], options: ReplayOptions, clock: Clock, *, console: ConsoleOptions, library: Place
    ) -> None:
        if not is_installed():
            raise WsrecError("the console needs what the extra 'console' brings", hint=INSTALL_HINT)
        super().__init__(stores, options, clock)
        self._console_options = replace(console, access=options.access)
        self._library = library
        self._console: Console | None = None

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        scene = Scene(self.stores, replay=self, library=self._library, clock=self._clock)
        console = Console(scene, self._console_options)
        try:
            console.begin()
        except BaseException:
            await super().__aexit__(None, None, None)
            raise
        self._console, self.console_url = console, console.entry_url
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console is not None:
            await self._console.close()
        await super().__aexit__(exc_type, exc, traceback)
