from __future__ import annotations

import base64
import csv
import io

from wsrecorder.core.event import Direction, Event, Kind
from wsrecorder.formats.csv import write_csv
from wsrecorder.store.schema import COLUMNS, SCHEMA, from_rows

ODD = 'a "quoted", line\r\nand\nanother; é 🎲'


def written(*events: Event) -> bytes:
    out = io.BytesIO()
    write_csv([from_rows(list(events))] if events else [], out, SCHEMA)
    assert not out.closed
    return out.getvalue()


def test_rows_read_back_by_pythons_reader() -> None:
    content = written(
        Event(0, Kind.OPEN, 0, Direction.IN, 0, 1_000_000_123_456_789, detail='{"a": "b"}'),
        Event(1, Kind.MESSAGE, 0, Direction.IN, 5, 1_000_000_123_456_794, "T", 1, ODD),
        Event(2, Kind.MESSAGE, 0, Direction.OUT, 6, 1_000_000_123_456_795, binary=b"\x00\xff"),
    )
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    assert tuple(header) == COLUMNS
    assert rows[0] == [
        "0",
        "open",
        "0",
        "in",
        "0",
        "1000000123456789",
        "1970-01-12T13:46:40.123456Z",
        *[""] * 4,
        rows[0][-1],
    ]
    assert rows[0][-1] == '{"a": "b"}'
    assert rows[1][7:] == ["T", "1970-01-01T00:00:00.000001Z", ODD, "", ""]
    assert base64.b64decode(rows[2][10]) == b"\x00\xff"


def test_lines_end_as_rfc_4180_says() -> None:
    content = written(Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, text="x"))
    assert content.count(b"\r\n") == content.count(b"\n") == 2


def test_null_and_empty_text_differ() -> None:
    row = written(Event(0, Kind.MESSAGE, 0, Direction.IN, 0, 0, text="")).splitlines()[1]
    assert row.endswith(b',,,"",,')


def test_no_events_give_a_header() -> None:
    assert written() == ",".join(f'"{name}"' for name in COLUMNS).encode() + b"\r\n"
