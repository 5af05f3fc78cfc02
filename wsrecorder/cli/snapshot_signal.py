"""SIGUSR1, which asks a black box for a snapshot: what becomes of it in a program that has none."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final

__all__ = ["ignoring_signal", "on_signal"]

_LOG: Final = logging.getLogger("wsrecorder.record")


@asynccontextmanager
async def on_signal(act: Callable[[], object]) -> AsyncIterator[None]:
    """Do something at each SIGUSR1 while the block runs, on an event loop; there is no such signal on Windows."""
    if sys.platform == "win32":
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, act)
    try:
        yield
    finally:
        # Ignored from now on: by default it would end the process while it seals.
        loop.remove_signal_handler(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def ignoring_signal(instead: str) -> AbstractAsyncContextManager[None]:
    """Warn at each SIGUSR1 while the block runs, which by default would end the process.

    Args:
        instead: What to do, in words.
    """
    return on_signal(partial(_LOG.warning, "SIGUSR1 is ignored: %s", instead))
