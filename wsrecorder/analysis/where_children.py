"""The processes that look at expressions of others, and one in reserve: they take a fifth of a second to begin."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["Child", "end_child", "keep_spare", "take_child"]

Child = subprocess.Popen[bytes]

_Spare = tuple[list[str], str, Child]

_lock: Final = threading.Lock()
_spares: Final[list[_Spare]] = []  # one at most


def take_child() -> Child:
    """Return a child that nobody has asked anything yet: the spare one, or one that begins now.

    Raises:
        OSError: None can be begun.
    """
    command, path = _command(), _path()
    while (spare := _take_spare()) is not None:
        spare_command, spare_path, child = spare
        if (spare_command, spare_path) == (command, path) and child.poll() is None:
            return child
        end_child(child)
    return _begun(command, path)


def keep_spare() -> None:
    """Let a child begin for whoever comes next, unless one waits already; it ends with us."""
    with _lock:
        if not _spares:
            with suppress(OSError):  # whoever comes next begins one then, or says why not
                command, path = _command(), _path()
                _spares.append((command, path, _begun(command, path)))


def end_child(child: Child) -> None:
    """End a child, whatever it is doing."""
    child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        assert stream is not None
        with suppress(OSError):
            stream.close()


def _take_spare() -> _Spare | None:
    with _lock:
        return _spares.pop() if _spares else None


@atexit.register
def _end_spare() -> None:
    if (spare := _take_spare()) is not None:
        end_child(spare[2])


def _command() -> list[str]:
    return [sys.executable, "-P", "-m", "wsrecorder.analysis.where_child"]


def _path() -> str:
    """Return where the child finds the very modules that we have, wherever we began."""
    return os.pathsep.join(path or str(Path.cwd()) for path in sys.path)


def _begun(command: list[str], path: str) -> Child:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
