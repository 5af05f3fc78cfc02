"""The events of many sessions: in order, each under its own session, and read no further than they are needed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from docs.example import MONDAY, add_crashed, add_session
from wsrecorder.analysis.sql import connect
from wsrecorder.errors import SegmentDamaged
from wsrecorder.store.library import Library
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.selection import Selection
from wsrecorder.store.session import EVENTS_FOLDER, Store

NAMES = ("one", "two", "three")
COUNT = "select session, count(text) as n from events group by all order by all"


def rows(stores: list[Store], query: str) -> list[tuple[Any, ...]]:
    with connect(stores) as queries:
        columns = queries.query(query).table().columns
        return list(zip(*(column.to_pylist() for column in columns), strict=True))


def scans(stores: list[Store]) -> int:
    """Return how many readers of segments a query over all events has."""
    return str(rows(stores, "explain select count(text) from events")[0][1]).count("READ_PARQUET")


def library_of(folder: Path, segment_bytes: int = 20_000) -> list[Store]:
    """Fill a library with sessions of several segments, one a day, and return them in order."""
    for day, name in enumerate(NAMES):
        add_session(folder, name, MONDAY + timedelta(days=day), 200 + day, segment_bytes=segment_bytes)
    return list(Library(folder).stores())


def spoil(path: Path) -> None:
    """Damage all segments of a session in a way that none can be opened, and no size tells."""
    for segment in (path / EVENTS_FOLDER).iterdir():
        segment.write_bytes(bytes(segment.stat().st_size))


def expected(stores: list[Store]) -> list[tuple[str, int]]:
    """Return what the stores themselves say: session and number of each event, in order."""
    return [
        (store.identity().id, seq)
        for store in stores
        for batch in store.batches(Selection(columns=("seq",)))
        for seq in batch.column("seq").to_pylist()
    ]


def test_sessions_have_one_reader_and_keep_their_order(tmp_path: Path) -> None:
    stores = library_of(tmp_path)
    assert scans(stores) == 1
    assert rows(stores, "select session, seq from events") == expected(stores)
    stores.reverse()
    assert rows(stores, "select session, seq from events") == expected(stores)
    assert rows(stores, "select distinct typeof(session) from events") == [("VARCHAR",)]


def test_one_that_is_alone_has_a_reader_that_names_it(tmp_path: Path) -> None:
    [first, *_] = library_of(tmp_path)
    [(made_of,)] = rows([first], "select sql from duckdb_views() where view_name = 'events'")
    assert f"'{first.identity().id}' AS " in made_of
    assert "filename" not in made_of


def test_other_forms_and_what_is_not_sealed_stand_between(tmp_path: Path) -> None:
    for day, name in enumerate("abcde"):
        start = MONDAY + timedelta(days=day)
        match name:
            case "c":
                add_crashed(tmp_path, name, start, 100)
            case _:
                add_session(tmp_path, name, start, 100, into="20261126T191500Z-d.duckdb" if name == "d" else None)
    stores = list(Library(tmp_path).stores())
    assert scans(stores) == 2, "of the first two, and of the last; the crashed one has no segment"
    assert rows(stores, "select session, seq from events") == expected(stores)


@pytest.mark.parametrize("name", ["renamed", "20261124T191500Z-two=", "it's *[2]"])
def test_a_folder_of_another_name_is_the_session_that_its_manifest_says(tmp_path: Path, name: str) -> None:
    library_of(tmp_path)
    (tmp_path / "20261124T191500Z-two").rename(tmp_path / name)
    stores = list(Library(tmp_path).stores())
    assert sorted(rows(stores, COUNT)) == [(f"202611{23 + day}T191500Z-{NAMES[day]}", 200 + day) for day in range(3)]
    assert rows(stores, "select session, seq from events") == expected(stores)


def test_an_id_that_looks_like_a_folder_in_object_storage_is_whole(tmp_path: Path) -> None:
    for store in library_of(tmp_path):
        manifest = store.manifest()
        path = tmp_path / f"name={manifest.identity.id}"
        (tmp_path / manifest.identity.id).rename(path)
        manifest.identity = msgspec.structs.replace(manifest.identity, id=path.name)
        manifest.write(path)
    stores = list(Library(tmp_path).stores())
    assert rows(stores, "select session, seq from events") == expected(stores)


@pytest.mark.parametrize("name", ["it's", "a[1]", "50% *", "x=y", "session=z"])
def test_the_library_may_be_called_anything(tmp_path: Path, name: str) -> None:
    stores = library_of(tmp_path / name)
    assert scans(stores) == 1
    assert rows(stores, "select session, seq from events") == expected(stores)


def test_folders_named_as_in_object_storage_are_told_apart(tmp_path: Path) -> None:
    library_of(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / f"session={path.name}")
    stores = list(Library(tmp_path).stores())
    assert scans(stores) == 1
    assert rows(stores, "select session, seq from events") == expected(stores)


@pytest.mark.parametrize(
    "condition",
    [
        "session = '{0}'",
        "session in ('{0}', 'x')",
        "session like '{0}%' and seq >= 0",
        "split_part(session, '-', 2) = 'two'",
    ],
)
def test_a_condition_on_the_session_opens_no_other_file(tmp_path: Path, condition: str) -> None:
    stores = library_of(tmp_path)
    spoil(tmp_path / "20261125T191500Z-three")
    query = f"select count(text) from events where {condition.format('20261124T191500Z-two')}"
    assert rows(stores, query) == [(201,)]
    with pytest.raises(SegmentDamaged, match="three"):
        rows(stores, "select count(text) from events")


@pytest.mark.parametrize("count", [1, 3])
def test_a_damaged_segment_is_named_even_if_it_is_the_first(tmp_path: Path, count: int) -> None:
    stores = library_of(tmp_path)[:count]
    spoil(tmp_path / "20261123T191500Z-one")
    with pytest.raises(SegmentDamaged, match=r"one/events/000000\.parquet"):
        connect(stores)


def test_views_of_the_manifests_and_notes_have_a_row_each(tmp_path: Path) -> None:
    stores = library_of(tmp_path)
    for day, store in enumerate(stores):
        NoteBook(store.path).add(f"it's {day}", elapsed_ns=day, received_ns=day * 1_000, made_at_ns=2_000)
    assert rows(stores, "select session, messages from sessions") == [
        (store.identity().id, 200 + day) for day, store in enumerate(stores)
    ]
    assert rows(stores, "select text, elapsed_ns, epoch_us(received_at), epoch_us(made_at) from notes") == [
        (f"it's {day}", day, day, 2) for day in range(3)
    ]
