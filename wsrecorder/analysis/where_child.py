"""The child of `wsrecorder.analysis.foreign_where`: looks at the batches that come on standard input."""

from __future__ import annotations

import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import duckdb

from wsrecorder.analysis.foreign_where import MOST_BYTES, OUT_OF_MEMORY, read_frame, too_much, write_frame
from wsrecorder.analysis.where import Where
from wsrecorder.errors import UsageError
from wsrecorder.store.columns import packed, unpacked

__all__ = ["main"]

_STATUS: Final = Path("/proc/self/status")


def main() -> None:
    """Answer what is asked until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks, and ends us by closing the pipe
    _bound(MOST_BYTES)
    try:
        _serve(sys.stdin.buffer, sys.stdout.buffer)
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)


def _serve(source: IO[bytes], target: IO[bytes]) -> None:
    write_frame(target, {})
    where: Where | None = None
    while (asked := read_frame(source)) is not None:
        head, body = asked
        try:
            if where is None:
                where = Where(head["expression"])
                told: dict[str, Any] = {"columns": where.columns, "names_session": where.names_session}
                write_frame(target, told)
            else:
                _answer(where, head["session"], body, target)
        except (UsageError, MemoryError, ValueError, duckdb.Error) as exc:
            error = too_much() if _is_memory(exc) else exc
            hint = error.hint if isinstance(error, UsageError) else ""
            write_frame(target, {"message": str(getattr(error, "message", error)), "hint": hint})


def _answer(where: Where, session: str, body: bytes, target: IO[bytes]) -> None:
    [marked] = where.marked([unpacked(body)], (), session)
    write_frame(target, {}, packed(marked))


def _is_memory(exc: BaseException) -> bool:
    cause = exc.__cause__ or exc
    return isinstance(cause, (MemoryError, duckdb.OutOfMemoryException)) or "bad_alloc" in str(cause)


def _bound(more_bytes: int) -> None:
    """Let this process hold so much more than it does now, where the system can be told so."""
    found = re.search(r"^VmData:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE) if _STATUS.exists() else None
    if found is None:
        return
    import resource  # of Unix alone

    most = (int(found[1]) << 10) + more_bytes
    with suppress(ValueError, OSError):  # it is bounded more tightly already
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    main()
