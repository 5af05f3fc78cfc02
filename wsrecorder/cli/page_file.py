"""A page that a command writes to a file."""

from __future__ import annotations

from pathlib import Path

from wsrecorder.cli.output import say, show_bytes
from wsrecorder.errors import StorageError, UsageError
from wsrecorder.store.place import Place

__all__ = ["check_is_free", "write_page"]


def check_is_free(place: Path, session: Place, *, option: str, overwrite: bool) -> None:
    """Refuse a file that is there, and any in the session, before anything is computed.

    Args:
        place: Where the page is to go.
        session: Where the session is kept.
        option: By which it was given.
        overwrite: A file that is there may be replaced.

    Raises:
        UsageError: The page cannot go there.
    """
    if session.resolve() in (place.resolve(), *place.resolve().parents):
        raise UsageError(f"{place} is part of the session", hint=f"name a file outside of the library with {option}")
    if not place.parent.is_dir():
        raise UsageError(f"there is no folder {place.parent}", hint=f"make it first, or name another with {option}")
    if place.is_dir():
        raise UsageError(f"{place} is a folder, expected a file", hint=f"name a file in it with {option}")
    if place.exists() and not overwrite:
        raise UsageError(
            f"{place} is there already", hint=f"name another with {option}, or replace it with --overwrite"
        )


def write_page(place: Path, page: str, *, note: str = "open it in a browser; it needs no network") -> None:
    """Write a page; it gets its name when it is whole.

    Args:
        place: Where it goes.
        page: What it holds.
        note: What is said of it.

    Raises:
        StorageError: It cannot be written.
    """
    from wsrecorder.jobs.staging import staging
    from wsrecorder.store import disk

    content = page.encode()
    with staging(place.parent) as folder:
        path = folder / place.name
        try:
            path.write_bytes(content)
        except OSError as exc:
            hint = "name another place, or free some space"
            raise StorageError(f"cannot write {place}: {exc.strerror or exc}", hint=hint) from exc
        disk.publish(path, place)
    say(f"{place} ({show_bytes(len(content))}): {note}")
