"""A terminal with a program on it: what is typed, what is shown, and how the program leaves it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.cli.programs import PROJECT
from tests.jobs.replays import until

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal on which a program runs.

    Attributes:
        shown: All that was ever printed on it, without control sequences.
        process: The program.
    """

    def __init__(self, screen: int, its_end: int, process: asyncio.subprocess.Process) -> None:
        self.shown = ""
        self.process = process
        self._screen = screen
        self._its_end = its_end
        asyncio.get_running_loop().add_reader(screen, self._read)

    def _read(self) -> None:
        self.shown += ESCAPES.sub("", os.read(self._screen, 65_536).decode(errors="replace"))

    def press(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    async def shows(self, pattern: str, *, since: int = 0) -> re.Match[str]:
        """Return the first match among what was printed after so many characters, once there is one."""
        await until(lambda: re.search(pattern, self.shown[since:]) is not None)
        found = re.search(pattern, self.shown[since:])
        assert found is not None
        return found

    async def does(self, keys: bytes, pattern: str) -> None:
        """Press keys and wait until what they come to is shown."""
        since = len(self.shown)
        self.press(keys)
        await self.shows(pattern, since=since)

    @property
    def mode(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._its_end)

    @property
    def is_reading_keys(self) -> bool:
        """Whether keys come one by one and without an echo."""
        return not self.mode[3] & (termios.ICANON | termios.ECHO)

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            code = await self.process.wait()
        await asyncio.sleep(0)
        return code

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._screen)
        os.close(self._screen)
        os.close(self._its_end)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests that run under nohup have it ignored


@asynccontextmanager
async def terminal(*command: str | Path, cwd: Path, **environment: str) -> AsyncIterator[Terminal]:
    """Run a command on a terminal of its own, and see to it that it is gone at the end."""
    screen, its_end = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=cwd, stdin=its_end, stdout=its_end, stderr=its_end, start_new_session=True,
        preexec_fn=_take_terminal,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "TERM": "xterm", "COLUMNS": "120", **environment},
    )  # fmt: skip
    found = Terminal(screen, its_end, process)
    try:
        yield found
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        found.close()


def wsrec(*arguments: str | Path) -> list[str | Path]:
    """Return the command that runs ``wsrec``."""
    return [sys.executable, "-m", "wsrecorder", *arguments]
