"""Starting what is measured as its user would: in processes of their own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["WSREC", "Memory", "free_port", "json_of", "result_of", "started", "timed", "wsrec"]

WSREC = [sys.executable, "-m", "wsrecorder"]


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``python -m command`` beside us; it is ended when the block is left."""
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=30)


def result_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"{process.args} ended with {process.wait()} and printed nothing")
    return line


@contextmanager
def wsrec(*arguments: str, log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a command of wsrec beside us; it is stopped as Ctrl-C would when the block is left."""
    with log.open("w") as errors:
        process = subprocess.Popen([*WSREC, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(timeout=120)


def json_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the JSON that a command prints at its end."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.read().strip().splitlines()[-1])
    return found


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Memory:
    """Looks at the resident memory of a process, ten times a second.

    Args:
        pid: The process.
    """

    def __init__(self, pid: int) -> None:
        self.samples_mb: list[float] = []
        self._path = Path(f"/proc/{pid}/statm")
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._is_over.wait(0.1):
            try:
                pages = int(self._path.read_text().split()[1])
            except (OSError, IndexError):
                return
            self.samples_mb.append(pages * 4096 / 1e6)

    def stop(self) -> None:
        """Look no more."""
        self._is_over.set()
        self._thread.join()

    @property
    def peak_mb(self) -> float:
        """The most there was, MB."""
        return max(self.samples_mb, default=0.0)

    @property
    def growth(self) -> float:
        """Mean of the last third over mean of the middle third: 1 is flat."""
        third = max(1, len(self.samples_mb) // 3)
        middle, last = self.samples_mb[third : 2 * third], self.samples_mb[2 * third :]
        return (sum(last) / len(last)) / (sum(middle) / len(middle)) if middle and last else 1.0


def timed(process: subprocess.Popen[str]) -> float:
    """Return how long a process takes from now to its end, seconds."""
    began = time.perf_counter()
    process.wait()
    return time.perf_counter() - began
