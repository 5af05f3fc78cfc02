from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("obstore", reason="object storage is the extra s3")

from tests.store.buckets import new_library
from tests.store.sessions import IDENTITY, events, fill, layout, parquet_sink, read
from wsrecorder.errors import SegmentDamaged, StorageError
from wsrecorder.store.hive import session_place
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.remote import RemoteStore
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.upload import ManifestThere, bring_segment, bring_session


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sink = parquet_sink(tmp_path_factory.mktemp("library"))
    fill(sink, 250)
    return sink.path


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return ParquetStore(folder).manifest()


@pytest.fixture
def place(manifest: Manifest) -> ObjectPath:
    return session_place(new_library(), manifest.identity)


def content(folder: Path, manifest: Manifest, number: int = 0) -> bytes:
    return (folder / EVENTS_FOLDER / manifest.segments[number].name).read_bytes()


def test_a_segment_that_is_brought_twice_is_no_error(folder: Path, manifest: Manifest, place: ObjectPath) -> None:
    for _ in range(2):
        bring_segment(content(folder, manifest), manifest.segments[0], place)

    assert (place / EVENTS_FOLDER / "000000.parquet").read_bytes() == content(folder, manifest)


def test_a_segment_never_takes_the_place_of_another(folder: Path, manifest: Manifest, place: ObjectPath) -> None:
    path = place / EVENTS_FOLDER / "000000.parquet"
    path.objects.put_new(path.key, b"another")

    with pytest.raises(StorageError, match="is there already and holds something else"):
        bring_segment(content(folder, manifest), manifest.segments[0], place)

    assert path.read_bytes() == b"another"


def test_what_the_disk_has_damaged_does_not_get_there(folder: Path, manifest: Manifest, place: ObjectPath) -> None:
    damaged = bytearray(content(folder, manifest))
    damaged[100] ^= 1

    with pytest.raises(StorageError, match="is not as it was sealed"):
        bring_segment(bytes(damaged), manifest.segments[0], place)

    assert not place.exists()


def test_what_arrives_damaged_is_taken_back(
    folder: Path, manifest: Manifest, place: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_new = place.objects.put_new
    monkeypatch.setattr(place.objects, "put_new", lambda key, content: put_new(key, content[:-1]))

    with pytest.raises(StorageError, match="did not arrive as it was sent"):
        bring_segment(content(folder, manifest), manifest.segments[0], place)

    assert not place.exists()
    monkeypatch.undo()
    bring_segment(content(folder, manifest), manifest.segments[0], place)


def test_a_whole_session_is_there_when_its_manifest_is(folder: Path, manifest: Manifest, place: ObjectPath) -> None:
    for _ in range(2):
        bring_session(folder, manifest, place)

    assert read(RemoteStore(place)) == events(250)


def test_a_segment_that_left_before_must_be_there(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=2)
    manifest = ParquetStore(folder).manifest()
    place = session_place(new_library(), IDENTITY)
    bring_segment(content(folder, manifest), manifest.segments[0], place)
    (folder / EVENTS_FOLDER / "000000.parquet").unlink()
    bring_session(folder, manifest, place)
    assert read(RemoteStore(place)) == events(80)

    place.objects.delete([(place / EVENTS_FOLDER / "000000.parquet").key])
    with pytest.raises(SegmentDamaged, match=r"000000\.parquet is missing"):
        bring_session(folder, manifest, place)


def test_a_place_is_claimed_by_one_session(manifest: Manifest, place: ObjectPath) -> None:
    ManifestThere(place).claim(manifest)
    ManifestThere(place).claim(manifest)  # the answer was lost, or it was before a crash

    other = msgspec.structs.replace(manifest, identity=msgspec.structs.replace(manifest.identity, host="elsewhere"))
    with pytest.raises(FileExistsError):
        ManifestThere(place).claim(other)
    with pytest.raises(StorageError, match="is written by somebody else too"):
        ManifestThere(place).replace(other)
    assert RemoteStore(place).manifest() == manifest


def test_two_that_replace_a_manifest_notice_each_other(manifest: Manifest, place: ObjectPath) -> None:
    one, other = ManifestThere(place), ManifestThere(place)
    one.claim(manifest)
    other.claim(manifest)
    one.replace(msgspec.structs.replace(manifest, gaps=1))

    with pytest.raises(StorageError, match="is written by somebody else too"):
        other.replace(msgspec.structs.replace(manifest, gaps=2))

    assert RemoteStore(place).manifest().gaps == 1


def test_a_manifest_whose_answer_was_lost_is_no_error(
    manifest: Manifest, place: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ManifestThere(place)
    there.claim(manifest)
    put = place.objects.put

    def lose_the_answer(key: str, content: bytes, *, instead_of: str | None = None) -> str:
        put(key, content, instead_of=instead_of)
        raise StorageError("the connection was lost", hint="none")

    newer = msgspec.structs.replace(manifest, gaps=1)
    monkeypatch.setattr(place.objects, "put", lose_the_answer)
    with pytest.raises(StorageError, match="the connection was lost"):
        there.replace(newer)
    monkeypatch.undo()
    there.replace(newer)
    there.replace(msgspec.structs.replace(manifest, gaps=2))

    assert RemoteStore(place).manifest().gaps == 2
