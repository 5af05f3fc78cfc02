"""SQL expressions of others: looked at in a process of their own, which may hold only so much.

One short expression over one event can ask for any amount of memory, ``len(range(1000000000)) > 0``, and DuckDB's
``memory_limit`` does not count what a row's value takes. So what comes through HTTP is given to a child, to which
the system gives no more than `MOST_BYTES` beside what it holds at its beginning. Who asks for more is told so; if
the child dies of it nothing else does.

Requests and answers are frames: how long the head and the body are, the head as JSON, the body as an Arrow stream. The
child says an empty one when it has begun, then answers each request by one: first what the expression looks at, then of
each batch for which events it is true. `where_children` has the next one begin before it is asked for.
"""

from __future__ import annotations

import json
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

from wsrecorder.analysis.where import Where
from wsrecorder.analysis.where_children import end_child, keep_spare, take_child
from wsrecorder.errors import UsageError, WsrecError
from wsrecorder.store.columns import joined, packed, unpacked

if TYPE_CHECKING:
    from wsrecorder.store.schema import RecordBatch

__all__ = ["MOST_BYTES", "OUT_OF_MEMORY", "ForeignWhere", "read_frame", "too_much", "write_frame"]

MOST_BYTES: Final = 512 << 20
"""What an expression may take, bytes; where the system cannot bound it (all but Linux) it may take any amount."""

OUT_OF_MEMORY: Final = 12
"""Exit code of a child that could not even say so."""

_MOST_ASKED_BYTES: Final = 32 << 20
"""What is asked at a time, bytes, of one event any number: it is part of what the child may take."""

_LENGTHS: Final = struct.Struct(">IQ")


class ForeignWhere(Where):
    """A condition on events that somebody else has written; `Where` says how it is used.

    Args:
        expression: As for `Where`.

    Raises:
        UsageError: It is no such expression, or takes more memory than it may.
        WsrecError: No process can be had for it.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self._turn = threading.Lock()
        try:
            self._child = take_child()
        except OSError as exc:
            raise _failed(f"cannot begin: {exc.strerror}") from exc
        self._end = weakref.finalize(self, end_child, self._child)
        try:
            assert self._child.stdout is not None
            if read_frame(self._child.stdout) is None:
                raise _failed(f"did not begin, it ended with {self._child.wait()}")
            head, _ = self._ask({"expression": expression}, b"")
        except BaseException:
            self.close()
            raise
        self.columns = tuple(head["columns"])
        self.names_session = bool(head["names_session"])
        keep_spare()

    def close(self) -> None:
        """End the child, whatever it is doing."""
        self._end()

    @contextmanager
    def _masking(self) -> Iterator[Callable[[RecordBatch, str], Any]]:
        def mask(batch: RecordBatch, session: str) -> Any:
            answers = (self._ask({"session": session}, packed(rows)) for rows in _pieces(batch.select(self.columns)))
            return joined(unpacked(body).column(0) for _, body in answers)

        yield mask

    def _ask(self, head: dict[str, Any], body: bytes | memoryview) -> tuple[dict[str, Any], bytes]:
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            with self._turn:
                write_frame(stdin, head, body)
                found = read_frame(stdout)
        except (OSError, ValueError):  # it has died, or was ended by `close`
            found = None
        if found is None:
            if not self._end.alive:
                raise UsageError("the expression is looked at no longer", hint="ask again")
            code = self._child.wait()  # it is about to end, or there would have been an answer
            # The system ends who holds too much by a signal, and so does C++ where it cannot say that it did.
            raise too_much() if code < 0 or code == OUT_OF_MEMORY else _failed(f"ended with {code}")
        if "message" in found[0]:
            raise UsageError(found[0]["message"], hint=found[0]["hint"])
        return found


def too_much() -> UsageError:
    """Return the error for an expression that takes more memory than it may."""
    return UsageError(
        f"the expression takes more than {MOST_BYTES >> 20} MiB of memory",
        hint="ask for less: over HTTP an expression makes no long lists or texts; --where of a command may",
    )


def _failed(how: str) -> WsrecError:
    return WsrecError(
        f"the process that looks at an expression {how}",
        hint=f'"{sys.executable} -m wsrecorder.analysis.where_child" says why; a filter by type and text needs none',
    )


def _pieces(batch: RecordBatch) -> Iterator[RecordBatch]:
    """Yield a batch in pieces that are small enough to be asked at a time."""
    if batch.nbytes <= _MOST_ASKED_BYTES or len(batch) <= 1:
        yield batch
        return
    half = len(batch) // 2
    yield from _pieces(batch.slice(0, half))
    yield from _pieces(batch.slice(half))


def write_frame(stream: IO[bytes], head: dict[str, Any], body: bytes | memoryview = b"") -> None:
    """Write one frame.

    Raises:
        OSError: Nobody reads.
    """
    told = json.dumps(head).encode()
    stream.write(_LENGTHS.pack(len(told), len(body)))
    stream.write(told)
    stream.write(body)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Return head and body of the next frame, None if there is no whole one any more."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_bytes, body_bytes = _LENGTHS.unpack(lengths)
    told, body = stream.read(head_bytes), stream.read(body_bytes)
    return (json.loads(told), body) if len(told) == head_bytes and len(body) == body_bytes else None
