"""The connections of a session: which there were, since when, and how the server ended them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from wsrecorder.core.event import Kind
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store

__all__ = ["RecordedConnection", "read_connections"]

_ABNORMAL = 1006


@dataclass(frozen=True, slots=True)
class RecordedConnection:
    """A connection of a session.

    Attributes:
        conn: Its number.
        opened_ns: When it was opened, session time, ns.
        farewell: Close code and reason where it was the server that closed it, 1006 where that cut it; else None.
    """

    conn: int
    opened_ns: int
    farewell: tuple[int, str] | None = None


def read_connections(store: Store) -> list[RecordedConnection]:
    """Return the connections of a session in the order in which they were opened; blocks.

    Raises:
        SessionError: The session cannot be read.
    """
    found: dict[int, RecordedConnection] = {}
    selection = Selection(columns=("conn", "elapsed_ns", "kind", "detail"), kinds=frozenset({Kind.OPEN, Kind.CLOSE}))
    for rows in store.batches(selection):
        columns = [rows.column(name).to_pylist() for name in ("conn", "elapsed_ns", "kind", "detail")]
        for conn, elapsed_ns, kind, detail in zip(*columns, strict=True):
            if kind == Kind.OPEN:
                found.setdefault(conn, RecordedConnection(conn, elapsed_ns))
            elif conn in found:
                found[conn] = RecordedConnection(conn, found[conn].opened_ns, _farewell(detail))
    return list(found.values())


def _farewell(detail: str | None) -> tuple[int, str] | None:
    said = json.loads(detail or "{}")
    match said.get("cause"):
        case "the server cut the connection":
            return _ABNORMAL, ""
        case "closed by the server" | "closed by the feed":
            return said.get("code", _ABNORMAL), said.get("reason", "")
    return None
