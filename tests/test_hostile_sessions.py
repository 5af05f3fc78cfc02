"""Sessions, references and files that somebody else made, to get at what is outside of the library."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from tests.jobs.replays import message, session
from wsrecorder.analysis.session import open_session
from wsrecorder.analysis.sql import connect
from wsrecorder.cli import main
from wsrecorder.errors import SessionError, SessionNotFound, UsageError, WsrecError
from wsrecorder.store.library import Library, open_store, safe_name
from wsrecorder.store.manifest import Manifest
from wsrecorder.store.notes import NoteBook
from wsrecorder.store.removal import sweep


class Place:
    """A library with a session, and something outside of it that must stay as it is.

    Attributes:
        library: The library.
        path: A sealed session in it.
        outside: A folder beside the library, with a file and another session.
    """

    def __init__(self, folder: Path) -> None:
        self.library, self.outside = folder / "library", folder / "outside"
        self.path = session(self.library, [message(n) for n in range(3)]).path
        self.other = session(self.outside, [message(n) for n in range(5)]).path
        self.file = self.outside / "precious"
        self.file.write_text("precious")
        self._before = self._look()

    def _look(self) -> dict[str, bytes | str]:
        return {
            str(path): path.read_bytes() if path.is_file() else oct(path.stat().st_mode)
            for path in [self.outside, *self.outside.rglob("*")]
        }

    def assert_untouched(self) -> None:
        assert self._look() == self._before

    def forge(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the manifest, and have it be as wsrec writes it."""
        manifest = msgspec.to_builtins(open_store(self.path).manifest())
        change(manifest)
        (self.path / "session.json").write_bytes(msgspec.convert(manifest, Manifest).to_json())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


COMMANDS = (
    ["cat"], ["info"], ["verify"], ["recover"], ["trim", "--to", "1s"], ["note", "--at", "0s"],
    ["export", "-o", "x.jsonl"], ["sql"],
)  # fmt: skip


def use(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Do all that can be done with a session; what comes of it is told, and nothing is raised."""
    monkeypatch.chdir(tmp_path)
    for command, *options in COMMANDS:
        words = [command, str(place.path), *options]
        if command == "note":
            words.insert(2, "a note")
        if command == "sql":
            words = ["sql", "SELECT * FROM events", "--session", str(place.path)]
        code = main([*words, *([] if command in ("cat", "info") else ["--library", str(place.library)])])
        assert code in (0, 1, 2, 4, 6), words
    assert main(["ls", "--library", str(place.library)]) in (0, 4)
    assert main(["prune", "--keep", "1s", "--library", str(place.library)]) in (0, 2, 4)


# References


@pytest.mark.parametrize(
    "reference", ["../outside/x", "..", "../..", "/etc", "a\0b", "\0", "*", ".", "x/../../outside/x", "latest/.."]
)
def test_a_reference_does_not_lead_out_of_the_library(place: Place, reference: str) -> None:
    place.other.rename(place.outside / "x")
    with pytest.raises((SessionNotFound, SessionError)):
        Library(place.library).find(reference)


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "..x", "~root", "$HOME", "x\n", "é/e"]
)
def test_a_name_stays_one_name_in_the_library(name: str, tmp_path: Path) -> None:
    safe = safe_name(name)
    assert safe == Path(safe).name
    session_id, path = Library(tmp_path / "library").create(name, 0)
    assert path.parent == tmp_path / "library"
    assert path.name == session_id
    with pytest.raises(UsageError):
        safe_name("../..")


# Manifests


@pytest.mark.parametrize(
    "name",
    ["../../../outside/precious", "/etc/passwd", "../events/000000.parquet", "000000.parquet/..", "x.parquet", "",
     "0.parquet", "000000.parquet\0", "000000.journal"],
)  # fmt: skip
def test_a_manifest_lists_segments_and_nothing_else(
    place: Place, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place.forge(lambda manifest: manifest["segments"][0].update(name=name))
    with pytest.raises(SessionError, match="no name of a segment"):
        open_store(place.path).manifest()
    use(place, monkeypatch, tmp_path)
    place.assert_untouched()


@pytest.mark.parametrize("session_id", ["../outside", "/etc/x", "a/b", "..", "", "a\0b", "a\\b"])
def test_a_manifest_names_a_session_of_the_library(
    place: Place, session_id: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place.forge(lambda manifest: manifest["identity"].update(id=session_id))
    with pytest.raises(SessionError, match="no name of a folder"):
        open_store(place.path).manifest()
    use(place, monkeypatch, tmp_path)
    place.assert_untouched()


@pytest.mark.parametrize("name", ["../../../outside/x", "/etc/x"])
def test_a_session_made_of_another_is_named_by_what_can_be_a_name(place: Place, name: str, tmp_path: Path) -> None:
    place.forge(lambda manifest: manifest["identity"].update(name=name))
    assert main(["trim", str(place.path), "--to", "1s", "--library", str(place.library)]) == 0
    place.assert_untouched()
    assert {path.parent for path in Library(place.library).paths()} == {place.library}


# Symbolic links


@pytest.mark.parametrize(
    ("link", "to"),
    [
        *((link, "session") for link in ("events", "session.json", "events/000000.parquet", "events/000001.parquet")),
        *((link, "precious") for link in (
            "events", "session.json", "events/000000.parquet", "events/000001.journal", "events/000000.journal",
            "notes.jsonl", "session.lock", "session.json.tmp", "events/000001.parquet.tmp",
        )),
    ],
)  # fmt: skip
def test_a_link_in_a_session_is_not_followed(
    place: Place, link: str, to: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = place.path / link
    target = place.file if to == "precious" else place.other / link.removesuffix(".tmp")
    if link == "events":
        target = place.other / "events"
        for each in path.iterdir():
            each.unlink()
        path.rmdir()
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    use(place, monkeypatch, tmp_path)
    place.assert_untouched()
    assert "precious" not in capsys.readouterr().out.replace(str(place.file), "")


def test_notes_are_not_written_through_a_link(place: Place) -> None:
    (place.path / "notes.jsonl").symlink_to(place.file)
    book = NoteBook(place.path)
    with pytest.raises(WsrecError, match="symbolic link"):
        book.add("x", elapsed_ns=0, received_ns=0, made_at_ns=0)
    with pytest.raises(WsrecError, match="symbolic link"):
        book.all()
    place.assert_untouched()


@pytest.mark.parametrize("name", ["20261124T000000Z-linked", ".wsrec-gone-abcdef"])
def test_pruning_removes_nothing_that_a_link_leads_to(place: Place, name: str) -> None:
    (place.library / name).symlink_to(place.other, target_is_directory=True)
    assert main(["prune", "--keep", "1s", "--library", str(place.library)]) == 0
    place.assert_untouched()
    assert (place.library / name).is_symlink()


def test_pruning_leaves_what_a_link_in_a_session_leads_to(place: Place) -> None:
    (place.path / "more").symlink_to(place.outside, target_is_directory=True)
    assert main(["prune", "--keep", "1s", "--library", str(place.library)]) == 0
    assert not place.path.exists()
    sweep(place.library)
    place.assert_untouched()


# DuckDB files


@pytest.mark.parametrize("table", ["events", "session"])
def test_a_view_in_a_duckdb_file_reads_no_file(place: Place, table: str, tmp_path: Path) -> None:
    path = tmp_path / "sent.duckdb"
    assert main(["trim", str(place.path), "--to", "9s", "--into", str(path)]) == 0
    with duckdb.connect(path) as connection:
        names = [row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()]
        first = "content" if table == "session" else "1"
        columns = ", ".join([f'{first} AS "{names[0]}"', *(f'content AS "{name}"' for name in names[1:])])
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"CREATE VIEW {table} AS SELECT {columns} FROM read_text('{place.file}')")
    with pytest.raises(WsrecError) as refused:
        list(open_session(path).events())
    with pytest.raises(WsrecError) as sql_refused, connect([open_store(path)]) as queries:
        queries.query("SELECT * FROM events").table()
    assert "precious" not in (refused.value.message + sql_refused.value.message).replace(str(place.file), "")


# Imports


def test_an_imported_file_names_nothing_outside(place: Place, tmp_path: Path) -> None:
    har = tmp_path / "x.har"
    entry = {
        "startedDateTime": "2026-11-24T08:00:00Z", "_resourceType": "websocket",
        "request": {"method": "GET", "url": "ws://../../../outside/../x\0/../../etc", "headers": []},
        "response": {"status": 101, "headers": []},
        "_webSocketMessages": [{"type": "receive", "time": 1795461300.0, "opcode": 1, "data": "{}"}],
    }  # fmt: skip
    har.write_text(
        json.dumps({"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": [entry]}})
    )
    for words in ([], ["--name", "../../outside/x"]):
        assert main(["import", str(har), "--library", str(place.library), *words]) == 0
    place.assert_untouched()
    found = Library(place.library).paths()
    assert len(found) == 3
    assert all(os.path.realpath(path.parent) == os.path.realpath(place.library) for path in found)
