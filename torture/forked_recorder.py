"""``wsrec record`` as a process of its own that starts in milliseconds: forked from one that has imported all of it.

What runs is the real command with its real arguments; only the interpreter and the imports are there beforehand.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

__all__ = ["ForkedRecorder", "warm_context"]

_WARM: Final = [
    "torture.forked_recorder", "wsrecorder.cli.app", "wsrecorder.cli.record", "wsrecorder.jobs.record",
    "wsrecorder.jobs.feed_recorder", "wsrecorder.store.sink", "wsrecorder.net.transport", "websockets.asyncio.client",
    "pyarrow.parquet", "duckdb", "rich.console", "asyncio",
]  # fmt: skip
_IF_INSTALLED: Final = ["picows", "uvloop"]
_PATIENCE_S: Final = 20.0


def warm_context() -> Any:
    """Return the way to start processes from one that has imported the recorder; Linux and macOS have it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_WARM + _IF_INSTALLED)  # what cannot be imported is passed over
    return context


class ForkedRecorder:
    """A recorder that runs until it is killed.

    Args:
        arguments: As given to ``wsrec record``.
        log: File that takes what it prints.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self.log = log
        self._process = warm_context().Process(target=_record, args=(list(arguments), str(log)))
        self._process.start()
        assert self._process.pid is not None
        self._pid: int = self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return bool(self._process.is_alive())

    @property
    def exit_code(self) -> int | None:
        """Its exit status; below 0 the signal that ended it."""
        code: int | None = self._process.exitcode
        return code

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        os.kill(self._pid, signal.SIGTERM)

    def freeze(self) -> int:
        """Send SIGSTOP and return, once every thread of it stands still, the monotonic time of the signal, ns.

        From then on its files and sockets are what they are at its death.
        """
        stop_ns = time.monotonic_ns()
        os.kill(self._pid, signal.SIGSTOP)
        deadline_s = time.monotonic() + _PATIENCE_S
        while self.is_running and not all(state in "TtZX" for state in self._states()):
            assert time.monotonic() < deadline_s, "a stopped process goes on"
        return stop_ns

    def waited_ns(self) -> int:
        """Return how long its threads waited for a processor so far, together, ns; 0 where the kernel does not say."""
        waited = 0
        for task in self._tasks():
            with suppress(OSError, ValueError, IndexError):
                waited += int((task / "schedstat").read_text().split()[1])
        return waited

    def kill(self) -> None:
        """Send SIGKILL and wait for its end."""
        self._process.kill()
        self._process.join(_PATIENCE_S)
        assert not self.is_running, "a killed process goes on"

    def _tasks(self) -> list[Path]:
        with suppress(OSError):
            return list(Path(f"/proc/{self._pid}/task").iterdir())
        return []

    def _states(self) -> list[str]:
        states = []
        for task in self._tasks():
            with suppress(OSError):
                states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
        return states


def _record(arguments: list[str], log: str) -> None:
    from wsrecorder.cli import main

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(["record", *arguments]))
