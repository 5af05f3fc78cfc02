from __future__ import annotations

import ast
import os
import threading
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

import wsrecorder
from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.errors import SessionError, StorageError, UsageError, WsrecError
from wsrecorder.formats.lines import Lines
from wsrecorder.jobs import convert
from wsrecorder.jobs.convert import ExportOptions, Imported, ImportOptions, export_session, import_file
from wsrecorder.jobs.progress import Progress
from wsrecorder.store.library import Library

CAPTURE = (
    b"wss://feed.example/path?token=secret <-> 1618677816.5\n"
    b'1618677817.5: {"type":"A","ts":1618677817000}\n'
    b"1618677818.5: b'\\x00\\xff'\n"
)


def written(folder: Path, content: bytes, name: str = "FEED.ws.1.0") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def imported(file: Path, library: Path, **options: object) -> Imported:
    return import_file(ImportOptions(file=file, library=library, **options))  # type: ignore[arg-type]


def events_of(path: Path) -> list[Event]:
    return list(wsrecorder.open(path).events())


def test_capture_becomes_a_session_of_the_library(tmp_path: Path) -> None:
    library = tmp_path / "recordings"
    result = imported(written(tmp_path, CAPTURE), library, tool="wsrec test")
    assert Library(library).paths() == [result.path]
    assert [path.name for path in library.iterdir()] == ["20210417T164336Z-FEED.ws.1.0"]
    info = wsrecorder.open("FEED.ws.1.0", library=library).info
    assert (info.events, info.messages, info.connections, info.gaps, info.sealed) == (3, 2, 1, 0, True)
    assert (info.name, info.endpoint_path, info.tool, info.host) == ("FEED.ws.1.0", "/ws/", "wsrec test", "")
    assert info.feed == "wss://feed.example/path?token=***"
    assert info.types == {"A": 1}
    assert info.start == "2021-04-17T16:43:36.500000+00:00"
    assert result.manifest.events == 3
    assert (result.format, result.notes) == ("cryptofeed", ())
    assert "secret" not in (events_of(result.path)[0].detail or "")


def test_name_path_dialect_and_format_are_taken_as_given(tmp_path: Path) -> None:
    file = written(tmp_path, b'1.5: {"e":"x","E":7}\n', "odd.txt")
    dialect = Dialect(type_path="e", ts_path="E", heartbeat_type=None)
    result = imported(file, tmp_path / "lib", name="my feed", path="/stream", dialect=dialect, format="cryptofeed")
    identity = result.manifest.identity
    assert (identity.name, identity.path, identity.dialect) == ("my-feed", "/stream", dialect)
    assert identity.feed == "odd.txt"
    assert events_of(result.path)[0].type == "x"


def test_second_import_of_a_file_gets_a_name_of_its_own(tmp_path: Path) -> None:
    file = written(tmp_path, CAPTURE)
    first, second = imported(file, tmp_path / "lib"), imported(file, tmp_path / "lib")
    assert second.path.name == f"{first.path.name}-2"
    assert second.manifest.identity.id == second.path.name
    assert events_of(first.path) == events_of(second.path)


def test_import_into_a_duckdb_file(tmp_path: Path) -> None:
    result = imported(written(tmp_path, CAPTURE), tmp_path / "lib", into=tmp_path / "feed.duckdb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FEED.ws.1.0", "feed.duckdb"]
    info = wsrecorder.open(result.path).info
    assert (info.name, info.events, info.sealed) == ("feed", 3, True)


def test_cut_capture_is_imported_up_to_the_cut_and_that_is_said(tmp_path: Path) -> None:
    result = imported(written(tmp_path, CAPTURE[:-5]), tmp_path / "lib")
    assert result.manifest.events == 2
    assert len(result.notes) == 1
    assert result.notes[0].startswith("line 3 is cut short and was left out (")


def test_times_out_of_order_keep_the_order_of_the_file(tmp_path: Path) -> None:
    result = imported(written(tmp_path, b"5.0: a\n4.0: b\n6.0: c\n"), tmp_path / "lib")
    events = events_of(result.path)
    assert [event.text for event in events] == ["a", "b", "c"]
    assert [event.elapsed_ns for event in events] == [0, 0, 1_000_000_000]
    assert [event.received_ns for event in events] == [5_000_000_000, 4_000_000_000, 6_000_000_000]
    assert len(result.notes) == 1


def test_progress_reaches_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Progress] = []
    monkeypatch.setattr("wsrecorder.formats.builder.BATCH_EVENTS", 1)
    import_file(ImportOptions(file=written(tmp_path, CAPTURE), library=tmp_path / "lib"), seen.append)
    assert [progress.events for progress in seen] == [1, 2, 3]
    assert seen[-1].share == 1.0


def test_pipe_is_read_although_its_size_is_unknown(tmp_path: Path) -> None:
    pipe = tmp_path / "FEED.ws.1.0"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(CAPTURE,))
    writer.start()
    seen: list[Progress] = []
    result = import_file(ImportOptions(file=pipe, library=tmp_path / "lib"), seen.append)
    writer.join()
    assert result.manifest.events == 3
    assert seen[-1].share is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("FEED.ws.1.0", b"", "FEED.ws.1.0 is empty"),
        ("FEED.ws.1.0", b"\n\n", "FEED.ws.1.0 holds no event"),
        ("FEED.ws.1.0", CAPTURE + b"garbage\n" + CAPTURE, "line 4: not a line of a cryptofeed capture"),
        ("FEED.ws.1.0", CAPTURE + b"1.5: \xff\n" + CAPTURE, "line 4: not UTF-8"),
        ("FEED.ws.1.0", CAPTURE.decode().encode("utf-16"), "line 1: the file is UTF-16"),
        ("feed.jsonl", CAPTURE, "line 1: JSON is malformed"),
        ("feed.jsonl", b'{"type": "HEARTBEAT", "ts": 1, "data": {}}\n', "line 1: Object contains unknown field"),
        ("feed.jsonl", b"PAR1\x00\xff\n\x00\n", "line 1: "),
    ],
)
def test_unreadable_file_is_named_with_its_line_and_leaves_nothing(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    file = written(tmp_path, content, name)
    with pytest.raises(SessionError) as caught:
        imported(file, tmp_path / "new" / "lib")
    assert message in caught.value.message
    assert caught.value.message.startswith(str(file))
    assert [path.name for path in tmp_path.iterdir()] == [name]


CONTENTS = {
    "x.jsonl": b'{"seq":0,"received_ns":5,"text":"a"}\n',
    "x.har": b'{"log": {"entries": [{"request": {"url": "ws://a/"}, "_webSocketMessages": ['
    b'{"type": "send", "time": 5, "opcode": 1, "data": "a"}]}]}}',
    "FEED.ws.1.0": CAPTURE,
}


@pytest.mark.parametrize("name", ["x.jsonl", "x.har", "x.mcap"])
@pytest.mark.parametrize("held", [*CONTENTS, "x.mcap", "x.parquet", "x.csv"])
def test_file_of_another_format_than_its_name_says_is_an_error_with_its_place(
    tmp_path: Path, name: str, held: str
) -> None:
    if name == held:
        return
    source = imported(written(tmp_path, CAPTURE), tmp_path / "source").path
    content = CONTENTS.get(held)
    if content is None:
        export_session(wsrecorder.open(source), ExportOptions(out=tmp_path / held))
        content = (tmp_path / held).read_bytes()
    file = written(tmp_path, content, name)
    with pytest.raises(SessionError, match=r"(line|byte) [\d,]+: ") as caught:
        imported(file, tmp_path / "lib")
    assert caught.value.hint
    assert not (tmp_path / "lib").exists()


@pytest.mark.parametrize("name", ["x.har", "x.mcap"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_file_that_is_cut_off_leaves_nothing(tmp_path: Path, name: str, share: float) -> None:
    lines = b"".join(b'1618677817.5: {"type":"A","n":%d}\n' % number for number in range(20_000))
    session = wsrecorder.open(imported(written(tmp_path, lines), tmp_path / "source").path)
    export_session(session, ExportOptions(out=tmp_path / name))
    whole = (tmp_path / name).read_bytes()
    file = written(tmp_path, whole[: int(len(whole) * share)], name)
    with pytest.raises(SessionError, match=r"byte [\d,]+: "):
        imported(file, tmp_path / "lib")
    assert not (tmp_path / "lib").exists()


def test_what_the_format_cannot_hold_is_part_of_the_result(tmp_path: Path) -> None:
    session = wsrecorder.open(imported(written(tmp_path, CAPTURE), tmp_path / "lib").path)
    assert len(export_session(session, ExportOptions(out=tmp_path / "x.har")).notes) == 1
    assert export_session(session, ExportOptions(out=tmp_path / "x.mcap")).notes == ()


def test_error_after_many_batches_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsrecorder.formats.builder.BATCH_EVENTS", 1)
    library = tmp_path / "lib"
    library.mkdir()
    with pytest.raises(SessionError, match="line 4"):
        imported(written(tmp_path, CAPTURE + b"garbage\n" + CAPTURE), library)
    with pytest.raises(SessionError, match="line 4"):
        imported(tmp_path / "FEED.ws.1.0", library, into=library / "x.duckdb")
    assert list(library.iterdir()) == []


def test_line_over_the_limit_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "Lines", partial(Lines, most_bytes=1_000))
    with pytest.raises(SessionError, match="line 4: longer than 1,000 bytes"):
        imported(written(tmp_path, CAPTURE + b"1.5: " + b"x" * 2_000_000 + b"\n"), tmp_path / "lib")
    assert not (tmp_path / "lib").exists()


def test_disk_that_does_not_give_the_file_back_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Lines):
        def numbered(self) -> Iterator[tuple[int, bytes, bool]]:
            yield from islice(super().numbered(), 2)
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(convert, "Lines", Broken)
    monkeypatch.setattr("wsrecorder.formats.builder.BATCH_EVENTS", 1)
    with pytest.raises(SessionError, match=r"cannot read .*: Input/output error"):
        imported(written(tmp_path, CAPTURE), tmp_path / "lib")
    assert not (tmp_path / "lib").exists()


def test_name_taken_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    into = tmp_path / "x.duckdb"
    options = ImportOptions(file=written(tmp_path, CAPTURE), into=into)
    with pytest.raises(StorageError, match="came into being meanwhile"):
        import_file(options, lambda _: into.write_bytes(b"mine") and None)
    assert into.read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(ImportOptions(file=written(tmp_path, CAPTURE), library=tmp_path / "lib"), interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["FEED.ws.1.0"]


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("absent.jsonl", {}, "there is no file"),
        (".", {}, "is a folder, expected a file"),
        ("odd.txt", {}, "cannot tell the format"),
        ("odd.duckdb", {}, "is a duckdb file, which cannot be imported"),
        ("FEED.ws.1.0", {"format": "pcap"}, "format 'pcap' is unknown"),
        ("FEED.ws.1.0", {"name": "///"}, "holds no letter or digit"),
        ("FEED.ws.1.0", {"into": Path("x.db")}, "is no name of a DuckDB session"),
        ("FEED.ws.1.0", {"into": Path("there.duckdb")}, "is there already"),
    ],
)
def test_impossible_wish_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, options: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, CAPTURE)
    for name in ("odd.txt", "odd.duckdb", "there.duckdb"):
        written(tmp_path, b"?", name)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UsageError) as caught:
        imported(Path(file), Path("lib"), **options)
    assert message in caught.value.message
    assert sorted(tmp_path.iterdir()) == before


def test_library_that_is_a_file_is_said(tmp_path: Path) -> None:
    file = written(tmp_path, CAPTURE)
    with pytest.raises(StorageError, match="is a file, expected a folder"):
        imported(file, file)


def test_every_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WsrecError) as caught:
        imported(tmp_path / "absent", tmp_path / "lib")
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_lines_become_a_session_and_the_same_lines_again(tmp_path: Path) -> None:
    session = wsrecorder.open(imported(written(tmp_path, CAPTURE), tmp_path / "lib").path)
    export_session(session, ExportOptions(out=tmp_path / "a.jsonl"))
    again = wsrecorder.open(imported(tmp_path / "a.jsonl", tmp_path / "lib").path)
    export_session(again, ExportOptions(out=tmp_path / "b.jsonl"))
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert list(session.events()) == list(again.events())


def parsed(path: Path) -> list[tuple[str, bytes]]:
    """The frames of a capture, by means as unlike the reader's as can be."""
    frames = []
    for line in path.read_text().split("\n"):
        if not line or " <-> " in line[:2_000]:
            continue
        head, payload = line.split(": ", 1)
        direction = "out" if " <- " in head else "in"
        frames.append((direction, ast.literal_eval(payload) if payload[0] == "b" else payload.encode()))
    return frames


@pytest.mark.parametrize(
    ("name", "texts", "binaries", "sent", "feed"),
    [
        ("COINBASE.ws.28.0", 9_946, 0, 3, "wss://ws-feed.pro.coinbase.com"),
        ("BINANCE_DELIVERY.ws.1.0", 4_371, 0, 0, "wss://dstream.binance.com/stream"),
        ("HUOBI_SWAP.ws.1.0", 0, 1_296, 16, "wss://api.hbdm.com/swap-ws"),
    ],
)
def test_real_captures_come_in_whole(
    captures: Path, tmp_path: Path, name: str, texts: int, binaries: int, sent: int, feed: str
) -> None:
    result = imported(captures / name, tmp_path / "lib")
    assert result.notes == ()
    assert result.manifest.identity.feed.startswith(feed)
    events = events_of(result.path)
    assert events[0].kind is Kind.OPEN
    frames = events[1:]
    assert {event.kind for event in frames} == {Kind.MESSAGE}
    received = [event for event in frames if event.direction is Direction.IN]
    assert sum(event.text is not None for event in received) == texts
    assert sum(event.binary is not None for event in received) == binaries
    assert len(frames) - len(received) == sent
    assert [(event.direction.value, event.payload) for event in frames] == parsed(captures / name)
    for again in ("x.ws.1.0", "x.har", "x.mcap"):
        export_session(wsrecorder.open(result.path), ExportOptions(out=tmp_path / again))
        back = events_of(imported(tmp_path / again, tmp_path / "lib").path)
        assert back == events
    for suffix in ("jsonl", "duckdb"):
        export_session(wsrecorder.open(result.path), ExportOptions(out=tmp_path / f"x.{suffix}"))
    assert events_of(tmp_path / "x.duckdb") == events
    assert events_of(imported(tmp_path / "x.jsonl", tmp_path / "lib").path) == events
