"""Readers of a session never double or miss an event, whatever is sealed, missing or damaged meanwhile."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.store.sessions import (
    IDENTITY,
    STEP_NS,
    batch,
    cut,
    event,
    events,
    fill,
    flip,
    journal,
    layout,
    new_folder,
    parquet_sink,
    read,
    seal,
)
from tests.store.test_selection import FILTERS, is_wanted
from wsrecorder.core.event import Event
from wsrecorder.errors import FormatTooNew, SegmentDamaged, SessionError, SessionNotFound, StorageError
from wsrecorder.store import disk
from wsrecorder.store.journal import JournalWriter
from wsrecorder.store.manifest import MANIFEST_NAME, Health, Manifest
from wsrecorder.store.schema import iter_events
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import EVENTS_FOLDER, ParquetStore


def segment(folder: Path, number: int) -> Path:
    return folder / EVENTS_FOLDER / f"{number:06d}.parquet"


# Reading


@pytest.mark.parametrize(("segments", "journals"), [(0, 0), (0, 1), (1, 0), (0, 3), (3, 0), (2, 2)])
def test_segments_and_journals_are_read_in_one_sequence(tmp_path: Path, segments: int, journals: int) -> None:
    folder = layout(tmp_path, segments=segments, journals=journals)
    assert read(ParquetStore(folder)) == events(40 * (segments + journals))


def test_an_empty_session_is_a_session(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path)
    manifest = sink.close(Health())
    store = ParquetStore(sink.path)
    assert read(store) == []
    assert store.manifest() == manifest
    assert (manifest.sealed, manifest.events, manifest.segments) == (True, 0, [])


def test_a_folder_of_nothing_is_not_read_as_an_empty_session(tmp_path: Path) -> None:
    store = ParquetStore(new_folder(tmp_path))
    with pytest.raises(SessionError, match="holds no manifest, no segment and no journal"):
        read(store)


@pytest.fixture(scope="module")
def three_parts(tmp_path_factory: pytest.TempPathFactory) -> ParquetStore:
    return ParquetStore(layout(tmp_path_factory.mktemp("library"), segments=2, journals=1))


@given(filters=FILTERS)
@settings(max_examples=150)
def test_what_is_read_equals_a_naive_filter(three_parts: ParquetStore, filters: dict[str, object]) -> None:
    wanted = [found for found in events(120) if is_wanted(found, filters)]
    assert read(three_parts, Selection(**filters)) == wanted  # type: ignore[arg-type]


def test_batches_are_never_empty(three_parts: ParquetStore) -> None:
    assert list(three_parts.batches(Selection(types=frozenset({"nobody's"})))) == []


def test_segments_that_cannot_matter_are_not_even_opened(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=3)
    segment(folder, 0).unlink()
    flip(segment(folder, 2), 99)
    store = ParquetStore(folder)
    wanted = Selection(from_seq=40, end_ns=80 * STEP_NS)
    assert read(store, wanted) == events(40, 40)


# Reading while it is recorded


class SealedMeanwhile(RuleBasedStateMachine):
    """A recorder appends, rotates and seals between the steps of a reader."""

    def __init__(self) -> None:
        super().__init__()
        self.library = Path(tempfile.mkdtemp(prefix="wsrec-test-"))
        self.folder = layout(self.library)
        self.next_seq = 0
        self.number = 0
        self.unsealed: list[int] = []
        self.writer: JournalWriter | None = None
        self.reader = iter(ParquetStore(self.folder).batches(Selection()))
        self.found: list[Event] = []
        self.least = 0
        self.is_reading = False

    @rule(count=st.integers(1, 5))
    def append(self, count: int) -> None:
        if self.writer is None:
            path = self.folder / EVENTS_FOLDER / f"{self.number:06d}.journal"
            self.writer = JournalWriter(path, IDENTITY.to_metadata(), sync=False)
        self.writer.append(batch(count, self.next_seq))
        self.next_seq += count

    @precondition(lambda self: self.writer is not None)
    @rule()
    def rotate(self) -> None:
        assert self.writer is not None
        self.writer.close()
        self.writer = None
        self.unsealed.append(self.number)
        self.number += 1

    @precondition(lambda self: self.unsealed)
    @rule()
    def seal_the_oldest(self) -> None:
        seal(self.folder, self.unsealed.pop(0))

    @rule()
    def read_on(self) -> None:
        if not self.is_reading:
            self.is_reading, self.least = True, self.next_seq
        rows = next(self.reader, None)
        if rows is None:
            self.check_and_begin_anew()
        else:
            self.found += iter_events(rows)
            assert self.found == events(len(self.found))

    def check_and_begin_anew(self) -> None:
        assert self.found == events(len(self.found))
        assert len(self.found) >= self.least
        self.reader = iter(ParquetStore(self.folder).batches(Selection()))
        self.found, self.is_reading = [], False

    def teardown(self) -> None:
        for rows in self.reader:
            self.found += iter_events(rows)
        self.check_and_begin_anew()
        if self.writer is not None:
            self.writer.abandon()
        shutil.rmtree(self.library)


SealedMeanwhile.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestSealedMeanwhile = SealedMeanwhile.TestCase


@pytest.mark.parametrize("look", range(1, 6))
def test_a_seal_between_two_looks_at_the_folder_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    folder = layout(tmp_path, segments=1, journals=2)
    list_names = disk.list_names
    looks = 0

    def sealing(path: Path) -> list[str]:
        nonlocal looks
        looks += 1
        found = list_names(path)
        if looks == look:
            monkeypatch.setattr(disk, "list_names", list_names)
            seal(folder, 1)
            seal(folder, 2)
        return found

    monkeypatch.setattr(disk, "list_names", sealing)
    assert read(ParquetStore(folder)) == events(120)


def test_what_a_folder_left_out_while_it_changed_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layout(tmp_path, segments=1, journals=2)
    list_names = disk.list_names
    monkeypatch.setattr(disk, "list_names", lambda path: [name for name in list_names(path) if "01" not in name])
    assert read(ParquetStore(folder)) == events(120)


def test_a_live_session_counts_what_is_there(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=2, journals=1)
    manifest = ParquetStore(folder).manifest()
    assert (manifest.events, manifest.sealed, len(manifest.segments)) == (120, False, 2)
    assert manifest.last_elapsed_ns == event(119).elapsed_ns
    assert manifest.connections == 3


# Missing and damaged


def test_a_missing_segment_is_named_before_anything_is_given(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=3)
    segment(folder, 1).unlink()
    with pytest.raises(SegmentDamaged, match=r"neither 000001\.parquet nor 000001\.journal") as caught:
        next(ParquetStore(folder).batches(Selection()))
    assert "verify" in caught.value.hint


def test_a_missing_last_segment_is_named_too(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=3)
    segment(folder, 2).unlink()
    with pytest.raises(SegmentDamaged, match=r"000002\.parquet"):
        read(ParquetStore(folder))


def test_a_damaged_segment_is_named_and_those_before_it_are_read(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=3)
    flip(segment(folder, 1), 300)
    reader = ParquetStore(folder).batches(Selection())
    assert list(iter_events(next(reader))) == events(40)
    with pytest.raises(SegmentDamaged, match=r"000001\.parquet is damaged"):
        next(reader)


def test_a_journal_cut_short_gives_a_prefix(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1, journals=1)
    cut(folder / EVENTS_FOLDER / "000001.journal", -40)
    assert read(ParquetStore(folder)) == events(60)


def test_a_journal_damaged_in_the_middle_of_a_session_is_a_hole(tmp_path: Path) -> None:
    folder = layout(tmp_path, journals=3)
    cut(folder / EVENTS_FOLDER / "000001.journal", -40)
    with pytest.raises(SegmentDamaged, match="has a hole at event 60: event 80 follows"):
        read(ParquetStore(folder))


def test_fewer_events_than_the_manifest_counts_are_a_hole(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    fill(sink, 80)
    segment(sink.path, 1).unlink()
    journal(sink.path, 1, 40, 20)
    with pytest.raises(SegmentDamaged, match="nothing follows, the manifest counts 80 events"):
        read(ParquetStore(sink.path))


def test_a_folder_that_may_not_be_read_is_not_an_empty_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layout(tmp_path, segments=1)

    def refuse(path: Path) -> list[str]:
        with disk.storage_errors(path):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(disk, "list_names", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        read(ParquetStore(folder))


def test_a_newer_manifest_is_refused(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1)
    content = json.loads((folder / MANIFEST_NAME).read_bytes())
    (folder / MANIFEST_NAME).write_text(json.dumps({**content, "format_version": 2}))
    for refused in (lambda: read(ParquetStore(folder)), ParquetStore(folder).manifest):
        with pytest.raises(FormatTooNew, match="version 2"):
            refused()


def test_a_manifest_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    (folder / MANIFEST_NAME).mkdir()
    with pytest.raises(SessionError, match=r"cannot read .*session\.json"):
        ParquetStore(folder).manifest()


# Without a manifest


@pytest.mark.parametrize("count", [0, 1, 40, 130])
def test_a_manifest_is_rebuilt_equal(tmp_path: Path, count: int) -> None:
    sink = parquet_sink(tmp_path, segment_events=40)
    manifest = fill(sink, count, size=10)
    (sink.path / MANIFEST_NAME).unlink()
    store = ParquetStore(sink.path)
    if not count:
        with pytest.raises(SessionError, match="no manifest, no segment and no journal"):
            store.manifest()
        return
    # Stalls and pauses, only the recorder knew; the rest of its health follows from the events.
    health = Health(reconnects=manifest.connections - 1, gaps=0)
    assert store.manifest() == msgspec.structs.replace(manifest, health=health)
    assert read(store) == events(count)


def test_a_session_without_manifest_is_read_up_to_its_journal(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1, journals=2)
    before = ParquetStore(folder).manifest()
    (folder / MANIFEST_NAME).unlink()
    store = ParquetStore(folder)
    assert read(store) == events(120)
    assert store.identity() == IDENTITY
    found = store.manifest()
    assert (found.events, found.types, found.sealed) == (before.events, before.types, False)


def test_identity_is_taken_from_whatever_is_sound(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=2, journals=1)
    (folder / MANIFEST_NAME).unlink()
    flip(segment(folder, 0), 99)
    segment(folder, 1).unlink()
    assert ParquetStore(folder).identity() == IDENTITY


def test_identity_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    newer = {**IDENTITY.to_metadata(), "wsrec.format_version": "9"}
    JournalWriter(folder / EVENTS_FOLDER / "000000.journal", newer).close()
    with pytest.raises(FormatTooNew, match="version 9"):
        ParquetStore(folder).identity()


def test_a_journal_sealed_before_it_is_asked_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layout(tmp_path, journals=1)
    (folder / MANIFEST_NAME).unlink()
    store = ParquetStore(folder)
    listed = store.files()
    seal(folder, 0)
    (folder / MANIFEST_NAME).unlink()
    monkeypatch.setattr(ParquetStore, "files", lambda self: listed)
    assert store.identity() == IDENTITY


# What is no session


def test_a_folder_of_something_else_is_no_session(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SessionNotFound, match="is not a session"):
            ParquetStore(path)


def test_files_of_other_names_are_left_alone(tmp_path: Path) -> None:
    folder = layout(tmp_path, segments=1)
    for name in ("000001.parquet.tmp", "7.parquet", "x.journal", "000001.journal.cut", "notes.txt", "².parquet"):
        (folder / EVENTS_FOLDER / name).write_text("not ours")
    assert read(ParquetStore(folder)) == events(40)


def test_a_manifest_alone_is_a_session(tmp_path: Path) -> None:
    Manifest(identity=IDENTITY).write(tmp_path)
    assert read(ParquetStore(tmp_path)) == []
