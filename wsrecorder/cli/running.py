"""Running a job on an event loop until it is done or the user stops it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from wsrecorder.net.feed import loop_factory

if TYPE_CHECKING:
    from wsrecorder.jobs.mishaps import Mishaps

__all__ = ["run_until_stopped"]

_T = TypeVar("_T")


def run_until_stopped(job: Callable[[asyncio.Event], Awaitable[_T]], mishaps: Mishaps | None = None) -> _T:
    """Run a job on the fastest event loop installed; Ctrl-C, SIGTERM and a terminal that hangs up set its stop event.

    A second signal ends it the hard way, as it would have without us.

    Args:
        job: Takes the stop event and returns when it is set, everything in order.
        mishaps: Takes the errors that nobody waits for, in callbacks and tasks.
    """

    async def run() -> _T:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        if mishaps is not None:
            loop.set_exception_handler(mishaps.on_loop_error)

        def on_signal() -> None:
            stop.set()
            for number in numbers:
                loop.remove_signal_handler(number)

        numbers = [signal.SIGINT, signal.SIGTERM]
        if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup has it ignored
            numbers.append(signal.SIGHUP)
        for number in numbers:
            with suppress(NotImplementedError, RuntimeError):  # Windows, or not the main thread
                loop.add_signal_handler(number, on_signal)
        return await job(stop)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(run())
