"""A feed, and recorders that bring it into a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.cli.programs import Program, wsrec
from wsrecorder.core.event import Event
from wsrecorder.store.library import Library
from wsrecorder.store.place import place_of
from wsrecorder.store.schema import iter_events
from wsrecorder.store.selection import Selection

STREAM = "EVENTS"


@asynccontextmanager
async def feed(folder: Path, rate: int, seed: int = 1) -> AsyncIterator[str]:
    async with wsrec("simulate", "--port", "0", "--rate", str(rate), "--seed", str(seed), cwd=folder) as program:
        yield await program.url()


@asynccontextmanager
async def recorder(url: str, address: str, folder: Path, *more: str, name: str = "engine") -> AsyncIterator[Program]:
    """Record into the stream; the spool is kept, so that both can be compared."""
    arguments = ["record", url, "--name", name, "--into", address, "--replicas", "3", "--spool", folder / "spool"]
    async with wsrec(*arguments, "--keep-spool", *more, cwd=folder) as program:
        yield program


def spooled(folder: Path) -> dict[str, list[Event]]:
    """Return the events of each session on the recorder's own disk: what ought to be in the stream."""
    return events_in(folder / "spool" / f"nats-{STREAM}")


def events_in(library: Path | str) -> dict[str, list[Event]]:
    """Return the events of each session of a library."""
    return {
        store.identity().id: [event for rows in store.batches(Selection()) for event in iter_events(rows)]
        for store in Library(place_of(library)).stores()
    }
