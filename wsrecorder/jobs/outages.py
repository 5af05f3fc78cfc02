"""When the recorded connections were lost, and for how long there was none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wsrecorder.core.event import Kind
from wsrecorder.core.fault import CUT, can_be_sent
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["Outage", "read_outages"]

_NO_STATUS = 1005  # a close frame came, without a code
_NORMAL = 1000


@dataclass(frozen=True, slots=True)
class Outage:
    """One connection that was lost.

    Attributes:
        elapsed_ns: When, ns since the beginning of the earliest session.
        length_ns: How long it took until the next one was open, ns; 0 if there was none.
        code: Its close code; 1006 where no close frame came.
        reason: Reason beside the code.
    """

    elapsed_ns: int
    length_ns: int
    code: int
    reason: str


def read_outages(stores: Sequence[Store]) -> list[Outage]:
    """Return the outages of all sessions by time, as far as they have come.

    Raises:
        SessionError: A session cannot be read.
    """
    started_ns = [store.manifest().identity.started_ns for store in stores]
    began_ns = min(started_ns, default=0)
    found = [
        outage
        for store, start_ns in zip(stores, started_ns, strict=True)
        for outage in _read(store, start_ns - began_ns)
    ]
    return sorted(found, key=lambda outage: outage.elapsed_ns)


def _read(store: Store, shift_ns: int) -> Iterator[Outage]:
    marks = Selection(columns=("kind", "conn", "elapsed_ns", "detail"), kinds=frozenset({Kind.OPEN, Kind.CLOSE}))
    closed: tuple[int, str] | None = None
    there: set[int] = set()  # a session may hold several connections at a time: it is an outage when none is left
    for rows in store.batches(marks):
        columns = (rows.column(name).to_pylist() for name in marks.columns)
        for kind, conn, elapsed_ns, detail in zip(*columns, strict=True):
            if closed is not None:
                yield _outage(*closed, length_ns=elapsed_ns + shift_ns - closed[0] if kind == Kind.OPEN else 0)
                closed = None
            if kind == Kind.OPEN:
                there.add(conn)
                continue
            there.discard(conn)
            if not there:
                closed = elapsed_ns + shift_ns, detail
    if closed is not None:
        yield _outage(*closed, length_ns=0)


def _outage(elapsed_ns: int, detail_text: str | None, *, length_ns: int) -> Outage:
    detail = json.loads(detail_text or "{}")
    code = detail.get("code")
    if code == _NO_STATUS:
        code = _NORMAL  # the nearest that can be sent
    elif not isinstance(code, int) or not can_be_sent(code):
        code = CUT
    return Outage(elapsed_ns, length_ns, code, str(detail.get("reason", "")))
