"""Notes: kept beside a session, never in it, and read whatever a crash left of the file."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.sessions import duckdb_sink, fill, new_folder, parquet_sink
from wsrecorder.errors import StorageError, UsageError
from wsrecorder.jobs.verify import verify
from wsrecorder.store.library import Library, open_store
from wsrecorder.store.notes import Note, NoteBook

AT = {"received_ns": 1_764_000_000_500_000_000, "made_at_ns": 1_764_000_001_000_000_000}


@pytest.fixture
def book(tmp_path: Path) -> NoteBook:
    return NoteBook(new_folder(tmp_path))


def test_without_a_note_there_is_no_file(book: NoteBook) -> None:
    assert book.all() == []
    assert not book.path.exists()


def test_notes_come_by_their_moments_and_those_of_one_in_the_order_of_making(book: NoteBook) -> None:
    for at_ns, text in ((50, "b"), (20, "a"), (50, "c")):
        book.add(text, elapsed_ns=at_ns, **AT)
    assert [(note.elapsed_ns, note.text) for note in book.all()] == [(20, "a"), (50, "b"), (50, "c")]


def test_a_note_is_a_line_as_the_format_says(book: NoteBook) -> None:
    made = book.add("  two lines\nof “text”  ", elapsed_ns=7, **AT)
    assert made == Note(elapsed_ns=7, text="two lines\nof “text”", **AT)
    assert book.path.name == "notes.jsonl"
    (line,) = book.path.read_bytes().splitlines()
    assert json.loads(line) == {"elapsed_ns": 7, "text": "two lines\nof “text”", **AT}


def test_keys_that_are_not_known_are_ignored(book: NoteBook) -> None:
    book.path.write_text('{"elapsed_ns": 1, "received_ns": 2, "text": "x", "made_at_ns": 3, "by": "me"}\n')
    assert book.all() == [Note(elapsed_ns=1, received_ns=2, text="x", made_at_ns=3)]


@given(st.data())
def test_a_line_that_was_cut_is_passed_over_and_the_next_note_is_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    book = NoteBook(new_folder(tmp_path_factory.mktemp("cut")))
    for number in range(3):
        book.add(f"note {number}", elapsed_ns=number, **AT)
    content = book.path.read_bytes()
    size_bytes = data.draw(st.integers(0, len(content)))
    book.path.write_bytes(content[:size_bytes])
    whole = [text for text in ("note 0", "note 1", "note 2") if f'"{text}"'.encode() in content[:size_bytes]]
    left = [note.text for note in book.all()]
    assert left in (whole, whole[:-1])  # a line may lack its end alone
    book.add("after", elapsed_ns=9, **AT)
    assert [note.text for note in book.all()] == [*left, "after"]


def test_what_cannot_be_read_is_counted(book: NoteBook) -> None:
    book.add("good", elapsed_ns=0, **AT)
    with book.path.open("ab") as file:
        file.write(b'\xff\xfe\n[1]\n\n{"elapsed_ns": 1}\n')
    assert [note.text for note in book.all()] == ["good"]
    assert book.unreadable_lines == 3


@pytest.mark.parametrize("text", ["", "  \n", "x" * 10_001])
def test_a_text_that_says_nothing_or_too_much_is_refused(book: NoteBook, text: str) -> None:
    with pytest.raises(UsageError):
        book.add(text, elapsed_ns=0, **AT)
    assert not book.path.exists()


def test_half_a_surrogate_pair_does_not_break_the_file(book: NoteBook) -> None:
    assert book.add("a\ud800b", elapsed_ns=0, **AT).text == "a?b"
    assert [note.text for note in book.all()] == ["a?b"]


def test_two_who_write_at_once_lose_nothing(book: NoteBook) -> None:
    def write(who: int) -> None:
        mine = NoteBook(book.store_path)
        for number in range(20):
            mine.add(f"{who} {number} " + "x" * 2_000, elapsed_ns=who, **AT)

    threads = [threading.Thread(target=write, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(book.all()) == 60
    assert book.unreadable_lines == 0


def test_a_disk_that_refuses_is_said(book: NoteBook) -> None:
    book.path.mkdir()
    with pytest.raises(StorageError):
        book.add("x", elapsed_ns=0, **AT)
    with pytest.raises(StorageError):
        book.all()


def test_a_sealed_session_stays_as_it_was(tmp_path: Path) -> None:
    sink = parquet_sink(tmp_path)
    fill(sink, 100)
    before = {path: path.read_bytes() for path in sink.path.rglob("*") if path.is_file()}
    NoteBook(sink.path).add("x", elapsed_ns=0, **AT)
    assert {path: path.read_bytes() for path in before} == before
    assert verify(open_store(sink.path)).is_sound


def test_notes_of_a_duckdb_file_lie_beside_it_and_are_no_session(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    fill(sink, 100)
    book = NoteBook(sink.path)
    book.add("x", elapsed_ns=0, **AT)
    assert book.path == tmp_path / "test.duckdb.notes.jsonl"
    assert Library(tmp_path).paths() == [sink.path]
