from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import wsrecorder
from wsrecorder.core.event import Event, Kind
from wsrecorder.errors import StorageError, UsageError
from wsrecorder.jobs.convert import ImportOptions, import_file
from wsrecorder.jobs.export import ExportOptions, export_session
from wsrecorder.jobs.progress import Progress
from wsrecorder.store.schema import COLUMNS, SCHEMA

CAPTURE = b"""wss://feed.example <-> 1000.0
1001.0: {"type":"A","ts":1000500,"data":NaN}
1002.0: {"type":"B","ts":1001500,"data":"\xc3\xa9"}
wss://feed.example <- 1003.0: hello
1004.0: b'\\x00\\xff'
wss://feed.example <-> 1010.0
1011.0: {"type":"A","ts":1010500}
"""


@pytest.fixture
def session(tmp_path: Path) -> wsrecorder.Session:
    file = tmp_path / "FEED.ws.1.0"
    file.write_bytes(CAPTURE)
    return wsrecorder.open(import_file(ImportOptions(file=file, library=tmp_path / "lib")).path)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "out"
    path.mkdir()
    yield path
    assert [entry.name for entry in path.iterdir() if entry.name.startswith(".")] == [], "left behind"


def exported(session: wsrecorder.Session, out: Path | io.BytesIO, **options: Any) -> int:
    return export_session(session, ExportOptions(out=out, **options)).events


def test_jsonl_holds_every_event(session: wsrecorder.Session, folder: Path) -> None:
    result = export_session(session, ExportOptions(out=folder / "x.jsonl"))
    lines = (folder / "x.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(9))
    assert (result.path, result.format, result.events) == (folder / "x.jsonl", "jsonl", 9)
    assert result.size_bytes == (folder / "x.jsonl").stat().st_size


def test_csv_is_read_by_pythons_reader(session: wsrecorder.Session, folder: Path) -> None:
    exported(session, folder / "x.csv")
    with (folder / "x.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    events = list(session.events())
    assert [row["text"] for row in rows] == [event.text or "" for event in events]
    assert [int(row["received_ns"]) for row in rows] == [event.received_ns for event in events]


def test_parquet_is_one_file_with_the_sessions_schema(session: wsrecorder.Session, folder: Path) -> None:
    exported(session, folder / "x.parquet")
    table = pq.read_table(folder / "x.parquet")
    assert table.schema.equals(SCHEMA)
    assert json.loads(table.schema.metadata[b"wsrec.session"])["id"] == session.info.id
    assert table.column("binary").to_pylist() == [event.binary for event in session.events()]


def test_duckdb_is_the_session_again(session: wsrecorder.Session, folder: Path) -> None:
    exported(session, folder / "x.duckdb")
    again = wsrecorder.open(folder / "x.duckdb")
    assert list(again.events()) == list(session.events())
    same = (
        "id",
        "name",
        "feed",
        "start",
        "end",
        "events",
        "messages",
        "types",
        "connections",
        "gaps",
        "sealed",
        "health",
    )
    assert [getattr(again.info, name) for name in same] == [getattr(session.info, name) for name in same]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "duckdb"])
def test_every_format_is_written_from_a_duckdb_session_too(
    session: wsrecorder.Session, folder: Path, suffix: str
) -> None:
    exported(session, folder / "from.duckdb")
    assert exported(wsrecorder.open(folder / "from.duckdb"), folder / f"x.{suffix}") == 9
    exported(session, folder / f"y.{suffix}")
    if suffix in ("jsonl", "csv"):
        assert (folder / f"x.{suffix}").read_bytes() == (folder / f"y.{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("options", "seqs"),
    [
        ({"types": ("A",)}, [1, 8]),
        ({"exclude": ("A", "B")}, [0, 3, 4, 5, 6, 7]),
        ({"where": "seq % 4 = 0 OR type = 'B'"}, [0, 2, 4, 8]),
        ({"start": "4s"}, [4, 5, 6, 7, 8]),
        ({"end": "2s"}, [0, 1]),
        ({"start": "-1s"}, [6, 7, 8]),
        ({"start": "2s", "end": "11s", "types": ("B",)}, [2]),
        ({"types": ("no such type",)}, []),
    ],
)
def test_selection_keeps_the_sessions_numbers(
    session: wsrecorder.Session, folder: Path, options: dict[str, Any], seqs: list[int]
) -> None:
    assert exported(session, folder / "x.jsonl", **options) == len(seqs)
    assert [json.loads(line)["seq"] for line in (folder / "x.jsonl").read_bytes().splitlines()] == seqs


def test_part_as_duckdb_is_a_session_of_its_own(session: wsrecorder.Session, folder: Path) -> None:
    exported(session, folder / "x.duckdb", start="4s", exclude=("A",))
    part = wsrecorder.open(folder / "x.duckdb")
    events = list(part.events())
    assert [event.seq for event in events] == [0, 1, 2, 3]
    assert [event.elapsed_ns for event in events] == [0, 0, 6_000_000_000, 6_000_000_000]
    gap = next(event for event in events if event.kind is Kind.GAP)
    assert json.loads(gap.detail or "")["from_ns"] == 0
    assert part.info.start == "1970-01-01T00:16:44+00:00"
    assert part.info.id == "19700101T001644Z-FEED.ws.1.0-part"


def test_part_as_duckdb_may_be_empty(session: wsrecorder.Session, folder: Path) -> None:
    assert exported(session, folder / "x.duckdb", types=("no such type",)) == 0
    assert wsrecorder.open(folder / "x.duckdb").info.events == 0


def test_part_as_lines_comes_back_as_a_session_that_begins_with_it(session: wsrecorder.Session, folder: Path) -> None:
    exported(session, folder / "x.jsonl", start="4s")
    result = import_file(ImportOptions(file=folder / "x.jsonl", library=folder / "lib"))
    events: list[Event] = list(wsrecorder.open(result.path).events())
    assert [event.elapsed_ns for event in events] == [0, 0, 6_000_000_000, 6_000_000_000, 7_000_000_000]
    assert len(result.notes) == 2


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_stream_gets_the_same_bytes_as_a_file(session: wsrecorder.Session, folder: Path, form: str) -> None:
    out = io.BytesIO()
    result = export_session(session, ExportOptions(out=out, format=form))
    exported(session, folder / "x", format=form)
    assert out.getvalue() == (folder / "x").read_bytes()
    assert (result.path, result.size_bytes) == (None, None)


def test_closed_pipe_is_left_to_its_owner(session: wsrecorder.Session) -> None:
    class Closed(io.BytesIO):
        def write(self, _: Any) -> int:
            raise BrokenPipeError

    for form in ("jsonl", "csv"):
        with pytest.raises(BrokenPipeError):
            exported(session, Closed(), format=form)


def test_named_pipe_is_written_to_and_not_replaced(session: wsrecorder.Session, folder: Path) -> None:
    pipe = folder / "x.jsonl"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    exported(session, pipe)
    reader.join()
    assert len(found[0].splitlines()) == 9
    assert pipe.is_fifo()


@pytest.mark.parametrize("suffix", ["jsonl", "duckdb"])
def test_file_is_replaced_only_if_asked(session: wsrecorder.Session, folder: Path, suffix: str) -> None:
    out = folder / f"x.{suffix}"
    out.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is there already") as caught:
        exported(session, out)
    assert "--overwrite" in caught.value.hint
    assert out.read_bytes() == b"mine"
    assert exported(session, out, overwrite=True) == 9
    assert out.read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("x.xlsx", {}, "cannot tell a format"),
        ("x.jsonl", {"format": "payloads"}, "format 'payloads' cannot be exported"),
        ("x.db", {"format": "duckdb"}, "would not be found again as a session"),
        ("", {"format": "csv"}, "is a folder, expected a file"),
        ("absent/x.csv", {}, "there is no folder"),
        ("x.csv", {"start": "1h"}, "1h is outside the session"),
        ("x.csv", {"start": "soon"}, '"soon" is not a moment'),
    ],
)
def test_impossible_wish_is_a_usage_error(
    session: wsrecorder.Session, folder: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        exported(session, folder / name, **options)
    assert message in caught.value.message
    assert list(folder.iterdir()) == []


def test_duckdb_is_never_a_stream(session: wsrecorder.Session) -> None:
    with pytest.raises(UsageError, match="cannot be written to a stream"):
        exported(session, io.BytesIO(), format="duckdb")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "duckdb"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_failure_half_way_leaves_no_file(
    session: wsrecorder.Session, folder: Path, suffix: str, error: type[BaseException]
) -> None:
    def fail(_: Progress) -> None:
        raise error

    with pytest.raises((StorageError, error)):
        export_session(session, ExportOptions(out=folder / f"x.{suffix}"), fail)
    assert list(folder.iterdir()) == []


def test_full_disk_is_said(session: wsrecorder.Session) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StorageError, match="cannot write /dev/full: No space left on device"):
        exported(session, full, format="jsonl")


def test_progress_reaches_the_whole(session: wsrecorder.Session, folder: Path) -> None:
    seen: list[Progress] = []
    export_session(session, ExportOptions(out=folder / "x.csv"), seen.append)
    assert seen[-1] == Progress(9, 1.0)
