"""How a library is laid out in object storage: as one data set, partitioned by feed, day and session.

::

    PREFIX/feed=feed.example.com/date=2026-11-23/session=20261123T191500Z-engine/
        session.json                  the manifest
        events/000000.parquet …       sealed segments

Engines that know such folders (Spark, DuckDB, Polars, Trino) take ``feed``, ``date`` and ``session`` for columns, and
look only where a query needs them to. The folders are listed level by level: however many segments a library has,
only its days and sessions are gone through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit

from wsrecorder.core.event import from_epoch_ns
from wsrecorder.store.manifest import MANIFEST_NAME, Identity
from wsrecorder.store.place import SESSION_KEY, ObjectPath, label

__all__ = ["feed_folder", "newest", "session_place", "sessions"]

_FEED_KEY: Final = "feed="
_DATE_KEY: Final = "date="
_LISTERS: Final = 16


def session_place(library: ObjectPath, identity: Identity) -> ObjectPath:
    """Return where a session is kept in a library.

    Args:
        library: Where the library is.
        identity: What the session is; with its id.
    """
    date = f"{_DATE_KEY}{from_epoch_ns(identity.started_ns):%Y-%m-%d}"
    return feed_folder(library, identity.feed, identity.name) / date / f"{SESSION_KEY}{identity.id}"


def feed_folder(library: ObjectPath, feed: str, name: str) -> ObjectPath:
    """Return where the sessions of a feed are kept: by the host of its URL, or the name where it has none.

    Args:
        library: Where the library is.
        feed: URL of the feed, or what else is known of where events came from.
        name: A word for people.
    """
    parts = urlsplit(feed if re.fullmatch(r"\w+://[^\s,]+", feed) else "")
    host = re.sub(r"[^A-Za-z0-9._-]+", "-", parts.netloc.rpartition("@")[2]).strip("-")
    return library / f"{_FEED_KEY}{host or name}"


def sessions(library: ObjectPath, beginning: str = "", feed: str = _FEED_KEY) -> list[ObjectPath]:
    """Return where the sessions of a library are, oldest first; one that is just being removed may be among them.

    Args:
        library: Where the library is.
        beginning: How their ids begin; with a date at its beginning only that day is looked at.
        feed: How the folders of their feeds begin.

    Raises:
        StorageError: The store refuses or is away.
    """
    day = re.match(r"(\d{4})(\d{2})(\d{2})", beginning)
    date = f"{_DATE_KEY}{day[1]}-{day[2]}-{day[3]}" if day else _DATE_KEY
    with ThreadPoolExecutor(_LISTERS, thread_name_prefix="wsrec-list") as listers:
        dates = _below(listers, _below(listers, [library], feed), date)
        found = _below(listers, dates, f"{SESSION_KEY}{beginning}")
    return sorted(found, key=label)


def newest(library: ObjectPath) -> ObjectPath | None:
    """Return where the session is that began last; None where there is none.

    Raises:
        StorageError: The store refuses or is away.
    """
    with ThreadPoolExecutor(_LISTERS, thread_name_prefix="wsrec-list") as listers:
        feeds = _below(listers, [library], _FEED_KEY)
        last = [found for found in listers.map(_last_of_feed, feeds) if found is not None]
    return max(last, key=label, default=None)


def _last_of_feed(feed: ObjectPath) -> ObjectPath | None:
    for date in sorted(_named(feed, _DATE_KEY), reverse=True):
        for session in sorted(_named(date, SESSION_KEY), reverse=True):
            if (session / MANIFEST_NAME).is_file():
                return session
    return None


def _below(listers: ThreadPoolExecutor, folders: Iterable[ObjectPath], beginning: str) -> list[ObjectPath]:
    """Return the folders right below others whose names begin so."""
    return [found for below in listers.map(lambda folder: _named(folder, beginning), folders) for found in below]


def _named(folder: ObjectPath, beginning: str) -> list[ObjectPath]:
    found = (ObjectPath(folder.root, key) for key in folder.objects.folders(folder.key))
    return [place for place in found if place.name.startswith(beginning)]
