from __future__ import annotations

from pathlib import Path

import pytest

from wsrecorder.errors import UsageError
from wsrecorder.formats.registry import FORMATS, choose_reader, choose_writer, session_name


@pytest.mark.parametrize(
    ("file", "name", "head", "wanted"),
    [
        ("COINBASE.ws.28.0", None, b"", "cryptofeed"),
        ("x.jsonl", None, b"", "jsonl"),
        ("X.NDJSON", None, b"", "jsonl"),
        ("capture.txt", None, b"1618677817.061845: {}", "cryptofeed"),
        ("x.jsonl", "payloads", b"", "payloads"),
        ("x.jsonl", "Cryptofeed", b"", "cryptofeed"),
        ("x.csv", None, b"", "csv"),
        ("saved", None, b"PAR1", "parquet"),
        ("x.HAR", None, b"", "har"),
        ("saved", None, b'\n{ "log": {', "har"),
    ],
)
def test_reader_is_told_by_option_name_or_first_line(file: str, name: str | None, head: bytes, wanted: str) -> None:
    assert choose_reader(Path(file), name, head).name == wanted


@pytest.mark.parametrize(
    ("file", "name", "message", "hint"),
    [
        ("x.txt", None, "cannot tell the format of x.txt", "--format: cryptofeed, jsonl, payloads"),
        ("x.duckdb", None, "x.duckdb is a duckdb file", "it is a session as it is"),
        ("x.jsonl", "duckdb", "format 'duckdb' cannot be imported", "cryptofeed, jsonl, payloads"),
        ("x.jsonl", "pcap", "format 'pcap' is unknown", "cryptofeed, jsonl, payloads"),
    ],
)
def test_what_cannot_be_imported_is_said(file: str, name: str | None, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_reader(Path(file), name, b"?")
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


def test_writer_is_told_by_option_or_name() -> None:
    assert [choose_writer(Path(f"x{suffix}"), None).name for known in FORMATS for suffix in known.suffixes] == [
        "jsonl",
        "jsonl",
        "csv",
        "parquet",
        "duckdb",
        "har",
        "mcap",
        "mitmproxy",
        "mitmproxy",
        "mitmproxy",
    ]
    assert choose_writer(Path("x.txt"), "csv").name == "csv"
    assert choose_writer(Path("FEED.ws.1.0"), None).name == "cryptofeed"
    assert choose_writer(None, "jsonl").name == "jsonl"


@pytest.mark.parametrize(
    ("file", "name", "message"),
    [
        (None, None, "standard output has no name"),
        ("x.xlsx", None, "cannot tell a format by the name x.xlsx"),
        ("x.csv", "payloads", "format 'payloads' cannot be exported"),
        ("x.csv", "xls", "format 'xls' is unknown"),
    ],
)
def test_what_cannot_be_exported_is_said(file: str | None, name: str | None, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_writer(Path(file) if file else None, name)
    assert caught.value.message.startswith(message)
    assert "jsonl, csv, parquet, duckdb" in caught.value.hint


@pytest.mark.parametrize(("file", "name"), [("a/b.jsonl", "b"), ("COINBASE.ws.28.0", "COINBASE.ws.28.0")])
def test_session_is_called_as_its_file(file: str, name: str) -> None:
    assert session_name(Path(file)) == name


def test_every_format_can_do_something() -> None:
    assert all(known.read or known.write or known.is_session for known in FORMATS)
