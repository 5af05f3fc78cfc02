"""The program as its user has it: a process of its own, its exit code and what it printed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PROJECT = Path(__file__).parents[2]


class Program:
    """A running ``wsrec``.

    Attributes:
        lines: What it has printed to stderr so far.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, pattern: str) -> re.Match[str]:
        """Return the first match of a line on stderr, once there is one."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while line := (await self.process.stderr.readline()).decode():
                self.lines.append(line.rstrip())
                if found := re.search(pattern, line):
                    return found
        raise AssertionError(f"it ended without saying {pattern!r}: {self.lines}")

    async def url(self) -> str:
        """Return where it serves, once it does."""
        return (await self.says(r"ws://\S+")).group()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> tuple[int, str, str]:
        """Return exit code, stdout and all of stderr when it has ended."""
        async with asyncio.timeout(30):
            out, errors = await self.process.communicate()
        code = self.process.returncode
        assert code is not None
        return code, out.decode(), "\n".join([*self.lines, errors.decode()])


@asynccontextmanager
async def wsrec(*arguments: str | Path, cwd: Path) -> AsyncIterator[Program]:
    """Run ``wsrec`` in a folder, and see to it that it is gone at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wsrecorder", *map(str, arguments),
        cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def run(*arguments: str | Path, cwd: Path) -> tuple[int, str, str]:
    """Run ``wsrec`` in a folder to its end; return exit code, stdout and stderr."""
    async with wsrec(*arguments, cwd=cwd) as program:
        return await program.ended()
