"""Which formats there are, and which one a file is in: by ``--format``, its name, or its first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from wsrecorder.core.dialect import Dialect
from wsrecorder.core.event import Event
from wsrecorder.errors import UsageError
from wsrecorder.formats.columns import CsvReader, ParquetReader
from wsrecorder.formats.cryptofeed import CryptofeedReader, is_capture
from wsrecorder.formats.cryptofeed_export import write_cryptofeed
from wsrecorder.formats.csv import write_csv
from wsrecorder.formats.har import HarReader, is_har
from wsrecorder.formats.har_export import write_har
from wsrecorder.formats.jsonl import JsonlReader, write_jsonl
from wsrecorder.formats.lines import Lines
from wsrecorder.formats.mcap import McapReader, is_mcap
from wsrecorder.formats.mcap_export import write_mcap
from wsrecorder.formats.mitmproxy import FlowReader, is_flow_file, write_flows
from wsrecorder.formats.parquet import write_parquet
from wsrecorder.formats.payloads import PayloadReader

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMATS", "Format", "Reader", "choose_reader", "choose_writer", "session_name"]


class Reader(Protocol):
    """Reads a file of one format.

    Attributes:
        feed: URL of the feed, empty where the file does not name it.
        notes: What should be said of the file; complete once all batches were taken.
    """

    feed: str
    notes: list[str]

    def batches(self) -> Iterator[list[Event]]:
        """Yield its events in the order of the file; batches may be empty."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A format of files.

    Attributes:
        name: As for ``--format``.
        suffixes: Ends of file names that tell it, lower case.
        read: Makes a reader of a file's lines, a dialect (None is the format's own), and a function that takes
            the credentials out of a URL; None where the format cannot be imported.
        write: Writes record batches of a schema to a binary stream, and returns what the format cannot hold; None
            where it cannot be exported by itself.
        looks_like: Tells by a file's first bytes.
        is_session: A file of it is a session, which the store writes and reads.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    read: Callable[[Lines, Dialect | None, Callable[[str], str]], Reader] | None = None
    write: Callable[[Iterable[pa.RecordBatch], BinaryIO, pa.Schema], list[str]] | None = None
    looks_like: Callable[[bytes], bool] | None = None
    is_session: bool = False


FORMATS: Final = (
    Format("cryptofeed", read=CryptofeedReader, write=write_cryptofeed, looks_like=is_capture),
    Format(
        "jsonl",
        (".jsonl", ".ndjson"),
        read=lambda lines, dialect, _: JsonlReader(lines, dialect),
        write=lambda batches, out, _: write_jsonl(batches, out),
    ),
    Format("payloads", read=lambda lines, dialect, _: PayloadReader(lines, dialect)),
    Format("csv", (".csv",), read=lambda lines, dialect, _: CsvReader(lines, dialect), write=write_csv),
    Format(
        "parquet",
        (".parquet",),
        read=lambda lines, dialect, _: ParquetReader(lines, dialect),
        write=write_parquet,
        looks_like=lambda head: head.startswith(b"PAR1"),
    ),
    Format("duckdb", (".duckdb",), is_session=True),
    Format("har", (".har",), read=HarReader, write=write_har, looks_like=is_har),
    Format(
        "mcap",
        (".mcap",),
        read=lambda lines, dialect, _: McapReader(lines, dialect),
        write=write_mcap,
        looks_like=is_mcap,
    ),
    Format("mitmproxy", (".flow", ".flows", ".mitm"), read=FlowReader, write=write_flows, looks_like=is_flow_file),
)
"""Every format, imported or exported."""

# EXCHANGE.ws.CONNECTION.FILE, as cryptofeed names its captures.
_CAPTURE_NAME: Final = re.compile(r"\.ws\.\d+\.\d+$")


def choose_reader(path: Path, name: str | None, head: bytes) -> Format:
    """Return the format to read a file in.

    Args:
        path: The file.
        name: What ``--format`` says, or None.
        head: Its first bytes, looked at where its name does not tell.

    Raises:
        UsageError: The format is unknown, cannot be imported, or cannot be told.
    """
    readable = [known for known in FORMATS if known.read is not None]
    found = _named(name, readable, "imported") if name else _by_suffix(path)
    if found is None and _CAPTURE_NAME.search(path.name):
        found = _named("cryptofeed", readable, "imported")
    if found is None:
        found = next((known for known in readable if known.looks_like and known.looks_like(head)), None)
    if found is None:
        raise UsageError(
            f"cannot tell the format of {path} by its name or its first line",
            hint=f"say it with --format: {_names(readable)}",
        )
    if found.read is None:
        raise UsageError(
            f"{path} is a {found.name} file, which cannot be imported",
            hint="it is a session as it is: name it where a session is asked for",
        )
    return found


def choose_writer(path: Path | None, name: str | None) -> Format:
    """Return the format to write a file in.

    Args:
        path: The file to be; None is a stream, which has no name.
        name: What ``--format`` says, or None.

    Raises:
        UsageError: The format is unknown, cannot be exported, or cannot be told.
    """
    writable = [known for known in FORMATS if known.write is not None or known.is_session]
    if name:
        return _named(name, writable, "exported")
    found = None if path is None else _by_suffix(path)
    if found is None and path is not None and _CAPTURE_NAME.search(path.name):
        found = _named("cryptofeed", writable, "exported")
    if found is None:
        raise UsageError(
            "standard output has no name that could tell the format"
            if path is None
            else f"cannot tell a format by the name {path.name}",
            hint=f"say it with --format: {_names(writable)}",
        )
    return found


def session_name(path: Path) -> str:
    """Return what to call the session of a file: its name without the suffix of a known format."""
    known = any(path.name.lower().endswith(suffix) for form in FORMATS for suffix in form.suffixes)
    return path.stem if known else path.name


def _by_suffix(path: Path) -> Format | None:
    lower = path.name.lower()
    return next((known for known in FORMATS if any(lower.endswith(suffix) for suffix in known.suffixes)), None)


def _named(name: str, among: list[Format], verb: str) -> Format:
    for known in among:
        if known.name == name.lower():
            return known
    is_known = any(known.name == name.lower() for known in FORMATS)
    raise UsageError(
        f"format {name!r} cannot be {verb}" if is_known else f"format {name!r} is unknown",
        hint=f"say one of {_names(among)} for --format",
    )


def _names(formats: list[Format]) -> str:
    return ", ".join(known.name for known in formats)
