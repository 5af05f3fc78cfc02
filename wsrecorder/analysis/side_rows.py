"""What stands beside the events of sessions, as rows: the same for every engine that makes tables of them."""

from __future__ import annotations

from collections.abc import Iterable

from wsrecorder.store.notes import NoteBook
from wsrecorder.store.session import Store

__all__ = ["manifest_rows", "note_rows"]


def manifest_rows(stores: Iterable[Store]) -> list[tuple[str, str]]:
    """Return of each session its manifest, as JSON, and its path; of one that still grows the events are counted.

    Raises:
        SessionError: One of them cannot be read.
    """
    return [(store.manifest().to_json().decode(), str(store.path)) for store in stores]


def note_rows(stores: Iterable[Store]) -> list[tuple[str, int, int, str, int]]:
    """Return the notes that were made afterwards.

    Returns:
        Of each the id of its session, ns since that began, and UTC of that moment, µs since the epoch; its text; and
        when it was made, UTC, µs since the epoch.

    Raises:
        SessionError: One of the sessions cannot be read.
    """
    return [
        (store.identity().id, note.elapsed_ns, note.received_ns // 1_000, note.text, note.made_at_ns // 1_000)
        for store in stores
        for note in NoteBook(store.path).all()
    ]
