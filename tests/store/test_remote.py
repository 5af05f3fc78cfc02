from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import get_ident

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("obstore", reason="object storage is the extra s3")

from tests.store.buckets import bring, new_library
from tests.store.sessions import IDENTITY, STEP_NS, event, events, fill, layout, parquet_sink, read
from wsrecorder.core.event import Kind
from wsrecorder.errors import SegmentDamaged, SessionError, SessionNotFound
from wsrecorder.store.library import Library
from wsrecorder.store.manifest import MANIFEST_NAME, Manifest
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.object_file import ObjectFile
from wsrecorder.store.place import ObjectPath
from wsrecorder.store.remote import RemoteStore
from wsrecorder.store.removal import remove_session
from wsrecorder.store.schema import from_rows
from wsrecorder.store.segment import check_segment
from wsrecorder.store.segment_writer import write_segment
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore
from wsrecorder.store.upload import ManifestThere, bring_segment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sink = parquet_sink(tmp_path_factory.mktemp("library"))
    fill(sink, 250)
    return sink.path


@pytest.fixture(scope="module")
def place(folder: Path) -> ObjectPath:
    return bring(folder, new_library())


SELECTIONS = st.builds(
    Selection,
    from_seq=st.integers(0, 260),
    to_seq=st.none() | st.integers(0, 260),
    start_ns=st.none() | st.integers(0, 260 * STEP_NS),
    end_ns=st.none() | st.integers(0, 260 * STEP_NS),
    types=st.none() | st.just(frozenset({"T3", "T5"})),
    kinds=st.none() | st.just(frozenset({Kind.OPEN})),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(selection=SELECTIONS)
def test_it_gives_the_events_that_the_session_on_disk_gives(
    folder: Path, place: ObjectPath, selection: Selection
) -> None:
    assert read(RemoteStore(place), selection) == read(ParquetStore(folder), selection)


def test_it_is_read_on_the_threads_of_its_reader_alone(place: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of Arrow's in a file of ours, while the interpreter ends, would end the process."""
    readers: set[int] = set()
    read_before = ObjectFile.read

    def read(self: ObjectFile, size: int = -1) -> bytes:
        readers.add(get_ident())
        return read_before(self, size)

    monkeypatch.setattr(ObjectFile, "read", read)
    for _ in RemoteStore(place).batches(Selection()):
        pass

    assert readers == {get_ident()}


def test_it_is_the_same_session(folder: Path, place: ObjectPath) -> None:
    here, there = ParquetStore(folder), RemoteStore(place)

    assert there.manifest() == here.manifest()
    assert there.identity() == here.identity() == there.rebuilt_identity()
    assert there.journal_paths() == []
    assert [path.name for path in there.segment_paths()] == [path.name for path in here.segment_paths()]
    assert there.size_bytes == sum(path.stat().st_size for path in folder.glob("events/*.parquet"))


def test_the_manifest_of_a_sealed_session_is_fetched_once(place: ObjectPath) -> None:
    store = RemoteStore(place)
    before = place.objects.requests

    store.manifest()
    store.files()

    assert place.objects.requests == before


def test_one_that_grows_is_read_as_far_as_its_manifest_says(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1)
    place = bring(folder, new_library())
    store = RemoteStore(place)
    assert read(store) == events(40)
    assert not store.manifest().sealed

    grown = layout(tmp_path / "later", segments=2, journals=1)
    bring(grown, ObjectPath(place.root, "team/prod"))

    assert read(store) == events(80)  # what is in the journal has not left the recorder


def test_where_no_manifest_is_there_is_no_session(place: ObjectPath) -> None:
    for other in (place.parent, place / EVENTS_FOLDER, new_library()):
        with pytest.raises(SessionNotFound, match=r"is not a session: there is no session\.json"):
            RemoteStore(other)


def test_a_manifest_that_is_damaged_is_said_to_be(folder: Path) -> None:
    place = bring(folder, new_library())
    key = (place / MANIFEST_NAME).key
    place.objects.put(key, place.objects.get(key).replace(b"250", b"251", 1))

    with pytest.raises(SessionError, match="the checksum does not match"):
        RemoteStore(place)


def test_a_segment_that_is_gone_is_said_to_be(folder: Path) -> None:
    place = bring(folder, new_library())
    place.objects.delete([(place / EVENTS_FOLDER / "000002.parquet").key])

    with pytest.raises(SegmentDamaged, match=r"000002\.parquet is missing"):
        read(RemoteStore(place))


def test_a_segment_is_read_back_in_full_where_that_is_asked_for(folder: Path) -> None:
    place = bring(folder, new_library())
    path = place / EVENTS_FOLDER / "000001.parquet"
    assert check_segment(path) == ParquetStore(folder).manifest().segments[1]

    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.objects.put(path.key, bytes(content))

    with pytest.raises(SegmentDamaged, match="is damaged: its checksum is"):
        check_segment(path)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> ObjectPath:
    """A session of one segment of eight row groups."""
    place = new_library() / "session=large"
    path = tmp_path_factory.mktemp("large") / "000000.parquet"
    info = write_segment(_many_rows(), path, IDENTITY.to_metadata())
    bring_segment(path.read_bytes(), info, place)
    manifest = Manifest(
        identity=IDENTITY, sealed=True, events=info.rows, messages=info.rows,
        last_elapsed_ns=info.last_elapsed_ns, segments=[info],
    )  # fmt: skip
    ManifestThere(place).replace(manifest)
    return place


def _many_rows() -> Iterator[pa.RecordBatch]:
    """Yield events whose payloads no compression makes small."""
    chance = Random(7)
    for first in range(0, 8 * 65_536, 16_384):
        yield from_rows(
            [
                msgspec.structs.replace(
                    event(3), seq=seq, elapsed_ns=seq * STEP_NS, text=f"{chance.getrandbits(400):x}", type="T3"
                )
                for seq in range(first, first + 16_384)
            ]
        )


def test_a_narrow_look_fetches_narrow_columns(large: ObjectPath) -> None:
    objects, size_bytes = large.objects, RemoteStore(large).size_bytes
    before = objects.bytes_read

    rows = sum(len(batch) for batch in RemoteStore(large).batches(Selection(columns=("seq", "type"))))

    assert rows == 8 * 65_536
    assert objects.bytes_read - before < size_bytes / 20


def test_a_seek_into_the_middle_fetches_what_comes_there(large: ObjectPath) -> None:
    objects, size_bytes = large.objects, RemoteStore(large).size_bytes
    before, asked = objects.bytes_read, objects.requests

    first = next(RemoteStore(large).batches(Selection(start_ns=4 * 65_536 * STEP_NS)))

    assert first.column("seq")[0].as_py() == 4 * 65_536
    # That row group, and the one after it, which is on its way.
    assert objects.bytes_read - before < size_bytes * 2.1 / 8
    assert objects.requests - asked <= 5


def test_row_groups_come_one_ahead_of_their_reader(large: ObjectPath) -> None:
    objects, size_bytes = large.objects, RemoteStore(large).size_bytes
    batches = RemoteStore(large).batches(Selection())
    before = objects.bytes_read

    next(batches)

    assert objects.bytes_read - before < size_bytes * 2.1 / 8
    assert 1 + sum(1 for _ in batches) == 8 * 65_536 // 16_384


def test_notes_are_kept_beside_it_whoever_else_makes_some(folder: Path) -> None:
    place = bring(folder, new_library())
    book, other = NoteBook(place), NoteBook(place)
    assert book.all() == []

    notes = [
        each.add(text, elapsed_ns=number, received_ns=number, made_at_ns=number)
        for number, (each, text) in enumerate([(book, "one"), (other, "two"), (book, "three")])
    ]

    assert book.all() == other.all() == notes
    assert RemoteStore(place).files() == RemoteStore(place).files()


def test_one_that_is_removed_is_no_session_from_the_first_moment_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = new_library()
    place = bring(folder, library)
    gone: list[str] = []
    monkeypatch.setattr(place.objects, "delete", gone.extend)

    remove_session(place)

    assert gone[0] == (place / MANIFEST_NAME).key
    assert set(gone) == {found.key for found in place.objects.below(place.key)}
    monkeypatch.undo()
    remove_session(place)
    assert not place.exists()
    assert Library(library).paths() == []


def test_a_library_finds_it_by_all_its_names(folder: Path) -> None:
    library = new_library()
    place = bring(folder, library)
    found = Library(library)

    for reference in (
        str(place), "latest", IDENTITY.id, "20251124", "2025", "test", str(place).removeprefix(f"{library}/")
    ):  # fmt: skip
        assert found.find(reference).path == place, reference
    for reference in ("other", "20251125", f"{library}/feed=x/date=y/session=z"):
        with pytest.raises(SessionNotFound):
            found.find(reference)
    with pytest.raises(SessionNotFound, match="holds no session"):
        Library(new_library()).find("latest")


def test_a_recording_goes_on_from_the_last_of_its_feed(folder: Path) -> None:
    library = new_library()
    bring(folder, library)

    assert Library(library).predecessor("test", "ws://feed/ws/") == IDENTITY.id
    assert Library(library).predecessor("test", "ws://other/ws/") is None
    assert Library(library).predecessor("other", "ws://feed/ws/") is None
