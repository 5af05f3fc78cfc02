"""A cassette: a recorded dialogue as JSON lines, one line an event, to be kept beside the tests.

The lines are those of ``wsrec export --format jsonl``, so every command takes a cassette after ``wsrec import``. What
is read back is what was written, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wsrecorder.core.dialect import ENGINE, Dialect, EnvelopeReader
from wsrecorder.core.event import Event, Kind
from wsrecorder.errors import SessionError
from wsrecorder.formats.jsonl import JsonlReader, encode_lines
from wsrecorder.formats.lines import Lines
from wsrecorder.jobs.new_session import Target, make_session
from wsrecorder.jobs.placing import Placing
from wsrecorder.store import disk
from wsrecorder.store.library import open_store
from wsrecorder.store.manifest import Identity
from wsrecorder.store.replacing import replaced
from wsrecorder.store.schema import iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import Store
from wsrecorder.testing.blanks import Blanks

__all__ = ["BeforeRecord", "read_cassette", "write_cassette"]

BeforeRecord = Callable[[Event], Event | None]
"""Is given each event before it is kept, and returns what is kept in its place; None leaves it out."""


def write_cassette(path: Path, store: Store, blanks: Blanks, before_record: BeforeRecord | None = None) -> None:
    """Write a session as a cassette: the whole of it or nothing.

    Raises:
        StorageError: The disk refuses.
    """
    reader = EnvelopeReader(store.manifest().identity.dialect)
    batches: Iterator[Any] = (
        replaced(batch, blanks.payload, lambda detail: _without_address(blanks.detail(detail)), reader)
        for batch in store.batches(Selection())
    )
    if before_record is not None:
        batches = _chosen(batches, before_record)
    disk.make_directory(path.parent)
    disk.replace_atomically(path, b"".join(map(encode_lines, batches)))


def _chosen(batches: Iterable[Any], before_record: BeforeRecord) -> Iterator[Any]:
    placing: Placing | None = None
    for batch in batches:
        events = [kept for event in iter_events(batch) if (kept := before_record(event)) is not None]
        if events:
            placing = placing or Placing(events[0])
            yield placing.rows(events)


def _without_address(detail: str) -> str:
    """Return a mark's detail without the client's address: a port that differs each time tells nothing."""
    found = json.loads(detail)
    return json.dumps({key: value for key, value in found.items() if key != "client"})


def read_cassette(path: Path, folder: Path, dialect: Dialect = ENGINE) -> Store:
    """Make a session of a cassette.

    Args:
        path: The cassette.
        folder: Where the session is to be.
        dialect: Of the feed.

    Raises:
        SessionError: It cannot be read; the message names the line.
    """
    try:
        with path.open("rb") as file:
            reader = JsonlReader(Lines(file, str(path)))
            events = [event for batch in reader.batches() for event in batch]
    except OSError as exc:
        raise SessionError(f"cannot read {path}: {exc.strerror}", hint="check who may read it") from exc
    if not events or reader.notes:
        raise SessionError(
            f"{path}: {reader.notes[0]}" if reader.notes else f"{path} is empty",
            hint="restore the cassette, or record it anew with --wsrec-mode rewrite",
        )
    placing = Placing(events[0])
    opened: list[dict[str, Any]] = [json.loads(event.detail or "{}") for event in events if event.kind is Kind.OPEN]
    url = next((each["url"] for each in opened if each.get("url")), "")
    identity = Identity(
        id="",  # made with the session
        name="cassette",
        feed=url,
        path=urlsplit(url).path or "/",
        # Not each client need ask for one; to those that do not, none is given.
        subprotocol=next((each["subprotocol"] for each in opened if each.get("subprotocol")), None),
        dialect=dialect,
        started_ns=placing.started_ns,
    )
    return open_store(make_session(Target(library=folder), identity, [placing.rows(events)]).path)
