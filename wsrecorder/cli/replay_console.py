"""The console beside a replay."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from wsrecorder.cli.console_options import check_installed
from wsrecorder.cli.output import say
from wsrecorder.clock import SystemClock
from wsrecorder.store.place import Place

if TYPE_CHECKING:
    from wsrecorder.console.options import ConsoleOptions
    from wsrecorder.console.server import Console
    from wsrecorder.jobs.replay import Replay
    from wsrecorder.store.session import Store

__all__ = ["console_beside"]

_LOG: Final = logging.getLogger("wsrecorder.replay")


@asynccontextmanager
async def console_beside(
    stores: Sequence[Store], options: ConsoleOptions | None, library: Place, *, on_terminal: bool
) -> AsyncIterator[Callable[[Replay], str | None]]:
    """Yield what begins a console for a replay and returns its address, if any; it serves until the block ends.

    Args:
        stores: The sessions that are played.
        options: How it serves; None is not at all.
        library: The folder of sessions.
        on_terminal: Whether there is a panel instead of a log.

    Raises:
        EndpointError: What is yielded raises it: the address or port cannot be had.
    """
    consoles: list[Console] = []

    def begin(running: Replay) -> str | None:
        if options is None:
            return None
        tell = say if on_terminal else _LOG.info
        if not _can_be_had(options):
            tell("no console: it needs the extra 'console' (pip install 'wsrecorder[console]')")
            return None
        from wsrecorder.console.scene import Scene
        from wsrecorder.console.server import Console

        console = Console(Scene(stores, replay=running, library=library, clock=SystemClock()), options)
        console.begin()
        consoles.append(console)
        elsewhere = f" (port {options.port} is in use)" if console.is_elsewhere else ""
        if console.token is not None and options.token is None:
            say(f"console at {console.shown_url}{elsewhere}")  # nobody could guess it: it is said even to the quiet
        else:
            tell(f"console at {console.shown_url}{elsewhere}")
        return f"{console.url}/"  # without the token, which is said once

    try:
        yield begin
    finally:
        for console in consoles:
            await console.close()


def _can_be_had(options: ConsoleOptions) -> bool:
    from wsrecorder.console.options import is_installed

    if not options.is_port_free_to_choose:  # it was asked for by name
        check_installed()
    return is_installed()
