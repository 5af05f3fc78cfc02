"""What jobs make of a session in object storage is what they make of it on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("obstore", reason="object storage is the extra s3")

from tests.jobs.replays import message, played, session
from tests.store.buckets import bring, new_library
from wsrecorder.analysis.session import Session
from wsrecorder.core.moment import parse_moment
from wsrecorder.core.retention import Limit
from wsrecorder.errors import UsageError
from wsrecorder.jobs.new_session import Target
from wsrecorder.jobs.prune import plan, prune
from wsrecorder.jobs.recover import recover
from wsrecorder.jobs.trim import TrimOptions, trim
from wsrecorder.jobs.verify import verify
from wsrecorder.store.manifest import MANIFEST_NAME
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.remote import RemoteStore
from wsrecorder.store.session import EVENTS_FOLDER, Store


@pytest.fixture
def ten(tmp_path: Path) -> Store:
    """A message a second, in segments of three."""
    return session(tmp_path / "here", [message(n, "AB"[n % 2]) for n in range(10)], batch=1, segment_s=2)


@pytest.fixture
def place(ten: Store) -> ObjectPath:
    assert isinstance(ten.path, Path)
    return bring(ten.path, new_library())


@pytest.mark.parametrize("options", [{}, {"start": parse_moment("4.5s")}, {"types": frozenset("B")}])
async def test_a_replay_sends_the_same_at_the_same_times(
    ten: Store, place: ObjectPath, options: dict[str, object]
) -> None:
    here = await played(ten, **options)
    there = await played(RemoteStore(place), **options)

    assert there.sent == here.sent
    assert there.sent


async def test_a_replay_that_begins_late_leaves_what_came_before_where_it_is(place: ObjectPath) -> None:
    before = place.objects.requests

    await played(RemoteStore(place), start=parse_moment("9s"))

    assert place.objects.requests - before <= 3  # manifest, and of the last segment its end, which is all of it


def test_it_is_verified_to_the_last_byte(place: ObjectPath) -> None:
    assert verify(RemoteStore(place)).findings == []

    path = place / EVENTS_FOLDER / "000001.parquet"
    content = bytearray(path.read_bytes())
    content[50] ^= 1
    path.objects.put(path.key, bytes(content))

    report = verify(RemoteStore(place))
    assert not report.is_sound
    assert report.findings[0].where == "events/000001.parquet"


def test_a_stray_object_among_its_segments_is_named(place: ObjectPath) -> None:
    stray = place / EVENTS_FOLDER / "000009.parquet"
    stray.objects.put_new(stray.key, b"")

    assert [finding.where for finding in verify(RemoteStore(place)).findings] == ["events/000009.parquet"]


def test_a_part_of_it_becomes_a_session_on_disk(tmp_path: Path, ten: Store, place: ObjectPath) -> None:
    made = trim(
        Session(RemoteStore(place)),
        TrimOptions(target=Target(library=tmp_path / "made"), start="2s", end="5s"),
    )

    assert made.manifest.messages == 3


def test_what_has_had_its_time_goes(place: ObjectPath) -> None:
    library = ObjectPath(place.root, "team/prod")
    verdicts = plan(library, Limit(age_ns=1), now_ns=1 << 62)

    done = prune(library, verdicts)

    assert done.errors == []
    assert done.removed == ["20251124T160000Z-test"]
    assert not (place / MANIFEST_NAME).exists()


def test_nothing_is_mended_there(place: ObjectPath) -> None:
    with pytest.raises(UsageError, match="recovering a session needs a folder on a disk"):
        recover(RemoteStore(place))
