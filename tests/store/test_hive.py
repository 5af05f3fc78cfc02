from __future__ import annotations

import msgspec
import pytest

pytest.importorskip("obstore", reason="object storage is the extra s3")

from tests.store.buckets import new_library
from tests.store.sessions import IDENTITY
from wsrecorder.store.hive import feed_folder, newest, session_place, sessions
from wsrecorder.store.manifest import MANIFEST_NAME
from wsrecorder.store.place import ObjectPath, label

ROOT = ObjectPath("memory://nobody", "team")


@pytest.mark.parametrize(
    ("feed", "folder"),
    [
        ("wss://feed.example.com/ws/", "feed=feed.example.com"),
        ("ws://127.0.0.1:8000/ws/?token=***", "feed=127.0.0.1-8000"),
        ("wss://***@feed.example.com/ws/", "feed=feed.example.com"),
        ("ws://[::1]:9/", "feed=1-9"),
        ("capture.har", "feed=engine"),
        ("", "feed=engine"),
        ("ws://a/ws/, ws://b/ws/", "feed=engine"),
    ],
)
def test_sessions_of_one_feed_are_kept_together(feed: str, folder: str) -> None:
    assert feed_folder(ROOT, feed, "engine").name == folder


def test_a_session_is_kept_by_feed_day_and_id() -> None:
    assert session_place(ROOT, IDENTITY) == ROOT / "feed=feed/date=2025-11-24/session=20251124T160000Z-test"


def _library(*ids: str) -> ObjectPath:
    library = new_library()
    for session_id in ids:
        feed = session_id.rpartition("-")[2]
        started_ns = IDENTITY.started_ns + (int(session_id[6:8]) - 24) * 86_400_000_000_000
        identity = msgspec.structs.replace(IDENTITY, id=session_id, feed=f"ws://{feed}/", started_ns=started_ns)
        path = session_place(library, identity) / MANIFEST_NAME
        path.objects.put_new(path.key, b"{}")
    return library


def test_sessions_are_listed_by_their_beginning_whatever_feed_they_are_of() -> None:
    ids = ["20251124T160000Z-b", "20251125T000000Z-a", "20251124T170000Z-a"]
    library = _library(*ids)

    assert list(map(label, sessions(library))) == sorted(ids)
    assert list(map(label, sessions(library, "20251124T1"))) == [ids[0], ids[2]]
    assert list(map(label, sessions(library, feed="feed=a"))) == [ids[2], ids[1]]
    assert sessions(new_library()) == []


def test_a_day_is_not_looked_at_for_an_id_of_another() -> None:
    library = _library(*(f"202511{day}T000000Z-a" for day in range(10, 30)))
    before = library.objects.requests

    assert len(sessions(library, "20251124T000000Z-a")) == 1
    assert library.objects.requests - before == 3  # the feeds, their days, the sessions of one


def test_the_newest_is_found_by_looking_at_the_last_day_of_each_feed() -> None:
    library = _library("20251124T160000Z-b", "20251125T000000Z-a", *(f"202511{day}T000000Z-b" for day in range(10, 20)))
    before = library.objects.requests

    assert label(newest(library) or ROOT) == "20251125T000000Z-a"
    assert library.objects.requests - before <= 1 + 2 * 3
    assert newest(new_library()) is None


def test_one_without_a_manifest_is_never_the_newest() -> None:
    library = _library("20251124T160000Z-a", "20251125T000000Z-a")
    gone = sessions(library)[-1]
    gone.objects.put_new((gone / "events/000000.parquet").key, b"")
    gone.objects.delete([(gone / MANIFEST_NAME).key])

    assert label(newest(library) or ROOT) == "20251124T160000Z-a"
